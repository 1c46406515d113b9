/* core.h - what the parts of the extension share: its objects, errors, arguments.
 *
 * The extension is the C API for Python and no more: one method is one call, times are nanoseconds, words are numbers.
 * What is pleasant is written in Python, in cuframes/. Objects refer only downwards (plane to frame, frame to nothing
 * but its publisher), so that there are no cycles, and what is released is released at once.
 *
 * A method that may wait gives the interpreter to other threads and looks for signals every 50 ms, or has the library
 * ask for them. Everything that
 * another thread could end meanwhile (a frame, a subscriber) is held by a reference of its own in such a call.
 */
#ifndef CUFRAMES_PYTHON_CORE_H
#define CUFRAMES_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>

#include <cuframes/cuframes.h>

/* ---- objects ---- */

typedef struct publisher_object publisher_object;

typedef struct frame_object {
  PyObject ob_base;
  cuframes_frame *frame;       /* NULL: it was released, published or cancelled */
  publisher_object *publisher; /* of an open frame, else NULL */
  void *stream;                /* of next() */
  int has_stream;
  int waits; /* given before it was complete: other streams than that need a wait */
  unsigned process;
} frame_object;

typedef struct plane_object {
  PyObject ob_base;
  frame_object *owner;
  cuframes_frame *pinned; /* a reference for arrays that nobody sees end; or NULL */
  int index;
  cuframes_array array;
  Py_ssize_t shape[4], strides[4]; /* strides: bytes */
} plane_object;

enum { LEASES_MAX = 64 };

typedef struct subscriber_object {
  PyObject ob_base;
  cuframes_subscriber *handle;
  int taking, reading, closing; /* a thread is in next(), in next_packet(); close() waits for them */
  unsigned process;
  uint32_t leases, sync;
  char name[CUFRAMES_NAME_MAX + 1];
  struct {
    cuframes_frame *frame;
    uint64_t seq;
  } given[LEASES_MAX]; /* to say who holds the leases */
} subscriber_object;

struct publisher_object {
  PyObject ob_base;
  cuframes_publisher *handle;
  int calls, closing;
  unsigned process;
  void *stream; /* of the last frame */
};

typedef struct packet_object {
  PyObject ob_base;
  cuframes_packet *packet;
} packet_object;

typedef struct join_object {
  PyObject ob_base;
  cuframes_join *handle;
  int calls, closing;
  unsigned process;
} join_object;

/* Subscribers that one thread serves. `late` are those that were taken out while a thread is in next(). */
typedef struct batch_object {
  PyObject ob_base;
  cuframes_batch *handle;
  PyObject *members, *late; /* a dict {subscriber: index}, a list */
  int taking, closing;
  unsigned process;
} batch_object;

extern PyTypeObject *frame_type, *plane_type, *packet_type, *subscriber_type;

/* ---- locks ----
 *
 * Where Python has no GIL a method holds its object, and that of a frame its publisher, too: what is here is written
 * for the GIL, and such a lock is let go wherever that would be. With the GIL this is nothing. */
#ifdef Py_GIL_DISABLED
#define CORE_LOCK(first, second) Py_BEGIN_CRITICAL_SECTION2(first, second);
#define CORE_UNLOCK Py_END_CRITICAL_SECTION2();
#else
#define CORE_LOCK(first, second) (void)(first), (void)(second);
#define CORE_UNLOCK
#endif

/* locked_NAME() of a method, of one with words, and of a getter, whose object is held. */
#define CORE_LOCKED_AS(parameters, arguments, first, second, name)                                                     \
  static PyObject *locked_##name parameters {                                                                          \
    PyObject *made;                                                                                                    \
    CORE_LOCK(first, second)                                                                                           \
    made = name arguments;                                                                                             \
    CORE_UNLOCK                                                                                                        \
    return made;                                                                                                       \
  }
#define CORE_LOCKED(name, first, second)                                                                               \
  CORE_LOCKED_AS((PyObject * self, PyObject * args), (self, args), first, second, name)
#define CORE_LOCKED_WORDS(name, first, second)                                                                         \
  CORE_LOCKED_AS((PyObject * self, PyObject * args, PyObject * words), (self, args, words), first, second, name)
#define CORE_LOCKED_GETTER(name, first, second)                                                                        \
  CORE_LOCKED_AS((PyObject * self, void *closure), (self, closure), first, second, name)
/* What subscribers and publishers make: types of Python that are derived from frame_type. */
extern PyTypeObject *frame_made, *open_frame_made;

/* ---- module.c ---- */

