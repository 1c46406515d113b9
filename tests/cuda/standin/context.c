/* context.c - the stand-in's primary contexts, each thread's stack of them, and what is left when one goes. */
#include "internal.h"

#define DEPTH 32

static si_context primaries[SI_DEVICES];               /* never freed: a stale handle must be told from none */
static pthread_cond_t gone = PTHREAD_COND_INITIALIZER; /* one that was going is gone */
static long swept;

static _Thread_local struct {
  si_context *contexts[DEPTH];
  int depth;
} stack;

si_context *si_current(void) {
  return stack.depth > 0 ? stack.contexts[stack.depth - 1] : NULL;
}

bool si_context_known(const si_context *context) {
  for (int i = 0; i < SI_DEVICES; i++)
    if (context == &primaries[i])
      return true;
  return false;
}

si_context *si_context_of(int device) {
  return &primaries[device];
}

long si_contexts_alive(void) {
  long count = 0;
  for (int i = 0; i < SI_DEVICES; i++)
    count += primaries[i].alive;
  return count;
}

long si_swept(void) {
  return swept;
}

static cu_context handle_of(si_context *context) {
  return (cu_context)(void *)context;
}

static si_context *context_of(cu_context handle) {
  return (si_context *)(void *)handle;
}

cu_result cuDevicePrimaryCtxRetain(cu_context *handle, cu_device device) {
  SI_ENTER(cuDevicePrimaryCtxRetain, SI_INIT);
  if (!handle)
    return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  pthread_mutex_lock(&si_lock);
  si_context *primary = &primaries[device];
  while (primary->references > 0 && !primary->alive)
    pthread_cond_wait(&gone, &si_lock);
  if (primary->references == 0)
    *primary = (si_context){ .device = device, .alive = true };
  primary->references++;
  *handle = handle_of(primary);
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

cu_result cuDevicePrimaryCtxRelease_v2(cu_device device) {
  SI_ENTER_RELEASE(cuDevicePrimaryCtxRelease, SI_INIT);
  if (device < 0 || device >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  pthread_mutex_lock(&si_lock);
  si_context *primary = &primaries[device];
  if (primary->references == 0 || !primary->alive)
    say = CUDA_ERROR_INVALID_CONTEXT;
  else if (primary->references == 1) {
    primary->alive = false; /* before the lock is let go: no work comes in any more */
    swept += si_streams_end(primary);
    swept += si_events_sweep(primary) + si_modules_sweep(primary) + si_spaces_sweep(primary);
    primary->references = 0;
    pthread_cond_broadcast(&gone);
  } else {
    primary->references--;
  }
  pthread_mutex_unlock(&si_lock);
  return say;
}

cu_result cuCtxPushCurrent_v2(cu_context handle) {
  SI_ENTER(cuCtxPushCurrent, SI_INIT);
  pthread_mutex_lock(&si_lock);
  bool known = si_context_known(context_of(handle));
  bool alive = known && context_of(handle)->alive;
  pthread_mutex_unlock(&si_lock);
  if (!known)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!alive)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (stack.depth == DEPTH)
    return CUDA_ERROR_OUT_OF_MEMORY;
  stack.contexts[stack.depth++] = context_of(handle);
  return CUDA_SUCCESS;
}

cu_result cuCtxPopCurrent_v2(cu_context *handle) {
  SI_ENTER_RELEASE(cuCtxPopCurrent, SI_INIT);
  if (stack.depth == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  stack.depth--;
  if (handle)
    *handle = handle_of(stack.contexts[stack.depth]);
  return say;
}

cu_result cuCtxGetCurrent(cu_context *handle) {
  SI_ENTER(cuCtxGetCurrent, SI_INIT);
  if (!handle)
    return CUDA_ERROR_INVALID_VALUE;
  *handle = handle_of(si_current());
  return CUDA_SUCCESS;
}

cu_result cuCtxGetDevice(cu_device *device) {
  SI_ENTER(cuCtxGetDevice, SI_INIT);
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  if (!context)
    return CUDA_ERROR_INVALID_CONTEXT;
  *device = context->device;
  return CUDA_SUCCESS;
}

cu_result cuCtxSynchronize(void) {
  SI_ENTER(cuCtxSynchronize, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  cu_result result = si_context_capture_forbids(context);
  if (result == CUDA_SUCCESS)
    result = si_context_wait(context);
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuCtxEnablePeerAccess(cu_context handle, unsigned flags) {
  SI_ENTER(cuCtxEnablePeerAccess, SI_CONTEXT);
  si_context *peer = context_of(handle);
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  cu_result result = CUDA_SUCCESS;
  if (!si_context_known(peer) || !peer->alive || peer == context)
    result = CUDA_ERROR_INVALID_CONTEXT;
  else if (!si_configuration()->peer)
    result = CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  else if (context->peers[peer->device])
    result = CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
  else
    context->peers[peer->device] = true;
  pthread_mutex_unlock(&si_lock);
  return result;
}
