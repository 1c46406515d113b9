"""Publishing frames and packets."""
from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _core
from ._errors import Dropped, InvalidError
from ._frame import CORRUPT, HOST_KINDS, KEY, Frame, OpenFrame, Picture, torch_stream
from ._info import choice, directory_of, text
from ._subscriber import MEDIA

POLICIES = {"wait": 0, "drop": 1}
STATES = {"unknown": 0, "live": 1, "stalled": 2, "reconnecting": 3, "ended": 4, "connecting": 5, "refused": 6}

# What a publisher of a format takes, in the words of an error.
_PLANAR = {"yuv420p": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1), "yuv420p10": (2, 2), "yuv422p10": (1, 2)}


@dataclasses.dataclass(frozen=True)
class PublisherStats:
    """What a publisher has done so far."""

    subscribers: int
    slots: int
    segments: int
    frames: int
    dropped: int
    evictions: int
    waits: int
    packets: int
    packet_bytes: int
    memory_bytes: int
    released_twice: int


class Publisher(_core.Publisher):
    """The one writer of a stream, made by publish(). Frame calls may come from any thread; they take turns."""

    name: str = ""
    format: str | None = None
    width: int = 0
    height: int = 0
    _on_gpu = False

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        what = "packets" if self.format is None else f"{self.width}x{self.height} {self.format}"
        return f"<cuframes.Publisher of {self.name!r}: {what}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> Any:
        raise TypeError("a publisher is its process's own and cannot be pickled: call cuframes.publish() in the "
                        "process that makes the pictures")

    # ---- frames ----

    def frame(self, *, pts: int | None = None, duration: int = 0, capture_time: int | None = None, key: bool = False,
              corrupt: bool = False, stream: Any = None) -> OpenFrame:
        """The next frame, to be written in place: `with publisher.frame(pts=...) as f: f.numpy()[0][:] = ...`. At the
        end of `with` it is published, or cancelled if there was an exception; without `with` by its publish() and
        cancel(). Times are ns; capture_time since 1970. key: decoded from a keyframe; corrupt: the decoder reported
        damage. Raises Dropped when no slot is free and the pool has not grown yet, LeaseLimit when views of frames
        before are still alive."""
        made: OpenFrame = self._acquire()
        made.pts = pts
        made.duration = duration
        made.capture_time = capture_time
        made.key = key
        made.corrupt = corrupt
        made.stream = stream
        made._publisher = self
        made._arrays_given = ()
        return made

    def _publish_open(self, frame: OpenFrame) -> None:
        stream = frame.stream
        if stream is None and self._on_gpu:
            stream = 1  # the legacy default stream waits for all but those made not to
        flags = KEY if frame.key else 0
        if frame.corrupt:
            flags |= CORRUPT
        self._publish(frame, frame.pts, frame.duration, frame.capture_time, flags, stream)

    def send(self, picture: Any, *, pts: int | None = None, duration: int = 0, capture_time: int | None = None,
             key: bool = False, corrupt: bool = False, stream: Any = None) -> bool:
        """Publishes a copy of a picture: of an array of NumPy, torch, CuPy or PIL, whatever DLPack or the buffer
        protocol knows, or of a tuple of one such array for each plane. An array of one piece is fine for nv12 and
        yuv420p (rows of Y, then those of chroma: height * 3 / 2 rows) and for rgbp (3 x height x width). Memory of a
        GPU is for publishers on the same GPU; it is copied in order on `stream`: by default torch's or CuPy's current
        one, for their arrays. It must live until that stream has come so far, as with any kernel.
        False: the frame was dropped, for want of a slot or for a full ordered subscriber, and counted. Raises
        ValueError, and says what was expected and what came, for another shape, type, stride or device."""
        planes = self._split(picture)
        handle = self._stream_of(planes, stream)
        try:
            frame = self.frame(pts=pts, duration=duration, capture_time=capture_time, key=key, corrupt=corrupt,
                               stream=handle)
        except Dropped:
            return False
        try:
            if len(planes) != frame.plane_count:
                raise InvalidError(self._expectation(frame, picture))
            for index, plane in enumerate(planes):
                frame._fill(index, _exported(plane, handle), handle)
            self._publish_open(frame)
        except Dropped:
            return False
        except BaseException:
            if not frame.released:
                self._cancel(frame)
            raise
        return True

    def _expectation(self, frame: OpenFrame, picture: Any) -> str:
        """What was expected, and what came."""
        planes = frame.planes
        wants = ", ".join(f"{name} {plane.shape} {plane.typestr}" for name, plane in zip(planes.names, planes))
        whole = ""
        if self.format in ("nv12", "p010") or self.format in _PLANAR and self.format.startswith("yuv420p"):
            whole = f", or one array of shape ({self.height + (self.height + 1) // 2}, {self.width})"
        came = [picture] if hasattr(picture, "shape") or not isinstance(picture, (tuple, list)) else picture
        words = ", ".join(f"{type(one).__name__} {tuple(getattr(one, 'shape', ()))} {getattr(one, 'dtype', '')}".strip()
                          for one in came)
        return f"a picture of {self.format} {self.width}x{self.height} is {wants}{whole}; {len(came)} came: {words}"

    def _split(self, picture: Any) -> Sequence[Any]:
        if isinstance(picture, (Frame, OpenFrame, Picture)):
            return picture.planes
        if isinstance(picture, (tuple, list)):
            return picture
        shape = getattr(picture, "shape", None)
        if shape is None or self.format is None:
            return (picture,)
        h, w, shape = self.height, self.width, tuple(shape)
        if self.format == "rgbp" and len(shape) == 3 and shape[0] == 3:
            return (picture[0], picture[1], picture[2])
        if self.format in ("nv12", "p010") and len(shape) == 2 and shape[0] == h + (h + 1) // 2:
            return (picture[:h], picture[h:])
        if self.format in _PLANAR and len(shape) == 2:
            down, across = _PLANAR[self.format]
            ch, cw = -(-h // down), -(-w // across)
            if shape == (-(-(h * w + 2 * ch * cw) // w), w):
                flat = picture.reshape(-1)
                sizes = ((0, h, w), (h * w, ch, cw), (h * w + ch * cw, ch, cw))
                return [flat[at:at + rows * columns].reshape(rows, columns) for at, rows, columns in sizes]
        return (picture,)

    def _stream_of(self, planes: Sequence[Any], stream: Any) -> Any:
        """The stream that copies are made on; None on the host."""
        for plane in planes:
            device = getattr(plane, "__dlpack_device__", None)
            if device is None or (where := device())[0] in HOST_KINDS:
                continue
            if stream is not None:
                _use_later(plane, stream)
                return stream
            library = type(plane).__module__.split(".")[0]
            if library == "torch":
                return torch_stream(int(where[1]))
            if library == "cupy":
                return sys.modules["cupy"].cuda.get_current_stream().ptr or 1
            return 1
        return stream

    def set_format(self, width: int = 0, height: int = 0, format: str = "nv12",
                   **said: Any) -> None:
        """Frames from now on have this format; what else is said as for publish()."""
        self._set_format(_format(format, width, height, said))
        self.format, self.width, self.height = format, width, height

    # ---- packets ----

    def describe(self, track: int, parameters: Mapping[str, Any]) -> None:
        """Says what a decoder must know of a track of packets: codec (FFmpeg's name), media_type ("video", "audio",
        "data"), width, height, frame_rate_num, frame_rate_den, sample_rate, channels, extradata, ... A Track's
        `parameters` are fine."""
        if not isinstance(parameters, Mapping):
            raise TypeError(f"parameters: expected a dict of codec parameters, not {parameters!r}")
        given = dict(parameters)
        kind = given.get("media_type", "video")
        if kind not in MEDIA:  # a Track's parameters have the number
            given["media_type"] = choice("media_type", kind, {word: number for number, word in MEDIA.items()})
        self._describe(track, given)

    def send_packet(self, data: Any, *, track: int = 0, pts: int | None = None, dts: int | None = None,
                    duration: int = 0, key: bool = False, discontinuity: bool = False, corrupt: bool = False,
                    hidden: bool = False, disposable: bool = False) -> None:
        """Publishes an encoded packet, bytes or a Packet; it is copied. Times in ns. key: decoding can start here;
        discontinuity: the source restarted; corrupt: it came damaged; hidden: decoded for the sake of those behind it,
        and not to be shown; disposable: no other one needs it to be decoded. Raises PacketOversized, NoPacketRing,
        NoCodecParams."""
        said = ((1, key), (2, discontinuity), (4, corrupt), (16, hidden), (32, disposable))
        self._send_packet(track, data, pts, dts, duration, sum(bit for bit, is_said in said if is_said))

    # ---- what the source does, and what it is ----

    def set_source(self, state: str, reason: str = "") -> None:
        """Says what the source is doing: "live", "stalled", "reconnecting", "ended", "unknown"; "connecting": it has
        given nothing yet; "refused": it wants another user or password."""
        self._set_source(choice("state", state, STATES), text("reason", reason) or "")

    def annotate(self, frame: Any, detections: Iterable[Any], *, track: int = 0) -> None:
        """Says what was found in a frame of another stream (the frame, or its id): cuframes.Detection's, or none."""
        from .detections import DETECTIONS, id_of, pack
        self._annotate(track, id_of(frame), DETECTIONS, pack(detections))

    @property
    def device(self) -> str:
        """"host" or "cuda:GPU-..."."""
        return self._device()[0]

    @property
    def stats(self) -> PublisherStats:
        """What it has done so far."""
        return PublisherStats(**self._stats())


def _exported(plane: Any, stream: Any) -> Any:
    """What the C side reads: a capsule, or an object with a buffer."""
    device = getattr(plane, "__dlpack_device__", None)
    if device is not None and device()[0] not in HOST_KINDS:
        handle = getattr(stream, "cuda_stream", getattr(stream, "ptr", stream))
        return plane.__dlpack__(stream=handle or 1)
    if isinstance(plane, (bytes, bytearray, memoryview)) or "numpy" in sys.modules and isinstance(
            plane, sys.modules["numpy"].ndarray):
        return plane
    if device is not None:
        return plane.__dlpack__()
    if hasattr(plane, "__array_interface__"):  # PIL
        from ._frame import need_numpy
        return need_numpy().ascontiguousarray(plane)
    return plane


def _use_later(plane: Any, stream: Any) -> None:
    """torch must not give the memory away before another stream than its own has read it."""
    if type(plane).__module__.split(".")[0] == "torch":
        torch = sys.modules["torch"]
        handle = getattr(stream, "cuda_stream", getattr(stream, "ptr", stream))
        plane.record_stream(torch.cuda.ExternalStream(int(handle), device=plane.device))


def _format(name: str, width: int, height: int, said: Mapping[str, Any]) -> dict[str, Any]:
    known = {"color", "chroma_location", "field_order", "orientation", "sample_aspect_num", "sample_aspect_den",
             "shape", "element"}
    unknown = set(said) - known
    if unknown:
        raise TypeError(f"publish(): {', '.join(sorted(unknown))}: expected {', '.join(sorted(known))}")
    color = said.get("color")
    return {"format": name, "width": width, "height": height, **said,
            "color": tuple(color) if isinstance(color, list) else color}


def publish(name: str, width: int = 0, height: int = 0, format: str | None = "nv12", *, device: str = "host",
            directory: str | os.PathLike[str] | None = None, description: str | None = None, policy: str = "wait",
            slots: int = 0, max_slots: int = 0, max_open: int = 4, ordered_timeout: float = 0.0, side_data_max: int = 0,
            packets: int = 0, packet_bytes: int = 0, reserve: bool = False, **said: Any) -> Publisher:
    """Starts to publish a stream under a name.

    width, height, format  of the pictures: "nv12", "yuv420p", "rgb24", "bgr24", "rgba", "gray8", ...; "tensor" with
               shape= and element= ("uint8", "float16", ...); None: no pictures, packets alone
    device     "host", "cuda", "cuda:N", "cuda:GPU-UUID", or "auto": a GPU if there is one
    policy     what happens when an ordered subscriber is too slow: "wait" ordered_timeout seconds (0: 1 s) for it, then
               evict it, or "drop" the frame for everybody
    max_open   frames that may be open at once, published ones with living views of the publisher included
    packets    encoded packets that are kept for those who join; 0: no packet ring. packet_bytes: 0: 8 MiB
    side_data_max  bytes of side data that each frame has room for
    color      (matrix, range, primaries, transfer), code points of H.273; 0: not said

    Raises NameInUse, BadName, BadFormat, BadDirectory, NotPermitted, Unsupported, NoMemory, ..."""
    publisher = Publisher(text("name", name) or "", None if format is None else _format(format, width, height, said),
                          text("device", device, True), directory_of(directory),
                          text("description", description, True), slots, max_slots, max_open,
                          choice("policy", policy, POLICIES), ordered_timeout, side_data_max, packets, packet_bytes,
                          reserve)
    publisher.name, publisher.format, publisher.width, publisher.height = name, format, width, height
    publisher._on_gpu = publisher.device != "host"
    return publisher
