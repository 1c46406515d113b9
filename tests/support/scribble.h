/* support/scribble.h - what a hostile subscriber writes over its seat: chosen values and any. */
#ifndef SUPPORT_SCRIBBLE_H
#define SUPPORT_SCRIBBLE_H

#include "support/raw.h"

/* Leases that a scribbler asks for: other subscribers of a test have another number. */
enum { SCRIBBLE_LEASES = 16, SCRIBBLE_STYLES = 11 };

typedef struct scribble_style {
  void (*write)(const raw_seat *raw); /* once; to be called again and again */
  uint32_t mode;
  bool put_out; /* it holds up the stream: it must be evicted */
} scribble_style;

extern const scribble_style scribble_styles[SCRIBBLE_STYLES];

#endif
