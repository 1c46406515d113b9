#!/usr/bin/env python3
"""Draws what a detector found into the frame that it is about, and publishes the picture.

usage: viewer.py [--frames N] NAME          joins NAME-objects, publishes NAME-boxes"""
import argparse

import numpy

import cuframes


def draw(picture, box):
    height, width = picture.shape[:2]
    left, top = (max(0, round(v)) for v in (box.x * width, box.y * height))
    right, bottom = min(width, round((box.x + box.width) * width)), min(height, round((box.y + box.height) * height))
    green = numpy.array((0, 255, 0), "u1")
    picture[top:bottom, left:left + 2] = picture[top:bottom, right - 2:right] = green
    picture[top:top + 2, left:right] = picture[bottom - 2:bottom, left:right] = green


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--frames", type=int)
    args = parser.parse_args()
    camera = cuframes.subscribe(args.name, timeout=10)
    objects = cuframes.join(f"{args.name}-objects", timeout=10)
    shown, boxes = None, 0
    print("ready", flush=True)
    for count, frame in enumerate(camera, 1):
        try:
            found = objects.find(frame, timeout=1.0)
        except cuframes.Stale:  # the detector left this one out
            found = objects.latest(frame)
        rgb = frame.to_rgb()
        picture = numpy.ascontiguousarray(rgb.cpu().numpy() if hasattr(rgb, "cpu") else rgb)
        for box in found or []:
            draw(picture, box)
            boxes += 1
        shown = shown or cuframes.publish(f"{args.name}-boxes", frame.width, frame.height, "rgb24")
        shown.send(picture, pts=frame.pts)
        if count == args.frames:
            break
    print(f"{count} frames, {boxes} boxes")


if __name__ == "__main__":
    main()
