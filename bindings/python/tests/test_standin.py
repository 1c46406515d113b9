"""Frames on a GPU, over the CUDA stand-in: no library of Python computes there, but capsules, streams and copies are
the same. tests/gpu/python has the rest, on a real one."""
import ctypes
import importlib.util

import cuframes
from standin import Array, Cupy, Driver, instead_of, need_standin
from support import LIMIT, Child, Streams, main, module, numpy, nv12, until

FORK = """
import cuframes, gc, os, warnings
warnings.simplefilter("ignore")  # of forking beside threads
subscriber = cuframes.subscribe("s")
frame = subscriber.next(60)
capsules = [frame.planes.y.__dlpack__(stream=1), frame.planes.y.cai(stream=1), frame.planes.uv.__dlpack__(stream=-1)]
child = os.fork()
if child == 0:
    del capsules, frame
    subscriber.close()
    gc.collect()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert frame.references == 4 and subscriber.stats.leases_held == 1
del capsules
assert frame.references == 1
print("whole")
"""


# What was made on the GPU before the fork: its end in the child is nothing to CUDA, which does not survive a fork.
FORK_PREPROCESS = """
import cuframes, gc, os, warnings
warnings.simplefilter("ignore")
prepare = cuframes.Preprocess((8, 8), device="cuda", library="numpy")
class Out:
    __cuda_array_interface__ = {"data": (4096, False), "shape": (1, 3, 8, 8), "typestr": "<f4", "version": 3}
child = os.fork()
if child == 0:
    try:
        prepare([None], out=Out(), stream=1)
        os._exit(1)
    except cuframes.InvalidError as error:
        said = "spawn" in str(error)
    del prepare
    gc.collect()
    os._exit(0 if said else 2)
assert os.waitpid(child, 0)[1] == 0
print("whole")
"""


