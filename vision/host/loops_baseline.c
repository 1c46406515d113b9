/* host/loops_baseline.c - the innermost loops for any CPU of the architecture. */
#define CF_LOOPS cf_host_loops_baseline
#define CF_LOOPS_NAME "baseline"
#include "vision/host/loops_text.h"
