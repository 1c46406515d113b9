/* subscriber.c - joining a stream, and taking frames and packets of it. */
#include "core.h"

#include <stdio.h>
#include <string.h>

PyTypeObject *subscriber_type;

/* ---- life ---- */

static PyObject *subscriber_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "name",      "mode", "directory", "label",  "leases", "depth",
                           "reconnect", "sync", "timeout",   "device", NULL };
  cuframes_subscriber_options options = { .struct_size = sizeof options };
  core_number mode = CORE_NUMBER("mode"), leases = CORE_NUMBER("leases"), depth = CORE_NUMBER("depth"),
              sync = CORE_NUMBER("sync");
  const char *name;
  PyObject *seconds;
  Py_ssize_t length;
  int reconnect, result;
  if (!PyArg_ParseTupleAndKeywords(args, words, "sO&z#zO&O&pO&Oz:Subscriber", names, &name, core_number_take, &mode,
                                   &options.directory, &length, &options.label, core_number_take, &leases,
                                   core_number_take, &depth, &reconnect, core_number_take, &sync, &seconds,
                                   &options.device) ||
      core_timeout("timeout", seconds, &options.connect_timeout_ns) != 0)
    return NULL;
  options.mode = (uint32_t)mode.value;
  options.leases = (uint32_t)leases.value;
  options.depth = (uint32_t)depth.value;
  options.reconnect = (uint32_t)reconnect;
  options.sync = (uint32_t)sync.value;
  subscriber_object *self = core_new(type);
  if (!self)
    return NULL;
  self->process = core_process();
  self->leases = options.leases ? options.leases : 2;
  if (self->leases > LEASES_MAX)
    self->leases = LEASES_MAX;
  self->sync = options.sync;
  snprintf(self->name, sizeof self->name, "%s", name);
  options.interrupt = core_interrupted;
  options.interrupt_user = &self->closing;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_subscriber_create(name, &options, &self->handle);
  Py_END_ALLOW_THREADS
  if (result == CUFRAMES_OK)
    return (PyObject *)self;
  (void)core_error(result);
  Py_DECREF((PyObject *)self);
  return NULL;
}

static void leave(subscriber_object *self) {
  cuframes_subscriber *handle = self->handle;
  self->handle = NULL;
  if (!handle)
    return;
  int ours = self->process == core_process();
  PyThreadState *thread = PyEval_SaveThread();
  if (ours)
    pthread_rwlock_rdlock(&batch_members_lock);
  cuframes_subscriber_destroy(handle);
  if (ours)
    pthread_rwlock_unlock(&batch_members_lock);
  PyEval_RestoreThread(thread);
}

static void subscriber_delete(PyObject *object) {
  leave((subscriber_object *)object);
  core_delete(object);
}

static int is_closed(const subscriber_object *self) {
  return !self->handle || self->closing;
}

/* The handle, or NULL with an error. */
cuframes_subscriber *subscriber_handle(subscriber_object *self) {
  if (self->process != core_process()) {
    (void)core_process_check(self->process, "subscriber");
    return NULL;
  }
  if (is_closed(self)) {
    PyErr_Format(PyExc_ValueError, "this subscriber of \"%s\" was closed", self->name);
    return NULL;
  }
  return self->handle;
}

/* Calls that another thread's close() must wait for: begin, end. */
static int call_begins(subscriber_object *self, int *busy, const char *what) {
  if (!subscriber_handle(self))
    return -1;
  if (*busy) {
    PyErr_Format(PyExc_RuntimeError,
                 "another thread is in %s of this subscriber: one takes at a time; subscribe() once "
                 "for each thread",
                 what);
    return -1;
  }
  *busy = 1;
  return 0;
}

static void call_ends(subscriber_object *self, int *busy) {
  *busy = 0;
  if (self->closing && !self->taking && !self->reading) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    leave(self);
    PyErr_Restore(type, value, trace);
  }
}

static PyObject *subscriber_close(PyObject *object, PyObject *none) {
  subscriber_object *self = (subscriber_object *)object;
  (void)none;
  if (self->process == core_process() && (self->taking || self->reading)) {
    self->closing = 1;
    cuframes_subscriber_interrupt(self->handle);
  } else {
    leave(self);
  }
  Py_RETURN_NONE;
}

/* ---- frames ---- */

static int held(const subscriber_object *self, uint32_t i) {
  cuframes_frame *frame = self->given[i].frame;
  return frame && cuframes_frame_references(frame) > 0 && cuframes_frame_seq(frame) == self->given[i].seq;
}

