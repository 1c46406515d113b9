/* failing_calls.h - calls of the system that fail as they seldom do: a test names one, and the error. The linker puts
 * the functions made here in their place (`wrapped_NAME` in tests/CMakeLists.txt).
 */
#ifndef FAILING_CALLS_H
#define FAILING_CALLS_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static struct {
  const char *name;
  int error, times;
} failing;

/* The next `times` calls of that function fail so. */
static inline void failing_next(const char *name, int error, int times) {
  failing.name = name;
  failing.error = error;
  failing.times = times;
}

/* Whether all of them came; from now on none fails. */
static inline bool failing_all_came(void) {
  bool all = failing.name && failing.times == 0;
  failing.name = NULL;
  return all;
}

static inline bool failing_is(const char *name) {
  if (!failing.name || failing.times == 0 || strcmp(failing.name, name) != 0)
    return false;
  failing.times--;
  errno = failing.error;
  return true;
}

/* A wrapped function that gives -1 when it fails: its type, name, parameters, and the arguments that go on. */
#define FAILING(type, name, parameters, arguments)                                                                     \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters {                                                                                      \
    return failing_is(#name) ? -1 : __real_##name arguments;                                                           \
  }

#endif
