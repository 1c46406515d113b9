/* batch/next.c - one call of next(): look at everybody, sleep for some, take from who is ready. */
#include "batch/batch.h"

#include "os/clock.h"
#include "os/error.h"
#include "os/thread.h"

#define LOOK_AGAIN (100 * CF_MS) /* at a member with an error that may pass */

/* One call, and what it has found of the members that have not given an entry yet. */
typedef struct call {
  uint32_t min, count, given;
  cf_take_how how;
  int64_t deadline;
  cuframes_batch_entry *entries;

  int64_t now, wake_at;
  uint32_t ready, nothing; /* members; nothing: all others that may still have something */
  uint32_t alive;          /* of those without, who is worth waiting for (CUFRAMES_BATCH_ALIVE) */
  uint32_t waits;          /* of those that are needed, who is waited for already */
  cf_futex_pair bell;
} call;

/* Members in their turns, i = 0 to top - 1; NULL: nobody has that place. */
static cf_batch_member *in_turn(const cuframes_batch *b, uint32_t i) {
  cf_batch_member *m = &b->member[(b->turn + i) % b->top];
  return m->subscriber ? m : NULL;
}

static bool may_give(const cuframes_batch *b, const cf_batch_member *m) {
  return m && !m->over && m->call != b->call;
}

/* ---- looking ---- */

static void member_look(cf_batch_member *m, call *c) {
  m->state = CF_BATCH_NOTHING;
  if (m->look_at > c->now)
    return;
  m->look_at = 0;
  int result = cf_member_look(m->subscriber, &c->how);
  uint64_t connection = cf_member_connection(m->subscriber);
  if (connection != 0 && connection != m->connection) {
    m->connection = connection;
    m->since = c->now;
  }
  m->full = result == CUFRAMES_ERR_LEASE_LIMIT;
  bool nothing = result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_BUSY || m->full;
  bool again = !nothing && result != CUFRAMES_OK && result == m->said && result != CUFRAMES_ERR_INTERRUPTED;
  if (again && connection != 0)
    m->look_at = c->now + LOOK_AGAIN;
  if (result != CUFRAMES_OK && !nothing && !again)
    m->error = result;
  m->state = nothing || again ? CF_BATCH_NOTHING : CF_BATCH_READY;
}

/* last: nobody is waited for any more, and who is is looked at all the same: a thread that waits for it may not have
 * seen yet what came. */
static void member_update(cf_batch_member *m, call *c, bool last) {
  if (m->state == CF_BATCH_WAITS && !last && cf_member_waits(m->subscriber, &m->pair, &c->wake_at))
    return;
  if (m->state == CF_BATCH_WAITS && last && !m->delegated)
    cf_member_wait_end(m->subscriber);
  if (m->error != CUFRAMES_OK)
    m->state = CF_BATCH_READY;
  else if (m->state != CF_BATCH_READY)
    member_look(m, c);
}

static bool is_alive(const cuframes_batch *b, const cf_batch_member *m, int64_t now) {
  return !m->full && now - m->since < b->quiet_ns && cf_member_is_live(m->subscriber);
}

static void survey(cuframes_batch *b, call *c, bool interrupted) {
  c->now = cf_now();
  c->wake_at = c->deadline;
  c->ready = c->nothing = c->alive = c->waits = 0;
  for (uint32_t i = 0; i < b->top; i++) {
    cf_batch_member *m = in_turn(b, i);
    if (!may_give(b, m))
      continue;
    member_update(m, c, interrupted || c->now >= c->deadline);
    bool ready = m->state == CF_BATCH_READY;
    m->alive = !ready && c->min == CUFRAMES_BATCH_ALIVE && is_alive(b, m, c->now);
    c->ready += ready;
    c->nothing += !ready;
    c->alive += m->alive;
    c->waits += m->state == CF_BATCH_WAITS && (m->alive || c->min != CUFRAMES_BATCH_ALIVE);
  }
}

/* How many more must have something; 0: enough have. */
static uint32_t still_needed(const call *c) {
  uint32_t have = c->given + c->ready, most = have + c->nothing, min = c->min;
  if (min == CUFRAMES_BATCH_ALIVE)
    min = have + c->alive;
  min = min < most ? min : most;
  min = min < c->count ? min : c->count;
  min = min > 0 ? min : 1;
  return min > have ? min - have : 0;
}

/* ---- sleeping ---- */

