"""mp4.py - for tests: edit lists of MP4 files, as editors write them that cut without encoding."""
import struct

def boxes(data):
    """(kind, content) of each; sizes of 32 bits."""
    at = 0
    while at < len(data):
        size, = struct.unpack_from(">I", data, at)
        yield data[at + 4:at + 8], data[at + 8:at + size]
        at += size


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def find(data, *path):
    """The content of the first box there; None: there is none."""
    for kind, content in boxes(data):
        if kind == path[0]:
            return content if len(path) == 1 else find(content, *path[1:])
    return None


def sample_flags(path, track):
    """The flags of each sample of a track (1, 2, ...) in the fragments of a file."""
    with open(path, "rb") as file:
        fragments = [content for kind, content in boxes(file.read()) if kind == b"moof"]
    found = []
    for traf in (content for moof in fragments for kind, content in boxes(moof) if kind == b"traf"):
        head = find(traf, b"tfhd")
        has, number = struct.unpack_from(">II", head)
        at = 8 + sum(size for bit, size in ((1, 8), (2, 4), (8, 4), (16, 4)) if has & bit)
        usual, = struct.unpack_from(">I", head, at) if has & 0x20 else (0,)
        for run in (content for kind, content in boxes(traf) if kind == b"trun" and number == track):
            has, count = struct.unpack_from(">II", run)
            at, first = 8 + 4 * bool(has & 1), None
            if has & 4:
                first, at = struct.unpack_from(">I", run, at)[0], at + 4
            step = 4 * sum(bool(has & bit) for bit in (0x100, 0x200, 0x400, 0x800))
            place = 4 * sum(bool(has & bit) for bit in (0x100, 0x200))
            own = [struct.unpack_from(">I", run, at + i * step + place)[0] for i in range(count)] if has & 0x400 else (
                [usual] * count)
            found += own if first is None else [first] + own[1:]
    return found


def timescale(head):
    """Of the content of an mvhd or mdhd box."""
    return struct.unpack_from(">I", head, 20 if head[0] else 12)[0]


def edit(path, copy, *parts):
    """A copy of a film whose index is at its end, of which these parts are shown, one behind the other: (from, to) in
    seconds of its tracks."""
    with open(path, "rb") as file:
        film = list(boxes(file.read()))
    assert film[-1][0] == b"moov", "the index of %s is not at its end" % path
    moov = film[-1][1]
    scale, tracks = timescale(find(moov, b"mvhd")), b""
    for kind, content in boxes(moov):
        if kind == b"trak":
            own = timescale(find(content, b"mdia", b"mdhd"))
            elst = struct.pack(">II", 0, len(parts))
            for begin, end in parts:
                elst += struct.pack(">IiI", round((end - begin) * scale), round(begin * own), 1 << 16)
            rest = b"".join(box(*child) for child in boxes(content) if child[0] != b"edts")
            content = rest + box(b"edts", box(b"elst", elst))
        tracks += box(kind, content)
    with open(copy, "wb") as file:
        file.write(b"".join(box(*part) for part in film[:-1]) + box(b"moov", tracks))
    return copy
