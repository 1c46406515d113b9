/* info.c - formats, sources and what monitors see, as dicts. */
#include "core.h"

#include <string.h>

/* ---- formats ---- */

static PyObject *numbers_give(const void *values, size_t size, uint32_t count) {
  PyObject *tuple = PyTuple_New(count);
  for (uint32_t i = 0; tuple && i < count; i++) {
    uint64_t value = 0;
    memcpy(&value, (const char *)values + i * size, size); /* little-endian */
    PyObject *number = PyLong_FromUnsignedLongLong(value);
    if (!number || PyTuple_SetItem(tuple, i, number) != 0)
      Py_CLEAR(tuple);
  }
  return tuple;
}

PyObject *color_give(cuframes_color color) {
  return Py_BuildValue("(iiii)", color.matrix, color.range, color.primaries, color.transfer);
}

int color_take(PyObject *tuple, cuframes_color *color) {
  uint8_t *to[] = { &color->matrix, &color->range, &color->primaries, &color->transfer };
  int fits = PyTuple_Check(tuple) && PyTuple_Size(tuple) == 4;
  for (int i = 0; fits && i < 4; i++) {
    core_number point = { "color", UINT8_MAX, 0 };
    fits = core_number_take(PyTuple_GetItem(tuple, i), &point);
    *to[i] = (uint8_t)point.value;
  }
  if (!fits) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError,
                 "color: expected (matrix, range, primaries, transfer), code points of H.273, 0 to 255 each, not %R",
                 tuple);
  }
  return fits ? 0 : -1;
}

PyObject *format_give(const cuframes_format *format) {
  const cuframes_tensor *t = &format->tensor;
  if (format->pixel_format == CUFRAMES_PIXEL_NONE)
    Py_RETURN_NONE;
  return Py_BuildValue("{s:s,s:I,s:I,s:N,s:i,s:i,s:i,s:I,s:I,s:N,s:N,s:N,s:s}", "format",
                       cuframes_pixel_format_name(format->pixel_format), "width", format->width, "height",
                       format->height, "color", color_give(format->color), "chroma_location", format->chroma_location,
                       "field_order", format->field_order, "orientation", format->orientation, "sample_aspect_num",
                       format->sample_aspect_num, "sample_aspect_den", format->sample_aspect_den, "pitch",
                       numbers_give(format->pitch, 4, CUFRAMES_PLANES), "offset",
                       numbers_give(format->offset, 8, CUFRAMES_PLANES), "shape", numbers_give(t->size, 4, t->dims),
                       "element", cuframes_element_name(t->element));
}

static int number_take(PyObject *dict, const char *key, uint32_t most, uint32_t *to) {
  core_number number = { key, most, 0 };
  int result = core_number_get(dict, &number);
  *to = (uint32_t)number.value;
  return result;
}

static int byte_take(PyObject *dict, const char *key, uint8_t *to) {
  core_number number = { key, UINT8_MAX, 0 };
  int result = core_number_get(dict, &number);
  *to = (uint8_t)number.value;
  return result;
}

static int tensor_of(PyObject *shape, PyObject *element, cuframes_tensor *tensor) {
  const char *name = element && PyUnicode_Check(element) ? PyUnicode_AsUTF8AndSize(element, NULL) : NULL;
  Py_ssize_t dims = shape && PyTuple_Check(shape) ? PyTuple_Size(shape) : 0;
  tensor->element = cuframes_element_from_name(name);
  if (dims < 1 || dims > CUFRAMES_TENSOR_DIMS_MAX || tensor->element == CUFRAMES_ELEMENT_NONE) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError,
                 "a tensor needs shape, 1 to 4 sizes, and element, one of uint8, int8, float16, float32, int32; shape "
                 "is %R, and element %R",
                 shape ? shape : Py_None, element ? element : Py_None);
    return -1;
  }
  tensor->dims = (uint32_t)dims;
  for (Py_ssize_t i = 0; i < dims; i++) {
    core_number size = CORE_NUMBER("shape");
    if (!core_number_take(PyTuple_GetItem(shape, i), &size))
      return -1;
    tensor->size[i] = (uint32_t)size.value;
  }
  return 0;
}

static int tensor_take(PyObject *dict, cuframes_tensor *tensor) {
  PyObject *shape = PyDict_GetItemString(dict, "shape");
  PyObject *tuple = shape && PyList_Check(shape) ? PyList_AsTuple(shape) : Py_XNewRef(shape);
  int result = PyErr_Occurred() ? -1 : tensor_of(tuple, PyDict_GetItemString(dict, "element"), tensor);
  Py_XDECREF(tuple);
  return result;
}

int format_take(PyObject *dict, cuframes_format *format) {
  PyObject *word = PyDict_Check(dict) ? PyDict_GetItemString(dict, "format") : NULL;
  const char *name = word && PyUnicode_Check(word) ? PyUnicode_AsUTF8AndSize(word, NULL) : NULL;
  format->pixel_format = cuframes_pixel_format_from_name(name);
  if (format->pixel_format == CUFRAMES_PIXEL_NONE) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError,
                 "format: expected a pixel format such as 'nv12', 'yuv420p', 'rgb24', 'bgr24', "
                 "'rgba', 'gray8', 'tensor', not %R",
                 word ? word : Py_None);
    return -1;
  }
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    return tensor_take(dict, &format->tensor);
  PyObject *color = PyDict_GetItemString(dict, "color");
  if (color && color != Py_None && color_take(color, &format->color) != 0)
    return -1;
  if (number_take(dict, "width", CUFRAMES_SIZE_MAX, &format->width) != 0 ||
      number_take(dict, "height", CUFRAMES_SIZE_MAX, &format->height) != 0 ||
      number_take(dict, "sample_aspect_num", INT32_MAX, &format->sample_aspect_num) != 0 ||
      number_take(dict, "sample_aspect_den", INT32_MAX, &format->sample_aspect_den) != 0 ||
      byte_take(dict, "chroma_location", &format->chroma_location) != 0 ||
      byte_take(dict, "field_order", &format->field_order) != 0 ||
      byte_take(dict, "orientation", &format->orientation) != 0)
    return -1;
  return 0;
}