/* Raises what the last call of the library on this thread has said. Always NULL. */
PyObject *core_error(int result);
/* The same with a detail of our own. */
PyObject *core_error_of(int result, const char *detail);
/* NULL for CUFRAMES_OK's None, else an error. */
PyObject *core_none(int result);
/* 0, or -1 with an error in a process that was forked from the one that made it. */
int core_process_check(unsigned made_in, const char *what);
unsigned core_process(void);
/* A time, or None. */
PyObject *core_time(int64_t time);
/* Whole numbers, for "O&": "I" and "K" would cut what does not fit without a word, and know no name for the error. */
typedef struct core_number {
  const char *name;
  uint64_t most, value;
} core_number;
#define CORE_NUMBER(name)                                                                                              \
  { name, UINT32_MAX, 0 }
int core_number_take(PyObject *object, void *number);
/* Takes a number of a dict; there may be none. -1 with an error. */
int core_number_get(PyObject *dict, core_number *number);
/* Seconds or None (for ever) as nanoseconds; the name is for the error. -1 with an error. */
int core_timeout(const char *name, PyObject *seconds, int64_t *nanoseconds);
/* A stream: None (*given is 0), a number, or an object of torch, CuPy, numba or cuda.core. -1 with an error. */
int core_stream(PyObject *stream, void **handle, int *given);
/* Makes a type of a spec, and adds it to the module. NULL with an error. */
PyTypeObject *core_type(PyObject *module, PyType_Spec *spec);
/* An empty object of a type. */
void *core_new(PyTypeObject *type);
void core_delete(PyObject *self);
/* Adds a value to a dict, whose reference it takes. -1 with an error. */
int core_put(PyObject *dict, const char *key, PyObject *value);
/* The end of a wait: the most nanoseconds of the next step towards a deadline (INT64_MAX: never); and what to do when
 * the step timed out. 1: go on, 0: the time is up, -1: a signal raised an error. */
int64_t core_deadline(int64_t timeout);
int64_t core_step(int64_t deadline);
int core_go_on(int64_t deadline);
/* The option `interrupt` of the library's calls, for the thread that makes them without the interpreter: whether a
 * signal raised an error, or another thread closes the object, whose `closing` is given; or NULL. The call gives
 * INTERRUPTED then, and core_error() of it leaves the error as it is. */
int core_interrupted(void *closing);

/* ---- the others ---- */

int frame_setup(PyObject *module);
/* A frame that next() gave. Takes the reference, on failure, too. */
PyObject *frame_give(cuframes_frame *frame, void *stream, int has_stream, int waits);
PyObject *frame_give_open(cuframes_frame *frame, publisher_object *publisher);
/* What is held beside a frame: its publisher, or itself. */
PyObject *frame_second(PyObject *frame);
/* The frame, or NULL with an error: it was released, or this is another process. */
cuframes_frame *frame_of(frame_object *self);
/* Lets the picture be complete for the stream (any, if has_stream is 0). -1 with an error. */
int frame_complete(frame_object *self, void *stream, int has_stream);
int plane_setup(PyObject *module);
PyObject *plane_give(frame_object *owner, int index);
/* A capsule of the plane; flags are CUFRAMES_DLPACK_*. */
PyObject *capsule_give(cuframes_frame *frame, int plane, void *stream, uint32_t flags);
/* Copies what a DLPack capsule or a buffer holds into a plane of an open frame; in order on the stream if that is
 * memory of a GPU. -1 with an error. */
int capsule_take(frame_object *self, int plane, PyObject *capsule, void *stream);
PyObject *core_array_words(const cuframes_array *array);
int subscriber_setup(PyObject *module);
/* The handle, or NULL with an error: it was closed, or this is another process. */
cuframes_subscriber *subscriber_handle(subscriber_object *self);
/* A frame of it was given: for who asks who holds the leases. */
void subscriber_note(subscriber_object *self, cuframes_frame *frame);
/* A subscriber that ends leaves its batch, which must not end meanwhile: held for reading by the one, for writing by
 * the other. Without the interpreter, and in the process that made them. */
extern pthread_rwlock_t batch_members_lock;
int batch_setup(PyObject *module);
int preprocess_setup(PyObject *module);
int publisher_setup(PyObject *module);
/* A call of it, counted in `calls`, is over: the last one ends it where close() was called meanwhile. */
void publisher_over(publisher_object *self);
int packet_setup(PyObject *module);
PyObject *packet_give(cuframes_packet *packet);
PyObject *codec_params_give(const cuframes_codec_params *params, const void *extradata, size_t size);
int codec_params_take(PyObject *dict, cuframes_codec_params *params, Py_buffer *extradata);
int join_setup(PyObject *module);
PyObject *color_give(cuframes_color color);
int color_take(PyObject *tuple, cuframes_color *color);
PyObject *format_give(const cuframes_format *format);
int format_take(PyObject *dict, cuframes_format *format);
PyObject *source_give(const cuframes_source_info *source);
PyObject *id_give(const cuframes_frame_id *id);
int id_take(PyObject *tuple, cuframes_frame_id *id);
PyObject *core_list(PyObject *module, PyObject *args);
PyObject *core_query(PyObject *module, PyObject *args);

#endif
