/* looker.c - see looker.h. */
#include "looker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/reader.h"

struct looker {
  collector from; /* the thread's */
  void (*done)(void *user);
  void *user;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t asked;
  bool wanted, busy, ended, found_any;
  exposition found; /* of the look that has ended */
};

static void looker_free(looker *l) {
  collector_free(&l->from);
  exposition_free(&l->found);
  pthread_cond_destroy(&l->asked);
  pthread_mutex_destroy(&l->lock);
  free(l);
}

/* ---- the thread ---- */

/* With the lock, which it gives back meanwhile. */
static void look_once(looker *l) {
  exposition out = { 0 };
  l->busy = true;
  pthread_mutex_unlock(&l->lock);
  out.failed = !collect(&l->from, &out);
  pthread_mutex_lock(&l->lock);
  l->busy = l->wanted = false;
  exposition_free(&l->found); /* one that nobody has fetched */
  l->found = out;
  l->found_any = true;
  if (l->done && !l->ended)
    l->done(l->user);
}

static void *look(void *user) {
  looker *l = user;
  pthread_mutex_lock(&l->lock);
  while (!l->ended)
    if (l->wanted)
      look_once(l);
    else
      pthread_cond_wait(&l->asked, &l->lock);
  pthread_mutex_unlock(&l->lock);
  looker_free(l);
  return NULL;
}

/* ---- who asks ---- */

looker *looker_start(const collector *from, void (*done)(void *user), void *user) {
  sigset_t all, before;
  looker *l = calloc(1, sizeof *l);
  if (!l) {
    (void)reader_no_memory();
    return NULL;
  }
  *l = (looker){ .from = *from, .done = done, .user = user };
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->asked, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals go to the thread that ends by them */
  const int error = pthread_create(&l->thread, NULL, look, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) {
    cli_error("cannot start a thread: %s", strerror(error));
    looker_free(l);
    return NULL;
  }
  return l;
}

void looker_ask(looker *l) {
  pthread_mutex_lock(&l->lock);
  l->wanted = true;
  pthread_cond_signal(&l->asked);
  pthread_mutex_unlock(&l->lock);
}

bool looker_take(looker *l, exposition *out) {
  pthread_mutex_lock(&l->lock);
  const bool found_any = l->found_any;
  if (found_any) {
    *out = l->found;
    l->found = (exposition){ 0 };
    l->found_any = false;
  }
  pthread_mutex_unlock(&l->lock);
  return found_any;
}

bool looker_wait(looker *l, exposition *out) {
  while (!looker_take(l, out))
    if (!reader_pause(cuframes_now() + READER_SLICE_NS / 10))
      return false;
  return true;
}

void looker_end(looker *l) {
  if (!l)
    return;
  pthread_mutex_lock(&l->lock);
  const bool busy = l->busy;
  const pthread_t thread = l->thread;
  l->ended = true;
  pthread_cond_signal(&l->asked);
  pthread_mutex_unlock(&l->lock); /* from here on it may be gone */
  if (busy)
    pthread_detach(thread); /* it frees what is its own, or goes with the process */
  else
    pthread_join(thread, NULL);
}
