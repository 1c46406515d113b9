#!/usr/bin/env python3
"""test_publish_sources.py - what `publish` makes of its inputs: exact test pictures in every format, conversions,
times that go on over loops, pace, films over http, and ends that come at once."""
import array
import os
import struct
import subprocess

import harness
import media
from harness import FAILED, OK, check, pace

FORMATS = ("nv12", "p010", "yuv420p", "yuv422p", "yuv444p", "gray8", "rgb24", "rgba", "bgra",
           "bgr24", "yuyv422", "uyvy422", "gray16", "yuv420p10", "yuv422p10", "rgbp")


# Of two bytes a sample: what one step of 8 bits is there.
SIXTEEN = {"p010": 256, "gray16": 256, "yuv420p10": 4, "yuv422p10": 4}


def end_event(result):
    lines = [harness.parse_json(line, "a line of stdout") for line in result.out.splitlines()]
    check(lines and lines[-1]["event"] == "end", "no end event: %s", result)
    return lines[-1]


def test_every_format_is_whole(s):
    args = []
    for name in FORMATS:
        args += ["test:101x67@100,%s" % name, "--name", name]
    s.start("publish", "--ordered-timeout", harness.LIMIT, *args)
    for name in FORMATS:
        stream = s.wait_stream(name)
        check(stream["format"] == name, "%s is %s", name, stream)
        seen = s.json("verify", name, "--json", "--frames", "12", "--mode", "ordered")
        check(seen["stamped"] and seen["frames"] == 12 and seen["torn"] == 0 and seen["gaps"] == 0, "%s: %s", name,
              seen)


def test_as_fast_as_possible(s):
    result = s.run("publish", "test:64x48@max", "--name", "cam", "--duration", "0.5", "--json")
    check(end_event(result)["frames"] > 100, "said %s", result)  # more than 200 a second: nothing paces them
    pace(end_event(result)["fps"] > 1000, "said %s", result)


def test_conversions(s):
    """The slot holds what ffmpeg makes of the same picture."""
    still = s.path("still.png")
    media.ffmpeg("-ss", "5", "-i", harness.CLIP, "-frames:v", "1", "-vf", "scale=322:182", still)
    for name in FORMATS:
        wanted = {"gray8": "gray", "rgbp": "gbrp"}.get(name, name + ("le" if name in SIXTEEN else ""))
        pub = s.publish(still, "cam", "--loop", "--realtime", "--format", name)
        check(s.run("snapshot", "cam", s.path("got.raw"), "--format", "raw").code == OK, "no snapshot of %s", name)
        pub.stop()
        media.ffmpeg("-i", still, "-sws_flags", "bilinear+accurate_rnd", "-pix_fmt", wanted, "-f", "rawvideo",
                     s.path("want.raw"))
        with open(s.path("got.raw"), "rb") as got, open(s.path("want.raw"), "rb") as want:
            got, want = got.read(), want.read()
        check(len(got) == len(want), "%s: %d bytes, not %d", name, len(got), len(want))
        if name == "rgbp":  # the same planes, but green first
            want = want[2 * 322 * 182:] + want[:2 * 322 * 182]
        if name in SIXTEEN:
            got, want = array.array("H", got), array.array("H", want)
        worst = max(abs(a - b) for a, b in zip(got, want))
        check(worst <= 2 * SIXTEEN.get(name, 1), "%s: a sample differs by %d", name, worst)
        os.unlink(s.path("got.raw"))


def times(s, name, frames):
    """What the helper `times` saw in so many frames: their pts, and pts and dts by track, in ns."""
    lines = s.start_program(harness.need_built("tests", "times"), name, frames).expect(OK).out.split("\n")
    rows = [line.split() for line in lines if line]
    packets = {}
    for row in rows:
        if row[0] == "packet":
            packets.setdefault(int(row[1]), []).append((int(row[2]), int(row[3])))
    return [int(row[2]) for row in rows if row[0] == "frame"], packets