void subscriber_note(subscriber_object *self, cuframes_frame *frame) {
  /* Frames of a connection before have leases of their own there, and their handles may be gone. */
  if (cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY)
    memset(self->given, 0, sizeof self->given);
  for (uint32_t i = 0; i < self->leases; i++)
    if (!held(self, i)) {
      self->given[i].frame = frame;
      self->given[i].seq = cuframes_frame_seq(frame);
      return;
    }
}

/* All leases are in hand: says by what. */
static PyObject *leases_error(subscriber_object *self) {
  char text[1024];
  int at =
      snprintf(text, sizeof text, "all %u leases of this subscriber of \"%s\" are in hand:", self->leases, self->name);
  uint32_t shown = 0, count = 0;
  for (uint32_t i = 0; i < self->leases; i++) {
    if (!held(self, i))
      continue;
    count++;
    uint32_t references = cuframes_frame_references(self->given[i].frame);
    if (at < 700) {
      at += snprintf(text + at, sizeof text - (size_t)at, "%s frame %llu (%u reference%s)", shown ? "," : "",
                     (unsigned long long)self->given[i].seq, references, references == 1 ? "" : "s");
      shown++;
    }
  }
  if (shown < count)
    at += snprintf(text + at, sizeof text - (size_t)at, " and %u more", count - shown);
  if (count < self->leases)
    at += snprintf(text + at, sizeof text - (size_t)at, "%s %u that a stream of a GPU has not finished with",
                   count ? "," : "", self->leases - count);
  snprintf(
      text + at, sizeof text - (size_t)at,
      ". Each Frame object and each tensor, array or buffer of it is a reference: drop them (del, release()), take "
      "copies (clone()), or subscribe with more leases=");
  return core_error_of(CUFRAMES_ERR_LEASE_LIMIT, text);
}

/* The next frame; Py_None when the time is up (for a loop: at interrupt(), too), NULL with an error. */
static PyObject *take(subscriber_object *self, int64_t timeout, void *stream, int has_stream, int loop) {
  cuframes_frame *frame = NULL;
  int result, go_on = 1;
  if (call_begins(self, &self->taking, "next()") != 0)
    return NULL;
  int64_t deadline = timeout == 0 ? 0 : core_deadline(timeout);
  do {
    int64_t step = timeout == 0 ? 0 : core_step(deadline);
    Py_BEGIN_ALLOW_THREADS
    result = has_stream ? cuframes_subscriber_next_on(self->handle, step, stream, &frame)
                        : cuframes_subscriber_next(self->handle, step, &frame);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = timeout == 0 ? 0 : core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0 && !self->closing);
  PyObject *made = NULL;
  if (result == CUFRAMES_OK) {
    subscriber_note(self, frame);
    made = frame_give(frame, stream, has_stream, has_stream && self->sync > CUFRAMES_SYNC_COMPLETE);
  } else if (go_on >= 0 && (result == CUFRAMES_ERR_TIMEOUT || (loop && result == CUFRAMES_ERR_INTERRUPTED))) {
    made = Py_NewRef(Py_None);
  } else if (result == CUFRAMES_ERR_LEASE_LIMIT) {
    made = leases_error(self);
  } else if (go_on >= 0) {
    made = core_error(result);
  }
  call_ends(self, &self->taking);
  return made;
}

static PyObject *subscriber_next(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "timeout", "stream", NULL };
  PyObject *seconds = NULL, *given = NULL;
  int64_t timeout;
  void *stream;
  int has_stream;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|O$O:next", names, &seconds, &given) ||
      core_timeout("timeout", seconds, &timeout) != 0 || core_stream(given, &stream, &has_stream) != 0)
    return NULL;
  PyObject *made = take((subscriber_object *)object, timeout, stream, has_stream, 0);
  if (made != Py_None)
    return made;
  Py_DECREF(made);
  char text[160];
  snprintf(text, sizeof text, "no frame of \"%s\" came within %.3f s", ((subscriber_object *)object)->name,
           (double)timeout / 1e9);
  return core_error_of(CUFRAMES_ERR_TIMEOUT, text);
}

/* A frame that is there, or None. */
static PyObject *subscriber_poll(PyObject *object, PyObject *none) {
  (void)none;
  return take((subscriber_object *)object, 0, NULL, 0, 0);
}

/* For loops: waits for ever, and ends at interrupt(), and where another thread has closed it. */
static PyObject *subscriber_iternext(PyObject *object) {
  subscriber_object *self = (subscriber_object *)object;
  if (is_closed(self))
    return NULL;
  PyObject *made = take(self, CUFRAMES_WAIT_FOREVER, NULL, 0, 1);
  if (made != Py_None)
    return made;
  Py_DECREF(made);
  return NULL;
}

static PyObject *subscriber_iter(PyObject *object) {
  return subscriber_handle((subscriber_object *)object) ? Py_NewRef(object) : NULL;
}

