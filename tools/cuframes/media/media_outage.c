/* media_outage.c - a live input that is away: what is said of it, how long to wait before the next try, and its end. */
#include <string.h>

#include "common/cli.h"
#include "common/json.h"
#include "media.h"

#define DELAY_FIRST (PUBLISH_SECOND / 2)
#define DELAY_MAX (10 * PUBLISH_SECOND)
#define SAY_AGAIN (600 * PUBLISH_SECOND) /* of an outage that goes on for the same reason */
#define SHORT_LIFE (10 * PUBLISH_SECOND)
#define SHORT_LIVES_SAID 3 /* in a row; of more a line comes every SAY_AGAIN */
#define LOGIN_FIRST (60 * PUBLISH_SECOND)
#define LOGIN_TIMES 15
#define PICTURES_FEW 3
#define PATIENCE_MAX 8 /* times the time-out */

/* This wait, and twice as long the next time. */
static int64_t take_delay(int64_t *delay, int64_t first, int64_t most) {
  const int64_t now = *delay != 0 ? *delay : first;
  *delay = now * 2 < most ? now * 2 : most;
  return now;
}

/* Nobody is let in by asking again and again, and cameras lock accounts. */
static int64_t login_delay(media *m) {
  media_outage *o = &m->outage;
  const int64_t given = m->job->options->login_retry_ns, first = given != 0 ? given : LOGIN_FIRST;
  /* One that let us in before may be starting anew, and not know its users yet. */
  if (o->login_delay == 0 && o->packet_at != 0) {
    o->login_delay = first;
    return first < DELAY_MAX ? first : DELAY_MAX;
  }
  return take_delay(&o->login_delay, first, first < INT64_MAX / LOGIN_TIMES ? LOGIN_TIMES * first : first);
}

/* Whether a reason is worth a line: it was not said in this outage yet, or long ago. */
static bool is_news(media_outage *o, const char *reason) {
  const unsigned room = sizeof o->said / sizeof *o->said;
  bool known = false;
  for (unsigned i = 0; i < o->said_count && !known; i++)
    known = strncmp(o->said[i], reason, sizeof o->said[i] - 1) == 0;
  if (!known && o->said_count < room)
    snprintf(o->said[o->said_count++], sizeof o->said[0], "%.*s", (int)sizeof o->said[0] - 1, reason);
  else if (cuframes_now() - o->said_at < SAY_AGAIN)
    return false;
  o->said_at = cuframes_now();
  return true;
}

static void say(media *m, int64_t wait, bool refused) {
  const media_outage *o = &m->outage;
  const char *remedy = media_remedy(m, m->connection.error);
  char tries[64] = "";
  if (o->short_lives == SHORT_LIVES_SAID)
    snprintf(tries, sizeof tries, ", again and again: no more of that for 10 minutes");
  else if (o->tries > 1)
    snprintf(tries, sizeof tries, "; %llu tries in %.0f s", (unsigned long long)o->tries,
             (double)(cuframes_now() - o->since) / 1e9);
  publish_job_warn(m->job, "%s: %s%s%s%s%s; trying again in %.1f s%s", m->job->input, m->reason,
                   remedy != NULL ? " (" : "", remedy != NULL ? remedy : "", remedy != NULL ? ")" : "", tries,
                   (double)wait / 1e9, refused ? ", and seldom: each try may count towards locking the account" : "");
}

/* A source that gives a picture now and then, and sound all the time, is not to be opened anew for each picture. */
static void be_patient(media *m) {
  const media_connection *c = &m->connection;
  const int64_t patience = media_picture_timeout(m), most = PATIENCE_MAX * media_timeout(m);
  if (c->stalled || c->packet_at == 0 || c->pictures >= PICTURES_FEW || c->pictureless < patience)
    return;
  m->outage.patience = patience * 2 < most ? patience * 2 : most;
}

static void begin(media *m) {
  media_outage *o = &m->outage;
  const media_connection *c = &m->connection;
  o->since = c->picture_at != 0 ? c->picture_at : cuframes_now();
  o->tries = 0;
  o->heard = false;
  if (m->live && c->picture_at != 0 && cuframes_now() - c->began < SHORT_LIFE) {
    /* It comes and goes: each time it is given a little longer. */
    o->short_lives++;
    for (unsigned i = 1; i < o->short_lives; i++)
      (void)take_delay(&o->delay, DELAY_FIRST, DELAY_MAX);
  } else {
    o->short_lives = 0;
  }
  if (o->short_lives <= SHORT_LIVES_SAID)
    o->said_count = 0;
}

int64_t media_outage_trouble(media *m) {
  media_outage *o = &m->outage;
  const media_connection *c = &m->connection;
  o->stills = false;
  if (c->error == AVERROR(ETIMEDOUT))
    be_patient(m);
  if (c->packet_at != 0)
    o->packet_at = c->packet_at;
  if (o->since == 0)
    begin(m);
  o->tries++;
  media_transport_ended(m);
  const bool refused = media_is_refusal(c->error) && c->packet_at == 0;
  const int64_t wait = refused ? login_delay(m) : take_delay(&o->delay, DELAY_FIRST, DELAY_MAX);
  publish_state_away(m->job, m->reason, cuframes_now() + wait, refused);
  if (is_news(o, m->reason)) {
    o->heard = true;
    say(m, wait, refused);
  }
  json_t *more = json_pack("{s:o,s:f}", "reason", cli_json_text(m->reason), "retry_seconds", (double)wait / 1e9);
  const char *remedy = media_remedy(m, c->error);
  if (more != NULL && remedy != NULL)
    json_object_set_new(more, "remedy", cli_json_text(remedy));
  publish_job_event(m->job, refused ? "refused" : "disconnected", more);
  return wait;
}

void media_outage_over(media *m) {
  media_outage *o = &m->outage;
  const double seconds = (double)(cuframes_now() - o->since) / 1e9;
  o->since = o->delay = o->login_delay = 0;
  if (o->packet_at == 0)
    return; /* it was away from the start, and `start` says that it is there */
  publish_job_count(m->job, &m->job->counts.reconnects);
  if (o->heard)
    publish_job_note(m->job, "%s is back after %.1f s", m->job->input, seconds);
  publish_job_event(m->job, "reconnected", NULL);
}
