/* exposition.h - Prometheus' text format: families, labels and values put into one growing text.
 *
 * Threads  One at a time on one text. */
#ifndef CUFRAMES_METRICS_EXPOSITION_H
#define CUFRAMES_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What such a text is, over HTTP. */
#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Starts as all zeros, ends with exposition_free(). */
typedef struct exposition {
  char *text;
  size_t length, room;
  bool failed; /* memory ran out: what is there is not whole */
} exposition;

/* One label; its value may be any UTF-8. */
typedef struct exposition_label {
  const char *name, *value;
} exposition_label;
#define EXPOSITION_LABELS_MAX 8

void exposition_free(exposition *out);

/* HELP and TYPE of the family whose samples follow. */
void exposition_family(exposition *out, const char *name, const char *type, const char *help);
/* One sample; `suffix` ("", "_bucket", "_sum", "_count") goes behind the family's name. */
void exposition_count(exposition *out, const char *name, const char *suffix, const exposition_label *labels,
                      size_t label_count, uint64_t value);
void exposition_number(exposition *out, const char *name, const char *suffix, const exposition_label *labels,
                       size_t label_count, double value);

/* Nanoseconds as seconds, with all digits and none that mean nothing; EXPOSITION_SECONDS bytes are enough. */
#define EXPOSITION_SECONDS 32
void exposition_seconds(char *text, size_t size, uint64_t ns);

#endif
