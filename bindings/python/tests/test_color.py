"""Pictures as RGB: every format, matrix, range and place of chroma beside the definition in float64, and beside OpenCV
and FFmpeg. test_standin.py and tests/gpu/python have the same pictures on a GPU."""
import dataclasses
import os

import cuframes
from cuframes import _color
from support import LIMIT, Streams, main, module, numpy

# Kr and Kb of H.273's MatrixCoefficients.
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
           9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
# Shape of a plane of luma and of one of chroma: how many pixels a chroma sample has across and down; bits of a code.
YUV = {"nv12": (2, 2, 8), "p010": (2, 2, 10), "yuv420p": (2, 2, 8), "yuv422p": (2, 1, 8), "yuv444p": (1, 1, 8),
       "yuv420p10": (2, 2, 10), "yuv422p10": (2, 1, 10), "yuyv422": (2, 1, 8), "uyvy422": (2, 1, 8)}
# Where the sample of a pair of pixels lies, in pixels from the middle of both: across and down, by ChromaSampleLocType
# + 1 (H.273). 0, not said, is left.
PLACES = {0: (-0.5, 0), 1: (-0.5, 0), 2: (0, 0), 3: (-0.5, -0.5), 4: (0, -0.5), 5: (-0.5, 0.5), 6: (0, 0.5)}


