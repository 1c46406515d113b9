"""Many subscribers served by one thread."""
from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from . import _core
from ._errors import Error, Interrupted
from ._frame import Frame
from ._subscriber import Subscriber, subscribe

_ALIVE = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class BatchStats:
    """What a batch has had so far."""

    members: int
    calls: int
    frames: int
    errors: int
    sleeps: int


@dataclasses.dataclass(frozen=True)
class BatchEntry:
    """What one member had: a frame, or an error, which is said once."""

    subscriber: Subscriber
    frame: Frame | None
    error: Error | None
    age: float  # seconds from the publishing of the frame to the return

    @property
    def name(self) -> str:
        """Of the stream."""
        return self.subscriber.name


class Entries(list[BatchEntry]):
    """What a batch had at a time. `frames` are those of the entries that have one, in their order, and `sources` the
    entries themselves."""

    @property
    def sources(self) -> list[BatchEntry]:
        return [entry for entry in self if entry.frame is not None]

    @property
    def frames(self) -> list[Frame]:
        return [entry.frame for entry in self if entry.frame is not None]

    @property
    def errors(self) -> list[BatchEntry]:
        return [entry for entry in self if entry.error is not None]

    def release(self) -> None:
        """Releases all frames."""
        for frame in self.frames:
            frame.release()


class Batch(_core.Batch):
    """A set of subscribers, made by batch(): `with`, `for entries in batch`, `async for`, or next(). One thread at a
    time takes; add(), remove(), interrupt() and close() are for any thread. While a subscriber is a member its own
    next() raises Busy."""

    _least: int = _ALIVE
    _timeout: float | None = None
    _own: list[Subscriber]
    _pending: concurrent.futures.Future[Entries] | None = None

    def next(self, min: int | str | None = None, timeout: float | None = -1.0, stream: Any = None) -> Entries:
        """Waits until `min` members have something new ("alive": all that are alive), `timeout` seconds at most (None:
        for ever), and gives the newest frame of each that has one; with fewer when the time is up, and empty when
        nobody has anything. What is not given is as in batch(). stream: as in Subscriber.next(), of GPUs.
        Raises Interrupted, and PublisherGone when all members have said their last words: a loop ends with it."""
        pending = self._pending
        if pending is not None:  # a task was cancelled while it waited for this
            self._pending = None
            return pending.result()
        found = self._next(self._least if min is None else least(min),
                           self._timeout if timeout is not None and timeout < 0 else timeout, stream)
        return _entries(found)

    def __iter__(self) -> Iterator[Entries]:
        return self

    def __next__(self) -> Entries:
        if self.closed:
            raise StopIteration
        try:
            return self.next()
        except Interrupted:
            raise StopIteration from None

    async def anext(self) -> Entries:
        """next() for asyncio. A thread waits meanwhile, and a cancelled wait loses nothing: the next call gives it."""
        if self._pending is None:
            self._pending = concurrent.futures.Future()
            threading.Thread(target=_fetch, args=(self, self._pending), daemon=True).start()
        pending = self._pending
        try:
            return await asyncio.shield(asyncio.wrap_future(pending))
        finally:
            if pending.done() and self._pending is pending:
                self._pending = None

    def __aiter__(self) -> Batch:
        return self

    async def __anext__(self) -> Entries:
        if self.closed:
            raise StopAsyncIteration
        try:
            return await self.anext()
        except Interrupted:
            raise StopAsyncIteration from None

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Batch:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the members, and closes those that batch() made itself; frames in hand stay good."""
        own, self._own = self._own, []
        super().close()
        for subscriber in own:
            subscriber.close()

    @property
    def stats(self) -> BatchStats:
        """What this batch has had so far."""
        return BatchStats(**self._stats())

    def __repr__(self) -> str:
        return "<cuframes.Batch, closed>" if self.closed else f"<cuframes.Batch of {len(self.members)}>"

    def __reduce__(self) -> Any:
        raise TypeError("a batch is of its own process and cannot be pickled: make one in the other process")


def _entries(found: Any) -> Entries:
    """Of the C API's tuples; None: nobody has anything."""
    return Entries(BatchEntry(subscriber, frame, error, age / 1e9) for subscriber, frame, error, age in found or ())


def _fetch(batch: Batch, pending: concurrent.futures.Future[Entries]) -> None:
    try:
        pending.set_result(_entries(batch._next(batch._least, batch._timeout, None)))
    except BaseException as error:
        pending.set_exception(error)


def least(min: int | str) -> int:
    """`min` as the C API has it."""
    if min == "alive":
        return _ALIVE
    if not isinstance(min, int) or min < 1:
        raise ValueError(f'min: expected "alive" or a number from 1 on, not {min!r}')
    return min


def batch(cameras: Iterable[str | Subscriber] = (), *, min: int | str = "alive", timeout: float | None = None,
          quiet: float = 1.0, **options: Any) -> Batch:
    """A batch of subscribers, or of streams by name, which are joined with these options of subscribe() (reconnect is
    True if nothing is said).

    min      for how many members next() and loops wait; "alive": all that have a publisher, a live source, a lease to
             spare, and gave a frame within `quiet` seconds
    timeout  seconds that they wait at most; None: for ever

    Raises what subscribe() does, Busy (a member of another batch)."""
    wanted = least(min)
    if isinstance(cameras, (str, bytes)) or not isinstance(cameras, Iterable):
        raise TypeError(f"cameras: expected names or subscribers, such as ['door', 'yard'], not {cameras!r}")
    made = Batch(quiet)
    made._own = []
    made._least = wanted
    made._timeout = timeout
    try:
        for camera in cameras:
            if isinstance(camera, str):
                camera = subscribe(camera, **{"reconnect": True, **options})
                made._own.append(camera)
            made.add(camera)
    except BaseException:
        made.close()
        raise
    return made
