#!/usr/bin/env python3
"""test_picture_words.py - what pictures say of themselves, from films through streams into snapshots and recordings:
orientation, pixels that are not square, fields, chroma location, colour; and decoders' own pixel formats."""
import json
import os
import re
import subprocess

import harness
import media
import recording
from harness import FAILED, OK, check
from test_snapshot import near, pixel, read_png

WIDTH, HEIGHT = 96, 64
# Upper left, upper right, lower left, lower right: no turn and no mirror makes them look alike.
QUARTERS = ((200, 40, 40), (40, 180, 40), (50, 60, 220), (220, 220, 60))
# The matrix of each orientation, as the numbers a, b, c, d of MP4: (p, q) is shown at (a p + c q, b p + d q).
TURNS = {1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
         5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0)}


def film(s, *options, name="quarters.mp4", codec=("-c:v", "libx264", "-qp", "4"), pixels="yuv420p", filters=""):
    """Two seconds that stand still, each quarter in a colour of its own."""
    w, h = WIDTH // 2, HEIGHT // 2
    boxes = ["drawbox=x=%d:y=%d:w=%d:h=%d:color=0x%02x%02x%02x:t=fill" % (x * w, y * h, w, h, *QUARTERS[2 * y + x])
             for y in (0, 1) for x in (0, 1)]
    path = s.path(name)
    media.ffmpeg("-f", "lavfi", "-i", "color=black:s=%dx%d:r=10:d=2,format=rgb24" % (WIDTH, HEIGHT), "-vf",
                 ",".join(boxes) + filters + ",format=" + pixels, *codec, *options, path)
    return path


def turned(s, path, orientation, turn=None):
    """The same film with this orientation, or this turn that is none, in the head of its track."""
    return recording.turned(path, s.path("turned-%d.mp4" % orientation), turn or TURNS[orientation])


