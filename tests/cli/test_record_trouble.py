#!/usr/bin/env python3
"""test_record_trouble.py - a recorder of many files that is killed, or has a full disk, no directory, a second recorder
beside it: what was written plays, and it goes on when it can."""
import os
import re
import shutil
import struct
import subprocess

import harness
import recording
from harness import FAILED, check

# A small disk at $0 with most of it taken, in a namespace of its own; then the program in this very process.
ENTER = 'mount -t tmpfs -o size="$SIZE" small "$0" && head -c "$FILLER" /dev/zero > "$0/filler" && exec "$@"'


def without_sets(s, path):
    """The film in Annex B form, with parameter sets neither in front nor in the pictures."""
    with open(path, "rb") as file:
        data = file.read()
    length, tracks, count = struct.unpack_from("<q2I", data)
    check(tracks == 1, "pictures alone")
    extradata = struct.unpack_from("<I", data, 16 + 60)[0]
    at, records = 80 + extradata, b""
    for _ in range(count):
        head, content = data[at:at + 44], b""
        size = struct.unpack_from("<I", head, 8)[0]
        unit, end = at + 44, at + 44 + size
        while unit < end:
            step = 4 + struct.unpack_from(">I", data, unit)[0]
            content += b"\0\0\0\1" + data[unit + 4:unit + step]
            unit += step
        records += head[:8] + struct.pack("<I", len(content)) + head[12:] + content
        at = end
    bare = path + ".bare"
    with open(bare, "wb") as file:
        file.write(struct.pack("<q2I", length, tracks, count) + data[16:76] + struct.pack("<I", 0) + records)
    return bare


def test_nothing_to_begin_with(s):
    """Packets that no recording can begin with: it says what is missing, waits, and begins when that comes."""
    recording.folder(s)
    whole = recording.film(s, "film", sound=False, fps=4, seconds=2, group=8)
    bare = without_sets(s, whole)
    feed = recording.Feed(s, "cam", bare)
    feed.play(5)
    short, *recorders = (s.start("record", "cam", *args) for args in (
        ("short.mp4",), ("one.mp4",), ("rec/%F-%T.mp4", "--segment", "1h")))
    for recorder in (short, *recorders):
        recorder.wait_for("packets came and no keyframe with parameter sets")
    short.stop(code=FAILED)
    check("no keyframe with parameter sets (SPS, PPS) came, nothing was written" in short.err, "%s", short.err)
    feed.tell("film", whole)
    feed.play(8)
    for recorder in recorders:
        recorder.wait_for(r"[1-9]\d* packets, |: [1-9]\d*\.\d s; 0 files")
        recorder.stop()
    feed.end()
    check(len(recording.files(s.path("rec"))) == 1, "%s", recording.files(s.path("rec")))
    recording.decode(s.path("one.mp4"), *(s.path("rec", name) for name in recording.files(s.path("rec"))))


def test_no_keyframe(s):
    """The same without any keyframe: packets came, whatever is missing."""
    recording.folder(s)
    film = recording.film(s, "film", sound=False, fps=4, seconds=8, group=32)
    feed = recording.Feed(s, "cam", film, 4)
    feed.play(4)
    for args in (("one.mp4",), ("rec/%F-%T.mp4", "--segment", "1h")):
        recorder = s.start("record", "cam", *args)
        recorder.wait_for("waiting for a keyframe")
        feed.play(0.5)
        s.until(lambda: s.json("info", "cam", "--json")["subscribers"], "it has joined")
        recorder.stop(code=FAILED)
        check("no keyframe came, nothing was written" in recorder.err, "%s", recorder.err)
        check("packets came and no keyframe" not in recorder.err, "%s", recorder.err)
    feed.end()


def test_killed(s):
    """What it left plays, and gets its name from the next one; but not while somebody writes it."""
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    killed = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1h", "--control")
    killed.wait("open")
    feed.play(60)
    killed.read_all(feed)
    beside = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1h", "--control")
    beside.wait("open")
    check(not beside.events("recovered"), "it took a file that is being written")
    part, other = (recorder.events("open")[0]["file"] for recorder in (killed, beside))
    check(part != other and sorted(recording.files(folder)) == sorted(name[4:] + ".part" for name in (part, other)),
          "%s", recording.files(folder))
    killed.process.kill()
    # The last fragment was not yet written: at most one group of pictures and a second.
    numbers = recording.compare(s.path(part) + ".part", film)
    check(max(numbers) > feed.count - 20, "%s of %s packets are in it", max(numbers), feed.count)
    with open(s.path("rec", "2026-01-01-00:00:00.mp4.part"), "w"):
        pass  # one that was killed at once
    after = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1h", "--control")
    check(after.wait("recovered")["file"] == part, "%s", after.events())
    after.wait("open")
    check(os.path.exists(s.path(other) + ".part"), "it took a file that is being written")
    check(not os.path.exists(s.path("rec", "2026-01-01-00:00:00.mp4.part")), "an empty one is left")
    recording.decode(s.path(part))
    after.finish()
    beside.finish()
    feed.end()


