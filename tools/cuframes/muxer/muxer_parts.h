/* muxer_parts.h - what muxer.c (the course of things), muxer_begin.c (how a file begins) and muxer_cut.c (with what is
 * not shown) share. */
#ifndef CUFRAMES_MUXER_PARTS_H
#define CUFRAMES_MUXER_PARTS_H

#include <libavformat/avformat.h>

#include "conversion.h"
#include "muxer.h"
#include "muxer_times.h"

typedef struct track {
  cuframes_codec_params params; /* as last described; media_type 0: not yet */
  AVCodecParameters *described; /* NULL: not in the file */
  AVStream *stream;             /* NULL: not in the file, or there is none yet */
  conversion *conversion;
  bool video, needs_key, done;
  bool outdated;            /* the file cannot go on with what it is now */
  int64_t last_written;     /* in the stream's time base, as the container wants it: rising */
  AVRational time_base;     /* what is asked of the container */
  cuframes_packet **hidden; /* pictures that are not shown, and perhaps are no use to any that is */
  size_t hidden_count, hidden_room;
} track;

struct muxer {
  AVFormatContext *output;
  muxer_options options;
  char *path;
  bool to_stdout, opened, begun, failed, have_video; /* begun: a packet has been timed */
  uint32_t lead;                                     /* index of the stream that others are measured by */
  uint64_t packets, refused, bytes;                  /* bytes: of the finished file */
  cuframes_packet **waiting;                         /* before the file is opened; the first is the lead's */
  size_t waiting_count, waiting_room;
  uint64_t waiting_bytes;
  muxer_times times;
  track tracks[CUFRAMES_TRACKS_MAX];
  int error;       /* AVERROR of what failed */
  bool lacks_sets; /* the last keyframe could not begin the file */
  bool same_epoch; /* the next packet begins none, whatever it says */
  bool cut;        /* the file begins with what it hides */
  bool cut_passed; /* what comes now is not hidden any more */
  bool hidden_said;
  char problem[512];
};

/* False, and the end of all writing, if error is one. */
bool muxer_note_error(muxer *m, int error);

/* To the caller, who shows it. */
void muxer_say(const muxer *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first video leads, or the first track. */
void muxer_choose_lead(muxer *m);

/* The packet's bytes where they are, without times. NULL without memory. */
AVPacket *muxer_av_packet(const cuframes_packet *packet);

/* Of those that wait the first one of a track, at which decoding can start; NULL: none. */
const cuframes_packet *muxer_first_of(const muxer *m, uint32_t index);

/* Makes streams of the tracks, and says which are left out. False: none is left, or an error. */
bool muxer_prepare_tracks(muxer *m);

/* muxer_cut.c, of what waits before the file is opened. */
/* Whether it begins with a picture that is not shown. */
bool muxer_begins_hidden(const muxer *m);
/* Whether it is known what is shown first. */
bool muxer_knows_beginning(const muxer *m);
/* When that is, in the source's time; CUFRAMES_NO_TIME: when the first packet says. */
int64_t muxer_beginning(const muxer *m);
/* This packet is about to be added: if decoding can as well begin there, pictures before it are left out. */
void muxer_begin_later(muxer *m, const cuframes_packet *packet);
/* Whether this file can hide them: it is open for writing, and has no head yet. */
bool muxer_can_hide(const muxer *m);
/* The container's options for that; all that waited was given to the container; the file is whole. */
void muxer_cut_options(AVDictionary **options);
bool muxer_cut_passed(muxer *m);
void muxer_cut_finish(const muxer *m);

/* A packet of video: true, if it is kept until one that is shown needs it. Else those that wait in t->hidden come
 * before it. */
bool muxer_keep_hidden(muxer *m, track *t, const cuframes_packet *packet);
void muxer_forget_hidden(track *t);

/* Creates the file. */
bool muxer_write_head(muxer *m);

#endif