def side_data(s, *options):
    """{type: bytes} of the first 5 pictures of an HDR film, published with these options."""
    film = s.path("hdr.mkv")
    if not os.path.exists(film):
        ffmpeg = harness.need_program("ffmpeg")
        done = subprocess.run(
            [ffmpeg, "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-frames:v", "10",
             "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=none:info=1:max-cll=1000,400:"
             "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", film],
            capture_output=True, text=True, timeout=harness.LIMIT)
        if done.returncode:
            harness.skip("this ffmpeg makes no HDR film: %s" % done.stderr)
    pub = s.start("publish", film, "--name", "hdr", "--realtime", "--wait-for", "1", *options)
    found = {}
    reader = s.start_program(harness.need_built("tests", "times"), "hdr", "5")
    for line in reader.wait().out.splitlines():
        for piece in line.split()[4:] if line.startswith("frame ") else []:
            found.setdefault(int(piece.split(":")[0]), bytes.fromhex(piece.split(":")[1]))
    pub.stop(code=None)
    return found, pub.err


def test_side_data_is_the_decoder_s(s):
    found, _ = side_data(s, "--side-data", "4096")
    check(found.get(3) == struct.pack("<8H2I", 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50),
          "mastering display: %s", found.get(3))
    check(found.get(4) == struct.pack("<2H", 1000, 400), "content light: %s", found.get(4))
    check(b"x265" in found.get(1, b""), "SEI user data: %s", found.get(1))
    found, said = side_data(s, "--side-data", "8")
    check(not found and "see --side-data" in said, "without room for it: %s, and it says %s", found, said)
    found, said = side_data(s)
    check(not found and "side data" not in said, "not asked for: %s, and it says %s", found, said)


def test_frames_and_packets_share_times(s):
    s.publish(harness.CLIP, "cam", "--realtime")
    frames, packets = times(s, "cam", 60)
    shown = {pts for pts, _ in packets[0]}
    check(len(frames) == 60 and set(packets) == {0, 1}, "%d frames, packets of %s", len(frames), list(packets))
    check(set(frames) <= shown, "no packet for the frames at %s", sorted(set(frames) - shown))


def test_loop_goes_on_in_time(s):
    """Sound and pictures of several rounds: all dts grow, and no pts is missing or doubled."""
    s.publish(media.make(s.root, "hevc8"), "cam", "--loop", "--realtime")
    frames, packets = times(s, "cam", 130)
    check(len(frames) == 130 and all(0 < b - a < 2e8 for a, b in zip(frames, frames[1:])), "frames at %s", frames)
    for stream, seen in packets.items():
        dts, pts = [row[1] for row in seen], sorted(row[0] for row in seen)
        check(len(dts) > 100 and all(a < b for a, b in zip(dts, dts[1:])), "%d: dts %s", stream, dts)
        steps = [b - a for a, b in zip(pts, pts[1:])]  # the film's sound is shorter than its pictures
        check(min(steps) > 5e6 and max(steps) < 2e8, "%d: steps from %s to %s", stream, min(steps), max(steps))


def test_loop_of_a_transport_stream(s):
    """No index there: it is opened again."""
    film = media.make(s.root, "resize")
    pub = s.publish(film, "cam", "--loop", "--realtime", "--json")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > media.RESIZE_FRAMES + 20, "it goes on")
    result = pub.stop()
    check(end_event(result)["loops"] >= 1, "said %s", result)


def test_realtime(s):
    film = media.make(s.root, "hevc8")
    slow = end_event(s.run("publish", film, "--name", "cam", "--realtime", "--json"))
    fast = end_event(s.run("publish", film, "--name", "cam", "--json"))
    check(slow["frames"] == fast["frames"] > 40, "frames: %s, %s", slow, fast)
    check(1.8 < slow["seconds"], "seconds: %s", slow)
    pace(fast["seconds"] < slow["seconds"], "seconds: %s, %s", slow, fast)


