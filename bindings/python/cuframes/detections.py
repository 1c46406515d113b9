"""What detectors find in frames: published as a stream of its own, and joined to the frame that it is about."""
from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from . import _core
from ._info import directory_of, text

DETECTIONS = 1  # the type of annotation that holds detections
_LAYOUT = struct.Struct("<5f3I32s")
LABEL_MAX = 31


@dataclasses.dataclass(frozen=True)
class Detection:
    """A box in the stored picture. Its sides are fractions of the picture's, so that they fit a scaled copy."""

    x: float
    y: float
    width: float
    height: float
    confidence: float
    label: str = ""
    class_id: int = 0
    object_id: int = 0


def pack(detections: Iterable[Detection]) -> bytes:
    """The bytes of an annotation. ValueError for a label of more than 31 bytes."""
    parts = []
    if not isinstance(detections, Iterable):
        raise TypeError(f"detections: expected some of cuframes.Detection, or none, not {detections!r}")
    for found in detections:
        if not isinstance(found, Detection):
            raise TypeError(f"detections: expected cuframes.Detection, not {found!r}")
        label = found.label.encode()
        if len(label) > LABEL_MAX:
            raise ValueError(f"label: expected at most {LABEL_MAX} bytes, not {found.label!r}")
        parts.append(_LAYOUT.pack(found.x, found.y, found.width, found.height, found.confidence, found.class_id,
                                  found.object_id, 0, label))
    return b"".join(parts)


def unpack(data: bytes) -> list[Detection]:
    """What pack() made."""
    return [Detection(x, y, width, height, confidence, label.split(b"\0")[0].decode(), kind, number)
            for x, y, width, height, confidence, kind, number, _, label in _LAYOUT.iter_unpack(data)]


def id_of(frame: Any) -> Any:
    """Of a frame, or what is one."""
    found = frame if isinstance(frame, tuple) else getattr(frame, "id", None)
    if found is None:
        raise TypeError(f"frame: expected a frame of a subscriber, or its id, not {frame!r}")
    return found


class Join(_core.Join):
    """The detections of one stream, to be asked for by frame; made by join(). One thread at a time."""

    def __reduce__(self) -> Any:
        raise TypeError("a join is a connection of its own process and cannot be pickled: call cuframes.join() in the "
                        "other process")

    def __enter__(self) -> Join:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def find(self, frame: Any, timeout: float | None = 0.0) -> list[Detection] | None:
        """What was found in exactly this frame (or the one of this id); None if nothing was said of it within `timeout`
        seconds (None: for ever). Raises Stale (it will not come), PublisherGone, Interrupted."""
        packet = self._find(id_of(frame), timeout)
        return None if packet is None else unpack(packet._annotation()[2])

    def latest(self, frame: Any) -> list[Detection] | None:
        """The newest that was found in this frame or an earlier one: what to show of a detector that does not keep
        pace. None: nothing yet."""
        packet = self._latest(id_of(frame))
        return None if packet is None else unpack(packet._annotation()[2])


def join(name: str, *, keep: int = 0, timeout: float | None = 0.0, reconnect: bool = False,
         directory: str | os.PathLike[str] | None = None) -> Join:
    """Joins the stream of a detector. keep: so many annotations, 0: 64. timeout: seconds to wait for the
    name; None: for ever. Raises what subscribe() does."""
    return Join(text("name", name) or "", keep, directory_of(directory), timeout, reconnect, DETECTIONS)
