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

static PyMethodDef methods[] = {
  { "_annotation", packet_annotation, METH_NOARGS, "_annotation() -> (id, type, bytes)" },
  { NULL, NULL, 0, NULL },
};

/* ---- codec parameters ---- */

static const struct number {
  const char *name;
  size_t offset;
} numbers[] = {
#define NUMBER(name)                                                                                                   \
  { #name, offsetof(cuframes_codec_params, name) }
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
  NUMBER(sample_aspect_num),
  NUMBER(sample_aspect_den),
#undef NUMBER
};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

PyObject *codec_params_give(const cuframes_codec_params *params, const void *extradata, size_t size) {
  PyObject *dict = PyDict_New();
  for (size_t i = 0; dict && i < NUMBERS; i++) {
    uint32_t value;
    memcpy(&value, (const char *)params + numbers[i].offset, sizeof value);
    if (core_put(dict, numbers[i].name, PyLong_FromUnsignedLong(value)) != 0)
      Py_CLEAR(dict);
  }
  if (dict && (core_put(dict, "codec", PyUnicode_FromString(params->codec)) != 0 ||
               core_put(dict, "bit_rate", PyLong_FromUnsignedLongLong(params->bit_rate)) != 0 ||
               core_put(dict, "color",
                        Py_BuildValue("(iiii)", params->color.matrix, params->color.range, params->color.primaries,
                                      params->color.transfer)) != 0 ||
               core_put(dict, "orientation", PyLong_FromLong(params->orientation)) != 0 ||
               core_put(dict, "extradata", PyBytes_FromStringAndSize(extradata, (Py_ssize_t)size)) != 0))
    Py_CLEAR(dict);
  return dict;
}

int codec_params_take(PyObject *dict, cuframes_codec_params *params, Py_buffer *extradata) {
  params->profile = params->level = UINT32_MAX;
  for (size_t i = 0; i < NUMBERS; i++) {
    PyObject *value = PyDict_GetItemString(dict, numbers[i].name);
    unsigned long number = value && value != Py_None ? PyLong_AsUnsignedLong(value) : 0;
    if (PyErr_Occurred())
      return -1;
    uint32_t narrow = (uint32_t)number;
    if (value && value != Py_None)
      memcpy((char *)params + numbers[i].offset, &narrow, sizeof narrow);
  }
  PyObject *codec = PyDict_GetItemString(dict, "codec"), *bit_rate = PyDict_GetItemString(dict, "bit_rate"),
           *color = PyDict_GetItemString(dict, "color"), *bytes = PyDict_GetItemString(dict, "extradata");
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
  if (bit_rate && bit_rate != Py_None)
    params->bit_rate = PyLong_AsUnsignedLongLong(bit_rate);
  if (PyErr_Occurred() || (color && !PyArg_ParseTuple(color, "bbbb:color", &params->color.matrix, &params->color.range,
                                                      &params->color.primaries, &params->color.transfer)))
    return -1;
  return bytes && bytes != Py_None ? PyObject_GetBuffer(bytes, extradata, PyBUF_SIMPLE) : 0;
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
