#!/usr/bin/env python3
"""test_demo.py - `scripts/demo`, in short: it says what it saw, leaves nothing, and notices what is wrong."""
import json
import os
import signal
import sys

import harness
from harness import check

DEMO = os.path.join(harness.SOURCE_DIR, "scripts", "demo")


def demo(s, *args, env=None):
    harness.need_program("ffmpeg")
    harness.need_program("ffprobe")
    temporary = s.path("tmp")
    os.makedirs(temporary, exist_ok=True)
    return s.start_program(sys.executable, DEMO, "--seconds", "4", "--out", s.path("out"), *args, name="demo",
                           env={"TMPDIR": temporary, **(env or {})})


def test_all_of_it(s):
    result = demo(s, "--json", s.path("demo.json"), "--program", harness.program()).wait()
    check(result.code == harness.OK, "it ended with %s: %s", result.code, result.out[-600:])
    with open(s.path("demo.json"), encoding="utf-8") as file:
        told = json.load(file)
    check(not told["problems"], "%s", told)
    check(told["readers_mapping_the_same_memory"] == 4 or told["too_slow"], "%s", told)
    for stream in ("film newest", "film ordered", "test ordered"):
        seen = told[stream]
        check(seen["frames"] > 0 and not seen["torn"] and not seen["back_jumps"], "%s: %s", stream, seen)
    check(told["after_publisher_killed"]["reconnects"] == 1, "%s", told)
    check(told["cpu"]["once"] > 0 and told["cpu"]["each"] > 0, "%s", told)
    check(("All well" in result.out) == (not told["too_slow"]), "too slow is %s, it says %s", told["too_slow"],
          result.out)
    for name in ("film.mp4", "sheet.jpg", "test.png"):
        check(os.path.getsize(s.path("out", name)) > 1000, "%s is empty", name)
    check(os.listdir(s.path("tmp")) == [], "it left %s", os.listdir(s.path("tmp")))


def test_a_program_that_dies(s):
    broken = s.path("broken")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n[ \"$1\" != publish ] && exec \"%s\" \"$@\"\necho 'no film today' >&2\nexit 1\n" %
                   harness.program())
    os.chmod(broken, 0o755)
    result = demo(s, "--program", broken).wait()
    check(result.code == 1 and "FAILED" in result.out, "it ended with %s: %s", result.code, result.out)
    check(os.listdir(s.path("tmp")) == [], "it left %s", os.listdir(s.path("tmp")))
    result = demo(s, "--program", s.path("none")).wait()
    check(result.code == 1 and "run `make build` first" in result.out, "%s", result)


def test_ctrl_c(s):
    running = demo(s, "--program", harness.program())
    running.wait_for("readers are there", stream="out")
    result = running.stop(signal.SIGINT, code=130)
    check("interrupted" in result.out and "Traceback" not in result.err, "%s", result)
    check(os.listdir(s.path("tmp")) == [], "it left %s", os.listdir(s.path("tmp")))


if __name__ == "__main__":
    harness.main(globals())
