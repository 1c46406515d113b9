#!/usr/bin/env python3
"""test_decode_in_place.py - pictures that the decoder makes in the slots are those that it makes elsewhere, bit by bit,
whatever the codec, the size, the cropping, the order and the fields; and they do not change while somebody has them."""
import os

import harness
import media
from harness import check

# kind of film: the smallest part of its pictures that must be made in their slots; 0: none is, which is right there
FILMS = {
    "video": 0.9,       # H.264 with B-frames
    "hevc8": 0.9,
    "hevc10": 0.9,
    "cropped": 0.9,     # below and on the right
    "cropped_left": 0,  # a picture does not begin where its buffer does
    "fields": 0,        # H.264 might still write into them
    "fields_mpeg2": 0.9,
    "mpeg4": 0.9,
    "mjpeg": 0.9,
    "odd": 0.9,
    "vp8": 0.7,         # with pictures that are never shown
    "vp9": 0.7,
    "repeated": 0.7,    # pictures that are shown again, and then are copied
    "yuv444": 0.9,
    "resize": 0.5,
    "gray": 0,          # FFV1, not known to leave alone what it gave out
}
DAMAGED = ("corrupt", "truncated")
# Films that others read while the decoder goes on; pictures of them are shown again, or predict many others.
HELD = ("video", "vp9", "fields_mpeg2", "corrupt")


def sums(s, film, *options, frames=100000, code=harness.OK):
    """The stream's pictures, as `size format sum`, and what publish said at its end."""
    program = harness.need_built("tests", "gpu", "frame_sums")
    pub = s.start("publish", film, "--name", "cam", "--device", "host", "--wait-for", "1", "--json",
                  "--ordered-timeout", harness.LIMIT, *options)
    s.wait_stream("cam", pub)
    reader = s.start_program(program, "cam", "--frames", frames).wait()
    if "--loop" in options:
        pub.send(2)
    end = harness.parse_json(pub.expect(code).out.splitlines()[-1])
    return [line.split(" ", 1)[1] for line in reader.out.splitlines()], end


def compare(s, kind, film, *options, part=0.0, code=harness.OK):
    copied, there = sums(s, film, "--decode-copy", *options, code=code)
    made, here = sums(s, film, *options, code=code)
    check(there["in_place"] == 0, "%s: told to copy, it made %d in place", kind, there["in_place"])
    check(len(copied) == there["frames"] > 20, "%s: saw %d of %d", kind, len(copied), there["frames"])
    check(len(made) == here["frames"] == there["frames"], "%s: %d in place, %d copied", kind, len(made), len(copied))
    wrong = [number for number, (one, other) in enumerate(zip(made, copied), 1) if one != other]
    check(not wrong, "%s: %d of %d pictures differ, the first is number %s: %s, not %s", kind, len(wrong), len(made),
          wrong[:1], made[wrong[0] - 1] if wrong else "", copied[wrong[0] - 1] if wrong else "")
    least = part * len(made)
    check(least <= here["in_place"] and (part or not here["in_place"]), "%s: %d of %d in place", kind, here["in_place"],
          len(made))
    return made


def test_the_same_pictures(s):
    seen = []
    for kind, part in FILMS.items():
        try:
            film = media.make(s.root, kind)
        except harness.Skip:
            continue  # no encoder for it here
        compare(s, kind, film, part=part)
        seen.append(kind)
    check({"video", "odd", "mjpeg", "mpeg4", "gray"} <= set(seen), "only %s could be made", seen)


def test_pictures_that_are_shown_again(s):
    """One of them after dozens of others: no slot may be written again that the decoder still has."""
    made, end = sums(s, media.make(s.root, "repeated"))
    twice = sum(one == other for one, other in zip(made, made[1:]))
    often = max(made.count(one) for one in made)
    check(twice >= 4 and often >= 5, "%d came twice, one %d times", twice, often)
    check(20 < end["in_place"] <= end["frames"] - twice, "%s", end)


def test_as_ffmpeg_has_them(s):
    """Not only alike, but right."""
    film = media.make(s.root, "cropped")
    made, _ = sums(s, film)
    said = s.path("sums")
    media.ffmpeg("-i", film, "-map", "0:v:0", "-fps_mode", "passthrough", "-sws_flags", "accurate_rnd+bitexact", "-vf",
                 "format=nv12", "-f", "framemd5", said)
    with open(said, encoding="utf-8") as file:
        wanted = [line.split(",")[-1].strip() for line in file if not line.startswith("#")]
    check([line.split()[-1] for line in made] == wanted, "%d pictures, %d wanted", len(made), len(wanted))


def test_damaged_films(s):
    """What is concealed, or left as it was, is the decoder's affair: frames may differ, their number not."""
    for kind in DAMAGED:
        film = media.make(s.root, kind)
        code = harness.FAILED if kind == "truncated" else harness.OK
        copied, there = sums(s, film, "--decode-copy", code=code)
        made, here = sums(s, film, code=code)
        check(len(made) == len(copied) == here["frames"] == there["frames"] > 20, "%s: %s, %s", kind, here, there)
        check(here["in_place"] > 20, "%s: %s", kind, here)


def test_conversions_copy(s):
    """Where the format is not the decoder's there is nothing to make in place."""
    _, end = sums(s, media.make(s.root, "hevc8"), "--format", "nv12")
    check(end["in_place"] == 0 and end["frames"] > 40, "said %s", end)


def test_pictures_do_not_change_in_a_reader_s_hands(s):
    """Two streams share the processors: decoders with several threads and with one."""
    observer = harness.need_built("tests", "observer")
    films = [media.make(s.root, kind) for kind in HELD]
    for film in films:
        pub = s.publish(film, "cam", "--loop", "--json", "--quiet")
        readers = [s.start_program(observer, "cam", "--frames", "60", "--hold", hold) for hold in ("0", "20")]
        for reader in readers:
            seen = reader.json()
            check(seen["frames"] >= 60 and seen["changed"] == 0, "%s: %s", os.path.basename(film), seen)
        end = harness.parse_json(pub.stop().out.splitlines()[-1])
        check(end["in_place"] > 20, "%s: %s", os.path.basename(film), end)


def test_more_streams_than_processors(s):
    """Each decoder has one thread, and a slot is asked for by the one that publishes."""
    film = media.make(s.root, "mpeg4")
    alone, _ = sums(s, film)
    many = [argument for number in range(2 * (os.cpu_count() or 1)) for argument in (film, "--name", "m%d" % number)]
    pub = s.start("publish", film, "--name", "cam", "--device", "host", "--wait-for", "1", "--ordered-timeout",
                  harness.LIMIT, *many, "--wait-for", "1")
    s.wait_stream("cam", pub)
    reader = s.start_program(harness.need_built("tests", "gpu", "frame_sums"), "cam", "--frames", len(alone)).wait()
    check([line.split(" ", 1)[1] for line in reader.out.splitlines()] == alone, "the pictures differ")
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
