"""What a program should not do, and does: wrong values, wrong order, copies, other interpreters of the package's files.
Each is an exception that says what was expected and what came, and changes nothing."""
import copy
import os
import pickle

import cuframes
from cuframes import _core
from support import LIMIT, Child, Streams, main, module, numpy, nv12

NOT_SECONDS = (-1, float("nan"), "x", (1, 2))
NOT_COUNTS = (-1, 2**32, 2**80, 1.5, "x", (1,))

AGAIN = """
import cuframes, importlib, sys
publisher = cuframes.publish("s", 8, 8, "gray8")
before = cuframes.subscribe("s")
importlib.reload(cuframes)
for name in [name for name in sys.modules if name.startswith("cuframes")]:
    del sys.modules[name]
old, cuframes = cuframes, __import__("cuframes")
for subscriber in (before, cuframes.subscribe("s"), old.subscribe("s")):
    with publisher.frame():
        pass
    assert isinstance(subscriber.next(60), cuframes.Frame)
print("whole")
"""

AT_EXIT = """
import asyncio, cuframes, sys, threading
publisher = cuframes.publish("s", 8, 8, "gray8", packets=8)
subscriber, packets = cuframes.subscribe("s"), cuframes.subscribe("s", mode="packets").packets()
threads = [threading.Thread(target=target, daemon=True)
           for target in (subscriber.next, packets.next, publisher.drain, lambda: publisher.wait_subscribers(9))]
async def left():
    waits = [asyncio.ensure_future(one.anext())
             for one in (cuframes.subscribe("s"), cuframes.subscribe("s").packets())]
    await asyncio.sleep(0)
    return waits
for thread in threads:
    thread.start()
loop = asyncio.new_event_loop()
kept = loop.run_until_complete(left()), publisher.frame()
for wait in kept[0]:
    wait._log_destroy_pending = False
print("ends")
"""


