"""Pictures of any pixel format as RGB, with the matrix and the range that the picture says it has.

The work is done by the array library that holds the planes: NumPy (with OpenCV, if it is there, several times faster),
torch or CuPy. Chroma is repeated, not interpolated: each sample is that of its 2x2 (or 2x1) block of pixels."""
from __future__ import annotations

import sys
from typing import Any

# Kr and Kb of H.273's MatrixCoefficients.
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
           9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
FULL = 2
HD_ROWS = 720  # a picture that does not say its matrix: BT.709 from here on, else BT.601

Row = tuple[float, float, float, float]


def matrix(color: tuple[int, int, int, int], height: int) -> tuple[Row, Row, Row]:
    """Rows that make R, G and B (0..255) of Y, Cb, Cr (0..255 as stored) and 1."""
    kind = color[0] if color[0] not in (0, 2) else (1 if height >= HD_ROWS else 6)
    if kind not in WEIGHTS:
        raise ValueError(f"to_rgb(): matrix {kind} of H.273 is not one of {sorted(WEIGHTS)}")
    kr, kb = WEIGHTS[kind]
    kg = 1 - kr - kb
    full = color[1] == FULL
    luma, chroma, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    rows = []
    for cb, cr in ((0.0, 2 * (1 - kr)), (-2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg), (2 * (1 - kb), 0.0)):
        rows.append((luma, chroma * cb, chroma * cr, -luma * black - 128 * chroma * (cb + cr)))
    return rows[0], rows[1], rows[2]


def repeat(array: Any, times: int, axis: int) -> Any:
    """Each element `times` times along an axis."""
    if times == 1:
        return array
    if hasattr(array, "repeat_interleave"):  # torch
        return array.repeat_interleave(times, axis)
    return array.repeat(times, axis)


def as_float(array: Any, shift: float = 1.0) -> Any:
    """Samples on the scale of 8 bits."""
    if hasattr(array, "repeat_interleave"):
        array = array.float() if array.element_size() == 1 else array.int().bitwise_and(0xFFFF).float()
    else:
        array = array.astype("float32")
    return array if shift == 1.0 else array * shift


def ycbcr(planes: tuple[Any, ...], form: str, width: int, height: int) -> tuple[Any, Any, Any]:
    """Y, Cb and Cr as planes of the full size, of the planes' type."""
    if form in ("yuyv422", "uyvy422"):
        packed = planes[0]
        first, second, chroma = (0, 2, 1) if form == "yuyv422" else (1, 3, 0)
        y = packed[:, :, [first, second]].reshape(height, -1)[:, :width]
        return y, repeat(packed[:, :, chroma], 2, 1)[:, :width], repeat(packed[:, :, chroma + 2], 2, 1)[:, :width]
    if form in ("nv12", "p010"):
        y, u, v = planes[0], planes[1][:, :, 0], planes[1][:, :, 1]
    else:
        y, u, v = planes
    down, across = (2 if "420" in form or form in ("nv12", "p010") else 1), (1 if "444" in form else 2)
    return y, *(repeat(repeat(plane, down, 0)[:height], across, 1)[:, :width] for plane in (u, v))


def is_torch(array: Any) -> bool:
    return hasattr(array, "repeat_interleave")


def stack(planes: list[Any]) -> Any:
    """Planes as the last dimension."""
    library = sys.modules[type(planes[0]).__module__.split(".")[0]]
    return library.stack(planes, -1)


def rounded(array: Any) -> Any:
    """0..255 as bytes."""
    if is_torch(array):
        return array.round().clamp(0, 255).byte()
    return array.round().clip(0, 255).astype("uint8")


def by_opencv(y: Any, u: Any, v: Any, rows: tuple[Row, ...]) -> Any:
    """None where OpenCV is not there."""
    try:
        import cv2
        import numpy
    except ImportError:
        return None
    if isinstance(y, numpy.ndarray) and y.dtype == numpy.uint8:
        return cv2.transform(cv2.merge([y, u, v]), numpy.asarray(rows, "float32"))
    return None


def to_rgb(planes: tuple[Any, ...], form: str, color: tuple[int, int, int, int], width: int, height: int,
           bgr: bool = False) -> Any:
    """The picture as rows x columns x 3 bytes, R first, or B first with bgr; an array of its own."""
    order = [2, 1, 0] if bgr else [0, 1, 2]
    if form in ("rgb24", "bgr24", "rgba", "bgra"):
        if form in ("bgr24", "bgra"):
            order = [2 - i for i in order]
        return planes[0][:, :, order]
    if form == "rgbp":
        return stack([planes[i] for i in order])
    if form in ("gray8", "gray16"):
        gray = planes[0]
        if form == "gray16":
            gray = rounded(as_float(gray, 1 / 257))
        return stack([gray, gray, gray])
    if form not in ("nv12", "p010", "yuv420p", "yuv422p", "yuv444p", "yuv420p10", "yuv422p10", "yuyv422", "uyvy422"):
        raise ValueError(f"to_rgb(): {form} is no picture that has colours")
    rows = matrix(color, height)
    rows = tuple(rows[i] for i in order)  # type: ignore[assignment]
    y, u, v = ycbcr(planes, form, width, height)
    done = by_opencv(y, u, v, rows)
    if done is not None:
        return done
    shift = {"p010": 1 / 256, "yuv420p10": 1 / 4, "yuv422p10": 1 / 4}.get(form, 1.0)
    y, u, v = (as_float(plane, shift) for plane in (y, u, v))
    return rounded(stack([y * a + u * b + v * c + d for a, b, c, d in rows]))
