/* media_setup.c - RTSP cameras that cannot set up all of the tracks that they announce: sound that is switched off, a
 * way back for speech that is taken, a second picture. FFmpeg then opens nothing at all; so less is asked for: all but
 * that track, or, where it is not known which one it was, first no sound, then video alone. Each connection begins by
 * asking for everything. */
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "media.h"

static const char *const types[] = { NULL, "video+data", "video" };
static const char *const words[] = { "all", "all but sound", "video" };

const char *media_setup_types(const media *m) {
  return types[m->setup.less];
}

/* Whether a track was refused, and not the camera's service as such. */
static bool is_about_track(long status) {
  static const int statuses[] = { 404, 406, 415, 451, 455, 457, 459, 500, 501 };
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    if (status == statuses[i])
      return true;
  return false;
}

/* By FFmpeg's last line. */
static long status_said(void) {
  static const char start[] = "method SETUP failed: ";
  const char *said = strstr(cli_avlog_last(), start);
  return said != NULL ? strtol(said + sizeof start - 1, NULL, 10) : 0;
}

void media_setup_begin(media *m) {
  m->setup.less = 0;
  m->setup.left_out = 0;
  m->setup.kinds[0] = '\0';
}

/* The relay knows which track it was. A camera that refuses the first one's way of packets refuses that way. */
static bool leave_track_out(media *m) {
  media_setup *s = &m->setup;
  const rtsp_relay_report *r = &m->relay_report;
  const bool way = r->refused_status == 461 && r->refused_track > 0;
  if (!way && !is_about_track(r->refused_status))
    return false;
  if (s->left_out == 0)
    snprintf(s->reason, sizeof s->reason, "%s", cli_avlog_last());
  s->left_out |= UINT32_C(1) << r->refused_track;
  const size_t length = strlen(s->kinds);
  snprintf(s->kinds + length, sizeof s->kinds - length, "%s%s (track %d)", length > 0 ? ", " : "", r->refused_kind,
           r->refused_track);
  if (r->videos_left > 0)
    return true;
  s->hopeless = true;
  s->left_out = 0;
  return false;
}

bool media_setup_refused(media *m) {
  media_setup *s = &m->setup;
  if (m->setup.hopeless || publish_job_stopping(m->job))
    return false;
  if (m->relay != NULL)
    return m->relay_report.refused_track >= 0 && leave_track_out(m);
  if (!is_about_track(status_said()))
    return false;
  if (s->less == 0)
    snprintf(s->reason, sizeof s->reason, "%s", cli_avlog_last());
  if (s->less + 1u < sizeof types / sizeof *types) {
    s->less++;
    return true;
  }
  s->less = 0;
  s->hopeless = true; /* it is the video's track: asking for less only asks more often */
  return false;
}

void media_setup_works(media *m) {
  media_setup *s = &m->setup;
  s->hopeless = false;
  if (s->less == 0)
    s->said = 0;
  else if (s->said != s->less)
    publish_job_warn(m->job, "%s: %s: only %s is asked for", m->job->input, s->reason, words[s->less]);
  s->said = s->less;
  if (s->left_out != 0 && s->said_out != s->left_out)
    publish_job_warn(m->job, "%s: %s: left out: %s", m->job->input, s->reason, s->kinds);
  s->said_out = s->left_out;
}
