"""Live video frames of other processes as arrays and tensors, without a copy.

    import cuframes, torch
    for frame in cuframes.subscribe("door"):  # with, for, async for
        y, uv = frame.torch()                 # views of the publisher's memory

A frame is a lease: its picture stays as it is until the frame and its views are gone. More is in the project's
docs/howto/python.md."""
from __future__ import annotations

from . import _core
from ._batch import Batch, BatchEntry, BatchStats, Entries, batch
from ._core import Packet, Plane
from ._errors import (BadDirectory, BadFormat, BadName, Busy, DeviceError, Dropped, Error, Evicted, Interrupted,
                      InvalidError, LeaseLimit, LostError, NameInUse, NoCapacity, NoCodecParams, NoMemory, NoPacketRing,
                      NoSuchStream, NotPermitted, PacketOverrun, PacketOversized, ProtocolError, PublisherGone, Stale,
                      SystemCallError, Timeout, Unsupported, VersionMismatch, make_error)
from ._frame import CORRUPT, DISCONTINUITY, KEY, NEW_FORMAT, Frame, OpenFrame, Picture, Planes
from ._info import SourceInfo, StreamEntry, StreamInfo, SubscriberInfo, TrackInfo, info
from ._info import list_streams as list
from ._preprocess import Geometry, Prepared, Preprocess
from ._publisher import Publisher, PublisherStats, publish
from ._subscriber import PacketReader, Stats, Subscriber, Track, subscribe
from . import opencv, pyav
from .detections import Detection, Join, join

_core._register(make_error, Frame, OpenFrame)
__version__: str = _core.version()
now = _core.now

__all__ = [
    "BadDirectory", "BadFormat", "BadName", "Batch", "BatchEntry", "BatchStats", "Busy", "CORRUPT", "DISCONTINUITY",
    "Detection", "DeviceError", "Dropped", "Entries", "Error", "Evicted", "Frame", "Geometry", "Interrupted",
    "InvalidError", "Join", "KEY", "LeaseLimit", "LostError", "NEW_FORMAT", "NameInUse", "NoCapacity",
    "NoCodecParams", "NoMemory", "NoPacketRing", "NoSuchStream", "NotPermitted", "OpenFrame", "Packet",
    "PacketOverrun", "PacketOversized", "PacketReader", "Picture", "Plane", "Planes", "Prepared", "Preprocess",
    "ProtocolError", "Publisher", "PublisherGone", "PublisherStats", "SourceInfo", "Stale", "Stats", "StreamEntry",
    "StreamInfo", "Subscriber", "SubscriberInfo", "SystemCallError", "Timeout", "Track", "TrackInfo", "Unsupported",
    "VersionMismatch", "batch", "info", "join", "list", "now", "opencv", "publish", "pyav", "subscribe",
]
