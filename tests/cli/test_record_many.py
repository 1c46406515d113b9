#!/usr/bin/env python3
"""test_record_many.py - a recording in many files: each packet in exactly one of them, each file plays by itself;
names, and what makes a new file."""
import calendar
import os
import re
import signal
import time

import harness
import recording
from harness import FAILED, OK, USAGE, check


def utc(event):
    return calendar.timegm(time.strptime(event["start"][:19], "%Y-%m-%dT%H:%M:%S"))


def check_files(s, recorder, film, decode=True):
    """Every packet from the first one on is in exactly one file. Gives them per file."""
    source, parts = recording.Film(film), []
    for event in recorder.events("file"):
        numbers = recording.compare(s.path(event["file"]), film, source)
        check(len(numbers) == event["packets"], "%s has %d packets", event, len(numbers))
        check(os.path.getsize(s.path(event["file"])) == event["bytes"], "%s is of another size", event)
        parts.append(numbers)
    every = sorted(sum(parts, []))
    check(len(every) == len(set(every)), "packets are in two files: %s",
          sorted(n for n in set(every) if every.count(n) > 1)[:9])
    missing = set(range(every[0], every[-1] + 1)) - set(every)
    # Sound from before the first picture may come behind it.
    missing = {n for n in missing if source.packet(n)[2] >= source.packet(every[0])[2]}
    check(not missing, "packets are in no file: %s", sorted(missing)[:9])
    if decode:
        recording.decode(*(s.path(event["file"]) for event in recorder.events("file")))
    return parts


def test_segments(s):
    """Sound that comes late or early in the order lies in the file of its time."""
    for late in (0.0, 1.5, -1.5):
        recording.folder(s)
        film = recording.film(s, "film", late=late)
        feed = recording.Feed(s, "cam", film)
        feed.play(21)
        recorder = recording.Recorder(s, "cam", "rec/%F/a-%H%M%S.mp4", "--segment", "1m", "--no-reconnect")
        opened = recorder.wait("open")
        check(opened["reason"] == "start" and opened["preroll"] < 8, "%s", opened)
        feed.play(400)
        feed.end()
        recorder.process.expect(OK)
        parts = check_files(s, recorder, film)
        source = recording.Film(film)
        check(parts[-1] and max(parts[-1]) == feed.count - 1, "the end is missing: %s of %s", max(parts[-1]),
              feed.count)
        for numbers in parts[1:]:  # no sound from before the first picture, and none that belongs to the next file
            times = {kind: [source.packet(n)[2] for n in numbers if source.packet(n)[0] == kind] for kind in (0, 1)}
            check(min(times[1]) >= min(times[0]), "sound of the file before")
        events = recorder.events("file")
        check(len(events) >= 6 and all(e["reason"] == "segment" for e in events[:-1]), "%s", events)
        for event in events[1:]:  # the first keyframe behind the boundary: one every 8 s
            check(utc(event) % 60 < 9, "%s is no time to change files", event["start"])
        for event in events:
            name = time.strftime("rec/%Y-%m-%d/a-%H%M%S.mp4", time.localtime(utc(event)))
            check(event["file"] == name, "%s should be called %s", event, name)
        check(recording.files(s.path("rec")) == sorted(e["file"][4:] for e in events), "others are left")
        end = recorder.events("end")[0]
        check(end["ended"] == "publisher_gone" and end["files"] == len(events), "%s", end)
        check(end["packets"] == sum(map(len, parts)) and end["lost"] == end["dropped"] == 0, "%s", end)


