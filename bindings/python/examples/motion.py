#!/usr/bin/env python3
"""Records a camera while something moves, beginning some seconds before: the packets since the last keyframes are kept,
and written when the pictures change.

usage: motion.py [--before SECONDS] [--after SECONDS] [--files N] NAME PREFIX"""
import argparse
import collections
import threading

import av
import numpy

import cuframes

SECOND = 10**9
THRESHOLD = 4.0  # mean difference of luma


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


def watch(name, moved, ended):
    """Says the pts of pictures that differ from the one before."""
    before = None
    try:
        for frame in cuframes.subscribe(name, timeout=10):
            luma = numpy.asarray(frame.planes[0])[::8, ::8].astype("i2") if frame.gpu is None else \
                frame.numpy(copy=True)[0][::8, ::8].astype("i2")
            if before is not None and before.shape == luma.shape and abs(luma - before).mean() > THRESHOLD:
                moved(frame.pts or 0)
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
    args = parser.parse_args()
    camera = cuframes.subscribe(args.name, mode="packets", timeout=10)
    recorder, ended = Recorder(camera, args.prefix, args.before), threading.Event()

    def moved(pts):
        recorder.until = pts + int(args.after * SECOND)

    watcher = threading.Thread(target=watch, args=(args.name, moved, ended), daemon=True)
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
