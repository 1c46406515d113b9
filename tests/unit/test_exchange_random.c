/* test_exchange_random.c - the pool invariant of the frame exchange as a property of thousands of random schedules.
 *
 * One publisher, its service and up to six subscribers run as coroutines that may switch before every atomic operation
 * of the real code (exchange_sim.h). Subscribers come and go, are stopped, killed or evicted, release by "GPU" long
 * after; slots are exactly as many as the pool invariant asks for at any time. Then
 *   - one look at the seats always finds a slot, whatever a hostile one writes into its own;
 *   - nobody's frame changes under it, and nobody's memory goes;
 *   - newest subscribers never see a frame twice or go back, ordered ones see every frame.
 * With one slot less a schedule must be found in which there is none. With few slots there may be none, but they do not
 * go faster than one a frame.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "exchange_sim.h"

#include "../src/exchange/frame_reader.c"
#include "../src/exchange/frame_writer.c"

#include <cmocka.h>

#include <cuframes/frame.h>

enum { CAPACITY = 64, READERS = 6, LEASES = 3, DEPTH = 3, OPEN = 3, RUNS = 256, FRAMES = 24, WORDS = 3 };

typedef struct reader {
  cf_writer_seat seat;
  cf_frame_reader in;
  sim_task *task;
  cf_slot_run *run; /* the slots that its seat costs */
  bool there, stop, done;
  struct hand {
    enum { FREE, IN_HAND, ON_GPU, GPU_DONE } state;
    cf_taken taken;
  } hand[LEASES];
} reader;

static struct world {
  uint32_t missing;                                    /* slots fewer than the pool invariant asks for */
  bool hostile;                                        /* the first one's page is written at random */
  bool few;                                            /* no slots come for who joins */
  uint32_t open_most, readers_most, leases_most, rest; /* what the publisher grants; steps between two joiners */
  cf_frame_writer writer;
  void *control;
  cf_slot_note notes[CAPACITY];
  reader readers[READERS];
  cf_slot_run *runs[RUNS];
  uint64_t *memory[RUNS]; /* of the run with this segment number, NULL: gone */
  uint32_t run_count;
  uint32_t open[OPEN], open_count;
  uint32_t spare, none; /* few: that there must be at the next acquire; how often there was none */
  sim_task *gpu;
  reader *gpu_at; /* whose page it uses */
  bool ended, over;
  uint64_t taken, evicted, killed;
} world;

static uint64_t content(uint64_t seq, uint32_t word) {
  return seq * 0x9E3779B97F4A7C15ull ^ (word + 1) * 0xC2B2AE3D27D4EB4Full;
}

static void frame_write(uint32_t slot, uint64_t seq) {
  uint64_t offset;
  cf_slot_run *run = cf_writer_slot(&world.writer, slot, &offset);
  for (uint32_t i = 0; i < WORDS; i++)
    atomic_store_explicit(world.memory[run->segment] + offset / 8 + i, content(seq, i), memory_order_relaxed);
}

static void frame_check(const cf_taken *taken, const char *when) {
  for (uint32_t i = 0; i < WORDS; i++) {
    uint64_t *memory = taken->segment < RUNS ? world.memory[taken->segment] : NULL;
    if (!memory)
      sim_fail("%s: the memory of frame %llu is gone", when, (unsigned long long)taken->seq);
    else if (atomic_load_explicit(memory + taken->offset / 8 + i, memory_order_relaxed) != content(taken->seq, i))
      sim_fail("%s: frame %llu is torn", when, (unsigned long long)taken->seq);
  }
}

/* What is said of a frame. */
static cf_frame_meta meta_of(uint64_t seq) {
  return (cf_frame_meta){ .flags = seq % 2 ? CUFRAMES_FRAME_KEY : CUFRAMES_FRAME_CORRUPT,
                          .pts = (int64_t)content(seq, WORDS),
                          .duration = (int64_t)content(seq, WORDS + 1),
                          .timestamp = (int64_t)content(seq, WORDS + 2) };
}

