/* recorder.h - from a stream's packets to files: one, or many for days. */
#ifndef CUFRAMES_RECORD_RECORDER_H
#define CUFRAMES_RECORD_RECORDER_H

#include "backlog.h"
#include "common/json.h"
#include "common/reader.h"
#include "control.h"
#include "files.h"
#include "muxer/muxer.h"
#include "muxer/stream_tracks.h"
#include "retention.h"
#include "syncer.h"
#include "wall.h"

typedef struct record_config {
  reader_config reader;
  const char *output, *container;
  int64_t duration_ns, timeout_ns, since_ns; /* 0: not given */
  enum muxer_audio audio;
  muxer_tracks tracks;
  bool overwrite, existed;
  uint64_t old_packets; /* published before we joined */

  /* Many files: the output is a pattern. */
  bool many, utc, control, paused, no_fsync, no_reconnect;
  int64_t segment_ns, keep_ns, post_ns;
  uint64_t segment_bytes, keep_bytes;
} record_config;

/* One file. */
typedef struct piece {
  muxer *muxer;                              /* NULL: there is none */
  part part;                                 /* of many files */
  int64_t start;                             /* the stream's time of its first picture, */
  int64_t wall;                              /* and ns since 1970 */
  int64_t boundary;                          /* ns since 1970 at which the next one begins; INT64_MAX: none */
  uint64_t fed, fed_before_key, largest_gop; /* bytes of packets */
  uint64_t sound_bytes, sound_packets;       /* what is whole in the file, */
  uint64_t sound_fed;                        /* and what had been fed to it by then */
  int keys;
  bool failed;
  bool after_trouble; /* begun when the one before could not be written */
} piece;

typedef struct recorder {
  const record_config *config;
  cuframes_subscriber *subscriber;
  names names;
  stream_tracks tracks;
  json_t *streams;        /* of the last file */
  backlog backlog, later; /* later: of the file after this one */
  wall wall;
  retention retention;
  syncer *syncer;
  control control;
  piece current, old; /* old: sound of its span still comes */
  int claimed;        /* of one file: its descriptor, which holds the lock; -1: none */
  const char *old_reason;
  uint64_t usual_bytes; /* of a file */
  int64_t switched_at;  /* the stream's time at which `current` followed `old` */
  bool switched[CUFRAMES_TRACKS_MAX];

  bool described, seen_track[CUFRAMES_TRACKS_MAX];
  bool tell_tracks;         /* the next file says what it leaves out */
  bool caught_up;           /* what was in the ring has been read: packets are as old as they come */
  bool wanted;              /* files are to be written */
  bool keep_all;            /* the next file follows the one before: all that the backlog has belongs into it */
  bool starved;             /* no file can begin with what comes, and that was said */
  bool setless;             /* for want of parameter sets */
  bool troubled;            /* files cannot be written */
  bool full;                /* because there is no room */
  int64_t catch_up_by;      /* monotonic */
  uint64_t old_packets;     /* seq of the last one of these, if it is known */
  int64_t newest;           /* the stream's time */
  int64_t stop_at, stop_by; /* with --post: the stream's time and monotonic; INT64_MAX: not stopped */
  const char *begin_reason, *split_reason;
  int64_t ended_wall; /* where the last file ended, ns since 1970; 0: nothing to compare with */

  uint64_t usual_group;   /* bytes of a group of pictures, the largest lately */
  int64_t starving_since; /* monotonic: when the first packet came that no file can begin with */
  uint64_t seen_in_file;  /* of `seen`, those before */
  int64_t trouble_since, retry_at, retry_after, synced;
  uint64_t dropped_before;  /* by the backlog, when it began */
  uint64_t trouble_dropped; /* of files that failed */

  uint64_t files, packets, bytes, refused, lost, epochs, dropped, deleted;
  int64_t recorded; /* ns in finished files */
  int64_t heard;    /* monotonic: when the last packet came */
  uint64_t newest_seq;
  uint64_t seen; /* packets that came */
  const char *ended;
  int failed_code;
  char failed_text[4096]; /* of a file, and not said yet */
  char why[4096];         /* what failed last, for the JSON; empty: nothing */
} recorder;

/* Runs to the end. Gives an exit code; the subscriber has joined. */
int recorder_run(const record_config *config, cuframes_subscriber *subscriber);

/* ---- between its files ---- */

/* recorder.c: what a muxer is asked for. */
muxer_options recorder_muxer_options(recorder *r, int64_t limit_ns);

/* pieces.c: one file after the other. */
bool piece_begin(recorder *r, int64_t time, int64_t preroll, const char *reason);
bool piece_switch(recorder *r, int64_t time, const char *reason);
bool piece_write(recorder *r, piece *f, const cuframes_packet *packet, bool start);
/* Bytes of the file if another group of pictures like the largest so far comes into it. */
uint64_t piece_after_group(const piece *f);
void piece_end(recorder *r, piece *f, const char *reason);
void pieces_trouble(recorder *r, const char *file, const char *message);

/* report.c: what is said, as JSON lines and on stderr. */
void report_open(const recorder *r, const piece *f, const char *reason, int64_t preroll);
/* packets, bytes: what is whole in it. */
void report_file(const recorder *r, const piece *f, const char *reason, uint64_t packets, uint64_t bytes);
void report_gap(const recorder *r, int64_t from, int64_t ns);
void report_lost(const recorder *r, uint64_t packets);
void report_error(const recorder *r, const char *file, const char *message);
void report_resumed(const recorder *r, uint64_t dropped, int64_t ns);
void report_answer(const recorder *r, const char *line, bool ok, const char *message);
void report_recovered(void *recorder, const char *file);
void report_deleted(void *recorder, const char *path, uint64_t bytes, const char *why);
void report_not_deleted(void *recorder, const char *path, int error);
void report_live(const recorder *r);
int report_end(const recorder *r);

#endif
