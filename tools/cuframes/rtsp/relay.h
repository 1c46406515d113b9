/* relay.h - a thread between libavformat and a camera, that puts right what passes (session.h).
 *
 * libavformat connects to an address of ours on the loopback, which has 128 random bits in it: whoever else of this
 * machine connects there does not know them, and hears nothing. It never sees the camera's password.
 * Packets by UDP do not come this way; RTSP's requests do.
 * Threads  One thread uses a relay; what happens inside is its own. */
#ifndef CUFRAMES_CLI_RTSP_RELAY_H
#define CUFRAMES_CLI_RTSP_RELAY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rtsp_relay rtsp_relay;

typedef struct rtsp_relay_options {
  const char *address;  /* "rtsp://...", with a login or without */
  uint32_t left_out;    /* a bit for each of its tracks that is not to be asked for */
  bool (*stop)(void *); /* asked ten times a second while it waits; NULL: never */
  void *user;
} rtsp_relay_options;

/* What it found out. */
typedef struct rtsp_relay_report {
  int refused_track, refused_status; /* SETUP of which the camera refused, and how; -1: none */
  char refused_kind[16];             /* "video", "audio" */
  unsigned videos_left;              /* tracks of video beside that, that are not left out */
  char why[204];                     /* why the camera's side ended; "": nothing is known */
} rtsp_relay_report;

/* Connects to the camera and lets libavformat in. NULL if it cannot: *error is an AVERROR (EXIT: it was stopped).
 * Blocks until there is a connection. */
rtsp_relay *rtsp_relay_open(const rtsp_relay_options *options, int *error);
/* What libavformat is to open. */
const char *rtsp_relay_address(const rtsp_relay *r);
/* As it is now. */
rtsp_relay_report rtsp_relay_look(rtsp_relay *r);
/* libavformat has closed its side, and said good-bye to the camera: waits until that is out, half a second at most.
 * NULL: nothing. */
void rtsp_relay_close(rtsp_relay *r);

#endif