static void meta_check(const cf_taken *taken) {
  const cf_frame_meta meta = meta_of(taken->seq);
  if (taken->flags != meta.flags || taken->pts != meta.pts || taken->duration != meta.duration ||
      taken->timestamp != meta.timestamp)
    sim_fail("what is said of frame %llu is another one's", (unsigned long long)taken->seq);
}

static cf_frame_meta meta_next(void) {
  return meta_of(cf_writer_next_seq(&world.writer));
}

/* ---- subscribers ---- */

static bool lease_find(reader *r, uint32_t *k) {
  for (*k = 0; *k < r->seat.leases; ++*k) {
    struct hand *hand = &r->hand[*k];
    if (hand->state == GPU_DONE &&
        atomic_load_explicit(&r->seat.page->released[*k], memory_order_acquire) == hand->taken.seq) {
      hand->state = FREE;
      cf_reader_release(r->seat.page, *k);
    }
    if (hand->state == FREE)
      return true;
  }
  return false;
}

static void lease_let_go(reader *r, uint32_t k, bool by_gpu) {
  struct hand *hand = &r->hand[k];
  if (hand->state != IN_HAND)
    return;
  frame_check(&hand->taken, "in hand");
  hand->state = by_gpu ? ON_GPU : FREE;
  if (!by_gpu)
    cf_reader_release(r->seat.page, k);
}

static void reader_took(reader *r, uint32_t k, uint64_t before, const cf_taken *taken) {
  bool follows = r->seat.depth > 0 ? taken->seq == before + 1 : taken->seq > before;
  if (!follows)
    sim_fail("after frame %llu came %llu", (unsigned long long)before, (unsigned long long)taken->seq);
  r->hand[k] = (struct hand){ .state = IN_HAND, .taken = *taken };
  world.taken++;
  meta_check(taken);
  frame_check(taken, "taken");
}

static void reader_run(void *argument) {
  reader *r = argument;
  bool must_wake, ordered = r->seat.depth > 0;
  uint32_t k;
  cf_taken taken;
  enum cf_take take = CF_TAKE_NONE;
  if (!cf_reader_init(&r->in, world.control, cf_control_bytes(CAPACITY), r->seat.page, ordered) ||
      !cf_reader_begin(&r->in, &must_wake))
    sim_fail("the control page is broken");
  while (!r->stop && (take == CF_TAKE_NONE || take == CF_TAKE_OK)) {
    uint64_t before = r->in.last;
    if (sim_below(4) && lease_find(r, &k)) {
      take = cf_reader_take(&r->in, k, &taken, &must_wake);
      if (take == CF_TAKE_OK)
        reader_took(r, k, before, &taken);
    } else {
      lease_let_go(r, sim_below(r->seat.leases), sim_below(3) == 0);
    }
    sim_yield();
  }
  if (take == CF_TAKE_BROKEN)
    sim_fail("an honest publisher looks broken");
  if (take == CF_TAKE_ENDED && r->in.last != world.writer.seq)
    sim_fail("the end came at frame %llu of %llu", (unsigned long long)r->in.last,
             (unsigned long long)world.writer.seq);
  if (sim_below(2))
    (void)cf_reader_leave(&r->in);
  for (k = 0; k < r->seat.leases; k++)
    lease_let_go(r, k, false);
  sim_drain(sim.current); /* the system call that says good-bye */
  r->done = true;
}

/* A page in the hands of somebody who means no good. */
static void hostile_run(void *argument) {
  reader *r = argument;
  while (!r->stop) {
    cf_seat *page = r->seat.page;
    uint64_t seq = world.writer.seq - sim_below(8) + sim_below(4);
    uint32_t k = sim_below(LEASES);
    switch (sim_below(5)) {
      case 0: atomic_store_explicit(&page->cursor, sim_below(4) ? seq : sim_below(4), memory_order_seq_cst); break;
      case 1: atomic_store_explicit(&page->released[k], seq, memory_order_seq_cst); break;
      case 2: atomic_store_explicit(&page->lease[k], sim_random(), memory_order_seq_cst); break;
      default: atomic_store_explicit(&page->lease[k], cf_ref(seq, sim_below(CAPACITY)), memory_order_seq_cst); break;
    }
  }
  sim_drain(sim.current);
  r->done = true;
}

