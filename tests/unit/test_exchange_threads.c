/* test_exchange_threads.c - the frame exchange at full speed on real threads: a publisher, three newest and two ordered
 * subscribers, a "GPU" that reads and releases some frames late, and a service that seats others, lets them go, and
 * grows and retires runs meanwhile. Slots are exactly as many as the pool invariant asks for.
 *
 * Frames lie in plain memory: the thread sanitizer judges whether the exchange orders who writes and who reads them.
 */
#include <pthread.h>
#include <stdio.h>

#include "exchange_support.h"
#include "os/clock.h"
#include "os/futex.h"
#include "support/fixture.h"

enum { CAPACITY = 128, READERS = 5, OPEN = 2, SEGMENTS = 60000, HANDS = 3 };
#define RUN_NS (2 * CF_SECOND)

enum { FREE, IN_HAND, ON_GPU, GPU_DONE };

typedef struct reader {
  cf_writer_seat seat;
  cf_frame_reader in;
  bool gpu; /* the other thread releases half of its frames */
  struct hand {
    cf_taken taken;
    _Atomic int state;
  } hand[HANDS];
  uint64_t random, taken;
  pthread_t thread;
} reader;

static struct test {
  cf_frame_writer writer;
  void *control;
  cf_slot_note notes[CAPACITY];
  uint64_t *memory[SEGMENTS];
  reader readers[READERS];
  uint64_t published;
  _Atomic uint32_t joined;
  _Atomic bool stop, over;
  _Atomic(const char *) failure;
} test;

static bool going(void) {
  return !atomic_load_explicit(&test.stop, memory_order_relaxed) &&
         !atomic_load_explicit(&test.failure, memory_order_relaxed);
}

static bool enough(void) {
  return test.published > 100 && atomic_load_explicit(&test.joined, memory_order_relaxed) > 10;
}

static void failed(const char *what) {
  const char *none = NULL;
  (void)atomic_compare_exchange_strong(&test.failure, &none, what);
}

static const uint64_t *frame_at(const cf_taken *taken) {
  return test.memory[taken->segment] + taken->offset / sizeof(uint64_t);
}

static void wake_for_room(reader *r, bool must_wake) {
  if (must_wake)
    (void)cf_futex_wake(&r->seat.page->room, INT32_MAX);
}

/* ---- subscribers ---- */

static bool hand_is_free(reader *r, uint32_t k) {
  struct hand *hand = &r->hand[k];
  /* relaxed: what the GPU read must be ordered by released[] alone */
  if (atomic_load_explicit(&hand->state, memory_order_relaxed) == GPU_DONE &&
      atomic_load_explicit(&r->seat.page->released[k], memory_order_acquire) == hand->taken.seq) {
    atomic_store_explicit(&hand->state, FREE, memory_order_relaxed);
    cf_reader_release(r->seat.page, k);
  }
  return atomic_load_explicit(&hand->state, memory_order_relaxed) == FREE;
}

static void let_go(reader *r, uint32_t k) {
  struct hand *hand = &r->hand[k];
  if (atomic_load_explicit(&hand->state, memory_order_relaxed) != IN_HAND)
    return;
  if (!frame_whole(frame_at(&hand->taken), hand->taken.seq))
    failed("a frame in hand is torn");
  if (r->gpu && random_below(&r->random, 2)) {
    atomic_store_explicit(&hand->state, ON_GPU, memory_order_release); /* a launch hands over what to do */
  } else {
    atomic_store_explicit(&hand->state, FREE, memory_order_relaxed);
    cf_reader_release(r->seat.page, k);
  }
}

static void sleep_for_frame(reader *r) {
  uint32_t word = cf_reader_prepare_wait(&r->in);
  if (!cf_reader_news(&r->in, r->in.started, r->in.last) &&
      !cf_futex_wait(&r->in.control->wake, word, cf_now() + patience()))
    failed("a sleeper was not woken");
  cf_reader_end_wait(&r->in);
}

/* One step: takes a frame if a hand is free, else lets one go. */
static enum cf_take step(reader *r) {
  uint32_t k = random_below(&r->random, r->seat.leases);
  uint64_t before = r->in.last;
  bool must_wake;
  if (!hand_is_free(r, k)) {
    let_go(r, k);
    return CF_TAKE_OK;
  }
  struct hand *hand = &r->hand[k];
  enum cf_take take = cf_reader_take(&r->in, k, &hand->taken, &must_wake);
  if (take != CF_TAKE_OK)
    return take;
  wake_for_room(r, must_wake);
  atomic_store_explicit(&hand->state, IN_HAND, memory_order_relaxed);
  if (r->seat.depth > 0 ? hand->taken.seq != before + 1 : hand->taken.seq <= before)
    failed("a frame came out of sequence");
  if (!frame_whole(frame_at(&hand->taken), hand->taken.seq))
    failed("a frame is torn");
  const cf_taken *taken = &hand->taken;
  const int64_t seq = (int64_t)taken->seq;
  if (taken->pts != seq || taken->duration != -seq || taken->timestamp != seq * 3)
    failed("what is said of a frame is another one's");
  r->taken++;
  return CF_TAKE_OK;
}

