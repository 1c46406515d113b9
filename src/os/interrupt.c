/* os/interrupt.c - asking the caller of a call that waits whether it is to give up. */
#include "os/interrupt.h"

#include "os/clock.h"
#include "os/error.h"

#define AGAIN_NS (20 * CF_MS)

int cf_interrupt_check(const cf_interrupt *interrupt) {
  if (!interrupt || !interrupt->ask || interrupt->ask(interrupt->user) == 0)
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_INTERRUPTED, "given up, as the option `interrupt` says");
}

int64_t cf_interrupt_until(const cf_interrupt *interrupt, int64_t deadline) {
  if (!interrupt || !interrupt->ask)
    return deadline;
  const int64_t again = cf_now() + AGAIN_NS;
  return again < deadline ? again : deadline;
}