/* Reads frames late, also those of the dead, and then releases them. */
static void gpu_run(void *unused) {
  (void)unused;
  while (!world.over) {
    reader *r = &world.readers[sim_below(READERS)];
    uint32_t k = sim_below(LEASES);
    sim_yield();
    if (r->hand[k].state != ON_GPU)
      continue;
    world.gpu_at = r;
    frame_check(&r->hand[k].taken, "on the GPU");
    r->hand[k].state = GPU_DONE;
    atomic_store_explicit(&r->seat.page->released[k], r->hand[k].taken.seq, memory_order_release);
    world.gpu_at = NULL;
  }
}

/* ---- the service ---- */

static cf_slot_run *run_make(uint32_t count) {
  cf_slot_run *run = calloc(1, sizeof *run);
  *run = (cf_slot_run){ .segment = world.run_count, .count = count, .stride = WORDS * sizeof(uint64_t) };
  world.runs[world.run_count] = run;
  world.memory[world.run_count++] = calloc(count, run->stride);
  return run;
}

static void run_free(uint32_t segment) {
  free(world.runs[segment]);
  free(world.memory[segment]);
  world.runs[segment] = NULL;
  world.memory[segment] = NULL;
}

static void runs_collect(void) {
  for (cf_slot_run *run = cf_writer_collect(&world.writer), *next; run; run = next) {
    next = run->next;
    for (reader *r = world.readers; r < world.readers + READERS; r++)
      for (uint32_t k = 0; k < LEASES; k++)
        if ((r->hand[k].state == IN_HAND || r->hand[k].state == ON_GPU) && r->hand[k].taken.segment == run->segment)
          sim_fail("run %u went with frame %llu in hand", run->segment, (unsigned long long)r->hand[k].taken.seq);
    run_free(run->segment);
  }
}

static void join(reader *r) {
  if (world.run_count == RUNS)
    return;
  *r = (reader){ .there = true };
  r->seat.leases = 1 + sim_below(world.leases_most);
  r->seat.depth = sim_below(2) ? 1 + sim_below(DEPTH) : 0;
  r->seat.page = aligned_alloc(64, sizeof *r->seat.page);
  memset(r->seat.page, 0, sizeof *r->seat.page);
  if (!world.few) {
    r->run = run_make(cf_seat_cost(r->seat.leases, r->seat.depth));
    cf_writer_offer(&world.writer, r->run);
  }
  if (!cf_writer_add_seat(&world.writer, &r->seat))
    sim_fail("no place for a seat");
  r->task = sim_spawn(world.hostile && r == world.readers ? hostile_run : reader_run, r);
}

static void part(reader *r) {
  while (!r->done)
    sim_yield();
  for (uint32_t k = 0; k < LEASES; k++)
    while (r->hand[k].state == ON_GPU || world.gpu_at == r)
      sim_yield();
  sim_drain(world.gpu);
  memset(r->hand, 0, sizeof r->hand); /* what the dead held */
  uint64_t ticket = cf_writer_remove_seat(&world.writer, &r->seat);
  while (!cf_writer_quiescent(&world.writer, &r->seat, ticket))
    sim_yield();
  free(r->seat.page);
  if (r->run)
    cf_writer_retire(&world.writer, r->run);
  *r = (reader){ .there = false };
}

static void reader_kill(reader *r) {
  sim_kill(r->task);
  r->done = true;
  world.killed++;
  for (uint32_t n = sim_below(100); n > 0; n--)
    sim_yield();
}

static void service_run(void *unused) {
  (void)unused;
  for (uint32_t i = 0; i < world.readers_most; i++)
    join(&world.readers[i]);
  while (!world.ended) {
    for (uint32_t n = sim_below(world.rest); n > 0 && !world.ended; n--)
      sim_yield();
    reader *r = &world.readers[sim_below(world.readers_most)];
    if (world.ended)
      break;
    if (!r->there)
      join(r);
    else if (sim_below(3) && !r->done)
      r->stop = true;
    else if (!r->done)
      reader_kill(r);
    if (r->stop || r->done)
      part(r);
    runs_collect();
  }
  for (reader *r = world.readers; r < world.readers + READERS; r++) {
    r->stop = r->stop || (world.hostile && r == world.readers);
    if (r->there)
      part(r);
  }
  world.over = true;
}

