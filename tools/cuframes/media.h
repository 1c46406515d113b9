/* media.h - one opened input and what becomes of its packets and pictures; shared by source_media.c (the course of
 * things), media_input.c (opening, reading, time-outs), media_packet.c and media_frame.c. */
#ifndef CUFRAMES_CLI_MEDIA_H
#define CUFRAMES_CLI_MEDIA_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "publish_job.h"
#include "timeline.h"

/* An elementary stream as it was last described to the publisher, so that only changes are said. */
struct media_elementary {
  cuframes_codec_params params;
  uint8_t *extradata;
  size_t extradata_size;
  bool described;
};

struct media {
  struct publish_job *job;

  /* media_input.c */
  AVFormatContext *in; /* NULL: not open */
  AVCodecContext *decoder;
  AVPacket *packet;
  int video;             /* index of the stream that is decoded */
  bool live;             /* a network address: paced by its source, has time-outs, is reconnected */
  bool timed_out;        /* why the last call of FFmpeg was interrupted */
  int64_t call_deadline; /* of the present call; 0: none */
  char reason[512];      /* why the last call here failed, for a message */

  /* media_packet.c; the number of an elementary stream is its place among the audio and video streams */
  struct media_elementary elementary[CUFRAMES_ELEMENTARY_MAX];
  uint32_t elementary_count;
  int elementary_of[64]; /* by the input's stream index; -1: not published */
  unsigned mapped;       /* entries of elementary_of that are valid */
  struct timeline timeline;
  struct publish_limiter oversized_limiter;
  bool damaged; /* the demuxer said so of a packet */

  /* media_frame.c */
  AVFrame *frame;
  struct SwsContext *scaler;
  cuframes_format scaler_for; /* the target and the source it was made for */
  int scaler_source, scaler_matrix, scaler_range;
  cuframes_format format; /* the publisher's at present */
  int64_t next_pts;       /* where a picture without a time goes (as published) */
  int64_t frame_duration; /* nominal; 0: unknown */
  struct publish_pace pace;
};

/* media_input.c. Results are 0 or an AVERROR, with m->reason set. */
int media_open(struct media *m);
void media_close(struct media *m);
/* Reads into m->packet. AVERROR_EOF at the end, AVERROR(EAGAIN): nothing yet. */
int media_read(struct media *m);
/* Goes back to the start, decoder included. */
int media_rewind(struct media *m);
bool media_is_network(const char *input);
/* Whether trying again cannot help: the address or the options are wrong, not the camera. */
bool media_is_permanent(int error);
/* Whether less came out of a file than it promised; then m->reason says so. */
bool media_ended_early(struct media *m);

/* media_packet.c */
/* Describes all audio and video streams that are there by now to the publisher, if it exists. */
void media_describe(struct media *m);
/* m->packet, with its times, to the publisher. */
void media_publish_packet(struct media *m);
void media_packet_free(struct media *m);

/* media_frame.c. Give exit codes, after a message. */
/* Creates the publisher from what the container says, if it says enough. */
int media_publish_early(struct media *m);
/* Sends a packet (NULL: drain) to the decoder and publishes what comes out. */
int media_decode(struct media *m, const AVPacket *packet);
void media_frame_free(struct media *m);

#endif