def test_containers(s):
    """Matroska and TS: as many packets, and no file without a keyframe in front."""
    film = recording.film(s, "film")
    for kind in ("mkv", "ts"):
        recording.folder(s)
        feed = recording.Feed(s, "cam", film)
        feed.play(8)
        recorder = recording.Recorder(s, "cam", "rec/%s." + kind, "--segment", "30s", "--no-reconnect", "--utc")
        recorder.wait("open")
        feed.play(120)
        feed.end()
        recorder.process.expect(OK)
        events = recorder.events("file")
        seen = [recording.probe(s.path(e["file"]), "-show_packets")["packets"] for e in events]
        for event, packets in zip(events, seen):
            pictures = [p for p in packets if p["codec_type"] == "video"]
            check("K" in pictures[0]["flags"], "%s does not begin with a keyframe", event)
            check(len(packets) == event["packets"], "%s has %d packets", event, len(packets))
        # Two packets of sound are from before the first picture.
        check(sum(map(len, seen)) == feed.count - 2 and len(events) >= 4, "%s of %s packets", sum(map(len, seen)),
              feed.count)
        recording.decode(*(s.path(e["file"]) for e in events))


def test_sizes(s):
    film = recording.film(s, "film", size="320x240", group=2, fps=4, seconds=2)
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(2)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment-bytes", "100K", "--no-reconnect")
    recorder.wait("open")
    feed.play(40)
    feed.end()
    recorder.process.expect(OK)
    events = recorder.events("file")
    check(len(events) > 4 and all(e["reason"] == "size" for e in events[:-1]), "%s", events)
    sizes = [e["bytes"] for e in events]
    check(max(sizes) <= 100 << 10 and min(sizes[:-1]) > 50 << 10, "sizes %s", sizes)
    check_files(s, recorder, film)


def test_taken_names(s):
    """No name is used twice and nothing is written over: not what others put there, and not in one second."""
    film = recording.film(s, "film")
    folder = recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(2)
    recorder = recording.Recorder(s, "cam", "rec/%Y%m%d%H.mp4", "--segment", "1h", "--control")
    first = recorder.wait("open")["file"]
    mine = s.path(first)
    with open(mine, "w") as file:
        file.write("mine")
    for count in (2, 3, 4):
        recorder.read_all(feed)
        recorder.ask("split")
        feed.play(8)
        recorder.wait("open", count)
    recorder.finish()
    with open(mine) as file:
        check(file.read() == "mine", "it was replaced")
    stem = os.path.basename(first)[:-4]
    left = recording.files(folder)
    # Where the hour changes while this runs names begin anew.
    check(len(left) == 5 and all(re.fullmatch(r"\d{10}(-\d)?\.mp4", name) for name in left), "%s", left)
    check(stem + "-2.mp4" in left, "%s", left)
    check_files(s, recorder, film)
    feed.end()


def test_zones(s):
    """Local time as TZ says, and UTC."""
    film = recording.film(s, "film", seconds=1, fps=2, group=2, bframes=0)
    feed = recording.Feed(s, "cam", film)
    feed.play(2)
    for args, zone, wanted in (((), "AAA-5:45", "+0545"), ((), "YYY+3", "-0300"), (("--utc",), "AAA-5:45", "+0000")):
        recording.folder(s)
        recorder = recording.Recorder(s, "cam", "rec/%F_%H%M%S_%z_%s.ts", "--segment", "1h", "--control", *args,
                                      env={"TZ": zone})
        name = recorder.wait("open")["file"]
        recorder.read_all(feed)
        recorder.finish()
        _, day, clock, offset, seconds = re.fullmatch(r"(rec)/([\d-]+)_(\d+)_([-+]\d+)_(\d+)\.ts", name).groups()
        east = (int(offset[1:3]) * 60 + int(offset[3:])) * 60 * (-1 if offset[0] == "-" else 1)
        shown = calendar.timegm(time.strptime(day + clock, "%Y-%m-%d%H%M%S"))
        check(offset == wanted and shown - east == int(seconds), "%s with %s", name, zone)
    feed.end()


