/* frame.c - a frame in hand: what it says of itself, its ends, its capsules. */
#include "core.h"

#include <string.h>

PyTypeObject *frame_type;

/* ---- life ---- */

static PyObject *give(PyTypeObject *type, cuframes_frame *frame) {
  frame_object *self = type ? core_new(type) : NULL;
  if (!self) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_RuntimeError, "cuframes._core is used without cuframes");
    cuframes_frame_release(frame);
    return NULL;
  }
  self->frame = frame;
  self->process = core_process();
  return (PyObject *)self;
}

PyObject *frame_give(cuframes_frame *frame, void *stream, int has_stream, int waits) {
  PyObject *made = give(frame_made, frame);
  if (made) {
    frame_object *self = (frame_object *)made;
    self->stream = stream;
    self->has_stream = has_stream;
    self->waits = waits;
  }
  return made;
}

PyObject *frame_give_open(cuframes_frame *frame, publisher_object *publisher) {
  PyObject *made = give(open_frame_made, frame);
  if (made)
    ((frame_object *)made)->publisher = (publisher_object *)Py_NewRef((PyObject *)publisher);
  return made;
}

PyObject *frame_second(PyObject *frame) {
  publisher_object *publisher = ((frame_object *)frame)->publisher;
  return publisher ? (PyObject *)publisher : frame;
}

/* The end of its publisher ended an open frame: what it was may be gone. */
static int ended_by_publisher(const frame_object *self) {
  return self->publisher && !self->publisher->handle;
}

/* Ends the object's reference; on a GPU the last one may wait for its work. Of an open frame that is a call of its
 * publisher, which is not to end meanwhile. */
static void end(frame_object *self, void *stream, int has_stream) {
  publisher_object *publisher = self->publisher;
  cuframes_frame *frame = ended_by_publisher(self) ? NULL : self->frame;
  self->frame = NULL;
  if (!frame)
    return;
  if (!has_stream && self->has_stream) {
    stream = self->stream;
    has_stream = 1;
  }
  if (publisher)
    publisher->calls++;
  PyThreadState *thread = PyEval_SaveThread();
  if (has_stream)
    cuframes_frame_release_on(frame, stream);
  else
    cuframes_frame_release(frame);
  PyEval_RestoreThread(thread);
  if (publisher)
    publisher_over(publisher);
}

static void frame_delete(PyObject *object) {
  frame_object *self = (frame_object *)object;
  CORE_LOCK(frame_second(object), frame_second(object))
  end(self, NULL, 0); /* an open one is cancelled by that */
  CORE_UNLOCK
  Py_XDECREF((PyObject *)self->publisher);
  core_delete(object);
}

cuframes_frame *frame_of(frame_object *self) {
  if (!self->frame)
    PyErr_SetString(PyExc_ValueError, "this frame was released (or published): keep it as long as it is used, or take "
                                      "a copy with clone()");
  else if (core_process_check(self->process, "frame") != 0)
    return NULL;
  else if (ended_by_publisher(self))
    PyErr_SetString(PyExc_ValueError, "the publisher of this open frame was closed, which cancelled it");
  else
    return self->frame;
  return NULL;
}

int frame_complete(frame_object *self, void *stream, int has_stream) {
  cuframes_frame *frame = frame_of(self);
  if (!frame)
    return -1;
  if (!self->waits || (has_stream && self->has_stream && stream == self->stream))
    return 0;
  int result, go_on = 1;
  frame = cuframes_frame_ref(frame);
  do {
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_frame_wait(frame, core_step(INT64_MAX));
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = core_go_on(INT64_MAX);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0);
  if (result != CUFRAMES_OK && go_on > 0)
    (void)core_error(result);
  cuframes_frame_release(frame);
  if (result == CUFRAMES_OK)
    self->waits = 0;
  return result == CUFRAMES_OK ? 0 : -1;
}

/* ---- what it says ---- */

#define GETTER(name, expression)                                                                                       \
  static PyObject *frame_##name(PyObject *object, void *closure) {                                                     \
    PyObject *made = NULL;                                                                                             \
    (void)closure;                                                                                                     \
    CORE_LOCK(object, frame_second(object))                                                                            \
    cuframes_frame *frame = frame_of((frame_object *)object);                                                          \
    if (frame)                                                                                                         \
      made = (expression);                                                                                             \
    CORE_UNLOCK                                                                                                        \
    return made;                                                                                                       \
  }

