/* capture.c - streams of the stand-in that capture a graph: what is put on them becomes a node and runs nothing, and
 * what cannot be part of a graph makes the capture invalid, as on a GPU. A graph of kernels and fills can be
 * launched. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* What cuStreamEndCapture() gives, and what cuGraphInstantiateWithFlags() makes of it. */
typedef struct graph {
  si_op *nodes; /* in their order */
} graph;

void si_capture_add(si_stream *stream, si_op *op) {
  op->next = stream->captured;
  stream->captured = op;
}

void si_capture_drop(si_op *nodes) {
  while (nodes) {
    si_op *op = nodes;
    nodes = op->next;
    if (op->drop)
      op->drop(op);
    free(op);
  }
}

static si_op *turned(si_op *nodes) {
  si_op *first = NULL;
  while (nodes) {
    si_op *op = nodes;
    nodes = op->next;
    op->next = first;
    first = op;
  }
  return first;
}

static si_op *copy_of(const si_op *op) {
  si_op *copy = malloc(op->bytes);
  if (copy)
    memcpy(copy, op, op->bytes);
  return copy;
}

bool si_context_captures(const si_context *context, bool blocking_only) {
  for (const si_stream *s = context->streams; s; s = s->next)
    if (s->capture != CU_STREAM_CAPTURE_STATUS_NONE && (s->blocking || !blocking_only))
      return true;
  return false;
}

