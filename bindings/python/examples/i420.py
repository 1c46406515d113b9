#!/usr/bin/env python3
"""A stream's frames as Frigate has them: arrays of height * 3 / 2 rows, `width` bytes each: Y, then all of U, then all
of V. frames() is for programs that take such arrays; run, it writes them to its standard output, one after the other.

usage: i420.py NAME | reader     as Frigate reads from an ffmpeg with -pix_fmt yuv420p -f rawvideo"""
import argparse
import sys

import numpy

import cuframes


def i420_of(frame):
    """The picture in an array of its own. ValueError for formats other than nv12 and yuv420p, and odd sizes."""
    width, height = frame.width, frame.height
    if frame.format not in ("nv12", "yuv420p") or width % 4 or height % 2:
        raise ValueError(f"expected nv12 or yuv420p, a width that is a multiple of 4 and an even height, not "
                         f"{frame.format} {width}x{height}: cuframes pipe converts")
    planes = frame.numpy(copy=True) if frame.gpu is not None else frame.numpy()
    whole = numpy.empty((height * 3 // 2, width), "u1")
    whole[:height] = planes[0]
    chroma = whole[height:].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = (planes[1][..., 0], planes[1][..., 1]) if frame.format == "nv12" else planes[1:]
    return whole


def frames(name, **options):
    """(array, pts in ns) of the newest frame, again and again."""
    for frame in cuframes.subscribe(name, **options):
        with frame:
            picture, pts = i420_of(frame), frame.pts
        yield picture, pts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--frames", type=int, help="end after so many frames")
    args = parser.parse_args()
    for count, (picture, _) in enumerate(frames(args.name, timeout=10, reconnect=True), 1):
        sys.stdout.buffer.write(picture)
        sys.stdout.buffer.flush()
        if count == args.frames:
            break


if __name__ == "__main__":
    main()
