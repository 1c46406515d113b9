/* internal.h - what the parts of the CUDA stand-in share: the state, its one lock, and who owns what.
 *
 * Everything below is guarded by si_lock, unless its comment says otherwise. The threads of streams hold it only
 * between operations, never while they copy, compute or wait. Functions that want it held say "locked".
 */
#ifndef STANDIN_INTERNAL_H
#define STANDIN_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/cuda/driver.h"
#include "standin.h"

#define SI_DEVICES 8
#define SI_CONTEXTS (SI_DEVICES + 32) /* the primary ones, then those that programs make */
#define SI_GRANULARITY ((uint64_t)2 << 20)

/* The prototypes of what is exported, from the one list. */
#define F(need, name, symbol, version, parameters) STANDIN_API cu_result symbol parameters;
CF_CUDA_FUNCTIONS(F)
#undef F
enum si_function {
#define F(need, name, symbol, version, parameters) SI_##name,
  CF_CUDA_FUNCTIONS(F)
#undef F
      SI_FUNCTIONS
};

typedef struct si_context si_context;
typedef struct si_stream si_stream;
typedef struct si_op si_op;
typedef struct si_physical si_physical;
typedef struct si_space si_space;

/* ---- config.c: the environment; read once, then constant ---- */

typedef struct si_config {
  int devices;             /* that this process sees */
  int machine[SI_DEVICES]; /* ordinal here -> number on the machine */
  uint64_t memory;         /* bytes of each */
  int peer;
  int version;
  uint64_t seed, delay_us;
  char without[256]; /* ",name,name," */
  char fail[256];
  char name[64];                     /* of each GPU; "": one of our own */
  char hang[64], crash[64], end[64]; /* a function, "": none */
  char report[256];
  int attribute[160]; /* what each device attribute is; -1: there is none */
} si_config;

const si_config *si_configuration(void);
void si_uuid(int machine, cu_uuid *uuid);
/* The ordinal of a UUID here, or -1. */
int si_ordinal(const cu_uuid *uuid);

/* ---- entry.c: what every call does first ---- */

enum si_needs { SI_NOTHING, SI_INIT, SI_CONTEXT };

extern pthread_mutex_t si_lock;

/* Counts the call, fails it if that was asked for, looks whether it may be made, and gives the current context (NULL
 * if there is none and none is needed). Not locked, and leaves nothing locked. */
cu_result si_enter(enum si_function function, enum si_needs needs, si_context **context);
/* The same for what releases: an error that was asked for goes to *say, to be given after the work is done. */
cu_result si_enter_release(enum si_function function, enum si_needs needs, si_context **context, cu_result *say);
/* Whether this process was forked from one that used the stand-in: then nothing works. */
bool si_forked(void);
/* Between these the calling thread may make no call: it runs a host function. */
void si_callback_begin(void);
void si_callback_end(void);

