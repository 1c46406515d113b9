/* latency.c - the histogram of times. Bucket 16 e + s holds values of e + 5 bits whose next four bits are s; the
 * first 16 buckets hold the values 0..15 themselves. */
#include "latency.h"

#include "common/json.h"

static unsigned bucket_of(uint64_t value) {
  if (value < 16)
    return (unsigned)value;
  unsigned exponent = 63u - (unsigned)__builtin_clzll(value);
  return (exponent - 3) * 16 + (unsigned)(value >> (exponent - 4) & 15);
}

/* The smallest value of a bucket. */
static double bucket_start(unsigned bucket) {
  if (bucket < 16)
    return bucket;
  return (double)((uint64_t)(16 + bucket % 16) << (bucket / 16 - 1));
}

void latency_add(latency *histogram, int64_t ns) {
  if (ns < 0)
    ns = 0;
  histogram->bucket[bucket_of((uint64_t)ns)]++;
  histogram->count++;
  if (ns > histogram->max_ns)
    histogram->max_ns = ns;
}

double latency_percentile(const latency *histogram, double share) {
  const double wanted = share * (double)histogram->count;
  uint64_t seen = 0;
  for (unsigned i = 0; histogram->count && i < LATENCY_BUCKETS; i++) {
    seen += histogram->bucket[i];
    if (seen && (double)seen >= wanted) {
      double middle = (bucket_start(i) + bucket_start(i + 1)) / 2;
      return middle < (double)histogram->max_ns ? middle : (double)histogram->max_ns;
    }
  }
  return (double)histogram->max_ns;
}

/* Samples of one octave [from, 2 from), from = 2^exponent. */
static uint64_t octave_count(const latency *histogram, unsigned exponent) {
  uint64_t count = 0;
  for (unsigned i = 0; i < 16; i++)
    count += histogram->bucket[(exponent - 3) * 16 + i];
  return count;
}

/* Everything below 1.024 us is one line: it is not worth more. */
#define FIRST_OCTAVE 10u

static uint64_t row_count(const latency *histogram, unsigned exponent) {
  uint64_t count = 0;
  if (exponent >= FIRST_OCTAVE)
    return octave_count(histogram, exponent);
  for (unsigned i = 0; i < (FIRST_OCTAVE - 3) * 16; i++)
    count += histogram->bucket[i];
  return count;
}

json_t *latency_json(const latency *histogram) {
  json_t *object = json_object(), *rows = json_array();
  json_object_set_new(object, "p50", cli_json_rounded(latency_percentile(histogram, 0.50) / 1e3, 1));
  json_object_set_new(object, "p99", cli_json_rounded(latency_percentile(histogram, 0.99) / 1e3, 1));
  json_object_set_new(object, "max", cli_json_rounded((double)histogram->max_ns / 1e3, 1));
  for (unsigned e = FIRST_OCTAVE - 1; e < 63; e++) {
    uint64_t count = row_count(histogram, e);
    if (!count)
      continue;
    json_t *row = json_array();
    json_array_append_new(row, cli_json_rounded(e < FIRST_OCTAVE ? 0 : (double)(1ull << e) / 1e3, 1));
    json_array_append_new(row, cli_json_rounded((double)(2ull << e) / 1e3, 1));
    json_array_append_new(row, json_integer((json_int_t)count));
    json_array_append_new(rows, row);
  }
  json_object_set_new(object, "histogram", rows);
  return object;
}

void latency_print(const latency *histogram, FILE *out) {
  static const char bar[] = "##################################################";
  const unsigned width = sizeof(bar) - 1;
  uint64_t most = 1;
  for (unsigned e = FIRST_OCTAVE - 1; e < 63; e++)
    most = row_count(histogram, e) > most ? row_count(histogram, e) : most;
  for (unsigned e = FIRST_OCTAVE - 1; e < 63; e++) {
    uint64_t count = row_count(histogram, e);
    if (!count)
      continue;
    int length = (int)(1 + count * (width - 1) / most);
    fprintf(out, "  %11.1f .. %11.1f us %9llu %.*s\n", e < FIRST_OCTAVE ? 0 : (double)(1ull << e) / 1e3,
            (double)(2ull << e) / 1e3, (unsigned long long)count, length, bar);
  }
}
