"""Frames in hand, as arrays of every library that is there."""
from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
import weakref
from types import TracebackType
from typing import Any

from . import _core, _png

DISCONTINUITY = 1  # the first frame after the publisher or its source (re)started: pts may jump
NEW_FORMAT = 2  # the first frame in a format other than the one before
KEY = 4  # decoded from a keyframe
CORRUPT = 8  # the decoder reported damage

_UNVERSIONED = 1
_PREVIEW_COLUMNS = 640
HOST_KINDS = (1, 3)  # DLPack's device types of host memory

# What the planes of each format are called.
_NAMES = {"nv12": ("y", "uv"), "p010": ("y", "uv"), "gray8": ("y",), "gray16": ("y",), "rgb24": ("rgb",),
          "bgr24": ("rgb",), "rgba": ("rgb",), "bgra": ("rgb",), "rgbp": ("r", "g", "b"), "tensor": ("tensor",),
          "yuyv422": ("yuv",), "uyvy422": ("yuv",)}


class Planes(tuple[Any, ...]):
    """The planes of a picture, in their order, and by name: .y .uv (nv12, p010), .y .u .v (yuv420p and its like), .rgb
    (all packed formats, in the order of bytes that the format has), .r .g .b (rgbp), .tensor."""

    __slots__ = ()
    _of: dict[str, type[Planes]] = {}
    names: tuple[str, ...] = ()
    form = ""

    def __reduce__(self) -> Any:
        return Planes.of, (self.form, list(self))

    def __getattr__(self, name: str) -> Any:
        if name in self.names:
            return self[self.names.index(name)]
        raise AttributeError(f"these planes are {', '.join(self.names)}; there is no {name}")

    @classmethod
    def of(cls, form: str, planes: list[Any]) -> Planes:
        """The planes of a picture of this format."""
        kind = cls._of.get(form)
        if kind is None:
            names = _NAMES.get(form, ("y", "u", "v"))
            kind = cls._of[form] = type("Planes", (cls,), {"__slots__": (), "names": names, "form": form})
        return kind(planes)


def refuse_tensors(form: str) -> None:
    if form == "tensor":
        raise ValueError("to_rgb(): a tensor is no picture that has colours: numpy(), torch() and cupy() give it")


def gpu_library(device: str) -> str:
    """What arrays on a GPU are made by: torch if that was imported or CuPy was not, else CuPy; or what there is."""
    for name in ("torch", "cupy") if "torch" in sys.modules or "cupy" not in sys.modules else ("cupy", "torch"):
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return name
    raise ImportError(f"arrays on {device} are torch's or CuPy's, and neither is installed: numpy(copy=True) copies a "
                      "frame to the host")


def need_numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise ImportError("this needs NumPy: pip install numpy (memoryview(plane) does without)") from None
    return numpy


def need(name: str) -> Any:
    """torch or CuPy."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"this gives arrays of {name.partition('.')[0]}, which cannot be imported ({error}); "
                          "numpy(copy=True) needs NumPy alone") from error


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of one's own, as clone() makes it: no lease, planes may be written; on the host it can be pickled."""

    planes: Planes
    format: str
    width: int
    height: int
    color: tuple[int, int, int, int]
    seq: int
    pts: int | None
    capture_time: int | None
    flags: int
    chroma_location: int = 0

    def to_rgb(self) -> Any:
        """Rows x columns x 3 bytes, R first; as Frame.to_rgb()."""
        return self._to_rgb(False)

    def to_bgr(self) -> Any:
        """Rows x columns x 3 bytes, B first, as OpenCV has them."""
        return self._to_rgb(True)

    def _to_rgb(self, bgr: bool) -> Any:
        from . import _color
        refuse_tensors(self.format)
        source, alive = self._source()
        kind, number = self.planes[0].__dlpack_device__()
        if kind in HOST_KINDS:
            made = _color.to_rgb(source, self.width, self.height, bgr)
        else:
            made = _color.to_rgb(source, self.width, self.height, bgr, number, f"cuda:{number}",
                                 type(self.planes[0]).__module__.split(".")[0])
        del alive
        return made

    def _source(self) -> tuple[Any, Any]:
        """As _color has it, and what must live meanwhile."""
        from . import _color
        alive, planes = zip(*map(_color.memory, self.planes))
        return ({"format": self.format, "width": self.width, "height": self.height, "color": self.color,
                 "chroma_location": self.chroma_location}, planes), alive


