/* preprocess.c - frames become one tensor, in memory of the caller's. */
#include "core.h"

#include <string.h>

#include <cuframes/vision.h>

typedef struct preprocess_object {
  PyObject ob_base;
  cuframes_preprocess *handle;
  unsigned process;
} preprocess_object;

static PyTypeObject *preprocess_type;

static int triple(PyObject *given, const char *name, float values[3]) {
  PyObject *tuple = PySequence_Tuple(given);
  int good = tuple && PyArg_ParseTuple(tuple, "fff", &values[0], &values[1], &values[2]);
  Py_XDECREF(tuple);
  if (good)
    return 0;
  PyErr_Format(PyExc_TypeError, "%s: expected three numbers, not %R", name, given);
  return -1;
}

static PyObject *preprocess_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "width", "height", "element", "layout",  "channels", "fit",    "filter",
                           "scale", "mean",   "std",     "padding", "capacity", "device", NULL };
  cuframes_preprocess_options options = { .struct_size = sizeof options };
  core_number number[8] = { CORE_NUMBER("width"),  CORE_NUMBER("height"),   CORE_NUMBER("element"),
                            CORE_NUMBER("layout"), CORE_NUMBER("channels"), CORE_NUMBER("fit"),
                            CORE_NUMBER("filter"), CORE_NUMBER("capacity") };
  PyObject *mean, *std, *padding;
  if (!PyArg_ParseTupleAndKeywords(args, words, "O&O&O&O&O&O&O&fOOOO&z:Preprocess", names, core_number_take, &number[0],
                                   core_number_take, &number[1], core_number_take, &number[2], core_number_take,
                                   &number[3], core_number_take, &number[4], core_number_take, &number[5],
                                   core_number_take, &number[6], &options.scale, &mean, &std, &padding,
                                   core_number_take, &number[7], &options.device) ||
      triple(mean, "mean", options.mean) != 0 || triple(std, "std", options.std) != 0 ||
      triple(padding, "padding", options.padding) != 0)
    return NULL;
  options.width = (uint32_t)number[0].value;
  options.height = (uint32_t)number[1].value;
  options.element = (uint32_t)number[2].value;
  options.layout = (uint32_t)number[3].value;
  options.channels = (uint32_t)number[4].value;
  options.fit = (uint32_t)number[5].value;
  options.filter = (uint32_t)number[6].value;
  options.capacity = (uint32_t)number[7].value;
  preprocess_object *self = core_new(type);
  int result;
  if (!self)
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_preprocess_create(&options, &self->handle);
  Py_END_ALLOW_THREADS
  self->process = core_process();
  if (result == CUFRAMES_OK)
    return (PyObject *)self;
  Py_DECREF((PyObject *)self);
  return core_error(result);
}

/* CUDA does not survive a fork; the host's work does. */
static int works_here(const preprocess_object *self) {
  return self->process == core_process() || strcmp(cuframes_preprocess_device(self->handle), "host") == 0;
}

static void preprocess_delete(PyObject *object) {
  cuframes_preprocess *handle = ((preprocess_object *)object)->handle;
  if (handle && works_here((preprocess_object *)object)) {
    PyThreadState *thread = PyEval_SaveThread();
    cuframes_preprocess_destroy(handle);
    PyEval_RestoreThread(thread);
  }
  core_delete(object);
}

/* ---- a run ---- */

typedef struct run {
  uint32_t count;
  cuframes_picture *pictures;
  cuframes_format *formats; /* of pictures that are no frames */
  cuframes_frame **frames;  /* references of our own: another thread may release */
  cuframes_geometry *placed;
} run;

static void run_end(run *r) {
  for (uint32_t i = 0; r->frames && i < r->count; i++)
    cuframes_frame_release(r->frames[i]);
  PyMem_Free(r->pictures);
  PyMem_Free(r->formats);
  PyMem_Free(r->frames);
  PyMem_Free(r->placed);
}

