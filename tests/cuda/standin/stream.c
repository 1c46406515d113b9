/* stream.c - the stand-in's streams: a queue of operations and a thread each. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/* "Wait until that stream got so far". */
typedef struct wait_op {
  si_op op;
  si_stream *on;
  uint64_t number;
} wait_op;

static uint64_t streams_made; /* so that each has its own random delays */
static pthread_cond_t thread_gone = PTHREAD_COND_INITIALIZER;
static pthread_cond_t still = PTHREAD_COND_INITIALIZER; /* nothing runs in a context that is sick */

/* ---- time ---- */

void si_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_until(pthread_cond_t *condition, uint64_t deadline_ns) {
  struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
                               .tv_nsec = (long)(deadline_ns % 1000000000u) };
  pthread_cond_timedwait(condition, &si_lock, &deadline);
}

void si_wait_briefly(pthread_cond_t *condition, uint64_t microseconds) {
  wait_until(condition, now_ns() + microseconds * 1000);
}

bool si_stream_sleep(si_stream *stream, uint64_t microseconds) {
  uint64_t deadline = now_ns() + microseconds * 1000;
  pthread_mutex_lock(&si_lock);
  while (!si_stream_stopped(stream) && now_ns() < deadline)
    wait_until(&stream->wake, deadline);
  bool going_on = !si_stream_stopped(stream);
  pthread_mutex_unlock(&si_lock);
  return going_on;
}

/* Half of the times there is no delay, so that operations also run into each other. */
bool si_stream_pause(si_stream *stream) {
  uint64_t most = si_configuration()->delay_us;
  if (most == 0)
    return true;
  stream->random ^= stream->random << 13;
  stream->random ^= stream->random >> 7;
  stream->random ^= stream->random << 17;
  if (stream->random & 1)
    return true;
  return si_stream_sleep(stream, (stream->random >> 1) % (most + 1));
}

/* ---- life ---- */

void si_stream_reference(si_stream *stream) {
  stream->references++;
}

void si_stream_release(si_stream *stream) {
  if (--stream->references > 0)
    return;
  si_capture_drop(stream->captured);
  pthread_cond_destroy(&stream->wake);
  pthread_cond_destroy(&stream->moved);
  free(stream);
}

static si_stream *create(si_context *context, bool blocking) {
  si_stream *stream = calloc(1, sizeof *stream);
  if (!stream)
    return NULL;
  stream->context = context;
  stream->references = 1;
  stream->has_handle = true;
  stream->blocking = blocking;
  stream->random = (si_configuration()->seed + 1) * 0x9e3779b97f4a7c15u ^ (++streams_made << 32 | 1);
  si_condition_init(&stream->wake);
  si_condition_init(&stream->moved);
  stream->next = context->streams;
  context->streams = stream;
  return stream;
}

static void unlink_stream(si_stream *stream) {
  for (si_stream **at = &stream->context->streams; *at; at = &(*at)->next)
    if (*at == stream) {
      *at = stream->next;
      return;
    }
}

/* Everybody who waits for anything looks again. */
static void wake_all(void) {
  for (int i = 0; i < SI_CONTEXTS; i++)
    for (si_stream *s = si_context_of(i)->streams; s; s = s->next) {
      pthread_cond_broadcast(&s->wake);
      pthread_cond_broadcast(&s->moved);
    }
}

bool si_stream_stopped(const si_stream *stream) {
  return stream->stop || stream->context->sick != CUDA_SUCCESS;
}

void si_sicken(si_context *context, cu_result error) {
  if (context->sick != CUDA_SUCCESS)
    return;
  context->sick = error;
  wake_all();
}

cu_result si_sickness(const si_context *context) {
  while (context->sick != CUDA_SUCCESS && context->running > 0)
    pthread_cond_wait(&still, &si_lock);
  return context->sick;
}

/* ---- the thread ---- */

static void finish(si_stream *stream, si_op *op) {
  stream->done = op->number;
  if (op->drop)
    op->drop(op);
  free(op);
  pthread_cond_broadcast(&stream->moved);
}

