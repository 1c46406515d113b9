/* host/choice_one.c - where all CPUs of the architecture have the same vectors (NEON, for one), there is no choice. */
#include "vision/host/loops.h"

extern const cf_host_loops cf_host_loops_baseline;

const cf_host_loops *cf_host_loops_at(size_t number) {
  return number == 0 ? &cf_host_loops_baseline : NULL;
}

const cf_host_loops *cf_host_loops_best(void) {
  return &cf_host_loops_baseline;
}
