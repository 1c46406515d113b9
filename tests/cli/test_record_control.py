#!/usr/bin/env python3
"""test_record_control.py - a recorder that is started, stopped and split by lines and by signals, and begins in the
past; no packet is in two files."""
import signal
import subprocess

import harness
import recording
from harness import OK, check


def begin(s, *args, seconds=40):
    """A feed of a film with a keyframe every two seconds, and a paused recorder that has read so much of it."""
    film = recording.film(s, "film", seconds=2, fps=4, group=8)
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(seconds)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--control", *args)
    recorder.read_all(feed)
    return recording.Film(film), feed, recorder


def numbers_of(s, recorder, source):
    """Of each file; no packet is in two of them."""
    parts = [recording.compare(s.path(e["file"]), None, source) for e in recorder.events("file")]
    every = sum(parts, [])
    check(len(every) == len(set(every)), "packets are in two files")
    recording.decode(*(s.path(e["file"]) for e in recorder.events("file")))
    return parts


def pictures(source, numbers):
    return [n for n in sorted(numbers) if source.packet(n)[0] == 0]


def test_paused(s):
    """Nothing before the first start; each start begins as far back as asked, but never with what is recorded."""
    source, feed, recorder = begin(s, "--paused", "--since", "10s")
    check(not recorder.events("open") and not recording.files(s.path("rec")), "it is not paused")
    check(recorder.ask("start")["state"] == "recording", "%s", recorder.events())
    opened = recorder.wait("open")
    check(10 <= opened["preroll"] < 12.5, "%s: it should begin 10 s back", opened)
    feed.play(4)
    recorder.read_all(feed)
    check(recorder.ask("stop")["state"] == "paused", "%s", recorder.events())
    first = recorder.wait("file")
    check(first["reason"] == "stop" and 13.5 < first["seconds"] < 17, "%s", first)
    last = feed.count - 1
    feed.play(5)  # less than --since: the next file begins with the first keyframe behind the last one
    recorder.read_all(feed)
    recorder.ask("start")
    check(recorder.wait("open", 2)["preroll"] < 5, "%s", recorder.events())
    feed.play(30)
    recorder.read_all(feed)
    recorder.ask("stop")
    feed.play(30)
    recorder.read_all(feed)
    check(len(recording.files(s.path("rec"))) == 2, "%s", recording.files(s.path("rec")))
    end = recorder.finish()
    check(end["ended"] == "quit" and end["files"] == 2 and not recorder.events("gap"), "%s", recorder.events())
    one, two = numbers_of(s, recorder, source)
    check(max(pictures(source, one)) == max(pictures(source, range(last + 1))), "the first ends too early")
    keys = [n for n in pictures(source, range(last + 1, last + 40)) if source.packet(n)[1]]
    check(pictures(source, two)[0] == keys[0], "the second begins with %s, not %s", pictures(source, two)[0], keys[0])
    feed.end()


def test_ring_is_short(s):
    """As far back as there is anything, and that is said; also for one file."""
    film = recording.film(s, "film", seconds=2, fps=4, group=8)
    recording.folder(s)
    feed = recording.Feed(s, "cam", film, 64)  # packets: about 12 s
    feed.play(100)
    recorder = recording.Recorder(s, "cam", "rec/%F-%T.mp4", "--control", "--since", "1m")
    opened = recorder.wait("open")
    check(8 < opened["preroll"] < 13, "%s", opened)
    recorder.finish()
    check("ago, of 60.0 s asked for" in recorder.process.err, "%s", recorder.process.err)
    process = s.start("record", "cam", "one.mp4", "--since", "5s", "--duration", "6", "--json")
    process.wait_for(r"begins \d\.\d s ago, of 5\.0 s asked for")
    feed.play(10)
    said = process.json()
    check(said["ended"] == "duration" and abs(said["seconds"] - 6) < 0.3, "%s", said)
    feed.end()


def test_split(s):
    """With the next keyframe; nothing is lost."""
    source, feed, recorder = begin(s)
    for count in (2, 3):
        check(recorder.ask("split")["ok"], "%s", recorder.events())
        feed.play(5)
        check(recorder.wait("open", count)["reason"] == "split", "%s", recorder.events())
        recorder.read_all(feed)
    recorder.finish()
    parts = numbers_of(s, recorder, source)
    check(len(parts) == 3, "%s", recorder.events())
    every = pictures(source, sum(parts, []))
    check(every == pictures(source, range(every[0], feed.count)), "pictures are missing")
    feed.end()