static si_op *take(si_stream *stream) {
  si_op *op = stream->first;
  stream->first = op->next;
  if (!stream->first)
    stream->last = NULL;
  return op;
}

static void *work(void *argument) {
  si_stream *stream = argument;
  si_context *context = stream->context;
  pthread_mutex_lock(&si_lock);
  while (!stream->stop && (stream->first || stream->has_handle)) {
    if (!stream->first) {
      pthread_cond_wait(&stream->wake, &si_lock);
      continue;
    }
    si_op *op = take(stream);
    cu_result result = SI_STOPPED;
    if (!si_stream_stopped(stream)) {
      context->running++;
      pthread_mutex_unlock(&si_lock);
      if (si_stream_pause(stream))
        result = op->run(stream, op);
      pthread_mutex_lock(&si_lock);
      if (--context->running == 0)
        pthread_cond_broadcast(&still);
    }
    if (result != CUDA_SUCCESS && result != SI_STOPPED)
      si_sicken(context, result);
    finish(stream, op);
  }
  while (stream->first)
    finish(stream, take(stream));
  stream->has_thread = false;
  context->threads--;
  if (!stream->has_handle)
    unlink_stream(stream);
  si_stream_release(stream);
  pthread_cond_broadcast(&thread_gone);
  pthread_mutex_unlock(&si_lock);
  return NULL;
}

/* Detached, and with every signal blocked: the program's handlers run on the program's threads. */
static bool start_thread(si_stream *stream) {
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int error = pthread_create(&thread, &attributes, work, stream);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error)
    return false;
  stream->has_thread = true;
  stream->context->threads++;
  si_stream_reference(stream);
  return true;
}

/* ---- submitting ---- */

