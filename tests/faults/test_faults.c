/* test_faults.c - memory and descriptors run out, at each call in turn that asks for them: over the whole life of a
 * stream every failure is said in words, nothing is left behind, nobody else notices, and once there is some again
 * all goes on.
 */
#include "faults/life.h"

#define CALLS_MOST 1000 /* a life has fewer */

typedef struct holdings {
  int blocks, descriptors, mappings;
} holdings;

static holdings holdings_now(void) {
  return (holdings){ (int)heap_blocks(), fixture_descriptors(), fixture_mappings() };
}

/* Waits until no more is held than before: the bystanders' service thread may still close what a life asked it for.
 * If it was still at that when `before` was taken, less is held now, and counts from here on. */
static void check_left(holdings *before, uint64_t nth) {
  int64_t end = cuframes_now() + patience();
  holdings now = holdings_now();
  while (now.blocks > before->blocks || now.descriptors > before->descriptors || now.mappings > before->mappings) {
    if (cuframes_now() > end)
      fail_msg("call %d, a %s, failed: %d blocks, %d descriptors, %d mappings are left", (int)nth, failing_hit(),
               now.blocks - before->blocks, now.descriptors - before->descriptors, now.mappings - before->mappings);
    pause_ms(1);
    now = holdings_now();
  }
  *before = now;
}

/* Lives with the first call failing, with the second, and so on until there are no more. */
static void every_call(enum call_kind kind, bool on, uint64_t least) {
  bystander b;
  uint64_t nth = 1;
  (void)life(kind, UINT64_MAX, false); /* what the C library keeps from the first time is not counted below */
  bystander_begin(&b);
  bystander_check(&b);
  holdings before = holdings_now();
  while (life(kind, nth, on)) {
    bystander_check(&b);
    check_left(&before, nth);
    assert_int_equal(fixture_files(), 2);
    nth++;
    assert_true(nth < CALLS_MOST);
  }
  print_message("%d calls, each of which failed once%s\n", (int)nth - 1, on ? " and all after it" : "");
  assert_true(nth > least);
  bystander_end(&b);
}

static void memory_runs_out_for_one_call(void **state) {
  (void)state;
  every_call(CALL_MEMORY, false, 60);
}

static void memory_runs_out_for_good(void **state) {
  (void)state;
  every_call(CALL_MEMORY, true, 60);
}

static void descriptors_run_out_for_one_call(void **state) {
  (void)state;
  every_call(CALL_DESCRIPTORS, false, 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(memory_runs_out_for_one_call),
    FIXTURE(memory_runs_out_for_good),
    FIXTURE(descriptors_run_out_for_one_call),
  };
  return FIXTURE_RUN("faults", tests);
}
