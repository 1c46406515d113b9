/* plane.c - one plane of a frame as an array: DLPack, the buffer protocol, the array interfaces. */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "dlpack.h"

PyTypeObject *plane_type;
static PyTypeObject *interface_type;

/* ---- capsules that we give ---- */

static void capsule_end(PyObject *capsule) {
  /* Who took the tensor has given the capsule another name. */
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    dl_versioned *tensor = PyCapsule_GetPointer(capsule, "dltensor_versioned");
    tensor->deleter(tensor);
  } else if (PyCapsule_IsValid(capsule, "dltensor")) {
    dl_unversioned *tensor = PyCapsule_GetPointer(capsule, "dltensor");
    tensor->deleter(tensor);
  }
}

PyObject *capsule_give(cuframes_frame *frame, int plane, void *stream, uint32_t flags) {
  void *tensor = NULL;
  int result;
  if (flags & CUFRAMES_DLPACK_COPY) {
    frame = cuframes_frame_ref(frame);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_frame_dlpack(frame, plane, stream, flags, &tensor);
    Py_END_ALLOW_THREADS
    if (result != CUFRAMES_OK)
      (void)core_error(result);
    cuframes_frame_release(frame);
  } else {
    result = cuframes_frame_dlpack(frame, plane, stream, flags, &tensor);
    if (result != CUFRAMES_OK)
      (void)core_error(result);
  }
  if (result != CUFRAMES_OK)
    return NULL;
  int old = (flags & CUFRAMES_DLPACK_UNVERSIONED) != 0;
  PyObject *capsule = PyCapsule_New(tensor, old ? "dltensor" : "dltensor_versioned", capsule_end);
  if (!capsule && old)
    ((dl_unversioned *)tensor)->deleter(tensor);
  else if (!capsule)
    ((dl_versioned *)tensor)->deleter(tensor);
  return capsule;
}

/* ---- life ---- */

PyObject *plane_give(frame_object *owner, int index) {
  cuframes_frame *frame = frame_of(owner);
  cuframes_array array = { .struct_size = sizeof array };
  if (!frame)
    return NULL;
  int result = cuframes_frame_array(frame, index, &array);
  plane_object *self = result == CUFRAMES_OK ? core_new(plane_type) : NULL;
  if (!self)
    return result == CUFRAMES_OK ? NULL : core_error(result);
  self->owner = (frame_object *)Py_NewRef((PyObject *)owner);
  self->index = index;
  self->array = array;
  for (uint32_t i = 0; i < array.dims; i++) {
    self->shape[i] = (Py_ssize_t)array.shape[i];
    self->strides[i] = (Py_ssize_t)(array.strides[i] * (array.bits / 8));
  }
  return (PyObject *)self;
}

static void plane_delete(PyObject *object) {
  plane_object *self = (plane_object *)object;
  cuframes_frame_release(self->pinned);
  Py_XDECREF((PyObject *)self->owner);
  core_delete(object);
}

/* The frame, as long as it is in hand. */
static cuframes_frame *plane_frame(plane_object *self) {
  return frame_of(self->owner);
}

/* For arrays whose end nobody tells: they keep the plane, and it the frame. */
static cuframes_frame *plane_pin(plane_object *self) {
  cuframes_frame *frame = plane_frame(self);
  if (frame && !self->pinned)
    self->pinned = cuframes_frame_ref(frame);
  return frame;
}

/* What its methods hold: its frame. */
static PyObject *plane_first(PyObject *plane) {
  return (PyObject *)((plane_object *)plane)->owner;
}

/* ---- what it says ---- */

static PyObject *tuple_of(const Py_ssize_t *values, uint32_t count) {
  PyObject *tuple = PyTuple_New(count);
  for (uint32_t i = 0; tuple && i < count; i++) {
    PyObject *value = PyLong_FromSsize_t(values[i]);
    if (!value || PyTuple_SetItem(tuple, i, value) != 0)
      Py_CLEAR(tuple);
  }
  return tuple;
}

static void type_text(const cuframes_array *array, char text[8]) {
  static const char kinds[] = { 'i', 'u', 'f' };
  snprintf(text, 8, "%c%c%d", array->bits == 8 ? '|' : '<', kinds[array->type % 3], array->bits / 8);
}

