#!/usr/bin/env python3
"""test_record_pictures.py - what a film says of its pictures is said by its recording: colour, HDR, shape of pixels,
orientation, as far as the container has a place for it."""
import harness
import recording
from harness import OK, check

WORDS = ("color_range", "color_space", "color_transfer", "color_primaries", "sample_aspect_ratio")
# From version 7 on, the ffmpeg program encodes what the pictures say, not these options.
MARKS = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
PQ = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_range", "tv")
DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


def light(stream):
    """What is said of mastering display and content light, as numbers."""
    said = {}
    for side in stream.get("side_data_list", ()):
        if side["side_data_type"] in ("Mastering display metadata", "Content light level metadata"):
            for key, value in side.items():
                if key != "side_data_type":
                    top, _, bottom = str(value).partition("/")
                    said[key] = float(top) / float(bottom or 1)
    return said


def same(one, other):
    return one.keys() == other.keys() and all(abs(one[key] - other[key]) <= 1e-4 * abs(one[key]) for key in one)


def record(s, source, *names):
    before = recording.streams(source)["video"]
    for name, said in zip(names, recording.record_whole(s, source, *names, args=("--overwrite",))):
        check(said["code"] == OK, "%s: %s", name, said)
    return before, [recording.streams(s.path(name))["video"] for name in names]


def test_colour(s):
    for number, (encoder, *options) in enumerate((("libx264",), ("libx265", "-x265-params", "log-level=error"),
                                                  ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"))):
        source = s.path("film-%d.mkv" % number)
        recording.ffmpeg(*recording.PICTURES, "-vf", "setsar=4/3," + MARKS, "-pix_fmt", "yuv420p", "-c:v", encoder,
                         *options, *PQ, source)
        before, after = record(s, source, "a.mp4", "a.mkv")
        check(all(word in before for word in WORDS), "the film itself says %s", before)
        for name, stream in zip(("a.mp4", "a.mkv"), after):
            for word in WORDS:
                check(stream.get(word) == before[word], "%s in %s: %s is %s, was %s", encoder, name, word,
                      stream.get(word), before[word])


def test_hdr(s):
    """Said by the pictures; then by the container alone."""
    source, bare = s.path("film.mkv"), s.path("bare.mkv")
    recording.ffmpeg(*recording.PICTURES, "-vf", MARKS, "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset",
                     "ultrafast", "-x265-params", "log-level=error:hdr-opt=1:repeat-headers=1:" + DISPLAY, *PQ, source)
    _, (in_mp4, in_mkv) = record(s, source, "a.mp4", "a.mkv")
    said = light(in_mp4)
    check(abs(said.get("green_x", 0) - 0.265) < 1e-4 and abs(said.get("blue_y", 0) - 0.06) < 1e-4 and
          abs(said.get("red_x", 0) - 0.68) < 1e-4 and said.get("max_luminance") == 1000 and
          said.get("max_content") == 1000 and said.get("max_average") == 400, "MP4 says %s", said)
    check(same(said, light(in_mkv)), "Matroska says %s", light(in_mkv))
    recording.ffmpeg("-i", s.path("a.mkv"), "-c", "copy", "-bsf:v", "filter_units=remove_types=39", bare)
    before, after = record(s, bare, "b.mp4", "b.mkv")
    check(same(light(before), said), "without its messages the film says %s", light(before))
    for stream in after:
        check(same(light(stream), said), "it says %s", light(stream))


def test_turned(s):
    """MP4 says it. Matroska does from FFmpeg 7 on, and until then it is said that it is lost."""
    upright = s.path("upright.mp4")
    recording.ffmpeg(*recording.PICTURES, *recording.H264, upright)
    source = recording.turned(upright, s.path("film.mp4"), (0, 1, -1, 0))
    said = recording.record_whole(s, source, "a.mp4", "a.mkv")
    turns = [[side["rotation"] for side in recording.streams(path)["video"].get("side_data_list", ())
              if "rotation" in side] for path in (source, s.path("a.mp4"), s.path("a.mkv"))]
    check(turns[0] and turns[1] == turns[0], "turned by %s", turns)
    check(turns[2] == turns[0] or "is to be turned" in said[1]["err"], "%s, and %r", turns, said[1]["err"])


if __name__ == "__main__":
    harness.main(globals())
