/* publisher.c - publishing frames and packets. */
#include "core.h"

#include <stdio.h>
#include <string.h>

static PyTypeObject *publisher_type;

/* ---- life ---- */

static PyObject *publisher_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "name",          "format",    "device",       "directory", "description",
                           "slots",         "max_slots", "max_open",     "policy",    "ordered_timeout",
                           "side_data_max", "packets",   "packet_bytes", "reserve",   NULL };
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options };
  core_number slots = CORE_NUMBER("slots"), max_slots = CORE_NUMBER("max_slots"), max_open = CORE_NUMBER("max_open"),
              policy = CORE_NUMBER("policy"), side_data_max = CORE_NUMBER("side_data_max"),
              packets = CORE_NUMBER("packets"), packet_bytes = { "packet_bytes", UINT64_MAX, 0 };
  const char *name;
  Py_ssize_t length;
  PyObject *format, *seconds;
  int result, reserve;
  if (!PyArg_ParseTupleAndKeywords(args, words, "sOzz#zO&O&O&O&OO&O&O&p:Publisher", names, &name, &format,
                                   &options.device, &options.directory, &length, &options.description, core_number_take,
                                   &slots, core_number_take, &max_slots, core_number_take, &max_open, core_number_take,
                                   &policy, &seconds, core_number_take, &side_data_max, core_number_take, &packets,
                                   core_number_take, &packet_bytes, &reserve) ||
      core_timeout("ordered_timeout", seconds, &options.ordered_timeout_ns) != 0 ||
      (format != Py_None && format_take(format, &options.format) != 0))
    return NULL;
  if (options.ordered_timeout_ns < 0) {
    PyErr_Format(PyExc_ValueError, "ordered_timeout: expected seconds, fewer than 9e9, not %R", seconds);
    return NULL;
  }
  options.slots = (uint32_t)slots.value;
  options.max_slots = (uint32_t)max_slots.value;
  options.max_open = (uint32_t)max_open.value;
  options.policy = (uint32_t)policy.value;
  options.side_data_max = (uint32_t)side_data_max.value;
  options.reserve = (uint32_t)reserve;
  ring.slots = (uint32_t)packets.value;
  ring.data_bytes = packet_bytes.value;
  if (ring.slots > 0)
    options.packets = &ring;
  publisher_object *self = core_new(type);
  if (!self)
    return NULL;
  self->process = core_process();
  options.interrupt = core_interrupted;
  options.interrupt_user = &self->closing;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_publisher_create(name, &options, &self->handle);
  Py_END_ALLOW_THREADS
  if (result == CUFRAMES_OK)
    return (PyObject *)self;
  (void)core_error(result);
  Py_DECREF((PyObject *)self);
  return NULL;
}

static void end(publisher_object *self) {
  cuframes_publisher *handle = self->handle;
  self->handle = NULL;
  if (!handle)
    return;
  PyThreadState *thread = PyEval_SaveThread();
  cuframes_publisher_destroy(handle);
  PyEval_RestoreThread(thread);
}

static void publisher_delete(PyObject *object) {
  end((publisher_object *)object);
  core_delete(object);
}

/* Begins a call that close() of another thread waits for. NULL with an error. */
static cuframes_publisher *begin(publisher_object *self) {
  if (self->process != core_process()) {
    (void)core_process_check(self->process, "publisher");
    return NULL;
  }
  if (!self->handle || self->closing) {
    PyErr_SetString(PyExc_ValueError, "this publisher was closed");
    return NULL;
  }
  self->calls++;
  return self->handle;
}

void publisher_over(publisher_object *self) {
  if (--self->calls > 0 || !self->closing)
    return;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  end(self);
  PyErr_Restore(type, value, trace);
}

/* One call of the library; it may wait for its turn behind a frame that waits for an ordered subscriber. */
#define CALL(result, call)                                                                                             \
  do {                                                                                                                 \
    Py_BEGIN_ALLOW_THREADS(result)                                                                                     \
    = (call);                                                                                                          \
    Py_END_ALLOW_THREADS                                                                                               \
  } while (0)

/* None for CUFRAMES_OK, at the end of a call. */
static PyObject *done(publisher_object *self, int result) {
  PyObject *none = core_none(result);
  publisher_over(self);
  return none;
}

static PyObject *publisher_close(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  (void)none;
  if (self->calls > 0 && self->process == core_process()) {
    self->closing = 1;
    cuframes_publisher_interrupt(self->handle);
  } else {
    end(self);
  }
  Py_RETURN_NONE;
}

/* ---- frames ---- */

