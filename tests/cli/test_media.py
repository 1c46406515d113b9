#!/usr/bin/env python3
"""test_media.py - films of many kinds become streams of the right size and format, and stay whole."""
import harness
import media
from harness import check, pace

# kind of film: what list says of its stream
EXPECTED = {
    "hevc8": (320, 180, ("nv12", "yuv420p")),
    "hevc10": (320, 180, ("yuv420p10",)),
    "mjpeg": (320, 180, ("yuv422p",)),
    "odd": (321, 181, ("yuv420p", "nv12")),
    "yuv444": (320, 180, ("yuv444p",)),
    "gray": (320, 180, ("gray8",)),
    "video": (1280, 720, ("nv12", "yuv420p")),
}


def publish_kind(s, kind):
    width, height, formats = EXPECTED[kind]
    pub = s.publish(media.make(s.root, kind), "cam", "--realtime", "--loop")
    stream = s.wait_stream("cam")
    check((stream["width"], stream["height"]) == (width, height), "%s: %s", kind, stream)
    check(stream["format"] in formats, "%s became %s", kind, stream["format"])
    seen = s.json("verify", "cam", "--json", "--frames", "24", "--mode", "ordered")
    check(seen["frames"] == 24, "%s: %s", kind, seen)
    check(not any(seen[key] for key in ("torn", "back_jumps", "duplicates", "gaps")), "%s: %s", kind, seen)
    pub.stop()


def test_hevc(s):
    publish_kind(s, "hevc8")


def test_hevc_10_bit(s):
    publish_kind(s, "hevc10")


def test_mjpeg(s):
    publish_kind(s, "mjpeg")


def test_odd_size(s):
    publish_kind(s, "odd")


def test_444(s):
    publish_kind(s, "yuv444")


def test_gray(s):
    publish_kind(s, "gray")


def test_without_sound(s):
    publish_kind(s, "video")


def test_every_frame_of_a_file(s):
    """Not looped: an ordered subscriber gets all pictures from the one it began with, then the end."""
    whole = s.run("publish", harness.CLIP, "--name", "whole", "--json")
    check(harness.parse_json(whole.out.splitlines()[-1])["frames"] == 338, "of 338: %s", whole)
    film = media.make(s.root, "hevc8")
    waiting = s.start_program(harness.need_built("tests", "observer"), "cam", "--ordered", "--wait")
    pub = s.start("publish", film, "--name", "cam", "--realtime", "--json", "--ordered-timeout", harness.LIMIT)
    published = harness.parse_json(pub.expect(harness.OK).out.splitlines()[-1])["frames"]
    seen = waiting.json()
    check(40 < published == seen["last"] and seen["gaps"] == 0, "saw %s of %d", seen, published)
    check(seen["frames"] == seen["last"] - seen["first"] + 1, "saw %s", seen)
    pace(seen["first"] <= 8, "it came late: %s", seen)


if __name__ == "__main__":
    harness.main(globals())