PyObject *core_array_words(const cuframes_array *array) {
  Py_ssize_t shape[4], strides[4];
  char type[8];
  for (uint32_t i = 0; i < array->dims; i++) {
    shape[i] = (Py_ssize_t)array->shape[i];
    strides[i] = (Py_ssize_t)(array->strides[i] * (array->bits / 8));
  }
  type_text(array, type);
  return Py_BuildValue("(KNNsN(II))", (unsigned long long)(uintptr_t)array->data, tuple_of(shape, array->dims),
                       tuple_of(strides, array->dims), type, PyBool_FromLong(array->read_only), array->device_type,
                       array->device_index);
}

static PyObject *plane_shape(PyObject *object, void *closure) {
  (void)closure;
  return tuple_of(((plane_object *)object)->shape, ((plane_object *)object)->array.dims);
}

static PyObject *plane_strides(PyObject *object, void *closure) {
  (void)closure;
  return tuple_of(((plane_object *)object)->strides, ((plane_object *)object)->array.dims);
}

static PyObject *plane_typestr(PyObject *object, void *closure) {
  char type[8];
  (void)closure;
  type_text(&((plane_object *)object)->array, type);
  return PyUnicode_FromString(type);
}

static PyObject *plane_address(PyObject *object, void *closure) {
  plane_object *self = (plane_object *)object;
  (void)closure;
  return plane_frame(self) ? PyLong_FromVoidPtr(self->array.data) : NULL;
}

static PyObject *plane_read_only(PyObject *object, void *closure) {
  (void)closure;
  return PyBool_FromLong(((plane_object *)object)->array.read_only);
}

static PyObject *plane_owner(PyObject *object, void *closure) {
  (void)closure;
  return Py_NewRef((PyObject *)((plane_object *)object)->owner);
}

/* What both array interfaces say. */
static PyObject *interface_dict(plane_object *self, int version) {
  char type[8];
  type_text(&self->array, type);
  return Py_BuildValue("{s:N,s:s,s:(NN),s:N,s:i}", "shape", tuple_of(self->shape, self->array.dims), "typestr", type,
                       "data", PyLong_FromVoidPtr(self->array.data), PyBool_FromLong(self->array.read_only), "strides",
                       tuple_of(self->strides, self->array.dims), "version", version);
}

static PyObject *plane_array_interface(PyObject *object, void *closure) {
  plane_object *self = (plane_object *)object;
  (void)closure;
  if (self->array.device_type != DL_HOST) {
    PyErr_SetString(PyExc_AttributeError, "__array_interface__: this plane is in the memory of a GPU; cai() has "
                                          "__cuda_array_interface__, numpy(copy=True) copies it to the host");
    return NULL;
  }
  return plane_pin(self) ? interface_dict(self, 3) : NULL;
}

CORE_LOCKED_GETTER(plane_address, plane_first(self), frame_second(plane_first(self)))
CORE_LOCKED_GETTER(plane_array_interface, plane_first(self), frame_second(plane_first(self)))

