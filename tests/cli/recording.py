"""recording.py - for tests of recordings. Films made by ffmpeg, and what is in a recording, as ffmpeg and ffprobe see
it. And films for feed.c, a feed that is told what to do, and which packets lie in which file: every packet of a feed
carries a serial number, so what was recorded can be compared with what was sent."""
import array
import json
import os
import re
import shutil
import struct
import subprocess

import harness
from harness import check

NS = 10**9
VIDEO, AUDIO = 1, 2
KEY = 1
MESSAGE = b"cuframes serial:"
PICTURES = ("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=2")
TONE = ("-f", "lavfi", "-i", "sine=440:d=2")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_films = {}


def ffmpeg(*args, text=True):
    """Runs ffmpeg, gives what it printed; skips the test if it cannot do that (an encoder is missing, usually)."""
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-y", *map(str, args)],
                          capture_output=True, text=text, timeout=harness.LIMIT)
    if done.returncode:
        harness.skip("ffmpeg %s: %s" % (" ".join(map(str, args)), done.stderr))
    return done.stdout


def tool(name, *args):
    done = subprocess.run([harness.need_program(name), *args], capture_output=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "%s %s: %s", name, " ".join(args), done.stderr.decode("utf-8", "replace"))
    return done


def probe(path, *show):
    return json.loads(tool("ffprobe", "-v", "error", *show, "-of", "json", path).stdout)


def streams(path):
    """The streams as ffprobe sees them, by their type; of each type the first."""
    seen = {}
    for stream in probe(path, "-show_streams")["streams"]:
        seen.setdefault(stream["codec_type"], stream)
    return seen


def packets(path, stream="v:0"):
    """Packets of one stream: hash of the bytes, times, whether it is a keyframe."""
    return probe(path, "-select_streams", stream, "-show_packets", "-show_data_hash", "md5")["packets"]


def decoded(path, stream):
    """A hash of each decoded picture or frame of sound; and whatever the decoder complained of."""
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-map",
                           "0:%s" % stream, "-fps_mode", "passthrough", "-f", "framemd5", "-"], capture_output=True,
                          text=True, timeout=harness.LIMIT)
    lines = [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]
    return lines, done.stderr


def samples(path, sound):
    """One sound as (time, samples of 16 bits) per decoded frame, and its rate. There must be one channel."""
    stream = "a:%d" % sound
    seen = probe(path, "-select_streams", stream, "-show_frames", "-show_streams", "-show_entries",
                   "frame=pts_time,nb_samples:stream=sample_rate")
    raw = array.array("h", ffmpeg("-i", path, "-map", "0:" + stream, "-f", "s16le", "-", text=False))
    frames, at = [], 0
    for frame in seen["frames"]:
        frames.append((float(frame["pts_time"]), raw[at:at + frame["nb_samples"]]))
        at += frame["nb_samples"]
    check(at == len(raw), "%s: %d samples in frames, %d in all", path, at, len(raw))
    return frames, int(seen["streams"][0]["sample_rate"])


def is_tail(all_of_it, part):
    """Whether the part is what the whole ends with."""
    return len(part) > 0 and all_of_it[-len(part):] == part


def hexdump(text):
    """The bytes of ffprobe's dump: at each line an offset, up to 8 groups, and the same as text."""
    groups = [line.split(":", 1)[1][:41] for line in text.strip().splitlines()]
    return bytes.fromhex("".join("".join(group.split()) for group in groups))


def film(s, name, size="64x48", seconds=8, fps=1, group=8, late=0.0, sound=True, bframes=2, codec="libx264", every=1):
    """A film for feed.c: a keyframe every `group` pictures; a packet of sound `every` so many seconds, `late` seconds
    behind its place in the order (or before it)."""
    key = (size, seconds, fps, group, late, sound, bframes, codec, every)
    path = s.path(name)
    if key not in _films:
        _films[key] = _make(s, path, *key)
    with open(path, "wb") as file:
        file.write(_films[key])
    return path