/* What a frame has, and a reference of it. -1 with an error. */
static int frame_take(run *r, uint32_t i, frame_object *frame, void *stream, int has_stream) {
  if (frame_complete(frame, stream, has_stream) != 0)
    return -1;
  cuframes_frame *native = frame_of(frame);
  if (!native)
    return -1;
  int result = cuframes_picture_from_frame(native, &r->pictures[i]);
  if (result != CUFRAMES_OK) {
    (void)core_error(result);
    return -1;
  }
  r->frames[i] = cuframes_frame_ref(native);
  return 0;
}

/* A plane of a picture that is no frame: (address, pitch, rows, bytes of a row), whose memory is as long as that. */
static int plane_take(cuframes_picture *picture, cuframes_format *format, int plane, PyObject *given) {
  unsigned long long address;
  unsigned pitch, rows, row_bytes;
  uint32_t wants_bytes = 0, wants_rows = 0;
  if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "KIII:plane", &address, &pitch, &rows, &row_bytes))
    return -1;
  int result = cuframes_format_plane_size(format, plane, &wants_bytes, &wants_rows);
  if (result != CUFRAMES_OK) {
    (void)core_error(result);
    return -1;
  }
  if (rows != wants_rows || row_bytes != wants_bytes || pitch < row_bytes) {
    PyErr_Format(PyExc_ValueError, "plane %d of %s %ux%u has %u rows of %u bytes; came %u rows of %u bytes", plane,
                 cuframes_pixel_format_name(format->pixel_format), format->width, format->height, wants_rows,
                 wants_bytes, rows, row_bytes);
    return -1;
  }
  picture->plane[plane] = (const void *)(uintptr_t)address;
  format->pitch[plane] = pitch;
  return 0;
}

/* A picture that is no frame: (format as a dict, a tuple of planes). -1 with an error. */
static int memory_take(run *r, uint32_t i, PyObject *given) {
  PyObject *dict, *planes;
  cuframes_format *format = &r->formats[i];
  if (!PyArg_ParseTuple(given, "O!O!:picture", &PyDict_Type, &dict, &PyTuple_Type, &planes) ||
      format_take(dict, format) != 0)
    return -1;
  int count = cuframes_pixel_format_planes(format->pixel_format);
  if (PyTuple_Size(planes) != count) {
    PyErr_Format(PyExc_ValueError, "a picture of %s has %d planes; came %zd",
                 cuframes_pixel_format_name(format->pixel_format), count, PyTuple_Size(planes));
    return -1;
  }
  r->pictures[i].format = format;
  for (int plane = 0; plane < count; plane++)
    if (plane_take(&r->pictures[i], format, plane, PyTuple_GetItem(planes, plane)) != 0)
      return -1;
  return 0;
}

/* One picture; None is no picture. -1 with an error. */
static int picture_take(run *r, uint32_t i, PyObject *frame, PyObject *crop, void *stream, int has_stream) {
  int result;
  if (frame == Py_None)
    return 0;
  if (PyTuple_Check(frame)) {
    result = memory_take(r, i, frame);
  } else if (PyObject_TypeCheck(frame, frame_type)) {
    CORE_LOCK(frame, frame_second(frame))
    result = frame_take(r, i, (frame_object *)frame, stream, has_stream);
    CORE_UNLOCK
  } else {
    PyErr_Format(PyExc_TypeError, "expected a frame or None, not %R", frame);
    return -1;
  }
  cuframes_rectangle *c = &r->pictures[i].crop;
  if (result != 0 || crop == Py_None)
    return result;
  PyObject *tuple = PySequence_Tuple(crop);
  int good = tuple && PyArg_ParseTuple(tuple, "ffff:crop (x, y, width, height)", &c->x, &c->y, &c->width, &c->height);
  Py_XDECREF(tuple);
  return good ? 0 : -1;
}