class _Arrays(_core.Frame):
    """What subscribers' and publishers' frames have in common: their planes as arrays."""

    __slots__ = ()

    @property
    def planes(self) -> Planes:
        """Each plane as an object that DLPack, the buffer protocol and NumPy know; no copy."""
        return Planes.of(self.format, [self.plane(i) for i in range(self.plane_count)])

    def numpy(self, copy: bool = False) -> Any:
        """The planes as NumPy arrays: a tuple, or the array alone where there is one plane. Shapes are those of
        Plane.shape. Without copy they are views of the frame, in host memory, read-only. With copy they are one's own,
        also of a frame on a GPU. BufferError for a view of a GPU's memory."""
        numpy = need_numpy()
        if not copy:
            if self.gpu is not None:
                raise BufferError(f"numpy(): this frame is on {self.device}: numpy(copy=True) copies it to the host; "
                                  "torch() and cupy() are views of it there")
            return _one([numpy.asarray(self.plane(i)) for i in range(self.plane_count)])
        copies = []
        for i in range(self.plane_count):
            _, shape, _, typestr, _, _ = self._array(i)
            array = numpy.empty(shape, typestr)
            self._copy_to(i, array)
            copies.append(array)
        return _one(copies)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Of a format with one plane. TypeError for others: as one array they would be something else."""
        if self.plane_count != 1:
            raise TypeError(f"a frame of {self.format} has {self.plane_count} planes and is not one array: numpy() "
                            "gives each, to_rgb() a picture")
        made = self.numpy()
        return made if dtype is None and not copy else need_numpy().array(made, dtype)

    def torch(self) -> Any:
        """The planes as torch tensors without a copy, on the frame's device: a tuple, or the tensor alone where there
        is one plane. They hold the frame; with the last of them it is given back on the stream that is current now.
        torch knows no read-only tensors: writing into one ends the process (or its CUDA context)."""
        return _one([_torch_tensor(capsule) for capsule in self._torch_capsules()])

    def _torch_capsules(self) -> list[Any]:
        gpu = self.gpu
        stream = None if gpu is None else torch_stream(gpu)
        return [self._capsule(i, stream, _UNVERSIONED) for i in range(self.plane_count)]

    def cupy(self) -> Any:
        """The planes as CuPy arrays without a copy; as torch(), with CuPy's current stream, and as writable."""
        cupy = need("cupy")
        if self.gpu is None:
            raise BufferError("cupy(): this frame is in host memory: numpy() is a view of it, cupy.asarray() copies it")
        return _one([cupy.from_dlpack(self.plane(i)) for i in range(self.plane_count)])


class Frame(_Arrays):
    """A lease on a published picture. It stays as it is until it is released: by release(), at the end of `with`, or
    when the last of this object and its views (tensors, arrays, buffers) is gone. Read-only.

    On a GPU a view that torch or CuPy took is given back on the stream that was current then; of work on other streams
    the frame must be told: used_on(stream)."""

    __slots__ = ()

    def __enter__(self) -> Frame:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._drop()

    def __repr__(self) -> str:
        if self.released:
            return "<cuframes.Frame, released>"
        return f"<cuframes.Frame {self.seq}: {self.width}x{self.height} {self.format} on {self.device}>"

    def to_rgb(self) -> Any:
        """The picture as rows x columns x 3 bytes, R first, in an array of its own: NumPy's on the host; on a GPU
        torch's, or CuPy's if that was imported and torch was not, made on their current stream. Matrix and range are
        those that the picture says; if it does not, BT.709 from 720 rows on, else BT.601, and limited range. Chroma is
        interpolated from where its samples lie. It is what Preprocess makes at the picture's own size: within 1 of 255
        of exact arithmetic, on the host and on a GPU. ValueError for tensors."""
        return self._to_rgb(False)

    def to_bgr(self) -> Any:
        """As to_rgb(), B first, as OpenCV has it."""
        return self._to_rgb(True)

    def _to_rgb(self, bgr: bool) -> Any:
        from . import _color
        gpu = self.gpu
        refuse_tensors(self.format)
        return _color.to_rgb(self, self.width, self.height, bgr, gpu, self.device,
                             None if gpu is None else gpu_library(self.device))

    def clone(self) -> Picture:
        """A copy that is no lease: NumPy arrays on the host, torch's tensors or CuPy's arrays on a GPU."""
        if self.gpu is None:
            return self._copied(self.numpy(copy=True))
        if gpu_library(self.device) == "torch":
            return self._copied(tuple(array.clone() for array in _tuple(self.torch())))
        return self._copied(tuple(array.copy() for array in _tuple(self.cupy())))

    def _copied(self, planes: Any) -> Picture:
        return Picture(Planes.of(self.format, list(_tuple(planes))), self.format, self.width, self.height, self.color,
                       self.seq, self.pts, self.capture_time, self.flags, self.layout["chroma_location"])

    def _repr_png_(self) -> bytes | None:
        """A small picture of the frame, for notebooks."""
        if self.released or self.format == "tensor":
            return None
        from . import _color
        picture = None if self.gpu is None else self._copied(self.numpy(copy=True))  # lives as long as its memory
        rgb = _color.preview(self if picture is None else picture._source()[0], self.width, self.height,
                             _PREVIEW_COLUMNS)
        return _png.png(rgb.tobytes(), rgb.shape[1], rgb.shape[0])