#define SI_ENTER(name, needs)                                                                                          \
  si_context *context;                                                                                                 \
  cu_result entered = si_enter(SI_##name, needs, &context);                                                            \
  (void)context;                                                                                                       \
  if (entered != CUDA_SUCCESS)                                                                                         \
  return entered

#define SI_ENTER_RELEASE(name, needs)                                                                                  \
  si_context *context;                                                                                                 \
  cu_result say;                                                                                                       \
  cu_result entered = si_enter_release(SI_##name, needs, &context, &say);                                              \
  (void)context;                                                                                                       \
  if (entered != CUDA_SUCCESS)                                                                                         \
  return entered

/* ---- context.c ---- */

struct si_context {
  int device; /* ordinal */
  unsigned references;
  bool alive;
  cu_result sick;         /* the sticky error */
  bool peers[SI_DEVICES]; /* whose memory its kernels may use */
  si_stream *streams;     /* its streams, destroyed ones that still work too */
  si_stream *legacy;      /* the NULL stream; made when it is first used */
  unsigned threads;       /* of its streams */
  unsigned running;       /* operations */
};

/* The calling thread's current context, or NULL. */
si_context *si_current(void);
/* Whether this is a context that was ever made. Locked. */
bool si_context_known(const si_context *context);
/* One of SI_CONTEXTS, alive or not; the first are the devices' primary ones. */
si_context *si_context_of(int index);
long si_contexts_alive(void); /* locked */
long si_swept(void);          /* locked */

/* ---- stream.c: queues and their threads ---- */

/* One piece of work. `run` is called by the stream's thread, not locked; what it gives, if not CUDA_SUCCESS, makes the
 * context sick. SI_STOPPED: the context is going. `drop` (may be NULL) frees what it owns, locked, whether it ran or
 * not. */
struct si_op {
  si_op *next;
  uint64_t number;
  size_t bytes; /* of what may be done again as often as one likes, since it owns nothing; 0: it may not */
  cu_result (*run)(si_stream *stream, si_op *op);
  void (*drop)(si_op *op);
};
#define SI_STOPPED ((cu_result)-1)

struct si_stream {
  si_stream *next;
  si_context *context;
  unsigned references; /* handle, thread, events that were recorded on it, operations that wait for it */
  bool has_handle;     /* cuStreamDestroy() was not called */
  bool blocking;       /* waits for the NULL stream and the other way round */
  bool has_thread;
  bool stop;            /* drop everything: the context is going */
  pthread_cond_t wake;  /* its thread: there is work, or a reason to look */
  pthread_cond_t moved; /* `done` went up */
  si_op *first, *last;
  cu_capture_status capture;
  cu_capture_mode capture_mode;
  const char *capturer;     /* the thread that began it */
  si_op *captured;          /* nodes of its graph, the last one first */
  uint64_t submitted, done; /* numbers of operations */
  uint64_t random;          /* the thread's own */
};

/* Gives the stream behind a handle for work of the current context; one of another context is refused. Locked.
 * Errors: INVALID_HANDLE, CONTEXT_IS_DESTROYED. */
cu_result si_stream_find(si_context *context, cu_stream handle, si_stream **stream);
/* Takes the operation over, whatever it gives; *number (may be NULL) is its number. Locked. Errors: OUT_OF_MEMORY. */
cu_result si_submit(si_stream *stream, si_op *op, uint64_t *number);
/* Lets the stream wait for operation `number` of another one. Locked. Errors: OUT_OF_MEMORY. */
cu_result si_submit_wait(si_stream *stream, si_stream *on, uint64_t number);
/* Makes and submits an operation to the stream behind a handle: `bytes` (an si_op first) are copied. Not locked.
 * wait: comes back when it is done, with the context's sticky error if it became sick. */
cu_result si_enqueue(si_context *context, cu_stream handle, const si_op *op, size_t bytes, bool wait);
/* Waits until operation `number` is done. Locked. */
cu_result si_stream_wait(si_stream *stream, uint64_t number);
/* capture.c: whether a blocking stream of the context captures a graph: then its NULL stream takes nothing. Locked. */
bool si_context_captures(const si_context *context, bool blocking_only);
/* Takes an operation over as the next node of the graph that a stream captures. Locked. */
void si_capture_add(si_stream *stream, si_op *op);
/* Frees such nodes. Locked. */
void si_capture_drop(si_op *nodes);
/* What a call may not do that might wait for a capture without knowing, where captures of this thread, or of others in
 * global mode, forbid it: they are invalid then. Not locked. Errors: STREAM_CAPTURE_UNSUPPORTED. */
cu_result si_capture_spoiled(void);
/* What must not be done while streams of the context (or this one) capture: their captures are invalid, if there are
 * any. Locked. Errors: STREAM_CAPTURE_UNSUPPORTED, STREAM_CAPTURE_INVALIDATED. */
cu_result si_capture_forbids(si_stream *stream);
cu_result si_context_capture_forbids(const si_context *context);
#define SI_MAY_WAIT()                                                                                                  \
  cu_result spoiled = si_capture_spoiled();                                                                            \
  if (spoiled != CUDA_SUCCESS)                                                                                         \
  return spoiled
/* Makes a context sick, if it is well, and lets its work look at that. Locked. */
void si_sicken(si_context *context, cu_result error);
/* The context's sticky error, or CUDA_SUCCESS. As on a GPU, who is told one knows that nothing of the context works any
 * more: waits for operations that run. Locked, comes back with it unlocked for moments; not for `run`. */
cu_result si_sickness(const si_context *context);
/* Waits for all of the context's work so far. Locked. */
cu_result si_context_wait(si_context *context);
void si_stream_reference(si_stream *stream); /* locked */
void si_stream_release(si_stream *stream);   /* locked */
/* Ends all streams of a dying context; gives how many still had a handle. Locked. */
long si_streams_end(si_context *context);
long si_streams_live(void); /* locked */
/* For `run`: whether to give up, since the context is going or is sick. Locked. */
bool si_stream_stopped(const si_stream *stream);
/* For `run`: waits on a condition, at most so long. Locked. */
void si_wait_briefly(pthread_cond_t *condition, uint64_t microseconds);
/* Makes a condition that si_wait_briefly() can wait on. */
void si_condition_init(pthread_cond_t *condition);
/* For `run`: sleeps so long, or until the stream is stopped (false). Not locked. */
bool si_stream_sleep(si_stream *stream, uint64_t microseconds);
/* The same for a random time within the configured delay. */
bool si_stream_pause(si_stream *stream);

/* ---- event.c ---- */

long si_events_live(void); /* locked */
/* Forgets the events of a dying context and gives how many there were. Locked. */
long si_events_sweep(si_context *context);

/* ---- memory.c: physical memory, and address ranges where it is mapped ---- */

/* Behind the data of each memfd; says what the memory is to whom it is handed. */
typedef struct si_trailer {
  uint64_t magic;
  uint64_t bytes;
  cu_uuid device;
  uint32_t kind; /* enum si_trailer_kind */
} si_trailer;
enum si_trailer_kind { SI_TRAILER_PLAIN = 1, SI_TRAILER_VMM, SI_TRAILER_POOL };

struct si_physical {
  unsigned references; /* handles, mappings, pools */
  int fd;
  uint64_t bytes;
  int device; /* ordinal */
  bool own;   /* made here: counts against the device's memory */
  cu_mem_prop prop;
};

enum si_space_kind { SI_ALLOCATION, SI_POOLED, SI_RESERVATION, SI_IPC, SI_REGISTERED, SI_HOST };

/* Memory mapped in a space. All but reservations have one that fills them. */
typedef struct si_map {
  struct si_map *next;
  uint64_t offset, bytes; /* in the space */
  si_physical *physical;  /* NULL for host memory */
  uint64_t from;          /* in the physical memory */
  bool going;             /* waits until nobody works there */
  uint64_t handle;        /* VMM: that it was mapped from */
  unsigned access[SI_DEVICES];
} si_map;

struct si_space {
  si_space *next;
  enum si_space_kind kind;
  uint64_t start, bytes; /* device addresses; for host memory they are its own */
  uint8_t *memory;       /* where the CPU finds the same bytes */
  uint64_t id;
  si_context *context; /* that it belongs to; NULL for VMM */
  si_map *maps;
  bool read_only;    /* host memory registered so */
  unsigned pins;     /* operations that work there now */
  bool going;        /* waits for them; not found any more */
  bool freed;        /* pooled: a free is queued */
  unsigned opens;    /* of a legacy handle */
  void *pool;        /* pooled: whose */
  uint64_t dev, ino; /* of what a legacy handle named */
};

enum si_how { SI_READS = 1, SI_WRITES = 2, SI_BY_KERNEL = 4 /* needs peer access for another GPU's memory */ };

/* Makes `bytes` of memory on a device, one reference. Locked. Errors: OUT_OF_MEMORY. */
cu_result si_physical_create(int device, uint64_t bytes, enum si_trailer_kind kind, si_physical **physical);
/* Takes a descriptor over that another process exported, one reference; closes it on failure. Locked.
 * Errors: INVALID_VALUE (not of that kind), INVALID_DEVICE (of a GPU that is not seen here). */
cu_result si_physical_import(int fd, enum si_trailer_kind kind, si_physical **physical);
void si_physical_release(si_physical *physical); /* locked; NULL is fine */
uint64_t si_memory_used(int device);             /* locked */

/* Makes an address range with nothing in it. Locked. NULL: out of addresses or memory. */
si_space *si_space_create(enum si_space_kind kind, si_context *context, uint64_t bytes, uint64_t align);
/* Makes a space of host memory that is there. Locked. */
si_space *si_space_of_host(enum si_space_kind kind, si_context *context, void *memory, uint64_t bytes);
/* Maps memory in a space; takes a reference. Locked. Errors: INVALID_VALUE (overlap), OUT_OF_MEMORY. */
cu_result si_map_add(si_space *space, uint64_t offset, uint64_t bytes, si_physical *physical, uint64_t from,
                     si_map **map);
/* Waits until nobody works there, then unmaps. Locked; lets the lock go meanwhile. */
void si_map_remove(si_space *space, si_map *map);
/* The same for all of it and the addresses. */
void si_space_destroy(si_space *space);
/* The space that an address is in, or NULL. Locked. */
si_space *si_space_find(uint64_t address);
/* All of them, newest first, those that are going too. Locked. */
si_space *si_spaces(void);
/* The memory mapped at an address, or NULL. Locked. */
si_map *si_map_find(const si_space *space, uint64_t address);
/* Maps what the access rights say for the CPU as well. Locked. */
void si_map_protect(const si_space *space, const si_map *map);
long si_spaces_count(enum si_space_kind kind); /* locked */
long si_maps_count(void);                      /* in reservations; locked */
/* Destroys what belongs to a dying context and gives how much that was. Locked. */
long si_spaces_sweep(si_context *context);

/* Whether all of a range is mapped memory, whatever the rights: what a call checks before it queues work. Locked. */
bool si_range_known(uint64_t address, uint64_t bytes);
/* The CPU's pointer to a range, for a stream of that context; it stays until si_unpin(). Not locked.
 * Errors: ILLEGAL_ADDRESS. */
typedef struct si_pin {
  uint8_t *memory;
  si_space *space;
} si_pin;
cu_result si_pin_range(si_context *context, uint64_t address, uint64_t bytes, int how, si_pin *pin);
void si_unpin(const si_pin *pin);

/* ---- ipc.c: descriptors of other processes ---- */

typedef struct si_ipc_file {
  int32_t process, fd;
  uint64_t dev, ino;
} si_ipc_file;

/* Names a descriptor of this process. */
void si_ipc_name(int fd, si_ipc_file *file);
/* Opens what another process named. Errors: INVALID_CONTEXT (it is this process), INVALID_VALUE (it is not there). */
cu_result si_ipc_open(const si_ipc_file *file, int *fd);

/* ---- the others' counters, locked ---- */

long si_handles_count(void);                /* vmm.c */
long si_pools_count(void);                  /* pool.c */
long si_modules_live(void);                 /* kernel.c */
long si_modules_sweep(si_context *context); /* kernel.c */

#endif
