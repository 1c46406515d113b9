"""What the library refuses, as exceptions: one class for each code of the C API."""
from __future__ import annotations


class Error(Exception):
    """An error of cuframes. `code` is the C API's number, `name` what it means, `detail` what was expected and what
    came; str() is the detail."""

    code = 0

    def __init__(self, detail: str = "", name: str = "", code: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.name = name
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.detail or self.name


class InvalidError(Error, ValueError):
    """An argument is wrong."""
    code = -1


class NoMemory(Error, MemoryError):
    """Memory, device memory or table space ran out."""
    code = -2


class SystemCallError(Error):
    """A system call failed; the detail names it."""
    code = -3


class BadName(Error, ValueError):
    """Not a stream name."""
    code = -4


class NameInUse(Error):
    """A living publisher has this name."""
    code = -5


class NoSuchStream(Error, LookupError):
    """Nobody publishes this name in this runtime directory."""
    code = -6


class BadDirectory(Error):
    """The runtime directory cannot be used."""
    code = -7


class NotPermitted(Error):
    """The file system or the publisher's allow list says no."""
    code = -8


class Timeout(Error, TimeoutError):
    """The time given ran out."""
    code = -9


class Interrupted(Error):
    """interrupt() ended the wait."""
    code = -10


class PublisherGone(Error, ConnectionError):
    """The publisher ended or died. Frames in hand stay good."""
    code = -11


class Evicted(Error):
    """This ordered subscriber was too slow and lost its place."""
    code = -12


class Stale(Error):
    """What was asked for has gone meanwhile."""
    code = -13


class NoCapacity(Error):
    """The pool may not grow enough for what was asked."""
    code = -14


class LeaseLimit(Error):
    """Every granted lease (or open frame) is in hand; the detail says by what."""
    code = -15


class VersionMismatch(Error):
    """The two sides speak no common protocol version."""
    code = -16


class ProtocolError(Error):
    """The peer sent something that the protocol forbids."""
    code = -17


class BadFormat(Error, ValueError):
    """Invalid picture format."""
    code = -18


class Dropped(Error):
    """The frame was dropped: for a full ordered subscriber, or no slot was free."""
    code = -19


class PacketOversized(Error, ValueError):
    """Larger than the packet ring takes."""
    code = -20


class NoPacketRing(Error):
    """The stream carries no packets."""
    code = -21


class NoCodecParams(Error):
    """The publisher has not described this track."""
    code = -22


class PacketOverrun(Error):
    """Packets were overwritten before they were read; said once."""
    code = -23


class DeviceError(Error):
    """The device failed."""
    code = -24


class Unsupported(Error):
    """This build, device or peer cannot do that."""
    code = -25


class Busy(Error):
    """Not in this state."""
    code = -26


class LostError(Error):
    """The publisher died before this picture was complete."""
    code = -27


_CLASSES: dict[int, type[Error]] = {kind.code: kind for kind in Error.__subclasses__()}


def make_error(code: int, name: str, detail: str) -> Error:
    """The exception for what the C API said."""
    return _CLASSES.get(code, Error)(detail, name, code)
