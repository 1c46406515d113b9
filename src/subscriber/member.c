/* subscriber/member.c - a subscriber whose frames a batch takes. */
#include "subscriber/member.h"

#include "os/error.h"
#include "os/thread.h"

int cf_member_join(cuframes_subscriber *s, cf_bell *bell, void *batch,
                   void (*leave)(void *batch, cuframes_subscriber *subscriber)) {
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (cf_subscriber_taker_begin(s, CF_TAKER_JOINS) != CUFRAMES_OK)
    return CUFRAMES_ERR_BUSY;
  cf_notifier_leave(s);
  if (s->notifier.fd >= 0) /* it is silent as long as this is a member */
    cf_doorbell_drain(s->notifier.fd);
  s->notifier.bell = bell;
  s->membership.batch = batch;
  s->membership.leave = leave;
  cf_flag_set(&s->taker, CF_TAKER_BATCH);
  return CUFRAMES_OK;
}

void cf_member_part(cuframes_subscriber *s) {
  cf_notifier *n = &s->notifier;
  if (n->group)
    cf_notifier_leave(s);
  else
    cf_notifier_end(s);
  n->bell = NULL;
  n->look_at = 0;
  if (n->fd >= 0 && cf_notifier_join(s) != CUFRAMES_OK)
    cf_doorbell_ring(n->fd); /* stays readable: who polls it calls next(), as ever */
  cf_flag_set(&s->taker, CF_TAKER_CALLER);
}

int cf_member_delegate(cuframes_subscriber *s) {
  if (s->notifier.group)
    return CUFRAMES_OK;
  cf_notifier_end(s);
  return cf_notifier_join(s);
}

/* ---- looking and taking ---- */

static int look_once(cuframes_subscriber *s, cf_take_how *how) {
  cf_connection *connection = NULL;
  int result = cf_subscriber_connection_for_frames(s, &connection);
  if (result == CUFRAMES_OK)
    result = cf_subscriber_look(s, connection, how);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE && s->reconnect && connection) {
    cf_subscriber_retire(s, connection, CF_FRAMES_TAKEN);
    return CUFRAMES_ERR_STALE;
  }
  return result;
}

int cf_member_look(cuframes_subscriber *s, cf_take_how *how) {
  if (cf_take_interruption(s, CF_SLEEPER_FRAMES))
    return cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_subscriber_interrupt() was called for \"%s\"", s->name);
  int result;
  do
    result = look_once(s, how);
  while (result == CUFRAMES_ERR_STALE); /* as often as there are connections that have ended */
  return result;
}

int cf_member_take(cuframes_subscriber *s, cf_take_how *how, cuframes_frame **frame) {
  int result = s->taking ? cf_subscriber_take(s, s->taking, how, frame) : CUFRAMES_ERR_TIMEOUT;
  return result == CUFRAMES_ERR_PUBLISHER_GONE && s->reconnect ? CUFRAMES_ERR_TIMEOUT : result; /* a look retires it */
}

uint64_t cf_member_connection(const cuframes_subscriber *s) {
  return s->taking ? s->taking->serial : 0;
}

bool cf_member_is_live(const cuframes_subscriber *s) {
  if (!s->taking || cf_connection_gone(s->taking))
    return false;
  uint32_t state = cf_source_word_state(cf_reader_source(&s->taking->reader));
  return state == CUFRAMES_SOURCE_UNKNOWN || state == CUFRAMES_SOURCE_LIVE;
}

/* ---- waiting ---- */

void cf_member_wait_begin(cuframes_subscriber *s, int64_t look_at) {
  if (s->notifier.group)
    cf_notifier_arm(s, s->taking, look_at);
  else
    cf_notifier_begin(s, s->taking, look_at);
}

bool cf_member_waits(cuframes_subscriber *s, cf_futex_pair *pair, int64_t *deadline) {
  return s->notifier.group ? cf_notifier_waits(s) : cf_notifier_step(s, pair, deadline);
}

void cf_member_wait_end(cuframes_subscriber *s) {
  if (!s->notifier.group)
    cf_notifier_end(s);
}