/* So that enough are waited for; see batch.h. False: one of them has something by now. */
static bool wait_begin(cuframes_batch *b, call *c) {
  bool alive_only = c->min == CUFRAMES_BATCH_ALIVE && c->alive > 0;
  uint32_t from = alive_only ? c->alive : c->nothing, needed = still_needed(c);
  uint32_t wanted = needed < from ? from - needed + 1 : from > 0 ? 1 : 0;
  bool nobody_yet = true;
  for (uint32_t i = 0; i < b->top; i++) {
    cf_batch_member *m = in_turn(b, i);
    if (!may_give(b, m) || m->state == CF_BATCH_READY || (alive_only && !m->alive))
      continue;
    if (m->state == CF_BATCH_NOTHING && c->waits < wanted) {
      cf_member_wait_begin(m->subscriber, m->look_at);
      m->state = CF_BATCH_WAITS;
      c->waits++;
      if (!cf_member_waits(m->subscriber, &m->pair, &c->wake_at) && !m->delegated) {
        m->state = CF_BATCH_UNKNOWN;
        nobody_yet = false;
      }
    }
    if (alive_only && m->state == CF_BATCH_WAITS && m->since + b->quiet_ns < c->wake_at)
      c->wake_at = m->since + b->quiet_ns;
  }
  return nobody_yet;
}

/* Sleeps, with the lock given up meanwhile. */
static void sleep_for_news(cuframes_batch *b, const call *c) {
  cf_futex_pair pairs[CF_FUTEX_MANY] = { c->bell };
  unsigned count = 1;
  for (uint32_t i = 0; i < b->top; i++) {
    const cf_batch_member *m = in_turn(b, i);
    if (m && m->state == CF_BATCH_WAITS && !m->delegated)
      pairs[count++] = m->pair;
  }
  b->asleep = true;
  pthread_mutex_unlock(&b->lock);
  cf_futex_wait_any(pairs, count, c->wake_at);
  pthread_mutex_lock(&b->lock);
  b->asleep = false;
  cf_counter_count(&b->sleeps);
  if (b->removing > 0)
    (void)pthread_cond_broadcast(&b->changed);
  while (b->removing > 0)
    (void)pthread_cond_wait(&b->changed, &b->lock);
}

/* Nobody is waited for between two calls, but by the threads behind the descriptor. */
static void wait_end(cuframes_batch *b) {
  for (uint32_t i = 0; i < b->top; i++) {
    cf_batch_member *m = in_turn(b, i);
    if (m && m->state == CF_BATCH_WAITS && !m->delegated)
      cf_member_wait_end(m->subscriber);
    if (m)
      m->state = CF_BATCH_UNKNOWN;
  }
}

/* There was nothing: the descriptor becomes readable when there is. */
static void doorbell_arm(cuframes_batch *b) {
  if (b->doorbell < 0)
    return;
  cf_doorbell_drain(b->doorbell);
  for (uint32_t i = 0; i < b->top; i++) {
    const cf_batch_member *m = in_turn(b, i);
    if (m && !m->over)
      cf_member_wait_begin(m->subscriber, m->look_at);
  }
  if (cf_batch_is_interrupted(b))
    cf_doorbell_ring(b->doorbell);
}

/* ---- taking ---- */

static void entry_give(cuframes_batch *b, cf_batch_member *m, call *c, cuframes_frame *frame) {
  c->entries[c->given++] = (cuframes_batch_entry){
    .frame = frame, .subscriber = m->subscriber, .user = m->user, .index = (uint32_t)(m - b->member), .error = m->error
  };
  if (frame) {
    m->since = c->now;
  } else {
    m->over = m->error == CUFRAMES_ERR_EVICTED || m->error == CUFRAMES_ERR_PUBLISHER_GONE;
    cf_counter_count(&b->errors);
  }
  m->said = m->error;
  m->error = CUFRAMES_OK;
  m->call = b->call;
}

static void member_take(cuframes_batch *b, cf_batch_member *m, call *c) {
  cuframes_frame *frame = NULL;
  if (m->error == CUFRAMES_OK) {
    int result = cf_member_take(m->subscriber, &c->how, &frame);
    m->state = CF_BATCH_UNKNOWN;
    if (result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_BUSY)
      return; /* a frame whose memory is still to be mapped: it is looked at again */
    if (result == CUFRAMES_ERR_LEASE_LIMIT || (result != CUFRAMES_OK && result == m->said)) {
      m->look_at = c->now + LOOK_AGAIN;
      return;
    }
    m->error = result;
  }
  entry_give(b, m, c, frame);
}

static void take(cuframes_batch *b, call *c) {
  uint32_t turn = b->turn;
  for (uint32_t i = 0; i < b->top; i++) {
    cf_batch_member *m = in_turn(b, i);
    if (c->given == c->count || !may_give(b, m) || m->state != CF_BATCH_READY)
      continue;
    member_take(b, m, c);
    turn = (uint32_t)(m - b->member) + 1;
  }
  b->turn = turn % (b->top ? b->top : 1);
}

/* ---- next ---- */

static int nothing(const cuframes_batch *b) {
  uint32_t full = 0, away = 0, over = 0;
  for (uint32_t i = 0; i < b->top; i++) {
    const cf_batch_member *m = in_turn(b, i);
    if (!m)
      continue;
    over += m->over;
    full += !m->over && m->full;
    away += !m->over && !m->full && !cf_member_is_live(m->subscriber);
  }
  return cf_fail(CUFRAMES_ERR_TIMEOUT,
                 "no member of %u had a new frame in the time given: %u have no publisher or no live source, of %u all "
                 "leases are in hand, %u have ended",
                 b->count, away, full, over);
}

