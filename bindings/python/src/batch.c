/* batch.c - many subscribers served by one thread. */
#include "core.h"

pthread_rwlock_t batch_members_lock = PTHREAD_RWLOCK_INITIALIZER;
static PyTypeObject *batch_type;

static PyObject *batch_create(PyTypeObject *type, PyObject *args, PyObject *words) {
  static char *names[] = { "quiet", NULL };
  cuframes_batch_options options = { .struct_size = sizeof options };
  PyObject *seconds;
  if (!PyArg_ParseTupleAndKeywords(args, words, "O:Batch", names, &seconds) ||
      core_timeout("quiet", seconds, &options.quiet_ns) != 0)
    return NULL;
  if (options.quiet_ns < 0) /* None: whoever is there is waited for */
    options.quiet_ns = INT64_MAX;
  batch_object *self = core_new(type);
  if (!self)
    return NULL;
  self->process = core_process();
  self->members = PyDict_New();
  self->late = PyList_New(0);
  int result = self->members && self->late ? cuframes_batch_create(&options, &self->handle) : CUFRAMES_OK;
  if (self->handle)
    return (PyObject *)self;
  if (result != CUFRAMES_OK)
    (void)core_error(result);
  Py_DECREF((PyObject *)self);
  return NULL;
}

static void end(batch_object *self) {
  cuframes_batch *handle = self->handle;
  self->handle = NULL;
  if (handle) {
    int ours = self->process == core_process();
    PyThreadState *thread = PyEval_SaveThread();
    if (ours)
      pthread_rwlock_wrlock(&batch_members_lock);
    cuframes_batch_destroy(handle);
    if (ours)
      pthread_rwlock_unlock(&batch_members_lock);
    PyEval_RestoreThread(thread);
  }
  Py_CLEAR(self->members);
  Py_CLEAR(self->late);
}

static void batch_delete(PyObject *object) {
  end((batch_object *)object);
  core_delete(object);
}

/* The handle, or NULL with an error. */
static cuframes_batch *handle_of(batch_object *self) {
  if (core_process_check(self->process, "batch") != 0)
    return NULL;
  if (!self->handle || self->closing) {
    PyErr_SetString(PyExc_ValueError, "this batch was closed");
    return NULL;
  }
  return self->handle;
}

static PyObject *batch_close(PyObject *object, PyObject *none) {
  batch_object *self = (batch_object *)object;
  (void)none;
  if (self->taking && self->process == core_process()) {
    self->closing = 1;
    cuframes_batch_interrupt(self->handle);
  } else {
    end(self);
  }
  Py_RETURN_NONE;
}

static PyObject *batch_add(PyObject *object, PyObject *member) {
  batch_object *self = (batch_object *)object;
  cuframes_batch *batch = handle_of(self);
  if (!batch)
    return NULL;
  if (!PyObject_TypeCheck(member, subscriber_type)) {
    PyErr_Format(PyExc_TypeError, "expected a subscriber, not %R", member);
    return NULL;
  }
  subscriber_object *subscriber = (subscriber_object *)member;
  cuframes_subscriber *handle = subscriber_handle(subscriber);
  uint32_t index = 0;
  if (!handle)
    return NULL;
  if (subscriber->taking) {
    PyErr_SetString(PyExc_RuntimeError, "another thread takes frames of this subscriber");
    return NULL;
  }
  int result = cuframes_batch_add(batch, handle, subscriber, &index);
  if (result != CUFRAMES_OK)
    return core_error(result);
  PyObject *number = PyLong_FromUnsignedLong(index);
  if (!number || PyDict_SetItem(self->members, member, number) != 0) { /* nobody would hold it */
    Py_XDECREF(number);
    (void)cuframes_batch_remove(batch, handle);
    return NULL;
  }
  return number;
}

static PyObject *batch_remove(PyObject *object, PyObject *member) {
  batch_object *self = (batch_object *)object;
  cuframes_batch *batch = handle_of(self);
  if (!batch)
    return NULL;
  if (!PyDict_Contains(self->members, member)) {
    PyErr_Format(PyExc_ValueError, "%R is not in this batch", member);
    return NULL;
  }
  cuframes_subscriber *handle = ((subscriber_object *)member)->handle; /* NULL: it was closed, and so has left */
  int result = CUFRAMES_OK;
  if (self->taking && PyList_Append(self->late, member) != 0) /* next() may have an entry of it */
    return NULL;
  if (handle) /* it takes a moment; other threads could close the subscriber if they ran in it */
    result = cuframes_batch_remove(batch, handle);
  if (result == CUFRAMES_OK && PyDict_DelItem(self->members, member) != 0)
    return NULL;
  return core_none(result);
}

