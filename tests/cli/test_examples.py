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