static PyGetSetDef getters[] = {
  { "shape", plane_shape, NULL, "Rows, columns, and samples at each place where there are several.", NULL },
  { "strides", plane_strides, NULL, "Bytes from one element of each dimension to the next.", NULL },
  { "typestr", plane_typestr, NULL, "'|u1', '<u2', '<f4', ... as NumPy writes types.", NULL },
  { "address", locked_plane_address, NULL, "Address, on a GPU of the device's memory.", NULL },
  { "read_only", plane_read_only, NULL, "Whether it may not be written: a subscriber's never may.", NULL },
  { "frame", plane_owner, NULL, "The frame that it is of.", NULL },
  { "__array_interface__", locked_plane_array_interface, NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

/* ---- DLPack ---- */

static PyObject *plane_dlpack_device(PyObject *object, PyObject *none) {
  plane_object *self = (plane_object *)object;
  (void)none;
  return Py_BuildValue("(II)", self->array.device_type, self->array.device_index);
}

/* Two numbers, or None. BufferError for what is neither: after a TypeError torch would ask again in other words. */
static int pair_take(const char *name, PyObject *pair, long *first, long *second) {
  if (!pair || pair == Py_None)
    return 0;
  if (PyTuple_Check(pair) && PyTuple_Size(pair) == 2) {
    *first = PyLong_AsLong(PyTuple_GetItem(pair, 0));
    *second = PyErr_Occurred() ? 0 : PyLong_AsLong(PyTuple_GetItem(pair, 1));
    if (!PyErr_Occurred())
      return 0;
  }
  PyErr_Clear();
  PyErr_Format(PyExc_BufferError, "__dlpack__: %s: expected a tuple of two numbers, not %R", name, pair);
  return -1;
}

/* The flags for what was asked; -1 with an error. */
static int wanted(plane_object *self, PyObject *max_version, PyObject *device, PyObject *copy) {
  uint32_t type = self->array.device_type, index = self->array.device_index;
  long asked_type = (long)type, asked_index = (long)index, major = 0, minor = 0;
  int flags = 0, must_copy = copy == Py_True, may_copy = copy != Py_False;
  if (pair_take("max_version", max_version, &major, &minor) != 0)
    return -1;
  if (major < 1)
    flags |= CUFRAMES_DLPACK_UNVERSIONED;
  if (pair_take("dl_device", device, &asked_type, &asked_index) != 0)
    return -1;
  int elsewhere = asked_type != (long)type || (asked_type != DL_HOST && asked_index != (long)index);
  if (elsewhere && (asked_type != DL_HOST || !may_copy)) {
    PyErr_Format(PyExc_BufferError,
                 "__dlpack__: this plane is on device (%u, %u), and device (%ld, %ld) was asked for%s", type, index,
                 asked_type, asked_index, may_copy ? "" : " without a copy");
    return -1;
  }
  if (must_copy && !elsewhere && type != DL_HOST) {
    PyErr_SetString(PyExc_BufferError, "__dlpack__: a copy within the GPU is not made here: take the plane without "
                                       "copy=True and copy that (.clone(), .copy())");
    return -1;
  }
  return elsewhere || must_copy ? flags | CUFRAMES_DLPACK_COPY : flags;
}

static PyObject *plane_dlpack(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "stream", "max_version", "dl_device", "copy", NULL };
  plane_object *self = (plane_object *)object;
  PyObject *given = NULL, *max_version = NULL, *device = NULL, *copy = NULL;
  void *stream = NULL;
  int has_stream = 0, flags, order = 1;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|$OOOO:__dlpack__", names, &given, &max_version, &device, &copy) ||
      !plane_frame(self) || (flags = wanted(self, max_version, device, copy)) < 0)
    return NULL;
  if (self->array.device_type != DL_HOST && given && PyLong_Check(given)) {
    long value = PyLong_AsLong(given);
    if (value == -1 && PyErr_Occurred())
      PyErr_Clear(); /* a handle beyond a long's range */
    else if (value == -1)
      order = 0, given = NULL; /* the consumer orders its work itself */
    else if (value < -1) {
      PyErr_Format(PyExc_ValueError, "__dlpack__: stream: expected None, -1, 1, 2 or a handle, not %R", given);
      return NULL;
    }
  }
  if (self->array.device_type != DL_HOST && core_stream(given, &stream, &has_stream) != 0)
    return NULL;
  if (order && !(flags & CUFRAMES_DLPACK_COPY) && frame_complete(self->owner, stream, 1) != 0)
    return NULL;
  /* Without a stream the legacy default one: it waits for all but those made not to. */
  return capsule_give(self->owner->frame, self->index, stream, (uint32_t)flags);
}

/* ---- the buffer protocol ---- */

static int plane_getbuffer(PyObject *object, Py_buffer *view, int flags) {
  static const char *const codes[3][3] = { { "b", "h", "i" }, { "B", "H", "I" }, { "b", "e", "f" } };
  plane_object *self = (plane_object *)object;
  cuframes_frame *frame = plane_frame(self);
  const cuframes_array *array = &self->array;
  view->obj = NULL;
  if (!frame)
    return -1;
  int packed = 1;
  Py_ssize_t bytes = array->bits / 8, total = bytes;
  for (uint32_t i = array->dims; i-- > 0; total *= self->shape[i])
    packed = packed && self->strides[i] == total;
  const char *why = NULL;
  if (array->device_type != DL_HOST)
    why =
        "this plane is in the memory of a GPU: torch(), cupy(), __dlpack__() see it there, numpy(copy=True) copies it";
  else if ((flags & PyBUF_WRITABLE) && array->read_only)
    why = "this plane is read-only: clone() gives arrays of your own";
  else if (!packed && (flags & PyBUF_STRIDES) != PyBUF_STRIDES)
    why = "the rows of this plane have gaps, and a consumer that knows no strides wants it";
  if (why) {
    PyErr_SetString(PyExc_BufferError, why);
    return -1;
  }
  if (!cuframes_frame_ref(frame)) {
    PyErr_SetString(PyExc_BufferError, "this frame was released");
    return -1;
  }
  view->buf = array->data;
  view->len = total;
  view->itemsize = bytes;
  view->readonly = array->read_only;
  view->ndim = (flags & PyBUF_ND) ? (int)array->dims : 1;
  view->format = (flags & PyBUF_FORMAT) ? (char *)(uintptr_t)codes[array->type % 3][bytes / 2] : NULL;
  view->shape = (flags & PyBUF_ND) ? self->shape : NULL;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->strides : NULL;
  view->suboffsets = NULL;
  view->internal = frame;
  view->obj = Py_NewRef(object);
  return 0;
}