/* The exception that an error is, or None. */
static PyObject *error_give(int error) {
  PyObject *type, *value, *trace;
  if (error == CUFRAMES_OK)
    return Py_NewRef(Py_None);
  (void)core_error_of(error, cuframes_strerror(error));
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return value;
}

/* (subscriber, frame or None, exception or None, ns); takes the frame. */
static PyObject *entry_give(const cuframes_batch_entry *entry, void *stream, int has_stream) {
  subscriber_object *subscriber = entry->user;
  PyObject *frame = NULL;
  if (entry->frame) {
    CORE_LOCK((PyObject *)subscriber, (PyObject *)subscriber)
    subscriber_note(subscriber, entry->frame);
    CORE_UNLOCK
    frame = frame_give(entry->frame, stream, has_stream, has_stream && subscriber->sync > CUFRAMES_SYNC_COMPLETE);
    if (!frame)
      return NULL;
  }
  return Py_BuildValue("(ONNL)", (PyObject *)subscriber, frame ? frame : Py_NewRef(Py_None), error_give(entry->error),
                       (long long)entry->age_ns);
}

static PyObject *entries_give(const cuframes_batch_entry *entries, uint32_t got, void *stream, int has_stream) {
  PyObject *list = PyList_New(0);
  for (uint32_t i = 0; i < got; i++) {
    PyObject *entry = list ? entry_give(&entries[i], stream, has_stream) : NULL;
    if (!list)
      cuframes_frame_release(entries[i].frame);
    if (!entry || PyList_Append(list, entry) != 0)
      Py_CLEAR(list);
    Py_XDECREF(entry);
  }
  return list;
}

/* What there is now; Py_None: nothing. NULL with an error. */
static PyObject *take_now(batch_object *self, void *stream, int has_stream) {
  Py_ssize_t members = PyDict_Size(self->members);
  uint32_t count = members > 0 ? (uint32_t)members : 1, got = 0;
  cuframes_batch_entry *entries = PyMem_Calloc(count, sizeof *entries);
  int result;
  if (!entries)
    return PyErr_NoMemory();
  Py_BEGIN_ALLOW_THREADS
  result = has_stream ? cuframes_batch_next_on(self->handle, 1, 0, stream, entries, count, &got)
                      : cuframes_batch_next(self->handle, 1, 0, entries, count, &got);
  Py_END_ALLOW_THREADS
  PyObject *made = result == CUFRAMES_OK            ? entries_give(entries, got, stream, has_stream)
                   : result == CUFRAMES_ERR_TIMEOUT ? Py_NewRef(Py_None)
                                                    : core_error(result);
  PyMem_Free(entries);
  return made;
}

/* Waits in steps, in which it looks for signals; nothing is taken before enough is there, or the time is up. */
static PyObject *take(batch_object *self, uint32_t min, int64_t timeout, void *stream, int has_stream) {
  int64_t deadline = core_deadline(timeout);
  int result, go_on = 1;
  do {
    int64_t step = timeout == 0 ? 0 : core_step(deadline);
    Py_BEGIN_ALLOW_THREADS
    result = cuframes_batch_wait(self->handle, min, has_stream, step);
    Py_END_ALLOW_THREADS
    if (result == CUFRAMES_ERR_TIMEOUT)
      go_on = timeout == 0 ? 0 : core_go_on(deadline);
  } while (result == CUFRAMES_ERR_TIMEOUT && go_on > 0 && !self->closing);
  if (go_on < 0)
    return NULL;
  return result == CUFRAMES_OK || result == CUFRAMES_ERR_TIMEOUT ? take_now(self, stream, has_stream)
                                                                 : core_error(result);
}

