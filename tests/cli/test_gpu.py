#!/usr/bin/env python3
"""test_gpu.py - streams in GPU memory, over the CUDA stand-in (tests/cuda/standin): all commands, each in a process of
its own. There is no NVDEC in it: films are decoded in software and uploaded here; test pictures are drawn by the
kernel's source, which the stand-in runs on the CPU. tests/gpu/nvdec does the same on a real GPU."""
import os
import re
import subprocess
import sys

import harness
import media
import piping
from harness import FAILED, OK, USAGE, check

STANDIN = os.path.join(harness.BUILD_DIR, "tests", "cuda", "standin")
GPU = {"LD_LIBRARY_PATH": STANDIN, "CUDA_STANDIN_DEVICES": "2", "CUDA_STANDIN_DELAY_US": "300"}
PIXEL_FORMATS = ("nv12", "p010", "yuv420p", "yuv422p", "yuv444p", "gray8", "rgb24", "rgba", "bgra",
                 "bgr24", "yuyv422", "uyvy422", "gray16", "yuv420p10", "yuv422p10", "rgbp")


def publish(s, source, name, *args, env=GPU, **options):
    return s.publish(source, name, *args, env=env, **options)


def events(process):
    return [harness.parse_json(line) for line in process.out.splitlines()]


def whole(seen):
    return seen["frames"] > 0 and not any(seen[key] for key in ("torn", "duplicates", "back_jumps", "gaps"))


def test_film(s):
    film = publish(s, harness.CLIP, "film", "--device", "cuda", "--realtime", "--loop", "--json")
    stream = s.json("info", "film", "--json")
    check(stream["device"].startswith("cuda:GPU-") and stream["memory"] == "vmm", "info says %s", stream)
    readers = [s.start("verify", "film", "--mode", mode, "--frames", "30", "--json", env=GPU, name="verify " + mode)
               for mode in ("newest", "ordered")]
    picture, recording = s.path("a.png"), s.path("a.mkv")
    s.start("snapshot", "film", picture, "--sheet", "2x2", "--interval", "0.05", env=GPU).expect(OK)
    # Packets lie on the host: who wants nothing else needs no GPU.
    taken = s.json("record", "film", recording, "--duration", "1", "--json")
    for reader in readers:
        seen = reader.json()
        check(whole(seen) and not seen["stamped"], "verify saw %s", seen)
    check(os.path.getsize(picture) > 1000 and taken["packets"] > 20 and taken["lost"] == 0, "record: %s", taken)
    check("cuda:GPU-" in s.run("top", "--count", "1").out, "top does not show the device")
    said = events(film)
    check(said[0]["device"] == stream["device"] and "CUDA device 0" in said[0]["device_reason"], "it said %s", said)
    check(said[1]["event"] == "decoder" and said[1]["decoder"] == "software" and said[1]["reason"], "it said %s", said)
    check(film.err.count("decoding in software: ") == 1, "the log does not say once who decodes")
    film.stop()


def test_pixels_are_those_of_the_host(s):
    """A still picture, as it is decoded (three planes, packed) and converted on its way: the same bytes on both
    devices."""
    publish(s, "test:161x121@50", "cam", "--device", "host")
    for kind in ("jpg", "png"):
        still = s.path("still." + kind)
        s.run("snapshot", "cam", still)
        for form in ((), ("--format", "nv12"), ("--format", "p010"), ("--format", "bgra")):
            files = []
            for device in ("cuda:1", "host"):
                pub = publish(s, still, device.replace(":", "-"), "--device", device, "--loop", "--realtime", *form)
                raw = s.path(device + ".raw")
                taken = s.json("snapshot", device.replace(":", "-"), raw, "--format", "raw", "--json", env=GPU)
                seen = taken["files"][0]
                pub.stop()
                with open(raw, "rb") as file:
                    files.append((seen["format"], file.read()))
            check(files[0] == files[1] and len(files[0][1]) >= 161 * 121, "%s %s: they differ", kind, form)


