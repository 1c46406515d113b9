#!/usr/bin/env python3
"""test_full_disk.py - record and snapshot when the disk is full, at once or after a while: exit code 1, a message that
names the file and the cause, and no half a picture."""
import os
import subprocess

import harness
from harness import FAILED, OK, check

CAUSE = "No space left on device"
UNSHARE = ["unshare", "--mount"]
# A small disk of its own at $0, in a namespace that goes with the program; then what lies there, by name.
ENTER = 'mount -t tmpfs -o size="$SIZE" small "$0" && "$@"; code=$?; ls -A "$0" >&2; exit $code'


def on_small_disk(s, size, *args):
    """Runs the program where s.path("disk") has so many bytes: its Result, with the names of files left in err."""
    harness.need_program("unshare")
    base = UNSHARE if os.geteuid() == 0 else UNSHARE + ["--map-root-user"]
    tried = subprocess.run(base + ["mount", "-t", "tmpfs", "small", "/mnt"], capture_output=True, text=True)
    if tried.returncode != 0:
        harness.skip("needs the right to mount a small disk (CAP_SYS_ADMIN, or user namespaces): " +
                     tried.stderr.strip())
    os.makedirs(s.path("disk"), exist_ok=True)
    process = s.start_program("env", "SIZE=%d" % size, *base, "sh", "-c", ENTER, s.path("disk"), harness.program(),
                              *harness.patient(args))
    return process.expect(FAILED)


def check_json(s, *command):
    """Also where nothing is written before the end, when something else has ended the recording."""
    result = s.run(*command, "--json")
    said = harness.parse_json(result.out)
    check(result.code == FAILED and said["ended"] == "error" and CAUSE in said["error"], "%r", result)


def test_record(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    for kind in ("mp4", "mkv", "ts"):
        path = s.path("disk", "film." + kind)
        result = on_small_disk(s, 256 << 10, "record", "film", path, "--duration", "30")
        check(path in result.err and CAUSE in result.err, "%r", result)
        result = s.run("record", "film", "/dev/full", "--format", kind, "--duration", "5")
        check(result.code == FAILED and "/dev/full" in result.err and CAUSE in result.err, "%r", result)
        check_json(s, "record", "film", "/dev/full", "--format", kind, "--duration", "0.5")
    check(s.run("record", "film", s.path("good.mkv"), "--duration", "0.5").code == OK, "the stream goes on")


def test_snapshot(s):
    s.publish("test:640x480@25,rgb24", "cam")
    for kind in ("png", "jpeg", "raw"):
        path = s.path("disk", "picture")
        result = on_small_disk(s, 4096, "snapshot", "cam", path, "--format", kind)
        check(path in result.err and CAUSE in result.err, "%r", result)
        check(not [line for line in result.err.split("\n") if line.startswith("picture")], "left: %r", result)
        result = s.run("snapshot", "cam", "/dev/full", "--format", kind)
        check(result.code == FAILED and "/dev/full" in result.err and CAUSE in result.err, "%r", result)
    check(s.run("snapshot", "cam", "good.png").code == OK, "the stream goes on")


def test_limit_of_file_sizes(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    path = s.path("film.mkv")
    result = s.start("record", "film", path, "--duration", "30", limit=("--fsize=65536",)).expect(FAILED)
    check(path in result.err and "File too large" in result.err, "%r", result)
    result = s.start("publish", "test:640x480@25", "--name", "cam", limit=("--fsize=65536",)).expect(FAILED)
    check("ulimit -f" in result.err, "%r", result)


if __name__ == "__main__":
    harness.main(globals())
