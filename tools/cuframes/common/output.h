/* output.h - the way of what is said to stderr, and of events to stdout: nobody waits for whoever reads them.
 *
 * A pipe that nobody reads, a terminal that was stopped (Ctrl-S) and a disk that hangs block who writes to them.
 * Frames, subscribers that join and the end of the program must not wait for that. So lines go into a queue of limited
 * size for each of the two, and a thread of its own writes them. When it is full, what comes is dropped and counted.
 * (O_NONBLOCK is no way out: it belongs to the open file, which a shell and other programs share with us.)
 *
 * Lines come out in the order in which they were given, stderr and stdout together, as long as both are read.
 * Threads  Any, for all of it; no call waits for a reader, but for those that say how long. */
#ifndef CUFRAMES_CLI_OUTPUT_H
#define CUFRAMES_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output { OUTPUT_ERR, OUTPUT_OUT };

/* Once, first of all: from then on stdio's stderr puts its lines here, whoever prints them, without secrets
 * (secrets.h), and its stdout writes in a way that a signal ends (cli_stopped), behind what was said before. */
void output_begin(void);

/* Puts a text, most often a line, on its way. False: it was dropped. */
bool output_put(enum output to, const char *text, size_t size);
/* Whether nothing waits to be written there. */
bool output_is_idle(enum output to);
/* How many events were dropped since this was last asked, and their place back, if it could not be said after all.
 * (Of stderr's lines that is said here.) */
uint64_t output_take_dropped(void);
void output_give_dropped(uint64_t count);

/* The errno of the first write to stdout that failed, of either way; 0: none did. After one nothing goes there. */
int output_error(void);
/* Called, from a thread of this file, when events cannot be written any more; NULL: nobody is. It may call nothing of
 * this file. */
void output_on_error(void (*call)(void *user), void *user);

/* At the end: gives what waits a second in all to go out, and on a busy machine longer where somebody reads. The first
 * says how many events were lost, since nobody read them; after the second nothing goes out any more. */
uint64_t output_end_events(void);
void output_end(void);

#endif