class OnAGpu(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")
        need_standin()
        self.driver = Driver()
        self.driver.context()
        self.publisher = self.publish(device="cuda")
        self.subscriber = self.subscribe(leases=1)  # so that the next frame tells that the last one was given back
        self.send(self.publisher)

    def test_what_it_says(self):
        frame = self.subscriber.next(LIMIT)
        self.assertTrue(frame.device.startswith("cuda:GPU-"))
        self.assertEqual((frame.gpu, frame.planes.y.__dlpack_device__()), (0, (2, 0)))
        with self.assertRaisesRegex(BufferError, "GPU"):
            memoryview(frame.planes.y)
        with self.assertRaisesRegex(BufferError, r"numpy\(copy=True\)"):
            frame.numpy()
        self.assertFalse(hasattr(frame.planes.y, "__array_interface__"))
        self.assertFalse(hasattr(frame.planes.y, "__cuda_array_interface__"))

    def test_a_tensor_of_a_frame_that_is_released_at_once(self):
        stream, size = self.driver.stream(), 3 * 8 * 8
        memory, host = ctypes.c_uint64(), (ctypes.c_uint8 * size)()
        self.assertEqual(self.driver.library.cuMemAlloc_v2(ctypes.byref(memory), size), 0)

        class Out:
            __cuda_array_interface__ = {"data": (memory.value, False), "shape": (1, 3, 8, 8), "typestr": "|u1",
                                        "strides": None, "version": 3}

        prepare = cuframes.Preprocess((8, 8), "uint8", fit="stretch", filter="area", device="cuda")
        on_host = cuframes.Preprocess((8, 8), "uint8", fit="stretch", filter="area")
        self.assertRaises(TypeError, prepare, [None], out=numpy.zeros((1, 3, 8, 8), "u1"), stream=stream)
        frame = self.subscriber.next(LIMIT)
        with self.assertRaises(cuframes.InvalidError):
            on_host([frame])
        self.assertEqual(prepare([frame], out=Out(), stream=stream).geometry[0].width, 8)
        frame.release()
        self.assertEqual(self.driver.library.cuStreamSynchronize(ctypes.c_void_p(stream)), 0)
        self.assertEqual(self.driver.library.cuMemcpyDtoH_v2(host, memory, size), 0)
        other = self.publish(name="host")
        self.send(other)
        wanted = on_host([self.subscribe("host").next(LIMIT)]).tensor
        found = numpy.frombuffer(host, "u1").reshape(wanted.shape).astype(int)
        self.assertLessEqual(abs(found - wanted).max(), 1)
        self.again()  # its lease came back
        self.assertEqual(self.driver.library.cuMemFree_v2(memory), 0)

    def test_colours_are_those_of_the_host(self):
        instead_of(self, Cupy(self.driver))
        random = numpy.random.default_rng(5)
        for form, shapes in (("nv12", ((18, 34), (9, 17, 2))), ("p010", ((18, 34), (9, 17, 2))),
                             ("yuv420p", ((17, 33), (9, 17), (9, 17))), ("yuyv422", ((17, 17, 4),)),
                             ("rgb24", ((18, 34, 3),)), ("gray8", ((18, 34),))):
            planes = tuple(random.integers(0, 256, shape).astype("u1") for shape in shapes)
            if form == "p010":
                planes = tuple(random.integers(0, 1024, shape).astype("<u2") << 6 for shape in shapes)
            size = (33, 17) if (17, 33) in shapes or form == "yuyv422" else (34, 18)
            made = []
            for device in ("host", "cuda"):
                publisher = self.publish(*size, form, f"{form}-{device}", device=device, color=(1, 1, 0, 0),
                                         chroma_location=3)
                subscriber = self.subscribe(f"{form}-{device}")
                self.send(publisher, planes)
                made.append(subscriber.next(LIMIT))
            host, frame = made
            for name in ("to_rgb", "to_bgr"):
                with self.subTest(form, call=name):
                    wanted, got = getattr(host, name)(), getattr(frame, name)()
                    self.assertIsInstance(got, Array)
                    self.assertEqual(got.shape, wanted.shape)
                    self.assertLessEqual(int(abs(got.get().astype(int) - wanted).max()), 1)
                    copied = getattr(frame.clone(), name)()
                    numpy.testing.assert_array_equal(copied.get(), got.get())
            self.assertEqual(frame.references, 1)
            self.assertEqual(frame._repr_png_(), host._repr_png_())

    def test_an_opencv_program_gets_arrays_of_the_host(self):
        capture = cuframes.opencv.VideoCapture("s")
        self.addCleanup(capture.release)
        self.send(self.publisher)
        good, picture = capture.read()
        self.assertTrue(good)
        self.send(self.publish(name="h"))
        numpy.testing.assert_array_equal(picture, self.subscribe("h").next(LIMIT).to_bgr())

    def test_without_torch_and_cupy_colours_say_what_is_missing(self):
        if any(importlib.util.find_spec(name) for name in ("torch", "cupy")):
            self.skipTest("torch or CuPy is here")
        frame = self.subscriber.next(LIMIT)
        for use in (frame.to_rgb, frame.clone, lambda: cuframes.Preprocess((8, 8), device="cuda")([frame])):
            with self.assertRaisesRegex(ImportError, r"neither is installed: numpy\(copy=True\)"):
                use()

    def test_a_preprocess_is_its_process_s(self):
        with Child(FORK_PREPROCESS) as child:
            self.assertEqual(child.end(), "whole\n")

    def test_copies_to_the_host(self):
        frame = self.subscriber.next(LIMIT)
        y, uv = frame.numpy(copy=True)
        numpy.testing.assert_array_equal(y, nv12(1)[:32])
        numpy.testing.assert_array_equal(uv, nv12(1)[32:].reshape(16, 32, 2))
        if numpy.lib.NumpyVersion(numpy.__version__) >= "2.1.0":
            other = numpy.from_dlpack(frame.planes.y, device="cpu")
            numpy.testing.assert_array_equal(other, y)
            with self.assertRaises((BufferError, ValueError)):
                numpy.from_dlpack(frame.planes.y, device="cpu", copy=False)
            with self.assertRaisesRegex(BufferError, "clone"):
                frame.planes.y.__dlpack__(copy=True)
        self.assertEqual(frame.references, 1)
        self.assertTrue(frame._repr_png_().startswith(b"\x89PNG"))

    def test_the_last_view_gives_it_back_on_its_stream(self):
        stream = self.driver.stream()
        frame = self.subscriber.next(LIMIT)
        capsule = frame.planes.y.__dlpack__(stream=stream, max_version=(1, 0))
        adapter = frame.planes.y.cai(stream)
        said = adapter.__cuda_array_interface__
        self.assertEqual((said["shape"], said["typestr"]), ((32, 64), "|u1"))
        self.assertEqual(said["data"], (frame.planes.y.address, True))
        self.assertEqual(frame.references, 3)
        del frame
        with self.assertRaisesRegex(cuframes.LeaseLimit, r"frame 1 \(2 references\)"):
            self.again()
        del capsule, adapter
        for wait in (None, 0, 1, 2, -1, stream):
            frame = self.again()
            capsule = frame.planes.y.__dlpack__(stream=wait)
            del frame, capsule
        self.again()
        self.assertEqual(self.subscriber.stats.released_twice, 0)

    def again(self):
        self.send(self.publisher)
        return self.subscriber.next(LIMIT)

    def test_a_stream_that_is_gone(self):
        stream = self.driver.stream()
        frame = self.subscriber.next(LIMIT)
        capsule = frame.planes.y.__dlpack__(stream=stream)
        frame.used_on(stream)
        self.driver.destroy(stream)
        del capsule, frame
        self.send(self.publisher)
        until(self.is_back)  # a thread looked for the stream first

    def test_a_stream_that_captures_a_graph(self):
        stream = self.driver.stream()
        frame = self.subscriber.next(LIMIT)
        capsule = frame.planes.y.__dlpack__(stream=stream)
        with self.driver.capture(stream):
            for take in (lambda: frame.planes.y.__dlpack__(stream=stream), lambda: frame.planes.y.cai(stream),
                         lambda: self.publish_in_place(stream),
                         lambda: self.send(self.publisher, frame, stream=stream)):
                with self.assertRaisesRegex(ValueError, "captures a CUDA graph"):
                    take()
            self.assertEqual(frame.references, 2)
            del capsule, frame
            self.send(self.publisher)
            with self.assertRaises(cuframes.LeaseLimit):
                self.subscriber.next(LIMIT)
        until(self.is_back)

    def publish_in_place(self, stream):
        with self.publisher.frame(stream=stream):
            pass

    def is_back(self):
        try:
            return self.subscriber.next(LIMIT)
        except cuframes.LeaseLimit:
            return None

    def test_wrong_streams_are_refused(self):
        frame = self.subscriber.next(LIMIT)
        with self.assertRaisesRegex(ValueError, "-1, 1, 2"):
            frame.planes.y.__dlpack__(stream=-5)
        with self.assertRaisesRegex(TypeError, "expected None, a number"):
            frame.planes.y.__dlpack__(stream="1")
        with self.assertRaises(BufferError):
            frame.planes.y.__dlpack__(dl_device=(2, 1))

    def test_timeline_waits_on_the_stream(self):
        stream = self.driver.stream()
        subscriber = self.subscribe(sync="timeline", leases=1)
        self.send(self.publisher)
        frame = subscriber.next(LIMIT, stream=stream)
        self.assertEqual(subscriber.sync, "timeline")
        frame.planes.y.__dlpack__(stream=stream)
        frame.planes.y.__dlpack__(stream=1)  # another one: the CPU waits
        numpy.testing.assert_array_equal(frame.numpy(copy=True)[0], nv12(1)[:32])
        self.assertTrue(frame.wait(LIMIT))
        frame.release(stream)
        self.send(self.publisher)
        subscriber.next(LIMIT)

    def test_in_place_and_streams_of_publishers(self):
        stream = self.driver.stream()
        subscriber = self.subscribe()
        with self.publisher.frame(pts=3, stream=stream) as frame:
            frame._fill(0, nv12(4)[:32], None)
            self.assertEqual(frame.planes.y.__dlpack_device__(), (2, 0))
        got = subscriber.next(LIMIT)
        self.assertEqual(got.pts, 3)
        numpy.testing.assert_array_equal(got.numpy(copy=True)[0], nv12(4)[:32])
        second = self.publish(name="t", device="cuda")
        reader = self.subscribe("t")
        self.send(second, got, stream=stream)  # within the GPU
        numpy.testing.assert_array_equal(reader.next(LIMIT).numpy(copy=True)[0], nv12(4)[:32])
        host = self.publish(name="h")
        with self.assertRaisesRegex(ValueError, r"host memory \(\.cpu\(\)"):
            host.send(got)
        with self.assertRaises(cuframes.Unsupported):
            cuframes.subscribe("s", device="host")

    def test_a_forked_child_changes_nothing(self):
        with Child(FORK) as child:
            self.assertEqual(child.end(), "whole\n")


if __name__ == "__main__":
    main()
