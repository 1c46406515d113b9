/* syncer.c - fdatasync() of one descriptor at a time. */
#include "syncer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct syncer {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t news;
  int fd; /* our own; -1: nothing to do */
  int error;
  bool end;
};

static void *work(void *user) {
  syncer *s = user;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->fd < 0 && !s->end)
      pthread_cond_wait(&s->news, &s->lock);
    if (s->fd < 0)
      break;
    const int fd = s->fd;
    pthread_mutex_unlock(&s->lock);
    const int error = fdatasync(fd) && errno != EINVAL ? errno : 0; /* EINVAL: no file, a pipe perhaps */
    (void)close(fd);
    pthread_mutex_lock(&s->lock);
    s->fd = -1;
    if (error)
      s->error = error;
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

syncer *syncer_create(void) {
  syncer *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  sigset_t all, before;
  s->fd = -1;
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->news, NULL);
  /* Signals are for the main thread, whose waits they end. */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const int error = pthread_create(&s->thread, NULL, work, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error)
    return s;
  pthread_cond_destroy(&s->news);
  pthread_mutex_destroy(&s->lock);
  free(s);
  return NULL;
}

bool syncer_ask(syncer *s, int fd) {
  pthread_mutex_lock(&s->lock);
  const bool idle = s->fd < 0;
  if (idle) {
    s->fd = dup(fd);
    pthread_cond_signal(&s->news);
  }
  pthread_mutex_unlock(&s->lock);
  return idle;
}

int syncer_error(syncer *s) {
  pthread_mutex_lock(&s->lock);
  const int error = s->error;
  s->error = 0;
  pthread_mutex_unlock(&s->lock);
  return error;
}

void syncer_free(syncer *s) {
  if (!s)
    return;
  pthread_mutex_lock(&s->lock);
  s->end = true;
  pthread_cond_signal(&s->news);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->news);
  pthread_mutex_destroy(&s->lock);
  free(s);
}
