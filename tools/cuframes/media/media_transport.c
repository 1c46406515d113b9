/* media_transport.c - how RTP comes from a camera: over its TCP connection, or by UDP where it wants that. */
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "common/json.h"
#include "media.h"

static bool is_rtsp(const media *m) {
  return strncmp(m->job->options->input, "rtsp:", 5) == 0 || strncmp(m->job->options->input, "rtsps:", 6) == 0;
}

/* Whether the way is ours to choose. Behind rtsps: UDP would come without its encryption. */
static bool is_ours(const media *m) {
  return m->job->options->rtsp_transport == PUBLISH_RTSP_AUTO && strncmp(m->job->options->input, "rtsp:", 5) == 0;
}

const char *media_transport_name(const media *m) {
  if (!is_rtsp(m))
    return NULL;
  if (m->job->options->rtsp_transport == PUBLISH_RTSP_AUTO)
    return m->transport.udp ? "udp" : "tcp";
  return publish_rtsp_transports[m->job->options->rtsp_transport];
}

/* Whether it was the way of the packets that a camera did not want, by FFmpeg's error or its last line. */
static bool is_about_transport(int error) {
  static const int others[] = { 401, 403, 404, 453, 454, 503 }; /* login, address, sessions: any way is refused so */
  const char *said = strstr(cli_avlog_last(), "method SETUP failed: ");
  if (error == AVERROR(EPROTONOSUPPORT) || error == AVERROR_HTTP_BAD_REQUEST)
    return true; /* 461; 400, of which FFmpeg does not say what was asked */
  const long status = said != NULL ? strtol(said + strlen("method SETUP failed: "), NULL, 10) : 0;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (status == others[i])
      return false;
  return status >= 400;
}

static void change(media *m, const char *why) {
  m->transport.udp = !m->transport.udp;
  m->transport.worked = m->transport.said = false;
  m->transport.silent = 0;
  m->transport.why = why;
}

bool media_transport_refused(media *m, int error) {
  if (!is_ours(m) || publish_job_stopping(m->job) || !is_about_transport(error))
    return false;
  change(m, "the camera refuses the other way");
  return true;
}

void media_transport_ended(media *m) {
  const media_connection *c = &m->connection;
  if (c->packet_at != 0) {
    m->transport.worked = true;
    m->transport.silent = 0;
  } else if (is_ours(m) && c->answered && c->error == AVERROR(ETIMEDOUT)) {
    /* Where it worked before, it may be the camera that stands still. */
    if (++m->transport.silent >= (m->transport.worked ? 2 : 1))
      change(m, "nothing came the other way");
  }
}

void media_transport_works(media *m) {
  if (!is_ours(m) || m->transport.said || m->transport.why == NULL)
    return;
  m->transport.said = true;
  publish_job_note(m->job, "%s comes over %s: %s", m->job->input, m->transport.udp ? "UDP" : "TCP", m->transport.why);
  publish_job_event(m->job, "transport",
                    json_pack("{s:s,s:s}", "transport", media_transport_name(m), "reason", m->transport.why));
}