static int locked_plane_getbuffer(PyObject *self, Py_buffer *view, int flags) {
  int result;
  CORE_LOCK(plane_first(self), frame_second(plane_first(self)))
  result = plane_getbuffer(self, view, flags);
  CORE_UNLOCK
  return result;
}

static void plane_releasebuffer(PyObject *object, Py_buffer *view) {
  (void)object;
  cuframes_frame_release(view->internal);
}

/* ---- __cuda_array_interface__, on an object of its own: torch would try it before DLPack ---- */

typedef struct interface_object {
  PyObject ob_base;
  PyObject *dict;
  dl_versioned *tensor; /* holds the frame for the stream */
} interface_object;

static void interface_delete(PyObject *object) {
  interface_object *self = (interface_object *)object;
  dl_versioned *tensor = self->tensor;
  Py_XDECREF(self->dict);
  PyThreadState *thread = PyEval_SaveThread();
  if (tensor)
    tensor->deleter(tensor);
  PyEval_RestoreThread(thread);
  core_delete(object);
}

static PyObject *interface_get(PyObject *object, void *closure) {
  (void)closure;
  return Py_NewRef(((interface_object *)object)->dict);
}

static PyGetSetDef interface_getters[] = {
  { "__cuda_array_interface__", interface_get, NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

static PyObject *plane_cai(PyObject *object, PyObject *args, PyObject *words) {
  static char *names[] = { "stream", NULL };
  plane_object *self = (plane_object *)object;
  PyObject *given = NULL;
  void *stream;
  int has_stream;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|O:cai", names, &given) ||
      core_stream(given, &stream, &has_stream) != 0)
    return NULL;
  if (self->array.device_type == DL_HOST) {
    PyErr_SetString(PyExc_ValueError, "cai(): this plane is in host memory: numpy(), or the buffer protocol");
    return NULL;
  }
  if (frame_complete(self->owner, stream, 1) != 0)
    return NULL;
  interface_object *made = core_new(interface_type);
  if (!made)
    return NULL;
  void *tensor = NULL;
  int result = cuframes_frame_dlpack(plane_frame(self), self->index, stream, 0, &tensor);
  made->tensor = tensor;
  if (result != CUFRAMES_OK)
    (void)core_error(result);
  made->dict = result == CUFRAMES_OK ? interface_dict(self, 3) : NULL;
  if (!made->dict || core_put(made->dict, "stream", Py_NewRef(Py_None)) != 0)
    Py_CLEAR(made);
  return (PyObject *)made;
}

/* ---- capsules that we take: publishing ---- */

/* Of DLPack's kinds of devices. */
static const char *place_of(int32_t type, int32_t index, char text[24]) {
  if (type == DL_GPU || type == DL_GPU_MANAGED)
    snprintf(text, 24, "on GPU %d", (int)index);
  else if (type == DL_HOST || type == DL_GPU_HOST)
    return "in host memory";
  else
    snprintf(text, 24, "on device (%d, %d)", (int)type, (int)index);
  return text;
}

static int mismatch(frame_object *self, int plane, const cuframes_array *to, const dl_tensor *from, const char *why) {
  static const char *const kinds[] = { "int", "uint", "float", "opaque ", "bfloat", "complex", "bool" };
  PyObject *wants = core_array_words(to), *came = PyTuple_New(from->dims);
  char type_of[32], on[2][24];
  for (int32_t i = 0; came && i < from->dims; i++)
    (void)PyTuple_SetItem(came, i, PyLong_FromLongLong(from->shape[i]));
  PyObject *shape = wants ? PyTuple_GetItem(wants, 1) : NULL;
  if (from->code < sizeof kinds / sizeof kinds[0])
    snprintf(type_of, sizeof type_of, "%s%d", kinds[from->code], from->bits);
  else
    snprintf(type_of, sizeof type_of, "another kind of %d bits", from->bits);
  if (shape && came)
    PyErr_Format(PyExc_ValueError,
                 "plane %d of %s %ux%u takes shape %R of type %s%u %s; came shape %R of type %s %s: %s", plane,
                 cuframes_pixel_format_name(cuframes_frame_pixel_format(self->frame)),
                 cuframes_frame_width(self->frame), cuframes_frame_height(self->frame), shape, kinds[to->type % 3],
                 (unsigned)to->bits, place_of((int32_t)to->device_type, (int32_t)to->device_index, on[0]), came,
                 type_of, place_of(from->device_type, from->device_index, on[1]), why);
  Py_XDECREF(wants);
  Py_XDECREF(came);
  return -1;
}

/* Whether rows of the tensor, `rows` of `row` elements each, are those of the plane; the elements from one to the next.
 * NULL, or why not. */
static const char *rows_fit(const cuframes_array *to, int64_t rows, int64_t row, const dl_tensor *from,
                            int64_t *pitch) {
  if (from->code != to->type || from->bits != to->bits || from->lanes != 1)
    return "another type";
  int64_t from_rows = 1, packed = 1;
  int32_t dims = from->dims, split = 0;
  while (split < dims && from_rows < rows && from_rows * from->shape[split] <= rows)
    from_rows *= from->shape[split++];
  for (int32_t i = dims; i-- > split; packed *= from->shape[i])
    if (from->strides && from->shape[i] != 1 && from->strides[i] != packed)
      return "its rows are not contiguous (.contiguous(), numpy.ascontiguousarray() make them so)";
  if (from_rows != rows || packed != row)
    return "another shape";
  *pitch = row;
  if (split == 0 || !from->strides || rows == 1)
    return NULL;
  *pitch = from->strides[split - 1];
  for (int32_t i = split - 1; i-- > 0;)
    if (from->shape[i] != 1 && from->strides[i] != from->strides[i + 1] * from->shape[i + 1])
      return "its rows do not follow each other evenly (.contiguous() makes them so)";
  return *pitch < row ? "its rows overlap, or go backwards (.contiguous() makes them packed)" : NULL;
}

static int fill(frame_object *self, int plane, const dl_tensor *from, void *stream) {
  cuframes_frame *frame = frame_of(self);
  cuframes_array to = { .struct_size = sizeof to };
  int64_t pitch = 0;
  if (!frame)
    return -1;
  uint32_t row_bytes = 0, rows = 0;
  int result = cuframes_frame_array(frame, plane, &to);
  if (result == CUFRAMES_OK)
    result = cuframes_format_plane_size(cuframes_frame_format(frame), plane, &row_bytes, &rows);
  if (result != CUFRAMES_OK) {
    (void)core_error(result);
    return -1;
  }
  const char *why = rows_fit(&to, rows, row_bytes / (to.bits / 8u), from, &pitch);
  int host = from->device_type == DL_HOST || from->device_type == DL_GPU_HOST;
  if (!why && !host && to.device_type == DL_HOST)
    why = "the publisher's frames are in host memory (.cpu() copies it there, publish(device=\"cuda\") publishes it)";
  if (!why && !host && from->device_type != DL_GPU && from->device_type != DL_GPU_MANAGED)
    why = "memory of another kind";
  if (!why && !host && from->device_index != (int32_t)to.device_index)
    why = "another GPU (.to() copies it)";
  if (why)
    return mismatch(self, plane, &to, from, why);
  const char *data = (const char *)from->data + from->byte_offset;
  size_t bytes = (size_t)pitch * (to.bits / 8u);
  frame = cuframes_frame_ref(frame);
  Py_BEGIN_ALLOW_THREADS
  result = host ? cuframes_frame_copy_from_host(frame, plane, data, bytes)
                : cuframes_frame_copy_from_device(frame, plane, data, bytes, stream);
  Py_END_ALLOW_THREADS
  if (result != CUFRAMES_OK)
    (void)core_error(result);
  cuframes_frame_release(frame);
  return result == CUFRAMES_OK ? 0 : -1;
}

/* Host memory of whoever knows the buffer protocol. */
static int fill_buffer(frame_object *self, int plane, PyObject *object) {
  Py_buffer view;
  int64_t shape[8], strides[8];
  if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_STRIDES) != 0)
    return -1;
  const char *format = view.format ? view.format : "B";
  format += *format == '<' || *format == '=' || *format == '@';
  dl_tensor tensor = { .data = view.buf,
                       .device_type = DL_HOST,
                       .dims = view.ndim,
                       .shape = shape,
                       .strides = strides,
                       .lanes = 1,
                       .bits = (uint8_t)(view.itemsize * 8),
                       .code = 255 };
  if (strlen(format) == 1)
    tensor.code = strchr("BHILQ", *format)   ? 1
                  : strchr("bhilq", *format) ? 0
                  : strchr("efd", *format)   ? 2
                  : *format == '?'           ? 6
                                             : 255;
  int even = view.ndim <= 8;
  for (int i = 0; even && i < view.ndim; i++) {
    even = view.strides[i] % view.itemsize == 0;
    shape[i] = view.shape[i];
    strides[i] = view.strides[i] / view.itemsize;
  }
  int result = even ? fill(self, plane, &tensor, NULL) : -1;
  if (!even)
    PyErr_SetString(PyExc_ValueError,
                    "an array of at most 8 dimensions, whose strides are whole elements, is expected");
  PyBuffer_Release(&view);
  return result;
}

