#!/usr/bin/env python3
"""test_record_day.py - a day of recording in a minute: a source whose times run 24 hours, files of ten minutes. Every
packet that was sent is in exactly one file, bit for bit, every file begins with a keyframe and decodes without a
complaint.

Two pictures and a packet of sound each second with CUFRAMES_LONG (make test-record-day); else one picture every four
seconds, and every twelfth file is decoded."""
import os
import time

import harness
import recording
from harness import OK, check

LONG = bool(os.environ.get("CUFRAMES_LONG"))
DAY = 86400
SEGMENT = 600
AT_ONCE = 3600 * (2 if LONG else 12)


def test_day(s):
    fps, group = (2, 16) if LONG else (0.25, 4)
    film = recording.film(s, "film", fps=fps, group=group, seconds=16, late=0.7, bframes=2, every=1 if LONG else 4)
    source = recording.Film(film)
    folder = recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(40)
    recorder = recording.Recorder(s, "cam", "rec/%Y-%m-%d/%H%M%S.mp4", "--utc", "--segment", "%ds" % SEGMENT,
                                  "--no-reconnect", "--no-fsync")
    recorder.wait("open")
    for played in range(AT_ONCE, DAY + 1, AT_ONCE):  # the packet ring holds no more than a part of the day
        feed.play(AT_ONCE)
        recorder.wait("open", played // SEGMENT)
    feed.end()
    recorder.process.expect(OK)

    events = recorder.events("file")
    check(DAY // SEGMENT <= len(events) <= DAY // SEGMENT + 2, "%d files", len(events))
    check(all(e["reason"] == "segment" for e in events[:-1]), "%s", [e["reason"] for e in events])
    check(not recorder.events("gap") and not recorder.events("lost") and not recorder.events("error"), "%s",
          [e for e in recorder.events() if e["event"] in ("gap", "lost", "error")])
    begins = [time.strptime(e["start"][:19], "%Y-%m-%dT%H:%M:%S") for e in events]
    late = max((t.tm_min * 60 + t.tm_sec) % SEGMENT for t in begins[1:])
    check(late <= 16 + 1, "a file begins %d s behind its boundary", late)
    check(recording.files(folder) == sorted(e["file"][4:] for e in events), "other files are left")

    found = set()
    for event in events:
        numbers = recording.compare(s.path(event["file"]), film, source)
        check(len(numbers) == event["packets"], "%s: %d packets", event, len(numbers))
        check(not found & set(numbers) and len(set(numbers)) == len(numbers), "%s has packets of another file", event)
        found |= set(numbers)
    first = min(n for n in found if source.packet(n)[0] == 0)
    wanted = {n for n in range(first, feed.count) if source.packet(n)[2] >= source.packet(first)[2]}
    check(wanted <= found, "packets are in no file: %s", sorted(wanted - found)[:9])
    check(feed.count > DAY * (3 if LONG else 0.5) * 0.99, "only %d packets", feed.count)
    recording.decode(*(s.path(e["file"]) for e in (events if LONG else events[::12])))
    print("%d packets in %d files, each in one" % (len(found), len(events)))


if __name__ == "__main__":
    harness.main(globals())