static bool begin(reader *r) {
  bool must_wake;
  bool sound = cf_reader_init(&r->in, test.control, cf_control_bytes(CAPACITY), r->seat.page, r->seat.depth > 0) &&
               cf_reader_begin(&r->in, &must_wake);
  if (!sound)
    failed("the control page looks broken");
  else
    wake_for_room(r, must_wake);
  return sound;
}

static void *reader_run(void *argument) {
  reader *r = argument;
  enum cf_take take = CF_TAKE_OK;
  while ((take == CF_TAKE_OK || take == CF_TAKE_NONE) && !atomic_load_explicit(&test.failure, memory_order_relaxed)) {
    take = step(r);
    if (take == CF_TAKE_NONE)
      sleep_for_frame(r);
  }
  if (take == CF_TAKE_BROKEN || take == CF_TAKE_EVICTED)
    failed("an honest publisher looks broken, or evicts");
  return NULL;
}

static void *gpu_run(void *argument) {
  reader *r = argument;
  while (!atomic_load_explicit(&test.over, memory_order_relaxed)) {
    for (uint32_t k = 0; k < r->seat.leases; k++) {
      struct hand *hand = &r->hand[k];
      if (atomic_load_explicit(&hand->state, memory_order_acquire) != ON_GPU)
        continue;
      if (!frame_whole(frame_at(&hand->taken), hand->taken.seq))
        failed("a frame on the GPU is torn");
      atomic_store_explicit(&hand->state, GPU_DONE, memory_order_relaxed);
      atomic_store_explicit(&r->seat.page->released[k], hand->taken.seq, memory_order_release);
    }
    cf_spin_pause();
  }
  return NULL;
}

/* ---- the publisher ---- */

static void make_room(void) {
  uint32_t room;
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&test.writer)) != NULL; cf_writer_leave(&test.writer)) {
    while (cf_writer_seat_full(&test.writer, full, &room)) {
      if (!cf_futex_wait(&full->page->room, room, cf_now() + patience())) {
        failed("the publisher was not woken");
        cf_writer_evict(full);
      }
    }
  }
}

static void *writer_run(void *unused) {
  (void)unused;
  uint64_t random = 1, offset;
  uint32_t open[OPEN], count = 0;
  int64_t began = cf_now(), now = began;
  for (; going() && (now < began + RUN_NS || (now < began + patience() && !enough())); now = cf_now()) {
    while (count < OPEN) {
      open[count] = cf_writer_acquire(&test.writer);
      if (open[count] == CF_NO_SLOT) {
        failed("no slot");
        break;
      }
      count++;
    }
    if (count < OPEN)
      break;
    uint32_t i = random_below(&random, OPEN), slot = open[i];
    open[i] = open[--count];
    const cf_slot_run *run = cf_writer_slot(&test.writer, slot, &offset);
    frame_fill(test.memory[run->segment] + offset / sizeof(uint64_t), test.writer.seq + 1);
    if (random_below(&random, 16) == 0) {
      cf_writer_cancel(&test.writer, slot);
      continue;
    }
    make_room();
    const int64_t seq = (int64_t)cf_writer_next_seq(&test.writer);
    const cf_frame_meta meta = { .pts = seq, .duration = -seq, .timestamp = seq * 3 };
    (void)cf_writer_publish(&test.writer, slot, &meta, true);
    test.published++;
    if (cf_writer_sleepers(&test.writer) > 0) {
      cf_writer_move_wake(&test.writer);
      (void)cf_futex_wake(&test.writer.control->wake, INT32_MAX);
    }
  }
  cf_writer_end(&test.writer);
  (void)cf_futex_wake(&test.writer.control->wake, INT32_MAX);
  atomic_store(&test.stop, true);
  return NULL;
}

/* ---- the service ---- */

static cf_slot_run *run_offer(uint32_t segment, uint32_t count) {
  cf_slot_run *run = calloc(1, sizeof *run);
  *run = (cf_slot_run){ .segment = segment, .count = count, .stride = FRAME_BYTES };
  test.memory[segment] = zeroed((size_t)count * FRAME_BYTES);
  cf_writer_offer(&test.writer, run);
  return run;
}

static void run_free(cf_slot_run *run) {
  free(test.memory[run->segment]);
  free(run);
}

static void seat_add(reader *r, uint32_t leases, uint32_t depth) {
  r->seat = (cf_writer_seat){ .page = zeroed(sizeof *r->seat.page), .leases = leases, .depth = depth };
  if (!cf_writer_add_seat(&test.writer, &r->seat))
    failed("no seat");
}