def test_pipe(s):
    """Pictures in GPU memory come out of a pipe as they come from the host: as they are, and converted; packets need no
    GPU."""
    still = s.path("still.png")
    s.publish("test:161x121@50", "cam", "--device", "host")
    s.run("snapshot", "cam", still)
    for words in (("--raw",), ("--raw", "--format", "rgb24", "--size", "80x60"), ("--container", "nut")):
        got = []
        for device in ("cuda:1", "host"):
            pub = publish(s, still, device.replace(":", "-"), "--device", device, "--loop", "--realtime", "--format",
                          "nv12")
            piped = piping.Piped(s, device.replace(":", "-"), *words, "--count", "1", "--json", env=GPU)
            got.append(piped.read_all())
            said = piped.said()
            check(said["pictures"] == 1, "%s: %s", device, said)
            pub.stop()
        if words == ("--raw",):
            whole_picture = got[0]
        same = got[0] == got[1] if words[0] == "--raw" else whole_picture in got[0]  # in NUT times differ
        check(same and len(got[0]) >= 80 * 60 * 3, "%s: they differ", words)
    film = publish(s, harness.CLIP, "film", "--device", "cuda", "--realtime", "--loop")
    packets = piping.Piped(s, "film", "--packets", "--container", "ts", "--duration", "0.5", "--json")
    packets.read_all()
    check(packets.said()["packets"] > 10, "no packets")
    film.stop()


def test_resolution_change(s):
    pub = publish(s, media.make(s.root, "resize"), "cam", "--device", "cuda", "--realtime", "--loop")
    seen = s.json("verify", "cam", "--json", "--frames", str(media.RESIZE_FRAMES + 6), "--mode", "ordered",
                  env=GPU)
    check(whole(seen), "verify saw %s", seen)
    check(pub.err.count("the picture is") >= 2, "the picture did not change")
    check(s.json("info", "cam", "--json")["segments"] <= 2, "old segments stay")


def test_patterns(s):
    for at, form in enumerate(PIXEL_FORMATS):
        size = ("161x121", "640x361", "36x24")[at % 3]
        pub = publish(s, "test:%s@100,%s" % (size, form), "cam", "--device", "cuda")
        seen = s.json("verify", "cam", "--mode", "ordered", "--frames", "20", "--json", env=GPU)
        check(whole(seen) and seen["stamped"] and seen["inexact"] == 0, "%s %s: %s", form, size, seen)
        check("drawing on the GPU (CUDA device 0)" in pub.err, "who draws %s?", form)
        pub.stop()


def test_patterns_without_the_kernel(s):
    """A driver that does not take the PTX (CUDA_ERROR_INVALID_PTX): the CPU draws, said once."""
    pub = publish(s, "test:320x180@50", "cam", "--device", "cuda",
                  env=dict(GPU, CUDA_STANDIN_FAIL="cuModuleLoadData:1:218"))
    seen = s.json("verify", "cam", "--frames", "20", "--json", env=GPU)
    check(whole(seen) and seen["stamped"], "verify saw %s", seen)
    result = pub.stop()
    check(result.err.count("drawing on the CPU: ") == 1 and "CUDA_ERROR_INVALID_PTX" in result.err, "it said %s",
          result.err)


def test_sync_modes_and_memory(s):
    for memory, kind in (("default", "vmm"), ("legacy", "legacy")):
        pub = publish(s, "test:320x180@100", "cam", "--memory", memory)
        readers = [s.start("verify", "cam", "--sync", sync, "--label", sync, "--mode", "ordered", "--json", env=GPU)
                   for sync in ("complete", "timeline", "slot-events")]
        stream = s.until(lambda: next((stream for stream in [s.json("info", "cam", "--json")]
                                       if len(stream["subscriber_list"]) == 3), None), "three subscribers")
        check(stream["memory"] == kind, "%s: info says %s", memory, stream)
        check(sorted(stream["sync_modes"]) == ["complete", "slot-events", "timeline"], "info says %s", stream)
        check(all(seat["sync"] == seat["sync_asked"] == seat["label"] for seat in stream["subscriber_list"]),
              "%s: info says %s", memory, stream["subscriber_list"])
        s.until(lambda: all(seat["delivered"] > 30 for seat in s.json("info", "cam", "--json")["subscriber_list"]),
                "thirty frames for each")
        pub.stop()
        for reader in readers:
            seen = reader.json()
            check(whole(seen) and seen["stamped"], "%s: %s", memory, seen)


