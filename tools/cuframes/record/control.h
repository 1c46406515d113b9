/* control.h - what tells a recorder to start, stop and split: lines on stdin, and signals. */
#ifndef CUFRAMES_RECORD_CONTROL_H
#define CUFRAMES_RECORD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_LINE_MAX 256
/* Reads of stdin between two packets: whoever writes without end holds up neither these nor the end. */
#define CONTROL_READS 16
#define CONTROL_EXPECTED "start, stop, split or quit"

enum control_command {
  CONTROL_NONE,
  CONTROL_START,
  CONTROL_STOP,
  CONTROL_SPLIT,
  CONTROL_QUIT,
  CONTROL_TOGGLE,
  CONTROL_UNKNOWN
};

typedef struct control {
  bool input; /* stdin is read, and has not ended */
  bool ended; /* it ended since the last look */
  char text[CONTROL_LINE_MAX + 1];
  size_t used;
  int reads;                       /* that are left in this round */
  bool skipping;                   /* the rest of a line that is too long */
  char line[CONTROL_LINE_MAX + 1]; /* of the last command, as it came */
  int splits_seen, toggles_seen;
} control;

/* Catches SIGUSR1 (split) and SIGUSR2 (start or stop), which end a process that does not. */
void control_catch_signals(void);

/* With `input` stdin is read. */
void control_begin(control *c, bool input);

/* A new round of commands. Each ends, however much stands on stdin. */
void control_begin_round(control *c);

/* The next command of this round, or NONE. Never waits. */
enum control_command control_next(control *c);

#endif