static PyObject *publisher_acquire(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publisher *handle = begin(self);
  cuframes_frame *frame = NULL;
  int result;
  (void)none;
  if (!handle)
    return NULL;
  CALL(result, cuframes_publisher_acquire(handle, &frame));
  PyObject *made = result == CUFRAMES_OK ? frame_give_open(frame, self) : core_error(result);
  publisher_over(self);
  return made;
}

/* Begins a call that takes an open frame of this publisher out of its object. NULL with an error. */
static cuframes_publisher *begin_with(publisher_object *self, PyObject *object, cuframes_frame **frame) {
  if (!PyObject_TypeCheck(object, frame_type) || ((frame_object *)object)->publisher != self) {
    PyErr_Format(PyExc_TypeError, "expected an open frame of this publisher, not %R", object);
    return NULL;
  }
  cuframes_publisher *handle = begin(self);
  if (!handle)
    return NULL;
  CORE_LOCK(object, object) /* begun, the publisher stays, held or not */
  *frame = frame_of((frame_object *)object);
  if (*frame)
    ((frame_object *)object)->frame = NULL;
  CORE_UNLOCK
  if (*frame)
    return handle;
  publisher_over(self);
  return NULL;
}

static int time_of(PyObject *object, const char *what, int64_t *time) {
  if (object == Py_None)
    return 0;
  *time = PyLong_AsLongLong(object);
  if (*time == -1 && PyErr_Occurred()) {
    int beyond = PyErr_ExceptionMatches(PyExc_OverflowError);
    PyErr_Clear();
    if (beyond)
      PyErr_Format(PyExc_ValueError, "%s: expected nanoseconds that 64 bits hold, not %R", what, object);
    else
      PyErr_Format(PyExc_TypeError, "%s: expected nanoseconds as an int, or None, not %R", what, object);
    return -1;
  }
  return 0;
}

/* publish(frame, pts, duration, capture_time, flags, stream); its object has no frame then. Called for each frame: its
 * arguments come without a tuple. */
static PyObject *publisher_publish(PyObject *object, PyObject *const *args, Py_ssize_t count) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = CUFRAMES_NO_TIME };
  core_number flags = CORE_NUMBER("flags");
  cuframes_frame *frame = NULL;
  void *stream;
  int has_stream, result;
  if (count != 6)
    return PyErr_Format(PyExc_TypeError, "_publish() takes 6 arguments, not %zd", count);
  if (!core_number_take(args[4], &flags) || core_stream(args[5], &stream, &has_stream) != 0 ||
      time_of(args[1], "pts", &info.pts) != 0 || time_of(args[2], "duration", &info.duration) != 0 ||
      time_of(args[3], "capture_time", &info.capture_time) != 0)
    return NULL;
  info.flags = (uint32_t)flags.value;
  cuframes_publisher *handle = begin_with(self, args[0], &frame);
  if (!handle)
    return NULL;
  CALL(result, has_stream ? cuframes_publisher_publish_on(handle, frame, stream, &info)
                          : cuframes_publisher_publish(handle, frame, &info));
  if (result == CUFRAMES_ERR_INTERRUPTED) { /* it is open still */
    CORE_LOCK(args[0], args[0])
    ((frame_object *)args[0])->frame = frame;
    CORE_UNLOCK
  }
  return done(self, result);
}

static PyObject *publisher_cancel(PyObject *object, PyObject *open) {
  publisher_object *self = (publisher_object *)object;
  cuframes_frame *frame = NULL;
  int result;
  cuframes_publisher *handle = begin_with(self, open, &frame);
  if (!handle)
    return NULL;
  CALL(result, cuframes_publisher_cancel(handle, frame));
  return done(self, result);
}

static PyObject *publisher_set_format(PyObject *object, PyObject *dict) {
  publisher_object *self = (publisher_object *)object;
  cuframes_format format = { 0 };
  int result;
  if (format_take(dict, &format) != 0)
    return NULL;
  cuframes_publisher *handle = begin(self);
  if (!handle)
    return NULL;
  CALL(result, cuframes_publisher_set_format(handle, &format));
  return done(self, result);
}

static PyObject *publisher_discontinuity(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publisher *handle = begin(self);
  int result;
  (void)none;
  if (!handle)
    return NULL;
  CALL(result, cuframes_publisher_discontinuity(handle));
  return done(self, result);
}

static PyObject *publisher_set_source(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_source_info source = { .struct_size = sizeof source };
  core_number state = CORE_NUMBER("state");
  const char *reason;
  int result;
  if (!PyArg_ParseTuple(args, "O&s:_set_source", core_number_take, &state, &reason))
    return NULL;
  source.state = (uint32_t)state.value;
  snprintf(source.reason, sizeof source.reason, "%s", reason);
  cuframes_publisher *handle = begin(self);
  if (!handle)
    return NULL;
  CALL(result, cuframes_publisher_set_source(handle, &source));
  return done(self, result);
}