/* There are members, and all have said their last words: who waited for ever would do so in vain. */
static bool is_over(const cuframes_batch *b) {
  uint32_t over = 0;
  for (uint32_t i = 0; i < b->top; i++) {
    const cf_batch_member *m = in_turn(b, i);
    over += m && m->over;
  }
  return b->count > 0 && over == b->count;
}

/* Takes if enough have something, or it is time to. True: there are entries to give, or, for who only waits, would be
 * enough of them. */
static bool take_in_time(cuframes_batch *b, call *c, bool at_once) {
  if (!c->entries)
    return still_needed(c) == 0;
  uint32_t due = c->given + c->ready < c->count ? c->given + c->ready : c->count;
  if (still_needed(c) > 0 && !at_once)
    return false;
  take(b, c);
  return c->given > 0 && (at_once || c->given == due);
}

static int serve(cuframes_batch *b, call *c) {
  c->bell.word = &b->bell.rung.value;
  for (;;) {
    c->bell.expected = cf_flag_get(&b->bell.rung); /* before the look: whoever changes something rings afterwards */
    bool interrupted = cf_batch_is_interrupted(b); /* before it, too: what was published before that is given */
    survey(b, c, interrupted);
    bool late = c->now >= c->deadline;
    if (take_in_time(b, c, interrupted || late))
      return CUFRAMES_OK;
    if (interrupted) {
      b->interruptions_seen = cf_flag_get(&b->interruptions); /* several end one wait */
      return cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_batch_interrupt() was called");
    }
    if (is_over(b))
      return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "all %u members of the batch have ended: remove them, or add others",
                     b->count);
    if (late)
      return nothing(b);
    if (still_needed(c) > 0 && wait_begin(b, c))
      sleep_for_news(b, c);
  }
}

/* Ages as of now, which is when the caller has them. */
static void ages_note(cuframes_batch *b, const call *c) {
  int64_t now = cf_now();
  for (uint32_t i = 0; i < c->given; i++) {
    cuframes_batch_entry *e = &c->entries[i];
    e->age_ns = e->frame ? now - cuframes_frame_timestamp(e->frame) : 0;
    cf_counter_add(&b->frames, e->frame != NULL);
  }
  cf_counter_count(&b->calls);
}

/* One call, with entries or without. */
static int call_run(cuframes_batch *b, call *c) {
  if (!cf_process_is(b->maker))
    return cf_process_check(b->maker, "batch");
  pthread_mutex_lock(&b->lock);
  if (b->inside) {
    pthread_mutex_unlock(&b->lock);
    return cf_fail(CUFRAMES_ERR_BUSY, "another thread is in cuframes_batch_next()");
  }
  b->inside = true;
  b->call++;
  int result = serve(b, c);
  wait_end(b);
  if (result == CUFRAMES_ERR_TIMEOUT && c->entries)
    doorbell_arm(b);
  b->inside = false;
  pthread_mutex_unlock(&b->lock);
  return result;
}

static int next(cuframes_batch *b, call *c, uint32_t *got) {
  if (!b || !c->entries || c->count == 0 || !got)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_next: batch, room for entries and got must be given");
  int result = call_run(b, c);
  if (result != CUFRAMES_OK)
    return result;
  ages_note(b, c);
  *got = c->given;
  return CUFRAMES_OK;
}

int cuframes_batch_next(cuframes_batch *b, uint32_t min, int64_t timeout_ns, cuframes_batch_entry *entries,
                        uint32_t count, uint32_t *got) {
  return next(b,
              &(call){ .min = min,
                       .count = count,
                       .entries = entries,
                       .deadline = cf_deadline(timeout_ns),
                       .how = { .deadline = CF_AT_ONCE } },
              got);
}

int cuframes_batch_next_on(cuframes_batch *b, uint32_t min, int64_t timeout_ns, void *stream,
                           cuframes_batch_entry *entries, uint32_t count, uint32_t *got) {
  return next(b,
              &(call){ .min = min,
                       .count = count,
                       .entries = entries,
                       .deadline = cf_deadline(timeout_ns),
                       .how = { .on_stream = true, .stream = stream, .deadline = CF_AT_ONCE } },
              got);
}

int cuframes_batch_wait(cuframes_batch *b, uint32_t min, int on_stream, int64_t timeout_ns) {
  if (!b)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_batch_wait: no batch given");
  return call_run(b, &(call){ .min = min,
                              .count = UINT32_MAX,
                              .deadline = cf_deadline(timeout_ns),
                              .how = { .on_stream = on_stream != 0, .deadline = CF_AT_ONCE } });
}
