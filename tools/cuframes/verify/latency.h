/* latency.h - a histogram of times: 16 buckets per octave, so that a percentile is right within 6 %. */
#ifndef CUFRAMES_LATENCY_H
#define CUFRAMES_LATENCY_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#define LATENCY_BUCKETS (61u * 16u)

typedef struct latency {
  uint64_t bucket[LATENCY_BUCKETS];
  uint64_t count;
  int64_t max_ns;
} latency;

void latency_add(latency *histogram, int64_t ns);

/* The time that `share` (0..1) of all samples do not exceed, ns; 0 without samples. */
double latency_percentile(const latency *histogram, double share);

/* An object p50, p99, max in microseconds and histogram, an array of [from, to, count]. */
json_t *latency_json(const latency *histogram);

/* One line per octave that has samples, with a bar. */
void latency_print(const latency *histogram, FILE *out);

#endif
