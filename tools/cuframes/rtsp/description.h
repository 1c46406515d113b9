/* description.h - what a camera says of its tracks (SDP), read and put in order for libavformat.
 *
 * What is left to libavformat comes in the form in which it reads it right: each track has an address of ours, one
 * format, and a name of that; tracks that are to be left out are not there. */
#ifndef CUFRAMES_CLI_RTSP_DESCRIPTION_H
#define CUFRAMES_CLI_RTSP_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "message.h"

#define RTSP_TRACKS_MAX 16

typedef struct rtsp_track {
  char kind[16];                  /* "video", "audio", "application" */
  char control[RTSP_ADDRESS_MAX]; /* as the camera has it */
  int payload;                    /* the format's number that libavformat is told; -1: none */
  bool left_out;                  /* not told of */
  unsigned way;                   /* of reading `control`, see address.h */
  bool set_up;                    /* the camera has said yes */
  int channel, local;             /* of its RTP, at the camera and at libavformat; RTCP's is the next; -1: none */
  uint32_t source;                /* SSRC of its last packet */
  bool heard;                     /* there was one */
} rtsp_track;

typedef struct rtsp_description {
  rtsp_track tracks[RTSP_TRACKS_MAX];
  unsigned count;
  char control[RTSP_ADDRESS_MAX]; /* of all together; "": none */
} rtsp_description;

/* Reads the camera's text, and adds to `out` what libavformat is given for it. left_out: a bit for each track that is
 * not wanted. local: our address, to which "/trackN" is added. False: it has no tracks, and nothing is added. */
bool rtsp_description_read(rtsp_description *d, const char *text, size_t size, uint32_t left_out, const char *local,
                           rtsp_bytes *out);

#endif