def codes(form, width, height, random):
    """Y, Cb and Cr of noise."""
    across, down, bits = YUV[form]
    small = (-(-height // down), -(-width // across))
    return [random.integers(0, 1 << bits, shape) for shape in ((height, width), small, small)]


def planes_of(form, ycc, width):
    """The planes of a format that have these codes."""
    y, u, v = ycc
    if form in ("nv12", "p010"):
        uv = numpy.stack([u, v], -1)
        if form == "nv12":
            return y.astype("u1"), uv.astype("u1")
        return (y << 6).astype("<u2"), (uv << 6).astype("<u2")
    if form in ("yuyv422", "uyvy422"):
        y = numpy.pad(y, ((0, 0), (0, width % 2)), "edge").astype("u1")
        order = (y[:, ::2], u, y[:, 1::2], v) if form == "yuyv422" else (u, y[:, ::2], v, y[:, 1::2])
        return (numpy.stack(order, -1).astype("u1"),)
    return tuple(plane.astype("<u2" if form.endswith("10") else "u1") for plane in (y, u, v))


def between(plane, axis, size, pixels, place):
    """Samples of the size of luma: linear between those of chroma, the last ones beyond them."""
    at = (numpy.arange(size) + 0.5 - pixels / 2 - (place if pixels == 2 else 0)) / pixels
    at = at.clip(0, plane.shape[axis] - 1)
    low = numpy.floor(at).astype(int)
    high = numpy.minimum(low + 1, plane.shape[axis] - 1)
    weight = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
    return plane.take(low, axis) * (1 - weight) + plane.take(high, axis) * weight


def reference(form, ycc, color, location, repeated=False):
    """R, G and B in float64, by the equations of H.273, 8.3."""
    across, down, bits = YUV[form]
    y, u, v = (plane.astype("f8") for plane in ycc)
    height, width = y.shape
    if repeated:
        u, v = (plane.repeat(down, 0)[:height].repeat(across, 1)[:, :width] for plane in (u, v))
    else:
        right, below = PLACES[location]
        u, v = (between(between(plane, 1, width, across, right), 0, height, down, below) for plane in (u, v))
    unit, most = 2 ** (bits - 8), 2 ** bits - 1
    if color[1] == 2:
        y, u, v = y / most, (u - 128 * unit) / most, (v - 128 * unit) / most
    else:
        y, u, v = (y / unit - 16) / 219, (u / unit - 128) / 224, (v / unit - 128) / 224
    kr, kb = WEIGHTS[color[0] or (1 if height >= 720 else 6)]
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return (numpy.stack([r, g, b], -1) * 255).clip(0, 255)


def slow(width, height):
    """Y, Cb and Cr of a picture in which chroma hardly changes from one sample to the next."""
    y, x = numpy.mgrid[:height, :width]
    luma = (120 + 50 * numpy.sin(x / 37) + 40 * numpy.cos(y / 29)).round().astype(int)
    half = y[:-(-height // 2), :-(-width // 2)], x[:-(-height // 2), :-(-width // 2)]
    return [luma, (128 + 50 * numpy.sin(half[1] / 90)).round().astype(int),
            (128 + 50 * numpy.cos(half[0] / 80)).round().astype(int)]


class Colours(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")
        self.random = numpy.random.default_rng(3)

    def frame(self, form, planes, width, height, color=(0, 0, 0, 0), location=0):
        publisher = self.publish(width, height, form, "c", color=color, chroma_location=location)
        subscriber = self.subscribe("c")
        self.send(publisher, planes)
        frame = subscriber.next(LIMIT)
        publisher.close()
        return frame

    def convert(self, form, planes, width, height, color=(0, 0, 0, 0), location=0):
        """What to_rgb() makes of it, as all of its ways do."""
        frame = self.frame(form, planes, width, height, color, location)
        rgb, bgr, picture = frame.to_rgb(), frame.to_bgr(), frame.clone()
        self.assertEqual((rgb.shape, rgb.dtype.str), ((height, width, 3), "|u1"))
        numpy.testing.assert_array_equal(rgb[:, :, ::-1], bgr)
        self.assertEqual(frame.references, 1)
        self.assertTrue(rgb.flags.writeable and rgb.flags.c_contiguous)
        numpy.testing.assert_array_equal(picture.to_rgb(), rgb)
        numpy.testing.assert_array_equal(picture.to_bgr(), bgr)
        return rgb

    def compare(self, form, width, height, color, location=0):
        ycc = codes(form, width, height, self.random)
        got = self.convert(form, planes_of(form, ycc, width), width, height, color, location)
        wanted = reference(form, ycc, color, location)
        self.assertLessEqual(float(abs(got - wanted).max()), 0.51)  # the nearest whole number

    def test_each_matrix_and_range(self):
        for matrix in (0, *WEIGHTS):
            for extent in (0, 1, 2):
                for form in ("nv12", "p010"):
                    with self.subTest(form, matrix=matrix, range=extent):
                        self.compare(form, 34, 18, (matrix, extent, 0, 0))

    def test_each_format_and_place_of_chroma(self):
        for form in YUV:
            for location in PLACES:
                for width, height in ((34, 18), (33, 17), (1, 1)):
                    with self.subTest(form, location=location, size=(width, height)):
                        self.compare(form, width, height, (9, 1 + location % 2, 0, 0), location)

    def test_what_is_not_said(self):
        """BT.709 from 720 rows on, else BT.601; limited range."""
        for height in (719, 720):
            self.compare("nv12", 8, height, (0, 0, 0, 0))

    def test_ten_bits_are_ten_bits(self):
        """The same picture in 8 and 10 bits looks the same, and its chroma as far from repeated samples."""
        ycc = codes("nv12", 64, 32, self.random)
        fine = [plane * 4 for plane in ycc]
        apart = {}
        for form, given in (("nv12", ycc), ("p010", fine), ("yuv420p", ycc), ("yuv420p10", fine)):
            rgb = self.convert(form, planes_of(form, given, 64), 64, 32, (1, 1, 0, 0)).astype(int)
            apart[form] = int(abs(rgb - reference(form, given, (1, 1, 0, 0), 0, repeated=True)).max())
            wanted = reference("nv12", ycc, (1, 1, 0, 0), 0)
            self.assertLessEqual(float(abs(rgb - wanted).max()), 0.51, form)
        self.assertGreater(min(apart.values()), 100, apart)
        self.assertEqual(len(set(apart.values())), 1, apart)

    def test_beside_opencv(self):
        cv2 = module("cv2")
        y, u, v = slow(320, 180)
        whole = numpy.concatenate([y, numpy.stack([u, v], -1).reshape(90, 320)]).astype("u1")
        ours = self.convert("nv12", planes_of("nv12", (y, u, v), 320), 320, 180, (6, 1, 0, 0))
        theirs = cv2.cvtColor(whole, cv2.COLOR_YUV2RGB_NV12)
        self.assertLessEqual(int(abs(ours.astype(int) - theirs).max()), 2)

    def test_beside_ffmpeg(self):
        av = module("av")
        of = module("av.video.reformatter").Interpolation
        exact = of.BILINEAR | of.ACCURATE_RND | of.FULL_CHR_H_INT  # its quick way is 3 off
        y, u, v = slow(320, 180)
        for name, matrix in (("ITU709", 1), ("ITU601", 6)):
            for extent, word in ((1, "MPEG"), (2, "JPEG")):
                with self.subTest(name, range=word):
                    given = av.VideoFrame.from_ndarray(numpy.concatenate(
                        [y.reshape(-1), u.reshape(-1), v.reshape(-1)]).astype("u1").reshape(270, 320), format="yuv420p")
                    theirs = given.reformat(format="rgb24", src_colorspace=name, dst_colorspace=name,
                                            src_color_range=word, dst_color_range="JPEG",
                                            interpolation=exact).to_ndarray()
                    ours = self.convert("yuv420p", planes_of("yuv420p", (y, u, v), 320), 320, 180,
                                        (matrix, extent, 0, 0))
                    self.assertLessEqual(int(abs(ours.astype(int) - theirs).max()), 2)

    def test_formats_of_rgb(self):
        rgb = numpy.arange(8 * 4 * 3).astype("u1").reshape(4, 8, 3)
        alpha = numpy.full((4, 8, 1), 9, "u1")
        for form, planes in (("rgb24", (rgb,)), ("bgr24", (rgb[:, :, ::-1].copy(),)),
                             ("rgba", (numpy.concatenate([rgb, alpha], 2),)),
                             ("bgra", (numpy.concatenate([rgb[:, :, ::-1], alpha], 2),)),
                             ("rgbp", tuple(rgb[:, :, i].copy() for i in range(3)))):
            with self.subTest(form):
                numpy.testing.assert_array_equal(self.convert(form, planes, 8, 4), rgb)
        gray = rgb[:, :, 0].copy()
        numpy.testing.assert_array_equal(self.convert("gray8", (gray,), 8, 4), numpy.stack([gray] * 3, -1))
        got = self.convert("gray16", (gray.astype("<u2") * 257,), 8, 4)
        numpy.testing.assert_array_equal(got, numpy.stack([gray] * 3, -1))
        got = self.convert("gray8", (numpy.full((4, 8), 16, "u1"),), 8, 4, (0, 1, 0, 0))  # limited: 16 is black
        self.assertEqual(int(got.max()), 0)

    def test_pictures_larger_than_a_tensor(self):
        """They are made of parts, and no edge between them is seen."""
        most, _color.MOST = _color.MOST, 64
        try:
            for form in ("nv12", "yuyv422"):
                for width, height in ((301, 45), (50, 131), (65, 65)):
                    with self.subTest(form, size=(width, height)):
                        self.compare(form, width, height, (1, 2, 0, 0))
        finally:
            _color.MOST = most
        self.compare("nv12", 8200, 2, (1, 2, 0, 0))

    def test_what_cannot_be_converted_is_refused(self):
        frame = self.frame("nv12", planes_of("nv12", codes("nv12", 8, 4, self.random), 8), 8, 4, (11, 1, 0, 0))
        with self.assertRaisesRegex(ValueError, "matrix 11"):
            frame.to_rgb()
        to = cuframes.publish("t", format="tensor", shape=(2, 2), element="uint8")
        self.addCleanup(to.close)
        subscriber = self.subscribe("t")
        self.send(to, numpy.zeros((2, 2), "u1"))
        for picture in (frame := subscriber.next(LIMIT), frame.clone()):
            for convert in (picture.to_rgb, picture.to_bgr):
                with self.assertRaisesRegex(ValueError, "a tensor is no picture"):
                    convert()

    def test_a_copy_whose_planes_were_replaced(self):
        """By others of the same size, wherever their samples lie; what has another size is not read."""
        ycc = codes("nv12", 34, 18, self.random)
        copy = self.frame("nv12", planes_of("nv12", ycc, 34), 34, 18, (1, 1, 0, 0)).clone()
        y, uv = copy.planes
        wanted = copy.to_rgb()
        backwards = numpy.ascontiguousarray(y[::-1])[::-1]
        gaps = numpy.asfortranarray(uv)
        wide = numpy.zeros((18, 64), "u1")
        wide[:, :34] = y
        for given in ((y.copy(), uv), (backwards, gaps), (wide[:, :34], uv)):
            planes = cuframes.Planes.of("nv12", list(given))
            numpy.testing.assert_array_equal(dataclasses.replace(copy, planes=planes).to_rgb(), wanted)
        for given, words in (((y[:-1], uv), "18 rows of 34 bytes; came 17 rows of 34"),
                             ((y.astype("f4"), uv), "came 18 rows of 136"), ((y, uv[:, :, 0]), "came 9 rows of 17"),
                             ((y,), "2 planes; came 1")):
            planes = cuframes.Planes.of("nv12", list(given))
            with self.assertRaisesRegex(ValueError, words):
                dataclasses.replace(copy, planes=planes).to_rgb()

    def test_a_forked_child_converts_its_copy(self):
        copy = self.frame("gray8", (numpy.full((4, 8), 7, "u1"),), 8, 4).clone()
        copy.to_rgb()
        child = os.fork()
        if child == 0:
            os._exit(0 if (copy.to_rgb() == 7).all() else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_a_notebook_sees_the_mean(self):
        """A picture of stripes a pixel wide is gray where it is shown smaller."""
        stripes = numpy.zeros((720, 1280), "u1")
        stripes[:, ::2] = 200
        seen = _color.preview(self.frame("gray8", (stripes,), 1280, 720), 1280, 720, 640)
        self.assertEqual((seen.shape, int(seen.min()), int(seen.max())), ((360, 640, 3), 100, 100))


if __name__ == "__main__":
    main()
