/* test_exchange_day.c - a day of a stream in a few seconds: every frame of 24 hours at 30 per second, while subscribers
 * join and leave, hold frames, fall behind and are evicted, with exactly the slots that the pool invariant asks for.
 * Every counter starts where it is about to run over. Nobody looks at a clock here, nor does the exchange: times in
 * it are only carried along, so a clock that jumps changes nothing.
 */
#include "exchange_support.h"

enum { CAPACITY = 128, READERS = 12, LEASES = 4, DEPTH = 6, RUNS = READERS + 1, A_DAY = 24 * 3600 * 30 };

typedef struct reader {
  bool there, ordered;
  cf_writer_seat seat;
  cf_frame_reader in;
  cf_slot_run *run; /* the slots that its seat costs */
  bool in_hand[LEASES];
  cf_taken hand[LEASES];
} reader;

typedef struct world {
  uint64_t random;
  cf_frame_writer writer;
  void *control;
  cf_slot_note notes[CAPACITY];
  cf_slot_run base, *spare; /* runs that nobody uses */
  cf_slot_run runs[4 * RUNS];
  uint32_t next_segment;
  reader readers[READERS];
  uint64_t written[CAPACITY]; /* seq of the frame in that slot */
  uint64_t taken, joined, evicted;
} world;

static void run_give(world *w, cf_slot_run *run) {
  run->next = w->spare;
  w->spare = run;
}

/* Slots on offer; what came out of use before is collected first. */
static cf_slot_run *run_offer(world *w, uint32_t count) {
  for (cf_slot_run *run = cf_writer_collect(&w->writer), *next; run; run = next) {
    next = run->next;
    run_give(w, run);
  }
  cf_slot_run *run = w->spare;
  assert_non_null(run);
  w->spare = run->next;
  memset(run, 0, sizeof *run);
  run->segment = ++w->next_segment;
  run->count = count;
  run->stride = 64;
  cf_writer_offer(&w->writer, run);
  return run;
}

static void join(world *w, reader *r) {
  bool must_wake;
  cf_seat *page = r->seat.page;
  memset(page, 0, sizeof *page);
  memset(r->in_hand, 0, sizeof r->in_hand);
  r->ordered = random_below(&w->random, 2);
  atomic_store(&page->room, UINT32_MAX - random_below(&w->random, 3));
  r->seat = (cf_writer_seat){ .page = page,
                              .leases = 1 + random_below(&w->random, LEASES),
                              .depth = r->ordered ? 1 + random_below(&w->random, DEPTH) : 0 };
  r->run = run_offer(w, cf_seat_cost(r->seat.leases, r->seat.depth));
  assert_true(cf_writer_add_seat(&w->writer, &r->seat));
  assert_true(cf_reader_init(&r->in, w->control, cf_control_bytes(CAPACITY), page, r->ordered));
  assert_true(cf_reader_begin(&r->in, &must_wake));
  r->there = true;
  w->joined++;
}

static void leave(world *w, reader *r) {
  uint64_t ticket = cf_writer_remove_seat(&w->writer, &r->seat);
  assert_true(cf_writer_quiescent(&w->writer, &r->seat, ticket));
  cf_writer_retire(&w->writer, r->run);
  r->there = false;
}

static void check_hand(const world *w, const reader *r, uint32_t k) {
  if (r->in_hand[k])
    assert_true(w->written[r->hand[k].slot] == r->hand[k].seq);
}

static void read_some(world *w, reader *r) {
  uint32_t k = random_below(&w->random, r->seat.leases);
  bool must_wake, started = r->in.started;
  uint64_t last = r->in.last, skipped = r->in.skipped;
  check_hand(w, r, k);
  if (r->in_hand[k])
    cf_reader_release(r->seat.page, k);
  r->in_hand[k] = false;
  enum cf_take take = cf_reader_take(&r->in, k, &r->hand[k], &must_wake);
  if (take == CF_TAKE_EVICTED) {
    leave(w, r);
    return;
  }
  if (take == CF_TAKE_NONE) {
    assert_true(!started || last == w->writer.seq);
    return;
  }
  assert_int_equal(take, CF_TAKE_OK);
  const cf_taken *taken = &r->hand[k];
  assert_true(r->ordered ? taken->seq == last + 1 : taken->seq == w->writer.seq);
  assert_true(!started || r->in.skipped - skipped == taken->seq - last - 1);
  assert_true(taken->pts == (int64_t)taken->seq && w->written[taken->slot] == taken->seq);
  r->in_hand[k] = true;
  w->taken++;
}

