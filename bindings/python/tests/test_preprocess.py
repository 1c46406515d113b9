"""Tensors for networks."""
import pickle

import cuframes
from support import LIMIT, Streams, main, module, numpy, until


class Tensors(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def frame(self, value, width=64, height=16, form="gray8", name="s"):
        publisher = self.publish(width, height, form, name)
        shape = (height, width) if form == "gray8" else (height, width, 3)
        picture = numpy.full(shape, value, "u1")
        until(lambda: publisher.send(picture))
        return self.subscribe(name).next(LIMIT)

    def test_a_letterbox_and_its_geometry(self):
        prepare = cuframes.Preprocess((32, 32))
        frame = self.frame(255)
        tensor, geometry = prepare([frame, None])
        frame.release()  # it is done
        self.assertEqual((tensor.shape, tensor.dtype), (prepare.shape(2), numpy.float32))
        self.assertEqual(tensor.shape, (2, 3, 32, 32))
        numpy.testing.assert_allclose(tensor[0, :, 12:20], 1, atol=1 / 255)
        self.assertEqual((tensor[0, :, :12].any(), tensor[0, :, 20:].any(), tensor[1].any()), (False, False, False))
        place = geometry[0]
        self.assertEqual((place.x, place.y, place.width, place.height), (0, 12, 32, 8))
        boxes = numpy.array([[8, 4, 24, 12], [0, 0, 64, 16]], "f4")
        there = place.to_tensor(boxes)
        self.assertEqual(there.tolist(), [[4, 14, 12, 18], [0, 12, 32, 20]])
        self.assertEqual(place.to_picture(there).tolist(), boxes.tolist())
        self.assertEqual(place.to_picture((4, 14, 12, 18)), (8, 4, 24, 12))
        self.assertEqual(boxes[0, 0], 8)  # as it was

    def test_a_size_that_is_none(self):
        for wrong in ((1, 2, 3), (640,), 640, None):
            with self.assertRaisesRegex(ValueError, r"size: expected \(width, height\), not "):
                cuframes.Preprocess(wrong)
        self.assertRaisesRegex(TypeError, "width: expected a whole number", cuframes.Preprocess, ("a", "b"))

    def test_channels_layout_scale_and_crop(self):
        frame = self.frame((10, 20, 30), 8, 8, "rgb24")
        prepare = cuframes.Preprocess((4, 4), "uint8", "NHWC", "BGR", "stretch")
        tensor, _ = prepare([frame], [(2, 2, 4, 4)])
        self.assertEqual((tensor.shape, tensor[0, 1, 1].tolist()), ((1, 4, 4, 3), [30, 20, 10]))
        prepare = cuframes.Preprocess((4, 4), "float16", mean=(0, 0, 0.5), std=(1, 2, 1), scale=0.1, filter="area",
                                      fit="cover")
        tensor = prepare([frame]).tensor
        numpy.testing.assert_allclose(tensor[0, :, 0, 0].astype("f8"), [1, 1, 2.5], atol=2e-3)

    def test_memory_of_ones_own(self):
        frame = self.frame(255)
        prepare = cuframes.Preprocess((8, 8), "uint8", channels="GRAY", fit="stretch")
        out = numpy.zeros((3, 1, 8, 8), "u1")
        self.assertIs(prepare([frame], out=out[1:2]).tensor.base, out)
        self.assertEqual((out[1].min(), out[0].max(), out[2].max()), (255, 0, 0))
        for wrong in (out, out[:1].astype("i1"), numpy.zeros((1, 1, 8, 16), "u1")[..., ::2],
                      numpy.frombuffer(bytes(64), "u1").reshape(1, 1, 8, 8)):
            self.assertRaises(ValueError, prepare, [frame], out=wrong)
        self.assertRaises(TypeError, prepare, [frame], out=bytearray(64))

    def test_wrong_uses(self):
        frame = self.frame(1)
        prepare = cuframes.Preprocess((8, 8))
        self.assertRaises(ValueError, prepare, [])
        self.assertRaises(ValueError, prepare, [frame], [None, None])
        self.assertRaises(TypeError, prepare, ["s"])
        self.assertRaises(TypeError, prepare, [frame], [(1, 2)])
        self.assertRaises(cuframes.InvalidError, prepare, [frame], [(0, 0, 640, 16)])
        self.assertRaises(cuframes.InvalidError, cuframes.Preprocess, (0, 8))
        for word in ("dtype", "layout", "channels", "fit", "filter", "library"):
            self.assertRaises(ValueError, cuframes.Preprocess, (8, 8), **{word: "nothing"})
        self.assertRaises(TypeError, cuframes.Preprocess, (8, 8), mean=(1, 2))
        self.assertRaises(TypeError, pickle.dumps, prepare)
        frame.release()
        self.assertRaises(ValueError, prepare, [frame])

    def test_a_batch_of_cameras(self):
        names = []
        for i in range(3):
            publisher = self.publish(32, 32, "gray8", f"c{i}")
            picture = numpy.full((32, 32), 50 * i, "u1")
            until(lambda p=publisher, x=picture: p.send(x))
            names.append(f"c{i}")
        prepare = cuframes.Preprocess((8, 8), "uint8", "NHWC", "GRAY")
        with cuframes.batch(names, timeout=LIMIT) as batch:
            entries = batch.next(min=3)
            tensor, _ = prepare(entries.frames)
            entries.release()
        self.assertEqual([int(picture.mean()) for picture in tensor], [0, 50, 100])


if __name__ == "__main__":
    main()
