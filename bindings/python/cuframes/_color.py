"""Pictures of any pixel format as RGB, on the host and on a GPU alike: the tensor path at the picture's own size.

Matrix and range are those that the picture says, and chroma is interpolated from where its samples lie."""
from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Union

from ._preprocess import Preprocess

if TYPE_CHECKING:
    from ._frame import Frame

MOST = 8192  # pixels each way of a Preprocess
MARGIN = 8  # more of a picture than a part of it shows, so that chroma at its edges is what it is in the whole
KEPT = 8  # for each thread: sizes and devices that were last used

# A frame, or (its format in words, (address, pitch, rows, bytes of a row) of each plane).
Source = Union["Frame", tuple[dict[str, Any], tuple[tuple[int, int, int, int], ...]]]


class _Kept(threading.local):
    """A thread's own, since runs on one stream of a GPU take turns."""

    def __init__(self) -> None:
        self.made: dict[tuple[Any, ...], Preprocess] = {}


_kept = _Kept()


def _preprocess(width: int, height: int, channels: str, filter: str, device: str, library: str | None) -> Preprocess:
    key = (width, height, channels, filter, device, library)
    made = _kept.made.pop(key, None)
    if made is None:
        made = Preprocess((width, height), "uint8", "NHWC", channels, "stretch", filter, capacity=1, device=device,
                          library=library)
        if len(_kept.made) == KEPT:
            del _kept.made[next(iter(_kept.made))]
    _kept.made[key] = made  # the last one now
    return made


def to_rgb(source: Source, width: int, height: int, bgr: bool = False, gpu: int | None = None, device: str = "host",
           library: str | None = None) -> Any:
    """The picture as rows x columns x 3 bytes, R first, or B first with bgr; an array of its own, of NumPy on the host,
    of `library` on a GPU."""
    channels = "BGR" if bgr else "RGB"
    if width <= MOST and height <= MOST:
        return _preprocess(width, height, channels, "linear", device, library).one(source, gpu or 0)
    made, step = None, MOST - 2 * MARGIN
    for top in range(0, height, step):
        for left in range(0, width, step):
            x, y = max(0, left - MARGIN), max(0, top - MARGIN)
            columns, rows = min(width, left + step + MARGIN) - x, min(height, top + step + MARGIN) - y
            prepare = _preprocess(columns, rows, channels, "linear", device, library)
            if made is None:
                made = prepare.new((height, width, 3), gpu or 0)
            part = prepare.one(source, gpu or 0, (x, y, columns, rows))
            made[top:top + step, left:left + step] = part[top - y:top - y + step, left - x:left - x + step]
    return made


def preview(source: Source, width: int, height: int, columns: int) -> Any:
    """At most so many columns of a picture in host memory, as R, G, B; each pixel the mean of what it covers."""
    scale = min(1.0, columns / width, MOST / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _preprocess(*size, "RGB", "area", "host", "numpy").one(source, 0)


def _words(plane: Any) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, int]:
    """Address, shape, strides in bytes or None where there are no gaps, bytes of an element."""
    if hasattr(plane, "data_ptr"):  # torch
        size = int(plane.element_size())
        return int(plane.data_ptr()), tuple(plane.shape), tuple(step * size for step in plane.stride()), size
    words = getattr(plane, "__cuda_array_interface__", None) or plane.__array_interface__
    strides = words.get("strides")
    return int(words["data"][0]), tuple(words["shape"]), strides, int(words["typestr"][2:])


def memory(plane: Any) -> tuple[Any, tuple[int, int, int, int]]:
    """(what must live as long as it is used, (address, pitch, rows, bytes of a row)) of a plane: itself, or a copy if
    its rows have gaps between samples."""
    address, shape, strides, size = _words(plane)
    row = size
    for i in range(len(shape) - 1, 0, -1):
        if strides is not None and shape[i] > 1 and strides[i] != row:
            return memory(_packed(plane))
        row *= shape[i]
    if strides is not None and shape[0] > 1 and strides[0] < row:
        return memory(_packed(plane))
    return plane, (address, row if strides is None or shape[0] < 2 else strides[0], shape[0], row)


def _packed(plane: Any) -> Any:
    if hasattr(plane, "contiguous"):
        return plane.contiguous()
    return sys.modules[type(plane).__module__.split(".")[0]].ascontiguousarray(plane)