/* ---- the publisher ---- */

/* Publishing makes one slot pinned at most, the one of the frame that it follows; taking one and giving it back make
 * one free less and more. */
static void spare_check(bool taken) {
  uint32_t spare = world.writer.free.count + taken;
  if (spare < world.spare)
    sim_fail("of %u free slots %u are left", world.spare, spare);
  world.spare = spare - taken;
}

static bool acquire(void) {
  uint32_t slot = cf_writer_acquire(&world.writer);
  if (world.few)
    spare_check(slot != CF_NO_SLOT);
  if (slot == CF_NO_SLOT) {
    world.none++;
    if (!world.few)
      sim_fail("there was no slot");
    return false;
  }
  for (reader *r = world.readers; r < world.readers + READERS; r++)
    for (uint32_t k = 0; k < LEASES; k++)
      if ((r->hand[k].state == IN_HAND || r->hand[k].state == ON_GPU) && r->hand[k].taken.slot == slot)
        sim_fail("slot %u was given out with frame %llu in hand", slot, (unsigned long long)r->hand[k].taken.seq);
  world.open[world.open_count++] = slot;
  return true;
}

/* Waits for those without room, and gives up those who are slow, or says false. */
static bool make_room(uint32_t patience) {
  uint32_t room;
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&world.writer)) != NULL; cf_writer_leave(&world.writer)) {
    bool is_full = true;
    for (uint32_t n = 0; n < patience && is_full; n++) {
      is_full = cf_writer_seat_full(&world.writer, full, &room);
      sim_yield();
    }
    if (is_full && sim_below(4) == 0) {
      cf_writer_leave(&world.writer);
      return false;
    }
    if (is_full)
      cf_writer_evict(full);
    world.evicted += is_full;
  }
  return true;
}

static void publisher_run(void *unused) {
  (void)unused;
  uint32_t patience = 1 + sim_below(300);
  for (int frame = 0; frame < FRAMES; frame++) {
    uint32_t most = 1 + sim_below(world.open_most);
    while (world.open_count < most && acquire())
      ;
    if (world.open_count == 0) { /* dropped */
      sim_yield();
      continue;
    }
    uint32_t i = sim_below(world.open_count), slot = world.open[i];
    world.open[i] = world.open[--world.open_count];
    frame_write(slot, world.writer.seq + 1);
    bool cancel = sim_below(8) == 0 || !make_room(patience);
    world.spare += cancel;
    if (cancel)
      cf_writer_cancel(&world.writer, slot);
    else
      cf_writer_publish(&world.writer, slot, (cf_frame_meta[]){ meta_next() }, true);
    (void)cf_writer_sleepers(&world.writer);
  }
  cf_writer_end(&world.writer);
  world.ended = true;
}

/* ---- schedules ---- */

enum kind { HONEST, HOSTILE, FEW };

