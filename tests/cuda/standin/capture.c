/* capture.c - streams of the stand-in that capture a graph: what is put on them becomes a node and runs nothing, and
 * what cannot be part of a graph makes the capture invalid, as on a GPU. No graph can be launched. */
#include <stdlib.h>

#include "internal.h"

typedef struct graph {
  size_t nodes;
} graph;

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

static _Thread_local cu_capture_mode thread_mode; /* global, unless it was exchanged */

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
    stream->captured = 0;
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
    g->nodes = stream->captured;
    if (stream->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
      result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
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
  *count = ((graph *)(void *)handle)->nodes;
  return CUDA_SUCCESS;
}

cu_result cuGraphDestroy(cu_graph handle) {
  SI_ENTER(cuGraphDestroy, SI_CONTEXT);
  if (!handle)
    return CUDA_ERROR_INVALID_VALUE;
  free((void *)handle);
  return CUDA_SUCCESS;
}
