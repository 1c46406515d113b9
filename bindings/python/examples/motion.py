#!/usr/bin/env python3
"""Records a camera while something moves, beginning some seconds before: the packets since the last keyframes are kept,
and written when the pictures change. With --publish a stream of annotations says where each picture has changed, for
`cuframes grid --boxes`.

usage: motion.py [--before SECONDS] [--after SECONDS] [--files N] [--publish STREAM] NAME PREFIX"""
import argparse
import collections
import threading

import av
import numpy

import cuframes

SECOND = 10**9
THRESHOLD = 4.0  # mean difference of luma
STEP = 8          # every eighth sample is compared, in both directions
CHANGED = 24      # difference of one of them that counts


class Recorder:
    """Keeps what came lately; writes it and what comes while it is asked to."""

    def __init__(self, camera, prefix, before):
        self.camera, self.prefix, self.before = camera, prefix, before * SECOND
        self.kept = collections.deque()
        self.until = None  # dts up to which is written
        self.file = self.streams = None
        self.files = 0

    def take(self, packet):
        self.kept.append(packet)
        newest = packet.dts or 0
        # Whole groups of pictures go, so that what is left begins with a keyframe.
        keys = [i for i, one in enumerate(self.kept) if one.key and one.track == 0]
        if len(keys) > 1 and newest - (self.kept[keys[1]].dts or 0) > self.before:
            for _ in range(keys[1]):
                self.kept.popleft()
        if self.file is None and self.until is not None and newest <= self.until:
            self.begin()
        elif self.file is not None:
            self.write(packet)
            if newest > self.until:
                self.end()

    def begin(self):
        self.files += 1
        self.file = av.open(f"{self.prefix}-{self.files}.mkv", "w")
        self.streams = cuframes.pyav.add_streams(self.file, self.camera.tracks)
        for packet in self.kept:
            self.write(packet)

    def write(self, packet):
        if packet.track in self.streams:
            self.file.mux(cuframes.pyav.packet(packet, self.streams[packet.track]))

    def end(self):
        if self.file is not None:
            self.file.close()
        self.file = None


def box_of(difference):
    """Where samples differ, as a list of one detection, or none."""
    y, x = numpy.nonzero(difference > CHANGED)
    if len(x) == 0:
        return []
    height, width = difference.shape
    left, top, right, bottom = x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height
    share = min(1.0, len(x) / difference.size * 10)
    return [cuframes.Detection(left, top, right - left, bottom - top, share, "motion")]


def watch(name, moved, ended, found):
    """Says the pts of pictures that differ from the one before, and where to `found`, a publisher, if there is one."""
    before = None
    try:
        for frame in cuframes.subscribe(name, timeout=10):
            luma = numpy.asarray(frame.planes[0]) if frame.gpu is None else frame.numpy(copy=True)[0]
            luma = luma[::STEP, ::STEP].astype("i2")
            if before is not None and before.shape == luma.shape:
                difference = abs(luma - before)
                if difference.mean() > THRESHOLD:
                    moved(frame.pts or 0)
                if found is not None:
                    found.annotate(frame, box_of(difference))
            before = luma
            if ended.is_set():
                return
    except cuframes.PublisherGone:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("prefix", metavar="PREFIX")
    parser.add_argument("--before", type=float, default=5)
    parser.add_argument("--after", type=float, default=10)
    parser.add_argument("--files", type=int, help="end after so many files")
    parser.add_argument("--publish", metavar="STREAM", help="where the picture changes, as annotations")
    args = parser.parse_args()
    camera = cuframes.subscribe(args.name, mode="packets", timeout=10)
    recorder, ended = Recorder(camera, args.prefix, args.before), threading.Event()
    found = cuframes.publish(args.publish, format=None, packets=64) if args.publish else None

    def moved(pts):
        recorder.until = pts + int(args.after * SECOND)

    watcher = threading.Thread(target=watch, args=(args.name, moved, ended, found), daemon=True)
    watcher.start()
    print("ready", flush=True)
    try:
        for packet in camera.packets():
            recorder.take(packet)
            if args.files and recorder.files == args.files and recorder.file is None:
                break
    except cuframes.PublisherGone:
        pass
    ended.set()
    recorder.end()
    print(f"{recorder.files} files")


if __name__ == "__main__":
    main()
