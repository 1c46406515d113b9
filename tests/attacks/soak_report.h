/* attacks/soak_report.h - what the soak says in the end, and whether all is well. */
#ifndef ATTACKS_SOAK_REPORT_H
#define ATTACKS_SOAK_REPORT_H

#include "attacks/soak.h"

/* One line on what has come so far. */
void soak_report_now(const soak_world *world, int64_t since, uint64_t seed);
/* Tables on stdout; what is wrong goes to stderr, and its count is given. */
int soak_report(const soak_world *world, int64_t since, uint64_t seed);

#endif