CORE_LOCKED_AS((PyObject * self), (self), self, self, subscriber_iternext)
CORE_LOCKED_AS((PyObject * self), (self), self, self, subscriber_iter)

static PyObject *subscriber_fileno(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  int fd = -1;
  (void)none;
  if (!handle)
    return NULL;
  int result = cuframes_subscriber_fd(handle, &fd);
  return result == CUFRAMES_OK ? PyLong_FromLong(fd) : core_error(result);
}

static PyObject *subscriber_interrupt(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  (void)none;
  if (!handle)
    return NULL;
  cuframes_subscriber_interrupt(handle);
  Py_RETURN_NONE;
}

/* ---- packets ---- */

static PyObject *subscriber_enable_packets(PyObject *object, PyObject *start) {
  subscriber_object *self = (subscriber_object *)object;
  core_number from = CORE_NUMBER("start");
  int result;
  if (!core_number_take(start, &from) || call_begins(self, &self->reading, "next_packet()") != 0)
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_subscriber_enable_packets(self->handle, (uint32_t)from.value);
  Py_END_ALLOW_THREADS
  PyObject *none = core_none(result);
  call_ends(self, &self->reading);
  return none;
}

static PyObject *subscriber_next_packet(PyObject *object, PyObject *args) {
  subscriber_object *self = (subscriber_object *)object;
  cuframes_packet *packet = NULL;
  PyObject *seconds = NULL, *made = NULL;
  int64_t timeout;
  int result, go_on = 1;
  if (!PyArg_ParseTuple(args, "|O:_next_packet", &seconds) || core_timeout("timeout", seconds, &timeout) != 0 ||
      call_begins(self, &self->reading, "next_packet()") != 0)
    return NULL;
  int64_t deadline = core_deadline(timeout);
  do {
    int64_t step = timeout == 0 ? 0 : core_step(deadline);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_subscriber_next_packet(self->handle, step, &packet);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = timeout == 0 ? 0 : core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0 && !self->closing);
  if (result == CUFRAMES_OK)
    made = packet_give(packet);
  else if (go_on >= 0 && result == CUFRAMES_ERR_TIMEOUT)
    made = Py_NewRef(Py_None);
  else if (go_on >= 0)
    made = core_error(result);
  call_ends(self, &self->reading);
  return made;
}

static PyObject *subscriber_packet_fileno(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  int fd = -1;
  (void)none;
  if (!handle)
    return NULL;
  int result = cuframes_subscriber_packet_fd(handle, &fd);
  return result == CUFRAMES_OK ? PyLong_FromLong(fd) : core_error(result);
}

/* {index: parameters} of the tracks that were described. */
static PyObject *subscriber_tracks(PyObject *object, PyObject *none) {
  subscriber_object *self = (subscriber_object *)object;
  PyObject *tracks = NULL;
  uint32_t count = 0, seen = 0;
  int result;
  (void)none;
  if (call_begins(self, &self->reading, "next_packet()") != 0)
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_subscriber_track_count(self->handle, &count);
  Py_END_ALLOW_THREADS
  tracks = result == CUFRAMES_OK ? PyDict_New() : core_error(result);
  for (uint32_t i = 0; tracks && i < CUFRAMES_TRACKS_MAX && seen < count; i++) {
    cuframes_codec_params params = { .struct_size = sizeof params };
    const void *extradata = NULL;
    size_t size = 0;
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_subscriber_get_codec_params(self->handle, i, &params, &extradata, &size);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_NO_CODEC_PARAMS)
      continue;
    PyObject *index = PyLong_FromUnsignedLong(i);
    PyObject *given = result == CUFRAMES_OK ? codec_params_give(&params, extradata, size) : core_error(result);
    if (!index || !given || PyDict_SetItem(tracks, index, given) != 0)
      Py_CLEAR(tracks);
    Py_XDECREF(index);
    Py_XDECREF(given);
    seen++;
  }
  call_ends(self, &self->reading);
  return tracks;
}

/* ---- what it says ---- */

static PyObject *subscriber_stats(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  cuframes_subscriber_stats s = { .struct_size = sizeof s };
  (void)none;
  if (!handle)
    return NULL;
  int result = cuframes_subscriber_get_stats(handle, &s);
  if (result != CUFRAMES_OK)
    return core_error(result);
  return Py_BuildValue("{s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "leases_held", s.leases_held, "frames", s.frames, "skipped",
                       s.skipped, "reconnects", s.reconnects, "packets", s.packets, "packets_lost", s.packets_lost,
                       "frames_lost", s.frames_lost, "released_twice", s.released_twice);
}