def test_post(s):
    """After a stop it goes on for so long; a start meanwhile goes on in the same file."""
    source, feed, recorder = begin(s, "--paused", "--post", "5s")
    recorder.ask("start")
    check("--post" in recorder.ask("stop")["message"], "%s", recorder.events())
    feed.play(3)
    recorder.read_all(feed)
    check(recorder.ask("start")["message"] == "recording goes on", "%s", recorder.events())
    feed.play(20)
    recorder.read_all(feed)
    check(not recorder.events("file"), "it ended: %s", recorder.events())
    recorder.ask("stop")
    feed.play(20)
    event = recorder.wait("file")
    check(event["reason"] == "stop" and 27 < event["seconds"] < 33, "%s", event)
    check(recorder.ask("stop")["state"] == "paused", "%s", recorder.events())
    check(len(recorder.events("open")) == 1, "%s", recorder.events())
    recorder.finish()
    numbers_of(s, recorder, source)
    feed.end()


def test_garbage(s):
    """Each line is answered; what is not understood with what was expected."""
    _, feed, recorder = begin(s, "--paused")
    for line in ("begin", "START", "start now", "\xff\xfe\x01", "x" * 1000, "{}"):
        answer = recorder.ask(line)
        check(not answer["ok"] and "expected start, stop, split or quit" in answer["message"], "%r: %s", line, answer)
    check(recorder.ask("  start\t\r")["ok"], "blanks around a word do no harm")
    for word in ("stop", "stop", "start", "start"):
        check(recorder.ask(word)["ok"], "%s twice", word)
    recorder.ask("stop")
    check(not recorder.ask("split")["ok"], "nothing can be split")
    count = len(recorder.events("answer"))
    recorder.process.say("\n\nstart\nstop\n")
    recorder.wait("answer", count + 2)
    recorder.finish()
    check(len(recorder.events("answer")) == count + 3, "empty lines are answered")
    feed.end()


def test_flood(s):
    """Whoever writes without end keeps neither the recording nor its end from happening."""
    film = recording.film(s, "film", seconds=2, fps=4, group=8)
    recording.folder(s)
    feed = recording.Feed(s, "cam", film)
    feed.play(4)
    for line in ("start", "", None):
        source = ["yes", line] if line is not None else ["cat", "/dev/zero"]  # an endless line
        flood = subprocess.Popen([harness.need_program(source[0]), *source[1:]], stdout=subprocess.PIPE)
        s.at_end(flood.wait)
        s.at_end(flood.kill)
        recorder = s.start("record", "cam", "rec/%F-%T.mp4", "--control", stdin=flood.stdout)
        flood.stdout.close()
        s.until(lambda: any(name.endswith(".part") for name in recording.files(s.path("rec"))), "it records")
        count = len(recording.files(s.path("rec")))
        recorder.stop(signal.SIGTERM)
        left = recording.files(s.path("rec"))
        check(len(left) == count and not any(name.endswith(".part") for name in left), "%s", left)
    feed.end()


def test_end_of_stdin(s):
    """It goes on, and signals still work."""
    _, feed, recorder = begin(s)
    recorder.process.popen.stdin.write(b"split")  # without the end of the line
    recorder.process.popen.stdin.close()
    recorder.process.popen.stdin = None
    recorder.wait("answer", line="split")
    recorder.process.wait_for("stdin has ended")
    feed.play(10)
    recorder.wait("open", 2)
    recorder.process.send(signal.SIGUSR2)
    check(recorder.wait("answer", line="SIGUSR2")["state"] == "paused", "%s", recorder.events())
    recorder.process.send(signal.SIGUSR2)
    check(recorder.wait("answer", 2, line="SIGUSR2")["state"] == "recording", "%s", recorder.events())
    feed.play(10)
    recorder.wait("open", 3)
    recorder.process.send(signal.SIGUSR1)
    check(recorder.wait("answer", line="SIGUSR1")["ok"], "%s", recorder.events())
    feed.play(10)
    recorder.wait("open", 4)
    recorder.process.stop()
    recording.decode(*(s.path(e["file"]) for e in recorder.events("file")))
    feed.end()


def test_never_started(s):
    """Nothing was wanted, and that is no failure."""
    _, feed, recorder = begin(s, "--paused")
    check(recorder.finish(OK)["files"] == 0 and not recording.files(s.path("rec")), "%s", recorder.events())
    feed.end()


if __name__ == "__main__":
    harness.main(globals())
