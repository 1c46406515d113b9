/* module.c - cuframes for Python, as little of it as a hand-off takes, so that packages such as iceoryx2 have their
 * like beside it: one publisher and one subscriber a process, a frame in hand each. bench/peers/from_python builds it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cuframes/cuframes.h>

static cuframes_publisher *publisher;
static cuframes_subscriber *subscriber;
static cuframes_frame *to_send, *received;

static PyObject *failed(void) {
  PyErr_SetString(PyExc_RuntimeError, cuframes_last_error());
  return NULL;
}

static PyObject *open_publisher(PyObject *self, PyObject *arguments) {
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .device = "host",
    .format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 64 },
    .max_slots = 256,
  };
  (void)self;
  if (!PyArg_ParseTuple(arguments, "s", &options.directory))
    return NULL;
  if (cuframes_publisher_create("peer", &options, &publisher) != CUFRAMES_OK)
    return failed();
  Py_RETURN_NONE;
}

static PyObject *open_subscriber(PyObject *self, PyObject *arguments) {
  cuframes_subscriber_options options = { .struct_size = sizeof options, .connect_timeout_ns = INT64_C(30000000000) };
  int result;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "s", &options.directory))
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_subscriber_create("peer", &options, &subscriber);
  Py_END_ALLOW_THREADS
  if (result != CUFRAMES_OK)
    return failed();
  Py_RETURN_NONE;
}

/* The address of the picture to fill. */
static PyObject *acquire(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  if (cuframes_publisher_acquire(publisher, &to_send) != CUFRAMES_OK)
    return failed();
  return PyLong_FromVoidPtr(cuframes_frame_plane(to_send, 0));
}

static PyObject *publish(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  if (cuframes_publisher_publish(publisher, to_send, NULL) != CUFRAMES_OK)
    return failed();
  Py_RETURN_NONE;
}

/* The address of the next picture, or None if it is not there yet. */
static PyObject *next_given(int result) {
  if (result == CUFRAMES_ERR_TIMEOUT)
    Py_RETURN_NONE;
  if (result != CUFRAMES_OK)
    return failed();
  return PyLong_FromVoidPtr(cuframes_frame_plane(received, 0));
}

static PyObject *poll_next(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  return next_given(cuframes_subscriber_next(subscriber, 0, &received));
}

/* Sleeps until it is there. */
static PyObject *wait_next(PyObject *self, PyObject *none) {
  int result;
  (void)self, (void)none;
  Py_BEGIN_ALLOW_THREADS
  result = cuframes_subscriber_next(subscriber, INT64_C(30000000000), &received);
  Py_END_ALLOW_THREADS
  return next_given(result);
}

static PyObject *release(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  cuframes_frame_release(received);
  received = NULL;
  Py_RETURN_NONE;
}

static PyObject *close_all(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  subscriber = NULL;
  publisher = NULL;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
  { "open_publisher", open_publisher, METH_VARARGS, "open_publisher(directory)" },
  { "open_subscriber", open_subscriber, METH_VARARGS, "open_subscriber(directory)" },
  { "acquire", acquire, METH_NOARGS, "The address of the picture to fill." },
  { "publish", publish, METH_NOARGS, NULL },
  { "poll_next", poll_next, METH_NOARGS, "The address of the next picture, or None." },
  { "wait_next", wait_next, METH_NOARGS, "The same; sleeps until it is there." },
  { "release", release, METH_NOARGS, NULL },
  { "close", close_all, METH_NOARGS, NULL },
  { NULL, NULL, 0, NULL },
};

static PyModuleDef definition = { PyModuleDef_HEAD_INIT, .m_name = "cuframes_peer", .m_size = -1,
                                  .m_methods = methods };

PyMODINIT_FUNC PyInit_cuframes_peer(void);

PyMODINIT_FUNC PyInit_cuframes_peer(void) {
  return PyModule_Create(&definition);
}
