/* host/loops_avx2.c - the innermost loops for x86-64 with AVX2, FMA and BMI. */
#define CF_LOOPS cf_host_loops_avx2
#define CF_LOOPS_NAME "AVX2"
#include "vision/host/loops_text.h"