def test_killed_before_the_first_packet(s):
    """A head and nothing behind it is no recording: it goes. What has a packet gets its name."""
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(30)
    for kind, begins in (("mp4", b"moof"), ("mkv", b"\x1f\x43\xb6\x75"), ("ts", None)):
        pattern = "rec/%F-%T." + kind
        recorder = recording.Recorder(s, "cam", pattern, "--segment", "1h", "--control")
        recorder.wait("open")
        feed.play(30)
        recorder.read_all(feed)
        recorder.finish()
        with open(s.path(recorder.events("file")[0]["file"]), "rb") as file:
            whole = file.read()
        head = whole.index(begins) - 4 * (kind == "mp4") if begins else 3 * 188  # its tables
        for day, content in ((1, whole[:head]), (2, whole), (3, b"\0" * 100000)):
            with open(s.path("rec", "2026-01-0%d-00:00:00.%s.part" % (day, kind)), "wb") as file:
                file.write(content)
        after = recording.Recorder(s, "cam", pattern, "--segment", "1h", "--control", "--paused")
        after.ask("?")
        after.finish()
        told = sorted(os.path.basename(event["file"]) for event in after.events("recovered"))
        check(told == ["2026-01-0%d-00:00:00.%s" % (day, kind) for day in (2, 3)], "%s: %s", kind, after.events())
        check(not any(".part" in name for name in recording.files(folder)), "%s", recording.files(folder))
    feed.end()


def test_short_files_go_on(s):
    """That files can be written again shows, too, where each has one group of pictures."""
    film, folder = recording.film(s, "film", fps=4, seconds=2, group=8), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(4)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1s", "--control")
    recorder.wait("open")
    feed.play(4)
    recorder.wait("file")
    os.rename(folder, s.path("away"))
    s.until(lambda: goes_on(recorder, feed, 2) or recorder.events("error"), "it notices")
    os.mkdir(folder)
    resumed = s.until(lambda: goes_on(recorder, feed, 2), "it goes on")[0]
    end = recorder.finish()
    check(end["dropped"] == resumed["dropped"] and len(recorder.events("error")) == 1, "%s", end)
    feed.end()


def need_small_disk():
    """What makes one. Asked before anything else runs that would be left behind when the test is skipped."""
    base = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    harness.need_program("unshare")
    tried = subprocess.run(base + ["mount", "-t", "tmpfs", "small", "/mnt"], capture_output=True, text=True)
    if tried.returncode != 0:
        harness.skip("needs the right to mount a small disk (CAP_SYS_ADMIN, or user namespaces): " +
                     tried.stderr.strip())
    return base


def small_disk(s, size, filler, *args):
    """A recorder whose s.path("disk") is small. Gives it, and the disk's path as seen from here."""
    base = need_small_disk()
    os.makedirs(s.path("disk"), exist_ok=True)
    recorder = recording.Recorder.__new__(recording.Recorder)
    recorder.s = s
    recorder.process = s.start_program("env", "SIZE=%d" % size, "FILLER=%d" % filler, *base, "sh", "-c", ENTER,
                                       s.path("disk"), harness.program(), "record", "cam", *args, "--json",
                                       "--control", name="record on a small disk", stdin=subprocess.PIPE)
    disk = "/proc/%d/root%s" % (recorder.process.pid, s.path("disk"))
    recorder.wait("open")
    if not os.access(disk, os.R_OK | os.W_OK):
        harness.skip("may not look into another mount namespace")
    return recorder, disk


def goes_on(recorder, feed, seconds):
    feed.play(seconds)
    recorder.read_all(feed)
    return recorder.events("resumed")


