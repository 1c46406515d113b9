#!/usr/bin/env python3
"""test_formats.py - pictures of each format that cuframessink takes, through a stream and out of cuframessrc, are those
that went in: drawn into the slots and copied there, in even and odd sizes, all formats at once."""
import gsttools
import harness
from gsttools import LEAKS, STATS, launch, leaks_nothing
from harness import OK, check

FORMATS = ("NV12", "I420", "YV12", "P010_10LE", "I420_10LE", "I422_10LE", "Y42B", "Y444", "YUY2", "UYVY", "RGBA",
           "BGRA", "RGB", "BGR", "RGBP", "BGRP", "GBR", "GRAY8", "GRAY16_LE")
FRAMES = 5
PACKED = "videoconvert ! video/x-raw,format=ARGB64 ! filesink"  # as deep as any of them, and without strides


def drawn(form, width, height):
    return (f"videotestsrc num-buffers={FRAMES} pattern=smpte ! "
            f"video/x-raw,format={form},width={width},height={height},framerate=25/1")


def files(s, kind):
    return {form: s.path(f"{kind}-{form}") for form in FORMATS}


def test_the_element_takes_these(s):
    """So that a new format is added here."""
    said = gsttools.inspect(s, "cuframessink").split("SINK template: 'sink'")[1]
    said = said.split("video/x-raw\n")[1].split("format:")[1].split("\n")[0]  # behind those for memory of a GPU
    check({word.strip(" {}(string)") for word in said.split(",")} == set(FORMATS), "%s", said)


def through(s, width, height, behind):
    """Whether what comes out is what went in."""
    direct, read = files(s, "direct"), files(s, "read")
    launch(s, *(f"{drawn(form, width, height)} ! {PACKED} location={direct[form]} " for form in FORMATS)).expect(OK)
    wait = f"sync=false wait-subscribers=1 wait-timeout={10**12}"
    writer = launch(s, *(f"{drawn(form, width, height)} ! {behind} cuframessink stream={form} {wait} "
                         for form in FORMATS), env={**LEAKS, **STATS})
    reader = launch(s, *(f"cuframessrc stream={form} mode=ordered connect-timeout=-1 ! {PACKED} location={read[form]} "
                         for form in FORMATS), env=LEAKS)
    leaks_nothing(reader.expect(OK))
    leaks_nothing(writer.expect(OK))
    for form in FORMATS:
        with open(direct[form], "rb") as one, open(read[form], "rb") as other:
            pictures = one.read()
            check(len(pictures) == FRAMES * width * height * 8, "%s: %d bytes", form, len(pictures))
            check(other.read() == pictures, "%s %dx%d: other pictures", form, width, height)
    return writer.err


def test_drawn_into_the_slots(s):
    for width, height in (64, 48), (33, 17), (2, 2):
        said = through(s, width, height, "")
        check(said.count(f"in-place=(guint64){FRAMES}") == len(FORMATS), "%s", said[-2000:])


def test_copied(s):
    for width, height in (64, 48), (33, 17):
        said = through(s, width, height, "tee !")
        check(said.count(f"copied=(guint64){FRAMES}") == len(FORMATS), "%s", said[-2000:])


if __name__ == "__main__":
    harness.main(globals())
