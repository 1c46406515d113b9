/* api/handles.c - the counted references to frames, which rotate: ref, release, and the streams that use a frame. */
#include <stdlib.h>

#include "api/frame.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/thread.h"

/* So many are opened before one is used again, and at most so many frames are in hand: 64 leases, or 128 open frames,
 * of more than one connection or publisher format. */
#define HANDLES_REUSED 1024u
#define HANDLES (HANDLES_REUSED + 512u)

struct cf_handles {
  cf_flag references;
  uint32_t maker;
  uint32_t next;
  cf_counter ended_twice;
  cf_flag helpers;
  cf_flag closed; /* nobody waits for helpers that begin now */
  cuframes_frame handle[HANDLES];
};

cf_handles *cf_handles_create(void) {
  cf_handles *handles = calloc(1, sizeof *handles);
  if (!handles)
    return NULL;
  handles->maker = cf_process_here();
  cf_flag_set(&handles->references, 1);
  return handles;
}

cf_handles *cf_handles_hold(cf_handles *handles) {
  (void)cf_flag_add(&handles->references, 1);
  return handles;
}

void cf_handles_drop(cf_handles *handles) {
  if (handles && cf_flag_add(&handles->references, -1) == 0)
    free(handles);
}

__attribute__((hot)) cuframes_frame *cf_handle_open(cf_handles *handles, cf_frame *frame) {
  for (uint32_t tries = 0; tries < HANDLES - HANDLES_REUSED; tries++) {
    uint32_t index = handles->next;
    cuframes_frame *handle = &handles->handle[index];
    handles->next = index + 1 < HANDLES ? index + 1 : 0;
    if (cf_flag_get(&handle->references) != 0)
      continue; /* still in hand */
    handle->index = index;
    handle->maker = handles->maker;
    handle->body = frame;
    frame->handle = handle;
    cf_flag_hand_over(&handle->references, 1);
    return handle;
  }
  return NULL;
}

__attribute__((hot)) cf_frame *cf_handle_frame(const cf_handles *handles, const cuframes_frame *handle) {
  bool ours = handle >= handles->handle && handle < handles->handle + HANDLES;
  return ours && cf_flag_get(&handle->references) != 0 ? handle->body : NULL;
}

uint64_t cf_handles_ended_twice(const cf_handles *handles) {
  return cf_counter_get(&handles->ended_twice);
}

cf_handles *cf_handles_of(cuframes_frame *handle) {
  return CF_CONTAINER_OF(handle - handle->index, cf_handles, handle[0]);
}

void cf_handles_helper_begins(cf_handles *handles) {
  (void)cf_flag_add(&cf_handles_hold(handles)->helpers, 1);
}

void cf_handles_helper_ends(cf_handles *handles) {
  if (cf_flag_add(&handles->helpers, -1) == 0)
    (void)cf_futex_wake(&handles->helpers.value, INT32_MAX);
  cf_handles_drop(handles);
}

typedef struct job {
  cf_handles *handles;
  void (*run)(void *argument);
  void *argument;
} job;

static void *job_run(void *argument) {
  job j = *(job *)argument;
  free(argument);
  j.run(j.argument);
  cf_handles_helper_ends(j.handles);
  return NULL;
}

void cf_handles_run(cf_handles *handles, void (*run)(void *argument), void *argument) {
  pthread_t thread;
  cf_handles_helper_begins(handles); /* before the look: pairs with cf_handles_close */
  job *j = cf_flag_get(&handles->closed) ? NULL : malloc(sizeof *j);
  if (j) {
    *j = (job){ handles, run, argument };
    if (cf_thread_start(&thread, "cuframes-end", job_run, j) == CUFRAMES_OK) {
      (void)pthread_detach(thread); /* it is joinable and ours */
      return;
    }
    free(j);
  }
  run(argument);
  cf_handles_helper_ends(handles);
}

