/* host/loops.h - the innermost loops of the host's side, each over one row. There is a set of them for each kind of
 * CPU, compiled from the same text (loops.inc) with other options; all give the same within the rounding of float32.
 */
#ifndef CF_VISION_HOST_LOOPS_H
#define CF_VISION_HOST_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* Samples of a row: unsigned, of `bytes` 1 or 2, `step` samples (not bytes) apart, 1 to 4. */
typedef struct cf_host_row {
  const void *at;
  uint32_t bytes, step;
} cf_host_row;

/* The windows of output pixels on a line: pixel i sees samples at[i] .. at[i] + count[i] - 1, the first with weight
 * first[i], the last with last[i], those between with 1. */
typedef struct cf_host_windows {
  const int32_t *at, *count;
  const float *first, *last;
} cf_host_windows;

/* Windows of so many samples at most have a weight for each sample. */
#define CF_HOST_TAPS_MAX 8
/* Windows that are all alike may be so many samples apart. */
#define CF_HOST_STEP_MAX 4

/* How values become elements. `in` are rows of component means, those that are not needed NULL; `out` rows of values.
 * */
typedef struct cf_host_colour {
  const float (*matrix)[4];
  const float *multiply, *add;
  uint32_t components, values;
} cf_host_colour;

typedef struct cf_host_loops {
  const char *name;
  /* Along y: rows to a line of float. */
  void (*convert)(cf_host_row row, float *line, size_t n);
  void (*blend)(cf_host_row a, cf_host_row b, float weight_a, float weight_b, float *line, size_t n);
  void (*sum)(cf_host_row row, uint32_t *sums, size_t n);
  /* (a * weight_a + sums + b * weight_b) * scale */
  void (*mean)(cf_host_row a, cf_host_row b, const uint32_t *sums, float weight_a, float weight_b, float scale,
               float *line, size_t n);
  /* Along x: a line to output pixels. */
  void (*pick)(const float *line, const int32_t *at, float *out, size_t n);
  void (*between)(const float *line, const int32_t *at, const float *fraction, float *out, size_t n);
  /* samples step * i + k, each times weights[k], for k below taps, 1..CF_HOST_TAPS_MAX; step 1..CF_HOST_STEP_MAX */
  void (*steps)(const float *line, uint32_t step, const float *weights, uint32_t taps, float *out, size_t n);
  /* samples at[i] + k, each times weights[k * apart + i], for k below taps, 2..CF_HOST_TAPS_MAX */
  void (*taps)(const float *line, const int32_t *at, const float *weights, size_t apart, uint32_t taps, float *out,
               size_t n);
  void (*windows)(const float *line, cf_host_windows windows, float scale, float *out, size_t n);
  /* min(max(matrix . in, 0), 255) * multiply + add */
  void (*colour)(const cf_host_colour *colour, const float *const in[3], float *const out[3], size_t n);
  /* Rows of 1 or 3 channels to elements: side by side (NHWC) or of one channel (channels 1). */
  void (*to_uint8)(const float *const in[3], uint32_t channels, uint8_t *out, size_t n);
  void (*to_float16)(const float *const in[3], uint32_t channels, uint16_t *out, size_t n);
  void (*to_float32)(const float *const in[3], uint32_t channels, float *out, size_t n);
} cf_host_loops;

/* The best ones for this CPU. */
const cf_host_loops *cf_host_loops_best(void);
/* Those that this CPU can run, number 0, 1, ...; NULL past the last one. */
const cf_host_loops *cf_host_loops_at(size_t number);

#endif