def test_truncated_film_says_so(s):
    with open(harness.CLIP, "rb") as film, open(s.path("part.mp4"), "wb") as part:
        part.write(film.read(2000000))
    for path in (s.path("part.mp4"), media.make(s.root, "truncated")):
        result = s.run("publish", path, "--name", "cam", "--json")
        check(result.code == FAILED and "truncated" in result.err, "said %s", result)
        check(os.path.basename(path) in result.err and end_event(result)["frames"] > 100, "said %s", result)


def test_film_without_pictures_says_so(s):
    for kind, words in (("empty", "empty"), ("noise", "no media file"),
                        ("headless", "moov")):
        result = s.run("publish", media.make(s.root, kind), "--name", "cam")
        check(result.code == FAILED and words in result.err, "%s: %s", kind, result)


def test_damaged_film_says_so(s):
    result = s.run("publish", media.make(s.root, "corrupt"), "--name", "cam", "--json")
    seen = end_event(result)
    check(result.code == OK and seen["corrupt"] > 0 and "is damaged" in result.err, "said %s", result)
    said = [line for line in result.err.splitlines() if "[h264]" in line]
    check(len(said) < 40 + seen["seconds"] and len(said) < 2 * seen["corrupt"], "%d lines", len(said))


def test_film_over_http(s):
    """Ends like a file; a server that is gone is tried again."""
    film = s.path("web.mp4")
    media.ffmpeg("-i", media.make(s.root, "hevc8"), "-c", "copy", "-movflags", "+faststart", film)
    server = s.start_program("python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "-d", s.root, "0")
    port = server.wait_for(r"port (\d+)", "out").group(1)
    url = "http://127.0.0.1:%s/%s" % (port, os.path.basename(film))
    result = s.run("publish", url, "--name", "cam", "--json")
    check(result.code == OK and end_event(result)["frames"] > 40, "said %s", result)
    result = s.run("publish", url + ".none", "--name", "cam", "--no-reconnect")
    check(result.code == FAILED and "404" in result.err, "said %s", result)
    server.kill()
    result = s.run("publish", url, "--name", "cam", "--duration", "1")
    check(result.code == harness.TIMEOUT, "said %s", result)
    pace("refused" in result.err, "said %s", result)


def test_reconnect_of_a_file(s):
    """With --reconnect a file that ends is taken up again, as a new epoch."""
    film = media.make(s.root, "hevc8")
    pub = s.publish(film, "cam", "--realtime", "--reconnect", "--json")
    observer = s.start_program(harness.need_built("tests", "observer"), "cam", "--ordered")
    observer.wait_for("joined")
    pub.wait_for('"reconnected"', "out", len(pub.out))
    frames = s.json("info", "cam", "--json")["frames"]
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > frames + 10, "it goes on")
    observer.send(2)
    seen = harness.parse_json(observer.wait().out)
    check(seen["epochs"] >= 1 and not seen["gaps"] and not seen["back_jumps"], "saw %s", seen)
    check(end_event(pub.stop())["reconnects"] >= seen["epochs"], "said %s", pub.out)


def test_ctrl_c_in_a_call_that_does_not_listen(s):
    """Opening a FIFO nobody writes to blocks in the kernel; the stream beside it and the process end all the same."""
    os.mkfifo(s.path("fifo"))
    pub = s.start("publish", "test:64x48@50", "--name", "a", s.path("fifo"), "--name", "b")
    s.wait_stream("a")
    pub.stop()


def test_drop_policy(s):
    """A full subscriber that stands still: nothing waits for it, and nobody is evicted."""
    pub = s.start("publish", "test:64x48@100", "--name", "cam", "--policy", "drop", "--json")
    s.wait_stream("cam")
    observer = s.start_program(harness.need_built("tests", "observer"), "cam", "--ordered", "--hold", "100000")
    observer.wait_for("joined")
    s.until(lambda: s.json("info", "cam", "--json")["dropped"] > 20, "frames are dropped")
    seen = end_event(pub.stop())
    check(seen["evictions"] == 0 and seen["dropped"] > 20, "said %s", seen)


if __name__ == "__main__":
    harness.main(globals())