def _make(s, path, size, seconds, fps, group, late, sound, bframes, codec, every):
    source = path + ".mp4"
    rate = ["-ar", "8000", "-ac", "1"]
    encoder = ["-c:v", codec, "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1", "-g", str(group),
               "-bf", str(bframes)]
    if codec == "libx264":
        encoder += ["-x264-params", "keyint=%d:min-keyint=%d:scenecut=0:open-gop=0:bframes=%d:b-adapt=0" %
                    (group, group, bframes)]
    else:
        encoder += ["-x265-params", "log-level=error:keyint=%d:min-keyint=%d:open-gop=0:bframes=%d" %
                    (group, group, bframes)]
    tool("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=%s:r=%g:d=%g" % (size, fps, seconds),
         *(["-f", "lavfi", "-i", "sine=440:d=%g" % (seconds + 1), "-c:a", "aac", "-b:a", "8k"] if sound else []), *rate,
         *encoder, source)
    with open(source, "rb") as file:
        data = file.read()
    seen = probe(source, "-show_streams", "-show_packets", "-show_data")
    blob, packets, kinds = b"", [], {}
    for stream in seen["streams"]:
        index, extradata = stream["index"], hexdump(stream["extradata"])
        kinds[index] = VIDEO if stream["codec_type"] == "video" else AUDIO
        blob += struct.pack("<I32s7I", kinds[index], stream["codec_name"].encode(), stream.get("width", 0),
                            stream.get("height", 0), *((round(fps * 1000), 1000) if kinds[index] == VIDEO else (0, 0)),
                            int(stream.get("sample_rate", 0)), stream.get("channels", 0), len(extradata)) + extradata
    shift = -min(float(p["dts_time"]) for p in seen["packets"] if kinds[p["stream_index"]] == VIDEO)
    heard = 0
    for p in seen["packets"]:
        index, at = p["stream_index"], int(p["pos"])
        content = data[at:at + int(p["size"])]
        if kinds[index] == VIDEO:
            pts, dts = (round((float(p[key]) + shift) * NS) for key in ("pts_time", "dts_time"))
            packets.append((dts, index, KEY if "K" in p["flags"] else 0, pts, dts, round(NS / fps), content))
        elif heard < seconds:  # one of them now and then, as if it were so long
            time = round((heard + 0.4) * NS)
            packets.append((time + round(late * NS), index, KEY, time, time, every * NS, content))
            heard += every
    packets.sort(key=lambda packet: packet[0])
    records = b"".join(struct.pack("<3I4q", index, flags, len(content), pts, dts, duration, order) + content
                       for order, index, flags, pts, dts, duration, content in packets)
    os.unlink(source)
    return struct.pack("<q2I", seconds * NS, len(kinds), len(packets)) + blob + records


