/* packet.c - encoded packets, and what a decoder must know of their track. */
#include "core.h"

#include <string.h>

PyTypeObject *packet_type;

PyObject *packet_give(cuframes_packet *packet) {
  packet_object *self = core_new(packet_type);
  if (self)
    self->packet = packet;
  else
    cuframes_packet_release(packet);
  return (PyObject *)self;
}

static void packet_delete(PyObject *object) {
  cuframes_packet_release(((packet_object *)object)->packet);
  core_delete(object);
}

#define GETTER(name, expression)                                                                                       \
  static PyObject *packet_##name(PyObject *object, void *closure) {                                                    \
    const cuframes_packet *packet = ((packet_object *)object)->packet;                                                 \
    (void)closure;                                                                                                     \
    return expression;                                                                                                 \
  }

GETTER(track, PyLong_FromUnsignedLong(cuframes_packet_track(packet)))
GETTER(seq, PyLong_FromUnsignedLongLong(cuframes_packet_seq(packet)))
GETTER(pts, core_time(cuframes_packet_pts(packet)))
GETTER(dts, core_time(cuframes_packet_dts(packet)))
GETTER(duration, PyLong_FromLongLong(cuframes_packet_duration(packet)))
GETTER(flags, PyLong_FromUnsignedLong(cuframes_packet_flags(packet)))
GETTER(key, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY))
GETTER(discontinuity, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_DISCONTINUITY))
GETTER(corrupt, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_CORRUPT))
GETTER(hidden, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_HIDDEN))
GETTER(disposable, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_DISPOSABLE))
GETTER(new_params, PyBool_FromLong(cuframes_packet_flags(packet) & CUFRAMES_PACKET_NEW_PARAMS))

static PyGetSetDef getters[] = {
  { "track", packet_track, NULL, "Index of the track.", NULL },
  { "seq", packet_seq, NULL, "1, 2, 3, ... over all tracks.", NULL },
  { "pts", packet_pts, NULL, "Presentation time, ns, or None.", NULL },
  { "dts", packet_dts, NULL, "Decoding time, ns, or None.", NULL },
  { "duration", packet_duration, NULL, "ns, 0: not known.", NULL },
  { "flags", packet_flags, NULL,
    "Bits: 1 key, 2 discontinuity, 4 corrupt, 8 new parameters, 16 hidden, 32 needed by no other.", NULL },
  { "key", packet_key, NULL, "Decoding can start here.", NULL },
  { "discontinuity", packet_discontinuity, NULL, "The first one after the source restarted: times may jump.", NULL },
  { "corrupt", packet_corrupt, NULL, "It came damaged.", NULL },
  { "hidden", packet_hidden, NULL, "To be decoded for those behind it, and not to be shown or heard.", NULL },
  { "disposable", packet_disposable, NULL, "No other one needs it to be decoded.", NULL },
  { "new_params", packet_new_params, NULL, "The parameters of its track changed just before.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

static Py_ssize_t packet_length(PyObject *object) {
  return (Py_ssize_t)cuframes_packet_size(((packet_object *)object)->packet);
}

static int packet_getbuffer(PyObject *object, Py_buffer *view, int flags) {
  cuframes_packet *packet = ((packet_object *)object)->packet;
  return PyBuffer_FillInfo(view, object, (void *)(uintptr_t)cuframes_packet_data(packet),
                           (Py_ssize_t)cuframes_packet_size(packet), 1, flags);
}

/* (id, type, bytes), of an annotation. */
static PyObject *packet_annotation(PyObject *object, PyObject *none) {
  cuframes_frame_id id = { .struct_size = sizeof id };
  uint32_t type;
  const void *data;
  size_t size;
  (void)none;
  int result = cuframes_packet_annotation(((packet_object *)object)->packet, &id, &type, &data, &size);
  if (result != CUFRAMES_OK)
    return core_error(result);
  return Py_BuildValue("(NIy#)", id_give(&id), type, (const char *)data, (Py_ssize_t)size);
}

static PyObject *packet_reduce(PyObject *object, PyObject *none) {
  (void)object, (void)none;
  PyErr_SetString(PyExc_TypeError, "a packet cannot be pickled: send bytes(packet) and what it says of itself, or call "
                                   "cuframes.subscribe(name).packets() in the other process");
  return NULL;
}

static PyMethodDef methods[] = {
  { "__reduce__", packet_reduce, METH_NOARGS, NULL },
  { "_annotation", packet_annotation, METH_NOARGS, "_annotation() -> (id, type, bytes)" },
  { NULL, NULL, 0, NULL },
};

/* ---- codec parameters ---- */

static const struct number {
  const char *name;
  size_t offset, size;
} numbers[] = {
#define NUMBER(name)                                                                                                   \
  { #name, offsetof(cuframes_codec_params, name), sizeof(((cuframes_codec_params *)0)->name) }
  NUMBER(media_type),
  NUMBER(profile),
  NUMBER(level),
  NUMBER(width),
  NUMBER(height),
  NUMBER(frame_rate_num),
  NUMBER(frame_rate_den),
  NUMBER(sample_rate),
  NUMBER(channels),
  NUMBER(frame_size),
  NUMBER(time_base_num),
  NUMBER(time_base_den),
  NUMBER(bit_rate),
  NUMBER(chroma_location),
  NUMBER(field_order),
  NUMBER(orientation),
  NUMBER(sample_aspect_num),
  NUMBER(sample_aspect_den),
}, blobs[] = { /* as side data of that type */
  NUMBER(mastering_display),
  NUMBER(content_light),
#undef NUMBER
};
enum { NUMBERS = sizeof numbers / sizeof numbers[0], BLOBS = sizeof blobs / sizeof blobs[0] };

PyObject *codec_params_give(const cuframes_codec_params *params, const void *extradata, size_t size) {
  PyObject *dict = PyDict_New();
  const char *at = (const char *)params;
  for (size_t i = 0; dict && i < NUMBERS; i++) {
    uint64_t value = 0;
    memcpy(&value, at + numbers[i].offset, numbers[i].size); /* little-endian */
    if (core_put(dict, numbers[i].name, PyLong_FromUnsignedLongLong(value)) != 0)
      Py_CLEAR(dict);
  }
  for (size_t i = 0; dict && i < BLOBS; i++)
    if (core_put(dict, blobs[i].name, PyBytes_FromStringAndSize(at + blobs[i].offset, (Py_ssize_t)blobs[i].size)) != 0)
      Py_CLEAR(dict);
  if (dict && (core_put(dict, "codec", PyUnicode_FromString(params->codec)) != 0 ||
               core_put(dict, "color", color_give(params->color)) != 0 ||
               core_put(dict, "extradata", PyBytes_FromStringAndSize(extradata, (Py_ssize_t)size)) != 0))
    Py_CLEAR(dict);
  return dict;
}

static int codec_take(PyObject *codec, cuframes_codec_params *params) {
  if (!codec || !PyUnicode_Check(codec)) {
    PyErr_SetString(PyExc_TypeError, "codec parameters need \"codec\", FFmpeg's name of it");
    return -1;
  }
  Py_ssize_t length;
  const char *name = PyUnicode_AsUTF8AndSize(codec, &length);
  if (!name)
    return -1;
  if (length > CUFRAMES_CODEC_NAME_MAX) {
    PyErr_Format(PyExc_ValueError, "codec: %R has more than %d bytes", codec, CUFRAMES_CODEC_NAME_MAX);
    return -1;
  }
  memcpy(params->codec, name, (size_t)length);
  return 0;
}

/* Whether parameters have such a name. */
static int is_param(const char *name) {
  static const char *const others[] = { "codec", "color", "extradata" };
  for (size_t i = 0; i < NUMBERS; i++)
    if (strcmp(name, numbers[i].name) == 0)
      return 1;
  for (size_t i = 0; i < BLOBS; i++)
    if (strcmp(name, blobs[i].name) == 0)
      return 1;
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp(name, others[i]) == 0)
      return 1;
  return 0;
}

/* A word that nobody knows would be a setting without effect. */
static int check_names(PyObject *dict) {
  PyObject *key, *value;
  for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value);) {
    const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, NULL) : NULL;
    if (name && is_param(name))
      continue;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError,
                 "codec parameters have no %R: codec, media_type, width, height, frame_rate_num, "
                 "frame_rate_den, sample_rate, channels, extradata and others, as in a Track's "
                 "parameters",
                 key);
    return -1;
  }
  return 0;
}