def test_sync_that_is_not_to_be_had(s):
    """A GPU without 64-bit stream memory operations (attribute 122): timeline becomes complete, and info says so."""
    poor = dict(GPU, CUDA_STANDIN_ATTRIBUTES="122=0")
    publish(s, "test:320x180@50", "cam", env=poor)
    reader = s.start("verify", "cam", "--sync", "timeline", "--json", env=poor)
    s.until(lambda: s.json("list", "--json")[0]["subscribers"], "a subscriber")
    seat = s.json("info", "cam", "--json")["subscriber_list"][0]
    check(seat["sync"] == "complete" and seat["sync_asked"] == "timeline", "info says %s", seat)
    check("(asked for timeline)" in s.run("info", "cam").out, "info does not say it in words")
    check(whole(reader.stop(code=None) and harness.parse_json(reader.out)), "verify saw %s", reader.out)


def test_second_gpu(s):
    """A stream on the second GPU, by number and by its UUID; read by the first one."""
    pub = publish(s, "test:320x180@50", "one", "--device", "cuda:1")
    device = s.json("info", "one", "--json")["device"]
    check("drawing on the GPU (CUDA device 1)" in pub.err, "it said %s", pub.err)
    same = publish(s, "test:320x180@50", "two", "--device", device.upper().replace("CUDA", "cuda"))
    check(s.json("info", "two", "--json")["device"] == device, "another GPU than %s", device)
    check("drawing on the GPU (CUDA device 1)" in same.err, "it said %s", same.err)
    for wanted in ("cuda:0", device, "auto"):
        seen = s.json("verify", "one", "--device", wanted, "--frames", "10", "--json", env=GPU)
        check(whole(seen) and seen["stamped"], "%s: %s", wanted, seen)


def test_readers_that_refuse(s):
    publish(s, "test:320x180@50", "gpu")
    publish(s, "test:320x180@50", "host", "--device", "host")
    for command in (("verify", "gpu", "--device", "host"), ("snapshot", "gpu", s.path("a.png"), "--device", "host"),
                    ("verify", "host", "--device", "cuda"), ("verify", "gpu", "--device", "cuda:7")):
        result = s.run(*command, env=GPU)
        check(result.code == FAILED and re.search(r"host|device 7", result.err), "%s: %s", command, result)
    result = s.run("verify", "gpu", "--frames", "1")
    check(result.code == FAILED and "no CUDA driver" in result.err, "without a driver: %s", result)


def test_devices_that_cannot_be(s):
    for device in ("toaster", "cuda:", "cuda:x", "cuda:-1", "cuda:1234", "cuda:GPU-", "cuda:GPU-12345678", "gpu", ""):
        for command in (("publish", "test:64x64@25", "--name", "cam"), ("verify", "cam"), ("snapshot", "cam")):
            result = s.run(*command, "--device", device, env=GPU)
            check(result.code == USAGE and "cuda:GPU-UUID" in result.err, "%s %s: %s", command, device, result)
    for option in (("--memory", "magic"), ("--memory", "")):
        check(s.run("publish", "test:64x64@25", "--name", "cam", *option).code == USAGE, "%s", option)
    check(s.run("verify", "cam", "--sync", "magic").code == USAGE, "--sync magic")


