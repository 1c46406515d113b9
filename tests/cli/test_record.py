#!/usr/bin/env python3
"""test_record.py - recordings are what was sent: both streams, from a keyframe, times from 0 on and rising, playable
however they ended."""
import json
import os
import signal
import subprocess

import harness
from harness import FAILED, NO_STREAM, OK, USAGE, check


def probe(path):
    """Streams, format and packets as ffprobe sees them."""
    done = subprocess.run([harness.need_program("ffprobe"), "-v", "error", "-show_streams", "-show_format",
                           "-show_packets", "-of", "json", path], capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffprobe %s: %s", path, done.stderr)
    return json.loads(done.stdout)


def plays(path, strict=True):
    """Decodes all of it; gives the number of pictures."""
    done = subprocess.run([harness.need_program("ffprobe"), "-v", "error", "-count_frames", "-show_entries",
                           "stream=codec_type,nb_read_frames", "-of", "json", path], capture_output=True, text=True,
                          timeout=harness.LIMIT)
    check(done.returncode == 0 and (not strict or not done.stderr), "%s does not play: %s", path, done.stderr)
    streams = {stream["codec_type"]: int(stream["nb_read_frames"]) for stream in json.loads(done.stdout)["streams"]}
    check(strict is False or "audio" not in streams or streams["audio"] > 0, "%s: no sound", path)
    return streams["video"]


def check_recording(path, seconds=None, audio=True, step=0.15):
    """Gives the number of pictures."""
    seen = probe(path)
    codecs = [stream["codec_name"] for stream in seen["streams"]]
    check(codecs == ["h264", "aac"] if audio else codecs == ["h264"], "%s holds %s", path, codecs)
    pictures = [p for p in seen["packets"] if p["codec_type"] == "video"]
    sound = [p for p in seen["packets"] if p["codec_type"] == "audio"]
    check("K" in pictures[0]["flags"], "%s does not start at a keyframe", path)
    for packets in (pictures, sound):
        dts = [float(p["dts_time"]) for p in packets if "dts_time" in p]
        check(all(a < b for a, b in zip(dts, dts[1:])), "%s: decoding times do not rise", path)
        times = sorted(float(p["pts_time"]) for p in packets if "pts_time" in p)
        times = times[:-4]  # a cut may leave out pictures that come before the last ones
        widest = max(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else 0
        check(widest < step, "%s: a hole of %.3f s", path, widest)
    start = min(float(p["pts_time"]) for p in seen["packets"])
    check(0 <= start < 0.15, "%s starts at %s", path, start)
    if seconds:
        times = sorted(float(p["pts_time"]) for p in pictures)
        length = times[-1] - times[0]
        check(abs(length - seconds) < 0.15, "%s has %.3f s, not %s", path, length, seconds)
        check(not audio or abs(float(sound[-1]["pts_time"]) - float(sound[0]["pts_time"]) - seconds) < 0.25,
              "%s: the sound has another length", path)
    frames = plays(path)
    check(abs(frames - len(pictures)) <= 1, "%s: %d of %d pictures", path, frames, len(pictures))
    return frames


def film(s, *args):
    return s.publish(harness.CLIP, "film", "--realtime", "--loop", *args)


def test_containers(s):
    film(s)
    running = [(kind, s.start("record", "film", "a." + kind, "--duration", "3", "--json"))
               for kind in ("mp4", "mkv", "ts")]
    for kind, process in running:
        said = process.json()
        check(said["ended"] == "duration" and abs(said["seconds"] - 3) < 0.1 and said["lost"] == 0, "%s", said)
        check([stream["codec"] for stream in said["streams"]] == ["h264", "aac"], "%s", said)
        check(said["bytes"] == os.path.getsize(s.path("a." + kind)), "%s: %s bytes said", kind, said["bytes"])
        check_recording(s.path("a." + kind), 3)


def test_codecs_without_parameter_sets(s):
    """Nothing is looked for in their pictures that is not there, and so nobody complains of it."""
    path = s.path("mjpeg.mkv")
    subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-f", "lavfi", "-i",
                    "testsrc=s=96x64:r=10:d=2", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", path], check=True,
                   timeout=harness.LIMIT)
    s.publish(path, "film", "--realtime", "--loop")
    done = s.run("record", "film", "a.mkv", "--duration", "0.5")
    check(done.code == OK and "extract_extradata" not in done.err and "not supported" not in done.err, "%s", done)


def test_across_the_loop(s):
    """A clip of 2 s, looped: the film goes on without a hole or a step back."""
    short = s.path("short.mp4")
    subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-t", "1.5", "-i", harness.CLIP, "-c",
                    "copy", short], check=True, timeout=harness.LIMIT)
    s.publish(short, "film", "--realtime", "--loop")
    for kind in ("mp4", "ts"):
        s.start("record", "film", "loop." + kind, "--duration", "4.5").expect(OK)
        check_recording(s.path("loop." + kind), 4.5, step=0.25)


def test_ends(s):
    """Ctrl-C, SIGTERM, a terminal that is closed and the publisher's end leave clean files."""
    pub = film(s)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        name = "%d.mkv" % number
        process = s.start("record", "film", name, "--json")
        s.until(lambda: os.path.exists(s.path(name)) and os.path.getsize(s.path(name)) > 300000, "a second of film")
        check(json.loads(process.stop(number).out)["ended"] == "signal", "ended %s", process.out)
        check_recording(s.path(name))
    process = s.start("record", "film", "gone.mp4", "--json")
    s.until(lambda: os.path.exists(s.path("gone.mp4")) and os.path.getsize(s.path("gone.mp4")) > 100000, "some film")
    pub.stop()
    check(process.json()["ended"] == "publisher_gone" and "gone" in process.err, "%r", process.err)
    check_recording(s.path("gone.mp4"))


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def test_signals_that_are_no_end(s):
    """The terminal's, where somebody asked that it be ignored; and those that many files have a use for."""
    film(s)
    process = s.start_program("nohup", harness.program(), "record", "film", "--json", s.path("on.mkv"))
    s.until(lambda: size_of(s.path("on.mkv")) > 100000, "some film")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        process.send(number)
    size = size_of(s.path("on.mkv"))
    s.until(lambda: size_of(s.path("on.mkv")) > size + 100000, "it goes on")
    process.stop()


