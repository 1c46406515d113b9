/* subscriber/rejoin.c - joining again when a publisher comes back, in steps none of which waits. */
#include <stdio.h>
#include <string.h>

#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "subscriber/subscriber.h"
#include "wire/handshake.h"

#define BACK_OFF_FIRST (10 * CF_MS)
#define BACK_OFF_MOST (250 * CF_MS)

bool cf_rejoin_may_help(int error) {
  return error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_PUBLISHER_GONE;
}

void cf_joins_announce(cuframes_subscriber *s) {
  (void)cf_flag_add(&s->joins, 1);
  (void)cf_futex_wake(&s->joins.value, INT32_MAX);
}

void cf_rejoin_begin(cuframes_subscriber *s) {
  cf_rejoin *r = &s->rejoin;
  r->state = CF_REJOIN_DUE;
  r->back_off = BACK_OFF_FIRST;
  r->at = r->joined_at + BACK_OFF_FIRST; /* a publisher that always goes again does not keep us busy */
}

void cf_rejoin_again(cuframes_subscriber *s, bool at_once) {
  cf_rejoin *r = &s->rejoin;
  r->state = CF_REJOIN_DUE;
  r->at = at_once ? 0 : cf_now() + r->back_off;
  if (!at_once)
    r->back_off = r->back_off * 2 > BACK_OFF_MOST ? BACK_OFF_MOST : r->back_off * 2;
}

void cf_rejoin_stop(cuframes_subscriber *s) {
  if (s->rejoin.state == CF_REJOIN_ASKED || s->rejoin.state == CF_REJOIN_JOINED)
    cf_joined_close(&s->rejoin.joined);
  s->rejoin.state = CF_REJOIN_NONE;
}

int cf_rejoin_take(cuframes_subscriber *s, cf_joined *joined) {
  cf_rejoin *r = &s->rejoin;
  if (r->state == CF_REJOIN_FAILED) {
    cf_rejoin_again(s, false); /* who asks once more wants it tried once more */
    return cf_fail(r->error, "%s", r->detail);
  }
  if (r->state != CF_REJOIN_JOINED)
    return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher of \"%s\" has not come back", s->name);
  *joined = r->joined;
  r->state = CF_REJOIN_NONE;
  r->joined_at = cf_now();
  return CUFRAMES_OK;
}

/* It did not work. */
static void fail(cuframes_subscriber *s, int error) {
  cf_rejoin *r = &s->rejoin;
  /* what this process lacks it may have again, and nobody who waits for a name is to end for it */
  if (cf_rejoin_may_help(error) || error == CUFRAMES_ERR_NO_MEMORY || error == CUFRAMES_ERR_SYSTEM) {
    cf_rejoin_again(s, false);
    return;
  }
  r->state = CF_REJOIN_FAILED;
  r->error = error;
  snprintf(r->detail, sizeof r->detail, "%s", cf_last_detail());
  cf_joins_announce(s);
}

static void say_hello(cuframes_subscriber *s, uint8_t *message) {
  cf_rejoin *r = &s->rejoin;
  r->joined = (cf_joined){ .fd = -1, .fds = { -1, -1 } };
  int result = cf_client_hello(s->directory, s->name, &s->hello, CF_AT_ONCE, NULL, message, &r->joined.fd);
  if (result != CUFRAMES_OK) {
    fail(s, result);
    return;
  }
  r->state = CF_REJOIN_ASKED;
  r->at = cf_now() + CF_HANDSHAKE_NS;
}

static void hear_welcome(cuframes_subscriber *s, uint8_t *message) {
  cf_rejoin *r = &s->rejoin;
  int fd = r->joined.fd;
  int result = cf_client_welcome(fd, s->name, &s->hello, CF_AT_ONCE, NULL, message, 2, &r->joined);
  if (result == CUFRAMES_ERR_TIMEOUT && cf_now() < r->at)
    return;
  if (result != CUFRAMES_OK) {
    (void)cf_hang_up(fd); /* or it stays open */
    fail(s, result);
    return;
  }
  r->state = CF_REJOIN_JOINED;
  cf_joins_announce(s);
}

/* It went again before anybody took over. */
static bool is_over(const cf_rejoin *r) {
  struct pollfd end = { .fd = r->joined.fd, .events = POLLRDHUP };
  return poll(&end, 1, 0) != 0;
}

struct pollfd cf_rejoin_step(cuframes_subscriber *s, uint8_t *message, int64_t *deadline) {
  cf_rejoin *r = &s->rejoin;
  struct pollfd wanted = { .fd = -1 };
  if (r->state == CF_REJOIN_JOINED && is_over(r)) {
    cf_joined_close(&r->joined);
    cf_rejoin_again(s, false);
  }
  if (r->state == CF_REJOIN_DUE && cf_now() >= r->at)
    say_hello(s, message);
  if (r->state == CF_REJOIN_ASKED)
    hear_welcome(s, message);
  if (r->state == CF_REJOIN_ASKED)
    wanted = (struct pollfd){ .fd = r->joined.fd, .events = POLLIN };
  if (r->state == CF_REJOIN_JOINED)
    wanted = (struct pollfd){ .fd = r->joined.fd, .events = POLLRDHUP };
  if ((r->state == CF_REJOIN_DUE || r->state == CF_REJOIN_ASKED) && r->at < *deadline)
    *deadline = r->at;
  return wanted;
}