void cf_handles_close(cf_handles *handles) {
  cf_flag_set(&handles->closed, 1);
  cf_handles_wait_for_helpers(handles);
}

void cf_handles_wait_for_helpers(cf_handles *handles) {
  for (uint32_t left; (left = cf_flag_get(&handles->helpers)) != 0;)
    (void)cf_futex_wait(&handles->helpers.value, left, CF_NEVER);
}

void cf_handle_ended_too_often(cuframes_frame *handle) {
  cf_counter_add(&cf_handles_of(handle)->ended_twice, 1);
  cf_flag_set(&handle->references, 1);
}

__attribute__((hot)) bool cf_handle_end(cuframes_frame *handle) {
  uint32_t before = cf_flag_take(&handle->references);
  if (before == 0)
    cf_counter_add(&cf_handles_of(handle)->ended_twice, 1);
  return before == 1;
}

/* ---- the public calls ---- */

cuframes_frame *cuframes_frame_ref(cuframes_frame *frame) {
  return frame && cf_process_is(frame->maker) && cf_flag_join(&frame->references) != 0 ? frame : NULL;
}

__attribute__((hot)) void cuframes_frame_release(cuframes_frame *frame) {
  if (!frame || !cf_handle_end(frame))
    return;
  if (cf_process_is(frame->maker))
    frame->body->ops->end(frame->body);
  else
    frame->body->ops->forget(frame->body);
}

typedef struct stream_use {
  cuframes_frame *frame;
  void *stream;
} stream_use;

static void *use_wait(void *argument) {
  stream_use use = *(stream_use *)argument;
  cf_handles *handles = cf_handles_of(use.frame);
  cf_device *device = use.frame->body->device;
  free(argument);
  device->ops->stream_drain(device, use.stream);
  cuframes_frame_release(use.frame);
  cf_handles_helper_ends(handles);
  return NULL;
}

/* Holds the frame as long as work is on a stream that cannot tell when it has ended. */
static void use_by_thread(cuframes_frame *frame, void *stream) {
  pthread_t thread;
  cf_handles *handles = cf_handles_of(frame);
  cf_device *device = frame->body->device;
  if (device->ops->is_lost(device)) /* then nothing runs any more */
    return;
  cf_handles_helper_begins(handles); /* before the log is used: destroy waits */
  frame->body->ops->complain(frame->body);
  stream_use *use = malloc(sizeof *use);
  if (use) {
    *use = (stream_use){ cuframes_frame_ref(frame), stream };
    if (cf_thread_start(&thread, "cuframes-use", use_wait, use) == CUFRAMES_OK) {
      (void)pthread_detach(thread); /* it is joinable and ours */
      return;
    }
    cuframes_frame_release(frame);
    free(use);
  }
  cf_handles_helper_ends(handles);
  device->ops->stream_drain(device, stream); /* there is nobody else to wait */
}

void cuframes_frame_used_on(cuframes_frame *frame, void *stream) {
  if (!frame || !cf_process_is(frame->maker) || cf_flag_get(&frame->references) == 0 ||
      !frame->body->device->has_streams)
    return;
  if (frame->body->ops->used_on(frame->body, stream) != CUFRAMES_OK)
    use_by_thread(frame, stream);
}

/* The lease ends with this reference and behind this stream alone: then the stream gives it back itself. */
static bool end_on(cuframes_frame *frame, void *stream) {
  /* references first: who holds the only one alone can add uses */
  if (cf_flag_get(&frame->references) != 1 || !cf_process_is(frame->maker))
    return false;
  cf_frame *f = frame->body;
  return f->device->has_streams && f->ops->end_on && cf_flag_get(&f->uses) == 0 &&
         f->ops->end_on(f, stream) == CUFRAMES_OK;
}

__attribute__((hot)) void cuframes_frame_release_on(cuframes_frame *frame, void *stream) {
  if (!frame || end_on(frame, stream))
    return;
  cuframes_frame_used_on(frame, stream);
  cuframes_frame_release(frame);
}