static bool schedule(uint64_t seed, uint32_t missing, enum kind kind) {
  static const uint32_t stay[] = { 0, 128, 224, 250 }, first[] = { 0, 64, 192, 240 }, drain[] = { 1, 16, 256 },
                        stall[] = { 0, 8, 64, 512 }, hesitate[] = { 0, 4, 32 }, longest[] = { 50, 300, 2000 },
                        rest[] = { 20, 200, 2000, 200000 };
  sim.random = seed;
  sim.failed = false;
  sim.habits = (sim_habits){ .stay = stay[sim_below(4)],
                             .first = first[sim_below(4)],
                             .drain = drain[sim_below(3)],
                             .stall = stall[sim_below(4)],
                             .hesitate = hesitate[sim_below(3)],
                             .longest = longest[sim_below(3)] };
  void *control = world.control;
  world = (struct world){ .missing = missing, .hostile = kind == HOSTILE, .few = kind == FEW, .control = control };
  world.open_most = 1 + sim_below(OPEN);
  world.readers_most = 1 + sim_below(1 + sim_below(READERS)); /* rather few: then slots are soon used again */
  world.leases_most = 1 + sim_below(LEASES);
  world.rest = rest[sim_below(4)];
  memset(control, 0, cf_control_bytes(CAPACITY));
  bool from_one = sim_below(2);
  uint64_t around[] = { UINT64_C(1) << 32, UINT64_C(1) << 47 };
  cf_writer_init(&world.writer, control, CAPACITY, world.notes, seed, from_one ? 1 : around[sim_below(2)] - FRAMES / 2);
  cf_writer_offer(&world.writer, run_make(1 + world.open_most - missing + (world.few ? sim_below(6) : 0)));
  world.writer.spare = sim_below(4);
  if (!from_one) { /* who joins before the first frame waits for frame 1 */
    uint32_t slot = cf_writer_acquire(&world.writer);
    frame_write(slot, world.writer.seq + 1);
    cf_writer_publish(&world.writer, slot, (cf_frame_meta[]){ meta_next() }, true);
    world.spare = world.writer.free.count;
  }
  (void)sim_spawn(publisher_run, NULL);
  (void)sim_spawn(service_run, NULL);
  world.gpu = sim_spawn(gpu_run, NULL);
  sim_run(3000000);
  for (uint32_t i = 0; i < world.run_count; i++)
    run_free(i);
  for (reader *r = world.readers; r < world.readers + READERS; r++)
    if (r->there)
      free(r->seat.page);
  return !sim.failed;
}

static uint64_t first_seed(void) {
  const char *given = getenv("CUFRAMES_TEST_SEED");
  return given ? strtoull(given, NULL, 0) : 1;
}

static void run_schedules(uint64_t count, enum kind kind) {
  uint64_t seed = first_seed(), taken = 0, evicted = 0, killed = 0, steps = 0, none = 0;
  for (uint64_t end = seed + count; seed < end; seed++) {
    if (!schedule(seed, 0, kind)) {
      fail_msg("CUFRAMES_TEST_SEED=%llu: %s (step %llu)", (unsigned long long)seed, sim.failure,
               (unsigned long long)sim.step);
    }
    taken += world.taken;
    evicted += world.evicted;
    killed += world.killed;
    steps += sim.step;
    none += world.none;
  }
  print_message(
      "%llu schedules from seed %llu: %llu steps, %llu frames taken, %llu evicted, %llu killed; %llu times no "
      "slot\n",
      (unsigned long long)count, (unsigned long long)first_seed(), (unsigned long long)steps, (unsigned long long)taken,
      (unsigned long long)evicted, (unsigned long long)killed, (unsigned long long)none);
  assert_true(kind != FEW || none > count / 10);
  assert_true(taken > count * 8 && evicted > count / 10 && killed > count / 10); /* the schedules are worth something */
}

static void the_pool_invariant_holds(void **state) {
  (void)state;
  run_schedules(6000, HONEST);
}

static void a_hostile_seat_harms_nobody_else(void **state) {
  (void)state;
  run_schedules(1000, HOSTILE);
}

static void free_slots_go_one_a_frame(void **state) {
  (void)state;
  run_schedules(3000, FEW);
}

static void one_slot_less_is_too_few(void **state) {
  (void)state;
  uint64_t seed = first_seed(), end = seed + 3000;
  while (seed < end && schedule(seed, 1, HONEST))
    seed++;
  assert_true(seed < end);
  assert_string_equal(sim.failure, "there was no slot");
  print_message("seed %llu shows it\n", (unsigned long long)seed);
}

static int set_up(void **state) {
  (void)state;
  world.control = aligned_alloc(64, cf_control_bytes(CAPACITY));
  return world.control ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  free(world.control);
  sim_free();
  return 0;
}

int main(void) {
  if (!SIM_WORKS_HERE) {
    print_message("skipped: one thread with many stacks is nothing for the thread sanitizer\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_pool_invariant_holds),
    cmocka_unit_test(a_hostile_seat_harms_nobody_else),
    cmocka_unit_test(free_slots_go_one_a_frame),
    cmocka_unit_test(one_slot_less_is_too_few),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