int capsule_take(frame_object *self, int plane, PyObject *capsule, void *stream) {
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    dl_versioned *tensor = PyCapsule_GetPointer(capsule, "dltensor_versioned");
    if (tensor->major == 1)
      return fill(self, plane, &tensor->tensor, stream);
    PyErr_Format(PyExc_BufferError, "a tensor of DLPack %u.%u; this reads 1.x", tensor->major, tensor->minor);
    return -1;
  }
  if (PyCapsule_IsValid(capsule, "dltensor")) {
    dl_unversioned *tensor = PyCapsule_GetPointer(capsule, "dltensor");
    return fill(self, plane, &tensor->tensor, stream); /* only read: the capsule ends it */
  }
  return fill_buffer(self, plane, capsule);
}

CORE_LOCKED_WORDS(plane_dlpack, plane_first(self), frame_second(plane_first(self)))
CORE_LOCKED_WORDS(plane_cai, plane_first(self), frame_second(plane_first(self)))

static PyObject *plane_reduce(PyObject *object, PyObject *none) {
  (void)object, (void)none;
  PyErr_SetString(PyExc_TypeError,
                  "a plane is a view of a frame and cannot be pickled: call cuframes.subscribe(name) in "
                  "the other process, or send clone()'s arrays");
  return NULL;
}

