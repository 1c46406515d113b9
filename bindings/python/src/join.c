/* join.c - what a detector says of the frame in hand. */
#include "core.h"

#include <stdio.h>

static PyTypeObject *join_type;

PyObject *id_give(const cuframes_frame_id *id) {
  return Py_BuildValue("(sKKN)", id->stream, (unsigned long long)id->instance, (unsigned long long)id->seq,
                       core_time(id->pts));
}

int id_take(PyObject *tuple, cuframes_frame_id *id) {
  const char *stream;
  unsigned long long instance, seq;
  PyObject *pts;
  if (!PyTuple_Check(tuple) || !PyArg_ParseTuple(tuple, "sKKO:frame id", &stream, &instance, &seq, &pts)) {
    if (!PyErr_Occurred())
      PyErr_Format(PyExc_TypeError, "expected a frame's id, (stream, instance, seq, pts), not %R", tuple);
    return -1;
  }
  id->instance = instance;
  id->seq = seq;
  id->pts = pts == Py_None ? CUFRAMES_NO_TIME : PyLong_AsLongLong(pts);
  snprintf(id->stream, sizeof id->stream, "%s", stream);
  return PyErr_Occurred() ? -1 : 0;
}

static PyObject *join_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "name", "keep", "directory", "timeout", "reconnect", "type", NULL };
  cuframes_join_options options = { .struct_size = sizeof options };
  core_number keep = CORE_NUMBER("keep"), kind = CORE_NUMBER("type");
  const char *name;
  Py_ssize_t length;
  PyObject *seconds;
  int reconnect, result;
  if (!PyArg_ParseTupleAndKeywords(args, words, "sO&z#OpO&:Join", names, &name, core_number_take, &keep,
                                   &options.directory, &length, &seconds, &reconnect, core_number_take, &kind) ||
      core_timeout("timeout", seconds, &options.connect_timeout_ns) != 0)
    return NULL;
  options.keep = (uint32_t)keep.value;
  options.type = (uint32_t)kind.value;
  options.reconnect = (uint32_t)reconnect;
  join_object *self = core_new(type);
  if (!self)
    return NULL;
  self->process = core_process();
  options.interrupt = core_interrupted;
  options.interrupt_user = &self->closing;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_join_create(name, &options, &self->handle);
  Py_END_ALLOW_THREADS
  if (result == CUFRAMES_OK)
    return (PyObject *)self;
  (void)core_error(result);
  Py_DECREF((PyObject *)self);
  return NULL;
}

static void end(join_object *self) {
  cuframes_join *handle = self->handle;
  self->handle = NULL;
  if (!handle)
    return;
  PyThreadState *thread = PyEval_SaveThread();
  cuframes_join_destroy(handle);
  PyEval_RestoreThread(thread);
}

static void join_delete(PyObject *object) {
  end((join_object *)object);
  core_delete(object);
}

static cuframes_join *begin(join_object *self) {
  if (self->process != core_process()) {
    (void)core_process_check(self->process, "join");
  } else if (!self->handle || self->closing) {
    PyErr_SetString(PyExc_ValueError, "this join was closed");
  } else if (self->calls) {
    PyErr_SetString(PyExc_RuntimeError, "another thread asks this join: one at a time; join() once for each thread");
  } else {
    self->calls = 1;
    return self->handle;
  }
  return NULL;
}

static void over(join_object *self) {
  self->calls = 0;
  if (!self->closing)
    return;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  end(self);
  PyErr_Restore(type, value, trace);
}

static PyObject *join_close(PyObject *object, PyObject *none) {
  join_object *self = (join_object *)object;
  (void)none;
  if (self->calls && self->process == core_process()) {
    self->closing = 1;
    cuframes_join_interrupt(self->handle);
  } else {
    end(self);
  }
  Py_RETURN_NONE;
}

/* A packet; None when there is nothing (yet). */
static PyObject *answer(join_object *self, int result, int go_on, cuframes_packet *packet) {
  PyObject *made = NULL;
  if (result == CUFRAMES_OK)
    made = packet_give(packet);
  else if (result == CUFRAMES_ERR_TIMEOUT && go_on >= 0)
    made = Py_NewRef(Py_None);
  else if (go_on >= 0)
    made = core_error(result);
  over(self);
  return made;
}

static PyObject *join_find(PyObject *object, PyObject *args) {
  join_object *self = (join_object *)object;
  cuframes_frame_id id = { .struct_size = sizeof id };
  cuframes_packet *packet = NULL;
  PyObject *of, *seconds;
  int64_t timeout;
  int result, go_on = 1;
  if (!PyArg_ParseTuple(args, "OO:_find", &of, &seconds) || id_take(of, &id) != 0 ||
      core_timeout("timeout", seconds, &timeout) != 0)
    return NULL;
  cuframes_join *handle = begin(self);
  if (!handle)
    return NULL;
  int64_t deadline = core_deadline(timeout);
  do {
    int64_t step = timeout == 0 ? 0 : core_step(deadline);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_join_find(handle, &id, step, &packet);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = timeout == 0 ? 0 : core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0 && !self->closing);
  return answer(self, result, go_on, packet);
}

static PyObject *join_latest(PyObject *object, PyObject *of) {
  join_object *self = (join_object *)object;
  cuframes_frame_id id = { .struct_size = sizeof id };
  cuframes_packet *packet = NULL;
  cuframes_join *handle = id_take(of, &id) == 0 ? begin(self) : NULL;
  if (!handle)
    return NULL;
  int result = cuframes_join_latest(handle, &id, &packet);
  return answer(self, result, 0, packet);
}

static PyObject *join_interrupt(PyObject *object, PyObject *none) {
  join_object *self = (join_object *)object;
  (void)none;
  if (self->process == core_process())
    cuframes_join_interrupt(self->handle);
  Py_RETURN_NONE;
}

CORE_LOCKED(join_close, self, self)
CORE_LOCKED(join_interrupt, self, self)
CORE_LOCKED(join_find, self, self)
CORE_LOCKED(join_latest, self, self)

static PyMethodDef methods[] = {
  { "close", locked_join_close, METH_NOARGS, "close()\n--\n\nLeaves the detector's stream." },
  { "interrupt", locked_join_interrupt, METH_NOARGS, "interrupt()\n--\n\nEnds find() of another thread: Interrupted." },
  { "_find", locked_join_find, METH_VARARGS, "_find(id, timeout) -> Packet or None" },
  { "_latest", locked_join_latest, METH_O, "_latest(id) -> Packet or None" },
  { NULL, NULL, 0, NULL },
};

int join_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_new, (void *)join_create },
    { Py_tp_dealloc, (void *)join_delete },
    { Py_tp_methods, methods },
    { Py_tp_doc, (void *)"The annotations of one stream, to be asked for by frame." },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Join", sizeof(join_object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                              slots };
  join_type = core_type(module, &spec);
  return join_type ? 0 : -1;
}