cu_result si_capture_forbids(si_stream *stream) {
  if (stream->capture == CU_STREAM_CAPTURE_STATUS_NONE)
    return CUDA_SUCCESS;
  bool first = stream->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE;
  stream->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
  return first ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

cu_result si_context_capture_forbids(const si_context *context) {
  cu_result result = CUDA_SUCCESS;
  for (si_stream *s = context->streams; s; s = s->next)
    if (s->capture != CU_STREAM_CAPTURE_STATUS_NONE)
      result = si_capture_forbids(s);
  return result;
}

#define GLOBAL 0 /* capture mode: no thread may do what might wait for the capture without knowing */
#define OWN 1    /* the thread that began it may not */

static _Thread_local cu_capture_mode thread_mode; /* GLOBAL, unless it was exchanged */
static _Thread_local char this_thread;            /* its address is the thread's name */

/* A thread in relaxed mode knows what it does; any other one spoils captures that forbid it. */
cu_result si_capture_spoiled(void) {
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  for (int i = 0; i < SI_CONTEXTS && thread_mode != CU_STREAM_CAPTURE_MODE_RELAXED; i++)
    for (si_stream *s = si_context_of(i)->streams; s; s = s->next) {
      bool own = s->capturer == &this_thread;
      bool meant = s->capture_mode == GLOBAL ? thread_mode == GLOBAL || own : s->capture_mode == OWN && own;
      if (s->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE && meant) {
        s->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
      }
    }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuThreadExchangeStreamCaptureMode(cu_capture_mode *mode) {
  SI_ENTER(cuThreadExchangeStreamCaptureMode, SI_INIT);
  if (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  cu_capture_mode before = thread_mode;
  thread_mode = *mode;
  *mode = before;
  return CUDA_SUCCESS;
}

cu_result cuStreamIsCapturing(cu_stream handle, cu_capture_status *status) {
  SI_ENTER(cuStreamIsCapturing, SI_CONTEXT);
  if (!status)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_stream *stream;
  cu_result result = si_stream_find(context, handle, &stream);
  if (result == CUDA_SUCCESS && stream == context->legacy && si_context_captures(context, true))
    result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  if (result == CUDA_SUCCESS)
    *status = stream->capture;
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuStreamBeginCapture_v2(cu_stream handle, cu_capture_mode mode) {
  SI_ENTER(cuStreamBeginCapture, SI_CONTEXT);
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_stream *stream;
  cu_result result = si_stream_find(context, handle, &stream);
  if (result == CUDA_SUCCESS && stream == context->legacy)
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (result == CUDA_SUCCESS)
    result = si_capture_forbids(stream); /* a second time */
  if (result == CUDA_SUCCESS) {
    stream->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
    stream->capture_mode = mode;
    stream->capturer = &this_thread;
    stream->captured = NULL;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuStreamEndCapture(cu_stream handle, cu_graph *made) {
  SI_ENTER(cuStreamEndCapture, SI_CONTEXT);
  if (!made)
    return CUDA_ERROR_INVALID_VALUE;
  *made = NULL;
  graph *g = malloc(sizeof *g);
  if (!g)
    return CUDA_ERROR_OUT_OF_MEMORY;
  pthread_mutex_lock(&si_lock);
  si_stream *stream;
  cu_result result = si_stream_find(context, handle, &stream);
  if (result == CUDA_SUCCESS && stream->capture == CU_STREAM_CAPTURE_STATUS_NONE)
    result = CUDA_ERROR_INVALID_VALUE;
  if (result == CUDA_SUCCESS) {
    g->nodes = turned(stream->captured);
    stream->captured = NULL;
    if (stream->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED) {
      result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      si_capture_drop(g->nodes);
    }
    stream->capture = CU_STREAM_CAPTURE_STATUS_NONE;
  }
  pthread_mutex_unlock(&si_lock);
  if (result == CUDA_SUCCESS)
    *made = (cu_graph)(void *)g;
  else
    free(g);
  return result;
}

cu_result cuGraphGetNodes(cu_graph handle, cu_graph_node *nodes, size_t *count) {
  SI_ENTER(cuGraphGetNodes, SI_CONTEXT);
  if (!handle || nodes || !count) /* how many there are, and nothing of them */
    return CUDA_ERROR_INVALID_VALUE;
  *count = 0;
  for (const si_op *op = ((graph *)(void *)handle)->nodes; op; op = op->next)
    (*count)++;
  return CUDA_SUCCESS;
}

static cu_result destroy(graph *g) {
  if (!g)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_capture_drop(g->nodes);
  pthread_mutex_unlock(&si_lock);
  free(g);
  return CUDA_SUCCESS;
}

cu_result cuGraphDestroy(cu_graph handle) {
  SI_ENTER(cuGraphDestroy, SI_CONTEXT);
  return destroy((graph *)(void *)handle);
}

cu_result cuGraphExecDestroy(cu_graph_exec handle) {
  SI_ENTER(cuGraphExecDestroy, SI_CONTEXT);
  return destroy((graph *)(void *)handle);
}

/* Of a graph that has something else than kernels and fills: NOT_SUPPORTED, which is the stand-in's own. */
cu_result cuGraphInstantiateWithFlags(cu_graph_exec *exec, cu_graph handle, unsigned long long flags) {
  SI_ENTER(cuGraphInstantiateWithFlags, SI_CONTEXT);
  if (!exec || !handle || flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  graph *made = calloc(1, sizeof *made);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  for (const si_op *op = ((graph *)(void *)handle)->nodes; op && result == CUDA_SUCCESS; op = op->next) {
    si_op *copy = op->bytes > 0 ? copy_of(op) : NULL;
    if (copy) {
      copy->next = made->nodes;
      made->nodes = copy;
    } else {
      result = op->bytes > 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_NOT_SUPPORTED;
    }
  }
  made->nodes = turned(made->nodes);
  if (result != CUDA_SUCCESS) {
    si_capture_drop(made->nodes);
    free(made);
  }
  pthread_mutex_unlock(&si_lock);
  if (result == CUDA_SUCCESS)
    *exec = (cu_graph_exec)(void *)made;
  return result;
}

cu_result cuGraphLaunch(cu_graph_exec exec, cu_stream handle) {
  SI_ENTER(cuGraphLaunch, SI_CONTEXT);
  if (!exec)
    return CUDA_ERROR_INVALID_VALUE;
  si_stream *stream;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_stream_find(context, handle, &stream);
  for (const si_op *op = ((graph *)(void *)exec)->nodes; op && result == CUDA_SUCCESS; op = op->next) {
    si_op *copy = copy_of(op);
    result = copy ? si_submit(stream, copy, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}