class OpenFrame(_Arrays):
    """A frame that its publisher writes: into the views of planes, numpy(), torch() or cupy(), within `with`. At its
    end it is published, with the times that were set (ns, or None), or cancelled if there was an exception. On a GPU it
    is complete when `stream` has come so far; unless it is set, that is the one of the last torch() or cupy(), else the
    legacy default stream.

    What was published is read by others: whoever writes into a view that he kept tears their picture. The arrays of
    numpy() are read-only from then on. Nobody can take the right to write from a tensor, a memoryview or a slice:
    publish() refuses while there are any, as release() does, and `with` does not."""

    __slots__ = ("pts", "duration", "capture_time", "key", "corrupt", "stream", "_publisher", "_arrays_given")

    pts: int | None
    duration: int
    capture_time: int | None
    key: bool
    corrupt: bool
    stream: Any
    _publisher: Any
    _arrays_given: tuple[weakref.ref[Any], ...]

    def numpy(self, copy: bool = False) -> Any:
        made = super().numpy(copy)
        if not copy:
            self._arrays_given += tuple(map(weakref.ref, _tuple(made)))
        return made

    def publish(self) -> None:
        """Publishes it now. BufferError, and it stays open, while views of it (tensors, arrays, buffers) are alive.
        Raises Dropped, ValueError if it was published or cancelled before."""
        views = self.references - 1
        if views:
            raise BufferError(f"publish(): {views} view{'s' * (views > 1)} of the frame (tensor, array or buffer) "
                              "could still be written: del them first, or publish at the end of `with`")
        self._publisher._publish_open(self)

    def cancel(self) -> None:
        """Gives it back unpublished; nothing if it was published or cancelled before."""
        if not self.released:
            self._lock_arrays()
            self._publisher._cancel(self)

    def _lock_arrays(self) -> None:
        for given in self._arrays_given:
            array = given()
            if array is not None:
                array.flags.writeable = False

    def torch(self) -> Any:
        gpu = self.gpu
        if gpu is not None and self.stream is None:
            self.stream = torch_stream(gpu)
        return super().torch()

    def cupy(self) -> Any:
        if self.stream is None:
            cupy = need("cupy")
            self.stream = cupy.cuda.get_current_stream().ptr
        return super().cupy()

    def __enter__(self) -> OpenFrame:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is not None:
            self.cancel()
        elif not self.released:
            if self._arrays_given:
                self._lock_arrays()
            try:
                self._publisher._publish_open(self)
            except BaseException:
                self.cancel()  # after Ctrl-C it is open still
                raise

    def __repr__(self) -> str:
        return f"<cuframes.OpenFrame{', published' if self.released else ''}>"


def _one(planes: list[Any]) -> Any:
    return planes[0] if len(planes) == 1 else tuple(planes)


def _tuple(planes: Any) -> tuple[Any, ...]:
    return planes if isinstance(planes, tuple) else (planes,)


_from_capsule: Any = None
_raw_stream: Any = None


def _torch_tensor(capsule: Any) -> Any:
    global _from_capsule
    if _from_capsule is None:
        _from_capsule = need("torch.utils.dlpack").from_dlpack
    return _from_capsule(capsule)


def torch_stream(gpu: int) -> int:
    """The handle of torch's current stream on a GPU."""
    global _raw_stream
    if _raw_stream is None:
        torch = need("torch")
        torch.cuda.current_stream(gpu)  # makes the context, where there is none
        _raw_stream = getattr(torch._C, "_cuda_getCurrentRawStream", None) or (
            lambda index: torch.cuda.current_stream(index).cuda_stream)
    return int(_raw_stream(gpu))