class Values(Streams):
    def refused(self, words, call, *values):
        for value in values:
            with self.subTest(f"{words} {value!r}"), self.assertRaisesRegex((ValueError, TypeError), words):
                call(value)

    def test_times(self):
        publisher, subscriber = self.publish(packets=8), self.subscribe()
        packets = subscriber.packets()
        for call in (lambda t: cuframes.info("s", timeout=t), lambda t: cuframes.list(timeout=t),
                     lambda t: cuframes.join("s", timeout=t), lambda t: cuframes.subscribe("s", timeout=t),
                     subscriber.next, packets.next, publisher.drain, lambda t: publisher.wait_subscribers(1, t)):
            self.refused("timeout: expected seconds", call, *NOT_SECONDS)
        self.refused("ordered_timeout: expected seconds",
                     lambda t: cuframes.publish("w", 8, 8, ordered_timeout=t), *NOT_SECONDS, None, float("inf"))

    def test_counts(self):
        publisher = self.publish(packets=8)
        for option in ("slots", "max_slots", "max_open", "side_data_max", "packets", "width", "height",
                       "orientation", "sample_aspect_num"):
            self.refused(f"{option}: expected a whole number",
                         lambda value: cuframes.publish("w", **{"width": 8, "height": 8, option: value}), *NOT_COUNTS)
        for option in ("leases", "depth"):
            self.refused(f"{option}: expected", lambda value: cuframes.subscribe("s", **{option: value}), *NOT_COUNTS)
        self.refused("packet_bytes: expected", lambda value: cuframes.publish("w", 8, 8, packet_bytes=value), -1, 2**64)
        self.refused("keep: expected", lambda value: cuframes.join("s", keep=value), *NOT_COUNTS)
        self.refused("count: expected", publisher.wait_subscribers, *NOT_COUNTS)
        self.refused("track: expected", lambda value: publisher.describe(value, {"codec": "h264"}), *NOT_COUNTS)
        self.refused("track: expected", lambda value: publisher.send_packet(b"x", track=value), *NOT_COUNTS)
        self.refused("track: expected", lambda value: publisher.annotate(("s", 1, 1, None), [], track=value),
                     *NOT_COUNTS)
        self.refused("level: expected", lambda value: publisher.describe(0, {"codec": "x", "level": value}),
                     *NOT_COUNTS)
        self.refused("chroma_location: expected a whole number from 0 to 255",
                     lambda value: publisher.describe(0, {"codec": "x", "chroma_location": value}), 256)
        self.refused("content_light: expected",
                     lambda value: publisher.describe(0, {"codec": "x", "content_light": value}), b"x", "x", 5)
        self.refused("shape", lambda value: cuframes.publish("w", format="tensor", shape=value, element="uint8"),
                     (1, -2), (1, 2**40), [], (), (1, "x"), (1,) * 5)
        self.refused("color: expected", lambda value: cuframes.publish("w", 8, 8, color=value),
                     (1, 2, 3), (1, 2, 3, 256), (1, 2, 3, "x"), 5, [1])
        self.refused("plane: expected", publisher.frame().plane, -1, 4, 2**32, "x")
        self.assertEqual(cuframes.list()[0].info.subscribers, [])
        if numpy:
            self.assertEqual(self.publish(numpy.int64(8), numpy.uint8(8), name="np").width, 8)

    def test_words(self):
        for option in ("mode", "sync"):
            self.refused(f"{option}: expected '", lambda value: cuframes.subscribe("s", **{option: value}), 1, [], "x")
        self.refused("policy: expected '", lambda value: cuframes.publish("w", 8, 8, policy=value), 0, [], "x")
        self.refused("format: expected", lambda value: cuframes.publish("w", 8, 8, value), 5, "nv13", [])
        self.refused("surrogate|name: expected text", cuframes.subscribe, "a\0b", "\udc80", 3, b"s", None)
        for option, call in (("device", cuframes.subscribe), ("label", cuframes.subscribe), ("device", self.of_gray),
                             ("description", self.of_gray)):
            self.refused(f"{option}: expected text", lambda value, o=option, c=call: c("w", **{o: value}), 3, b"s",
                         "\0")
        for call in (self.of_gray, cuframes.info, cuframes.join, cuframes.opencv.VideoCapture):
            self.refused("name: expected text", call, 0, b"s")
        self.refused("path|PathLike", lambda value: cuframes.subscribe("s", directory=value), "a\0b", 3)
        odd = os.path.join(os.fsencode(self.directory), b"\xff")
        os.mkdir(odd)
        publisher = self.publish(directory=odd)
        self.assertEqual(self.subscribe(directory=os.fsdecode(odd)).info.device, "host")
        self.assertEqual([entry.name for entry in cuframes.list(directory=odd)], ["s"])
        publisher.close()

    def in_hand(self, form="nv12"):
        """A frame, without NumPy."""
        publisher, subscriber = self.publish(form=form, name=form), self.subscribe(form)
        with publisher.frame():
            pass
        return subscriber.next(LIMIT)

    @staticmethod
    def of_gray(name, **options):
        cuframes.publish(name, 8, 8, "gray8", **options).close()

    def test_what_is_said_of_a_stream(self):
        publisher = self.publish(packets=8)
        self.refused("no 'wdith'", lambda word: publisher.describe(0, {"codec": "h264", word: 1}), "wdith")
        self.refused("media_type: expected 'video'", lambda kind: publisher.describe(
            0, {"codec": "h264", "media_type": kind}), "film")
        self.refused("extradata: expected bytes", lambda data: publisher.describe(
            0, {"codec": "h264", "extradata": data}), "x", 5)
        self.refused("expected a dict", lambda given: publisher.describe(0, given), None, "h264", 5)
        self.refused("reason: expected text", lambda reason: publisher.set_source("live", reason), 3, None)
        self.refused("shape is .*, and element", lambda shape: cuframes.publish(
            "t", format="tensor", shape=shape, element="uint8"), None, (), 5, "x")
        cuframes.publish("t", format="tensor", shape=[2, 3], element="uint8").close()  # a list is fine
        frame = publisher.frame(pts=2**70)
        self.refused("pts: expected nanoseconds that 64 bits hold", lambda _: frame.publish(), None)
        frame.cancel()

    def test_who_is_asked_and_what_was_found(self):
        frame = self.in_hand()
        found = self.publish(0, 0, None, "found", packets=8)
        join = cuframes.join("found")
        self.addCleanup(join.close)
        for call in (join.find, join.latest, lambda of: found.annotate(of, [])):
            self.refused("frame: expected a frame of a subscriber, or its id", call, 5, None, "s")
        self.refused("expected .*Detection", lambda what: found.annotate(frame, what), None, 5, [5], [(0, 0, 1, 1)])
        found.annotate(frame.id, [])
        self.assertEqual(join.find(frame.id, LIMIT), [])
        self.refused(r"expected names or subscribers, such as \['door'", cuframes.batch, "s", b"s", 3, None)

    def test_a_frame_as_one_array(self):
        """Of one plane it is that; several are none, and no array of one object, either."""
        module("numpy")
        frame = self.in_hand()
        for call in (numpy.asarray, numpy.array, numpy.mean):
            self.refused("nv12 has 2 planes and is not one array", lambda _, c=call: c(frame), None)
        gray = self.in_hand("gray8")
        numpy.testing.assert_array_equal(numpy.asarray(gray), gray.numpy())
        self.assertEqual(numpy.asarray(gray, "f4").dtype, "f4")
        self.assertFalse(numpy.asarray(gray).flags.writeable)
        self.assertTrue(numpy.array(gray).flags.writeable)

    def test_libraries_that_are_not_there(self):
        frame = self.in_hand()
        for name in ("torch", "cupy"):
            with self.subTest(name):
                try:
                    __import__(name)
                except ImportError:
                    with self.assertRaisesRegex(ImportError, f"arrays of {name}, which cannot be imported"):
                        getattr(frame, name)()

    def test_options_of_opencv(self):
        """What is wrong raises; a stream that is not there does not; OpenCV's own arguments are no matter."""
        capture = cuframes.opencv.VideoCapture
        self.assertFalse(capture("nobody", 1900).isOpened())
        self.assertFalse(capture("nobody", 1900, [1, 2]).open("nobody", 0, []))
        self.refused("mode: expected 'newest'", lambda mode: capture("nobody", mode=mode), "x")
        self.refused("name .* character", capture, "rtsp://camera/1")
        self.refused("unexpected keyword", lambda option: capture("s", **{option: 1}), "wdith")

    def test_what_consumers_might_ask(self):
        module("numpy")
        _, _, frame = self.pair()
        plane = frame.planes.y
        for words in ({"max_version": [1, 0]}, {"max_version": (1,)}, {"max_version": ("1", 0)}, {"dl_device": 5},
                      {"dl_device": (1 << 70, 0)}, {"dl_device": (1, 0, 0)}):
            with self.subTest(words), self.assertRaises(BufferError):
                plane.__dlpack__(**words)
        self.refused("buffer", lambda size: frame._copy_to(0, bytearray(size)), 0, 2047)
        with self.assertRaises(cuframes.InvalidError):
            frame._fill(0, nv12(1)[:32], None)
        with self.assertRaises(cuframes.InvalidError):
            frame.add_side_data(0x10000, b"x")
        self.assertEqual(frame.references, 1)


