/* collect.h - one look at all streams, as Prometheus is to read it.
 *
 * Threads  One at a time on one collector. */
#ifndef CUFRAMES_METRICS_COLLECT_H
#define CUFRAMES_METRICS_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exposition.h"

/* How often a stream gave no numbers for that reason. */
typedef struct collect_error {
  char *stream;
  const char *word; /* for the reason: codes share them, and a series has one */
  uint64_t count;
  bool lasts; /* it was so at the last look */
} collect_error;

typedef struct collector {
  const char *directory; /* NULL: the default one */
  char **names;          /* only these; none: all */
  size_t name_count;
  int64_t timeout_ns; /* for all streams together, which are asked at the same time */
  int64_t started;    /* CLOCK_MONOTONIC ns */
  collect_error *errors;
  size_t error_count;
  bool directory_failed; /* at the last look */
} collector;

/* Asks, and puts all of it at the end of `out`. What cannot be found out is in it, too, and is said by cli_note() when
 * it begins and ends. Blocks: timeout_ns at most. False: out of memory. */
bool collect(collector *from, exposition *out);
void collector_free(collector *from);

#endif