static int run_begin(run *r, PyObject *frames, PyObject *crops, void *stream, int has_stream) {
  Py_ssize_t count = PyTuple_Size(frames);
  if (count < 0 || count > CUFRAMES_PREPROCESS_CAPACITY_MAX || PyTuple_Size(crops) != count) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_ValueError, "too many frames, or not as many crops as frames");
    return -1;
  }
  r->count = (uint32_t)count;
  r->pictures = PyMem_Calloc(r->count + 1, sizeof *r->pictures);
  r->formats = PyMem_Calloc(r->count + 1, sizeof *r->formats);
  r->frames = PyMem_Calloc(r->count + 1, sizeof(cuframes_frame *));
  r->placed = PyMem_Calloc(r->count + 1, sizeof *r->placed);
  if (!r->pictures || !r->formats || !r->frames || !r->placed) {
    (void)PyErr_NoMemory();
    return -1;
  }
  for (uint32_t i = 0; i < r->count; i++)
    if (picture_take(r, i, PyTuple_GetItem(frames, (Py_ssize_t)i), PyTuple_GetItem(crops, (Py_ssize_t)i), stream,
                     has_stream) != 0)
      return -1;
  return 0;
}

static PyObject *placed_give(const run *r) {
  PyObject *list = PyList_New(0);
  for (uint32_t i = 0; list && i < r->count; i++) {
    const cuframes_geometry *g = &r->placed[i];
    PyObject *one = Py_BuildValue("(ddddIIII)", g->scale_x, g->scale_y, g->offset_x, g->offset_y, (unsigned)g->x,
                                  (unsigned)g->y, (unsigned)g->width, (unsigned)g->height);
    if (!one || PyList_Append(list, one) != 0)
      Py_CLEAR(list);
    Py_XDECREF(one);
  }
  return list;
}

/* Tuples, which nobody changes meanwhile. On a GPU the frames are used by the stream from then on, and may be released
 * at once. Nothing of the object changes, so that it needs no lock: runs may be many at a time. */
static PyObject *preprocess_run(PyObject *object, PyObject *args) {
  preprocess_object *self = (preprocess_object *)object;
  PyObject *frames, *crops, *given, *made = NULL;
  unsigned long long address;
  void *stream;
  int has_stream;
  run r = { 0 };
  if (!PyArg_ParseTuple(args, "O!O!KO:_run", &PyTuple_Type, &frames, &PyTuple_Type, &crops, &address, &given) ||
      core_stream(given, &stream, &has_stream) != 0 ||
      (!works_here(self) && core_process_check(self->process, "preprocess") != 0))
    return NULL;
  if (run_begin(&r, frames, crops, stream, has_stream) == 0) {
    int result;
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_preprocess_run(self->handle, r.pictures, r.count, (void *)(uintptr_t)address, stream, r.placed);
    for (uint32_t i = 0; result == CUFRAMES_OK && i < r.count; i++)
      if (r.frames[i] && strcmp(cuframes_frame_device(r.frames[i]), "host") != 0)
        cuframes_frame_used_on(r.frames[i], stream);
    Py_END_ALLOW_THREADS
    made = result == CUFRAMES_OK ? placed_give(&r) : core_error(result);
  }
  run_end(&r);
  return made;
}

static PyObject *preprocess_device(PyObject *object, void *closure) {
  (void)closure;
  return PyUnicode_FromString(cuframes_preprocess_device(((preprocess_object *)object)->handle));
}

static PyMethodDef methods[] = {
  { "_run", preprocess_run, METH_VARARGS, "_run(frames, crops, address, stream) -> [geometry]" },
  { NULL, NULL, 0, NULL },
};

static PyGetSetDef getters[] = {
  { "device", preprocess_device, NULL, "Where it works: \"host\" or \"cuda:GPU-...\".", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

int preprocess_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_new, preprocess_create },
    { Py_tp_dealloc, preprocess_delete },
    { Py_tp_methods, methods },
    { Py_tp_getset, getters },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Preprocess", sizeof(preprocess_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
  preprocess_type = core_type(module, &spec);
  return preprocess_type ? 0 : -1;
}