def test_parameters(s):
    """Another size and another codec begin a new file with the keyframe that brings them."""
    films = [recording.film(s, "a"), recording.film(s, "b", size="96x64"), recording.film(s, "c", codec="libx265")]
    recording.folder(s)
    feed = recording.Feed(s, "cam", films[0])
    feed.play(8)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1d", "--control", "--no-reconnect")
    recorder.wait("open")
    feed.play(8)
    for film in films[1:]:
        recorder.read_all(feed)
        feed.tell("film", film)
        feed.play(16)
    recorder.read_all(feed)
    feed.end()
    recorder.process.expect(OK)
    events = recorder.events("file")
    check([e["reason"] for e in events][:2] == ["parameters"] * 2 and len(events) == 3, "%s", events)
    seen = [recording.probe(s.path(e["file"]), "-show_streams")["streams"][0] for e in events]
    check([(v["codec_name"], v["width"]) for v in seen] == [("h264", 64), ("h264", 96), ("hevc", 64)], "%s", seen)
    recording.decode(*(s.path(e["file"]) for e in events))
    check("96x64 h264 from here on, was 64x48 h264" in recorder.process.err, "%s", recorder.process.err)


def test_source_begins_anew(s):
    """A new file, and the hole is said; nothing of either side is lost."""
    film = recording.film(s, "film")
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(20)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1h", "--control")
    recorder.wait("open")
    feed.tell("restart")
    feed.play(16)
    recorder.wait("open", 2)
    check(recorder.wait("file")["reason"] == "discontinuity", "%s", recorder.events())
    feed.tell("jump", 5000)  # and nothing says so: the next keyframe begins a file
    feed.play(20)
    check(recorder.wait("open", 3)["reason"] == "jump", "%s", recorder.events())
    recorder.read_all(feed)
    end = recorder.finish()
    check(end["epochs"] == 1 and end["files"] == 3, "%s", end)
    recording.decode(*(s.path(e["file"]) for e in recorder.events("file")))
    numbers = [recording.number_of(packet[3]) for e in recorder.events("file")
               for packet in recording.serials(s.path(e["file"]))]
    missing = sorted(set(range(min(numbers), feed.count)) - set(numbers))
    # Sound from before the first picture, at the beginning and behind the restart.
    check(len(numbers) == len(set(numbers)) and missing == [33, 35, 41, 43], "packets are missing: %s", missing)
    feed.end()


def test_publisher_killed(s):
    """The file is finished at once; the next publisher's stream begins another."""
    film = recording.film(s, "film")
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--segment", "1h", "--control")
    recorder.wait("open")
    recorder.read_all(feed)
    feed.process.kill()
    event = recorder.wait("file")
    check(event["reason"] == "publisher_gone" and event["packets"] >= 8, "%s", event)
    check(os.path.exists(s.path(event["file"])), "it has no name yet")
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    check(recorder.wait("open", 2)["reason"] == "discontinuity", "%s", recorder.events())
    recorder.read_all(feed)
    end = recorder.finish()
    check(end["files"] == 2 and end["ended"] == "quit", "%s", end)
    recording.decode(*(s.path(e["file"]) for e in recorder.events("file")))
    feed.end()


def test_real_camera(s):
    """A film in real time through `publish`: sound and pictures, no packet twice, and none is missing."""
    recording.folder(s)
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    recorder = recording.Recorder(s, "film", "rec/%s.mp4", "--segment", "3s", "--duration", "10")
    recorder.process.expect(OK)
    events = recorder.events("file")
    check(events[-1]["reason"] == "duration" and len(events) >= 2, "%s", events)
    check(abs(recorder.events("end")[0]["seconds"] - 10) < 0.2, "%s", recorder.events("end"))
    seen = []
    for event in events:
        packets = recording.probe(s.path(event["file"]), "-show_packets", "-show_data_hash", "MD5")["packets"]
        check("K" in [p for p in packets if p["codec_type"] == "video"][0]["flags"], "%s", event)
        seen += [p["data_hash"] for p in packets if p["codec_type"] == "video"]
    check(len(seen) == len(set(seen)) and abs(len(seen) - 240) <= 8, "%s pictures, %s different ones", len(seen),
          len(set(seen)))
    recording.decode(*(s.path(e["file"]) for e in events))


