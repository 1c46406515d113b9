/* host/choice_x86.c - which of the innermost loops an x86-64 takes. */
#include <stdbool.h>

#include "vision/host/loops.h"

extern const cf_host_loops cf_host_loops_baseline, cf_host_loops_avx2, cf_host_loops_avx512;

static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

const cf_host_loops *cf_host_loops_at(size_t number) {
  const cf_host_loops *all[3] = { NULL };
  size_t count = 0;
  if (has_avx2() && has_avx512())
    all[count++] = &cf_host_loops_avx512;
  if (has_avx2())
    all[count++] = &cf_host_loops_avx2;
  all[count++] = &cf_host_loops_baseline;
  return number < count ? all[number] : NULL;
}

const cf_host_loops *cf_host_loops_best(void) {
  return cf_host_loops_at(0);
}