int codec_params_take(PyObject *dict, cuframes_codec_params *params, Py_buffer *extradata) {
  char *at = (char *)params;
  if (check_names(dict) != 0)
    return -1;
  params->profile = params->level = UINT32_MAX;
  for (size_t i = 0; i < NUMBERS; i++) {
    uint64_t value = 0;
    memcpy(&value, at + numbers[i].offset, numbers[i].size);
    core_number number = { numbers[i].name, UINT64_MAX >> (64 - 8 * numbers[i].size), value };
    if (core_number_get(dict, &number) != 0) /* it stays what it is where none is said */
      return -1;
    memcpy(at + numbers[i].offset, &number.value, numbers[i].size);
  }
  for (size_t i = 0; i < BLOBS; i++) {
    PyObject *blob = PyDict_GetItemString(dict, blobs[i].name);
    if (!blob || blob == Py_None)
      continue;
    if (!PyBytes_Check(blob) || (size_t)PyBytes_Size(blob) != blobs[i].size) {
      PyErr_Format(PyExc_ValueError, "%s: expected %zu bytes, as in side data, not %R", blobs[i].name, blobs[i].size,
                   blob);
      return -1;
    }
    memcpy(at + blobs[i].offset, PyBytes_AsString(blob), blobs[i].size);
  }
  PyObject *color = PyDict_GetItemString(dict, "color"), *bytes = PyDict_GetItemString(dict, "extradata");
  if (codec_take(PyDict_GetItemString(dict, "codec"), params) != 0 ||
      (color && color != Py_None && color_take(color, &params->color) != 0))
    return -1;
  if (!bytes || bytes == Py_None)
    return 0;
  if (PyObject_CheckBuffer(bytes))
    return PyObject_GetBuffer(bytes, extradata, PyBUF_SIMPLE);
  PyErr_Format(PyExc_TypeError, "extradata: expected bytes, or what has a buffer, not %R", bytes);
  return -1;
}

int packet_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_dealloc, (void *)packet_delete },
    { Py_tp_getset, getters },
    { Py_tp_methods, methods },
    { Py_sq_length, (void *)packet_length },
    { Py_bf_getbuffer, (void *)packet_getbuffer },
    { Py_tp_doc, (void *)"An encoded packet: bytes, and what it says of itself. bytes(packet) copies it." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Packet", sizeof(packet_object), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots };
  packet_type = core_type(module, &spec);
  return packet_type ? 0 : -1;
}
