"""recordings.py - what the tests of `cuframes record` share: films made by ffmpeg, and what is in a recording."""
import array
import json
import os
import subprocess

import harness
from harness import check

PICTURES = ("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=2")
TONE = ("-f", "lavfi", "-i", "sine=440:d=2")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def ffmpeg(*args, text=True):
    """Runs ffmpeg, gives what it printed; skips the test if it cannot do that (an encoder is missing, usually)."""
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-y", *map(str, args)],
                          capture_output=True, text=text, timeout=harness.LIMIT)
    if done.returncode:
        harness.skip("ffmpeg %s: %s" % (" ".join(map(str, args)), done.stderr))
    return done.stdout


def ffprobe(path, *args):
    done = subprocess.run([harness.need_program("ffprobe"), "-v", "error", "-of", "json", *args, path],
                          capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffprobe %s: %s", path, done.stderr)
    return json.loads(done.stdout)


def streams(path):
    """The streams as ffprobe sees them, by their type; of each type the first."""
    seen = {}
    for stream in ffprobe(path, "-show_streams")["streams"]:
        seen.setdefault(stream["codec_type"], stream)
    return seen


def packets(path, stream="v:0"):
    """Packets of one stream: hash of the bytes, times, whether it is a keyframe."""
    return ffprobe(path, "-select_streams", stream, "-show_packets", "-show_data_hash", "md5")["packets"]


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
    seen = ffprobe(path, "-select_streams", stream, "-show_frames", "-show_streams", "-show_entries",
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
