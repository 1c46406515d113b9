/* batch/batch.c - a set of subscribers: who is in it. */
#include "batch/batch.h"

#include <stdlib.h>
#include <string.h>

#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"

#define QUIET_NS CF_SECOND
#define QUIET_MOST (CF_NEVER / 2) /* a moment and that is a moment */
#define PLACES 16

int cuframes_batch_create(const cuframes_batch_options *options, cuframes_batch **batch) {
  cuframes_batch_options o;
  if (!batch)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_create: batch must be given");
  int result = cf_options_copy(&o, sizeof o, options, "cuframes_batch_options");
  if (result != CUFRAMES_OK)
    return result;
  if (o.quiet_ns < 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "quiet_ns is negative");
  cuframes_batch *b = calloc(1, sizeof *b);
  if (!b)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  b->maker = cf_process_here();
  b->quiet_ns = o.quiet_ns == 0 ? QUIET_NS : o.quiet_ns < QUIET_MOST ? o.quiet_ns : QUIET_MOST;
  b->doorbell = -1;
  pthread_mutex_init(&b->lock, NULL);
  pthread_cond_init(&b->changed, NULL);
  *batch = b;
  return CUFRAMES_OK;
}

static int check(const cuframes_batch *b, const char *call) {
  if (!b)
    return cf_fail(CUFRAMES_ERR_INVALID, "%s: no batch given", call);
  return cf_process_check(b->maker, "batch");
}

/* ---- who is in it ---- */

static cf_batch_member *find(cuframes_batch *b, const cuframes_subscriber *s) {
  for (uint32_t i = 0; i < b->top; i++)
    if (b->member[i].subscriber == s)
      return &b->member[i];
  return NULL;
}

/* The lowest place that is free. */
static int place_find(cuframes_batch *b, uint32_t *place) {
  uint32_t i = 0;
  while (i < b->top && b->member[i].subscriber)
    i++;
  if (i == b->places) {
    uint32_t places = b->places ? 2 * b->places : PLACES;
    cf_batch_member *larger = realloc(b->member, places * sizeof *larger);
    if (!larger)
      return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
    memset(&larger[b->places], 0, (places - b->places) * sizeof *larger);
    b->member = larger;
    b->places = places;
  }
  *place = i;
  return CUFRAMES_OK;
}

/* The thread in next(), if it sleeps, is outside of its sleep when this returns, and stays so until end(). With the
 * lock. */
static void hold_off(cuframes_batch *b) {
  b->removing++;
  cf_bell_ring(&b->bell);
  while (b->asleep)
    (void)pthread_cond_wait(&b->changed, &b->lock);
}

static void go_on(cuframes_batch *b) {
  b->removing--;
  (void)pthread_cond_broadcast(&b->changed);
}

/* `call` stays: a place gives one entry in a call, also when its member leaves and another comes while that sleeps. */
static void place_free(cuframes_batch *b, cf_batch_member *m) {
  *m = (cf_batch_member){ .call = m->call };
  b->count--;
  while (b->top > 0 && !b->member[b->top - 1].subscriber)
    b->top--;
}

/* destroy() of a member. */
static void leave(void *batch, cuframes_subscriber *s) {
  (void)cuframes_batch_remove(batch, s);
}

static int member_add(cuframes_batch *b, cuframes_subscriber *s, void *user, uint32_t *index) {
  uint32_t place = 0;
  int result = place_find(b, &place);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_member_join(s, &b->bell, b, leave);
  if (result != CUFRAMES_OK)
    return result;
  /* one word of those that a thread can sleep on is the bell */
  bool delegated = b->doorbell >= 0 || place + 1 >= cf_futex_most();
  result = delegated ? cf_member_delegate(s) : CUFRAMES_OK;
  if (result != CUFRAMES_OK) {
    cf_member_part(s);
    return result;
  }
  b->member[place] = (cf_batch_member){
    .subscriber = s, .user = user, .delegated = delegated, .since = cf_now(), .call = b->member[place].call
  };
  b->count++;
  if (place == b->top)
    b->top++;
  cf_bell_ring(&b->bell); /* it may have a frame */
  *index = place;
  return CUFRAMES_OK;
}

