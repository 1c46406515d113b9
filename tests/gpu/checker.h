/* checker.h - a subscriber that looks at every word of every frame it gets from a source, by a kernel on its own
 * stream. */
#ifndef CHECKER_H
#define CHECKER_H

#include "source.h"

typedef struct checker_options {
  const char *name;
  uint32_t mode, sync; /* as in cuframes_subscriber_options */
  uint32_t leases;     /* 0: 2. As many frames are held, and the oldest is given back; one with release_on */
  uint32_t depth;
  bool release_on; /* gives back on the stream, else when the CPU saw the kernel's end */
  bool cpu;        /* takes with next() and looks at the last plane on the CPU, too */
  bool side_data;  /* frames must say their number in their side data */
  int slow_ms;     /* holds each frame so long */
  int ordinal;     /* of the GPU */
  const char *device;
} checker_options;

typedef struct checker_report {
  uint64_t frames, last; /* seen, and the number of the last */
  uint64_t torn;         /* frames with a wrong word */
  uint64_t back, twice;  /* numbers lower than, the same as the one before */
  uint64_t gaps;         /* numbers left out */
  uint64_t latency_ns;   /* from publish() to the return of next(), the median of the first CHECKER_TIMES */
  uint64_t skipped, lost;
  uint64_t formats; /* frames that began a new format */
} checker_report;

#define CHECKER_HELD 16
#define CHECKER_TIMES 1024

typedef struct checker {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber;
  checker_options options;
  uint32_t sync; /* granted */
  checker_report report;
  cu_deviceptr wrong; /* a word for each frame */
  struct {
    cuframes_frame *frame;
    cu_event seen;
  } held[CHECKER_HELD];
  uint32_t held_first, held_count;
  uint64_t times[CHECKER_TIMES];
} checker;

/* In a child. The source must have begun. */
void checker_begin(checker *v, const checker_options *options);
/* Takes one frame; the result of next(). */
int checker_look(checker *v, int64_t timeout_ns);
/* Takes frames until it has seen that number. */
void checker_watch(checker *v, uint64_t last);
checker_report checker_end(checker *v);

const char *sync_name(uint32_t sync);
/* Skips the test where this GPU has not that mode. */
void sync_need(uint32_t sync);

/* Nothing torn, no number twice or lower than the one before; of an ordered checker, none left out. Says so of
 * `who`. */
void report_is_good(const checker_report *report, const char *who, bool ordered);

/* A frame is whole: a kernel looks at all of it, and the CPU waits for that. */
bool frame_is_whole(const gpu *g, cu_stream stream, const cuframes_frame *frame, uint64_t number);
uint64_t frame_number(const cuframes_frame *frame);

#endif
