#!/usr/bin/env python3
"""test_record_keep.py - what a recorder deletes: its own oldest files and nothing else, and not all of them because a
clock is wrong."""
import os
import time

import harness
import recording
from harness import check

DAY = 86400


def old_file(folder, when, size=20000, pattern="%Y-%m-%d/a-%H%M%S.mp4"):
    """As a recorder left it."""
    path = os.path.join(folder, time.strftime(pattern, time.localtime(when)))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"\0" * size)
    return os.path.relpath(path, folder)


def record(s, feed, *args):
    recorder = recording.Recorder(s, "cam", "rec/%F/a-%H%M%S.mp4", "--segment", "1m", "--control", *args)
    recorder.wait("open")
    return recorder


def test_age(s):
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    now = time.time()
    old = [old_file(folder, now - 8 * DAY - i * 600) for i in range(10)]  # youngest first
    young = [old_file(folder, now - age * DAY) for age in (6.9, 3, 1)] + [old_file(folder, now + 30 * DAY)]
    outside = s.path("outside")
    os.mkdir(outside)
    for name in ("a-000000.mp4", "keep.txt"):
        with open(os.path.join(outside, name), "w") as file:
            file.write("mine")
    day = time.strftime("%Y-%m-%d", time.localtime(now - 20 * DAY))
    os.symlink(outside, os.path.join(folder, day))  # a directory of ours by its name alone
    lone = time.strftime("%Y-%m-%d", time.localtime(now - 21 * DAY))
    os.mkdir(os.path.join(folder, lone))
    os.symlink(os.path.join(outside, "keep.txt"), os.path.join(folder, lone, "a-000000.mp4"))
    os.mkdir(os.path.join(folder, lone, "a-000001.mp4"))
    for name in ("a-000002.mkv", "a-000003.mp4.part", "b-000004.mp4", "a-000005-1.mp4", "a-000006.mp4~"):
        with open(os.path.join(folder, lone, name), "w") as file:
            file.write("x" * 70000)  # a .part that is much shorter than that and holds no packet goes at once
    before = set(recording.files(folder))
    recorder = record(s, feed, "--keep", "7d")
    # A few at a time; the oldest first, which here is what a recorder that was killed has left.
    due = [lone + "/a-000003.mp4", *old[::-1]]
    check([e["file"] for e in recorder.events("deleted")] == due[:8], "%s", recorder.events("deleted"))
    feed.play(200)
    recorder.wait("open", 3)
    check([e["file"] for e in recorder.events("deleted")] == due, "%s", recorder.events("deleted"))
    recorder.finish()
    written = {e["file"][4:] for e in recorder.events("file")}
    recovered = {e["file"][4:] for e in recorder.events("recovered")}
    check(recovered == {lone + "/a-000003.mp4"}, "%s", recovered)
    left = set(recording.files(folder)) - written
    gone = before - left
    check(gone - set(old) <= {lone + "/a-000003.mp4.part"}, "others went: %s", sorted(gone - set(old)))
    check(set(young) <= left, "young ones went: %s", sorted(set(young) - left))
    check(sorted(os.listdir(outside)) == ["a-000000.mp4", "keep.txt"], "what links point to went")
    emptied = {os.path.dirname(name) for name in old} - {os.path.dirname(name) for name in left}
    check(emptied and not emptied & set(os.listdir(folder)), "empty directories are left: %s", emptied)
    feed.end()


def test_bytes(s):
    """The sum stays below the limit at all times, by the oldest; what is dated into the future counts as oldest."""
    film, folder = recording.film(s, "film", size="320x240", fps=4, seconds=2, group=8), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(4)
    now = time.time()
    old = [old_file(folder, now - DAY - i * 600, 60000) for i in range(8)]
    future = old_file(folder, now + 4000 * DAY, 60000)
    limit = 400 << 10
    recorder = record(s, feed, "--keep-bytes", str(limit >> 10) + "K", "--segment-bytes", "100K")
    for minute in range(6):
        feed.play(20)
        recorder.read_all(feed)
        total = sum(os.path.getsize(os.path.join(folder, name)) for name in recording.files(folder))
        check(total <= limit, "%d bytes in minute %d", total, minute)
    deleted = [e["file"] for e in recorder.events("deleted")]
    check(deleted[0] == future and deleted[1:9] == old[::-1], "%s", deleted)
    check(all(e["reason"] == "keep-bytes" for e in recorder.events("deleted")), "%s", recorder.events("deleted"))
    end = recorder.finish()
    check(end["deleted"] == len(deleted) and len(recording.files(folder)) >= 2, "%s", end)
    feed.end()


def test_clock_ahead(s):
    """A clock that is wrong by twelve years deletes eight files for each that it writes, and no more."""
    film, folder = recording.film(s, "film"), recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    past = time.time() - 12 * 365 * DAY  # as if what is now were what the wrong clock says
    old = [old_file(folder, past - i * 600) for i in range(40)]
    recorder = record(s, feed, "--keep", "7d")
    recorder.read_all(feed)
    check(len(recorder.events("deleted")) == 8, "%s", recorder.events("deleted"))
    recorder.finish()
    check(set(old[:32]) <= set(recording.files(folder)), "younger ones went first")
    feed.end()


if __name__ == "__main__":
    harness.main(globals())
