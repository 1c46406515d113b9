/* media_relay.c - RTSP through a relay that puts right what libavformat does not take from cameras (rtsp/relay.h).
 *
 * Not rtsps:, whose encryption is libavformat's, nor its tunnel through HTTP: these go straight. */
#include <string.h>

#include "media.h"

static bool is_for_relay(const media *m) {
  const char *way = media_transport_name(m), *options = m->job->options->input_options;
  if (options != NULL && strstr(options, "listen") != NULL)
    return false; /* it is the camera that connects */
  return m->path == NULL && strncmp(m->job->options->input, "rtsp://", 7) == 0 && way != NULL &&
         strcmp(way, "http") != 0 && strcmp(way, "https") != 0;
}

int media_relay_begin(media *m, bool (*stop)(void *)) {
  int error = 0;
  media_relay_end(m);
  if (!is_for_relay(m))
    return 0;
  m->relay = rtsp_relay_open(
      &(rtsp_relay_options){
          .address = m->job->options->address, .left_out = m->setup.left_out, .stop = stop, .user = m },
      &error);
  return error;
}

const char *media_relay_address(const media *m) {
  return m->relay != NULL ? rtsp_relay_address(m->relay) : m->job->options->address;
}

void media_relay_look(media *m) {
  if (m->relay != NULL)
    m->relay_report = rtsp_relay_look(m->relay);
}

void media_relay_end(media *m) {
  media_relay_look(m);
  rtsp_relay_close(m->relay);
  m->relay = NULL;
}