/* Until so many have joined, or (drain) they have everything. False: the time is up, or another thread closes it. */
static PyObject *wait_for(publisher_object *self, int drain, uint32_t count, PyObject *seconds) {
  int64_t timeout;
  int result;
  if (core_timeout("timeout", seconds, &timeout) != 0)
    return NULL;
  cuframes_publisher *handle = begin(self);
  if (!handle)
    return NULL;
  CALL(result,
       drain ? cuframes_publisher_drain(handle, timeout) : cuframes_publisher_wait_subscribers(handle, count, timeout));
  const int over = result == CUFRAMES_ERR_TIMEOUT || (result == CUFRAMES_ERR_INTERRUPTED && !PyErr_Occurred());
  PyObject *made = result == CUFRAMES_OK || over ? PyBool_FromLong(!over) : core_error(result);
  publisher_over(self);
  return made;
}

static PyObject *publisher_wait_subscribers(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "count", "timeout", NULL };
  core_number count = { "count", UINT32_MAX, 1 };
  PyObject *seconds = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|O&O:wait_subscribers", names, core_number_take, &count, &seconds))
    return NULL;
  return wait_for((publisher_object *)object, 0, (uint32_t)count.value, seconds);
}

static PyObject *publisher_drain(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "timeout", NULL };
  PyObject *seconds = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|O:drain", names, &seconds))
    return NULL;
  return wait_for((publisher_object *)object, 1, 0, seconds);
}

/* ---- packets ---- */

static PyObject *publisher_describe(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_codec_params params = { .struct_size = sizeof params };
  core_number track = CORE_NUMBER("track");
  Py_buffer extradata = { .buf = NULL };
  PyObject *dict;
  int result;
  if (!PyArg_ParseTuple(args, "O&O!:_describe", core_number_take, &track, &PyDict_Type, &dict) ||
      codec_params_take(dict, &params, &extradata) != 0)
    return NULL;
  cuframes_publisher *handle = begin(self);
  PyObject *none = NULL;
  if (handle) {
    uint32_t index = (uint32_t)track.value;
    CALL(result, cuframes_publisher_set_codec_params(handle, index, &params));
    if (result == CUFRAMES_OK)
      CALL(result, cuframes_publisher_set_codec_extradata(handle, index, extradata.buf, (size_t)extradata.len));
    none = done(self, result);
  }
  PyBuffer_Release(&extradata);
  return none;
}

/* (track, data, pts, dts, duration, flags) */
static PyObject *publisher_send_packet(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_packet_info info = { .struct_size = sizeof info, .pts = CUFRAMES_NO_TIME, .dts = CUFRAMES_NO_TIME };
  core_number track = CORE_NUMBER("track"), flags = CORE_NUMBER("flags");
  PyObject *pts, *dts, *duration, *none = NULL;
  Py_buffer data;
  int result;
  if (!PyArg_ParseTuple(args, "O&y*OOOO&:_send_packet", core_number_take, &track, &data, &pts, &dts, &duration,
                        core_number_take, &flags))
    return NULL;
  info.track = (uint32_t)track.value;
  info.flags = (uint32_t)flags.value;
  info.data = data.buf;
  info.size = (size_t)data.len;
  if (time_of(pts, "pts", &info.pts) == 0 && time_of(dts, "dts", &info.dts) == 0 &&
      time_of(duration, "duration", &info.duration) == 0) {
    cuframes_publisher *handle = begin(self);
    if (handle) {
      CALL(result, cuframes_publisher_publish_packet(handle, &info));
      none = done(self, result);
    }
  }
  PyBuffer_Release(&data);
  return none;
}

/* (track, id, type, data) */
static PyObject *publisher_annotate(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_frame_id id = { .struct_size = sizeof id };
  core_number track = CORE_NUMBER("track"), type = CORE_NUMBER("type");
  PyObject *of, *none = NULL;
  Py_buffer data;
  int result;
  if (!PyArg_ParseTuple(args, "O&OO&y*:_annotate", core_number_take, &track, &of, core_number_take, &type, &data))
    return NULL;
  if (id_take(of, &id) == 0) {
    cuframes_publisher *handle = begin(self);
    if (handle) {
      CALL(result, cuframes_publisher_publish_annotation(handle, (uint32_t)track.value, &id, (uint32_t)type.value,
                                                         data.buf, (size_t)data.len));
      none = done(self, result);
    }
  }
  PyBuffer_Release(&data);
  return none;
}

/* ---- what it says ---- */

