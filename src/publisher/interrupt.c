/* publisher/interrupt.c - how a call of a publisher that waits for subscribers or slots is ended before its time. */
#include "os/clock.h"
#include "os/error.h"
#include "publisher/publisher.h"

/* How often it is looked where a thread cannot sleep on two words: before Linux 5.16. */
#define LOOK_NS (10 * CF_MS)

void cuframes_publisher_interrupt(cuframes_publisher *p) {
  if (!p || !cf_process_is(p->maker))
    return;
  (void)cf_flag_add(&p->interruptions, 1);
  (void)cf_futex_wake(&p->interruptions.value, INT32_MAX);
}

int cf_publisher_check_interrupt(cuframes_publisher *p, enum cf_wait wait) {
  uint32_t seen = cf_flag_get(&p->interruptions_seen[wait]), count = cf_flag_get(&p->interruptions);
  /* several end one wait; of several threads one takes it */
  if (count != seen && cf_flag_change(&p->interruptions_seen[wait], &seen, count))
    return cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_publisher_interrupt() was called");
  return cf_interrupt_check(&p->interrupt);
}

void cf_publisher_sleep(cuframes_publisher *p, enum cf_wait wait, cf_futex_pair word, int64_t deadline) {
  const cf_futex_pair pairs[] = { word, { &p->interruptions.value, cf_flag_get(&p->interruptions_seen[wait]) } };
  int64_t until = cf_interrupt_until(&p->interrupt, deadline);
  unsigned count = cf_futex_most() > 1 ? 2 : 1;
  if (count == 1) {
    int64_t soon = cf_now() + LOOK_NS;
    until = soon < until ? soon : until;
  }
  cf_futex_wait_any(pairs, count, until);
}
