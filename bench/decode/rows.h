/* rows.h - what bench/decode-cost's programs have in common: looking at every visible byte of a picture. */
#ifndef CUFRAMES_BENCH_ROWS_H
#define CUFRAMES_BENCH_ROWS_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t pictures, sum;

static inline void read_rows(const uint8_t *row, ptrdiff_t pitch, size_t bytes, int rows) {
  for (int y = 0; y < rows; y++, row += pitch) {
    size_t x = 0;
    for (; x + 8 <= bytes; x += 8) {
      uint64_t word;
      memcpy(&word, row + x, 8);
      sum += word;
    }
    for (; x < bytes; x++)
      sum += row[x];
  }
}

static inline int failed(const char *what) {
  fprintf(stderr, "decode-cost: %s\n", what);
  return 1;
}

#endif
