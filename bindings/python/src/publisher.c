/* publisher.c - publishing frames and packets. */
#include "core.h"

#include <stdio.h>
#include <string.h>

static PyTypeObject *publisher_type;

/* ---- life ---- */

static PyObject *publisher_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "name",          "format",       "device",       "directory", "description",
                           "slots",         "max_slots",    "max_open",     "policy",    "ordered_timeout_ns",
                           "side_data_max", "packet_slots", "packet_bytes", "reserve",   NULL };
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options };
  const char *name;
  PyObject *format;
  unsigned long long ring_bytes = 0;
  int result;
  if (!PyArg_ParseTupleAndKeywords(args, words, "sOzzzIIIILIIKI:Publisher", names, &name, &format, &options.device,
                                   &options.directory, &options.description, &options.slots, &options.max_slots,
                                   &options.max_open, &options.policy, &options.ordered_timeout_ns,
                                   &options.side_data_max, &ring.slots, &ring_bytes, &options.reserve) ||
      (format != Py_None && format_take(format, &options.format) != 0))
    return NULL;
  ring.data_bytes = ring_bytes;
  if (ring.slots > 0)
    options.packets = &ring;
  publisher_object *self = core_new(type);
  if (!self)
    return NULL;
  self->process = core_process();
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

static void over(publisher_object *self) {
  if (--self->calls > 0 || !self->closing)
    return;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  end(self);
  PyErr_Restore(type, value, trace);
}

/* None for CUFRAMES_OK, at the end of a call. */
static PyObject *done(publisher_object *self, int result) {
  PyObject *none = core_none(result);
  over(self);
  return none;
}

static PyObject *publisher_close(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  (void)none;
  if (self->calls > 0 && self->process == core_process())
    self->closing = 1;
  else
    end(self);
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
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_publisher_acquire(handle, &frame);
  Py_END_ALLOW_THREADS
  PyObject *made = result == CUFRAMES_OK ? frame_give_open(frame, self) : core_error(result);
  over(self);
  return made;
}

/* The open frame of this publisher that an argument is, or NULL with an error. */
static frame_object *open_of(publisher_object *self, PyObject *object) {
  if (!PyObject_TypeCheck(object, frame_type) || ((frame_object *)object)->publisher != self) {
    PyErr_Format(PyExc_TypeError, "expected an open frame of this publisher, not %R", object);
    return NULL;
  }
  return frame_of((frame_object *)object) ? (frame_object *)object : NULL;
}

static int time_of(PyObject *object, const char *what, int64_t *time) {
  if (object == Py_None)
    return 0;
  *time = PyLong_AsLongLong(object);
  if (*time == -1 && PyErr_Occurred()) {
    PyErr_Format(PyExc_TypeError, "%s: expected nanoseconds as an int, or None, not %R", what, object);
    return -1;
  }
  return 0;
}

/* publish(frame, pts, duration, capture_time, flags, stream); its object has no frame then. */
static PyObject *publisher_publish(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = CUFRAMES_NO_TIME };
  PyObject *frame, *pts, *duration, *capture_time, *given;
  void *stream;
  int has_stream, result;
  if (!PyArg_ParseTuple(args, "OOOOIO:_publish", &frame, &pts, &duration, &capture_time, &info.flags, &given) ||
      core_stream(given, &stream, &has_stream) != 0 || time_of(pts, "pts", &info.pts) != 0 ||
      time_of(duration, "duration", &info.duration) != 0 ||
      time_of(capture_time, "capture_time", &info.capture_time) != 0)
    return NULL;
  frame_object *open = open_of(self, frame);
  cuframes_publisher *handle = open ? begin(self) : NULL;
  if (!handle)
    return NULL;
  cuframes_frame *taken = open->frame;
  open->frame = NULL;
  Py_BEGIN_ALLOW_THREADS
  result = has_stream ? cuframes_publisher_publish_on(handle, taken, stream, &info)
                      : cuframes_publisher_publish(handle, taken, &info);
  Py_END_ALLOW_THREADS
  return done(self, result);
}

static PyObject *publisher_cancel(PyObject *object, PyObject *frame) {
  publisher_object *self = (publisher_object *)object;
  frame_object *open = open_of(self, frame);
  cuframes_publisher *handle = open ? begin(self) : NULL;
  if (!handle)
    return NULL;
  cuframes_frame *taken = open->frame;
  open->frame = NULL;
  return done(self, cuframes_publisher_cancel(handle, taken));
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
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_publisher_set_format(handle, &format);
  Py_END_ALLOW_THREADS
  return done(self, result);
}

static PyObject *publisher_discontinuity(PyObject *object, PyObject *none) {
  publisher_object *self = (publisher_object *)object;
  cuframes_publisher *handle = begin(self);
  (void)none;
  return handle ? done(self, cuframes_publisher_discontinuity(handle)) : NULL;
}

static PyObject *publisher_set_source(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_source_info source = { .struct_size = sizeof source };
  const char *reason;
  if (!PyArg_ParseTuple(args, "Is:_set_source", &source.state, &reason))
    return NULL;
  snprintf(source.reason, sizeof source.reason, "%s", reason);
  cuframes_publisher *handle = begin(self);
  return handle ? done(self, cuframes_publisher_set_source(handle, &source)) : NULL;
}

