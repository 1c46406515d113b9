"""Publishing: what send() takes, what it refuses and how, writing in place."""
import array
import pickle
import threading

import cuframes
from support import LIMIT, Streams, main, module, numpy, nv12, until


class Publishing(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def got(self, subscriber):
        frame = subscriber.next(LIMIT)
        return [numpy.array(plane) for plane in frame.planes]

    def check(self, form, picture, expected, width=64, height=32):
        with cuframes.publish("c", width, height, form) as publisher:
            subscriber = self.subscribe("c")
            self.send(publisher, picture)
            got = self.got(subscriber)
            self.assertEqual(len(got), len(expected))
            for one, other in zip(got, expected):
                numpy.testing.assert_array_equal(one, other)

    def test_arrays_of_numpy(self):
        whole = nv12(3)
        y, uv = whole[:32], whole[32:].reshape(16, 32, 2)
        rgb = numpy.stack([nv12(i)[:32] for i in (1, 2, 3)], -1)
        wide = numpy.zeros((32, 100), "u1")
        wide[:, :64] = y
        self.check("nv12", whole, [y, uv])
        self.check("nv12", (y, uv), [y, uv])
        self.check("nv12", [y, whole[32:]], [y, uv])
        self.check("gray8", wide[:, :64], [y])
        self.check("gray8", wide[::2, :64].repeat(2, 0), [y[::2].repeat(2, 0)])
        self.check("gray8", y.tobytes() and memoryview(y), [y])
        self.check("rgb24", rgb, [rgb])
        self.check("rgbp", rgb.transpose(2, 0, 1).copy(), [nv12(i)[:32] for i in (1, 2, 3)])
        self.check("gray16", y.astype("u2") * 256, [y.astype("u2") * 256])
        read_only = whole.copy()
        read_only.flags.writeable = False
        self.check("nv12", read_only, [y, uv])

    def test_planes_of_odd_sizes(self):
        h, w = 33, 65
        flat = (numpy.arange(h * w + 2 * 17 * 33) % 251).astype("u1")
        planes = [flat[:h * w].reshape(h, w), flat[h * w:h * w + 17 * 33].reshape(17, 33),
                  flat[h * w + 17 * 33:].reshape(17, 33)]
        self.check("yuv420p", planes, planes, w, h)
        h, w = 30, 64  # 15 rows of chroma: half a row of the array
        flat = (numpy.arange(h * w * 3 // 2) % 251).astype("u1")
        planes = [flat[:h * w].reshape(h, w), flat[h * w:h * w * 5 // 4].reshape(15, 32),
                  flat[h * w * 5 // 4:].reshape(15, 32)]
        self.check("yuv420p", flat.reshape(h * 3 // 2, w), planes, w, h)

    def test_pictures_of_pil(self):
        image = module("PIL.Image")
        rgb = numpy.stack([nv12(i)[:32] for i in (1, 2, 3)], -1)
        self.check("rgb24", image.fromarray(rgb), [rgb])

    def test_tensors_of_torch_on_the_cpu(self):
        torch = module("torch")
        whole = torch.from_numpy(nv12(5))
        self.check("nv12", whole, [nv12(5)[:32], nv12(5)[32:].reshape(16, 32, 2)])

    def test_arrays_of_jax(self):
        module("jax")
        import jax.numpy
        y = nv12(5)[:32]
        self.check("gray8", jax.numpy.asarray(y), [y])

    def test_frames_are_passed_on(self):
        publisher, subscriber, frame = self.pair()
        second = self.publish(name="t")
        reader = self.subscribe("t")
        for picture in (frame, frame.clone(), frame.planes):
            self.send(second, picture, pts=7)
            copy = reader.next(LIMIT)
            numpy.testing.assert_array_equal(copy.numpy()[0], nv12(1)[:32])
            self.assertEqual(copy.pts, 7)
        del publisher, subscriber

    def test_what_does_not_fit_is_refused_and_said(self):
        publisher = self.publish()
        subscriber = self.subscribe()
        whole = nv12(1)
        y, uv = whole[:32], whole[32:].reshape(16, 32, 2)
        wide = numpy.zeros((32, 128), "u1")
        for picture, words in (
                (whole[:40], r"y \(32, 64\) \|u1, uv \(16, 32, 2\) \|u1, or one array of shape \(48, 64\).*1 came: "
                             r"ndarray \(40, 64\) uint8"),
                ((y,), "1 came"), ((y, uv, uv), "3 came"),
                ((y, uv[:8]), r"plane 1 of nv12 64x32 takes shape \(16, 32, 2\)"),
                ((y.astype("f4"), uv), r"of type uint8 in host.*came shape \(32, 64\) of type float32.*another type"),
                ((y, uv.astype("i1")), "int8"), ((wide[:, ::2], uv), "contiguous"), ((y[::-1], uv), "backwards"),
                ((y.T, uv), "another shape|contiguous"), ((y.astype(">u2"), uv), "another type|uint16|code"),
                (array.array("d", [1.0]), "1 came"), ("picture", "1 came")):
            with self.subTest(words), self.assertRaisesRegex((ValueError, TypeError), words):
                publisher.send(picture)
        with self.assertRaisesRegex(TypeError, "nanoseconds"):
            publisher.send(whole, pts=0.5)
        with self.assertRaisesRegex(TypeError, "stream"):
            publisher.send(whole, stream="main")
        self.assertEqual(publisher.stats.frames, 0)
        self.send(publisher, whole)
        self.assertEqual(subscriber.next(LIMIT).seq, 1)

    def test_in_place(self):
        publisher = self.publish()
        subscriber = self.subscribe()
        with publisher.frame(pts=3) as frame:
            y, uv = frame.numpy()
            y[:] = 5
            uv[:] = 6
            numpy.from_dlpack(frame.planes.y)  # NumPy takes it as it is
            frame.pts = 4
            del y, uv
        got = subscriber.next(LIMIT)
        self.assertEqual(got.pts, 4)
        self.assertTrue((got.numpy()[0] == 5).all() and (got.numpy()[1] == 6).all())
        with self.assertRaises(KeyError), publisher.frame() as frame:
            raise KeyError
        self.assertTrue(frame.released)
        with self.assertRaises(cuframes.Timeout):
            subscriber.next(0)
        self.assertEqual(publisher.stats.frames, 1)
        with self.assertRaises(TypeError):
            self.publish(name="other")._publish(frame, None, 0, None, 0, None)

    def test_what_was_published_is_written_no_more(self):
        publisher = self.publish(max_open=16)
        subscriber = self.subscribe()
        for end in ("with", "cancelled", "publish", "cancel"):
            with self.subTest(end):
                frame = publisher.frame()
                y, uv = frame.numpy()
                y[:], copy = 7, frame.numpy(copy=True)[0]
                if end == "with":
                    with frame:
                        pass
                    self.assertEqual(subscriber.next(LIMIT).numpy()[0][0, 0], 7)
                elif end == "cancelled":
                    with self.assertRaises(KeyError), frame:
                        raise KeyError
                elif end == "cancel":
                    frame.cancel()
                    frame.cancel()
                else:
                    with self.assertRaisesRegex(BufferError, "2 views of the frame .* could"):
                        frame.publish()
                    self.assertFalse(frame.released)
                    y[:] = 8  # it is open
                    del y, uv
                    view = memoryview(frame.planes.y)
                    with self.assertRaisesRegex(BufferError, "1 view of the frame .* could"):
                        frame.publish()
                    del view
                    frame.publish()
                    self.assertEqual(subscriber.next(LIMIT).numpy()[0][0, 0], 8)
                    copy[:] = 1
                    continue
                for view in (y, uv):
                    with self.assertRaisesRegex(ValueError, "read-only"):
                        view[:] = 9
                copy[:] = 1
        with publisher.frame(corrupt=True, key=True):
            pass
        self.assertEqual(subscriber.next(LIMIT).flags & 12, cuframes.KEY | cuframes.CORRUPT)

    def test_views_of_open_frames_count(self):
        publisher = self.publish(form="gray8", max_open=2)
        kept = []
        for _ in range(2):
            with publisher.frame() as frame:
                kept.append(frame.numpy())
        with self.assertRaises(cuframes.LeaseLimit):
            publisher.frame()
        kept.pop()
        with publisher.frame():
            pass

    def test_dropped_frames_are_told(self):
        publisher = self.publish(form="gray8", policy="drop")
        subscriber = self.subscribe(mode="ordered", depth=2, leases=1)
        picture = nv12(1)[:32]
        sent = [publisher.send(picture) for _ in range(10)]
        self.assertEqual(sent.count(True), 2)
        self.assertEqual(publisher.stats.dropped, 8)
        self.assertEqual(subscriber.next(LIMIT).seq, 1)

    def test_formats_change(self):
        publisher = self.publish()
        subscriber = self.subscribe()
        publisher.set_format(32, 16, "rgb24")
        self.send(publisher, numpy.zeros((16, 32, 3), "u1"))
        frame = subscriber.next(LIMIT)
        self.assertEqual((frame.format, frame.width), ("rgb24", 32))
        publisher.set_source("stalled", "nothing comes")
        self.assertEqual((subscriber.source.state, subscriber.info.source.reason), ("stalled", "nothing comes"))
        for state in ("connecting", "refused"):
            publisher.set_source(state)
            self.assertEqual(subscriber.source.state, state)
        with self.assertRaises(ValueError):
            publisher.set_source("asleep")

    def test_subscribers_are_waited_for(self):
        publisher = self.publish()
        self.assertFalse(publisher.wait_subscribers(1, 0))
        timer = threading.Thread(target=self.subscribe)
        timer.start()
        self.assertTrue(publisher.wait_subscribers(1, LIMIT))
        timer.join()
        publisher.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            publisher.send(nv12(1))
        until(lambda: publisher.closed)


class Wrong(Streams):
    def test_options_say_what_they_want(self):
        for option, words in (("ordered_timeout", "expected seconds"), ("color", "H.273")):
            for value in (float("nan"), float("inf"), -1, "x", 3 if option == "color" else 1e300, (1, 2, 3)):
                with self.assertRaisesRegex((ValueError, TypeError), words, msg=f"{option}={value}"):
                    cuframes.publish("w", 8, 8, **{option: value})
        with self.assertRaisesRegex(TypeError, "timeout: expected seconds"):
            cuframes.subscribe("w", timeout="x")
        with self.assertRaisesRegex(ValueError, "H.273"):
            cuframes.publish("w", 8, 8, color=(-1, 0, 0, 256))

    def test_neither_side_is_pickled(self):
        publisher = self.publish()
        with self.assertRaisesRegex(TypeError, r"cuframes\.publish"):
            pickle.dumps(publisher)
        with self.assertRaisesRegex(TypeError, r"cuframes\.subscribe\('s'\)"):
            pickle.dumps(self.subscribe())


if __name__ == "__main__":
    main()
