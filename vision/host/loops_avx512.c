/* host/loops_avx512.c - the innermost loops for x86-64 with AVX-512 F, BW, DQ and VL. */
#define CF_LOOPS cf_host_loops_avx512
#define CF_LOOPS_NAME "AVX-512"
#include "vision/host/loops_text.h"
