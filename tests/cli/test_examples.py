#!/usr/bin/env python3
"""test_examples.py - the programs in examples/ run against each other, and README.md quotes them word for word."""
import os
import re

import harness
from harness import check, pace


def source(*parts):
    with open(os.path.join(harness.SOURCE_DIR, *parts), encoding="utf-8") as file:
        return file.read()


def test_pair(s):
    subscriber = s.start_program(harness.need_built("examples", "subscribe"), "pair")
    publisher = s.start_program(harness.need_built("examples", "publish"), "pair")
    publisher.expect(harness.OK)
    lines = subscriber.expect(harness.OK).out.splitlines()
    seen = [re.fullmatch(r"frame (\d+): (\d+)", line) for line in lines]
    check(seen and all(seen), "the subscriber says %s", lines)
    frames = [(int(line.group(1)), int(line.group(2))) for line in seen]
    for before, after in zip(frames, frames[1:]):
        check(before[0] < after[0], "frame %d came after frame %d", after[0], before[0])
    for number, value in frames:
        check(value == (number - 1) * 5, "frame %d has the value %d, expected %d", number, value, (number - 1) * 5)
    check(frames[-1][0] == 50, "frames %s of 1 to 50", [number for number, _ in frames])
    pace(len(frames) >= 5, "only frames %s of 1 to 50", [number for number, _ in frames])


def test_detector_and_viewer(s):
    """The boxes that the viewer prints are those of the very picture: the film's brightest spot is where it is."""
    camera = s.publish("test:640x360@25,gray8", "camera")
    detector = s.start_program(harness.need_built("examples", "detector"), "camera", "bright")
    s.until(lambda: s.run("info", "bright").code == harness.OK and s.json("info", "bright", "--json")["packets"] > 0,
            "the detector has something to say")
    viewer = s.start_program(harness.need_built("examples", "viewer"), "camera", "bright")
    box = re.compile(r"frame (\d+): bright (0\.\d+) at (\d+),(\d+) size 80x45")
    s.until(lambda: len([line for line in viewer.out.splitlines()[:-1] if box.fullmatch(line)]) >= 5, "boxes")
    seen = viewer.out.rpartition("\n")[0].splitlines()
    for line in seen:
        check(box.fullmatch(line) or re.fullmatch(r"frame \d+: the detector said nothing of it", line),
              "viewer: %s", line)
    for number, _, x, y in (box.fullmatch(line).groups() for line in seen if box.fullmatch(line)):
        check(int(x) % 80 == 0 and int(y) % 45 == 0 and int(x) < 640 and int(y) < 360, "frame %s: %s,%s", number, x, y)
    camera.stop()
    for ended in (detector, viewer):  # both, with the camera
        ended.expect(harness.OK)


def test_prepare(s):
    """A camera's pictures become a stream of tensors; where each lies in it is said."""
    camera = s.publish("test:640x360@25,gray8", "camera")
    prepare = s.start_program(harness.need_built("examples", "prepare"), "camera", "tensors")
    s.until(lambda: s.run("info", "tensors").code == harness.OK and s.json("info", "tensors", "--json")["frames"] >= 3,
            "three tensors")
    text = s.run("info", "tensors").out
    check("1x3x640x640 float32" in text, "info: %s", text)
    camera.stop()
    result = prepare.expect(harness.OK)
    check(result.out == "640x360 fills 640x360 at 0, 140; a box comes back by (x - 0) / 1, (y - 140) / 1\n",
          "prepare: %s", result.out)


def test_a_stream_without_pictures(s):
    """The commands know that there is nothing to look at."""
    camera = s.publish("test:64x48@25,gray8", "camera")
    detector = s.start_program(harness.need_built("examples", "detector"), "camera", "bright")
    s.until(lambda: s.run("info", "bright").code == harness.OK and s.json("info", "bright", "--json")["packets"] > 0,
            "the detector has something to say")
    entry = [stream for stream in s.json("list", "--json") if stream["name"] == "bright"][0]
    check(entry["format"] == "none" and entry["width"] == 0 and entry["frames"] == 0, "%s", entry)
    check("no pictures" in s.run("list").out, "list: %s", s.run("list").out)
    text = s.run("info", "bright").out
    check("no pictures" in text and "data cuframes-annotation" in text and "slots " not in text, "info: %s", text)
    text = s.run("top", "bright", "--count", "1").out
    check("bright  no pictures  packets" in text and "fps" not in text, "top: %s", text)
    for command in (("verify", "bright"), ("snapshot", "bright", "x.png")):
        result = s.run(*command)
        check(result.code == harness.FAILED and "has no pictures, only packets" in result.err,
              "%s: %s", command, result)
    result = s.run("record", "bright", "x.mkv", "--duration", "1")
    check(result.code == harness.FAILED and "has no stream that goes into x.mkv" in result.err, "record: %s", result)
    camera.stop()
    detector.expect(harness.OK)


def test_names(s):
    """What goes wrong is said, with the library's own sentence."""
    result = s.start_program(harness.need_built("examples", "publish"), "no/name").wait()
    check(result.code == harness.FAILED and "the name \"no/name\"" in result.err, "publish says %s", result)


def test_readme_quotes_them(s):
    blocks = re.findall(r"^```c\n(.*?)^```$", source("README.md"), re.M | re.S)
    for name in ("publish.c", "subscribe.c"):
        check(source("examples", name) in blocks, "README.md has no ```c block that is examples/%s", name)


if __name__ == "__main__":
    harness.main(globals())
