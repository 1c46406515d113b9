/* support/failing_calls.c - which calls of the C library are to fail. */
#include "support/failing_calls.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

static struct {
  pthread_mutex_t lock;
  const char *name; /* of the function; NULL: those of a kind */
  enum call_kind kind;
  int error; /* by name */
  bool armed, on;
  uint64_t left;   /* by name: calls that are still to fail; of a kind: calls until the one that fails */
  const char *hit; /* the first that failed */
} failing = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void arm(const char *name, enum call_kind kind, int error, uint64_t left, bool on) {
  pthread_mutex_lock(&failing.lock);
  failing.name = name;
  failing.kind = kind;
  failing.error = error;
  failing.left = left;
  failing.on = on;
  failing.hit = NULL;
  failing.armed = true;
  pthread_mutex_unlock(&failing.lock);
}

void failing_next(const char *name, int error, int times) {
  arm(name, CALL_OTHER, error, (uint64_t)times, false);
}

void failing_nth(enum call_kind kind, uint64_t nth, bool on) {
  arm(NULL, kind, 0, nth, on);
}

bool failing_end(void) {
  pthread_mutex_lock(&failing.lock);
  bool all = failing.armed && (failing.name ? failing.left == 0 : failing.hit != NULL);
  failing.armed = false;
  pthread_mutex_unlock(&failing.lock);
  return all;
}

const char *failing_hit(void) {
  pthread_mutex_lock(&failing.lock);
  const char *hit = failing.hit;
  pthread_mutex_unlock(&failing.lock);
  return hit;
}

/* With the lock held. */
static bool is_next(const char *name, enum call_kind kind) {
  if (!failing.armed)
    return false;
  if (failing.name) {
    bool is = failing.left > 0 && strcmp(failing.name, name) == 0;
    failing.left -= is;
    return is;
  }
  if (failing.kind != kind)
    return false;
  bool is = failing.left <= 1 && (failing.on || !failing.hit);
  failing.left -= failing.left > 0;
  return is;
}

bool call_fails(const char *name, enum call_kind kind, int error) {
  pthread_mutex_lock(&failing.lock);
  bool fails = is_next(name, kind);
  if (fails && !failing.hit)
    failing.hit = name;
  if (fails && failing.name)
    error = failing.error;
  pthread_mutex_unlock(&failing.lock);
  if (fails)
    errno = error;
  return fails;
}