/* False: the time is up. */
static PyObject *publisher_wait_subscribers(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "count", "timeout", NULL };
  publisher_object *self = (publisher_object *)object;
  PyObject *seconds = NULL, *made = NULL;
  unsigned count = 1;
  int64_t timeout;
  int result, go_on = 1;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|IO:wait_subscribers", names, &count, &seconds) ||
      core_timeout(seconds, &timeout) != 0)
    return NULL;
  cuframes_publisher *handle = begin(self);
  if (!handle)
    return NULL;
  int64_t deadline = core_deadline(timeout);
  do {
    int64_t step = core_step(deadline);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_publisher_wait_subscribers(handle, count, step);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0 && !self->closing);
  if (result == CUFRAMES_OK || (result == CUFRAMES_ERR_TIMEOUT && go_on >= 0))
    made = PyBool_FromLong(result == CUFRAMES_OK);
  else if (go_on >= 0)
    made = core_error(result);
  over(self);
  return made;
}

/* ---- packets ---- */

static PyObject *publisher_describe(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_codec_params params = { .struct_size = sizeof params };
  Py_buffer extradata = { .buf = NULL };
  unsigned track;
  PyObject *dict;
  if (!PyArg_ParseTuple(args, "IO!:_describe", &track, &PyDict_Type, &dict) ||
      codec_params_take(dict, &params, &extradata) != 0)
    return NULL;
  cuframes_publisher *handle = begin(self);
  PyObject *none = NULL;
  if (handle) {
    int result = cuframes_publisher_set_codec_params(handle, track, &params);
    if (result == CUFRAMES_OK)
      result = cuframes_publisher_set_codec_extradata(handle, track, extradata.buf, (size_t)extradata.len);
    none = done(self, result);
  }
  PyBuffer_Release(&extradata);
  return none;
}

/* (track, data, pts, dts, duration, flags) */
static PyObject *publisher_send_packet(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_packet_info info = { .struct_size = sizeof info, .pts = CUFRAMES_NO_TIME, .dts = CUFRAMES_NO_TIME };
  PyObject *pts, *dts, *duration, *none = NULL;
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "Iy*OOOI:_send_packet", &info.track, &data, &pts, &dts, &duration, &info.flags))
    return NULL;
  info.data = data.buf;
  info.size = (size_t)data.len;
  if (time_of(pts, "pts", &info.pts) == 0 && time_of(dts, "dts", &info.dts) == 0 &&
      time_of(duration, "duration", &info.duration) == 0) {
    cuframes_publisher *handle = begin(self);
    none = handle ? done(self, cuframes_publisher_publish_packet(handle, &info)) : NULL;
  }
  PyBuffer_Release(&data);
  return none;
}

/* (track, id, type, data) */
static PyObject *publisher_annotate(PyObject *object, PyObject *args) {
  publisher_object *self = (publisher_object *)object;
  cuframes_frame_id id = { .struct_size = sizeof id };
  unsigned track, type;
  PyObject *of, *none = NULL;
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "IOIy*:_annotate", &track, &of, &type, &data))
    return NULL;
  if (id_take(of, &id) == 0) {
    cuframes_publisher *handle = begin(self);
    if (handle)
      none = done(self, cuframes_publisher_publish_annotation(handle, track, &id, type, data.buf, (size_t)data.len));
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
  int result = cuframes_publisher_get_stats(handle, &s);
  over(self);
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
  over(self);
  return made;
}

static PyObject *publisher_closed(PyObject *object, void *closure) {
  publisher_object *self = (publisher_object *)object;
  (void)closure;
  return PyBool_FromLong(!self->handle || self->closing);
}

static PyGetSetDef getters[] = {
  { "closed", publisher_closed, NULL, "Whether close() was called.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

static PyMethodDef methods[] = {
  { "close", publisher_close, METH_NOARGS,
    "close()\n--\n\nEnds the stream: subscribers get PublisherGone, and keep what they hold." },
  { "discontinuity", publisher_discontinuity, METH_NOARGS,
    "discontinuity()\n--\n\nThe source (re)started: the next frame and packet say so to every subscriber." },
  { "wait_subscribers", (PyCFunction)(void (*)(void))publisher_wait_subscribers, METH_VARARGS | METH_KEYWORDS,
    "wait_subscribers(count=1, timeout=None)\n--\n\nWaits until so many have joined; False when the time is up." },
  { "_acquire", publisher_acquire, METH_NOARGS, "_acquire() -> open frame" },
  { "_publish", publisher_publish, METH_VARARGS, "_publish(frame, pts, duration, capture_time, flags, stream)" },
  { "_cancel", publisher_cancel, METH_O, "_cancel(frame)" },
  { "_set_format", publisher_set_format, METH_O, "_set_format(dict)" },
  { "_set_source", publisher_set_source, METH_VARARGS, "_set_source(state, reason)" },
  { "_describe", publisher_describe, METH_VARARGS, "_describe(track, dict)" },
  { "_send_packet", publisher_send_packet, METH_VARARGS, "_send_packet(track, data, pts, dts, duration, flags)" },
  { "_annotate", publisher_annotate, METH_VARARGS, "_annotate(track, id, type, data)" },
  { "_stats", publisher_stats, METH_NOARGS, "_stats() -> dict" },
  { "_device", publisher_device, METH_NOARGS, "_device() -> (device, reason)" },
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
