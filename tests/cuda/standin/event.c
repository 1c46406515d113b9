/* event.c - the stand-in's events, in one process and between several.
 *
 * An event of one process is a place in a stream: "that operation is done". An interprocess event is a page in a memfd
 * with two counters, records submitted and records done; who waits wants `done` to reach what `submitted` was when
 * it began to wait. When the recorder is killed in between that never happens, as on a GPU.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define MAGIC 0x657674736e64696eu
#define PAGE 4096
#define POLL_US 50

typedef struct page {
  uint64_t magic;
  uint64_t submitted, done; /* by __atomic, several processes */
} page;

typedef struct shared_page {
  unsigned references; /* the event, operations */
  int fd;
  page *page;
} shared_page;

/* When a record was reached. */
typedef struct stamp {
  unsigned references; /* the event, the operation */
  uint64_t ns;         /* 0: not yet */
} stamp;

typedef struct stamp_op {
  si_op op;
  stamp *stamp;
} stamp_op;

typedef struct event {
  struct event *next;
  si_context *context;
  si_stream *stream; /* where it was recorded last; NULL: never */
  uint64_t number;
  stamp *stamp;        /* of that record */
  shared_page *shared; /* interprocess */
  bool imported, timed;
} event;

typedef struct shared_op {
  si_op op;
  shared_page *shared;
  uint64_t number;
} shared_op;

typedef struct event_handle {
  uint64_t magic;
  si_ipc_file file;
} event_handle;
static_assert(sizeof(event_handle) <= sizeof(cu_ipc_event_handle), "a handle holds it");

static event *events;

static event *find(cu_event handle) {
  for (event *e = events; e; e = e->next)
    if ((cu_event)(void *)e == handle)
      return e;
  return NULL;
}

long si_events_live(void) {
  long count = 0;
  for (const event *e = events; e; e = e->next)
    count++;
  return count;
}

/* ---- the shared page ---- */

static shared_page *page_map(int fd) {
  shared_page *shared = malloc(sizeof *shared);
  if (!shared)
    return NULL;
  void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    free(shared);
    return NULL;
  }
  *shared = (shared_page){ .references = 1, .fd = fd, .page = memory };
  return shared;
}

static void page_release(shared_page *shared) {
  if (!shared || --shared->references > 0)
    return;
  munmap(shared->page, PAGE);
  close(shared->fd);
  free(shared);
}

static bool reached(const shared_page *shared, uint64_t number) {
  return __atomic_load_n(&shared->page->done, __ATOMIC_ACQUIRE) >= number; /* pairs with event.c:run_shared_record */
}