def test_two_in_one_file(s):
    """The second recorder is told so, and the first one's file is whole; nor is what came meanwhile overwritten."""
    film(s)
    for more in ((), ("--overwrite",)):
        if more:  # else it is large enough before the first one has it
            os.truncate(s.path("both.mp4"), 0)
        first = s.start("record", "film", "both.mp4", "--json", *more)
        s.until(lambda: size_of(s.path("both.mp4")) > 100000, "some film")
        second = s.run("record", "film", "both.mp4", "--overwrite")
        check(second.code == harness.FAILED and "another recorder" in second.err, "said %s", second)
        first.stop()
        check_recording(s.path("both.mp4"))
    late = s.start("record", "later", "late.mp4", "--wait")
    late.wait_for("waiting for later")
    with open(s.path("late.mp4"), "w") as file:
        file.write("somebody's")
    s.publish(harness.CLIP, "later", "--realtime", "--loop")
    result = late.wait()
    check(result.code == harness.FAILED and "exists" in result.err, "said %s", result)
    with open(s.path("late.mp4")) as file:
        check(file.read() == "somebody's", "it was overwritten")


def test_cut_off(s):
    """Killed, or out of room: what is there plays. A file size limit fails like a full disk."""
    film(s)
    for kind in ("mp4", "mkv", "ts"):
        path = s.path("full." + kind)
        result = s.run("record", "film", path, "--duration", "30", limit=("--fsize=500000",))
        check(result.code == FAILED and path in result.err and "large" in result.err, "%r", result)
        check(plays(path, strict=False) >= 20, "%s does not play", path)
    process = s.start("record", "film", "killed.mp4")
    killed = s.path("killed.mp4")
    s.until(lambda: os.path.exists(killed) and os.path.getsize(killed) > 400000, "some film")
    process.kill()
    check(plays(s.path("killed.mp4"), strict=False) >= 20, "killed.mp4 does not play")


def test_reconnect(s):
    pub = film(s)
    process = s.start("record", "film", "long.mkv", "--reconnect", "--json")
    s.until(lambda: os.path.exists(s.path("long.mkv")) and os.path.getsize(s.path("long.mkv")) > 200000, "some film")
    pub.stop()
    pub = film(s)
    size = os.path.getsize(s.path("long.mkv"))
    s.until(lambda: os.path.getsize(s.path("long.mkv")) > size + 400000, "more film")
    said = json.loads(process.stop().out)
    check(said["epochs"] == 1, "%s", said)
    check_recording(s.path("long.mkv"), step=0.5)


def test_stdout(s):
    film(s)
    process = s.start_program("sh", "-c", '"$0" record film - --format ts --duration 1 >out.ts', harness.program())
    process.expect(OK)
    check_recording(s.path("out.ts"), 1)


def test_errors(s):
    check(s.run("record", "gone", "x.mp4").code == NO_STREAM, "no stream")
    s.publish("test:64x64@25", "silent", "--no-packets")
    result = s.run("record", "silent", "x.mp4")
    check(result.code == FAILED and "packet" in result.err, "%r", result)
    film(s)
    with open(s.path("there.mkv"), "w") as file:
        file.write("mine")
    for args in (("there.mkv",), (), ("x.avi",), ("x",), ("x.mp4", "y.mp4"), ("x.mp4", "--duration", "0"),
                 ("-", "--format", "ts", "--json")):
        check(s.run("record", "film", *args).code == USAGE, "%s is no usage error", args)
    with open(s.path("there.mkv")) as file:
        check(file.read() == "mine", "the file was overwritten")
    s.start("record", "film", "there.mkv", "--overwrite", "--duration", "1").expect(OK)
    check_recording(s.path("there.mkv"), 1)
    for path in ("/dev/full", s.path("no", "x.mkv")):
        result = s.run("record", "film", path, "--format", "mkv", "--duration", "2")
        check(result.code == FAILED and path in result.err, "%s: %r", path, result)
    check(not os.path.exists(s.path("x.mp4")), "x.mp4 was made")


def test_a_short_film_at_once(s):
    """It is over in milliseconds; but publish waited for those who record it, so all of it is in each recording."""
    film_path = s.path("short.mkv")
    subprocess.run([harness.need_program("ffmpeg"), "-v", "error", "-i", harness.CLIP, "-t", "1", "-vf", "scale=160:90",
                    "-an", "-c:v", "mpeg4", "-g", "5", film_path], check=True, timeout=harness.LIMIT)
    want = len(probe(film_path)["packets"])
    for number in range(5):
        names = [s.path("%d-%s" % (number, name)) for name in ("a.mp4", "b.mkv", "c.ts", "d.mkv")]
        recorders = [s.start("record", "film", name, "--wait") for name in names]
        s.start("publish", film_path, "--name", "film", "--wait-for", len(names), "--ordered-timeout",
                harness.LIMIT).expect(OK)
        for recorder, name in zip(recorders, names):
            recorder.expect(OK)
            come = len(probe(name)["packets"])
            check(come == want, "%s has %d packets of %d", name, come, want)


if __name__ == "__main__":
    harness.main(globals())