static PyObject *subscriber_device(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  char device[CUFRAMES_DEVICE_NAME_MAX + 1];
  uint32_t sync = 0;
  (void)none;
  if (!handle)
    return NULL;
  int result = cuframes_subscriber_device(handle, device, sizeof device, &sync);
  return result == CUFRAMES_OK ? Py_BuildValue("(sI)", device, sync) : core_error(result);
}

static PyObject *subscriber_source(PyObject *object, PyObject *none) {
  cuframes_subscriber *handle = subscriber_handle((subscriber_object *)object);
  cuframes_source_info source = { .struct_size = sizeof source };
  (void)none;
  if (!handle)
    return NULL;
  int result = cuframes_subscriber_get_source(handle, &source);
  return result == CUFRAMES_OK ? source_give(&source) : core_error(result);
}

static PyObject *subscriber_closed(PyObject *object, void *closure) {
  subscriber_object *self = (subscriber_object *)object;
  (void)closure;
  return PyBool_FromLong(is_closed(self));
}

static PyObject *subscriber_name(PyObject *object, void *closure) {
  (void)closure;
  return PyUnicode_FromString(((subscriber_object *)object)->name);
}

CORE_LOCKED_GETTER(subscriber_closed, self, self)

static PyGetSetDef getters[] = {
  { "closed", locked_subscriber_closed, NULL, "Whether close() was called.", NULL },
  { "name", subscriber_name, NULL, "Of the stream.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

CORE_LOCKED_WORDS(subscriber_next, self, self)
CORE_LOCKED(subscriber_poll, self, self)
CORE_LOCKED(subscriber_fileno, self, self)
CORE_LOCKED(subscriber_interrupt, self, self)
CORE_LOCKED(subscriber_close, self, self)
CORE_LOCKED(subscriber_enable_packets, self, self)
CORE_LOCKED(subscriber_next_packet, self, self)
CORE_LOCKED(subscriber_packet_fileno, self, self)
CORE_LOCKED(subscriber_tracks, self, self)
CORE_LOCKED(subscriber_stats, self, self)
CORE_LOCKED(subscriber_device, self, self)
CORE_LOCKED(subscriber_source, self, self)

static PyMethodDef methods[] = {
  { "next", (PyCFunction)(void (*)(void))locked_subscriber_next, METH_VARARGS | METH_KEYWORDS,
    "next(timeout=None, *, stream=None)\n--\n\nThe next frame: in mode 'newest' the newest one not seen yet, in "
    "'ordered' the one after the last.\ntimeout: seconds; None waits for ever, 0 not at all. stream: in the sync modes "
    "'timeline' and\n'slot-events' the frame is given at once, and this stream waits until it is complete.\n"
    "Raises Timeout, Interrupted, PublisherGone, Evicted, LeaseLimit." },
  { "poll", locked_subscriber_poll, METH_NOARGS, "poll()\n--\n\nA frame that is there, or None; it never waits." },
  { "fileno", locked_subscriber_fileno, METH_NOARGS,
    "fileno()\n--\n\nA descriptor for select, poll or an event loop: readable when poll() may have something to say." },
  { "interrupt", locked_subscriber_interrupt, METH_NOARGS,
    "interrupt()\n--\n\nEnds the wait of another thread, or the next one: next() raises Interrupted, loops end." },
  { "close", locked_subscriber_close, METH_NOARGS,
    "close()\n--\n\nLeaves the stream; frames in hand stay good. Ends a wait of another thread." },
  { "_enable_packets", locked_subscriber_enable_packets, METH_O, "_enable_packets(start)" },
  { "_next_packet", locked_subscriber_next_packet, METH_VARARGS, "_next_packet(timeout) -> Packet or None" },
  { "_packet_fileno", locked_subscriber_packet_fileno, METH_NOARGS, "_packet_fileno() -> descriptor" },
  { "_tracks", locked_subscriber_tracks, METH_NOARGS, "_tracks() -> {index: parameters}" },
  { "_stats", locked_subscriber_stats, METH_NOARGS, "_stats() -> dict" },
  { "_device", locked_subscriber_device, METH_NOARGS, "_device() -> (device, sync)" },
  { "_source", locked_subscriber_source, METH_NOARGS, "_source() -> dict" },
  { NULL, NULL, 0, NULL },
};

int subscriber_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_new, (void *)subscriber_create },
    { Py_tp_dealloc, (void *)subscriber_delete },
    { Py_tp_iter, (void *)locked_subscriber_iter },
    { Py_tp_iternext, (void *)locked_subscriber_iternext },
    { Py_tp_getset, getters },
    { Py_tp_methods, methods },
    { Py_tp_doc, (void *)"A subscriber of a stream." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Subscriber", sizeof(subscriber_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
  subscriber_type = core_type(module, &spec);
  return subscriber_type ? 0 : -1;
}
