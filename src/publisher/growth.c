/* publisher/growth.c - when a pool grows and shrinks: the thread of frames says that few slots are free, the service
 * thread lets a thread make more, for which no wake-up, death or deadline waits, and many that were free for a while go
 * again.
 *
 * Slots that are free last for as many frames (exchange/frame_writer.h): so growth has CF_SPARE_SLOTS frames of time.
 * Until it has come there may be none, and the frame is dropped.
 */
#include <stdio.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/thread.h"
#include "publisher/publisher.h"

/* How long slots must have been free to go, and how long a failure lasts. */
#define QUIET_NS (5 * CF_SECOND)
#define AGAIN_NS (250 * CF_MS)

/* ---- frames ---- */

void cf_growth_ask(cuframes_publisher *p) {
  uint32_t free = p->writer.free.count, missing = CF_SPARE_SLOTS - free;
  if (p->pool.external || p->pool.full || cf_flag_get(&p->growth.missing) >= missing)
    return; /* there are enough by agreement, or it was asked for */
  cf_flag_set(&p->growth.missing, missing);
  cf_doorbell_ring(p->service.doorbell);
}

void cf_growth_end_quiet(cuframes_publisher *p, int64_t now) {
  uint32_t least = p->writer.least, kept = CF_SPARE_SLOTS + 1 + cf_flag_get(&p->pool.depth); /* one is taken then */
  p->growth.quiet_until = now + QUIET_NS;
  p->writer.least = UINT32_MAX;
  if (p->pool.full || least == UINT32_MAX || least <= kept || cf_counter_get(&p->pool.segment_count) < 2)
    return;
  cf_flag_set(&p->growth.surplus, least - kept);
  cf_doorbell_ring(p->service.doorbell);
}

void cf_growth_wait(cuframes_publisher *p, int64_t deadline) {
  uint32_t turns = cf_flag_get(&p->growth.turns);
  int64_t soon = cf_now() + CF_MS;                         /* slots may come free meanwhile, which rings nobody */
  if (cf_flag_get(&p->growth.missing) > 0 || p->pool.full) /* else it came after the last look for a slot */
    (void)cf_futex_wait(&p->growth.turns.value, turns, soon < deadline ? soon : deadline);
}

/* ---- the service thread, and the one that allocates ---- */

static void *grow_run(void *argument) {
  cuframes_publisher *p = argument;
  cf_growth *g = &p->growth;
  g->result = cf_pool_grow(&p->pool, cf_flag_get(&g->missing));
  (void)snprintf(g->detail, sizeof g->detail, "%s", g->result == CUFRAMES_OK ? "" : cf_last_detail());
  cf_flag_set(&g->state, CF_GROWTH_ENDED);
  cf_doorbell_ring(p->service.doorbell);
  return NULL;
}

/* Once, until it goes well again; a limit that was reached is no news before a frame was dropped over it. */
static void say_failure(cuframes_publisher *p) {
  cf_growth *g = &p->growth;
  bool starved = cf_flag_get(&g->starved) != 0;
  if (g->said || (g->result == CUFRAMES_ERR_NO_CAPACITY && !starved))
    return;
  g->said = true;
  cf_log(&p->logger, CUFRAMES_LOG_WARNING, "%s: no more slots: %s%s", p->name, g->detail,
         starved ? "; frames are dropped while all are in use" : "");
}

/* An attempt has ended; who waits for it looks again. */
static void attempt_end(cuframes_publisher *p) {
  cf_growth *g = &p->growth;
  if (g->result == CUFRAMES_OK) {
    cf_flag_set(&g->missing, 0);
    cf_flag_set(&g->starved, 0);
    cf_flag_set(&g->failed, 0);
    g->said = false;
  } else {
    cf_flag_set(&g->failed, 1);
    g->again = cf_now() + AGAIN_NS; /* until then nobody asks, since `missing` stands */
    say_failure(p);
  }
  (void)cf_flag_add(&g->turns, 1);
  (void)cf_futex_wake(&g->turns.value, INT32_MAX);
}

/* False: it has ended at once. */
static bool attempt_begin(cuframes_publisher *p) {
  cf_growth *g = &p->growth;
  int result = cf_pool_room(&p->pool) > 0
                   ? CUFRAMES_OK
                   : cf_fail(CUFRAMES_ERR_NO_CAPACITY, "there are as many as may be (--max-slots)");
  cf_flag_set(&g->state, CF_GROWTH_RUNS);
  if (result == CUFRAMES_OK)
    result = cf_thread_start(&g->thread, "cuframes-grow", grow_run, p);
  if (result == CUFRAMES_OK)
    return true; /* from here on the rest is the thread's */
  g->result = result;
  (void)snprintf(g->detail, sizeof g->detail, "%s", cf_last_detail());
  cf_flag_set(&g->state, CF_GROWTH_IDLE);
  attempt_end(p);
  return false;
}

static void thread_join(cf_growth *g) {
  (void)pthread_join(g->thread, NULL); /* it is joinable and ours */
  cf_flag_set(&g->state, CF_GROWTH_IDLE);
}

bool cf_growth_step(cuframes_publisher *p, int64_t now) {
  cf_growth *g = &p->growth;
  uint32_t surplus = cf_flag_get(&g->surplus) ? cf_flag_swap(&g->surplus, 0) : 0;
  bool ended = cf_flag_get(&g->state) == CF_GROWTH_ENDED;
  if (surplus > 0)
    cf_pool_shrink(&p->pool, surplus);
  if (ended) {
    thread_join(g);
    attempt_end(p);
  }
  if (g->again != 0 && g->again <= now) { /* who still needs some asks again */
    g->again = 0;
    cf_flag_set(&g->missing, 0);
  }
  return ended;
}

bool cf_growth_begin(cuframes_publisher *p) {
  const cf_growth *g = &p->growth;
  bool due = cf_flag_get(&g->state) == CF_GROWTH_IDLE && g->again == 0 &&
             (cf_flag_get(&g->missing) > 0 || cf_pool_lacks(&p->pool) > 0);
  return !due || attempt_begin(p);
}

int64_t cf_growth_deadline(const cuframes_publisher *p) {
  return p->growth.again != 0 ? p->growth.again : CF_NEVER;
}

void cf_growth_stop(cuframes_publisher *p) {
  if (cf_flag_get(&p->growth.state) != CF_GROWTH_IDLE)
    thread_join(&p->growth);
}
