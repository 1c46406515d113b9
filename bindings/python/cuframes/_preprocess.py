"""Frames of any format and size become one tensor for a network."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import _core
from ._frame import Frame, OpenFrame, gpu_library, need_numpy, torch_stream
from ._info import choice

_ELEMENTS = {"uint8": 1, "float16": 3, "float32": 4}
_TYPES = {"uint8": "|u1", "float16": "<f2", "float32": "<f4"}
_LAYOUTS = {"NCHW": 0, "NHWC": 1}
_CHANNELS = {"RGB": 0, "BGR": 1, "GRAY": 2}
_FITS = {"letterbox": 0, "top-left": 1, "stretch": 2, "cover": 3}
_FILTERS = {"linear": 0, "area": 1}
_LIBRARIES = ("numpy", "torch", "cupy")


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a picture was put into the tensor: a point (x, y) of the picture, in pixels, is there at (x * scale_x +
    offset_x, y * scale_y + offset_y). x, y, width, height: the pixels of the tensor that it fills."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    x: int
    y: int
    width: int
    height: int

    def to_picture(self, boxes: Any) -> Any:
        """Boxes (x0, y0, x1, y1) of the tensor, in an array of N x 4 of any library or a sequence of four numbers, in
        pixels of the picture. Of the same kind as what was given; sequences become tuples."""
        return self._map(boxes, 1 / self.scale_x, 1 / self.scale_y, -self.offset_x / self.scale_x,
                         -self.offset_y / self.scale_y)

    def to_tensor(self, boxes: Any) -> Any:
        """The other way round."""
        return self._map(boxes, self.scale_x, self.scale_y, self.offset_x, self.offset_y)

    @staticmethod
    def _map(boxes: Any, scale_x: float, scale_y: float, offset_x: float, offset_y: float) -> Any:
        if not hasattr(boxes, "shape"):
            x0, y0, x1, y1 = boxes
            return (x0 * scale_x + offset_x, y0 * scale_y + offset_y, x1 * scale_x + offset_x, y1 * scale_y + offset_y)
        made = boxes * 1.0  # a copy, of numbers that have a fraction
        made[..., 0::2] = made[..., 0::2] * scale_x + offset_x
        made[..., 1::2] = made[..., 1::2] * scale_y + offset_y
        return made


class Prepared(NamedTuple):
    """A tensor, and how each picture was put into it. The tensor is what was given as out, or a new one."""

    tensor: Any
    geometry: list[Geometry]


class Preprocess(_core.Preprocess):
    """Makes one tensor of frames of any picture format and size, each with its own colour: one pass over the pixels, on
    the host, or on a GPU one kernel for all of them.

    size      (width, height) of the tensor
    dtype     "uint8", "float16", "float32"
    layout    "NCHW", "NHWC"
    channels  "RGB", "BGR", "GRAY"
    fit       "letterbox", "top-left" (padding right and below), "stretch", "cover"
    filter    "linear", OpenCV's geometry; "area": the mean of what a pixel covers, for much smaller tensors
    scale, mean, std  element = (value of 0..255 * scale - mean) / std; scale None: 1/255, for uint8 1
    padding   R, G and B of it, 0..255
    capacity  most frames at a time
    device    "host", "cuda", "cuda:N" or "cuda:GPU-UUID": where the frames are, and the tensor
    library   what new tensors are: "numpy", "torch", "cupy"; None: on the host NumPy's, on a GPU torch's if torch was
              imported or CuPy was not, else CuPy's

    A call may come from several threads, each with an out of its own; on a GPU one at a time for a stream. Raises
    InvalidError, Unsupported, DeviceError, ImportError."""

    _one: tuple[int, ...]
    _dtype: str
    _on_gpu: bool
    _library: str | None

    def __new__(cls, size: tuple[int, int], dtype: str = "float32", layout: str = "NCHW", channels: str = "RGB",
                fit: str = "letterbox", filter: str = "linear", scale: float | None = None,
                mean: Sequence[float] = (0.0, 0.0, 0.0), std: Sequence[float] = (1.0, 1.0, 1.0),
                padding: Sequence[float] = (0.0, 0.0, 0.0), capacity: int = 64, device: str = "host",
                library: str | None = None) -> Preprocess:
        if library is not None and library not in _LIBRARIES:
            raise ValueError(f"library: expected one of {', '.join(_LIBRARIES)}, not {library!r}")
        try:
            width, height = size
        except (TypeError, ValueError):
            raise ValueError(f"size: expected (width, height), not {size!r}") from None
        self = super().__new__(cls, width, height, choice("dtype", dtype, _ELEMENTS),
                               choice("layout", layout, _LAYOUTS), choice("channels", channels, _CHANNELS),
                               choice("fit", fit, _FITS), choice("filter", filter, _FILTERS), scale or 0.0,
                               tuple(mean), tuple(std), tuple(padding), capacity, device)
        planes = 1 if channels == "GRAY" else 3
        self._one = (planes, height, width) if layout == "NCHW" else (height, width, planes)
        self._dtype = dtype
        self._on_gpu = self.device != "host"
        self._library = library
        return self

    def shape(self, count: int) -> tuple[int, ...]:
        """Of the tensor of so many frames."""
        return (count, *self._one)

    def __call__(self, frames: Sequence[Frame | None], crops: Sequence[Sequence[float] | None] | None = None,
                 out: Any = None, stream: Any = None) -> Prepared:
        """The tensor of these frames, and the geometry of each. None is no picture: padding.

        crops     of each frame (x, y, width, height) in pixels, or None: the whole picture
        out       where to write: an array of NumPy, torch or CuPy, or an open frame of a stream of tensors; dense, with
                  the shape and dtype of the tensor
        stream    of a GPU: as in Subscriber.next(); None: torch's or CuPy's current one. The frames may be released at
                  once: they are given back when the stream has come so far."""
        given = tuple(frames)
        if not given:
            raise ValueError("expected at least one frame")
        shape = self.shape(len(given))
        gpu = next((frame.gpu for frame in given if frame is not None), None) if self._on_gpu else None
        if self._on_gpu and stream is None:
            stream = self._current_stream(gpu or 0)
        tensor = self.new(shape, gpu or 0) if out is None else out
        address = self._address(tensor, shape)
        parts = (None,) * len(given) if crops is None else tuple(crops)
        if len(parts) != len(given):
            raise ValueError(f"expected as many crops as frames, {len(given)}, not {len(parts)}")
        return Prepared(tensor, [Geometry(*each) for each in self._run(given, parts, address, stream)])

    def _kind(self) -> str:
        if self._library is not None:
            return self._library
        return gpu_library(self.device) if self._on_gpu else "numpy"

    def _current_stream(self, gpu: int) -> int:
        if self._kind() == "torch":
            return torch_stream(gpu)
        import cupy
        return int(cupy.cuda.get_current_stream().ptr)

    def one(self, source: Any, gpu: int, crop: tuple[int, ...] | None = None) -> Any:
        """Of one picture, without the first dimension; on a GPU on the current stream. For the package itself."""
        stream = self._current_stream(gpu) if self._on_gpu else None
        made = self.new(self._one, gpu)
        self._run((source,), (crop,), self._address(made, self._one), stream)
        return made

    def new(self, shape: tuple[int, ...], gpu: int) -> Any:
        """An array of its type and device. For the package itself."""
        kind = self._kind()
        if kind == "torch":
            import torch
            place = f"cuda:{gpu}" if self._on_gpu else "cpu"
            return torch.empty(shape, dtype=getattr(torch, self._dtype), device=place)
        if kind == "cupy":
            import cupy
            with cupy.cuda.Device(gpu):
                return cupy.empty(shape, self._dtype)
        return need_numpy().empty(shape, self._dtype)

    def _address(self, out: Any, shape: tuple[int, ...]) -> int:
        """Of an array's memory, which must be what the tensor is."""
        if isinstance(out, OpenFrame):
            out = out.plane(0)
        if not self._on_gpu and hasattr(out, "data_ptr") and out.device.type == "cpu":
            out = out.detach().numpy()
        words = getattr(out, "__cuda_array_interface__" if self._on_gpu else "__array_interface__", None)
        if words is None:
            raise TypeError(f"out: expected an array or tensor on {self.device}, not {type(out).__name__}")
        address, read_only = words["data"]
        found = tuple(words["shape"]), words["typestr"], _is_dense(words)
        if found != (shape, _TYPES[self._dtype], True) or read_only:
            raise ValueError(f"out: expected a dense array of {self._dtype} with the shape {shape} that may be "
                             f"written; it has shape {found[0]}, type {found[1]!r}"
                             f"{'' if found[2] else ', and gaps'}{', and is read-only' if read_only else ''}")
        return int(address)

    def __reduce__(self) -> Any:
        raise TypeError("a Preprocess is of its own process and cannot be pickled: make one in the other process")


def _is_dense(words: dict[str, Any]) -> bool:
    strides = words.get("strides")
    if strides is None:
        return True
    step = int(words["typestr"][2:])
    for size, stride in zip(reversed(words["shape"]), reversed(strides)):
        if size > 1 and stride != step:
            return False
        step *= size
    return True