static cu_result push(si_stream *stream, si_op *op, uint64_t *number) {
  if (!stream->has_thread && !start_thread(stream)) {
    if (op->drop)
      op->drop(op);
    free(op);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  op->next = NULL;
  op->number = ++stream->submitted;
  if (number)
    *number = op->number;
  if (stream->last)
    stream->last->next = op;
  else
    stream->first = op;
  stream->last = op;
  pthread_cond_broadcast(&stream->wake);
  return CUDA_SUCCESS;
}

static cu_result run_wait(si_stream *stream, si_op *op) {
  wait_op *wait = (wait_op *)op;
  pthread_mutex_lock(&si_lock);
  while (wait->on->done < wait->number && !si_stream_stopped(stream))
    pthread_cond_wait(&wait->on->moved, &si_lock);
  cu_result result = wait->on->done < wait->number ? SI_STOPPED : CUDA_SUCCESS;
  pthread_mutex_unlock(&si_lock);
  return result;
}

static void drop_wait(si_op *op) {
  si_stream_release(((wait_op *)op)->on);
}

/* A graph has nodes and runs nothing by itself. */
static cu_result capture(si_stream *stream, si_op *op, uint64_t *number) {
  si_capture_add(stream, op);
  if (number)
    *number = stream->submitted;
  return stream->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

cu_result si_submit_wait(si_stream *stream, si_stream *on, uint64_t number) {
  if (stream == on)
    return CUDA_SUCCESS;
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) { /* for work that is in no graph */
    stream->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (on->done >= number)
    return CUDA_SUCCESS;
  wait_op *wait = malloc(sizeof *wait);
  if (!wait)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *wait = (wait_op){ .op = { .run = run_wait, .drop = drop_wait }, .on = on, .number = number };
  si_stream_reference(on);
  return push(stream, &wait->op, NULL);
}

/* The legacy default stream starts after everything that blocking streams had before, and they after it. */
static cu_result submit_order(si_stream *stream) {
  si_context *context = stream->context;
  cu_result result = CUDA_SUCCESS;
  if (stream == context->legacy) {
    if (si_context_captures(context, true)) {
      (void)si_context_capture_forbids(context);
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    for (si_stream *s = context->streams; s && result == CUDA_SUCCESS; s = s->next)
      if (s->blocking)
        result = si_submit_wait(stream, s, s->submitted);
  } else if (stream->blocking && context->legacy) {
    result = si_submit_wait(stream, context->legacy, context->legacy->submitted);
  }
  return result;
}

cu_result si_submit(si_stream *stream, si_op *op, uint64_t *number) {
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE)
    return capture(stream, op, number);
  cu_result result = submit_order(stream);
  if (result == CUDA_SUCCESS)
    return push(stream, op, number);
  if (op->drop)
    op->drop(op);
  free(op);
  return result;
}

/* In any context, but not the NULL stream. */
static si_stream *find_handle(cu_stream handle) {
  for (int i = 0; i < SI_CONTEXTS; i++)
    for (si_stream *s = si_context_of(i)->streams; s; s = s->next)
      if ((cu_stream)(void *)s == handle && s->has_handle && s != si_context_of(i)->legacy)
        return s;
  return NULL;
}

static bool is_null_stream(cu_stream handle) {
  return !handle || (uintptr_t)handle == 1; /* CU_STREAM_LEGACY */
}

cu_result si_stream_find(si_context *context, cu_stream handle, si_stream **stream) {
  if (!context->alive)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (is_null_stream(handle)) {
    if (!context->legacy)
      context->legacy = create(context, true);
    *stream = context->legacy;
    return *stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  }
  *stream = find_handle(handle);
  return *stream && (*stream)->context == context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

cu_result si_enqueue(si_context *context, cu_stream handle, const si_op *op, size_t bytes, bool wait) {
  si_op *copy = malloc(bytes);
  if (!copy)
    return CUDA_ERROR_OUT_OF_MEMORY;
  memcpy(copy, op, bytes);
  copy->bytes = copy->drop ? 0 : bytes;
  pthread_mutex_lock(&si_lock);
  si_stream *stream;
  uint64_t number;
  cu_result result = si_stream_find(context, handle, &stream);
  if (result == CUDA_SUCCESS && wait)
    result = si_capture_forbids(stream);
  if (result == CUDA_SUCCESS) {
    result = si_submit(stream, copy, &number);
    if (result == CUDA_SUCCESS && wait)
      result = si_stream_wait(stream, number);
  } else {
    if (copy->drop)
      copy->drop(copy);
    free(copy);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* ---- waiting ---- */

/* The stream must not go meanwhile. Also where it is stopped: what it is at may have memory of who waits. */
static cu_result wait_done(const si_stream *stream, pthread_cond_t *moved, uint64_t number) {
  while (stream->done < number)
    pthread_cond_wait(moved, &si_lock);
  return stream->stop ? CUDA_ERROR_CONTEXT_IS_DESTROYED : si_sickness(stream->context);
}

cu_result si_stream_wait(si_stream *stream, uint64_t number) {
  si_stream_reference(stream);
  cu_result result = wait_done(stream, &stream->moved, number);
  si_stream_release(stream);
  return result;
}

cu_result si_context_wait(si_context *context) {
  size_t count = 0, i = 0;
  for (si_stream *s = context->streams; s; s = s->next)
    count++;
  struct {
    si_stream *stream;
    uint64_t number;
  } *all = calloc(count + 1, sizeof *all);
  if (!all)
    return CUDA_ERROR_OUT_OF_MEMORY;
  for (si_stream *s = context->streams; s; s = s->next, i++) {
    si_stream_reference(s);
    all[i].stream = s;
    all[i].number = s->submitted;
  }
  for (i = 0; i < count; i++) {
    (void)wait_done(all[i].stream, &all[i].stream->moved, all[i].number);
    si_stream_release(all[i].stream);
  }
  free(all);
  return context->alive ? si_sickness(context) : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

long si_streams_live(void) {
  long count = 0;
  for (int i = 0; i < SI_CONTEXTS; i++)
    for (si_stream *s = si_context_of(i)->streams; s; s = s->next)
      count += s->has_handle && s != si_context_of(i)->legacy;
  return count;
}

long si_streams_end(si_context *context) {
  long count = 0;
  for (si_stream *s = context->streams; s; s = s->next) {
    count += s->has_handle && s != context->legacy;
    s->stop = true;
  }
  wake_all();
  while (context->threads > 0)
    pthread_cond_wait(&thread_gone, &si_lock);
  while (context->streams) {
    si_stream *stream = context->streams;
    context->streams = stream->next;
    if (stream->has_handle)
      si_stream_release(stream);
  }
  context->legacy = NULL;
  return count;
}

/* ---- the calls ---- */

static cu_result stream_create(si_context *context, cu_stream *handle, unsigned flags) {
  if (!handle || flags > CU_STREAM_NON_BLOCKING)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_stream *stream = context->alive ? create(context, flags == CU_STREAM_DEFAULT) : NULL;
  pthread_mutex_unlock(&si_lock);
  if (!stream)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = (cu_stream)(void *)stream;
  return CUDA_SUCCESS;
}

cu_result cuStreamCreate(cu_stream *handle, unsigned flags) {
  SI_ENTER(cuStreamCreate, SI_CONTEXT);
  return stream_create(context, handle, flags);
}

cu_result cuStreamCreateWithPriority(cu_stream *handle, unsigned flags, int priority) {
  (void)priority; /* a hint; any number is taken */
  SI_ENTER(cuStreamCreateWithPriority, SI_CONTEXT);
  return stream_create(context, handle, flags);
}

/* What is queued is still done. */
cu_result cuStreamDestroy_v2(cu_stream handle) {
  SI_ENTER_RELEASE(cuStreamDestroy, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  si_stream *stream = is_null_stream(handle) ? NULL : find_handle(handle);
  if (stream) {
    stream->has_handle = false;
    pthread_cond_broadcast(&stream->wake);
    if (!stream->has_thread)
      unlink_stream(stream);
    si_stream_release(stream);
  }
  pthread_mutex_unlock(&si_lock);
  return stream ? say : CUDA_ERROR_INVALID_HANDLE;
}

static cu_result run_nothing(si_stream *stream, si_op *op) {
  (void)stream, (void)op;
  return CUDA_SUCCESS;
}

cu_result cuStreamSynchronize(cu_stream handle) {
  SI_ENTER(cuStreamSynchronize, SI_CONTEXT);
  if (is_null_stream(handle)) {
    si_op nothing = { .run = run_nothing };
    return si_enqueue(context, handle, &nothing, sizeof nothing, true);
  }
  pthread_mutex_lock(&si_lock);
  si_stream *stream = find_handle(handle);
  cu_result result = stream ? si_capture_forbids(stream) : CUDA_ERROR_INVALID_HANDLE;
  if (result == CUDA_SUCCESS)
    result = si_stream_wait(stream, stream->submitted);
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuStreamQuery(cu_stream handle) {
  SI_ENTER(cuStreamQuery, SI_CONTEXT);
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  if (is_null_stream(handle)) {
    for (si_stream *s = context->streams; s; s = s->next)
      if (s->blocking && s->done < s->submitted)
        result = CUDA_ERROR_NOT_READY;
  } else {
    si_stream *stream = find_handle(handle);
    cu_result forbidden = stream ? si_capture_forbids(stream) : CUDA_SUCCESS;
    result = !stream                            ? CUDA_ERROR_INVALID_HANDLE
             : forbidden != CUDA_SUCCESS        ? forbidden
             : stream->context->sick            ? si_sickness(stream->context)
             : stream->done < stream->submitted ? CUDA_ERROR_NOT_READY
                                                : CUDA_SUCCESS;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuStreamGetCtx(cu_stream handle, cu_context *of) {
  SI_ENTER(cuStreamGetCtx, SI_CONTEXT);
  if (!of)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_stream *stream = is_null_stream(handle) ? NULL : find_handle(handle);
  si_context *found = is_null_stream(handle) ? context : stream ? stream->context : NULL;
  pthread_mutex_unlock(&si_lock);
  if (!found)
    return CUDA_ERROR_INVALID_HANDLE;
  *of = (cu_context)(void *)found;
  return CUDA_SUCCESS;
}
