/* module.c - cuframes._core: its functions, errors, and what arguments mean. */
#include "core.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

PyTypeObject *frame_made, *open_frame_made;
static PyObject *error_maker; /* (code, name, detail) -> exception */

/* ---- errors ---- */

PyObject *core_error_of(int result, const char *detail) {
  if (result == CUFRAMES_ERR_INTERRUPTED && PyErr_Occurred()) /* core_interrupted() */
    return NULL;
  if (!error_maker) {
    PyErr_Format(PyExc_RuntimeError, "%s (%s)", detail, cuframes_strerror(result));
    return NULL;
  }
  PyObject *error = PyObject_CallFunction(error_maker, "iss", result, cuframes_strerror(result), detail);
  if (error)
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  Py_XDECREF(error);
  return NULL;
}

PyObject *core_error(int result) {
  return core_error_of(result, cuframes_last_error());
}

PyObject *core_none(int result) {
  if (result != CUFRAMES_OK)
    return core_error(result);
  Py_RETURN_NONE;
}

/* ---- processes ---- */

static unsigned process = 1;

static void in_child(void) {
  process++;
}

unsigned core_process(void) {
  return process;
}

int core_process_check(unsigned made_in, const char *what) {
  if (made_in == process)
    return 0;
  char text[320];
  snprintf(text, sizeof text,
           "this %s belongs to the process that made it, and this is a child that was forked from it: start children "
           "with multiprocessing's \"spawn\" (multiprocessing.set_start_method(\"spawn\")), and call "
           "cuframes.subscribe() or publish() in the child",
           what);
  (void)core_error_of(CUFRAMES_ERR_INVALID, text);
  return -1;
}

/* ---- arguments ---- */

PyObject *core_time(int64_t time) {
  if (time == CUFRAMES_NO_TIME)
    Py_RETURN_NONE;
  return PyLong_FromLongLong(time);
}

int core_number_take(PyObject *object, void *to) {
  core_number *number = to;
  PyObject *index = PyNumber_Index(object);
  if (!index && !PyErr_ExceptionMatches(PyExc_TypeError))
    return 0;
  if (index)
    number->value = PyLong_AsUnsignedLongLong(index);
  Py_XDECREF(index);
  if (!PyErr_Occurred() && number->value <= number->most)
    return 1;
  PyErr_Clear();
  PyErr_Format(index ? PyExc_ValueError : PyExc_TypeError, "%s: expected a whole number from 0 to %llu, not %R",
               number->name, (unsigned long long)number->most, object);
  return 0;
}

int core_number_get(PyObject *dict, core_number *number) {
  PyObject *given = PyDict_GetItemString(dict, number->name);
  return !given || given == Py_None || core_number_take(given, number) ? 0 : -1;
}

int core_timeout(const char *name, PyObject *seconds, int64_t *nanoseconds) {
  if (!seconds || seconds == Py_None) {
    *nanoseconds = CUFRAMES_WAIT_FOREVER;
    return 0;
  }
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "%s: expected seconds or None (for ever), not %R", name, seconds);
    return -1;
  }
  if (!(value >= 0)) {
    PyErr_Format(PyExc_ValueError, "%s: expected seconds, 0 or more, or None (for ever), not %R", name, seconds);
    return -1;
  }
  *nanoseconds = value >= 9e9 ? CUFRAMES_WAIT_FOREVER : (int64_t)(value * 1e9);
  return 0;
}

/* The number of a stream that an object has under a name. NULL without an error: there is none. */
static PyObject *stream_attribute(PyObject *stream, const char *name) {
  PyObject *found = PyObject_GetAttrString(stream, name);
  if (!found && PyErr_ExceptionMatches(PyExc_AttributeError))
    PyErr_Clear();
  return found;
}

static PyObject *stream_number(PyObject *stream) {
  static const char *const names[] = { "cuda_stream", "ptr" }; /* torch; CuPy */
  if (PyLong_Check(stream))
    return Py_NewRef(stream);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    PyObject *found = stream_attribute(stream, names[i]);
    if (found || PyErr_Occurred())
      return found;
  }
  PyObject *found = stream_attribute(stream, "__cuda_stream__"); /* cuda.core: (version, handle) */
  if (found) {
    PyObject *pair = PyCallable_Check(found) ? PyObject_CallNoArgs(found) : Py_NewRef(found);
    PyObject *number = pair ? PySequence_GetItem(pair, 1) : NULL;
    Py_XDECREF(pair);
    Py_DECREF(found);
    return number;
  }
  if (PyErr_Occurred())
    return NULL;
  found = stream_attribute(stream, "handle"); /* numba: a c_void_p, or a number */
  if (found && !PyLong_Check(found)) {
    PyObject *value = stream_attribute(found, "value");
    Py_DECREF(found);
    found = value == Py_None ? PyLong_FromLong(0) : Py_XNewRef(value);
    Py_XDECREF(value);
  }
  return found;
}