class Film:
    """What feed.c makes of a film: its packets again and again."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.length, tracks, count = struct.unpack_from("<q2I", data)
        at, self.kinds, self.packets = 16, [], []
        for _ in range(tracks):
            kind, *_, extradata = struct.unpack_from("<I32s7I", data, at)
            self.kinds.append(kind)
            at += 64 + extradata
        for _ in range(count):
            index, flags, size, pts, dts, duration, order = struct.unpack_from("<3I4q", data, at)
            self.packets.append((index, flags, pts, order, data[at + 44:at + 44 + size]))
            at += 44 + size

    def packet(self, serial):
        """Track, whether it is a key, pts, and the bytes."""
        index, flags, pts, _, content = self.packets[serial % len(self.packets)]
        number = b"%08d" % serial
        if self.kinds[index] == VIDEO:
            content = b"\0\0\0\x1c\x06\x05\x18" + MESSAGE + number + b"\x80" + content
        else:
            content = b"\x80\x08" + number + content
        return index, flags & KEY, pts + serial // len(self.packets) * self.length, content


class Feed:
    """feed.c, which does as it is told."""

    def __init__(self, s, name, path, *args):
        program = harness.need_built("tests", "feed")
        self.process = s.start_program(program, name, path, *args, name="feed " + name, stdin=subprocess.PIPE)
        self.process.wait_for("^ready", "out")

    def tell(self, *words):
        """Gives how many packets were published so far."""
        before = len(self.process.out)
        self.process.say(" ".join(map(str, words)))
        self.count = int(self.process.wait_for(r"^done -?\d+ (\d+)\n", "out", before).group(1))
        return self.count

    def play(self, seconds):
        return self.tell("play", seconds)

    def end(self):
        self.process.popen.stdin.close()
        self.process.popen.stdin = None
        return self.process.expect(harness.OK)


class Recorder:
    """cuframes record with --json and many files."""

    def __init__(self, s, name, pattern, *args, **options):
        self.s = s
        self.process = s.start("record", name, pattern, "--json", *args, stdin=subprocess.PIPE, **options)

    def events(self, kind=None):
        out = self.process.out
        events = [json.loads(line) for line in out[:out.rfind("\n") + 1].splitlines()]
        return [event for event in events if kind in (None, event["event"])]

    def wait(self, kind, count=1, **wanted):
        """Waits for so many events of a kind; gives the last one."""
        def found():
            fitting = [event for event in self.events(kind) if wanted.items() <= event.items()]
            return len(fitting) >= count and fitting[count - 1]
        deadline = harness.Deadline()
        while True:
            with self.process.changed:
                event = found()
                if event:
                    return event
                check(self.process.open_pipes, "the recorder ended without %d times %s %s", count, kind, wanted)
                check(not deadline.over(), "not within %.0f s: %d times %s %s", deadline.seconds, count, kind, wanted)
                self.process.changed.wait(deadline.left())

    def ask(self, line):
        """A line on stdin; gives the answer."""
        count = len(self.events("answer"))
        self.process.say(line)
        return self.wait("answer", count + 1)

    def read_all(self, feed):
        """Waits until it has read what was published."""
        self.s.until(lambda: self.ask("?")["seq"] >= feed.count, "the recorder reads on", every=0.02)

    def finish(self, code=harness.OK, quit_by="quit"):
        """Ends it; gives the end event."""
        self.process.say(quit_by)
        self.process.expect(code)
        return self.events("end")[0]


def serials(path):
    """The packets of a recording as (track, serial, key), in the file's order; each is compared with what was sent
    by compare()."""
    seen = tool("ffprobe", "-v", "error", "-show_entries", "packet=stream_index,flags,pts_time,size,pos", "-of",
                "csv=p=0", path)
    check(not seen.stderr, "ffprobe %s: %s", path, seen.stderr)
    with open(path, "rb") as file:
        data = file.read()
    found = []
    for line in seen.stdout.decode().split():
        fields = line.split(",")
        index, pts, size, position, flags = (fields[i] for i in range(5))
        found.append((int(index), float(pts), "K" in flags, data[int(position):int(position) + int(size)]))
    return found


def number_of(content):
    match = re.search(MESSAGE + rb"(\d{8})", content[:64]) or re.match(rb"\x80\x08(\d{8})", content)
    check(match, "a packet without a serial number: %r", content[:40])
    return int(match.group(1))


def compare(path, film_path, known=None):
    """All packets of an MP4 file are those that were sent, bit for bit; it begins with a keyframe, and times rise from
    0. Gives their serial numbers."""
    source = known or Film(film_path)
    packets, numbers = serials(path), []
    first = next(p for p in packets if source.kinds[p[0]] == VIDEO)
    check(first[2], "%s does not begin with a keyframe", path)
    base = None
    for index, pts, key, content in packets:
        number = number_of(content)
        track, is_key, time, wanted = source.packet(number)
        check(index == track and content == wanted and bool(key) == bool(is_key),
              "%s: packet %d is not as it was sent", path, number)
        base = time / NS - pts if base is None else base
        check(abs(time / NS - pts - base) < 0.02, "%s: packet %d is at %.3f s, and was sent at %.3f s", path, number,
              pts + base, time / NS)
        numbers.append(number)
    return numbers


# What ffmpeg says from version 7 on of a track that has no packet, as sound that was away for a whole file.
NOTHING_IN_TRACK = "No filtered frames for output stream, trying to initialize anyway."


def turned(path, to, turn):
    """An MP4 file with this matrix (a, b, c, d) in the head of its track; gives the new one's name."""
    with open(path, "rb") as file:
        data = file.read()
    at = data.index(b"tkhd") + 4
    at += 52 if data[at] else 40
    a, b, c, d = (int(value * 65536) for value in turn)
    with open(to, "wb") as file:
        file.write(data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36:])
    return to


def decode(*paths):
    """Full decodes find nothing."""
    for path in paths:
        done = tool("ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-")
        said = done.stderr.decode("utf-8", "replace").splitlines()
        said = [line for line in said if not line.endswith(NOTHING_IN_TRACK)]
        check(not said, "%s does not decode: %s", path, said[:4])


def files(folder):
    """All regular files below, with their paths from there on."""
    return sorted(os.path.relpath(os.path.join(above, name), folder) for above, _, names in os.walk(folder)
                  for name in names)


def folder(s, name="rec"):
    path = s.path(name)
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    return path


def record_whole(s, source, *names, args=(), publish=()):
    """Publishes a film once, from its first packet on to recorders that wait for it. Gives what each said as JSON."""
    recorders = [s.start("record", "film", s.path(name), "--wait", "--json", *args) for name in names]
    s.start("publish", source, "--name", "film", "--realtime", "--wait-for", len(recorders),
            *publish).expect(harness.OK)
    said = []
    for recorder in recorders:
        result = recorder.wait()
        parsed = json.loads(result.out) if result.out else {}
        parsed["code"], parsed["err"] = result.code, result.err
        said.append(parsed)
    return said


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0
