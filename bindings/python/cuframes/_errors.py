"""What the library refuses, as exceptions: one class for each code of the C API."""
from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """An error of cuframes. `code` is the C API's number, `name` what it means, `detail` what was expected and what
    came; str() is the detail."""

    code = 0
    _kinds: ClassVar[dict[int, type[Error]]] = {}

    def __init_subclass__(cls, code: int | None = None) -> None:
        if code is not None:
            cls.code = code
            Error._kinds[code] = cls

    def __init__(self, detail: str = "", name: str = "", code: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.name = name
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.detail or self.name


class InvalidError(Error, ValueError, code=-1):
    """An argument is wrong."""


class NoMemory(Error, MemoryError, code=-2):
    """Memory, device memory or table space ran out."""


class SystemCallError(Error, code=-3):
    """A system call failed; the detail names it."""


class BadName(Error, ValueError, code=-4):
    """Not a stream name."""


class NameInUse(Error, code=-5):
    """A living publisher has this name."""


class NoSuchStream(Error, LookupError, code=-6):
    """Nobody publishes this name in this runtime directory."""


class BadDirectory(Error, code=-7):
    """The runtime directory cannot be used."""


class NotPermitted(Error, code=-8):
    """The file system or the publisher's allow list says no."""


class Timeout(Error, TimeoutError, code=-9):
    """The time given ran out."""


class Interrupted(Error, code=-10):
    """interrupt() ended the wait."""


class PublisherGone(Error, ConnectionError, code=-11):
    """The publisher ended or died. Frames in hand stay good."""


class Evicted(Error, code=-12):
    """This ordered subscriber was too slow and lost its place."""


class Stale(Error, code=-13):
    """What was asked for has gone meanwhile."""


class NoCapacity(Error, code=-14):
    """The pool may not grow enough for what was asked."""


class LeaseLimit(Error, code=-15):
    """Every granted lease (or open frame) is in hand; the detail says by what."""


class VersionMismatch(Error, code=-16):
    """The two sides speak no common protocol version."""


class ProtocolError(Error, code=-17):
    """The peer sent something that the protocol forbids."""


class BadFormat(Error, ValueError, code=-18):
    """Invalid picture format."""


class Dropped(Error, code=-19):
    """The frame was dropped: for a full ordered subscriber, or no slot was free."""


class PacketOversized(Error, ValueError, code=-20):
    """Larger than the packet ring takes."""


class NoPacketRing(Error, code=-21):
    """The stream carries no packets."""


class NoCodecParams(Error, code=-22):
    """The publisher has not described this track."""


class PacketOverrun(Error, code=-23):
    """Packets were overwritten before they were read; said once."""


class DeviceError(Error, code=-24):
    """The device failed."""


class Unsupported(Error, code=-25):
    """This build, device or peer cannot do that."""


class Busy(Error, code=-26):
    """Not in this state."""


class LostError(Error, code=-27):
    """The publisher died before this picture was complete."""


def make_error(code: int, name: str, detail: str) -> Error:
    """The exception for what the C API said."""
    return Error._kinds.get(code, Error)(detail, name, code)
