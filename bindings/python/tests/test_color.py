"""Pictures as RGB: matrix and range as the picture says, against the definition, for each format and library."""
from cuframes import _color

from support import LIMIT, Streams, main, module, numpy

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = (RED, GREEN, BLUE, (255, 255, 255), (0, 0, 0), (128, 64, 200), (30, 220, 90))


def encode(rgb, matrix, full):
    """Y, Cb, Cr of H.273, by its equations."""
    kr, kb = _color.WEIGHTS[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    if full:
        return round(255 * y), min(255, round(255 * cb + 128)), min(255, round(255 * cr + 128))
    return round(219 * y + 16), round(224 * cb + 128), round(224 * cr + 128)


def picture(form, y, u, v, width=8, height=4):
    """One colour, in the planes of a format."""
    def plane(rows, columns, value, kind="u1"):
        return numpy.full((rows, columns), value, kind)
    if form in ("nv12", "p010"):
        kind, by = ("u1", 1) if form == "nv12" else ("<u2", 256)
        return plane(height, width, y * by, kind), numpy.stack(
            [plane(height // 2, width // 2, value * by, kind) for value in (u, v)], -1)
    if form in ("yuyv422", "uyvy422"):
        order = (y, u, y, v) if form == "yuyv422" else (u, y, v, y)
        return (numpy.tile(numpy.array(order, "u1"), (height, width // 2, 1)),)
    kind, by = ("<u2", 4) if form.endswith("10") else ("u1", 1)
    down = 2 if "420" in form else 1
    across = 1 if "444" in form else 2
    return (plane(height, width, y * by, kind),
            *(plane(height // down, width // across, value * by, kind) for value in (u, v)))


class Colours(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def convert(self, form, planes, color, width=8, height=4, name="c"):
        with self.publish(width, height, form, name, color=color) as publisher:
            subscriber = self.subscribe(name)
            self.send(publisher, planes)
            frame = subscriber.next(LIMIT)
            rgb, bgr = frame.to_rgb(), frame.to_bgr()
            numpy.testing.assert_array_equal(rgb[:, :, ::-1], bgr)
            self.assertEqual((rgb.shape, rgb.dtype.str), ((height, width, 3), "|u1"))
            self.assertEqual(frame.references, 1)
            rgb[0, 0, 0] ^= 0  # it is one's own
            self.by_torch(frame, rgb)
            return rgb

    def by_torch(self, frame, rgb):
        try:
            import torch
        except (ImportError, OSError):
            return
        planes = tuple(torch.from_numpy(plane.astype("i4") if plane.dtype == "u2" else plane.copy())
                       for plane in (numpy.asarray(plane) for plane in frame.planes))
        other = _color.to_rgb(planes, frame.format, frame.color, frame.width, frame.height).numpy()
        self.assertLessEqual(int(abs(other.astype(int) - rgb).max()), 1)

    def test_each_matrix_and_range(self):
        for matrix in _color.WEIGHTS:
            for full in (False, True):
                for rgb in COLOURS:
                    with self.subTest(matrix=matrix, full=full, rgb=rgb):
                        got = self.convert("nv12", picture("nv12", *encode(rgb, matrix, full)),
                                           (matrix, 2 if full else 1, 0, 0))
                        self.assertLessEqual(int(abs(got.astype(int) - rgb).max()), 3)

    def test_each_format(self):
        for form in ("nv12", "p010", "yuv420p", "yuv422p", "yuv444p", "yuv420p10", "yuv422p10", "yuyv422", "uyvy422"):
            for rgb in COLOURS:
                with self.subTest(form, rgb=rgb):
                    got = self.convert(form, picture(form, *encode(rgb, 1, False)), (1, 1, 1, 1))
                    self.assertLessEqual(int(abs(got.astype(int) - rgb).max()), 3)

    def test_what_is_not_said(self):
        """BT.709 from 720 rows on, else BT.601; limited range."""
        for height, matrix in ((4, 6), (720, 1)):
            planes = picture("nv12", *encode((30, 220, 90), matrix, False), 8, height)
            got = self.convert("nv12", planes, (0, 0, 0, 0), 8, height)
            self.assertLessEqual(int(abs(got.astype(int) - (30, 220, 90)).max()), 3)

    def test_formats_of_rgb(self):
        rgb = numpy.arange(8 * 4 * 3).astype("u1").reshape(4, 8, 3)
        alpha = numpy.full((4, 8, 1), 9, "u1")
        for form, planes in (("rgb24", (rgb,)), ("bgr24", (rgb[:, :, ::-1].copy(),)),
                             ("rgba", (numpy.concatenate([rgb, alpha], 2),)),
                             ("bgra", (numpy.concatenate([rgb[:, :, ::-1], alpha], 2),)),
                             ("rgbp", tuple(rgb[:, :, i].copy() for i in range(3)))):
            with self.subTest(form):
                numpy.testing.assert_array_equal(self.convert(form, planes, (0, 0, 0, 0)), rgb)
        gray = rgb[:, :, 0].copy()
        numpy.testing.assert_array_equal(self.convert("gray8", (gray,), (0, 0, 0, 0)), numpy.stack([gray] * 3, -1))
        got = self.convert("gray16", (gray.astype("<u2") * 257,), (0, 0, 0, 0))
        numpy.testing.assert_array_equal(got, numpy.stack([gray] * 3, -1))

    def test_odd_sizes_have_each_pixel(self):
        y = numpy.full((5, 7), 100, "u1")
        uv = numpy.arange(3 * 4 * 2).astype("u1").reshape(3, 4, 2)
        got = self.convert("nv12", (y, uv), (1, 2, 0, 0), 7, 5)
        numpy.testing.assert_array_equal(got[4, 6], got[4, 6])
        same = self.convert("yuv420p", (y, uv[:, :, 0].copy(), uv[:, :, 1].copy()), (1, 2, 0, 0), 7, 5)
        numpy.testing.assert_array_equal(got, same)
        self.assertEqual(tuple(got[0, 0]), tuple(got[1, 1]))
        self.assertNotEqual(tuple(got[0, 0]), tuple(got[2, 2]))

    def test_a_matrix_that_is_not_known_is_refused(self):
        with self.publish(color=(11, 1, 0, 0)) as publisher:
            subscriber = self.subscribe()
            self.send(publisher)
            with self.assertRaisesRegex(ValueError, "matrix 11"):
                subscriber.next(LIMIT).to_rgb()


if __name__ == "__main__":
    main()
