/* media_setup.c - RTSP cameras that cannot set up all of the tracks that they announce: sound that is switched off, a
 * way back for speech that is taken. FFmpeg then opens nothing at all; so less is asked for, first no sound, then video
 * alone. Each connection begins by asking for everything. */
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "media.h"

static const char *const types[] = { NULL, "video+data", "video" };
static const char *const words[] = { "all", "all but sound", "video" };

const char *media_setup_types(const media *m) {
  return types[m->setup.less];
}

/* Whether a track was refused, and not the camera's service as such, by FFmpeg's last line. */
static bool is_about_track(void) {
  static const int statuses[] = { 404, 406, 415, 451, 455, 457, 459, 500, 501 };
  static const char start[] = "method SETUP failed: ";
  const char *said = strstr(cli_avlog_last(), start);
  const long status = said != NULL ? strtol(said + sizeof start - 1, NULL, 10) : 0;
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    if (status == statuses[i])
      return true;
  return false;
}

void media_setup_begin(media *m) {
  m->setup.less = 0;
}

bool media_setup_refused(media *m) {
  media_setup *s = &m->setup;
  if (m->setup.hopeless || publish_job_stopping(m->job) || !is_about_track())
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
}