static void publish(world *w) {
  uint32_t room;
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&w->writer)) != NULL; cf_writer_leave(&w->writer)) {
    assert_true(cf_writer_seat_full(&w->writer, full, &room));
    cf_writer_evict(full);
    w->evicted++;
  }
  uint32_t slot = cf_writer_acquire(&w->writer);
  assert_true(slot != CF_NO_SLOT);
  w->written[slot] = 0;
  uint64_t seq = w->writer.seq + 1;
  assert_true(cf_writer_publish(&w->writer, slot, &(cf_frame_meta){ .pts = (int64_t)seq }, true) == seq);
  uint32_t wake = atomic_load(&w->writer.control->wake);
  cf_writer_move_wake(&w->writer);
  assert_true(atomic_load(&w->writer.control->wake) == wake + 1);
  w->written[slot] = seq;
}

static void someone_acts(world *w) {
  reader *r = &w->readers[random_below(&w->random, READERS)];
  uint32_t dice = random_below(&w->random, 4096);
  if (!r->there) {
    if (dice < 8) /* a few thousand times a day */
      join(w, r);
  } else if (dice < 2) {
    for (uint32_t k = 0; k < r->seat.leases; k++)
      check_hand(w, r, k);
    leave(w, r);
  } else if (dice < (r->ordered ? 4000 : 1000)) {
    read_some(w, r);
  }
}

/* A sanitizer gets an hour of it. */
static uint64_t day_frames(void) {
  const char *sanitizer = getenv("CUFRAMES_SANITIZE");
  return sanitizer && *sanitizer ? A_DAY / 24 : A_DAY;
}

static void a_day(uint64_t first_seq, uint64_t seed) {
  uint64_t frames = day_frames();
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->random = seed;
  w->control = zeroed(cf_control_bytes(CAPACITY));
  cf_writer_init(&w->writer, w->control, CAPACITY, w->notes, 77, first_seq);
  atomic_store(&w->writer.control->wake, UINT32_MAX - 5);
  for (int i = 0; i < 2; i++)
    atomic_store(&w->writer.scanning[i], UINT32_MAX - 9);
  w->base = (cf_slot_run){ .count = 2, .stride = 64 }; /* the newest frame and the open one */
  cf_writer_offer(&w->writer, &w->base);
  for (size_t i = 0; i < sizeof w->runs / sizeof w->runs[0]; i++)
    run_give(w, &w->runs[i]);
  for (int i = 0; i < READERS; i++)
    w->readers[i].seat.page = zeroed(sizeof(cf_seat));
  for (uint64_t i = 0; i < frames; i++) {
    publish(w);
    for (uint32_t n = random_below(&w->random, 2 * READERS); n > 0; n--)
      someone_acts(w);
  }
  assert_true(w->writer.seq == first_seq + frames - 1);
  assert_true(w->taken > frames && w->joined > frames / 2000 && w->evicted > frames / 20000);
  print_message("%llu frames from %llx, %llu taken, %llu joined, %llu evicted\n", (unsigned long long)frames,
                (unsigned long long)first_seq, (unsigned long long)w->taken, (unsigned long long)w->joined,
                (unsigned long long)w->evicted);
  for (int i = 0; i < READERS; i++)
    free(w->readers[i].seat.page);
  free(w->control);
  free(w);
}

static void from_the_first_frame(void **state) {
  (void)state;
  a_day(1, 1);
}

static void past_thirty_two_bits(void **state) {
  (void)state;
  a_day((UINT64_C(1) << 32) - 1000, 2);
}

/* Forty-eight bits last for 297,000 years at this rate. */
static void up_to_the_last_number_there_is(void **state) {
  (void)state;
  a_day(CF_SEQ_MAX - day_frames() + 1, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(from_the_first_frame),
    cmocka_unit_test(past_thirty_two_bits),
    cmocka_unit_test(up_to_the_last_number_there_is),
  };
  return cmocka_run_group_tests_name("exchange_day", tests, NULL, NULL);
}
