"""A frame in hand: what it says, its planes as arrays of NumPy, its end."""
import io
import pickle

import cuframes
from support import LIMIT, Streams, main, module, numpy, nv12


class Interface:
    """What knows no other interface."""

    def __init__(self, plane):
        self.plane = plane
        self.__array_interface__ = plane.__array_interface__


class Frames(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def test_it_says_what_was_said_of_it(self):
        publisher = self.publish(color=(9, 2, 9, 16), side_data_max=256)
        subscriber = self.subscribe()
        with publisher.frame(pts=-5, duration=40, capture_time=1700000000123456789, key=True) as open_frame:
            self.assertEqual(open_frame.planes.uv.shape, (16, 32, 2))
            open_frame.add_side_data(0x10000, b"abc")
        frame = subscriber.next(LIMIT)
        self.assertEqual((frame.seq, frame.pts, frame.duration), (1, -5, 40))
        self.assertEqual(frame.capture_time, 1700000000123456789)
        self.assertEqual((frame.width, frame.height, frame.format, frame.device), (64, 32, "nv12", "host"))
        self.assertEqual(frame.color, (9, 2, 9, 16))
        self.assertTrue(frame.flags & cuframes.KEY)
        self.assertEqual(frame.side_data, [(0x10000, b"abc")])
        self.assertEqual(frame.id[0::2], ("s", 1))
        self.assertIsNone(frame.gpu)
        self.assertLessEqual(frame.timestamp, cuframes.now())
        self.send(publisher)
        self.assertIsNone(subscriber.next(LIMIT).pts)

    def test_planes_have_the_shape_of_the_picture(self):
        shapes = {
            "nv12": {"y": (33, 65), "uv": (17, 33, 2)}, "p010": {"y": (33, 65), "uv": (17, 33, 2)},
            "yuv420p": {"y": (33, 65), "u": (17, 33), "v": (17, 33)}, "rgb24": {"rgb": (33, 65, 3)},
            "bgra": {"rgb": (33, 65, 4)}, "gray16": {"y": (33, 65)}, "rgbp": {"r": (33, 65), "g": (33, 65)},
            "yuyv422": {"yuv": (33, 33, 4)},
        }
        for form, planes in shapes.items():
            with self.subTest(form):
                with self.publish(65, 33, form) as publisher, publisher.frame() as frame:
                    for name, shape in planes.items():
                        plane = getattr(frame.planes, name)
                        self.assertEqual(plane.shape, shape)
                        self.assertEqual(numpy.asarray(plane).shape, shape)
                        self.assertEqual(numpy.asarray(plane).strides, plane.strides)
                        self.assertEqual(numpy.asarray(plane).dtype.str, plane.typestr)
                    with self.assertRaisesRegex(AttributeError, "there is no z"):
                        frame.planes.z  # pylint: disable=pointless-statement

    def test_tensors_of_each_kind(self):
        for element, typestr in (("uint8", "|u1"), ("int8", "|i1"), ("float16", "<f2"), ("float32", "<f4"),
                                 ("int32", "<i4")):
            with self.subTest(element), cuframes.publish("t", format="tensor", shape=(2, 3, 4), element=element) as to:
                subscriber = self.subscribe("t")
                values = numpy.arange(24).reshape(2, 3, 4).astype(typestr)
                self.send(to, values)
                with subscriber.next(LIMIT) as frame:
                    self.assertEqual(frame.planes.tensor.typestr, typestr)
                    numpy.testing.assert_array_equal(frame.numpy(), values)
                    numpy.testing.assert_array_equal(numpy.from_dlpack(frame.planes.tensor), values)
                    self.assertIsNone(frame._repr_png_())

    def test_arrays_are_views_that_cannot_be_written(self):
        _, _, frame = self.pair()
        y, uv = frame.numpy()
        numpy.testing.assert_array_equal(y, nv12(1)[:32])
        numpy.testing.assert_array_equal(uv.reshape(16, 64), nv12(1)[32:])
        self.assertEqual(y.__array_interface__["data"], (frame.planes.y.address, True))
        with self.assertRaises(ValueError):
            y[0, 0] = 1
        with self.assertRaises(ValueError):
            y.flags.writeable = True
        with self.assertRaisesRegex(TypeError, "read-write"):
            io.BytesIO(bytes(2048)).readinto(frame.planes.y)
        with self.assertRaises(ValueError):
            numpy.from_dlpack(frame.planes.y)[0, 0] = 1

    def test_a_consumer_without_strides_is_told(self):
        publisher = self.publish(60, 32, "gray8")  # rows of 64 bytes
        subscriber = self.subscribe()
        self.send(publisher, nv12(1, 60, 32)[:32])
        plane = subscriber.next(LIMIT).planes.y
        self.assertEqual(plane.strides, (64, 1))
        with self.assertRaisesRegex(BufferError, "gaps"):
            io.BytesIO().write(plane)
        self.assertEqual(memoryview(plane).tobytes(), nv12(1, 60, 32)[:32].tobytes())

    def test_copies_are_ones_own(self):
        publisher, subscriber, frame = self.pair()
        y, _ = frame.numpy(copy=True)
        picture = frame.clone()
        del frame
        for number in range(2, 12):
            self.send(publisher, nv12(number))
        y[0, 0] += 1
        numpy.testing.assert_array_equal(picture.planes.y, nv12(1)[:32])
        picture.planes.y[0, 0] = 3
        again = pickle.loads(pickle.dumps(picture))
        numpy.testing.assert_array_equal(again.planes.uv, picture.planes.uv)
        self.assertEqual((again.seq, again.format, again.width), (1, "nv12", 64))
        self.assertEqual(subscriber.stats.leases_held, 0)

    def test_views_keep_the_picture(self):
        publisher, subscriber, frame = self.pair()
        views = [memoryview(frame.planes.y), numpy.asarray(frame.planes.y), numpy.from_dlpack(frame.planes.y)]
        plane = frame.planes.y
        interface = numpy.asarray(Interface(plane))  # holds the plane, and it the frame
        del plane
        with self.assertRaisesRegex(BufferError, "4 views"):
            frame.release()
        with frame:
            pass
        self.assertTrue(frame.released)
        for number in range(2, 30):
            self.send(publisher, nv12(number))
        for view in views:
            numpy.testing.assert_array_equal(numpy.asarray(view), nv12(1)[:32])
        self.assertEqual(subscriber.stats.leases_held, 1)
        numpy.testing.assert_array_equal(interface, nv12(1)[:32])
        del interface, view
        while views:
            self.assertEqual(subscriber.stats.leases_held, 1)
            views.pop()
        self.assertEqual(subscriber.stats.leases_held, 0)

    def test_a_released_frame_says_so(self):
        _, subscriber, frame = self.pair()
        plane = frame.planes.y
        frame.release()
        frame.release()
        self.assertEqual(subscriber.stats.released_twice, 0)
        for use in (lambda: frame.seq, lambda: frame.planes, frame.numpy, frame.to_rgb, lambda: memoryview(plane),
                    plane.__dlpack__, lambda: plane.address, lambda: frame.wait(0), lambda: frame.used_on(0)):
            with self.assertRaisesRegex((ValueError, BufferError), "was released"):
                use()
        self.assertEqual(repr(frame), "<cuframes.Frame, released>")

    def test_frames_outlive_their_subscriber_and_publisher(self):
        publisher, subscriber, frame = self.pair()
        y = frame.numpy()[0]
        subscriber.close()
        publisher.close()
        numpy.testing.assert_array_equal(y, nv12(1)[:32])
        self.assertTrue(frame.wait(0))
        with self.assertRaisesRegex(ValueError, "closed"):
            subscriber.next(0)

    def test_a_frame_is_not_pickled(self):
        _, _, frame = self.pair()
        with self.assertRaisesRegex(TypeError, r"subscribe\(name\)"):
            pickle.dumps(frame)

    def test_who_holds_the_leases_is_said(self):
        publisher, subscriber, first = self.pair(leases=2)
        view = first.numpy()[0]
        del first
        self.send(publisher)
        second = subscriber.next(LIMIT)
        self.send(publisher)
        words = r"2 leases .* frame 1 \(2 references\), frame 2 \(1 reference\)"
        with self.assertRaisesRegex(cuframes.LeaseLimit, words) as all_:
            subscriber.next(LIMIT)
        self.assertEqual(all_.exception.code, -15)
        del second
        self.assertEqual(subscriber.next(LIMIT).seq, 3)
        del view

    def test_a_notebook_shows_it(self):
        _, _, frame = self.pair(64, 32)
        image = module("PIL.Image")
        png = image.open(io.BytesIO(frame._repr_png_()))
        self.assertEqual(png.size, (64, 32))
        numpy.testing.assert_array_equal(numpy.asarray(png), frame.to_rgb())


class Names(Streams):
    def test_errors_have_the_detail_and_the_code(self):
        with self.assertRaisesRegex(cuframes.NoSuchStream, "nobody") as none:
            cuframes.subscribe("nobody")
        self.assertEqual((none.exception.code, isinstance(none.exception, LookupError)), (-6, True))
        with self.assertRaises(cuframes.BadName):
            cuframes.subscribe("not a name")
        with self.assertRaisesRegex(ValueError, "newest"):
            cuframes.subscribe("s", mode="latest")
        with self.assertRaisesRegex(ValueError, "leases"):
            cuframes.subscribe("s", leases=-1)
        with self.assertRaisesRegex(ValueError, "'nv12'"):
            cuframes.publish("s", 4, 4, "nv13")
        with self.assertRaises(cuframes.BadFormat):
            cuframes.publish("s", 0, 4)
        with self.assertRaises(cuframes.Unsupported):
            cuframes.publish("s", 4, 4, device="fpga")

    def test_list_and_info(self):
        self.assertEqual(cuframes.list(), [])
        self.publish(name="b", color=(1, 1, 1, 1), description="of a test")
        cuframes.publish("a", format=None, packets=8).close()
        self.publish(0, 0, None, "a", packets=8)
        first, second = cuframes.list()
        self.assertEqual((first.name, first.info.format, first.error), ("a", None, None))
        self.assertEqual((second.name, second.info.width, second.info.height), ("b", 64, 32))
        told = cuframes.info("b")
        self.assertEqual((told.color, told.description, told.device), ((1, 1, 1, 1), "of a test", "host"))
        self.assertEqual(told.source.state, "unknown")


if __name__ == "__main__":
    main()
