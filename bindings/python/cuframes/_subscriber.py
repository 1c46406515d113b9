"""Joining a stream."""
from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from . import _core
from ._errors import Interrupted, PacketOverrun, Timeout
from ._frame import Frame
from ._info import SourceInfo, StreamInfo, choice, directory_of, info, text

MODES = {"newest": 0, "ordered": 1, "packets": 2}
SYNCS = {"complete": 1, "timeline": 2, "slot-events": 4}
STARTS = {"keyframe": 0, "next-keyframe": 1, "oldest": 2}
MEDIA = {1: "video", 2: "audio", 3: "data"}


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a subscriber has had so far."""

    leases_held: int
    frames: int
    skipped: int
    reconnects: int
    packets: int
    packets_lost: int
    frames_lost: int
    released_twice: int


@dataclasses.dataclass(frozen=True)
class Track:
    """What a muxer or decoder must know of one track of packets. Rates and time bases are (numerator, denominator)."""

    index: int
    media_type: str  # "video", "audio", "data"
    codec: str  # FFmpeg's name
    width: int
    height: int
    frame_rate: tuple[int, int]
    sample_rate: int
    channels: int
    time_base: tuple[int, int]
    bit_rate: int
    profile: int | None
    level: int | None
    color: tuple[int, int, int, int]
    extradata: bytes
    parameters: dict[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def of(cls, index: int, given: dict[str, Any]) -> Track:
        """Of the C API's words."""
        unknown = 2**32 - 1
        return cls(index, MEDIA.get(given["media_type"], "unknown"), given["codec"], given["width"], given["height"],
                   (given["frame_rate_num"], given["frame_rate_den"]), given["sample_rate"], given["channels"],
                   (given["time_base_num"], given["time_base_den"]), given["bit_rate"],
                   None if given["profile"] == unknown else given["profile"],
                   None if given["level"] == unknown else given["level"], given["color"], given["extradata"], given)


class Waiting:
    """A task's wait for a descriptor of a subscriber's. One task at a time."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    async def readable(self, subscriber: Subscriber, fileno: Callable[[], int], what: str) -> None:
        """Until the descriptor is readable, or the subscriber is closed."""
        if self._waiter is not None and not self._waiter.get_loop().is_closed():
            raise RuntimeError(f"another task waits for {what} of this subscriber: subscribe() once for each task")
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()  # before closed is looked at: close() wakes it, or is seen
        fd = -1
        try:
            # The loop's own: close() in any thread leaves it alone, and nobody else gets its number meanwhile.
            fd = os.dup(fileno())
            loop.add_reader(fd, _woken, waiter)
            if not subscriber.closed:
                await waiter
        except (ValueError, OSError):
            if not subscriber.closed:
                raise
        finally:
            if self._waiter is waiter:
                self._waiter = None
            if fd >= 0:
                if not loop.is_closed():
                    loop.remove_reader(fd)
                os.close(fd)

    def wake(self) -> None:
        """Ends the wait, from any thread; nothing if there is none, or its loop is closed."""
        waiter = self._waiter
        if waiter is not None:
            with contextlib.suppress(RuntimeError):
                waiter.get_loop().call_soon_threadsafe(_woken, waiter)


def _woken(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class PacketReader:
    """The packets of a stream, as Subscriber.packets() gives them: `for packet in reader`, `async for`, or next(). A
    reader that was too slow loses packets and goes on at a keyframe: next() raises PacketOverrun once, a loop counts it
    in `overruns`. One thread or task at a time."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self.overruns = 0

    def __repr__(self) -> str:
        return f"<cuframes.PacketReader of {self._subscriber.name!r}>"

    def next(self, timeout: float | None = None) -> _core.Packet:
        """The next packet; waits `timeout` seconds at most, None: for ever. Raises TimeoutError (Timeout), Interrupted,
        PublisherGone, PacketOverrun."""
        packet = self._subscriber._next_packet(timeout)
        if packet is None:
            raise Timeout(f"no packet of {self._subscriber.name!r} came within {timeout} s")
        return packet

    def poll(self) -> _core.Packet | None:
        """A packet that is there, or None."""
        return self._subscriber._next_packet(0)

    def fileno(self) -> int:
        """A descriptor for select, poll or an event loop: readable when poll() may have something to say. Call poll()
        until it gives None, then wait again. It is the subscriber's, and the same until that is closed."""
        return self._subscriber._packet_fileno()

    async def anext(self) -> _core.Packet:
        """next() for asyncio. No thread waits, and a cancelled wait takes no packet. Raises what next() does."""
        subscriber = self._subscriber
        packet = self.poll()
        while packet is None:
            await subscriber._waits_for_packets.readable(subscriber, self.fileno, "a packet")
            try:
                packet = self.poll()
            except ValueError:
                if not subscriber.closed:
                    raise
                raise Interrupted("the subscriber was closed while this task waited") from None
        return packet

    def __iter__(self) -> Iterator[_core.Packet]:
        return self

    def __next__(self) -> _core.Packet:
        while True:
            try:
                packet = None if self._subscriber.closed else self._subscriber._next_packet(None)
            except PacketOverrun:
                self.overruns += 1
                continue
            except Interrupted:
                packet = None
            if packet is None:  # closed by another thread
                raise StopIteration
            return packet

    def __aiter__(self) -> PacketReader:
        return self

    async def __anext__(self) -> _core.Packet:
        while not self._subscriber.closed:
            try:
                return await self.anext()
            except PacketOverrun:
                self.overruns += 1
            except Interrupted:
                break
        raise StopAsyncIteration


