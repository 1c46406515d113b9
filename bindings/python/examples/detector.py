#!/usr/bin/env python3
"""A detector over any number of cameras: their newest frames in one batch, boxes published as a stream of its own.

usage: detector.py [--frames N] NAME...     publishes NAME-objects for each, which viewer.py joins

The model is a stand-in made here (it finds what is bright); put your own in its place: it takes a batch of pictures,
N x 3 x 320 x 320, 0..1, on the GPU if the streams are there."""
import argparse

import torch

import cuframes

SIZE = 320


class Model(torch.nn.Module):
    """Bright cells of a grid of 4 x 4."""

    def forward(self, batch):
        return torch.nn.functional.adaptive_avg_pool2d(batch.mean(1, keepdim=True), 4)[:, 0]


def boxes_of(cells):
    return [cuframes.Detection(x / 4, y / 4, 0.25, 0.25, min(1.0, float(cells[y, x])), "bright")
            for y in range(4) for x in range(4) if cells[y, x] > 0.6]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--frames", type=int, help="end after so many frames")
    args = parser.parse_args()
    cameras = [cuframes.subscribe(name, timeout=10, reconnect=True) for name in args.names]
    found = {camera.name: cuframes.publish(f"{camera.name}-objects", format=None, packets=64) for camera in cameras}
    prepare = cuframes.Preprocess((SIZE, SIZE), fit="stretch", filter="area", capacity=len(cameras), library="torch",
                                  device=cameras[0].device)
    model = Model().eval()
    print("ready", flush=True)
    seen = 0
    with torch.inference_mode(), cuframes.batch(cameras) as batch:
        for entries in batch:  # the newest frame of every camera that is alive
            for entry in entries.errors:
                print(f"{entry.name}: {entry.error}")
            if entries.frames:
                cells = model(prepare(entries.frames).tensor).cpu()
            for entry, one in zip(entries.sources, cells if entries.frames else ()):
                found[entry.name].annotate(entry.frame, boxes_of(one))
            seen += len(entries.frames)
            entries.release()
            if args.frames is not None and seen >= args.frames:
                break
    print(f"{seen} frames of {len(cameras)} cameras")


if __name__ == "__main__":
    main()