int cuframes_batch_add(cuframes_batch *b, cuframes_subscriber *s, void *user, uint32_t *index) {
  int result = check(b, "cuframes_batch_add");
  if (result != CUFRAMES_OK)
    return result;
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_add: no subscriber given");
  uint32_t place = 0;
  pthread_mutex_lock(&b->lock);
  result = member_add(b, s, user, &place);
  pthread_mutex_unlock(&b->lock);
  if (result == CUFRAMES_OK && index)
    *index = place;
  return result;
}

int cuframes_batch_remove(cuframes_batch *b, cuframes_subscriber *s) {
  int result = check(b, "cuframes_batch_remove");
  if (result != CUFRAMES_OK)
    return result;
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_remove: no subscriber given");
  pthread_mutex_lock(&b->lock);
  hold_off(b);
  cf_batch_member *m = find(b, s); /* after the wait: another thread may have been faster */
  if (m) {
    cf_member_part(s);
    place_free(b, m);
  }
  go_on(b);
  pthread_mutex_unlock(&b->lock);
  return m ? CUFRAMES_OK : cf_fail(CUFRAMES_ERR_INVALID, "the subscriber is not in this batch");
}

void cuframes_batch_destroy(cuframes_batch *b) {
  if (!b)
    return;
  bool ours = cf_process_is(b->maker); /* else the members are as they were, and a lock may have an owner elsewhere */
  for (uint32_t i = 0; ours && i < b->top; i++)
    if (b->member[i].subscriber)
      cf_member_part(b->member[i].subscriber);
  cf_close(b->doorbell);
  if (ours) {
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
  }
  free(b->member);
  free(b);
}

/* ---- beside next() ---- */

void cuframes_batch_interrupt(cuframes_batch *b) {
  if (!b || !cf_process_is(b->maker))
    return;
  (void)cf_flag_add(&b->interruptions, 1);
  cf_bell_ring(&b->bell);
}

/* From here on threads of the library wait for all members. */
static int delegate_all(cuframes_batch *b) {
  for (uint32_t i = 0; i < b->top; i++) {
    cf_batch_member *m = &b->member[i];
    int result = m->subscriber ? cf_member_delegate(m->subscriber) : CUFRAMES_OK;
    if (result != CUFRAMES_OK)
      return result; /* those before are delegated, which is fine */
    m->delegated = m->subscriber != NULL;
  }
  return CUFRAMES_OK;
}

int cuframes_batch_fd(cuframes_batch *b, int *fd) {
  int result = check(b, "cuframes_batch_fd");
  if (result != CUFRAMES_OK)
    return result;
  if (!fd)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_fd: fd must be given");
  pthread_mutex_lock(&b->lock);
  int doorbell = b->doorbell;
  if (b->inside)
    result = cf_fail(CUFRAMES_ERR_BUSY, "another thread is in cuframes_batch_next()");
  else if (doorbell < 0)
    result = cf_doorbell_create(&doorbell);
  if (result == CUFRAMES_OK && b->doorbell < 0) {
    result = delegate_all(b);
    if (result == CUFRAMES_OK) {
      b->doorbell = doorbell;
      cf_flag_set(&b->bell.doorbell, (uint32_t)doorbell + 1);
      cf_doorbell_ring(doorbell); /* the first poll: there may be something already */
    } else {
      cf_close(doorbell);
    }
  }
  pthread_mutex_unlock(&b->lock);
  if (result == CUFRAMES_OK)
    *fd = doorbell;
  return result;
}

int cuframes_batch_get_stats(cuframes_batch *b, cuframes_batch_stats *stats) {
  int result = check(b, "cuframes_batch_get_stats");
  if (result != CUFRAMES_OK)
    return result;
  pthread_mutex_lock(&b->lock);
  uint32_t members = b->count;
  pthread_mutex_unlock(&b->lock);
  cuframes_batch_stats given = { .members = members,
                                 .calls = cf_counter_get(&b->calls),
                                 .frames = cf_counter_get(&b->frames),
                                 .errors = cf_counter_get(&b->errors),
                                 .sleeps = cf_counter_get(&b->sleeps) };
  return cf_stats_give(stats, &given, sizeof given, "cuframes_batch_stats");
}
