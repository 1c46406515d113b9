/* test_exchange_fork.c - the frame exchange across processes that are stopped and killed at random instants. The
 * publisher always finds a slot, though there are no more than the pool invariant asks for; survivors see no torn
 * frame and, if they are ordered, every frame.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exchange_support.h"
#include "os/clock.h"
#include "os/futex.h"
#include "support/fixture.h"

enum { CAPACITY = 64, READERS = 5, LEASES = 3 };
#define RUN_NS (2 * CF_SECOND)
#define ORDERED_TIMEOUT_NS (20 * CF_MS) /* then who is full is evicted */
#define NEXT_VICTIM_NS (4 * CF_MS)

enum { EXIT_EVICTED = 10, EXIT_TORN, EXIT_SEQUENCE, EXIT_BROKEN, EXIT_NOT_WOKEN };

static const struct { uint32_t leases, depth; } grants[READERS] = { { 1, 0 }, { 2, 0 }, { 3, 0 }, { 2, 4 }, { 1, 1 } };

typedef struct child {
  cf_writer_seat seat;
  pid_t pid;
  int pipe; /* at its end: the child is dead */
  bool stopped;
} child;

static struct test {
  cf_frame_writer writer;
  cf_slot_note notes[CAPACITY];
  cf_slot_run run;
  child children[READERS];
  uint64_t random, killed, stopped, evicted;
  uint64_t *frames; /* shared, as are the control page and the seats */
} test;

static void *shared(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  return memory;
}

/* ---- subscribers ---- */

static void check(const cf_taken *taken) {
  if (!frame_whole(test.frames + taken->offset / sizeof(uint64_t), taken->seq))
    _exit(EXIT_TORN);
}

static void sleep_for_frame(cf_frame_reader *in) {
  uint32_t word = cf_reader_prepare_wait(in);
  if (!cf_reader_news(in, in->started, in->last) && !cf_futex_wait(&in->control->wake, word, cf_now() + patience()))
    _exit(EXIT_NOT_WOKEN);
  cf_reader_end_wait(in);
}

static void reader_run(const cf_writer_seat *seat, uint64_t random) {
  cf_frame_reader in;
  cf_taken hand[LEASES] = { 0 };
  bool must_wake, held[LEASES] = { false };
  if (!cf_reader_init(&in, test.writer.control, cf_control_bytes(CAPACITY), seat->page, seat->depth > 0) ||
      !cf_reader_begin(&in, &must_wake))
    _exit(EXIT_BROKEN);
  for (;;) {
    uint32_t k = random_below(&random, seat->leases);
    if (held[k]) {
      check(&hand[k]);
      held[k] = false;
      cf_reader_release(seat->page, k);
    }
    uint64_t before = in.last;
    switch (cf_reader_take(&in, k, &hand[k], &must_wake)) {
      case CF_TAKE_OK: break;
      case CF_TAKE_NONE: sleep_for_frame(&in); continue;
      case CF_TAKE_ENDED: _exit(0);
      case CF_TAKE_EVICTED: _exit(EXIT_EVICTED);
      case CF_TAKE_BROKEN: _exit(EXIT_BROKEN);
    }
    if (must_wake)
      (void)cf_futex_wake(&seat->page->room, INT32_MAX);
    held[k] = true;
    check(&hand[k]);
    if (seat->depth > 0 ? hand[k].seq != before + 1 : hand[k].seq <= before)
      _exit(EXIT_SEQUENCE);
  }
}

static void child_start(child *c) {
  int ends[2];
  memset(c->seat.page, 0, sizeof *c->seat.page);
  assert_true(cf_writer_add_seat(&test.writer, &c->seat));
  uint64_t seed = random_next(&test.random);
  pid_t parent = getpid();
  assert_int_equal(pipe(ends), 0);
  c->pid = fork();
  assert_true(c->pid >= 0);
  if (c->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* if the test dies, so do we */
    if (getppid() != parent)
      _exit(0);
    reader_run(&c->seat, seed);
  }
  (void)close(ends[1]);
  c->pipe = ends[0];
  c->stopped = false;
}

/* Waits for its end; gives its status. Its seat goes, and nothing of it pins any more. */
static int child_end(child *c) {
  struct pollfd end = { .fd = c->pipe, .events = POLLIN };
  int status;
  assert_int_equal(poll(&end, 1, (int)(patience() / CF_MS)), 1);
  assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
  c->pid = 0;
  (void)close(c->pipe);
  assert_true(cf_writer_quiescent(&test.writer, &c->seat, cf_writer_remove_seat(&test.writer, &c->seat)));
  return status;
}