static PyObject *publisher_stats(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publisher_stats s = { .struct_size = sizeof s };
  cuframes_publisher *handle = begin(self);
  (void)none;
  if (!handle)
    return NULL;
  int result;
  CALL(result, cuframes_publisher_get_stats(handle, &s));
  publisher_over(self);
  if (result != CUFRAMES_OK)
    return core_error(result);
  return Py_BuildValue("{s:I,s:I,s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "subscribers", s.subscribers, "slots", s.slots,
                       "segments", s.segments, "frames", s.frames, "dropped", s.dropped, "evictions", s.evictions,
                       "waits", s.waits, "packets", s.packets, "packet_bytes", s.packet_bytes, "memory_bytes",
                       s.memory_bytes, "released_twice", s.released_twice);
}

static PyObject *publisher_device(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  const char *reason = "";
  cuframes_publisher *handle = begin(self);
  (void)none;
  if (!handle)
    return NULL;
  const char *device = cuframes_publisher_device(handle, &reason);
  PyObject *made = Py_BuildValue("(ss)", device, reason);
  publisher_over(self);
  return made;
}

static PyObject *publisher_closed(PyObject *object, void *closure) {
  publisher_object *self = (publisher_object *)object;
  (void)closure;
  return PyBool_FromLong(!self->handle || self->closing);
}

CORE_LOCKED_GETTER(publisher_closed, self, self)

static PyGetSetDef getters[] = {
  { "closed", locked_publisher_closed, NULL, "Whether close() was called.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

CORE_LOCKED_WORDS(publisher_wait_subscribers, self, self)
CORE_LOCKED_WORDS(publisher_drain, self, self)
CORE_LOCKED(publisher_close, self, self)
CORE_LOCKED(publisher_discontinuity, self, self)
CORE_LOCKED(publisher_acquire, self, self)
CORE_LOCKED_AS((PyObject * self, PyObject *const *args, Py_ssize_t count), (self, args, count), self, self,
               publisher_publish)
CORE_LOCKED(publisher_cancel, self, self)
CORE_LOCKED(publisher_set_format, self, self)
CORE_LOCKED(publisher_set_source, self, self)
CORE_LOCKED(publisher_describe, self, self)
CORE_LOCKED(publisher_send_packet, self, self)
CORE_LOCKED(publisher_annotate, self, self)
CORE_LOCKED(publisher_stats, self, self)
CORE_LOCKED(publisher_device, self, self)

static PyMethodDef methods[] = {
  { "close", locked_publisher_close, METH_NOARGS,
    "close()\n--\n\nEnds the stream: subscribers get PublisherGone, and keep what they hold." },
  { "discontinuity", locked_publisher_discontinuity, METH_NOARGS,
    "discontinuity()\n--\n\nThe source (re)started: the next frame and packet say so to every subscriber." },
  { "wait_subscribers", (PyCFunction)(void (*)(void))locked_publisher_wait_subscribers, METH_VARARGS | METH_KEYWORDS,
    "wait_subscribers(count=1, timeout=None)\n--\n\nWaits until so many have joined; False when the time is up." },
  { "drain", (PyCFunction)(void (*)(void))locked_publisher_drain, METH_VARARGS | METH_KEYWORDS,
    "drain(timeout=None)\n--\n\nWaits until ordered subscribers have every frame, and readers of packets wait "
    "for\nmore: before "
    "close(), where the last ones matter. False when the time is up." },
  { "_acquire", locked_publisher_acquire, METH_NOARGS, "_acquire() -> open frame" },
  { "_publish", (PyCFunction)(void (*)(void))locked_publisher_publish, METH_FASTCALL,
    "_publish(frame, pts, duration, capture_time, flags, stream)" },
  { "_cancel", locked_publisher_cancel, METH_O, "_cancel(frame)" },
  { "_set_format", locked_publisher_set_format, METH_O, "_set_format(dict)" },
  { "_set_source", locked_publisher_set_source, METH_VARARGS, "_set_source(state, reason)" },
  { "_describe", locked_publisher_describe, METH_VARARGS, "_describe(track, dict)" },
  { "_send_packet", locked_publisher_send_packet, METH_VARARGS,
    "_send_packet(track, data, pts, dts, duration, flags)" },
  { "_annotate", locked_publisher_annotate, METH_VARARGS, "_annotate(track, id, type, data)" },
  { "_stats", locked_publisher_stats, METH_NOARGS, "_stats() -> dict" },
  { "_device", locked_publisher_device, METH_NOARGS, "_device() -> (device, reason)" },
  { NULL, NULL, 0, NULL },
};

int publisher_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_new, (void *)publisher_create },
    { Py_tp_dealloc, (void *)publisher_delete },
    { Py_tp_getset, getters },
    { Py_tp_methods, methods },
    { Py_tp_doc, (void *)"A publisher of a stream." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Publisher", sizeof(publisher_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
  publisher_type = core_type(module, &spec);
  return publisher_type ? 0 : -1;
}