class Objects(Streams):
    def test_a_device_that_there_is_not(self):
        self.publish(form="gray8")
        for wrong in ("gpu", "CUDA", "cuda0", "hosts", ""):
            for mode in ("newest", "packets"):
                with self.assertRaisesRegex(cuframes.Unsupported, f'no device "{wrong}": expected auto, host, cuda'):
                    cuframes.subscribe("s", device=wrong, mode=mode)
        with self.assertRaisesRegex(cuframes.Unsupported, "host memory, and a GPU was asked for"):
            cuframes.subscribe("s", device="cuda:0")

    def test_copies_and_pickles(self):
        module("numpy")
        publisher, subscriber, frame = self.pair()
        opened = publisher.frame()
        found = self.publish(0, 0, None, "found", packets=8)
        found.describe(0, {"codec": "h264"})
        found.send_packet(b"x", key=True)
        reader = self.subscribe("found", mode="packets").packets()
        join = cuframes.join("found")
        self.addCleanup(join.close)
        everything = (publisher, subscriber, frame, opened, frame.planes.y, reader, reader.next(LIMIT), join,
                      cuframes.batch(), cuframes.Preprocess((8, 8)))
        for one in everything:
            for how in (copy.copy, copy.deepcopy, pickle.dumps):
                if one is reader and how is copy.copy:
                    continue  # another one of the same subscriber
                with self.subTest(one=one, how=how), self.assertRaisesRegex(TypeError, "cannot be pickled: "):
                    how(one)
            self.assertEqual(one, one)
            self.assertNotEqual(one, frame.clone())
        self.assertIsNot(copy.copy(frame.planes)[0], None)
        self.assertEqual(copy.deepcopy(frame.clone()).seq, frame.seq)
        for kind in (cuframes.Frame, cuframes.OpenFrame, _core.Frame, _core.Plane, _core.Packet, cuframes.Subscriber,
                     cuframes.Publisher):
            with self.subTest(kind), self.assertRaises(TypeError):
                kind()
            with self.subTest(kind), self.assertRaises(TypeError):
                object.__new__(kind)
        with self.assertRaises(AttributeError):
            frame.seq = 1

    def test_an_open_frame_outlives_its_publisher(self):
        """Its slot is gone with the publisher, and views hold theirs."""
        module("numpy")
        publisher = self.publish()
        opened, kept = publisher.frame(), publisher.frame()
        view = numpy.asarray(kept.planes.y)
        plane = opened.planes.y
        publisher.close()
        for use in (opened.numpy, lambda: opened.planes, lambda: opened.width, plane.__dlpack__, opened.publish,
                    lambda: memoryview(plane), lambda: opened._fill(0, nv12(1)[:32], None)):
            with self.assertRaisesRegex((ValueError, BufferError), "publisher of this open frame was closed"):
                use()
        self.assertTrue(opened.released)
        opened.release()
        opened.cancel()
        with opened:
            pass
        view[:] = 3
        del opened, kept, plane, view, use
        again = self.publish()
        with again.frame():
            pass
        self.assertEqual(again.stats.released_twice, 0)

    def test_the_wrong_order(self):
        """The publisher goes first, then the subscriber, the frame and its plane; the view is last."""
        module("numpy")
        publisher = cuframes.publish("s", 64, 32)
        subscriber = cuframes.subscribe("s")
        self.send(publisher)
        frame = subscriber.next(LIMIT)
        plane = frame.planes.y
        view, tensor = memoryview(plane), numpy.from_dlpack(plane)
        del publisher
        del subscriber
        frame._drop()
        del frame
        del plane
        numpy.testing.assert_array_equal(view, nv12(1)[:32])
        view.release()
        numpy.testing.assert_array_equal(tensor, nv12(1)[:32])

    def test_frames_of_another_publisher(self):
        module("numpy")
        publisher, subscriber, frame = self.pair()
        other = self.publish(name="other")
        for one in (frame, other.frame(), None, 5):
            for use in (lambda one: publisher._publish(one, None, 0, None, 0, None), publisher._cancel):
                with self.assertRaisesRegex(TypeError, "open frame of this publisher"):
                    use(one)
        opened = publisher.frame()
        opened.publish()
        for use in (opened.publish, lambda: publisher._cancel(opened)):
            with self.assertRaisesRegex(ValueError, "published"):
                use()
        self.assertEqual(publisher.stats.frames, 2)
        self.assertEqual(subscriber.stats.released_twice, 0)

    def test_the_package_is_loaded_again(self):
        with Child(AGAIN) as child:
            self.assertEqual(child.end(), "whole\n")

    def test_an_exit_with_everything_open(self):
        for _ in range(3):
            with Child(AT_EXIT) as child:
                self.assertEqual(child.end(), "ends\n")


if __name__ == "__main__":
    main()
