#!/usr/bin/env python3
"""Any model of the Ultralytics package over a stream: predict() takes a tensor, 1 x 3 x rows x columns, 0..1, R first.

usage: yolo.py [--model FILE] [--size N] [--frames N] NAME     publishes NAME-objects, which viewer.py joins

On a GPU nothing is copied to the host but the boxes. Ultralytics is AGPL: it is imported here and nowhere else."""
import argparse

import torch

import cuframes


def batch_of(frame, size):
    """The picture in a square of `size`, its sides kept, grey around it; and what box_of() needs to go back."""
    rgb = torch.as_tensor(frame.to_rgb()).permute(2, 0, 1)[None].float() / 255
    scale = size / max(frame.width, frame.height)
    rows, columns = max(1, round(frame.height * scale)), max(1, round(frame.width * scale))
    small = torch.nn.functional.interpolate(rgb, (rows, columns), mode="bilinear", antialias=True)
    left, top = (size - columns) // 2, (size - rows) // 2
    batch = torch.full((1, 3, size, size), 114 / 255, device=small.device)
    batch[:, :, top:top + rows, left:left + columns] = small
    return batch, (left, top, columns, rows)


def box_of(corners, place):
    """Left, top, width and height as parts of the picture, 0 to 1."""
    left, top, columns, rows = place
    x0, x1 = (min(max((x - left) / columns, 0.0), 1.0) for x in (corners[0], corners[2]))
    y0, y1 = (min(max((y - top) / rows, 0.0), 1.0) for y in (corners[1], corners[3]))
    return x0, y0, x1 - x0, y1 - y0


def found_in(results, place):
    boxes = results.boxes
    return [cuframes.Detection(*box_of(corners, place), float(confidence), results.names[int(kind)])
            for corners, confidence, kind in zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--model", default="yolo11n.pt", metavar="FILE")
    parser.add_argument("--size", type=int, default=640, help="of the model's square, pixels (640)")
    parser.add_argument("--frames", type=int, help="end after so many frames")
    args = parser.parse_args()
    from ultralytics import YOLO
    model, count = YOLO(args.model), 0
    objects = cuframes.publish(f"{args.name}-objects", format=None, packets=64)
    print("ready", flush=True)
    for count, frame in enumerate(cuframes.subscribe(args.name, timeout=10, reconnect=True), 1):
        batch, place = batch_of(frame, args.size)
        objects.annotate(frame, found_in(model.predict(batch, verbose=False)[0], place))
        if count == args.frames:
            break
    print(f"{count} frames")


if __name__ == "__main__":
    main()
