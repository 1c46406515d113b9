/* publish_job.h - one stream being published: its publisher, its counts, its pace, what it says.
 *
 * Threads  A job has one worker, which runs its source and makes all frame and packet calls, but for the slots that
 *          threads of its decoder borrow. The main thread reads the counts and, when a worker hangs in a library call
 *          at the end, takes its publisher away; all under job->lock. */
#ifndef CUFRAMES_CLI_PUBLISH_JOB_H
#define CUFRAMES_CLI_PUBLISH_JOB_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

#include "publish_gpu.h"
#include "publish_options.h"
#include "publish_state.h"

#define PUBLISH_SECOND INT64_C(1000000000)

/* What all jobs share. */
typedef struct publish_run {
  const publish_request *request;
  pthread_mutex_t lock;
  pthread_cond_t changed; /* on CLOCK_MONOTONIC; `stopping`, here or of a job, became true */
  bool stopping;
  size_t streams;   /* that are configured now; guarded by `lock` */
  int64_t deadline; /* of --duration; 0: none */
  int ended_fd;     /* eventfd, counts ended jobs */
  publish_gpus gpus;
} publish_run;

/* What the library does not count itself. */
typedef struct publish_counts {
  uint64_t decode_errors, read_errors;
  uint64_t corrupt;   /* pictures the decoder called damaged */
  uint64_t oversized; /* packets larger than the ring takes */
  uint64_t reconnects, loops;
  uint64_t jumps;    /* of the source's times, that were taken out */
  uint64_t decoders; /* that were opened */
  uint64_t in_place; /* pictures that were decoded into their slots */
  uint64_t late;     /* how often the pace was lost by more than half a second */
} publish_counts;

/* Says at most one line per period, and how many it swallowed. */
typedef struct publish_limiter {
  int64_t next;
  uint64_t swallowed;
} publish_limiter;

typedef struct publish_job {
  const publish_options *options;
  publish_run *run;
  bool stopping; /* this one alone; guarded by run->lock */
  pthread_t thread;
  char input[512]; /* as shown: without secrets */
  /* The worker's: the GPU that its slots are on. NULL: none, or it is no use. */
  publish_gpu *gpu;
  char gpu_why[256];      /* why none */
  bool has_format;        /* its pictures are known, and it was said what is published */
  bool has_sound;         /* it was said that there is sound and no video */
  bool has_gathered;      /* whom --wait-for waits for */
  uint32_t decoder_slots; /* open frames that the decoder may have beside the worker's; until there is a format */

  pthread_mutex_t lock;           /* guards what follows */
  cuframes_publisher *publisher;  /* from before the input is opened; NULL after the end */
  cuframes_publisher_stats stats; /* the last ones, once the publisher is gone */
  publish_counts counts;
  int64_t began;                   /* when the worker did */
  int64_t first_frame, last_frame; /* when published, or packets of sound where there are no pictures; 0: none yet */
  int64_t longest_gap;             /* between two of them, ns */
  bool in_library;                 /* the worker is in a call of FFmpeg that might never end */
  uint32_t borrowers;              /* threads of a decoder that are in a call of the publisher */
  bool abandoned;                  /* the main thread took the publisher away; the worker must only end */
  bool ended;
  int exit_code;
  publish_state state;

  publish_limiter decode_limiter, late_limiter; /* the worker's */
  publish_limiter stall_limiter;                /* the main thread's; and this, for the rate it shows: */
  uint64_t status_frames;
} publish_job;

/* Zeros counts and makes the locks. False: out of resources. */
bool publish_job_init(publish_job *job, const publish_options *options, publish_run *run);
void publish_job_free(publish_job *job);
/* The thread's function: runs the source, then ends the stream and says how it went. */
void *publish_job_thread(void *job);

bool publish_job_stopping(publish_job *job);
/* Waits until `when` (CLOCK_MONOTONIC ns). False, at once, when the job is to stop. */
bool publish_job_wait(publish_job *job, int64_t when);
void publish_job_stop(publish_job *job);
void publish_run_stop(publish_run *run);
bool publish_run_stopping(publish_run *run);
/* How many streams share the machine with this one, itself included: 1 at least. */
size_t publish_run_streams(publish_run *run);

/* Around calls that may block for ever. enter(false) ends the thread if the job was abandoned meanwhile. */
void publish_job_library(publish_job *job, bool enter);

/* So many open frames a decoder may have at most. */
#define PUBLISH_DECODER_SLOTS 64

/* Takes the name, for a stream that has no pictures yet. Gives an exit code, after a message. */
int publish_job_claim(publish_job *job);
/* The first format: says what is published. Gives an exit code, after a message. */
int publish_job_begin(publish_job *job, const cuframes_format *format);
/* The first connection that has sound and no video: says what is published. */
void publish_job_begin_sound(publish_job *job, const char *what);
/* --wait-for, before the first frame and packet: they are for them all. Once. Gives an exit code, after a message. */
int publish_job_gather(publish_job *job);
/* A new format from the next frame on. Gives an exit code, after a message. */
int publish_job_format(publish_job *job, const cuframes_format *format);
/* Opens a slot; *frame is NULL if there is none, and the picture is dropped. Gives an exit code, after a message. */
int publish_job_acquire(publish_job *job, cuframes_frame **frame);
/* Opens a slot for a decoder, with a reference of its own, so that its memory stays whatever happens. NULL: there is
 * none now. From any thread. */
cuframes_frame *publish_job_lend(publish_job *job);
/* Ends that reference, and what was never published if it is still `open`. From any thread. */
void publish_job_take_back(publish_job *job, cuframes_frame *frame, bool open);
/* A packet was published that stands for pictures, where there are none: the input lives. */
void publish_job_came(publish_job *job, int64_t pts, int64_t duration);
/* Publishes it; a drop by policy is no failure. Gives an exit code, after a message. */
int publish_job_publish(publish_job *job, cuframes_frame *frame, const cuframes_publish_info *info);

/* Whether its slots are, or will be, on a GPU. */
bool publish_job_on_gpu(const publish_job *job);

/* The stats as they are now or were at the end, and the counts. */
void publish_job_stats(publish_job *job, cuframes_publisher_stats *stats, publish_counts *counts);
/* Adds to one of job->counts. */
void publish_job_count(publish_job *job, uint64_t *counter);

/* Holds a source to its own clock: waits until the moment of `pts` has come. After a delay or a jump of the times
 * it starts anew instead of hurrying or waiting for ages. False when the job is to stop. */
typedef struct publish_pace {
  int64_t base;
  bool running;
  bool steady; /* its times never jump: any wait is meant */
} publish_pace;
bool publish_job_pace(publish_job *job, publish_pace *pace, int64_t pts);

/* Messages with the stream's name in front: notes are silenced by --quiet, warnings are not; fail() is the reason
 * of the end, and gives CLI_FAILED. */
void publish_job_note(publish_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
void publish_job_warn(publish_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
int publish_job_fail(publish_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True if it is time to say something again; *swallowed: how often it was not since the last time. */
bool publish_limiter_may(publish_limiter *limiter, uint64_t *swallowed);

/* With --json: one line on stdout, {"event": EVENT, "stream": NAME, and what `more` holds}. Takes `more` (or NULL).
 * When stdout takes nothing more (its reader has gone, the disk is full), the run ends. */
void publish_job_event(publish_job *job, const char *event, json_t *more);

/* The summary, as a note and as an event. */
void publish_job_summary(publish_job *job);

#endif
