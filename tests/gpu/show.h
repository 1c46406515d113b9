/* show.h - one source and several checkers, each a process; one checker may be stopped for a while, one be killed. */
#ifndef SHOW_H
#define SHOW_H

#include "checker.h"

#define CHECKERS 8

typedef struct show {
  source_options source; /* buffers 0: as many as the checkers may hold at once, and two */
  uint64_t frames;
  bool paced; /* 60 a second, else as fast as possible */
  checker_options checkers[CHECKERS];
  int count;
  int stopped, killed; /* 1 + a checker; 0: none */
} show;

typedef struct show_result {
  uint64_t ns; /* that publishing took, the GPU's work included */
  cuframes_publisher_stats stats;
  checker_report reports[CHECKERS]; /* not of who was killed */
} show_result;

/* Plays it to the end. Each checker got the sync mode that it asked for, and nobody was evicted. */
void show_play(const show *s, show_result *result);
/* Every checker's report is good. */
void show_is_good(const show *s, const show_result *result);

#endif
