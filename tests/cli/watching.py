"""watching.py - a page of `cuframes wall`, for tests: what it is told, its samples, and those decoded by ffmpeg."""
import base64
import collections
import json
import select
import struct
import subprocess

import harness
import web
from harness import check

VIDEO, AUDIO, JPEG, DATA = 1, 2, 3, 4
KEY, DISCONTINUITY, HIDDEN = 1, 2, 4
NO_TIME = -(1 << 63)

Sample = collections.namedtuple("Sample", "kind flags tile config pts dts duration zero taken data")


class Wall(web.Server):
    def __init__(self, s, *args):
        super().__init__(s.start("wall", "--listen", "127.0.0.1:0", *args))

    def page(self, **options):
        return Page(self, **options)


class Page:
    """Reads only when it is asked for something: `until` and the like. Keeps all that came."""

    def __init__(self, wall, **options):
        self.socket = wall.socket("/live", "cuframes-wall-1", **options)
        check(self.socket.status == 101, "no WebSocket: %s", self.socket.answer)
        self.texts, self.samples, self.bytes = [], [], 0

    def say(self, **message):
        self.socket.send(message)

    def watch(self, *tiles):
        self.say(watch=list(tiles))

    def read(self):
        """One message."""
        message = self.socket.receive()
        self.bytes += len(message)
        if isinstance(message, str):
            self.texts.append(json.loads(message))
        else:
            self.samples.append(Sample(*struct.unpack("<BBHIqqIIq", message[:40]), message[40:]))

    def until(self, condition, what):
        """Reads until it holds; gives what it gave."""
        deadline = harness.Deadline()
        while True:
            result = condition()
            if result:
                return result
            check(not deadline.over(), "nothing came of: %s; the last texts: %s", what, self.texts[-3:])
            self.read()

    def told(self, *keys, after=0, **wanted):
        """The first text with these members, and these values."""
        def found():
            for text in self.texts[after:]:
                if all(key in text for key in keys) and all(text.get(key) == value for key, value in wanted.items()):
                    return text
            return None
        return self.until(found, "a text with %s %s" % (keys, wanted))

    def of(self, tile, kind=VIDEO):
        return [sample for sample in self.samples if sample.tile == tile and sample.kind == kind]

    def get(self, count, tile, kind=VIDEO):
        """So many samples, at least."""
        self.until(lambda: len(self.of(tile, kind)) >= count, "%d samples of tile %d" % (count, tile))
        return self.of(tile, kind)

    def tracks(self, tile, kind="video"):
        return [text["track"] for text in self.texts if text.get("tile") == tile and "track" in text and
                text["track"]["kind"] == kind]

    def track(self, tile, kind="video"):
        return self.until(lambda: self.tracks(tile, kind), "a track of tile %d" % tile)[-1]

    def is_quiet(self, seconds):
        """Whether nothing comes for so long; a time that may be too short on a slow machine, never too long."""
        return not self.socket.data and not select.select([self.socket.client], [], [], seconds)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def sets(track):
    """The parameter sets of avcC or hvcC behind start codes."""
    record, out = base64.b64decode(track["description"]), b""
    if track["name"] == "h264":
        at, groups = 5, 2
    else:
        at, groups = 22, record[22]
    if track["name"] == "hevc":
        at = 23
    for group in range(groups):
        if track["name"] == "h264":
            count, at = record[at] & (31 if group == 0 else 255), at + 1
        else:
            count, at = struct.unpack("!H", record[at + 1:at + 3])[0], at + 3
        for _ in range(count):
            length = struct.unpack("!H", record[at:at + 2])[0]
            out += b"\0\0\0\1" + record[at + 2:at + 2 + length]
            at += 2 + length
    return out


def units(data):
    """The units of a sample, which are behind lengths of four bytes and fill it."""
    found, at = [], 0
    while at < len(data):
        length = struct.unpack("!I", data[at:at + 4])[0]
        check(0 < length <= len(data) - at - 4, "a unit of %d bytes at %d of %d", length, at, len(data))
        found.append(data[at + 4:at + 4 + length])
        at += 4 + length
    return found


def elementary(track, samples):
    """What a decoder takes: start codes, the sets in front."""
    return sets(track) + b"".join(b"\0\0\0\1" + unit for sample in samples for unit in units(sample.data))


def decoded(path, *options):
    """The hash of each picture of a file, in the order in which they are shown."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *options, "-i", path, "-map", "0:v:0", "-fps_mode",
                           "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0 and not done.stderr, "ffmpeg %s: %s", path, done.stderr)
    return [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]


def write(s, name, data):
    path = s.path(name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def is_part_of(part, whole):
    return any(whole[i:i + len(part)] == part for i in range(len(whole) - len(part) + 1))