def test_ends(s):
    """Ctrl-C and SIGTERM finish the file; without any it is a failure."""
    film = recording.film(s, "film")
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    for number in (signal.SIGINT, signal.SIGTERM):
        recorder = recording.Recorder(s, "cam", "rec/%F-%T.mkv", "--segment", "1h")
        recorder.wait("open")
        recorder.process.stop(number)
        check(recorder.events("end")[0]["ended"] == "signal", "%s", recorder.events())
        check(recorder.events("file")[0]["reason"] == "signal", "%s", recorder.events())
    feed.end()
    feed = recording.Feed(s, "cam", film)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mkv", "--segment", "1h", "--control")
    recorder.ask("?")
    recorder.finish(FAILED)
    check("nothing was written" in recorder.process.err, "%s", recorder.process.err)
    feed.end()


def test_two_signals_at_once(s):
    """timeout(1) tells the process, and at once its group, too: that is one signal, and the file is finished."""
    film = recording.film(s, "film")
    folder = recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(16)
    for count in range(1, 6):
        recorder = s.start_program(harness.need_program("timeout"), "1h", harness.program(), "record", "cam",
                                   "rec/%F-%T.mp4", "--segment", "1h", "--json")
        recorder.wait_for('"open"', "out")
        recorder.stop(signal.SIGTERM)
        check('"ended":"signal"' in recorder.out, "%s", recorder.out)
        left = recording.files(folder)
        check(len(left) == count and not any(name.endswith(".part") for name in left), "%s", left)
    feed.end()


def test_without_times(s):
    """Packets that say no time count from when they come: today's name, and every picture is there."""
    film = recording.film(s, "film", sound=False, bframes=0, seconds=2, fps=4, group=4)
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.tell("timeless")
    feed.play(2)
    recorder = recording.Recorder(s, "cam", "rec/%s.mkv", "--segment", "1h", "--control")
    opened = recorder.wait("open")
    feed.play(4)
    recorder.read_all(feed)
    recorder.ask("split")
    feed.play(4)
    recorder.wait("open", 2)
    recorder.read_all(feed)
    recorder.finish()
    check(abs(utc(opened) - time.time()) < harness.LIMIT, "%s", opened)
    check(sum(e["packets"] for e in recorder.events("file")) in (feed.count, feed.count - 4), "%s", recorder.events())
    recording.decode(*(s.path(e["file"]) for e in recorder.events("file")))
    feed.end()


def test_usage(s):
    recording.folder(s)
    for args, word in ((("plain.mp4", "--segment", "10m"), "date"), (("%F.mp4", "--segment", "10m"), "%H"),
                       (("%F-%H%M.mp4", "--paused"), "%S"), (("%F-%Q.mp4", "--segment", "1h"), "%Q"),
                       (("no/%F-%T.mp4", "--segment", "1h"), "no directory no"),
                       (("-", "--segment", "1h", "--format", "ts"), "stdout"),
                       (("%F-%T.mp4", "--segment", "1h", "--overwrite"), "--overwrite"),
                       (("%F-%T.mp4", "--segment", "0.5s"), "whole seconds"),
                       (("%F-%T.mp4", "--segment", "10x"), "10x"), (("%F-%T.mp4", "--segment", "-5m"), "-5m"),
                       (("%F-%T.mp4", "--segment", "1h", "--keep-bytes", "10"), "64K"),
                       (("%F-%T.mp4", "--segment", "1h", "--keep", "week"), "week"),
                       (("a.mp4", "--keep", "7d"), "--segment"), (("a.mp4", "--utc"), "--segment"),
                       (("%F-%T.mp4", "--control", "--reconnect", "--no-reconnect"), "exclude")):
        result = s.run("record", "cam", *args)
        check(result.code == USAGE and word in result.err, "%s: %r", args, result)


def test_plain_percent(s):
    """Without --segment a % is a %, and the file grows under its name."""
    film = recording.film(s, "film")
    feed = recording.Feed(s, "cam", film)
    feed.play(20)
    process = s.start("record", "cam", "100%-%Y.mkv", "--json")
    s.until(lambda: os.path.exists(s.path("100%-%Y.mkv")), "it grows under its name")
    feed.play(8)
    feed.end()
    said = process.json()
    check(said["file"] == "100%-%Y.mkv" and said["ended"] == "publisher_gone", "%s", said)
    recording.decode(s.path("100%-%Y.mkv"))


if __name__ == "__main__":
    harness.main(globals())
