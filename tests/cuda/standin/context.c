/* context.c - the stand-in's contexts, each thread's stack of them, and what is left when one goes. */
#include "internal.h"

#define DEPTH 32

static si_context contexts[SI_CONTEXTS];               /* never freed: a stale handle must be told from none */
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
  for (int i = 0; i < SI_CONTEXTS; i++)
    if (context == &contexts[i])
      return true;
  return false;
}

si_context *si_context_of(int index) {
  return &contexts[index];
}

long si_contexts_alive(void) {
  long count = 0;
  for (int i = 0; i < SI_CONTEXTS; i++)
    count += contexts[i].alive;
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
  si_context *primary = &contexts[device];
  while (primary->references > 0 && !primary->alive)
    pthread_cond_wait(&gone, &si_lock);
  if (primary->references == 0)
    *primary = (si_context){ .device = device, .alive = true };
  primary->references++;
  *handle = handle_of(primary);
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

/* Locked, comes back with it unlocked for moments. */
static void end(si_context *context) {
  context->alive = false; /* before the lock is let go: no work comes in any more */
  swept += si_streams_end(context);
  swept += si_events_sweep(context) + si_modules_sweep(context) + si_spaces_sweep(context);
  context->references = 0;
  pthread_cond_broadcast(&gone);
}

cu_result cuDevicePrimaryCtxRelease_v2(cu_device device) {
  SI_ENTER_RELEASE(cuDevicePrimaryCtxRelease, SI_INIT);
  if (device < 0 || device >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  pthread_mutex_lock(&si_lock);
  si_context *primary = &contexts[device];
  if (primary->references == 0 || !primary->alive)
    say = CUDA_ERROR_INVALID_CONTEXT;
  else if (primary->references == 1)
    end(primary);
  else
    primary->references--;
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

/* ---- contexts that programs make, as GStreamer does; this library only lives in them. The calls are none of those in
 * its list: they count as others that are like them ---- */

/* A free one, which begins with nothing of the one before. Locked. */
static si_context *unused(void) {
  for (int i = SI_DEVICES; i < SI_CONTEXTS; i++)
    if (contexts[i].references == 0)
      return &contexts[i];
  return NULL;
}

STANDIN_API cu_result cuCtxCreate_v2(cu_context *handle, unsigned flags, cu_device device);
cu_result cuCtxCreate_v2(cu_context *handle, unsigned flags, cu_device device) {
  (void)flags;
  SI_ENTER(cuCtxGetDevice, SI_INIT);
  if (!handle)
    return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  if (stack.depth == DEPTH)
    return CUDA_ERROR_OUT_OF_MEMORY;
  pthread_mutex_lock(&si_lock);
  si_context *made = unused();
  if (made) {
    *made = (si_context){ .device = device, .alive = true, .references = 1 };
    stack.contexts[stack.depth++] = made;
    *handle = handle_of(made);
  }
  pthread_mutex_unlock(&si_lock);
  return made ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What is current on this thread is so no more; other threads keep a stale one. */
STANDIN_API cu_result cuCtxDestroy_v2(cu_context handle);
cu_result cuCtxDestroy_v2(cu_context handle) {
  SI_ENTER(cuCtxGetDevice, SI_INIT);
  si_context *gone_one = context_of(handle);
  pthread_mutex_lock(&si_lock);
  bool known = si_context_known(gone_one) && gone_one >= &contexts[SI_DEVICES] && gone_one->alive;
  if (known)
    end(gone_one);
  pthread_mutex_unlock(&si_lock);
  if (known && stack.depth > 0 && stack.contexts[stack.depth - 1] == gone_one)
    stack.depth--;
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

STANDIN_API cu_result cuCtxDisablePeerAccess(cu_context handle);
cu_result cuCtxDisablePeerAccess(cu_context handle) {
  SI_ENTER(cuCtxEnablePeerAccess, SI_CONTEXT);
  const si_context *peer = context_of(handle);
  pthread_mutex_lock(&si_lock);
  bool known = si_context_known(peer) && peer->alive && context->peers[peer->device];
  if (known)
    context->peers[peer->device] = false;
  pthread_mutex_unlock(&si_lock);
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