static PyMethodDef methods[] = {
  { "__reduce__", plane_reduce, METH_NOARGS, NULL },
  { "__dlpack__", (PyCFunction)(void (*)(void))locked_plane_dlpack, METH_VARARGS | METH_KEYWORDS,
    "__dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\nA DLPack capsule of the plane. "
    "With "
    "a stream of a GPU the frame is given back on it when the last view is gone." },
  { "__dlpack_device__", plane_dlpack_device, METH_NOARGS, "__dlpack_device__()\n--\n\n(type, index) of the device." },
  { "cai", (PyCFunction)(void (*)(void))locked_plane_cai, METH_VARARGS | METH_KEYWORDS,
    "cai(stream=None)\n--\n\nAn object with __cuda_array_interface__, for numba and others; it holds the frame, and "
    "gives it\nback on the stream." },
  { NULL, NULL, 0, NULL },
};

int plane_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_dealloc, (void *)plane_delete },
    { Py_tp_getset, getters },
    { Py_tp_methods, methods },
    { Py_bf_getbuffer, (void *)locked_plane_getbuffer },
    { Py_bf_releasebuffer, (void *)plane_releasebuffer },
    { Py_tp_doc, (void *)"One plane of a frame: an array without a copy." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Plane", sizeof(plane_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots };
  static PyType_Slot interface_slots[] = {
    { Py_tp_dealloc, (void *)interface_delete },
    { Py_tp_getset, interface_getters },
    { Py_tp_doc, (void *)"A plane for those who want __cuda_array_interface__." },
    { 0, NULL },
  };
  static PyType_Spec interface_spec = { "cuframes._core.CudaArray", sizeof(interface_object), 0,
                                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, interface_slots };
  plane_type = core_type(module, &spec);
  interface_type = core_type(module, &interface_spec);
  return plane_type && interface_type ? 0 : -1;
}
