/* drivers.h - which driver a child of a test has: the stand-in, an older one, none.
 *
 * The programs that use this do not link with the stand-in: a child loads the one it wants before the library looks for
 * libcuda.so.1, and the dynamic linker then gives it that one.
 */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "gpu/checker.h"

/* In main(): small pictures, streams that take their time; an argument is a filter for the names of tests. */
void drivers_begin(int argc, char **argv);

/* In a child, before anything of CUDA. variables: "NAME=VALUE;NAME=VALUE"; may be NULL. */
void driver_use(const char *name, const char *variables);
#define STANDIN "standin"
#define STANDIN_OLD "standin_old"

/* Of the one in use: as the functions of standin.h. */
void driver_fail(const char *name, unsigned nth, int error);
void driver_lose(unsigned nth, int error);
unsigned long driver_calls(const char *name);
/* Nothing is alive; for who began no gpu. */
void driver_nothing_left(void);
/* In the test: whether this machine has a driver of its own. */
bool driver_is_installed(void);

/* What a publisher says of itself; to be freed. */
cuframes_stream_info *query(const char *name);

/* A source that publishes all the time, until it hears something. user: a setting. */
typedef struct setting {
  const char *driver, *variables;
  source_options source;
} setting;
void run_source(int test, void *setting);
/* In the test: starts it and waits for the first picture; ends it. */
child *source_start(const setting *s);
void source_stop(child *source);

/* A subscriber with the stand-in who must not notice what befalls others: says when it has a first frame, and, told to
 * end, its report. user: the stream's name. */
void run_observer(int test, void *name);

#endif
