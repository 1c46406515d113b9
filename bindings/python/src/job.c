/* job.c - a call that asks a publisher, and waits for its answer whatever signals come: on a thread of its own, while
 * the interpreter's looks for them.
 */
#include "core.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct started {
  core_job *job;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int done;   /* the thread's part */
  int nobody; /* waits for it any more: it frees the job */
} started;

static void call(core_job *job) {
  job->result = job->run(job);
  snprintf(job->detail, sizeof job->detail, "%s", job->result == CUFRAMES_OK ? "" : cuframes_last_error());
}

static void started_free(started *s) {
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

static void *thread_run(void *argument) {
  started *s = argument;
  call(s->job);
  pthread_mutex_lock(&s->lock);
  int nobody = s->nobody;
  s->done = 1;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->lock);
  if (nobody) {
    s->job->drop(s->job);
    started_free(s);
  }
  return NULL;
}

/* NULL: there is no memory, or no thread to be had. Signals are for the interpreter's threads. */
static started *thread_start(core_job *job) {
  started *s = calloc(1, sizeof *s);
  pthread_condattr_t monotonic;
  pthread_t thread;
  sigset_t all, before;
  if (!s)
    return NULL;
  s->job = job;
  pthread_mutex_init(&s->lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&s->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int result = pthread_create(&thread, NULL, thread_run, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (result == 0) {
    pthread_detach(thread);
    return s;
  }
  started_free(s);
  return NULL;
}

/* Whether it is done, within one step. */
static int done_soon(started *s) {
  int64_t until = cuframes_now() + core_step(INT64_MAX);
  struct timespec at = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
  int timed_out = 0;
  pthread_mutex_lock(&s->lock);
  while (!s->done && timed_out == 0)
    timed_out = pthread_cond_timedwait(&s->changed, &s->lock, &at);
  int done = s->done;
  pthread_mutex_unlock(&s->lock);
  return done;
}

int core_job_run(core_job *job) {
  started *s = thread_start(job);
  int done = s == NULL, go_on = 1;
  do {
    Py_BEGIN_ALLOW_THREADS
    if (s)
      done = done_soon(s);
    else
      call(job);
    Py_END_ALLOW_THREADS
    if (!done)
      go_on = core_go_on(INT64_MAX);
  } while (!done && go_on > 0);
  if (!s)
    return 0;
  pthread_mutex_lock(&s->lock);
  done = s->done;
  s->nobody = !done;
  pthread_mutex_unlock(&s->lock);
  if (done)
    started_free(s);
  if (go_on > 0)
    return 0;
  if (done) /* it came with the signal */
    job->drop(job);
  return -1;
}

/* A name that is not there yet is asked for again. */
int core_job_join(core_job *job, int64_t *step, int64_t timeout) {
  int64_t deadline = core_deadline(timeout);
  int go_on = 1;
  do {
    *step = core_step(deadline);
    if (core_job_run(job) != 0)
      return -1;
    if (job->result == CUFRAMES_OK)
      return 0;
    if (timeout == 0 || (job->result != CUFRAMES_ERR_NO_SUCH_STREAM && job->result != CUFRAMES_ERR_TIMEOUT))
      break;
    go_on = core_go_on(deadline);
  } while (go_on > 0);
  if (go_on >= 0)
    (void)core_error_of(job->result, job->detail);
  job->drop(job);
  return -1;
}
