#!/usr/bin/env python3
"""test_films.py - films in files: whether all of one came is judged by how long it lasts, wherever its times begin; and
what is there under a name is a file, whatever the name looks like."""
import os
import shutil
import subprocess

import harness
import media
from harness import FAILED, OK, check

FRAMES = 339  # of media's "camera", in 14 s


def ended(result):
    return harness.parse_json(result.out.splitlines()[-1])


def whole(s, path, frames, *args):
    """It ends well, and every picture came."""
    result = s.run("publish", path, "--name", "cam", "--json", *args)
    check(result.code == OK, "%s: %s", path, result)
    came = ended(result)["frames"]
    check(came == frames, "%s: %d frames of %d: %s", path, came, frames, result.err)


def cut(s, path, part=0.6):
    """A copy of which the end is missing."""
    short = s.path("cut-" + os.path.basename(path))
    with open(path, "rb") as film, open(short, "wb") as copy:
        copy.write(film.read(int(os.path.getsize(path) * part)))
    return short


def truncated(s, path):
    result = s.run("publish", path, "--name", "cam", "--json")
    check(result.code == FAILED and "truncated" in result.err, "%s: %s", path, result)


def test_times_that_begin_late(s):
    film = media.make(s.root, "camera")
    for name, late, more in (("late.mkv", "3600", ()), ("late.mp4", "3600", ("-movflags", "+faststart")),
                             ("late.ts", "3600", ()), ("late.flv", "3600", ()), ("bit-late.mkv", "20", ()),
                             ("late-sound.mkv", "3600", ("-f", "lavfi", "-t", "14", "-i", "sine", "-c:a", "aac"))):
        sound = more[:6] if "sound" in name else ()
        media.ffmpeg("-i", film, *sound, "-c:v", "copy", *more[len(sound):], "-output_ts_offset", late, s.path(name))
        whole(s, s.path(name), FRAMES)
        if not name.endswith((".ts", ".flv")):  # these do not say how long they are
            truncated(s, cut(s, s.path(name)))
    os.truncate(s.path("late.ts"), os.path.getsize(s.path("late.ts")) - 100)
    truncated(s, s.path("late.ts"))