/* ---- monitors ---- */

PyObject *source_give(const cuframes_source_info *source) {
  const char *state = cuframes_source_state_name(source->state);
  return Py_BuildValue("{s:s,s:L,s:L,s:s}", "state", state ? state : "unknown", "since", (long long)source->since,
                       "next_attempt", (long long)source->next_attempt, "reason", source->reason);
}

static PyObject *subscriber_give(const cuframes_subscriber_info *s) {
  static const char *const modes[] = { "newest", "ordered", "packets" };
  return Py_BuildValue("{s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:I,s:N,s:N,s:K,s:K,s:K,s:s}", "label", s->label, "mode",
                       s->mode < 3 ? modes[s->mode] : "unknown", "pid", s->pid, "uid", s->uid, "gid", s->gid, "leases",
                       s->leases, "depth", s->depth, "leases_held", s->leases_held, "packets",
                       PyBool_FromLong(s->packets), "evicted", PyBool_FromLong(s->evicted), "lag", s->lag, "delivered",
                       s->delivered, "skipped", s->skipped, "sync", s->sync_mode);
}

static PyObject *track_give(const cuframes_track_info *t) {
  static const char *const types[] = { "unknown", "video", "audio", "data" };
  return Py_BuildValue("{s:s,s:s,s:K,s:N,s:K,s:L}", "media_type", types[t->media_type < 4 ? t->media_type : 0], "codec",
                       t->codec, "packets", t->packets, "age_ns", core_time(t->age_ns), "bit_rate", t->bit_rate,
                       "keyframe_interval_ns", (long long)t->keyframe_interval_ns);
}

static PyObject *info_give(const cuframes_stream_info *info) {
  PyObject *subscribers = PyList_New(0), *tracks = PyList_New(0), *dict = NULL;
  int result = subscribers && tracks ? 0 : -1;
  for (size_t i = 0; result == 0 && i < info->subscriber_count; i++) {
    PyObject *one = subscriber_give(info->subscribers[i]);
    result = one ? PyList_Append(subscribers, one) : -1;
    Py_XDECREF(one);
  }
  for (size_t i = 0; result == 0 && i < info->track_count; i++) {
    PyObject *one = track_give(info->tracks[i]);
    result = one ? PyList_Append(tracks, one) : -1;
    Py_XDECREF(one);
  }
  if (result == 0)
    dict = Py_BuildValue("{s:s,s:s,s:s,s:s,s:i,s:N,s:d,s:K,s:K,s:K,s:N,s:I,s:I,s:I,s:I,s:K,s:K,s:K,s:I,s:O,s:O,s:N}",
                         "name", info->name, "device", info->device, "memory", info->memory, "description",
                         info->description, "pid", info->pid, "layout", format_give(&info->format), "fps", info->fps,
                         "frames", info->frames, "dropped", info->dropped, "evictions", info->evictions, "age_ns",
                         core_time(info->age_ns), "slots", info->slots, "max_slots", info->max_slots, "slots_pinned",
                         info->slots_pinned, "segments", info->segments, "memory_bytes", info->memory_bytes, "packets",
                         info->packets, "packet_bytes", info->packet_bytes, "packet_slots", info->packet_slots,
                         "subscribers", subscribers, "tracks", tracks, "source", source_give(info->source));
  Py_XDECREF(subscribers);
  Py_XDECREF(tracks);
  return dict;
}

PyObject *core_query(PyObject *module, PyObject *args) {
  cuframes_query_options options = { .struct_size = sizeof options, .interrupt = core_interrupted };
  cuframes_stream_info *info = NULL;
  const char *name;
  Py_ssize_t length;
  PyObject *seconds;
  int result;
  (void)module;
  if (!PyArg_ParseTuple(args, "z#sO:query", &options.directory, &length, &name, &seconds) ||
      core_timeout("timeout", seconds, &options.timeout_ns) != 0)
    return NULL;
  options.timeout_ns += options.timeout_ns == 0; /* which would be the default */
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_stream_query_with(name, &options, &info);
  Py_END_ALLOW_THREADS
  PyObject *given = result == CUFRAMES_OK ? info_give(info) : core_error(result);
  cuframes_stream_info_free(info);
  return given;
}

PyObject *core_list(PyObject *module, PyObject *args) {
  cuframes_query_options options = { .struct_size = sizeof options, .interrupt = core_interrupted };
  cuframes_streams *streams = NULL;
  Py_ssize_t length;
  PyObject *seconds;
  int result;
  (void)module;
  if (!PyArg_ParseTuple(args, "z#O:list", &options.directory, &length, &seconds) ||
      core_timeout("timeout", seconds, &options.timeout_ns) != 0)
    return NULL;
  options.timeout_ns += options.timeout_ns == 0; /* which would be the default */
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_stream_list_with(&options, &streams);
  Py_END_ALLOW_THREADS
  PyObject *list = result == CUFRAMES_OK ? PyList_New(0) : core_error(result);
  for (size_t i = 0; list && i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    PyObject *info = entry->info ? info_give(entry->info) : Py_NewRef(Py_None);
    PyObject *one = info ? Py_BuildValue("(sizN)", entry->name, entry->error, entry->detail, info) : NULL;
    if (!one || PyList_Append(list, one) != 0)
      Py_CLEAR(list);
    Py_XDECREF(one);
  }
  cuframes_streams_free(streams);
  return list;
}
