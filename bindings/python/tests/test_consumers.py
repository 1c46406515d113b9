"""Who takes what of DLPack: the table of docs/howto/python.md, for libraries that need no GPU."""
import cuframes
from support import Streams, main, module, numpy, nv12


class Spy:
    """A plane that notes what it is asked for."""

    def __init__(self, plane):
        self.plane, self.asked = plane, []

    def __dlpack__(self, **words):
        self.asked.append(words)
        return self.plane.__dlpack__(**words)

    def __dlpack_device__(self):
        return self.plane.__dlpack_device__()


class Consumers(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")
        self.publisher, self.subscriber, self.frame = self.pair()
        self.y = nv12(1)[:32]

    def released(self):
        """All that was made of the frame is gone, and so is its lease."""
        self.assertEqual(self.frame.references, 1)
        self.frame.release()
        self.assertEqual(self.subscriber.stats.leases_held, 0)

    def test_numpy_honours_read_only(self):
        spy = Spy(self.frame.planes.y)
        taken = numpy.from_dlpack(spy)
        numpy.testing.assert_array_equal(taken, self.y)
        self.assertFalse(taken.flags.writeable)
        self.assertEqual(taken.ctypes.data, self.frame.planes.y.address)
        old = numpy.from_dlpack(type("Old", (), {"__dlpack__": lambda _, stream=None: self.frame.planes.y.__dlpack__(),
                                                 "__dlpack_device__": lambda _: (1, 0)})()) \
            if numpy.lib.NumpyVersion(numpy.__version__) < "2.1.0" else numpy.asarray(self.frame.planes.y)
        self.assertFalse(old.flags.writeable)
        if spy.asked[0].get("max_version"):
            self.assertEqual(set(spy.asked[0]), {"dl_device", "copy", "max_version"})
            copy = numpy.from_dlpack(self.frame.planes.uv, copy=True)
            self.assertTrue(copy.flags.writeable)
            numpy.testing.assert_array_equal(copy, self.frame.planes.uv)
            with self.assertRaises((BufferError, ValueError)):
                self.frame.planes.y.__dlpack__(dl_device=(2, 0))
        del taken, old
        self.released()

    def test_without_max_version_it_is_an_old_capsule(self):
        old, new = '"dltensor"', '"dltensor_versioned"'
        for words, name in (({}, old), ({"max_version": None}, old), ({"max_version": (0, 8)}, old),
                            ({"max_version": (1, 0)}, new), ({"max_version": (2, 1)}, new), ({"stream": None}, old),
                            ({"dl_device": (1, 0)}, old)):
            with self.subTest(words):
                self.assertIn(name, repr(self.frame.planes.y.__dlpack__(**words)))
        for words in ({"dl_device": (2, 0)}, {"dl_device": (10, 0), "copy": True}):
            with self.subTest(words), self.assertRaises(BufferError):  # torch would try again after a TypeError
                self.frame.planes.y.__dlpack__(**words)
        with self.assertRaises(TypeError):
            self.frame.planes.y.__dlpack__(version=1)
        self.released()

    def test_jax_takes_compact_rows(self):
        module("jax")
        import jax
        spy = Spy(self.frame.planes.y)
        taken = jax.dlpack.from_dlpack(spy)
        numpy.testing.assert_array_equal(numpy.asarray(taken), self.y)
        self.assertEqual(spy.asked, [{"stream": None}])
        publisher = self.publish(60, 32, "gray8", "padded")
        subscriber = self.subscribe("padded")
        self.send(publisher, nv12(1, 60, 32)[:32])
        with self.assertRaises(Exception):
            jax.dlpack.from_dlpack(subscriber.next(60).planes.y)
        del taken
        self.released()

    def test_torch_ignores_the_flag(self):
        torch = module("torch")
        spy = Spy(self.frame.planes.y)
        taken = torch.from_dlpack(spy)
        self.assertEqual(taken.data_ptr(), self.frame.planes.y.address)
        numpy.testing.assert_array_equal(taken.numpy(), self.y)
        self.assertIn("max_version", spy.asked[0])
        y, uv = self.frame.torch()
        self.assertEqual((tuple(y.shape), tuple(uv.shape), y.stride()), ((32, 64), (16, 32, 2), (64, 1)))
        as_tensor = torch.as_tensor(self.frame.planes.y)
        self.assertEqual(as_tensor.data_ptr(), self.frame.planes.y.address)
        del taken, y, uv, as_tensor
        self.released()

    def test_opencv_takes_arrays(self):
        cv2 = module("cv2")
        small = cv2.resize(self.frame.numpy()[0], (32, 16), interpolation=cv2.INTER_NEAREST)
        numpy.testing.assert_array_equal(small, self.y[::2, ::2])
        self.released()

    def test_cuda_interfaces_are_not_for_the_host(self):
        self.assertFalse(hasattr(self.frame.planes.y, "__cuda_array_interface__"))
        with self.assertRaisesRegex(ValueError, "host memory"):
            self.frame.planes.y.cai()
        with self.assertRaisesRegex((BufferError, ImportError), "host memory|cupy"):
            self.frame.cupy()

    def test_what_is_no_stream_is_refused(self):
        for wrong in ("0", 1.5, object()):
            with self.assertRaisesRegex(TypeError, "expected None, a number"):
                self.frame.used_on(wrong)
        with self.assertRaisesRegex(ValueError, "stream: expected the handle of a stream, 0 or more, not -7"):
            self.frame.used_on(-7)
        self.frame.used_on(type("Torch", (), {"cuda_stream": 5})())
        self.frame.used_on(type("CuPy", (), {"ptr": 5})())
        self.frame.used_on(type("Core", (), {"__cuda_stream__": lambda _: (0, 5)})())
        self.frame.used_on(type("Numba", (), {"handle": type("Value", (), {"value": None})()})())
        self.released()


if __name__ == "__main__":
    main()