def quarters(image):
    """The colours in the middle of its quarters."""
    width, height = image[:2]
    return [pixel(image, x * width // 4, y * height // 4) for y in (1, 3) for x in (1, 3)]


def shown_by_ffmpeg(path):
    """The first picture of a film as the ffmpeg program shows it: turned as it says."""
    ffmpeg = harness.need_program("ffmpeg")
    done = subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-i", path, "-frames:v", "1", "-f", "image2pipe",
                           "-c:v", "ppm",
                           "-pix_fmt", "rgb24", "-"], capture_output=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffmpeg: %s", done.stderr)
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", done.stdout)
    return int(head.group(1)), int(head.group(2)), done.stdout[head.end():]


def same_picture(one, other, what):
    check(one[:2] == other[:2], "%s: %dx%d, not %dx%d", what, *one[:2], *other[:2])
    for mine, wanted in zip(quarters(one), quarters(other)):
        check(near(mine, wanted, 8), "%s: %s, not %s", what, quarters(one), quarters(other))


def probe(path):
    """The video stream as ffprobe sees it."""
    done = subprocess.run([harness.need_program("ffprobe"), "-v", "error", "-select_streams", "v", "-show_streams",
                           "-of",
                           "json", path], capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffprobe %s: %s", path, done.stderr)
    return json.loads(done.stdout)["streams"][0]


def matrix_of(stream):
    """a, b, c, d of a stream's display matrix, as signs; None if it has none."""
    for data in stream.get("side_data_list", []):
        if data["side_data_type"] == "Display Matrix":
            rows = [line.split()[1:] for line in data["displaymatrix"].strip().split("\n")]
            return tuple(int(rows[y][x]) // 65536 for y in (0, 1) for x in (0, 1))
    return None


def test_all_eight_orientations(s):
    """A snapshot shows what ffmpeg shows of the same film, and a recording says the same again."""
    plain = film(s)
    for orientation in TURNS:
        path = turned(s, plain, orientation)
        pub = s.publish(path, "cam", "--realtime", "--loop")
        said = s.json("list", "--json")[0]
        check(said["orientation"] == (None if orientation == 1 else orientation), "%d: %s", orientation, said)
        check((said["width"], said["height"]) == (WIDTH, HEIGHT), "not as it is stored: %s", said)
        check(s.run("snapshot", "cam", "a.png").code == OK, "no snapshot")
        wanted = shown_by_ffmpeg(path)
        same_picture(read_png(s.path("a.png")), wanted, "orientation %d" % orientation)
        check(wanted[:2] == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)), "ffmpeg turned it to %s",
              wanted[:2])
        check(s.run("record", "cam", "a.mp4", "--duration", "0.5", "--overwrite").code == OK, "no recording")
        check(matrix_of(probe(s.path("a.mp4"))) == (None if orientation == 1 else TURNS[orientation]),
              "%d: recorded as %s",
              orientation, matrix_of(probe(s.path("a.mp4"))))
        same_picture(shown_by_ffmpeg(s.path("a.mp4")), wanted, "recording of orientation %d" % orientation)
        pub.stop()


def test_a_turn_that_is_no_orientation(s):
    """Said once on stderr, and left out: a stream can say the eight of EXIF alone."""
    plain = film(s)
    for number, turn in ((10, (0.7071, 0.7071, -0.7071, 0.7071)), (11, (0, 0, 0, 0)), (12, TURNS[6])):
        pub = s.publish(turned(s, plain, number, turn), "cam", "--realtime", "--loop")
        said = s.json("list", "--json")[0]
        check(said["orientation"] == (6 if number == 12 else None), "%s: %s", turn, said)
        check(s.run("snapshot", "cam", "a.png").code == OK, "no snapshot")
        done = pub.stop()
        check(done.err.count("none of the eight") == (0 if number == 12 else 1), "%s: %s", turn, done.err)


def test_matroska_says_it_or_the_recorder_does(s):
    """FFmpeg 7 writes into Matroska how a picture is turned; an older one, and TS, do not: the recorder says so."""
    s.publish(turned(s, film(s), 6), "cam", "--realtime", "--loop")
    for kind in ("mkv", "ts", "mp4"):
        done = s.run("record", "cam", "a." + kind, "--duration", "0.5")
        check(done.code == OK, "%s", done)
        said = "is to be turned (orientation 6)" in done.err
        check(said == (matrix_of(probe(s.path("a." + kind))) is None), "%s: %s", kind, done)


def test_orientation_in_the_pictures(s):
    """H.264 says it beside its keyframes; the pictures between them are turned like those, and so is a recording."""
    codec = ("-c:v", "libx264", "-qp", "4", "-g", "4", "-bf", "0", "-x264-params", "repeat-headers=1")
    for bits, orientation in (("rotate=90", 8), ("flip=horizontal", 2)):
        path = film(s, "-bsf:v", "h264_metadata=display_orientation=insert:" + bits, name="sei-%d.ts" % orientation,
                    codec=codec)
        pub = s.publish(path, "cam", "--realtime", "--loop")
        for _ in range(6):
            check(s.run("snapshot", "cam", "a.png").code == OK, "no snapshot")
            same_picture(read_png(s.path("a.png")), shown_by_ffmpeg(path), bits)
        said = s.json("info", "cam", "--json")
        check(said["orientation"] == orientation and said["segments"] <= 4, "it changes: %s", said)
        check("%d: " % orientation in re.search("^orientation .*$", s.run("info", "cam").out, re.M).group(),
              "info says nothing")
        check(s.run("record", "cam", "a.mp4", "--duration", "0.3", "--overwrite").code == OK, "no recording")
        check(matrix_of(probe(s.path("a.mp4"))) == TURNS[orientation], "recorded as %s",
              matrix_of(probe(s.path("a.mp4"))))
        pub.stop()


def test_pixels_that_are_not_square(s):
    """A snapshot has square pixels and loses none; --scale is what it says; raw is what is stored."""
    for aspect, size in (("4/3", (128, HEIGHT)), ("1/2", (WIDTH, 128)), ("1/1", (WIDTH, HEIGHT)), ("100/1", (WIDTH,
                                                                                                             HEIGHT))):
        # FFmpeg 9 does not encode 100/1, but cameras say what they like, and it decodes it.
        path = film(s, "-bsf:v", "h264_metadata=sample_aspect_ratio=" + aspect, filters=",setsar=" + aspect,
                    name="aspect-%s.mp4" % aspect.replace("/", "-"))
        pub = s.publish(turned(s, path, 6), "cam", "--realtime", "--loop")
        check(s.json("list", "--json")[0]["sample_aspect"] == aspect.replace("/", ":"), "%s", s.json("list", "--json"))
        shot = s.json("snapshot", "cam", "a.png", "--json")["files"][0]
        check((shot["width"], shot["height"]) == size[::-1], "%s turned is %s", aspect, shot)
        check(quarters(read_png(s.path("a.png"))) != quarters(read_png(s.path("a.png")))[::-1],
              "it is the same all over")
        shot = s.json("snapshot", "cam", "a.png", "--scale", "50x70", "--json")["files"][0]
        check((shot["width"], shot["height"]) == (50, 70), "%s", shot)
        shot = s.json("snapshot", "cam", "a.raw", "--json")["files"][0]
        check((shot["width"], shot["height"]) == (WIDTH, HEIGHT), "raw: %s", shot)
        for kind in ("mp4", "mkv"):
            check(s.run("record", "cam", "a." + kind, "--duration", "0.3", "--overwrite").code == OK, "no recording")
            got = probe(s.path("a." + kind))["sample_aspect_ratio"]
            check(got == aspect.replace("/", ":"), "%s records %s as %s", kind, aspect, got)
        pub.stop()


def test_a_sheet_is_upright(s):
    s.publish(turned(s, film(s), 8), "cam", "--realtime", "--loop")
    done = s.json("snapshot", "cam", "sheet.png", "--sheet", "2x1", "--interval", "0.1", "--json")["files"][0]
    check((done["width"], done["height"]) == (2 * (HEIGHT + 4) + 4, WIDTH + 8), "%s", done)
    image = read_png(s.path("sheet.png"))
    cell = [pixel(image, 4 + x * HEIGHT // 4, 4 + y * WIDTH // 4) for y in (1, 3) for x in (1, 3)]
    wanted = [QUARTERS[i] for i in (1, 3, 0, 2)]
    check(all(near(mine, other, 12) for mine, other in zip(cell, wanted)), "the cell is %s", cell)


# What a container says beside an elementary stream that says none of it (MPEG-4 part 2 does not).
BESIDE = ("-color_primaries", "bt709", "-colorspace", "smpte170m", "-color_trc", "bt709", "-color_range", "pc")


def test_recordings_keep_what_is_said(s):
    said = {"color_primaries": "bt709", "color_space": "smpte170m", "color_transfer": "bt709", "color_range": "pc"}
    plain = film(s, name="plain.mkv", codec=("-c:v", "mpeg4", "-q:v", "2"), filters=",setsar=4/3")
    path = s.path("words.mkv")
    media.ffmpeg("-i", plain, "-c", "copy", *BESIDE, path)
    s.publish(path, "cam", "--realtime", "--loop")
    said.update(sample_aspect_ratio="4:3")
    check(all(probe(path)[key] == value for key, value in said.items()), "ffmpeg made %s", probe(path))
    for kind in ("mkv", "mp4"):
        check(s.run("record", "cam", "a." + kind, "--duration", "0.5").code == OK, "no recording")
        got = probe(s.path("a." + kind))
        check(all(got[key] == value for key, value in said.items()), "not %s: %s", said, got)


def test_fields_that_only_the_container_knows(s):
    """JPEG pictures do not say whether they have fields; Matroska does, and goes on to do so."""
    plain = film(s, name="plain.mkv", codec=("-c:v", "mjpeg", "-q:v", "2"), pixels="yuvj420p")
    path = s.path("fields.mkv")
    media.ffmpeg("-i", plain, "-c", "copy", "-field_order", "bb", path)
    s.publish(path, "cam", "--realtime", "--loop")
    s.until(lambda: s.json("list", "--json")[0]["frames"] > 3, "three pictures")
    check(s.json("info", "cam", "--json")["field_order"] == "bottom-first", "%s", s.json("info", "cam", "--json"))
    check(s.run("record", "cam", "a.mkv", "--duration", "0.5").code == OK, "no recording")
    check(probe(s.path("a.mkv"))["field_order"] == "bb", "recorded as %s", probe(s.path("a.mkv")))


def test_fields_and_chroma(s):
    """Of H.264: what is in the stream is in info, and in the recordings."""
    for field, words in (("tff", "top-first"), ("bff", "bottom-first"), ("prog", "progressive")):
        flags = () if field == "prog" else ("-flags", "+ildct+ilme")
        path = film(s, "-chroma_sample_location", "topleft", *flags, name=field + ".mp4", filters=",setfield=" + field)
        pub = s.publish(path, "cam", "--realtime", "--loop")
        s.until(lambda: s.json("list", "--json")[0]["field_order"] == words, "%s as %s" % (field, words))
        there = probe(path)["chroma_location"]  # FFmpeg 7 has its own mind about the one that was asked for
        chroma = {"topleft": "top-left", "left": "left"}[there]
        check(s.json("list", "--json")[0]["chroma_location"] == chroma, "%s", s.json("list", "--json"))
        lines = s.run("info", "cam").out.split("\n")
        check("fields       " + words in lines and "chroma       " + chroma in lines, "info says %s", lines)
        check(s.run("record", "cam", "a.mkv", "--duration", "0.3", "--overwrite").code == OK, "no recording")
        wanted = {"tff": ("tt", "tb"), "bff": ("bb", "bt"), "prog": ("progressive",)}[field]
        got = probe(s.path("a.mkv"))
        check(got["field_order"] in wanted and got["chroma_location"] == there, "%s is recorded as %s", field, got)
        pub.stop()


def test_nothing_said_is_nothing_shown(s):
    s.publish("test:64x48@25", "cam")
    said = s.json("list", "--json")[0]
    check([said[key] for key in ("chroma_location", "field_order", "orientation", "sample_aspect")] == [None] * 4,
          "%s", said)
    check(not re.search("^(chroma|fields|orientation|pixels) ", s.run("info", "cam").out, re.M), "%s", s.run("info",
                                                                                                             "cam"))


def test_tensors(s):
    """No pictures: shown by their sizes, written as they are."""
    net = s.start_program(harness.need_built("tests", "tensors"), "net")
    said = s.wait_stream("net")
    check(said["format"] == "tensor" and said["tensor"] == {"element": "float16", "size": [2, 3, 5]}, "%s", said)
    check((said["width"], said["height"]) == (0, 0), "%s", said)
    for command in (("list",), ("info", "net"), ("top", "--count", "1")):
        check("2x3x5 float16" in s.run(*command).out, "%s does not show it", command)
    done = s.run("snapshot", "net", "a.raw")
    check(done.code == OK and "a.raw: 2x3x5 float16" in done.err, "%s", done)
    with open(s.path("a.raw"), "rb") as file:
        check(file.read() == bytes(range(60)), "not the tensor")
    for args in (("a.png",), ("a.png", "--sheet", "2x2")):
        done = s.run("snapshot", "net", *args)
        check(done.code == FAILED and "net has tensors, no pictures" in done.err, "%s", done)
    seen = s.json("verify", "net", "--json", "--frames", "1")
    check(seen["frames"] == 1 and seen["torn"] == 0 and not seen["stamped"], "%s", seen)
    net.stop()


def test_decoders_own_formats(s):
    """Published as they are: no conversion, so the bytes are those that ffmpeg decodes."""
    for ours, theirs, codec in (("bgr24", "bgr24", "rawvideo"), ("yuyv422", "yuyv422", "rawvideo"), ("uyvy422",
                                                                                                     "uyvy422",
                                "rawvideo"), ("nv12", "nv12", "rawvideo"), ("yuv420p", "yuv420p", "rawvideo"),
                                ("gray8", "gray", "rawvideo"), ("gray16", "gray16le", "rawvideo"),
                                ("gray16", "gray16le", "ffv1"), ("yuv420p10", "yuv420p10le", "ffv1"),
                                ("yuv422p10", "yuv422p10le", "ffv1"), ("rgbp", "gbrp", "libx264rgb")):
        path = film(s, name=ours + ".nut", codec=("-c:v", "libx264rgb", "-qp", "0") if codec == "libx264rgb" else
                    ("-c:v", codec), pixels=theirs if codec != "libx264rgb" else "rgb24")
        pub = s.publish(path, "cam", "--realtime", "--loop")
        check(s.json("list", "--json")[0]["format"] == ours, "%s: %s", ours, s.json("list", "--json"))
        check(s.run("snapshot", "cam", "got.raw").code == OK and s.run("snapshot", "cam", "got.png").code == OK,
              "no snapshot")
        media.ffmpeg("-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", theirs, s.path("want.raw"))
        with open(s.path("got.raw"), "rb") as got, open(s.path("want.raw"), "rb") as want:
            got, want = got.read(), want.read()
        if ours == "rgbp":  # the same planes, green first
            plane = WIDTH * HEIGHT
            want = want[2 * plane:] + want[:2 * plane]
        check(got == want, "%s is not what was decoded", ours)
        for mine, wanted in zip(quarters(read_png(s.path("got.png"))), QUARTERS):
            if "gray" not in ours:
                check(near(mine, wanted, 8), "%s: %s", ours, quarters(read_png(s.path("got.png"))))
        os.unlink(s.path("got.raw"))
        pub.stop()


def test_nearest_format(s):
    """What we have no format for loses as little as can be: no gray with invented colour, no chroma thrown away."""
    for theirs, ours in (("gray10le", "gray16"), ("gray12le", "gray16"), ("monow", "gray8"), ("yvyu422", "yuv422p"),
                         ("yuv422p12le", "yuv422p10"), ("yuv444p10le", "yuv422p10"),
                         ("yuv420p12le", "p010"), ("yuv440p", "nv12"), ("yuv411p", "nv12"),
                         ("nv21", "nv12"), ("rgb565le", "rgba")):
        path = film(s, name=theirs + ".nut", codec=("-c:v", "rawvideo"), pixels=theirs)
        pub = s.publish(path, "cam", "--realtime", "--loop")
        check(s.json("list", "--json")[0]["format"] == ours, "%s: %s", theirs, s.json("list", "--json"))
        check(s.run("snapshot", "cam", "got.png").code == OK, "no snapshot")
        if "gray" not in ours:
            for mine, wanted in zip(quarters(read_png(s.path("got.png"))), QUARTERS):
                check(near(mine, wanted, 8), "%s: %s", theirs, quarters(read_png(s.path("got.png"))))
        pub.stop()


if __name__ == "__main__":
    harness.main(globals())