GETTER(seq, PyLong_FromUnsignedLongLong(cuframes_frame_seq(frame)))
GETTER(pts, core_time(cuframes_frame_pts(frame)))
GETTER(duration, PyLong_FromLongLong(cuframes_frame_duration(frame)))
GETTER(timestamp, core_time(cuframes_frame_timestamp(frame)))
GETTER(capture_time, core_time(cuframes_frame_capture_time(frame)))
GETTER(width, PyLong_FromUnsignedLong(cuframes_frame_width(frame)))
GETTER(height, PyLong_FromUnsignedLong(cuframes_frame_height(frame)))
GETTER(format, PyUnicode_FromString(cuframes_pixel_format_name(cuframes_frame_pixel_format(frame))))
GETTER(device, PyUnicode_FromString(cuframes_frame_device(frame)))
GETTER(flags, PyLong_FromUnsignedLong(cuframes_frame_flags(frame)))
GETTER(layout, format_give(cuframes_frame_format(frame)))
GETTER(plane_count, PyLong_FromLong(cuframes_pixel_format_planes(cuframes_frame_pixel_format(frame))))
GETTER(color, color_give(cuframes_frame_color(frame)))
GETTER(references, PyLong_FromUnsignedLong(cuframes_frame_references(frame)))

/* The GPU's number, or None. */
static PyObject *frame_gpu(PyObject *object, void *closure) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  cuframes_array array = { .struct_size = sizeof array };
  (void)closure;
  if (!frame)
    return NULL;
  int result = cuframes_frame_array(frame, 0, &array);
  if (result != CUFRAMES_OK)
    return core_error(result);
  if (array.device_type == 1)
    Py_RETURN_NONE;
  return PyLong_FromUnsignedLong(array.device_index);
}

static PyObject *frame_released(PyObject *object, void *closure) {
  (void)closure;
  return PyBool_FromLong(!((frame_object *)object)->frame || ended_by_publisher((frame_object *)object));
}

static PyObject *frame_id(PyObject *object, void *closure) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  cuframes_frame_id id = { .struct_size = sizeof id };
  (void)closure;
  if (!frame)
    return NULL;
  int result = cuframes_frame_identify(frame, &id);
  return result == CUFRAMES_OK ? id_give(&id) : core_error(result);
}

static PyObject *frame_side_data(PyObject *object, void *closure) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  (void)closure;
  PyObject *list = frame ? PyList_New(0) : NULL;
  for (uint32_t i = 0; list; i++) {
    uint32_t type;
    size_t size;
    const void *data = cuframes_frame_side_data_at(frame, i, &type, &size);
    if (!data)
      break;
    PyObject *piece = Py_BuildValue("(Iy#)", type, (const char *)data, (Py_ssize_t)size);
    if (!piece || PyList_Append(list, piece) != 0)
      Py_CLEAR(list);
    Py_XDECREF(piece);
  }
  return list;
}

CORE_LOCKED_GETTER(frame_gpu, self, frame_second(self))
CORE_LOCKED_GETTER(frame_released, self, frame_second(self))
CORE_LOCKED_GETTER(frame_id, self, frame_second(self))
CORE_LOCKED_GETTER(frame_side_data, self, frame_second(self))

static PyGetSetDef getters[] = {
  { "seq", frame_seq, NULL, "Number of the frame, 1, 2, 3, ... in the order of publishing; 0 while it is open.", NULL },
  { "pts", frame_pts, NULL, "Presentation time, ns on the source's clock, or None.", NULL },
  { "duration", frame_duration, NULL, "How long it is to be shown, ns; 0: not known.", NULL },
  { "timestamp", frame_timestamp, NULL, "When it was published, CLOCK_MONOTONIC ns.", NULL },
  { "capture_time", frame_capture_time, NULL, "When the picture was taken, ns since 1970 UTC, or None.", NULL },
  { "width", frame_width, NULL, "Pixels.", NULL },
  { "height", frame_height, NULL, "Pixels.", NULL },
  { "format", frame_format, NULL, "Pixel format: 'nv12', 'yuv420p', 'rgb24', ...", NULL },
  { "device", frame_device, NULL, "'host', or 'cuda:GPU-...' with the UUID of the GPU that made it.", NULL },
  { "gpu", locked_frame_gpu, NULL, "Number of the GPU that has it, as this process counts; None: host memory.", NULL },
  { "flags", frame_flags, NULL, "Bits: 1 discontinuity, 2 new format, 4 key, 8 corrupt.", NULL },
  { "color", frame_color, NULL, "(matrix, range, primaries, transfer), code points of H.273; 0: not said.", NULL },
  { "layout", frame_layout, NULL, "The whole format as a dict, every pitch and offset filled in.", NULL },
  { "plane_count", frame_plane_count, NULL, "Number of planes.", NULL },
  { "references", frame_references, NULL, "References of the frame: 1, and 1 for each view of it.", NULL },
  { "released", locked_frame_released, NULL, "Whether it was released, or published.", NULL },
  { "id", locked_frame_id, NULL, "(stream, instance, seq, pts): which frame it is, among all streams.", NULL },
  { "side_data", locked_frame_side_data, NULL, "[(type, bytes), ...]: what the publisher attached.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

/* ---- what is done with it ---- */

static PyObject *frame_release(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "stream", NULL };
  frame_object *self = (frame_object *)object;
  PyObject *given = NULL;
  void *stream;
  int has_stream;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|O:release", names, &given) ||
      core_stream(given, &stream, &has_stream) != 0)
    return NULL;
  if (!self->frame || ended_by_publisher(self))
    Py_RETURN_NONE;
  uint32_t views = self->process == core_process() ? cuframes_frame_references(self->frame) : 1;
  if (views > 1) {
    PyErr_Format(
        PyExc_BufferError,
        "release() of frame %llu: %u view%s of it (tensor, array or buffer) %s alive; del %s first, or let the "
        "frame be released with the last of them",
        (unsigned long long)cuframes_frame_seq(self->frame), views - 1, views == 2 ? "" : "s",
        views == 2 ? "is" : "are", views == 2 ? "it" : "them");
    return NULL;
  }
  end(self, stream, has_stream);
  Py_RETURN_NONE;
}

