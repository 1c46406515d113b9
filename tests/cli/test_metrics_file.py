#!/usr/bin/env python3
"""test_metrics_file.py - the file of `cuframes metrics --textfile`: whole for whoever reads it, and clear words where
it cannot be written."""
import os
import signal
import subprocess
import time

import harness
import metering
from harness import FAILED, OK, check

LAST = "cuframes_stream_frame_latency_seconds"  # of the families


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_once(s):
    s.publish("test:64x48@25", "cam")
    path = s.path("a.prom")
    result = s.start("metrics", "--once", "--textfile", path, "--timeout", harness.LIMIT).expect(OK)
    check(not result.out and not result.err, "%s", result)
    check(metering.Metrics(read(path)).get("cuframes_stream_up", stream="cam") == 1, "not up")
    check(os.listdir(s.root).count("a.prom") == 1 and not os.path.exists(s.path(".a.prom.tmp")), "left: %s",
          os.listdir(s.root))
    check(os.stat(path).st_mode & 0o777 == 0o644, "node_exporter may not read it: %o", os.stat(path).st_mode)


def test_whole_under_a_reader(s):
    """Whoever opens the file finds all of one look, again and again; at the end it is gone."""
    for i in range(8):
        s.publish("test:64x48@25", "cam%d" % i)
    path = s.path("a.prom")
    writer = s.start("metrics", "--textfile", path, "--interval", "0.01")
    s.until(lambda: os.path.exists(path), "the file")
    seen = set()
    while len(seen) < 50:
        text = read(path)
        if text in seen:
            continue
        seen.add(text)
        there = metering.Metrics(text)
        check(len(there.all("cuframes_stream_up")) == 8 and list(there.families)[-1] == LAST, "half a look: %s",
              text[-200:])
    writer.stop()
    check(not [name for name in os.listdir(s.root) if "prom" in name], "left: %s", os.listdir(s.root))


def test_end_in_a_look(s):
    """A stream that does not answer holds up nobody who ends it: the file is gone at once."""
    stopped = s.publish("test:64x48@25", "stopped")
    path = s.path("a.prom")
    writer = s.start("metrics", "--textfile", path, "--interval", "0.01", "--timeout", "1000")
    s.until(lambda: os.path.exists(path), "the file")
    stopped.suspend()
    written = []

    def is_stuck():
        written.append(os.stat(path).st_mtime_ns)
        return len(written) > 1 and written[-1] == written[-2]
    s.until(is_stuck, "a look that does not end")
    began = time.monotonic()
    writer.stop(signal.SIGTERM)
    harness.pace(time.monotonic() - began < 1, "%.1f s", time.monotonic() - began)
    check(not [name for name in os.listdir(s.root) if "prom" in name], "left: %s", os.listdir(s.root))
    stopped.resume()
    once = s.start("metrics", "--once", "--timeout", "1000")
    check(metering.Metrics(once.expect(OK).out).get("cuframes_stream_up", stream="stopped") == 1, "%s", once.out)


def test_what_was_left(s):
    """One that was killed while it wrote left its file; the next one writes over it."""
    with open(s.path(".a.prom.tmp"), "w") as file:
        file.write("half" * 100000)
    s.start("metrics", "--once", "--textfile", s.path("a.prom")).expect(OK)
    metering.Metrics(read(s.path("a.prom")))
    check(not os.path.exists(s.path(".a.prom.tmp")), "it stays")


def test_link_is_no_way_out(s):
    """Where others may write, too, a link in the place of the file beside it is not followed."""
    os.symlink(s.path("victim"), s.path(".a.prom.tmp"))
    result = s.start("metrics", "--once", "--textfile", s.path("a.prom")).expect(FAILED)
    check(not os.path.exists(s.path("victim")) and ".a.prom.tmp" in result.err, "%s", result)


def test_cannot_be_written(s):
    os.mkdir(s.path("directory.prom"))
    for path, words in ((s.path("none", "a.prom"), "make its directory"), (s.path("directory.prom"), "name a file"),
                        ("/proc/a.prom", "")):
        result = s.start("metrics", "--textfile", path).expect(FAILED)
        check(path in result.err.replace("/.a", "/a") and words in result.err, "%s: %s", path, result)
    result = s.start("metrics", "--textfile", "cuframes.txt", "--once").expect(OK)
    check(".prom" in result.err, "%s", result)


def test_may_not_write(s):
    os.mkdir(s.path("closed"), 0o755)
    result = s.start("metrics", "--once", "--dir", s.path("no"), "--textfile", s.path("closed", "a.prom"),
                     user=65533).expect(FAILED)
    check("must be able to write" in result.err, "%s", result)


def test_full_disk(s):
    """The first look does not fit: it ends. A later one: the file stays, it is said once, and tried again."""
    mount = harness.need_program("mount")
    disk = s.path("disk")
    os.mkdir(disk)
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=128k", "none", disk], capture_output=True).returncode:
        harness.skip("cannot mount a small file system here")
    s.at_end(subprocess.run, ["umount", disk])
    filler, path = os.path.join(disk, "filler"), os.path.join(disk, "a.prom")
    writer = s.start("metrics", "--textfile", path, "--interval", "0.05")
    s.until(lambda: os.path.exists(path), "the file")
    fill(filler)
    writer.wait_for("No space left.*make room")
    metering.Metrics(read(path))
    check(not s.start("metrics", "--textfile", os.path.join(disk, "b.prom")).expect(FAILED).out, "it printed")
    os.unlink(filler)
    writer.wait_for("written again")
    check(writer.stop(signal.SIGTERM).err.count("No space left") == 1, "said more than once")
    check(os.listdir(disk) == [], "left: %s", os.listdir(disk))


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


if __name__ == "__main__":
    harness.main(globals())
