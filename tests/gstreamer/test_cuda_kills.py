#!/usr/bin/env python3
"""test_cuda_kills.py - pipelines with memory of a GPU, over the CUDA stand-in, whose other side is killed: they go on
in the same kind of memory, and nobody keeps what a dead one had."""
import os
import signal

import gsttools
import harness
from gsttools import LEAKS, launch, leaks_nothing
from harness import check

STANDIN = os.path.join(harness.BUILD_DIR, "tests", "cuda", "standin")
MEMORY = "video/x-raw(memory:CUDAMemory)"
CAPS = r"caps = video/x-raw\(memory:CUDAMemory\).*width=\(int\)%d"


def need_cuda(s):
    """The environment, where the plugin was built with GstCuda."""
    if MEMORY not in gsttools.inspect(s, "cuframessrc"):
        harness.skip("the plugin is built without GstCuda")
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [STANDIN, s.env.get("LD_LIBRARY_PATH")])),
            "CUDA_STANDIN_DEVICES": "1"}


def test_a_killed_publisher_comes_back(s):
    env = need_cuda(s)
    publisher = s.publish("test:320x240@30", "cam", "--device", "cuda", env=env)
    s.wait_stream("cam", publisher)
    reader = launch(s, f"-v cuframessrc stream=cam reconnect=true ! {MEMORY} ! fakesink silent=false",
                    env={**env, **LEAKS}, name="reader")
    reader.wait_for(CAPS % 320, stream="out")
    reader.wait_for("chain", stream="out")
    publisher.kill()
    publisher = s.publish("test:160x120@30", "cam", "--device", "cuda", env=env)
    at = reader.wait_for(CAPS % 160, stream="out").end()
    reader.wait_for(r"chain .*flags: [0-9a-f]+ discont", stream="out", after=at)
    reader.stop(signal.SIGINT, code=harness.OK)
    leaks_nothing(reader)
    publisher.stop()


def test_two_readers_and_one_is_killed_with_all_that_it_holds(s):
    env = need_cuda(s)
    publisher = s.publish("test:320x240@60", "cam", "--device", "cuda", env=env)
    s.wait_stream("cam", publisher)
    still = launch(s, f"cuframessrc stream=cam leases=4 ! {MEMORY} !",
                   "queue max-size-buffers=100 max-size-bytes=0 max-size-time=0 !",
                   f"fakesink sync=true ts-offset={10**15}", env=env, name="still")
    other = launch(s, f"-v cuframessrc stream=cam ! {MEMORY} ! fakesink silent=false", env=env, name="other")
    other.wait_for("chain", stream="out")
    s.until(lambda: len(s.json("info", "cam", "--json")["subscriber_list"]) == 2, "two have joined")
    still.kill()
    s.until(lambda: len(s.json("info", "cam", "--json")["subscriber_list"]) == 1, "the dead one's place is free")
    told = s.start("verify", "cam", "--mode", "ordered", "--frames", "60", "--json", env=env).json()
    check(told["torn"] == 0, "%s", told)
    at = len(other.out)
    other.wait_for("chain", stream="out", after=at)
    other.stop(signal.SIGINT, code=harness.OK)
    publisher.stop()


if __name__ == "__main__":
    if not os.path.exists(os.path.join(STANDIN, "libcuda.so.1")):
        print("skipped: the CUDA stand-in was not built")
        raise SystemExit(harness.SKIP)
    harness.main(globals())