static void seat_remove(reader *r) {
  uint64_t ticket = cf_writer_remove_seat(&test.writer, &r->seat);
  (void)cf_futex_wake(&r->seat.page->room, INT32_MAX);
  while (!cf_writer_quiescent(&test.writer, &r->seat, ticket))
    (void)sched_yield();
  free(r->seat.page);
}

static void runs_collect(void) {
  for (cf_slot_run *run = cf_writer_collect(&test.writer), *next; run; run = next) {
    next = run->next;
    run_free(run);
  }
}

/* Seats somebody, takes some frames for it, and lets it go: with a good-bye, or as one who died with frames in hand. */
static void *service_run(void *unused) {
  (void)unused;
  uint64_t random = 2;
  for (uint32_t segment = 2; going() && segment < SEGMENTS; segment++) {
    reader r = { .random = segment };
    uint32_t leases = 1 + random_below(&random, HANDS), depth = random_below(&random, 4);
    cf_slot_run *run = run_offer(segment, cf_seat_cost(leases, depth));
    seat_add(&r, leases, depth);
    if (begin(&r))
      for (uint32_t n = random_below(&random, 300); n > 0; n--)
        (void)step(&r);
    for (uint32_t k = 0; k < leases && random_below(&random, 2); k++)
      let_go(&r, k);
    seat_remove(&r);
    cf_writer_retire(&test.writer, run);
    runs_collect();
    atomic_fetch_add_explicit(&test.joined, 1, memory_order_relaxed);
  }
  return NULL;
}

static void readers_race_a_writer(void **state) {
  (void)state;
  static const struct { uint32_t leases, depth; } seats[READERS] = { { 1, 0 }, { 2, 0 }, { 3, 0 }, { 1, 1 }, { 2, 4 } };
  pthread_t writer, service, gpu;
  uint32_t needed = 1 + OPEN;
  test.control = zeroed(cf_control_bytes(CAPACITY));
  cf_writer_init(&test.writer, test.control, CAPACITY, test.notes, 1, 1);
  for (uint32_t i = 0; i < READERS; i++) {
    reader *r = &test.readers[i];
    r->random = i + 100;
    r->gpu = i == 2;
    seat_add(r, seats[i].leases, seats[i].depth);
    needed += cf_seat_cost(seats[i].leases, seats[i].depth);
  }
  cf_slot_run *base = run_offer(1, needed);
  for (uint32_t i = 0; i < READERS;
       i++) /* before the first frame: a thread may start late, and an ordered one counts */
    assert_true(begin(&test.readers[i]));
  for (uint32_t i = 0; i < READERS; i++)
    assert_int_equal(pthread_create(&test.readers[i].thread, NULL, reader_run, &test.readers[i]), 0);
  assert_int_equal(pthread_create(&gpu, NULL, gpu_run, &test.readers[2]), 0);
  assert_int_equal(pthread_create(&writer, NULL, writer_run, NULL), 0);
  assert_int_equal(pthread_create(&service, NULL, service_run, NULL), 0);
  assert_int_equal(pthread_join(writer, NULL), 0);
  assert_int_equal(pthread_join(service, NULL), 0);
  for (uint32_t i = 0; i < READERS; i++)
    assert_int_equal(pthread_join(test.readers[i].thread, NULL), 0);
  atomic_store(&test.over, true);
  assert_int_equal(pthread_join(gpu, NULL), 0);

  print_message("%llu frames; taken %llu %llu %llu newest, %llu %llu ordered; %u joined and left\n",
                (unsigned long long)test.published, (unsigned long long)test.readers[0].taken,
                (unsigned long long)test.readers[1].taken, (unsigned long long)test.readers[2].taken,
                (unsigned long long)test.readers[3].taken, (unsigned long long)test.readers[4].taken,
                atomic_load(&test.joined));
  if (test.failure)
    fail_msg("%s", test.failure);
  for (uint32_t i = 0; i < READERS; i++) {
    reader *r = &test.readers[i];
    assert_true(r->in.last == test.published && (r->seat.depth == 0 || r->taken == test.published));
    assert_true(r->taken > 0);
    seat_remove(r);
  }
  assert_true(enough());
  /* everything but the newest frame's slot goes when it is asked to */
  cf_writer_retire(&test.writer, base);
  cf_writer_sweep(&test.writer);
  runs_collect();
  uint32_t left = 0;
  for (uint32_t slot = 0; slot < CAPACITY; slot++)
    left += test.notes[slot].run != NULL;
  assert_true(left >= 1 && left <= 1 + OPEN); /* what was open stays so */
  free(test.control);
}

int main(void) {
  const struct CMUnitTest tests[] = { cmocka_unit_test(readers_race_a_writer) };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
