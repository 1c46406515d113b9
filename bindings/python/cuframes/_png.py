"""A PNG file of an RGB picture, with nothing but the standard library."""
from __future__ import annotations

import struct
import zlib


def png(rows: bytes, width: int, height: int) -> bytes:
    """rows: height x width x 3 bytes, R first, packed."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    pitch = width * 3
    raw = b"".join(b"\0" + rows[i * pitch:(i + 1) * pitch] for i in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b""))