static PyObject *frame_used_on(PyObject *object, PyObject *given) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  void *stream;
  int has_stream;
  if (!frame || core_stream(given, &stream, &has_stream) != 0)
    return NULL;
  cuframes_frame_used_on(frame, stream);
  Py_RETURN_NONE;
}

/* False: it is not complete yet. */
static PyObject *frame_wait(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "timeout", NULL };
  cuframes_frame *frame = frame_of((frame_object *)object);
  PyObject *seconds = NULL;
  int64_t timeout;
  int result, go_on = 1;
  if (!frame || !PyArg_ParseTupleAndKeywords(args, words, "|O:wait", names, &seconds) ||
      core_timeout("timeout", seconds, &timeout) != 0)
    return NULL;
  int64_t deadline = core_deadline(timeout);
  frame = cuframes_frame_ref(frame);
  do {
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_frame_wait(frame, core_step(deadline));
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0);
  if (result != CUFRAMES_OK && result != CUFRAMES_ERR_TIMEOUT)
    (void)core_error(result);
  cuframes_frame_release(frame);
  return PyErr_Occurred() ? NULL : PyBool_FromLong(result == CUFRAMES_OK);
}

static PyObject *frame_plane(PyObject *object, PyObject *index) {
  core_number plane = { "plane", CUFRAMES_PLANES - 1, 0 };
  return core_number_take(index, &plane) ? plane_give((frame_object *)object, (int)plane.value) : NULL;
}

/* (plane, stream, flags): what tensors are made of. */
static PyObject *frame_capsule(PyObject *object, PyObject *args) {
  frame_object *self = (frame_object *)object;
  core_number plane = CORE_NUMBER("plane"), flags = CORE_NUMBER("flags");
  PyObject *given;
  void *stream;
  int has_stream;
  if (!PyArg_ParseTuple(args, "O&OO&:_capsule", core_number_take, &plane, &given, core_number_take, &flags) ||
      core_stream(given, &stream, &has_stream) != 0 || frame_complete(self, stream, 1) != 0)
    return NULL;
  return capsule_give(self->frame, (int)plane.value, stream, (uint32_t)flags.value);
}

static PyObject *frame_array(PyObject *object, PyObject *index) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  cuframes_array array = { .struct_size = sizeof array };
  long plane = frame ? PyLong_AsLong(index) : -1;
  if (!frame || (plane == -1 && PyErr_Occurred()))
    return NULL;
  int result = cuframes_frame_array(frame, (int)plane, &array);
  return result == CUFRAMES_OK ? core_array_words(&array) : core_error(result);
}

/* (plane, capsule, stream) */
static PyObject *frame_fill(PyObject *object, PyObject *args) {
  frame_object *self = (frame_object *)object;
  int plane, has_stream;
  PyObject *capsule, *given;
  void *stream;
  if (!PyArg_ParseTuple(args, "iOO:_fill", &plane, &capsule, &given) || core_stream(given, &stream, &has_stream) != 0 ||
      capsule_take(self, plane, capsule, stream) != 0)
    return NULL;
  Py_RETURN_NONE;
}

static PyObject *frame_add_side_data(PyObject *object, PyObject *args) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  core_number type = CORE_NUMBER("type");
  Py_buffer data;
  if (!frame || !PyArg_ParseTuple(args, "O&y*:add_side_data", core_number_take, &type, &data))
    return NULL;
  int result = cuframes_frame_add_side_data(frame, (uint32_t)type.value, data.buf, (size_t)data.len);
  PyObject *none = core_none(result);
  PyBuffer_Release(&data);
  return none;
}