def test_transport_streams_that_begin_anywhere(s):
    """Cut out of one, or taken from the network: with the end of a packet, or something else, before the first whole
    one. In the middle of a group of pictures those come from the next keyframe on."""
    whole_path, path = s.path("camera.ts"), s.path("begin.ts")
    media.ffmpeg("-i", media.make(s.root, "camera"), "-c", "copy", whole_path)
    with open(whole_path, "rb") as film:
        data = film.read()
    for before in (b"\0" * 1280, data[-100:], b"HTTP/1.1 200 OK\r\n\r\n"):
        with open(path, "wb") as film:
            film.write(before + data)
        whole(s, path, FRAMES)
        os.truncate(path, os.path.getsize(path) - 100)
        truncated(s, path)
    media.ffmpeg("-i", whole_path, "-c", "copy", "-mpegts_m2ts_mode", "1", s.path("camera.m2ts"))
    whole(s, s.path("camera.m2ts"), FRAMES)
    os.truncate(s.path("camera.m2ts"), os.path.getsize(s.path("camera.m2ts")) - 100)
    truncated(s, s.path("camera.m2ts"))
    with open(path, "wb") as film:
        film.write(b"".join(data[at:at + 188] + bytes(16) for at in range(0, len(data), 188)))
    whole(s, path, FRAMES)
    with open(path, "wb") as film:
        film.write(data[len(data) // 3:])  # not at a packet
    result = s.run("publish", path, "--name", "cam", "--json")
    check(result.code == OK and ended(result)["frames"] > FRAMES // 2, "from the middle: %s", result)


def test_what_lies_behind_a_transport_stream(s):
    """What was reserved for it and not filled, or anything else: no packet was cut off."""
    path = s.path("behind.ts")
    media.ffmpeg("-i", media.make(s.root, "camera"), "-c", "copy", s.path("camera.ts"))
    with open(s.path("camera.ts"), "rb") as film:
        data = film.read()
    for behind in (bytes(100000), b"\xff" * 188 * 9, b"the end"):
        with open(path, "wb") as film:
            film.write(data + behind)
        whole(s, path, FRAMES)
    with open(path, "wb") as film:
        film.write(data[:-88])
    truncated(s, path)


def test_edit_lists(s):
    """A film of which the beginning is not to be shown, and one that is to begin later."""
    film = media.make(s.root, "camera")
    media.ffmpeg("-ss", "7.3", "-i", film, "-c", "copy", s.path("second-half.mp4"))
    result = s.run("publish", s.path("second-half.mp4"), "--name", "cam", "--json")
    check(result.code == OK and ended(result)["frames"] >= 160, "said %s", result)
    media.ffmpeg("-itsoffset", "5", "-i", film, "-f", "lavfi", "-t", "19", "-i", "sine", "-c:v", "copy", "-c:a", "aac",
                 "-movflags", "+faststart", s.path("later.mp4"))
    whole(s, s.path("later.mp4"), FRAMES)
    truncated(s, cut(s, s.path("later.mp4")))


def test_tracks_that_last_longer(s):
    """Sound that goes on is no picture that is missing."""
    film = media.make(s.root, "camera")
    for name in ("sound.mkv", "sound.mp4"):
        media.ffmpeg("-i", film, "-f", "lavfi", "-t", "30", "-i", "sine", "-c:v", "copy", "-c:a", "aac", s.path(name))
        for more in ((), ("--no-packets",)):
            whole(s, s.path(name), FRAMES, *more)


def test_tracks_that_begin_later(s):
    """The length of the film counts from the beginning of the other track; some tell one for each track, too."""
    film, sound = media.make(s.root, "camera"), ("-f", "lavfi", "-t", "13", "-i", "sine", "-c:v", "copy", "-c:a", "aac")
    for name in ("later.mkv", "later.mov", "later.flv"):
        media.ffmpeg("-itsoffset", "4", "-i", film, *sound, "-ar", "44100", s.path(name))
        for more in ((), ("--no-packets",)):
            whole(s, s.path(name), FRAMES, *more)
    truncated(s, cut(s, s.path("later.mkv")))


def test_a_hole_in_the_times(s):
    """As in a recording of a camera that was away for some time."""
    film = media.make(s.root, "camera")
    media.ffmpeg("-i", film, "-c", "copy", "-bsf:v", "setts=ts=TS+gte(N\\,100)*5/TB", s.path("hole.mkv"))
    whole(s, s.path("hole.mkv"), FRAMES)
    truncated(s, cut(s, s.path("hole.mkv")))


def playlist(s, name, *segments, seconds=4, gap=True):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:%d" % seconds, "#EXT-X-MEDIA-SEQUENCE:0"]
    for number, segment in enumerate(segments):
        lines += ["#EXT-X-DISCONTINUITY"] * (gap and number > 0) + ["#EXTINF:%d.0," % seconds, segment]
    with open(s.path(name), "w") as file:
        file.write("\n".join(lines + ["#EXT-X-ENDLIST"]) + "\n")
    return s.path(name)


def test_a_discontinuity(s):
    """The second part of an HLS film begins at the times of the first one, or long before or behind them."""
    for number, begin in enumerate((0, 0, 5000)):
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-c:v", "libx264", "-preset", "veryfast", "-g",
                     "25", "-bf", "0", "-output_ts_offset", str(begin), s.path("part%d.ts" % number))
    whole(s, playlist(s, "again.m3u8", "part0.ts", "part1.ts"), 200)
    whole(s, playlist(s, "later.m3u8", "part0.ts", "part2.ts"), 200)
    whole(s, playlist(s, "back.m3u8", "part2.ts", "part0.ts"), 200)
    media.ffmpeg("-i", s.path("part2.ts"), "-c", "copy", "-t", "1", s.path("short.ts"))
    truncated(s, playlist(s, "missing.m3u8", "part0.ts", "short.ts"))


NAMES = ("12:30:05.mp4", "rtsp:x.mp4", "concat:a|b.mp4", "http:x", "file:x.mp4", "a%20b.mp4", "a%03d.mp4", "*.mp4",
         "subfile,,start,0,end,0,,:a.mp4", "pipe:0", "-film.mp4", "test.mp4", "a b'c\".mp4", "data:,x", "a{1,2}.mp4")


def test_names_of_files(s):
    film = media.make(s.root, "hevc8")
    for name in NAMES:
        shutil.copy(film, s.path(name))
        result = s.run("publish", "--name", "cam", "--json", "--", name)
        check(result.code == OK and ended(result)["frames"] > 40, "%s: %s", name, result)
        check(s.run("publish", s.path(name), "--name", "cam").code == OK, "%s with its directory", name)
    os.mkdir(s.path("rtsp:"))
    shutil.copy(film, s.path("rtsp:", "camera"))
    result = s.run("publish", "rtsp://camera", "--name", "cam", "--json")
    check(result.code == OK and ended(result)["frames"] > 40, "said %s", result)


def test_names_with_controls(s):
    """A name that would be two lines, or speak to the terminal, is one line in messages and itself in JSON."""
    film = media.make(s.root, "hevc8")
    for name in ("a\nb.mp4", "red\x1b[31m.mp4", "bell\x07\x7f.mp4", "c1\x9b31m.mp4"):
        shutil.copy(film, s.path(name))
        result = s.run("publish", name, "--name", "cam", "--json")
        check(result.code == OK and ended(result)["input"] == name, "%r: %s", name, result)
        odd = [c for c in result.err.replace("\n", "") if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0]
        lines = [line for line in result.err.splitlines() if not line.startswith("cuframes publish: ")]
        check(not odd and not lines, "%r: controls %s, lines %s", name, odd, lines)


def test_names_of_pictures(s):
    """One picture, whose name might be a pattern; and a pattern, of which there is no such file."""
    media.ffmpeg("-i", harness.CLIP, "-frames:v", "3", "-vf", "scale=160:90", s.path("p%d.png"))
    for name in ("a%d.png", "a%03d.png", "?.png", "[a].png", "%%.png"):
        shutil.copy(s.path("p1.png"), s.path(name))
        whole(s, name, 1)
    whole(s, "p%d.png", 3)
    for name in ("p1.png", "p2.png", "p3.png"):
        os.unlink(s.path(name))


def test_standard_input(s):
    """'-' is what is piped in."""
    with open(media.make(s.root, "reordered_ts"), "rb") as film:
        done = subprocess.run([harness.program(), "publish", "-", "--name", "cam", "--json"], stdin=film,
                              capture_output=True, text=True, env=s.env, timeout=harness.LIMIT)
    check(done.returncode == OK and harness.parse_json(done.stdout.splitlines()[-1])["frames"] > 40, "said %s", done)


def test_an_index_at_the_end(s):
    """An MP4 as encoders leave it: a file that is redirected can be read like any, a pipe cannot, which is said."""
    path = s.path("end.mp4")
    media.ffmpeg("-i", media.make(s.root, "camera"), "-c", "copy", path)
    args = [harness.program(), "publish", "-", "--name", "cam", "--json"]
    with open(path, "rb") as film:
        done = subprocess.run(args, stdin=film, capture_output=True, text=True, env=s.env, timeout=harness.LIMIT)
    came = harness.parse_json(done.stdout.splitlines()[-1])["frames"]
    check(done.returncode == OK and came == FRAMES, "%d frames: %s", came, done)
    with open(path, "rb") as film:
        done = subprocess.run(args, input=film.read(), capture_output=True, env=s.env, timeout=harness.LIMIT)
    said = done.stderr.decode()
    check(done.returncode == FAILED and "(moov) is at its end" in said and "faststart" in said, "said %s", said)


def test_names_of_results(s):
    """Any name is a file's there, too."""
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    for name in ("12:30:05.mkv", "tcp:x.ts", "udp:1.mp4", "concat:x.mkv", "a b.mp4"):
        s.start("record", "film", name, "--duration", "0.5").expect(OK)
        check(os.path.getsize(s.path(name)) > 1000, "%s is empty", name)
        check(s.run("publish", name, "--name", "again").code == OK, "%s cannot be read", name)
    for name in ("12:30:05.png", "http:x.jpg"):
        check(s.run("snapshot", "film", name).code == OK and os.path.getsize(s.path(name)) > 1000, "no %s", name)


if __name__ == "__main__":
    harness.main(globals())