static bool child_has_ended(const child *c) {
  struct pollfd end = { .fd = c->pipe, .events = POLLIN };
  return poll(&end, 1, 0) == 1;
}

/* ---- the publisher ---- */

static void make_room(void) {
  uint32_t room;
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&test.writer)) != NULL; cf_writer_leave(&test.writer)) {
    int64_t deadline = cf_now() + ORDERED_TIMEOUT_NS;
    bool in_time = true;
    while (cf_writer_seat_full(&test.writer, full, &room) && in_time)
      in_time = cf_futex_wait(&full->page->room, room, deadline);
    if (!in_time && cf_writer_seat_full(&test.writer, full, &room))
      cf_writer_evict(full);
  }
}

static void publish(void) {
  uint64_t offset;
  uint32_t slot = cf_writer_acquire(&test.writer);
  assert_true(slot != CF_NO_SLOT);
  (void)cf_writer_slot(&test.writer, slot, &offset);
  frame_fill(test.frames + offset / sizeof(uint64_t), test.writer.seq + 1);
  make_room();
  (void)cf_writer_publish(&test.writer, slot, &(cf_frame_meta){ .pts = 0 }, true);
  if (cf_writer_sleepers(&test.writer) > 0)
    (void)cf_futex_wake(&test.writer.control->wake, INT32_MAX);
}

static void strike(void) {
  child *c = &test.children[random_below(&test.random, READERS)];
  if (child_has_ended(c)) { /* only the evicted go by themselves */
    int status = child_end(c);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_EVICTED);
    test.evicted++;
    child_start(c);
  } else if (c->stopped) {
    assert_int_equal(kill(c->pid, SIGCONT), 0);
    c->stopped = false;
  } else if (random_below(&test.random, 3) == 0) {
    siginfo_t end;
    assert_int_equal(kill(c->pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)c->pid, &end, WSTOPPED | WEXITED | WNOWAIT), 0);
    c->stopped = true;
    test.stopped++;
  } else {
    assert_int_equal(kill(c->pid, SIGKILL), 0);
    int status = child_end(c);
    bool was_evicted = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_EVICTED; /* just then */
    assert_true(was_evicted || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    test.killed++;
    child_start(c);
  }
}

static bool enough(void) {
  return test.writer.seq > 100 && test.killed > 20 && test.stopped > 5;
}

static void the_living_do_not_notice(void **state) {
  (void)state;
  const char *given = getenv("CUFRAMES_TEST_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)cf_now();
  uint32_t slots = 1 + 1;
  print_message("CUFRAMES_TEST_SEED=%llu\n", (unsigned long long)seed);
  test.random = seed;
  for (int i = 0; i < READERS; i++)
    slots += cf_seat_cost(grants[i].leases, grants[i].depth);
  test.frames = shared((size_t)slots * FRAME_BYTES);
  cf_writer_init(&test.writer, shared(cf_control_bytes(CAPACITY)), CAPACITY, test.notes, seed, 1);
  test.run = (cf_slot_run){ .segment = 1, .count = slots, .stride = FRAME_BYTES };
  cf_writer_offer(&test.writer, &test.run);
  for (int i = 0; i < READERS; i++) {
    child *c = &test.children[i];
    c->seat = (cf_writer_seat){ .page = shared(sizeof(cf_seat)), .leases = grants[i].leases, .depth = grants[i].depth };
    child_start(c);
  }
  int64_t now = cf_now(), next = now, end = now + RUN_NS, latest = now + patience();
  for (; now < end || (now < latest && !enough()); now = cf_now()) {
    publish();
    if (now >= next) {
      strike();
      next = now + random_below(&test.random, (uint32_t)NEXT_VICTIM_NS);
    }
  }
  cf_writer_end(&test.writer);
  (void)cf_futex_wake(&test.writer.control->wake, INT32_MAX);
  for (int i = 0; i < READERS; i++) {
    assert_int_equal(kill(test.children[i].pid, SIGCONT), 0);
    int status = child_end(&test.children[i]);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_EVICTED);
  }
  print_message("%llu frames in %u slots; %llu killed, %llu stopped, %llu evicted\n",
                (unsigned long long)test.writer.seq, slots, (unsigned long long)test.killed,
                (unsigned long long)test.stopped, (unsigned long long)test.evicted);
  assert_true(enough());
}

static int tear_down(void **state) {
  (void)state;
  for (int i = 0; i < READERS; i++)
    if (test.children[i].pid > 0 && kill(test.children[i].pid, SIGKILL) == 0)
      (void)waitpid(test.children[i].pid, NULL, 0);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(the_living_do_not_notice, tear_down) };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