/* (plane, writable buffer): packed rows */
static PyObject *frame_copy_to(PyObject *object, PyObject *args) {
  cuframes_frame *frame = frame_of((frame_object *)object);
  int plane, result;
  uint32_t row_bytes = 0, rows = 0;
  Py_buffer to;
  if (!frame || !PyArg_ParseTuple(args, "iw*:_copy_to", &plane, &to))
    return NULL;
  PyObject *none = NULL;
  if (cuframes_format_plane_size(cuframes_frame_format(frame), plane, &row_bytes, &rows) == CUFRAMES_OK &&
      (uint64_t)to.len < (uint64_t)row_bytes * rows) {
    PyErr_Format(PyExc_ValueError, "a buffer of %zd bytes for a plane of %u rows of %u", to.len, rows, row_bytes);
  } else {
    frame = cuframes_frame_ref(frame);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_frame_copy_to_host(frame, plane, to.buf, 0);
    Py_END_ALLOW_THREADS
    none = core_none(result);
    cuframes_frame_release(frame);
  }
  PyBuffer_Release(&to);
  return none;
}

/* The object lets go; views keep the frame. */
static PyObject *frame_drop(PyObject *object, PyObject *none) {
  (void)none;
  end((frame_object *)object, NULL, 0);
  Py_RETURN_NONE;
}

static PyObject *frame_reduce(PyObject *object, PyObject *none) {
  (void)object, (void)none;
  PyErr_SetString(PyExc_TypeError, "a frame is a lease on another process's memory and cannot be pickled: call "
                                   "cuframes.subscribe(name) in the other process, or send clone()'s arrays");
  return NULL;
}

CORE_LOCKED_WORDS(frame_release, self, frame_second(self))
CORE_LOCKED_WORDS(frame_wait, self, frame_second(self))
CORE_LOCKED(frame_used_on, self, frame_second(self))
CORE_LOCKED(frame_plane, self, frame_second(self))
CORE_LOCKED(frame_add_side_data, self, frame_second(self))
CORE_LOCKED(frame_capsule, self, frame_second(self))
CORE_LOCKED(frame_array, self, frame_second(self))
CORE_LOCKED(frame_fill, self, frame_second(self))
CORE_LOCKED(frame_copy_to, self, frame_second(self))
CORE_LOCKED(frame_drop, self, frame_second(self))

static PyMethodDef methods[] = {
  { "release", (PyCFunction)(void (*)(void))locked_frame_release, METH_VARARGS | METH_KEYWORDS,
    "release(stream=None)\n--\n\nGives the frame back; with a stream of a GPU when that has come so far.\nBufferError "
    "while views of it (tensors, arrays, buffers) are alive. A second release does nothing." },
  { "used_on", locked_frame_used_on, METH_O,
    "used_on(stream)\n--\n\nWork that was put on this stream by now uses the frame: it is given back only when the\n"
    "stream has come so far. For streams other than the one on which a view was made." },
  { "wait", (PyCFunction)(void (*)(void))locked_frame_wait, METH_VARARGS | METH_KEYWORDS,
    "wait(timeout=None)\n--\n\nWaits on the CPU until the picture is complete; False when the time is up. At once in\n"
    "sync mode 'complete'. LostError if the publisher died before." },
  { "plane", locked_frame_plane, METH_O, "plane(index)\n--\n\nThe plane of that index." },
  { "add_side_data", locked_frame_add_side_data, METH_VARARGS,
    "add_side_data(type, data)\n--\n\nAttaches bytes to an open frame of a publisher." },
  { "_capsule", locked_frame_capsule, METH_VARARGS, "_capsule(plane, stream, flags)" },
  { "_array", locked_frame_array, METH_O, "_array(plane) -> (address, shape, strides, typestr, read_only, device)" },
  { "_fill", locked_frame_fill, METH_VARARGS, "_fill(plane, capsule, stream)" },
  { "_copy_to", locked_frame_copy_to, METH_VARARGS, "_copy_to(plane, buffer)" },
  { "_drop", locked_frame_drop, METH_NOARGS, "_drop(): lets go of the frame; views keep it." },
  { "__reduce__", frame_reduce, METH_NOARGS, NULL },
  { NULL, NULL, 0, NULL },
};

int frame_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_dealloc, (void *)frame_delete },
    { Py_tp_getset, getters },
    { Py_tp_methods, methods },
    { Py_tp_doc, (void *)"A frame in hand." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Frame", sizeof(frame_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots };
  frame_type = core_type(module, &spec);
  return frame_type ? 0 : -1;
}
