/* publish_state.c - see publish_state.h. */
#include "publish_state.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/json.h"
#include "common/secrets.h"
#include "publish_job.h"

/* The main thread is to look anew. */
static void wake_main(publish_job *job) {
  (void)eventfd_write(job->run->ended_fd, 1); /* only fails if it is full, and then it is readable already */
}

static void tell(publish_job *job) {
  if (job->publisher != NULL)
    (void)cuframes_publisher_set_source(job->publisher, &job->state.source); /* what is told here is sound */
}

/* With job->lock held. since: 0 is now, unless the state is so already. */
static void change(publish_job *job, uint32_t state, int64_t since, const char *reason, int64_t next_attempt) {
  cuframes_source_info *source = &job->state.source;
  const bool goes_on = source->state == state;
  source->struct_size = sizeof *source;
  source->since = since != 0 ? since : goes_on ? source->since : cuframes_now();
  source->state = state;
  source->next_attempt = next_attempt;
  secrets_hide(source->reason, sizeof source->reason, reason); /* it goes to whoever asks */
  tell(job);
  wake_main(job); /* it tells a service manager */
}

void publish_state_begin(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  change(job, CUFRAMES_SOURCE_CONNECTING, job->began, "", 0);
  pthread_mutex_unlock(&job->lock);
}

void publish_state_connected(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  flow_begin(&job->state.flow, cuframes_now());
  job->state.connected = true;
  job->state.leaving = false;
  pthread_mutex_unlock(&job->lock);
  wake_main(job);
}

void publish_state_leaving(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  job->state.leaving = true;
  pthread_mutex_unlock(&job->lock);
}

void publish_state_pause(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  job->state.connected = false;
  pthread_mutex_unlock(&job->lock);
}

void publish_state_away(publish_job *job, const char *reason, int64_t next_attempt, bool refused) {
  pthread_mutex_lock(&job->lock);
  job->state.connected = false;
  if (refused)
    change(job, CUFRAMES_SOURCE_REFUSED, 0, reason, next_attempt);
  else if (job->state.was_live)
    change(job, CUFRAMES_SOURCE_RECONNECTING, 0, reason, next_attempt);
  else
    change(job, CUFRAMES_SOURCE_CONNECTING, job->began, reason, next_attempt);
  pthread_mutex_unlock(&job->lock);
}

void publish_state_in_publisher(publish_job *job, bool is_in) {
  pthread_mutex_lock(&job->lock);
  job->state.in_publisher = is_in;
  pthread_mutex_unlock(&job->lock);
}

bool publish_state_picture(publish_job *job, int64_t now, int64_t pts, int64_t duration) {
  publish_state *s = &job->state;
  flow_picture(&s->flow, now, pts, duration);
  s->in_publisher = false;
  if (s->source.state == CUFRAMES_SOURCE_LIVE || s->saying || s->leaving) /* with the next picture then */
    return false;
  s->connected = s->saying = s->was_live = true;
  change(job, CUFRAMES_SOURCE_LIVE, now, "", 0);
  return true;
}

static void said(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  job->state.saying = false;
  pthread_mutex_unlock(&job->lock);
}

/* Without pictures; both are set by the worker, with job->lock held. */
static bool is_sound(const publish_job *job) {
  return job->has_sound && !job->has_format;
}

void publish_state_say_live(publish_job *job, int64_t now, int64_t before) {
  const double seconds = (double)(now - before) / 1e9;
  pthread_mutex_lock(&job->lock);
  const bool aloud = job->state.stall_said;
  job->state.stall_said = false;
  pthread_mutex_unlock(&job->lock);
  if (aloud)
    publish_job_note(job, "%s again, after %.1f s", is_sound(job) ? "sound comes" : "pictures come", seconds);
  publish_job_event(job, "live", json_pack("{s:o}", "seconds", before ? cli_json_rounded(seconds, 3) : json_null()));
  said(job);
  wake_main(job);
}

/* With job->lock held: what there is to wait for. */
static const char *missing(const publish_job *job) {
  return is_sound(job) ? "sound" : "picture";
}

static void say_stalled(publish_job *job, int64_t now, int64_t last, bool aloud, const char *what) {
  const double seconds = (double)(now - last) / 1e9;
  if (aloud && last != 0)
    publish_job_warn(job, "no %s for %.1f s", what, seconds);
  else if (aloud)
    publish_job_warn(job, "connected, and no %s yet", what);
  publish_job_event(job, "stalled", json_pack("{s:o}", "seconds", last ? cli_json_rounded(seconds, 3) : json_null()));
}

/* With job->lock held: whether nothing has come by then. A deadline that is seen long after it is looked at once more:
 * if this process stood still meanwhile (SIGSTOP, a debugger), pictures may lie ready. */
static bool is_over(publish_state *s, int64_t due, int64_t now) {
  if (now < due)
    return false;
  const bool sure = now - due < FLOW_LATE_NS / 2 || s->seen_late == due;
  s->seen_late = due;
  return sure;
}

int64_t publish_state_look(publish_job *job) {
  uint64_t swallowed;
  int64_t again = INT64_MAX;
  const int64_t now = cuframes_now();
  pthread_mutex_lock(&job->lock);
  publish_state *s = &job->state;
  const int64_t last = job->last_frame, due = flow_deadline(&s->flow);
  const bool may_stall =
      s->connected && !s->saying && s->source.state != CUFRAMES_SOURCE_STALLED && !job->ended && !job->abandoned;
  const bool stalls = may_stall && !s->in_publisher && is_over(s, due, now);
  if (stalls) {
    char reason[64] = "";
    if (!s->flow.has_picture)
      snprintf(reason, sizeof reason, "connected%s, and no %s yet", last != 0 ? " again" : "", missing(job));
    change(job, CUFRAMES_SOURCE_STALLED, last != 0 ? last : s->flow.came, reason, 0);
    s->saying = true;
    s->stall_said = publish_limiter_may(&job->stall_limiter, &swallowed);
  } else if (may_stall) {
    again = due > now ? due : now + FLOW_LATE_NS;
  }
  const bool aloud = s->stall_said;
  const char *what = missing(job);
  pthread_mutex_unlock(&job->lock);
  if (stalls) {
    say_stalled(job, now, last, aloud, what);
    said(job);
  }
  return again;
}
