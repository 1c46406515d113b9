#!/usr/bin/env python3
"""test_sink_gpu.py - cuframessink into memory of a GPU, over the CUDA stand-in: frames of ordinary memory are uploaded,
and upstream is not offered what the CPU cannot write."""
import os

import gsttools
import harness
from gsttools import LEAKS, STATS, launch, leaks_nothing, stats_of
from harness import OK, check

STANDIN = os.path.join(harness.BUILD_DIR, "tests", "cuda", "standin")
FRAMES = 50
PICTURES = f"videotestsrc num-buffers={FRAMES} pattern=snow ! video/x-raw,format=I420,width=62,height=46,framerate=25/1"


def test_frames_are_uploaded(s):
    env = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [STANDIN, s.env.get("LD_LIBRARY_PATH")]))}
    direct, read = s.path("direct"), s.path("read")
    launch(s, PICTURES, f"! filesink location={direct}").expect(OK)
    with open(read, "wb") as file:
        reader = s.start_to(file.fileno(), "pipe", "cam", "--raw", "--mode", "ordered", "--wait", env=env)
    sink = launch(s, PICTURES, "! cuframessink stream=cam device=cuda sync=false",
                  f"wait-subscribers=1 wait-timeout={10**12}", env={**env, **LEAKS, **STATS}).expect(OK)
    reader.expect(OK)
    leaks_nothing(sink)
    stats = stats_of(sink)
    check(stats["copied"] == FRAMES and stats["in-place"] == stats["ordinary-buffers"] == 0, "%s", stats)
    # GStreamer's rows are a multiple of 4 bytes long, and ours, as they come out of the pipe, are the picture's.
    with open(direct, "rb") as file:
        pictures = packed(file.read(), 62, 46)
    with open(read, "rb") as file:
        check(file.read() == pictures, "pictures differ")


def packed(data, width, height):
    planes = ((width, height), ((width + 1) // 2, (height + 1) // 2), ((width + 1) // 2, (height + 1) // 2))
    out, at = bytearray(), 0
    while at < len(data):
        for row, rows in planes:
            stride, lines = (row + 3) // 4 * 4, rows
            for line in range(lines):
                out += data[at + line * stride:at + line * stride + row]
            at += stride * lines
    return bytes(out)


if __name__ == "__main__":
    if not os.path.exists(os.path.join(STANDIN, "libcuda.so.1")):
        print("skipped: the CUDA stand-in was not built")
        raise SystemExit(harness.SKIP)
    harness.main(globals())
