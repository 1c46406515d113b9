/* look.h - what collect.c found, for samples.c to write. */
#ifndef CUFRAMES_METRICS_LOOK_H
#define CUFRAMES_METRICS_LOOK_H

#include <stdbool.h>

#include <cuframes/cuframes.h>

#include "collect.h"

/* One stream. */
typedef struct sight {
  const char *name;
  int error;
  const char *detail;               /* why, in words; NULL: none */
  const cuframes_stream_info *info; /* NULL: it gave none */
} sight;

typedef struct look {
  const collector *from;
  exposition *out;
  sight *sights;
  size_t count;
  int64_t now, took_ns; /* when it ended, CLOCK_MONOTONIC ns, and how long it took */
  bool directory_ok;
} look;

void look_write(const look *at);

#endif
