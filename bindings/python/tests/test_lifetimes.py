"""Nothing leaks and nothing crashes: without the collector, with deleters on threads that know no Python and at the
interpreter's exit, in forked children."""
import ctypes
import gc
import os
import sys
import weakref

import cuframes
from support import LIMIT, Child, Streams, main, module, numpy, nv12

FRAMES = 100_000

AT_EXIT = """
import cuframes, sys, atexit, numpy
publisher = cuframes.publish("exit", 64, 32)
subscriber = cuframes.subscribe("exit")
assert publisher.send(numpy.zeros((48, 64), "u1"))
frame = subscriber.next(60)
kept = numpy.from_dlpack(frame.planes.y), numpy.asarray(frame.planes.uv), frame.planes.y.__dlpack__()
cycle = [kept]
cycle.append(cycle)
sys.modules["kept"] = kept
atexit.register(print, kept[0][0, 0])
if sys.argv[1] == "last":
    del frame, subscriber, publisher
"""

FORK = """
import cuframes, gc, numpy, os, sys, warnings
warnings.simplefilter("ignore")  # of forking beside threads
publisher = cuframes.publish("fork", 64, 32)
subscriber = cuframes.subscribe("fork")
assert publisher.send(numpy.full((48, 64), 7, "u1"))
frame = subscriber.next(60)
view, tensor = numpy.asarray(frame.planes.uv), numpy.from_dlpack(frame.planes.y)
child = os.fork()
if child == 0:
    said = []
    for use in (lambda: subscriber.next(0), lambda: frame.seq, lambda: publisher.send(numpy.zeros((48, 64), "u1")),
                lambda: frame.planes, lambda: numpy.asarray(frame.planes.y), publisher.frame, subscriber.fileno):
        try:
            use()
        except cuframes.Error as error:
            said.append("spawn" in str(error) and "subscribe()" in str(error))
    frame.release()
    del frame, view, tensor, use
    subscriber.close()
    publisher.close()
    gc.collect()
    ok = said == [True] * 7
    sys.stdout.flush()
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert subscriber.stats.leases_held == 1 and frame.references >= 3, (subscriber.stats, frame.references)
for number in range(20):
    publisher.send(numpy.full((48, 64), number, "u1"))
assert (tensor == 7).all() and (view == 7).all()
assert publisher.stats.subscribers == 1
del view, tensor, frame
assert subscriber.stats.leases_held == 0
assert subscriber.next(60).seq > 1
print("whole")
"""


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


SECOND = r"""
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import cuframes
other = interpreters.create()
program = f"import sys; sys.path[:] = {sys.path!r}\n"
interpreters.run_string(other, program + "try: import cuframes\nexcept ImportError: print('refused', flush=True)")
interpreters.destroy(other)
publisher = cuframes.publish("second", 8, 8, "gray8")
with publisher.frame():
    pass
print(isinstance(cuframes.subscribe("second").next(60), cuframes.Frame) and "whole")
"""


class Lifetimes(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def test_memory_and_leases_stay_flat_without_the_collector(self):
        publisher, subscriber = self.pair(64, 32, "gray8")[:2]
        picture = nv12(1)[:32]
        gc.disable()
        self.addCleanup(gc.enable)

        def turns(count):
            for _ in range(count):
                self.send(publisher, picture)
                with subscriber.next(LIMIT) as frame:
                    views = numpy.asarray(frame.planes.y), numpy.from_dlpack(frame.planes.y), frame.planes
                del frame, views

        turns(2000)
        before = resident(), descriptors(), sys.getallocatedblocks()
        turns(FRAMES)
        after = resident(), descriptors(), sys.getallocatedblocks()
        self.assertEqual(subscriber.stats.leases_held, 0)
        self.assertEqual(subscriber.stats.released_twice, 0)
        self.assertEqual(after[1], before[1])
        self.assertLess(after[2] - before[2], 500)
        self.assertLess(after[0] - before[0], 4 << 20)

    def test_objects_are_in_no_cycle(self):
        _, subscriber, frame = self.pair(64, 32, "gray8")
        gc.disable()
        self.addCleanup(gc.enable)
        for use in (lambda: frame.planes, lambda: frame.numpy(), lambda: frame.planes.y.__dlpack__(), frame.to_rgb,
                    frame.clone, frame._repr_png_, lambda: frame.id):
            use()
            self.assertEqual(frame.references, 1)
        gone = weakref.ref(frame.clone())
        self.assertIsNone(gone())
        del frame
        use = None
        self.assertEqual(subscriber.stats.leases_held, 0)

    def test_a_deleter_runs_on_a_thread_without_python(self):
        _, subscriber, frame = self.pair(64, 32, "gray8")
        capsule = frame.planes.y.__dlpack__(max_version=(1, 0))
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        rename = ctypes.pythonapi.PyCapsule_SetName
        rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
        tensor = get(capsule, b"dltensor_versioned")
        used = b"used_dltensor_versioned"
        self.assertEqual(rename(capsule, used), 0)
        del capsule
        frame.release  # pylint: disable=pointless-statement
        del frame
        self.assertEqual(subscriber.stats.leases_held, 1)
        deleter = ctypes.c_void_p.from_address(tensor + 16).value
        # pthread_create() itself: this thread is not Python's, and nobody holds the interpreter for it.
        libc = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        self.assertEqual(libc.pthread_create(ctypes.byref(thread), None, ctypes.c_void_p(deleter),
                                             ctypes.c_void_p(tensor)), 0)
        self.assertEqual(libc.pthread_join(thread, None), 0)
        self.assertEqual(subscriber.stats.leases_held, 0)

    def test_views_may_be_left_at_exit(self):
        for last in ("last", "all"):
            with self.subTest(last), Child(AT_EXIT, last) as child:
                self.assertEqual(child.end(), "0\n")

    def test_a_forked_child_changes_nothing(self):
        with Child(FORK) as child:
            self.assertEqual(child.end(), "whole\n")

    def test_spawned_children_subscribe(self):
        publisher = self.publish()
        self.send(publisher)
        with Child("import cuframes; print(cuframes.subscribe('s').next(60).seq)") as child:
            self.assertEqual(child.end(), "1\n")

    def test_a_view_outlives_the_module_state(self):
        publisher, subscriber, frame = self.pair(64, 32, "gray8")
        view = numpy.from_dlpack(frame.planes.y)
        del frame
        subscriber.close()
        publisher.close()
        del subscriber, publisher
        numpy.testing.assert_array_equal(view, nv12(1)[:32])

    def test_a_second_interpreter_is_refused(self):
        with Child(SECOND) as child:
            self.assertEqual(child.end(), "refused\nwhole\n")


if __name__ == "__main__":
    main()
