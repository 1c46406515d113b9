/* pipe_run.h - one reader's pipe: what is asked for, what came of it, and the parts that make it. */
#ifndef CUFRAMES_PIPE_RUN_H
#define CUFRAMES_PIPE_RUN_H

#include "common/json.h"
#include "common/reader.h"
#include "muxer/muxer.h"
#include "sink.h"

struct AVIOContext;

typedef struct pipe_config {
  reader_config reader;
  const char *output, *listen; /* NULL: stdout */
  const char *container;       /* "nut", "matroska", "mpegts", "mp4"; NULL: raw */
  bool packets;
  bool header_on_change;  /* else a change is the end */
  uint32_t pixel_format;  /* 0: as it is */
  uint32_t width, height; /* 0: as it is, or by the other one */
  int64_t interval_ns;    /* at least so much from picture to picture; 0: every picture */
  uint64_t count;         /* 0: no end */
  int64_t duration_ns;    /* of the stream; 0: no end */
  int64_t timeout_ns;     /* 0: not given */
  enum muxer_audio audio;
  muxer_tracks tracks;
} pipe_config;

typedef struct pipe_run {
  const pipe_config *config;
  char who[CUFRAMES_NAME_MAX + 32]; /* for messages: the stream, and which reader */
  sink sink;
  struct AVIOContext *io; /* into the sink */
  cuframes_subscriber *subscriber;
  bool from_start; /* the stream was not there before: all of it is new */
  json_t *tracks;  /* of packets */
  char format[FORMAT_TEXT];
  size_t picture_bytes;
  uint64_t pictures, packets; /* written */
  uint64_t left_out;          /* by --fps */
  uint64_t skipped, lost;     /* not in time for them: pictures, packets */
  uint64_t refused;           /* packets that are damaged */
  uint64_t headers, epochs, evictions, reconnects;
  int64_t written_ns; /* of the stream */
  int64_t first_by;   /* until then the first one may take; 0: as others */
  int64_t heard;      /* monotonic: when something came; 0: not joined yet */
  const char *ended;  /* NULL: it goes on */
  int code;
} pipe_run;

/* Whether the stream is there, if nobody waits for it: a wrong name is said before anybody comes to read. Gives an exit
 * code, after a message. */
int pipe_look_for_stream(const pipe_config *config);

/* From joining to the end, into r->sink. Gives the exit code. */
int pipe_run_all(pipe_run *r);

/* Serves whoever connects to config->listen, until a signal. Gives an exit code. */
int pipe_serve(const pipe_config *config);

/* pipe_pictures.c, pipe_packets.c: until r->ended. */
void pipe_pictures(pipe_run *r);
void pipe_packets(pipe_run *r);

/* ---- for these two ---- */

/* Nothing came in this slice; or the error is the end. Sets r->ended then. */
void pipe_note_error(pipe_run *r, int error);
/* A write failed: the reader has gone, a signal came, or it is an error. */
void pipe_note_write_error(pipe_run *r);
/* It was given up before it was joined: by whom, or with which exit code, after a message. */
void pipe_note_given_up(pipe_run *r, int code);
/* An end after a message of its own. */
void pipe_fail(pipe_run *r, const char *ended);
/* What goes by itself: signals, the count, the duration, a reader that goes while nothing comes. */
void pipe_look_around(pipe_run *r);

/* ---- what is said ---- */

/* The keys of --json. */
json_t *pipe_report(const pipe_run *r);
/* Prints it, as a line on stderr: stdout has the pictures. */
void pipe_print_report(json_t *report);
void pipe_say_end(const pipe_run *r);

#endif