static PyObject *batch_next(PyObject *object, PyObject *args) {
  batch_object *self = (batch_object *)object;
  core_number min = CORE_NUMBER("min");
  PyObject *seconds, *given;
  int64_t timeout;
  void *stream;
  int has_stream;
  if (!PyArg_ParseTuple(args, "O&OO:_next", core_number_take, &min, &seconds, &given) ||
      core_timeout("timeout", seconds, &timeout) != 0 || core_stream(given, &stream, &has_stream) != 0 ||
      !handle_of(self))
    return NULL;
  if (self->taking) {
    PyErr_SetString(PyExc_RuntimeError, "another thread is in next() of this batch: one takes at a time");
    return NULL;
  }
  self->taking = 1;
  PyObject *made = take(self, (uint32_t)min.value, timeout, stream, has_stream);
  self->taking = 0;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  if (self->closing)
    end(self);
  else if (PyList_Size(self->late) > 0)
    (void)PyList_SetSlice(self->late, 0, PyList_Size(self->late), NULL);
  PyErr_Restore(type, value, trace);
  return made;
}

static PyObject *batch_interrupt(PyObject *object, PyObject *none) {
  cuframes_batch *batch = handle_of((batch_object *)object);
  (void)none;
  if (!batch)
    return NULL;
  cuframes_batch_interrupt(batch);
  Py_RETURN_NONE;
}

static PyObject *batch_fileno(PyObject *object, PyObject *none) {
  cuframes_batch *batch = handle_of((batch_object *)object);
  int fd = -1;
  (void)none;
  if (!batch)
    return NULL;
  int result = cuframes_batch_fd(batch, &fd);
  return result == CUFRAMES_OK ? PyLong_FromLong(fd) : core_error(result);
}

static PyObject *batch_stats(PyObject *object, PyObject *none) {
  cuframes_batch *batch = handle_of((batch_object *)object);
  cuframes_batch_stats stats = { .struct_size = sizeof stats };
  (void)none;
  if (!batch)
    return NULL;
  int result = cuframes_batch_get_stats(batch, &stats);
  if (result != CUFRAMES_OK)
    return core_error(result);
  return Py_BuildValue("{s:I,s:K,s:K,s:K,s:K}", "members", (unsigned)stats.members, "calls",
                       (unsigned long long)stats.calls, "frames", (unsigned long long)stats.frames, "errors",
                       (unsigned long long)stats.errors, "sleeps", (unsigned long long)stats.sleeps);
}

/* The subscribers, in the order in which they were added. */
static PyObject *batch_members(PyObject *object, void *closure) {
  batch_object *self = (batch_object *)object;
  (void)closure;
  return handle_of(self) ? PyDict_Keys(self->members) : NULL;
}

static PyObject *batch_closed(PyObject *object, void *closure) {
  batch_object *self = (batch_object *)object;
  (void)closure;
  return PyBool_FromLong(!self->handle || self->closing);
}

CORE_LOCKED(batch_add, self, args)
CORE_LOCKED(batch_remove, self, args)
CORE_LOCKED(batch_next, self, self)
CORE_LOCKED(batch_interrupt, self, self)
CORE_LOCKED(batch_fileno, self, self)
CORE_LOCKED(batch_stats, self, self)
CORE_LOCKED(batch_close, self, self)
CORE_LOCKED_GETTER(batch_members, self, self)
CORE_LOCKED_GETTER(batch_closed, self, self)

static PyMethodDef methods[] = {
  { "add", locked_batch_add, METH_O, "Makes a subscriber a member, and gives its number." },
  { "remove", locked_batch_remove, METH_O, "Makes it an ordinary subscriber again." },
  { "_next", locked_batch_next, METH_VARARGS,
    "_next(min, timeout, stream) -> [(subscriber, frame, exception, ns)] or None" },
  { "interrupt", locked_batch_interrupt, METH_NOARGS, "Ends a wait of another thread, now or the next one." },
  { "fileno", locked_batch_fileno, METH_NOARGS, "A descriptor that is readable when a member has something." },
  { "_stats", locked_batch_stats, METH_NOARGS, NULL },
  { "close", locked_batch_close, METH_NOARGS, "Lets go of the members." },
  { NULL, NULL, 0, NULL },
};

static PyGetSetDef getters[] = {
  { "members", locked_batch_members, NULL, "The subscribers.", NULL },
  { "closed", locked_batch_closed, NULL, "Whether it was closed.", NULL },
  { NULL, NULL, NULL, NULL, NULL },
};

int batch_setup(PyObject *module) {
  static PyType_Slot slots[] = {
    { Py_tp_new, batch_create },
    { Py_tp_dealloc, batch_delete },
    { Py_tp_methods, methods },
    { Py_tp_getset, getters },
    { 0, NULL },
  };
  static PyType_Spec spec = { "cuframes._core.Batch", sizeof(batch_object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                              slots };
  batch_type = core_type(module, &spec);
  return batch_type ? 0 : -1;
}
