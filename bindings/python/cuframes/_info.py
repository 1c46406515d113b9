"""What monitors see: streams, their subscribers and tracks."""
from __future__ import annotations

import dataclasses
import os
from typing import Any

from . import _core
from ._errors import Error, InvalidError, make_error


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """What the source of a stream is doing, by the word of its publisher."""

    state: str  # "unknown", "live", "stalled", "reconnecting", "ended", "connecting", "refused"
    since: int  # CLOCK_MONOTONIC ns; 0: nobody has said
    next_attempt: int  # CLOCK_MONOTONIC ns; 0: none is planned
    reason: str


@dataclasses.dataclass(frozen=True)
class SubscriberInfo:
    """One subscriber, as its publisher knows it."""

    label: str
    mode: str
    pid: int
    uid: int
    gid: int
    leases: int
    depth: int
    leases_held: int
    packets: bool
    evicted: bool
    lag: int
    delivered: int
    skipped: int
    sync: str


@dataclasses.dataclass(frozen=True)
class TrackInfo:
    """One track of packets."""

    media_type: str
    codec: str
    packets: int
    age_ns: int | None
    bit_rate: int
    keyframe_interval_ns: int


@dataclasses.dataclass(frozen=True)
class StreamInfo:
    """A stream as its publisher describes it. format is None, width and height 0, while it has no pictures."""

    name: str
    device: str
    memory: str
    description: str
    pid: int
    format: str | None
    width: int
    height: int
    color: tuple[int, int, int, int]
    layout: dict[str, Any] | None
    fps: float
    frames: int
    dropped: int
    evictions: int
    age_ns: int | None
    slots: int
    max_slots: int
    slots_pinned: int
    segments: int
    memory_bytes: int
    packets: int
    packet_bytes: int
    packet_slots: int
    subscribers: list[SubscriberInfo]
    tracks: list[TrackInfo]
    source: SourceInfo


@dataclasses.dataclass(frozen=True)
class StreamEntry:
    """One stream of list(): info, or the error why there is none."""

    name: str
    info: StreamInfo | None
    error: Error | None


def directory_of(directory: str | os.PathLike[str] | None) -> bytes | None:
    """As the C side takes it: a path need not be UTF-8."""
    if directory is None:
        return None
    path = os.fsencode(directory)
    if b"\0" in path:
        raise ValueError(f"directory: expected a path, not {directory!r}")
    return path


def text(what: str, given: str | None, optional: bool = False) -> str | None:
    """A word as the C side takes it."""
    if given is None and optional:
        return None
    if not isinstance(given, str):
        raise TypeError(f"{what}: expected text{' or None' * optional}, not {given!r}")
    if "\0" in given:
        raise ValueError(f"{what}: expected text without a zero, not {given!r}")
    return given


def choice(what: str, given: str, known: dict[str, int]) -> int:
    """The number of a word."""
    if not isinstance(given, str) or given not in known:
        raise InvalidError(f"{what}: expected {', '.join(map(repr, known))}, not {given!r}")
    return known[given]


def _stream(given: dict[str, Any]) -> StreamInfo:
    layout = given["layout"] or {}
    given["subscribers"] = [SubscriberInfo(**one) for one in given["subscribers"]]
    given["tracks"] = [TrackInfo(**one) for one in given["tracks"]]
    given["source"] = SourceInfo(**given["source"])
    return StreamInfo(format=layout.get("format"), width=layout.get("width", 0), height=layout.get("height", 0),
                      color=layout.get("color", (0, 0, 0, 0)), **given)


def info(name: str, *, directory: str | os.PathLike[str] | None = None, timeout: float | None = 2.0) -> StreamInfo:
    """Asks the publisher of a stream. Waits `timeout` seconds at most, and hears Ctrl-C then. Raises NoSuchStream,
    Timeout, BadName, ..."""
    return _stream(_core.query(directory_of(directory), text("name", name) or "", timeout))


def list_streams(*, directory: str | os.PathLike[str] | None = None,
                 timeout: float | None = 2.0) -> list[StreamEntry]:
    """All streams of a runtime directory, by name. Waits `timeout` seconds at most in all, and
    hears Ctrl-C then."""
    return [StreamEntry(name, None if given is None else _stream(given),
                        None if error == 0 else make_error(error, "", detail or ""))
            for name, error, detail, given in _core.list(directory_of(directory), timeout)]
