#!/usr/bin/env python3
"""test_bare_streams.py - video that comes without times and out of its order: what tells when pictures are shown is the
order that is written in each. From a file, from a camera, and at once; as from the container that it was in before."""
import os

import harness
import media
import recording
from harness import OK, check, pace
from server import Server

FPS = 25
PICTURES = 75
KINDS = {
    "b-frames.h264": ("libx264", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=none:scenecut=0"),
    "pyramid.h264": ("libx264", "-x264-params", "bframes=3:b-adapt=0:scenecut=0"),
    "open.h264": ("libx264", "-x264-params", "bframes=3:open-gop=1:scenecut=0"),
    "pyramid.h265": ("libx265", "-x265-params", "log-level=error:bframes=4:scenecut=0"),
    "closed.h265": ("libx265", "-x265-params", "log-level=error:bframes=3:open-gop=0:scenecut=0"),
    "b-frames.m2v": ("mpeg2video", "-bf", "2", "-q:v", "5"),
    "pyramid.avi": ("libx264", "-x264-params", "bframes=3:b-adapt=0:scenecut=0"),
}


def film(s, name):
    """A film in Matroska, and the same as it is called."""
    whole, bare = s.path("whole.mkv"), s.path(name)
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=%d:d=%d" % (FPS, PICTURES // FPS), "-g", "25", "-pix_fmt",
                 "yuv420p", "-c:v", *KINDS[name], whole)
    annexb = ("-bsf:v", "h264_mp4toannexb") if name.endswith(".avi") else ()
    media.ffmpeg("-i", whole, "-c", "copy", *annexb, bare)
    return whole, bare


def ranks(path):
    """Of each packet, in the order of decoding, the place of its picture in the order of showing."""
    times = [float(packet["pts_time"]) for packet in recording.packets(path)]
    order = sorted(times)
    check(len(set(times)) == len(times), "%s: two pictures at one time: %s", path, order)
    return [order.index(time) for time in times]


def check_order(whole, path):
    """Every picture, in the right order, by packets and by what a player shows."""
    want, come = ranks(whole), ranks(path)
    check(come == want, "%s: pictures in the order %s, not %s", path, come, want)
    pictures, trouble = recording.decoded(path, "v:0")
    check(pictures == recording.decoded(whole, "v:0")[0] and not trouble, "%s: other pictures, %s", path, trouble)


def steps(path):
    times = sorted(float(packet["pts_time"]) for packet in recording.packets(path))
    return [after - before for before, after in zip(times, times[1:])]


def test_in_files(s):
    for name in KINDS:
        whole, bare = film(s, name)
        recorders = [s.start("record", "film", s.path("film." + kind), "--wait", "--overwrite")
                     for kind in ("mkv", "mp4")]
        s.start("publish", bare, "--name", "film", "--wait-for", "2").expect(OK)
        for recorder in recorders:
            recorder.expect(OK)
        for path in (s.path("film.mkv"), s.path("film.mp4")):
            check_order(whole, path)
            check(all(abs(step - 1 / FPS) < 2e-3 for step in steps(path)), "%s: steps of %s", name, steps(path))


def test_at_once(s):
    """Through a pipe as fast as it goes: times are those of arrival, and the order is that of the pictures."""
    for name in ("pyramid.h264", "closed.h265", "open.h264"):
        whole, bare = film(s, name)
        recorder = s.start("record", "film", s.path("film.ts"), "--wait", "--overwrite")
        with open(bare, "rb") as file:
            s.start("publish", "-", "--name", "film", "--wait-for", "1", stdin=file).expect(OK)
        recorder.expect(OK)
        check_order(whole, s.path("film.ts"))


def units(path):
    """The bytes of each picture."""
    with open(path, "rb") as file:
        data = file.read()
    ends = [int(packet["pos"]) for packet in recording.packets(path)][1:] + [os.path.getsize(path)]
    return [data[begin:end] for begin, end in zip([0, *ends], ends)]


def test_from_a_camera(s):
    """At its pace, which nothing in the stream tells; the order holds however unsteady that is."""
    whole, bare = film(s, "pyramid.h264")
    server = Server(s, "tcp", units(bare), 15)
    recorder = s.start("record", "film", s.path("film.mkv"), "--wait", "--duration", "4")
    pub = s.publish(server.url.rstrip("/"), "film", "--no-reconnect")
    recorder.expect(OK)
    pub.stop()
    times = [float(packet["pts_time"]) for packet in recording.packets(s.path("film.mkv"))]
    come = [sorted(times).index(time) for time in times]
    want = ranks(whole)[:25]  # a group of pictures begins anew with each keyframe
    whole_groups = len(come) // 25
    check(whole_groups > 1 and come[:25 * whole_groups] == [25 * group + rank for group in range(whole_groups)
                                                            for rank in want], "pictures in the order %s", come)
    pictures, trouble = recording.decoded(s.path("film.mkv"), "v:0")
    pictures, shown = pictures[:25 * whole_groups], recording.decoded(whole, "v:0")[0]
    began = shown.index(pictures[0])
    check(pictures == (2 * shown)[began:began + len(pictures)] and not trouble, "other pictures: %s", trouble)
    late = sorted(times)[9:-4]  # of the last some are missing
    pace(all(abs(after - before - 1 / 15) < 1 / 20 for before, after in zip(late, late[1:])), "pictures at %s", late)


if __name__ == "__main__":
    harness.main(globals())