static cu_result run_shared_record(si_stream *stream, si_op *op) {
  (void)stream;
  const shared_op *record = (const shared_op *)op;
  uint64_t *done = &record->shared->page->done;
  uint64_t now = __atomic_load_n(done, __ATOMIC_RELAXED);
  while (now < record->number &&
         !__atomic_compare_exchange_n(done, &now, record->number, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    ;
  return CUDA_SUCCESS;
}

static cu_result run_shared_wait(si_stream *stream, si_op *op) {
  const shared_op *wait = (const shared_op *)op;
  bool stopped = false;
  while (!stopped && !reached(wait->shared, wait->number)) {
    pthread_mutex_lock(&si_lock);
    si_wait_briefly(&stream->wake, POLL_US);
    stopped = si_stream_stopped(stream);
    pthread_mutex_unlock(&si_lock);
  }
  return stopped ? SI_STOPPED : CUDA_SUCCESS;
}

static void drop_shared(si_op *op) {
  page_release(((shared_op *)op)->shared);
}

/* Locked. */
static cu_result submit_shared(si_stream *stream, shared_page *shared, uint64_t number,
                               cu_result (*run)(si_stream *, si_op *)) {
  shared_op *op = malloc(sizeof *op);
  if (!op)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *op = (shared_op){ .op = { .run = run, .drop = drop_shared }, .shared = shared, .number = number };
  shared->references++;
  return si_submit(stream, &op->op, NULL);
}

static void stamp_release(stamp *s) {
  if (s && --s->references == 0)
    free(s);
}

static cu_result run_stamp(si_stream *stream, si_op *op) {
  (void)stream;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  pthread_mutex_lock(&si_lock);
  ((stamp_op *)op)->stamp->ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

static void drop_stamp(si_op *op) {
  stamp_release(((stamp_op *)op)->stamp);
}

/* ---- making and ending ---- */

static cu_result add(si_context *context, shared_page *shared, bool imported, cu_event *handle) {
  event *made = malloc(sizeof *made);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *made = (event){ .next = events, .context = context, .shared = shared, .imported = imported };
  events = made;
  *handle = (cu_event)(void *)made;
  return CUDA_SUCCESS;
}

static int make_page(void) {
  int fd = memfd_create("standin-event", MFD_CLOEXEC);
  page first = { .magic = MAGIC };
  if (fd >= 0 && (ftruncate(fd, PAGE) != 0 || pwrite(fd, &first, sizeof first, 0) != (ssize_t)sizeof first)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

cu_result cuEventCreate(cu_event *handle, unsigned flags) {
  SI_ENTER(cuEventCreate, SI_CONTEXT);
  bool interprocess = flags & CU_EVENT_INTERPROCESS;
  if (!handle || flags > 7 || (interprocess && !(flags & CU_EVENT_DISABLE_TIMING)))
    return CUDA_ERROR_INVALID_VALUE;
  int fd = interprocess ? make_page() : -1;
  pthread_mutex_lock(&si_lock);
  shared_page *shared = fd >= 0 ? page_map(fd) : NULL;
  cu_result result = CUDA_ERROR_OUT_OF_MEMORY;
  if (!interprocess || shared)
    result = add(context, shared, false, handle);
  if (result == CUDA_SUCCESS)
    find(*handle)->timed = !(flags & CU_EVENT_DISABLE_TIMING);
  if (result != CUDA_SUCCESS && shared)
    page_release(shared);
  else if (result != CUDA_SUCCESS && fd >= 0)
    close(fd);
  pthread_mutex_unlock(&si_lock);
  return result;
}

static void end(event *e) {
  for (event **at = &events; *at; at = &(*at)->next)
    if (*at == e) {
      *at = e->next;
      break;
    }
  if (e->stream)
    si_stream_release(e->stream);
  page_release(e->shared);
  stamp_release(e->stamp);
  free(e);
}

cu_result cuEventDestroy_v2(cu_event handle) {
  SI_ENTER_RELEASE(cuEventDestroy, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  event *e = find(handle);
  if (e)
    end(e);
  pthread_mutex_unlock(&si_lock);
  return e ? say : CUDA_ERROR_INVALID_HANDLE;
}

long si_events_sweep(si_context *context) {
  long count = 0;
  for (event *e = events, *next; e; e = next) {
    next = e->next;
    if (e->context == context) {
      end(e);
      count++;
    }
  }
  return count;
}

/* ---- recording and waiting ---- */

/* Locked. */
static cu_result record_local(event *e, si_stream *stream) {
  stamp_op *op = malloc(sizeof *op);
  stamp *made = calloc(1, sizeof *made);
  if (!op || !made) {
    free(op);
    free(made);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  made->references = 2;
  *op = (stamp_op){ .op = { .run = run_stamp, .drop = drop_stamp }, .stamp = made };
  uint64_t number;
  cu_result result = si_submit(stream, &op->op, &number);
  if (result != CUDA_SUCCESS) {
    stamp_release(made);
    return result;
  }
  si_stream_reference(stream);
  if (e->stream)
    si_stream_release(e->stream);
  stamp_release(e->stamp);
  e->stream = stream;
  e->number = number;
  e->stamp = made;
  return CUDA_SUCCESS;
}

cu_result cuEventRecord(cu_event handle, cu_stream on) {
  SI_ENTER(cuEventRecord, SI_CONTEXT);
  si_stream *stream;
  pthread_mutex_lock(&si_lock);
  event *e = find(handle);
  cu_result result = e && e->context == context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  if (result == CUDA_SUCCESS)
    result = si_stream_find(context, on, &stream);
  if (result == CUDA_SUCCESS && e->shared) {
    uint64_t number = __atomic_add_fetch(&e->shared->page->submitted, 1, __ATOMIC_RELEASE); /* pairs with newest() */
    result = submit_shared(stream, e->shared, number, run_shared_record);
  } else if (result == CUDA_SUCCESS) {
    result = record_local(e, stream);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* What a wait that begins now is for. */
static uint64_t newest(const event *e) {
  return __atomic_load_n(&e->shared->page->submitted, __ATOMIC_ACQUIRE); /* pairs with cuEventRecord() */
}

/* The event may be of another context; one that was never recorded is no wait. */
cu_result cuStreamWaitEvent(cu_stream by, cu_event handle, unsigned flags) {
  SI_ENTER(cuStreamWaitEvent, SI_CONTEXT);
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  si_stream *stream;
  pthread_mutex_lock(&si_lock);
  const event *e = find(handle);
  cu_result result = e ? si_stream_find(context, by, &stream) : CUDA_ERROR_INVALID_HANDLE;
  if (result == CUDA_SUCCESS && e->shared) {
    uint64_t number = newest(e);
    if (!reached(e->shared, number))
      result = submit_shared(stream, e->shared, number, run_shared_wait);
  } else if (result == CUDA_SUCCESS && e->stream) {
    result = si_submit_wait(stream, e->stream, e->number);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuEventQuery(cu_event handle) {
  SI_ENTER(cuEventQuery, SI_INIT);
  SI_MAY_WAIT();
  pthread_mutex_lock(&si_lock);
  const event *e = find(handle);
  bool done = e && (e->shared ? reached(e->shared, newest(e)) : !e->stream || e->stream->done >= e->number);
  cu_result result = !e                 ? CUDA_ERROR_INVALID_HANDLE
                     : e->context->sick ? si_sickness(e->context)
                     : done             ? CUDA_SUCCESS
                                        : CUDA_ERROR_NOT_READY;
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuEventElapsedTime(float *milliseconds, cu_event start, cu_event end) {
  SI_ENTER(cuEventElapsedTime, SI_INIT);
  pthread_mutex_lock(&si_lock);
  const event *from = find(start), *to = find(end);
  cu_result result = CUDA_SUCCESS;
  if (!milliseconds || !from || !to || !from->timed || !to->timed || !from->stamp || !to->stamp)
    result = CUDA_ERROR_INVALID_HANDLE;
  else if (from->stamp->ns == 0 || to->stamp->ns == 0)
    result = CUDA_ERROR_NOT_READY;
  else
    *milliseconds = (float)((double)(int64_t)(to->stamp->ns - from->stamp->ns) / 1e6);
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* Locked; comes back with it unlocked for moments. */
static cu_result wait_shared(const si_context *context, shared_page *shared, uint64_t number) {
  static pthread_cond_t never; /* nobody signals it: this is a poll */
  static bool made;
  if (!made)
    si_condition_init(&never);
  made = true;
  shared->references++;
  while (!reached(shared, number) && context->sick == CUDA_SUCCESS && context->alive)
    si_wait_briefly(&never, POLL_US);
  page_release(shared);
  return context->alive ? si_sickness(context) : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

cu_result cuEventSynchronize(cu_event handle) {
  SI_ENTER(cuEventSynchronize, SI_INIT);
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  const event *e = find(handle);
  if (!e)
    result = CUDA_ERROR_INVALID_HANDLE;
  else if (e->context->sick)
    result = si_sickness(e->context);
  else if (e->shared)
    result = wait_shared(e->context, e->shared, newest(e));
  else if (e->stream)
    result = si_stream_wait(e->stream, e->number);
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* ---- between processes ---- */

static bool supported(void) {
  return si_configuration()->attribute[CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED] != 0;
}

cu_result cuIpcGetEventHandle(cu_ipc_event_handle *exported, cu_event handle) {
  SI_ENTER(cuIpcGetEventHandle, SI_CONTEXT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  const event *e = find(handle);
  if (!exported || !e || !e->shared || e->imported) {
    result = e ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
  } else {
    event_handle what = { .magic = MAGIC };
    si_ipc_name(e->shared->fd, &what.file);
    memset(exported, 0, sizeof *exported);
    memcpy(exported, &what, sizeof what);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* Takes the descriptor over. Locked. */
static cu_result import(si_context *context, int fd, cu_event *handle) {
  struct stat stat;
  shared_page *shared = fstat(fd, &stat) == 0 && stat.st_size == PAGE ? page_map(fd) : NULL;
  if (!shared) {
    close(fd);
    return CUDA_ERROR_MAP_FAILED;
  }
  cu_result result = shared->page->magic == MAGIC ? add(context, shared, true, handle) : CUDA_ERROR_INVALID_VALUE;
  if (result != CUDA_SUCCESS)
    page_release(shared);
  return result;
}

cu_result cuIpcOpenEventHandle(cu_event *handle, cu_ipc_event_handle imported) {
  SI_ENTER(cuIpcOpenEventHandle, SI_CONTEXT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  event_handle what;
  memcpy(&what, &imported, sizeof what);
  if (!handle || what.magic != MAGIC)
    return CUDA_ERROR_INVALID_VALUE;
  int fd;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_ipc_open(&what.file, &fd);
  if (result == CUDA_SUCCESS)
    result = import(context, fd, handle);
  pthread_mutex_unlock(&si_lock);
  return result;
}