int core_stream(PyObject *stream, void **handle, int *given) {
  *handle = NULL;
  *given = 0;
  if (!stream || stream == Py_None)
    return 0;
  PyObject *number = stream_number(stream);
  if (!number || !PyLong_Check(number)) {
    if (!PyErr_Occurred())
      PyErr_Format(PyExc_TypeError,
                   "stream: expected None, a number (a CUstream), or a stream of torch, CuPy, numba or cuda.core, not "
                   "%R",
                   stream);
    Py_XDECREF(number);
    return -1;
  }
  unsigned long long value = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (PyErr_Occurred()) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "stream: expected the handle of a stream, 0 or more, not %R", stream);
    return -1;
  }
  *handle = value == 1 ? NULL : (void *)(uintptr_t)value; /* 1 is a name of the legacy default stream */
  *given = 1;
  return 0;
}

/* ---- waits ---- */

enum { SLICE = 50000000 }; /* Ctrl-C waits that long at most */

int64_t core_deadline(int64_t timeout) {
  return timeout < 0 ? INT64_MAX : cuframes_now() + timeout;
}

int64_t core_step(int64_t deadline) {
  int64_t left = deadline == INT64_MAX ? SLICE : deadline - cuframes_now();
  return left < 0 ? 0 : left > SLICE ? SLICE : left;
}

int core_go_on(int64_t deadline) {
  if (PyErr_CheckSignals() != 0)
    return -1;
  return deadline == INT64_MAX || cuframes_now() < deadline;
}

int core_interrupted(void *closing) {
  const PyGILState_STATE state = PyGILState_Ensure();
  const int over = PyErr_CheckSignals() != 0 || (closing && *(const int *)closing);
  PyGILState_Release(state);
  return over;
}

/* ---- objects ---- */

PyTypeObject *core_type(PyObject *module, PyType_Spec *spec) {
  PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(spec);
  if (type && PyModule_AddType(module, type) != 0)
    Py_CLEAR(type);
  return type;
}

void *core_new(PyTypeObject *type) {
  return PyType_GenericAlloc(type, 0);
}

void core_delete(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF(type);
}

int core_put(PyObject *dict, const char *key, PyObject *value) {
  int result = value ? PyDict_SetItemString(dict, key, value) : -1;
  Py_XDECREF(value);
  return result;
}

/* ---- functions ---- */

static PyObject *module_register(PyObject *module, PyObject *args) {
  PyObject *maker, *frame, *open_frame;
  (void)module;
  /* A second interpreter gets a copy of this module without its setup, and would replace the first one's classes. */
  if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
    PyErr_SetString(PyExc_ImportError, "cuframes works in the main interpreter of a process only: import it there, or "
                                       "start a process");
    return NULL;
  }
  if (!PyArg_ParseTuple(args, "OO!O!:_register", &maker, &PyType_Type, &frame, &PyType_Type, &open_frame))
    return NULL;
  if (!PyType_IsSubtype((PyTypeObject *)frame, frame_type) ||
      !PyType_IsSubtype((PyTypeObject *)open_frame, frame_type)) {
    PyErr_SetString(PyExc_TypeError, "expected types that are derived from _core.Frame");
    return NULL;
  }
  error_maker = Py_NewRef(maker); /* for the life of the process */
  frame_made = (PyTypeObject *)Py_NewRef(frame);
  open_frame_made = (PyTypeObject *)Py_NewRef(open_frame);
  Py_RETURN_NONE;
}

static PyObject *module_version(PyObject *module, PyObject *none) {
  (void)module, (void)none;
  return PyUnicode_FromString(cuframes_version());
}

static PyObject *module_now(PyObject *module, PyObject *none) {
  (void)module, (void)none;
  return PyLong_FromLongLong(cuframes_now());
}

static PyObject *module_directory(PyObject *module, PyObject *none) {
  char path[4096];
  (void)module, (void)none;
  int result = cuframes_directory_find(path, sizeof path);
  return result == CUFRAMES_OK ? PyUnicode_DecodeFSDefault(path) : core_error(result);
}

static PyMethodDef functions[] = {
  { "_register", module_register, METH_VARARGS, "_register(make_error, frame_type, open_frame_type)" },
  { "version", module_version, METH_NOARGS, "Version of the library that runs." },
  { "now", module_now, METH_NOARGS, "CLOCK_MONOTONIC in nanoseconds." },
  { "directory", module_directory, METH_NOARGS, "The default runtime directory." },
  { "list", core_list, METH_VARARGS, "list(directory, timeout) -> [(name, error, detail, info)]" },
  { "query", core_query, METH_VARARGS, "query(directory, name, timeout) -> dict" },
  { NULL, NULL, 0, NULL },
};

static PyModuleDef definition = {
  PyModuleDef_HEAD_INIT, .m_name = "cuframes._core", .m_doc = "The C API of cuframes. Use the package cuframes.",
  .m_size = -1,          .m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) {
  static int followed;
  PyObject *module = PyModule_Create(&definition);
  if (!module)
    return NULL;
#ifdef Py_GIL_DISABLED
  PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
  if (!followed && pthread_atfork(NULL, NULL, in_child) == 0)
    followed = 1;
  if (frame_setup(module) != 0 || plane_setup(module) != 0 || subscriber_setup(module) != 0 ||
      publisher_setup(module) != 0 || packet_setup(module) != 0 || join_setup(module) != 0 ||
      batch_setup(module) != 0 || preprocess_setup(module) != 0) {
    Py_DECREF(module);
    return NULL;
  }
  return module;
}
