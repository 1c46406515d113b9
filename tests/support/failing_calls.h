/* support/failing_calls.h - calls of the C library that fail when a test says so: by name, or the one of a given
 * number among all that ask for memory or for descriptors. The linker puts the functions that FAILING makes, or the
 * test's own, in their place (`wrapped` in tests/CMakeLists.txt). Any thread may make them.
 */
#ifndef SUPPORT_FAILING_CALLS_H
#define SUPPORT_FAILING_CALLS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* What a call asks for. */
enum call_kind {
  CALL_MEMORY,      /* heap, mappings, shared memory, threads */
  CALL_DESCRIPTORS, /* whatever makes a descriptor, also by receiving one; and watching them */
  CALL_OTHER        /* fails by its name only */
};

/* From now on the next `times` calls of that function fail with that errno. */
void failing_next(const char *name, int error, int times);
/* From now on call number `nth` (1, 2, ...) of that kind fails, as it does when memory or descriptors run out; with
 * `on` all after it as well. */
void failing_nth(enum call_kind kind, uint64_t nth, bool on);
/* From now on none fails. Whether all came that were to fail. */
bool failing_end(void);
/* The first function that failed; NULL if none has. */
const char *failing_hit(void);

/* For a function in another one's place: whether this call is to fail. errno is set then, to what failing_next() said
 * or else to `error`. */
bool call_fails(const char *name, enum call_kind kind, int error);

/* A function in another one's place: its type, name and parameters, the arguments that go on, what it asks for, and the
 * errno and the value of its failure. */
#define FAILING_KIND(type, name, parameters, arguments, kind, error, failure)                                          \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters {                                                                                      \
    return call_fails(#name, kind, error) ? (failure) : __real_##name arguments;                                       \
  }
#define FAILING(type, name, parameters, arguments) FAILING_KIND(type, name, parameters, arguments, CALL_OTHER, 0, -1)

#endif
