/* os/clock.c - CLOCK_MONOTONIC in nanoseconds, and deadlines on it. */
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "os/futex.h"

__attribute__((hot)) int64_t cf_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock and a valid address */
  return (int64_t)now.tv_sec * CF_SECOND + now.tv_nsec;
}

int64_t cf_deadline(int64_t timeout_ns) {
  if (timeout_ns < 0)
    return CF_NEVER;
  int64_t now = cf_now();
  return timeout_ns > CF_NEVER - now ? CF_NEVER : now + timeout_ns;
}

/* How long a slice is, and how much later than asked one is awake only if one did not run: more than a busy machine
 * lets a thread wait. */
#define SLICE_NS (100 * CF_MS)
#define LATE_NS (250 * CF_MS)

cf_limit cf_limit_begin(int64_t length) {
  return (cf_limit){ .length = length, .end = cf_deadline(length), .slice_end = CF_NEVER };
}

int64_t cf_limit_slice(cf_limit *limit) {
  int64_t soon = cf_now() + SLICE_NS;
  limit->slice_end = soon < limit->end ? soon : limit->end;
  return limit->slice_end;
}

bool cf_limit_over(cf_limit *limit) {
  int64_t now = cf_now();
  if (limit->slice_end != CF_NEVER && now - limit->slice_end > LATE_NS)
    limit->end = cf_deadline(limit->length);
  return now >= limit->end;
}

bool cf_deadline_over(int64_t *deadline, int64_t now) {
  if (now < *deadline)
    return false;
  if (now - *deadline <= LATE_NS)
    return true;
  *deadline = now + CF_LATE_GRACE;
  return false;
}

/* A copy of a picture takes some ten microseconds, a sleep some sixty more than was asked for. */
#define SPIN_NS (50 * INT64_C(1000))
#define SLEEP_PART 8
#define SLEEP_MOST (CF_MS / 2)

void cf_wait_turn(int64_t began, int64_t deadline) {
  int64_t now = cf_now(), passed = now - began;
  if (passed < SPIN_NS) {
    cf_spin_pause();
    return;
  }
  int64_t sleep = passed / SLEEP_PART < SLEEP_MOST ? passed / SLEEP_PART : SLEEP_MOST;
  if (deadline - now < sleep)
    sleep = deadline > now ? deadline - now : 0;
  static const _Atomic uint32_t nobody_moves_it;
  (void)cf_futex_wait(&nobody_moves_it, 0, now + sleep); /* a signal only makes the turn shorter */
}

int cf_deadline_poll_ms(int64_t deadline) {
  if (deadline == CF_NEVER)
    return -1;
  int64_t left = deadline - cf_now();
  if (left <= 0)
    return 0;
  int64_t ms = (left + CF_MS - 1) / CF_MS;
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

bool cf_poll_until(int fd, short events, int64_t deadline) {
  struct pollfd wanted = { .fd = fd, .events = events };
  int ready;
  do
    ready = poll(&wanted, 1, cf_deadline_poll_ms(deadline));
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}