def test_devices_that_are_not_there(s):
    uuid = "cuda:GPU-00000000-1111-2222-3333-444444444444"
    for device, env, words in (("cuda:9", GPU, ("no CUDA device 9", "sees 2")),
                               (uuid, GPU, ("00000000-1111", "CUDA_VISIBLE_DEVICES")),
                               ("cuda", {}, ("no CUDA driver", "libcuda.so.1")),
                               (uuid, {}, ("no CUDA driver", "libcuda.so.1")),
                               ("cuda", dict(GPU, CUDA_STANDIN_DEVICES="0"), ("no device", "CUDA_VISIBLE_DEVICES")),
                               ("cuda", dict(GPU, CUDA_STANDIN_VERSION="10020"), ("too old",))):
        for source in ("test:64x64@25", harness.CLIP):
            result = s.run("publish", source, "--name", "cam", "--device", device, env=env)
            check(result.code == FAILED and all(word in result.err for word in words), "%s: %s", device, result)


def test_auto_takes_the_host(s):
    """No driver, no GPU, or one that cannot share memory: host, with the cause in the log, in JSON, and all works."""
    for env, word in (({}, "no CUDA driver"), (dict(GPU, CUDA_STANDIN_DEVICES="0"), "no device"),
                      (dict(GPU, CUDA_STANDIN_FAIL="cuInit:1:999,cuInit:2:999"), "does not start")):
        for source in ("test:64x64@25", harness.CLIP):
            pub = publish(s, source, "cam", "--realtime", "--json", env=env)
            start = events(pub)[0]
            check(start["device"] == "host" and word in start["device_reason"], "it said %s", start)
            check(s.json("info", "cam", "--json")["memory"] == "memfd", "no host memory")
            check(whole(s.json("verify", "cam", "--frames", "5", "--json")), "verify")
            result = pub.stop()
            check("on device host (" in result.err and word in result.err, "it said %s", result.err)
            check("decoding" not in result.err and "drawing" not in result.err, "it said %s", result.err)


def test_several_inputs(s):
    """One process, four streams, on two GPUs and the host."""
    pub = s.start("publish", "test:320x180@50", "--name", "a", harness.CLIP, "--name", "b", "--realtime",
                  "--device", "cuda", "test:161x121@50,rgb24", "--name", "c", "--device", "cuda:1",
                  "test:64x64@50", "--name", "d", "--device", "host", env=GPU)
    devices = [s.wait_stream(name, process=pub)["device"] for name in "abcd"]
    check(devices[0] == devices[1] != devices[2] and devices[3] == "host", "they are on %s", devices)
    for name in "abcd":
        check(whole(s.json("verify", name, "--frames", "10", "--json", env=GPU)), "verify %s", name)
    pub.stop()


def test_nothing_is_left(s):
    """What a publisher makes on the GPU it gives back."""
    report = s.path("report")
    pub = publish(s, harness.CLIP, "film", "--realtime", env=dict(GPU, CUDA_STANDIN_REPORT=report))
    s.json("verify", "film", "--frames", "5", "--json", env=GPU)
    pub.stop()
    with open(report) as file:
        left = re.findall(r"(\w+)=([1-9]\d*)", file.read())
    check(not [kind for kind, _ in left if kind not in ("modules", "swept")], "left: %s", left)


def test_the_ptx_is_the_source(s):
    """The kernels in the tree are what clang 14 makes of their sources now."""
    done = subprocess.run([os.path.join(harness.SOURCE_DIR, "scripts", "ptx"), "--check"], check=False, text=True,
                          stdout=subprocess.PIPE, timeout=harness.LIMIT)
    if done.returncode == 77:
        harness.skip("no clang-14 here")
    check(done.returncode == 0, "%s", done.stdout)


if __name__ == "__main__":
    if not os.path.exists(os.path.join(STANDIN, "libcuda.so.1")):
        print("skipped: the CUDA stand-in was not built")
        sys.exit(harness.SKIP)
    harness.main(globals())