class Subscriber(_core.Subscriber):
    """A subscriber of a stream, made by subscribe(): `with`, `for frame in subscriber`, `async for`, or next(). One
    thread at a time takes frames, one packets; interrupt(), close() and frames are for any thread.

    Loops go on until the publisher ends (PublisherGone), this subscriber is evicted (Evicted), or interrupt()."""

    _waits_for_frames: Waiting
    _waits_for_packets: Waiting

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Subscriber:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<cuframes.Subscriber of {self.name!r}{', closed' if self.closed else ''}>"

    # ---- frames in asyncio ----

    def __aiter__(self) -> Subscriber:
        iter(self)  # says so if it is closed
        return self

    async def __anext__(self) -> Frame:
        if self.closed:
            raise StopAsyncIteration
        try:
            return await self.anext()
        except Interrupted:
            raise StopAsyncIteration from None

    async def anext(self) -> Frame:
        """next() for asyncio. No thread waits, and a cancelled wait takes no frame."""
        frame = self.poll()
        while frame is None:
            await self._waits_for_frames.readable(self, self.fileno, "a frame")
            try:
                frame = self.poll()
            except ValueError:
                if not self.closed:
                    raise
                raise Interrupted("the subscriber was closed while this task waited") from None
        return frame

    def close(self) -> None:
        """Leaves the stream; frames in hand stay good. Ends a wait of another thread or task."""
        super().close()
        self._waits_for_frames.wake()
        self._waits_for_packets.wake()

    def __reduce__(self) -> Any:
        raise TypeError("a subscriber is a connection of its own process and cannot be pickled: call "
                        f"cuframes.subscribe({self.name!r}) in the other process")

    # ---- packets ----

    def packets(self, start: str = "keyframe") -> PacketReader:
        """The encoded packets of the stream, in the order of publishing, from a video keyframe on: the last one that is
        kept ("keyframe"), the next one to come ("next-keyframe"), or the oldest packet that is kept, be it a keyframe
        or not ("oldest": for data). Raises NoPacketRing, PublisherGone."""
        self._enable_packets(choice("start", start, STARTS))
        return PacketReader(self)

    @property
    def tracks(self) -> list[Track]:
        """The tracks that the publisher has described. Asks it: up to 2 s. Raises NoPacketRing, PublisherGone."""
        return [Track.of(index, given) for index, given in sorted(self._tracks().items())]

    # ---- what it is ----

    @property
    def info(self) -> StreamInfo:
        """The stream as its publisher describes it now (asks it: up to 2 s). format is None before its first picture.
        Raises NoSuchStream while there is no publisher."""
        return info(self.name, directory=self._directory)

    @property
    def device(self) -> str:
        """Where the frames are: "host" or "cuda:GPU-...". With reconnect it raises PublisherGone while there is no
        publisher."""
        return self._device()[0]

    @property
    def sync(self) -> str:
        """The sync mode that was granted. With reconnect it raises PublisherGone while there is no publisher."""
        granted = self._device()[1]
        return next((word for word, number in SYNCS.items() if number == granted), str(granted))

    @property
    def source(self) -> SourceInfo:
        """What the source is doing, from shared memory; without reason and next attempt, which info has."""
        return SourceInfo(**self._source())

    @property
    def stats(self) -> Stats:
        """What this subscriber has had so far."""
        return Stats(**self._stats())

    _directory: str | os.PathLike[str] | None = None


def subscribe(name: str, *, mode: str = "newest", device: str = "auto", leases: int = 3, depth: int = 4,
              timeout: float | None = 0.0, reconnect: bool = False, sync: str = "complete",
              directory: str | os.PathLike[str] | None = None, label: str | None = None) -> Subscriber:
    """Joins the stream of that name.

    mode       "newest": always the newest frame; "ordered": each one, `depth` of which may wait; "packets": no frames
    device     "auto": whatever the stream is on; "host": refuse a stream on a GPU; "cuda", "cuda:N", "cuda:GPU-UUID":
               refuse host memory, and map the frames for this GPU
    leases     frames held at the same time; a loop needs 2, since it holds one while it waits for the next
    timeout    seconds to wait for the name to appear; None: for ever
    reconnect  when the publisher goes, wait for the name to come back instead of raising PublisherGone
    sync       "complete": a frame is given when its picture is complete; "timeline", "slot-events": next(stream=...)
               gives it at submission, and the stream waits
    directory  runtime directory; None: $CUFRAMES_DIR, /run/cuframes, ...
    label      shown by `cuframes info` and `top`; None: the program's name

    Raises NoSuchStream, BadName, BadDirectory, NotPermitted, Timeout, NoCapacity, VersionMismatch, Unsupported, ..."""
    subscriber = Subscriber(text("name", name) or "", choice("mode", mode, MODES), directory_of(directory),
                            text("label", label, True), leases, depth, reconnect, choice("sync", sync, SYNCS), timeout,
                            None if device == "auto" else text("device", device, True))
    subscriber._directory = directory
    subscriber._waits_for_frames, subscriber._waits_for_packets = Waiting(), Waiting()
    return subscriber