def test_full_disk(s):
    """Said once; what is written plays; it goes on when there is room, and says what is lost."""
    need_small_disk()
    film = recording.film(s, "film", size="320x240", fps=4, seconds=2, group=8)
    source = recording.Film(film)
    feed = recording.Feed(s, "cam", film)
    feed.play(4)
    for kind in ("mp4", "mkv"):
        recorder, disk = small_disk(s, 1 << 20, 700000, s.path("disk", "%F-%T." + kind), "--segment", "1h")
        while not recorder.events("error"):
            feed.play(4)
            recorder.read_all(feed)
        error = recorder.events("error")[0]
        check("No space left on device" in error["message"], "%s", error)
        torn = recorder.wait("file")
        check(torn["reason"] == "error" and torn["packets"] > 10, "%s", torn)
        name = os.path.basename(torn["file"])
        shutil.copy(os.path.join(disk, name), s.path("torn." + kind))
        recording.decode(s.path("torn." + kind))
        if kind == "mp4":
            numbers = recording.compare(s.path("torn.mp4"), film, source)
            # A few may still have waited for their place between sound and pictures.
            check(0 <= torn["packets"] - len(numbers) <= 4, "%d packets of %s", len(numbers), torn)
        feed.play(20)
        recorder.read_all(feed)
        check(len(recorder.events("error")) == 1, "it is said again: %s", recorder.events("error"))
        os.unlink(os.path.join(disk, "filler"))

        resumed = s.until(lambda: goes_on(recorder, feed, 2), "it goes on")[0]
        check(resumed["dropped"] > 50 and recorder.events("gap"), "%s", recorder.events())
        recorder.ask("split")
        feed.play(4)
        whole = recorder.wait("file", 2)
        shutil.copy(os.path.join(disk, os.path.basename(whole["file"])), s.path("whole." + kind))
        recording.decode(s.path("whole." + kind))
        end = recorder.finish()
        check(end["dropped"] == resumed["dropped"], "%s", end)
    feed.end()


def test_full_disk_makes_room(s):
    """Where files may be deleted the oldest go, and nothing is lost."""
    need_small_disk()
    film = recording.film(s, "film", size="320x240", fps=4, seconds=2, group=8)
    feed = recording.Feed(s, "cam", film)
    feed.play(4)
    recorder, disk = small_disk(s, 3 << 20, 1000000, s.path("disk", "%F-%T.mp4"), "--segment", "10s", "--keep", "7d")
    for _ in range(30):
        feed.play(8)
        recorder.read_all(feed)
    deleted = recorder.events("deleted")
    check(deleted and all(e["reason"] == "full" for e in deleted), "%s", recorder.events())
    check([e["file"] for e in deleted] == [os.path.basename(e["file"]) for e in recorder.events("file")][:len(deleted)],
          "not the oldest: %s", deleted)
    check(not recorder.events("error"), "%s", recorder.events("error"))
    left = [name for name in os.listdir(disk) if name.endswith(".mp4")]
    check(len(left) >= 3, "too many went: %s", left)
    end = recorder.finish()
    check(end["dropped"] == 0 and end["packets"] >= feed.count - 40, "%s of %s", end, feed.count)
    feed.end()


def test_directory_goes(s):
    """Found with the next keyframe, said once; it goes on when there is a directory again."""
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    recorder = recording.Recorder(s, "cam", "rec/%F/%T.mp4", "--segment", "1h", "--control")
    recorder.wait("open")
    shutil.rmtree(folder)
    feed.play(40)
    recorder.wait("error")
    recorder.read_all(feed)
    check(re.search("deleted while it was written|No such file", recorder.process.err), "%s", recorder.process.err)
    os.mkdir(folder)

    s.until(lambda: goes_on(recorder, feed, 8), "it goes on")
    recorder.finish()
    recording.decode(s.path(recorder.events("file")[-1]["file"]))
    feed.end()


def test_never_possible(s):
    """A root that never is there: a failure in the end."""
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    day = os.path.join(folder, "day")
    with open(day, "w"):
        pass  # where a directory should be
    os.mkdir(s.path("rec", "x"))
    recorder = recording.Recorder(s, "cam", "rec/x/%F/%T.mp4", "--segment", "1h", "--control")
    recorder.wait("open")
    recorder.finish()
    os.rename(s.path("rec", "x"), s.path("rec", "y"))
    result = s.run("record", "cam", "rec/x/%F/%T.mp4", "--segment", "1h")
    check(result.code == harness.USAGE and "no directory rec/x" in result.err, "%r", result)
    os.symlink(s.path("rec", "y"), s.path("rec", "z"))
    for name in os.listdir(s.path("rec", "y")):  # a link where a day's directory should be is not followed
        shutil.rmtree(s.path("rec", "y", name))
        os.symlink(s.root, s.path("rec", "y", name))
    recorder = recording.Recorder(s, "cam", "rec/z/%F/%T.mp4", "--segment", "1h", "--control")
    check("its directory" in recorder.wait("error")["message"], "%s", recorder.events())
    recorder.finish(FAILED)
    feed.end()


if __name__ == "__main__":
    harness.main(globals())
