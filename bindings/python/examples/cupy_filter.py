#!/usr/bin/env python3
"""A filter on the GPU: takes a stream's frames as CuPy arrays, inverts the luma, and publishes the result.

usage: cupy_filter.py [--frames N] NAME     publishes NAME-negative"""
import argparse

import cupy

import cuframes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--frames", type=int)
    args = parser.parse_args()
    publisher, stream = None, cupy.cuda.Stream(non_blocking=True)
    with stream:
        for count, frame in enumerate(cuframes.subscribe(args.name, device="cuda", timeout=10), 1):
            if publisher is None:
                publisher = cuframes.publish(f"{args.name}-negative", frame.width, frame.height, frame.format,
                                             device="cuda", color=frame.color)
                print("ready", flush=True)
            try:
                with publisher.frame(pts=frame.pts) as out:
                    (y, uv), (to_y, to_uv) = frame.cupy(), out.cupy()
                    cupy.subtract(255, y, out=to_y)
                    cupy.copyto(to_uv, uv)
                    del y, uv, to_y, to_uv
            except (cuframes.Dropped, cuframes.LeaseLimit):
                pass  # its readers hold all there is, or more is being made: a camera does not wait
            if count == args.frames:
                break
    print(f"{count} frames")


if __name__ == "__main__":
    main()
