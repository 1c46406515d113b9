#!/usr/bin/env python3
"""test_pipe_trouble.py - cuframes pipe with readers that sleep, leave and die, publishers that are killed and come
back, formats that change, names that are wrong, and signals."""
import os
import pty
import signal

import harness
import media
import piping
import recording
from harness import FAILED, NO_STREAM, OK, TIMEOUT, USAGE, check
from piping import Film, Piped

PICTURE = 640 * 360  # bytes of a gray8 one


def test_newest_skips_and_nobody_waits(s):
    """A reader that reads nothing: the publisher goes on at its pace, and what was skipped is counted."""
    publisher = s.publish("test:640x360@100,gray8", "cam", "--json")
    piped = Piped(s, "cam", "--raw", "--json")
    check(len(piped.read(PICTURE)) == PICTURE, "no picture came")

    def published():
        return s.json("info", "cam", "--json")["frames"]

    before = published()
    s.until(lambda: published() > before + 150, "the publisher goes on while nobody reads")
    seat = [seat for seat in s.json("info", "cam", "--json")["subscriber_list"] if seat["label"] == "pipe"]
    check(seat and seat[0]["leases_held"] == 0, "it holds a picture while its reader sleeps: %s", seat)
    # at most what was written by then is old: the pipe and one picture
    check(len(piped.read(3 * PICTURE)) == 3 * PICTURE, "it did not go on")
    piped.process.send(signal.SIGTERM)
    piped.read_all()
    said = piped.said()
    check(said["skipped"] > 100 and said["ended"] == "signal" and said["blocked_seconds"] > 0, "%s", said)
    summary = publisher.stop()
    ended = [event for event in map(harness.parse_json, summary.out.splitlines()) if event["event"] == "end"]
    check(ended[0]["dropped"] == 0 and ended[0]["evictions"] == 0, "%s", ended)


def test_ordered_is_waited_for_and_evicted(s):
    """In ordered mode the stream's policy decides: here it waits, and then evicts."""
    publisher = s.publish("test:640x360@100,gray8", "cam", "--ordered-timeout", "0.2")
    piped = Piped(s, "cam", "--raw", "--mode", "ordered", "--json")
    check(len(piped.read(PICTURE)) == PICTURE, "no picture came")
    publisher.wait_for("evict")
    piped.read_all()
    result = piped.process.expect(FAILED)
    said = piping.report(result)
    check(said["ended"] == "evicted" and said["evictions"] == 1 and said["skipped"] == 0, "%s", said)
    check("evicted" in result.err, "%s", result.err)


def test_signal_while_it_writes(s):
    """Into a pipe that nobody reads, into one that cannot be opened anew, into a socket: a signal ends it at once."""
    s.publish("test:640x360@100,gray8", "cam")
    for number in (signal.SIGTERM, signal.SIGINT):
        piped = Piped(s, "cam", "--raw", "--json")
        s.until(lambda: piped.process.err and s.json("info", "cam", "--json")["subscriber_list"], "it writes")
        check(len(piped.read(1)) == 1, "it did not write")
        said = piping.report(piped.process.stop(number))
        check(said["ended"] == "signal", "%s", said)
        piped.close()


def test_reader_leaves(s):
    """Broken pipe: the reader has had enough, which is no failure; also while no picture comes."""
    s.publish("test:640x360@100,gray8", "cam")
    s.publish("test:640x360@1/600,gray8", "still")
    for name in ("cam", "still"):
        piped = Piped(s, name, "--raw", "--json")
        check(len(piped.read(PICTURE)) == PICTURE, "no picture came")
        piped.close()
        said = piped.said()
        check(said["ended"] == "reader_gone", "%s: %s", name, said)


def test_full_disk(s):
    """A file that cannot be written is a failure, unlike a reader that leaves."""
    s.publish("test:640x360@100,gray8", "cam")
    with open("/dev/full", "wb") as full:
        process = s.start_to(full.fileno(), "pipe", "cam", "--json")
        said = piping.report(process.expect(FAILED))
    check(said["ended"] == "error" and "No space left" in process.err, "%s", process.err)


def test_killed_publisher(s):
    """It ends, or waits for the next one and goes on, with times that rise."""
    s.leaves("cam.lock", "cam.sock")
    for words in ((), ("--reconnect",)):
        publisher = s.publish("test:64x48@25,gray8", "cam")
        piped = Piped(s, "cam", "--json", *words)
        check(len(piped.read(30000)) == 30000, "no pictures came")
        publisher.kill()
        if not words:
            piped.read_all()
            said = piped.said()
            check(said["ended"] == "publisher_gone" and said["pictures"] >= 9, "%s", said)
            check("the publisher has gone" in piped.process.err, "%s", piped.process.err)
            continue
        publisher = s.publish("test:64x48@25,gray8", "cam")
        more = piped.read(60000)
        check(len(more) == 60000, "it did not go on")
        piped.process.wait_for("started anew")
        piped.process.send(signal.SIGTERM)
        rest = piped.read_all()
        said = piped.said()
        check(said["epochs"] == 1 and said["headers"] == 1 and said["ended"] == "signal", "%s", said)
        publisher.stop()
        del rest


def test_format_change(s):
    """320x180, 640x360, 320x180: the end, another header, or no change where the shape was asked for."""
    path = media.make(s.root, "resize")
    small, large = 320 * 180 * 3 // 2, 640 * 360 * 3 // 2
    film = Film(s, path, "cam")
    piped = Piped(s, "cam", "--wait", "--mode", "ordered", "--raw", "--json")
    got, said = piped.read_all(), piped.said()
    film.end()
    check(said["ended"] == "change" and len(got) == said["pictures"] * small and said["pictures"] == 48, "%s", said)
    check("320x180 yuv420p and is 640x360 yuv420p" in piped.process.err, "%s", piped.process.err)

    film = Film(s, path, "cam")
    piped = Piped(s, "cam", "--wait", "--mode", "ordered", "--on-change", "header", "--json")
    got, said = piped.read_all(), piped.said()
    film.end()
    check(said["ended"] == "publisher_gone" and said["headers"] == 3, "%s", said)
    check(said["pictures"] == media.RESIZE_FRAMES, "%s", said)
    parts = got.split(b"nut/multimedia container\0")[1:]
    check(len(parts) == 3, "%d heads", len(parts))
    for part, side in zip(parts, ("320", "640", "320")):
        with open(s.path("part.nut"), "wb") as file:
            file.write(b"nut/multimedia container\0" + part)
        stream = recording.streams(s.path("part.nut"))["video"]
        seen = len(recording.packets(s.path("part.nut")))
        check(str(stream["width"]) == side and seen == 48, "a head of %s and %d pictures", stream["width"], seen)

    film = Film(s, path, "cam")
    piped = Piped(s, "cam", "--wait", "--mode", "ordered", "--raw", "--size", "640x360", "--format", "yuv420p",
                  "--json")
    got, said = piped.read_all(), piped.said()
    film.end()
    check(said["ended"] == "publisher_gone" and len(got) == media.RESIZE_FRAMES * large, "%s", said)


def test_wrong_names_and_nothing_to_give(s):
    def ends(code, sentence, *args):
        result = s.run("pipe", *args)
        check(result.code == code and sentence in result.err, "%s: %s", args, result)
        check(not result.out or args[0] == "still", "%s wrote something", args)

    ends(NO_STREAM, 'no stream "nobody"', "nobody")
    ends(USAGE, 'the name "no/name"', "no/name")
    ends(NO_STREAM, 'no stream "nobody"', "nobody", "--output", s.path("nobody.fifo"))
    ends(NO_STREAM, 'no stream "nobody"', "nobody", "--listen", s.path("nobody.sock"))
    ends(TIMEOUT, "no stream nobody after", "nobody", "--wait=0.2")
    check(not os.path.exists(s.path("nobody.fifo")) and not os.path.exists(s.path("nobody.sock")), "left behind")
    still = s.publish("test:64x48@1/600,gray8", "still")
    ends(TIMEOUT, "no picture came for 0.3 s", "still", "--timeout", "0.3")
    ends(FAILED, "packet", "still", "--packets")
    s.publish("test:64x48@25,gray16", "gray")
    ends(FAILED, "has no name for pictures of gray16", "gray", "--container", "mkv")
    detector = s.start_program(harness.need_built("examples", "detector"), "still", "boxes")
    s.until(lambda: s.run("info", "boxes").code == OK, "the detector publishes")
    ends(FAILED, "has no p", "boxes", "--timeout", "2")
    ends(FAILED, "has no packets that go into nut", "boxes", "--packets", "--timeout", "20")
    still.stop()
    detector.expect(OK)


def test_pictures_that_are_not_encoded(s):
    """Such a stream has a place for packets, and none will come: it says so instead of waiting."""
    path = s.path("raw.nut")
    recording.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2", "-pix_fmt", "yuv420p", "-c:v", "rawvideo", path)
    s.publish(path, "cam", "--loop", "--realtime")
    result = s.run("pipe", "cam", "--packets")
    check(result.code == FAILED and "packets" in result.err and "no packet came" not in result.err, "%s", result)
    check(len(Piped(s, "cam", "--raw", "--count", "1").read_all()) == 64 * 48 * 3 // 2, "no picture")


def test_usage(s):
    for sentence, *args in (
            ("either --raw or --packets", "a", "--raw", "--packets"),
            ("either --raw or --container", "a", "--raw", "--container", "nut"),
            ("no --on-change header with --raw", "a", "--raw", "--on-change", "header"),
            ("not with --packets", "a", "--packets", "--fps", "5"),
            ("not with --packets", "a", "--packets", "--device", "host"),
            ("--listen takes", "a", "--listen", ""), ("--output takes", "a", "--output", ""),
            ("--audio and --tracks go with --packets", "a", "--audio", "none"),
            ("ts and mp4 are for --packets", "a", "--container", "ts"),
            ("--format takes a pixel format", "a", "--format", "nv21"),
            ("did you mean nv12", "a", "--format", "nv1"),
            ("--size takes", "a", "--size", "x"), ("--size takes", "a", "--size", "640"),
            ("--size takes", "a", "--size", "0x10"), ("--fps takes", "a", "--fps", "0"),
            ("--fps takes", "a", "--fps", "5/0"), ("--fps takes", "a", "--fps", "nan"),
            ("--fps takes", "a", "--fps", "0x10"),
            ("--on-change is end or header", "a", "--on-change", "stop"),
            ("either --output or --listen", "a", "--output", "x", "--listen", "y"),
            ("is no named pipe", "still", "--output", harness.CLIP)):
        if args[0] == "still":
            s.publish("test:64x48@1/600,gray8", "still")
        result = s.run("pipe", *args)
        check(result.code == USAGE and sentence in result.err, "%s: %s", args, result)


def test_terminal(s):
    """A terminal gets a sentence instead of pictures."""
    s.publish("test:64x48@25,gray8", "cam")
    ours, theirs = pty.openpty()
    s.at_end(os.close, ours)
    process = s.start_to(theirs, "pipe", "cam")
    os.close(theirs)
    result = process.expect(USAGE)
    check("nothing of this goes to a terminal" in result.err, "%s", result.err)


def test_named_pipe(s):
    """It waits for a reader, makes the pipe if there is none and takes it away then; one that was there stays."""
    s.publish("test:64x48@25,gray8", "cam")
    for there in (False, True):
        path = s.path("cam.fifo")
        if there:
            os.mkfifo(path)
        process = s.start("pipe", "cam", "--raw", "--count", "3", "-o", path, "--json")
        process.wait_for("waiting for somebody to read")
        with open(path, "rb") as file:
            got = file.read()
        said = piping.report(process.expect(OK))
        check(len(got) == 3 * 64 * 48 and said["pictures"] == 3, "%s", said)
        check(os.path.exists(path) == there, "the pipe is there: %s", not there)
    process = s.start("pipe", "cam", "--raw", "-o", path)
    process.wait_for("waiting for somebody to read")
    process.send(signal.SIGTERM)
    process.wait()


def test_reader_leaves_before_the_stream_is_there(s):
    """Nobody is waited for on behalf of a reader that has gone; neither in a server, whose places would run out."""
    piped = Piped(s, "cam", "--raw", "--wait", "--json")
    piped.process.wait_for("waiting for cam")
    piped.close()
    said = piped.said()
    check(said["ended"] == "reader_gone", "%s", said)
    path = s.path("cam.sock")
    server = s.start("pipe", "cam", "--raw", "--wait", "--listen", path, "--json")
    server.wait_for("listening on")
    for number in range(0, 70, 10):  # more than it serves at a time
        for reader in [piping.read_socket(path) for _ in range(10)]:
            reader.close()
        for one in range(number + 1, number + 11):
            server.wait_for("reader %d: 0 pictures.*enough" % one)
    late = piping.read_socket(path)
    s.publish("test:640x360@100,gray8", "cam")
    piping.receive(late, PICTURE)
    said = piping.report(server.stop(signal.SIGTERM))
    check(said["readers"] == 71 and said["readers_refused"] == 0, "%s", said)
    late.close()


def test_signal_before_it_begins(s):
    """While it waits for the stream, and while it waits for somebody to read: an end like any other, and a report."""
    for words, sentence in ((("nobody", "--wait"), "waiting for nobody"),
                            (("cam", "-o", s.path("a.fifo")), "waiting for somebody to read")):
        if words[0] == "cam":
            s.publish("test:64x48@25,gray8", "cam")
        read_end, write_end = os.pipe()
        process = s.start_to(write_end, "pipe", *words, "--json")
        os.close(write_end)
        process.wait_for(sentence)
        said = piping.report(process.stop(signal.SIGTERM))
        check(said["ended"] == "signal" and said["pictures"] == 0, "%s", said)
        os.close(read_end)
    check(not os.path.exists(s.path("a.fifo")), "the named pipe is left")


def test_nothing_to_join_is_reported(s):
    """--json ends with an object, whatever happened but usage."""
    said = piping.report(s.run("pipe", "nobody", "--raw", "--json"))
    check(said["ended"] == "error", "%s", said)
    result = s.run("pipe", "nobody", "--raw", "--wait=0.1", "--json")
    check(result.code == TIMEOUT and piping.report(result)["ended"] == "timeout", "%s", result)


def test_paths_that_are_no_sockets(s):
    s.publish("test:64x48@1/600,gray8", "still")
    file = s.path("file")
    with open(file, "w", encoding="utf-8") as made:
        made.write("keep")
    for path in (file, s.path("."), s.path("loop")):
        if path.endswith("loop"):
            os.symlink(path, path)
        result = s.run("pipe", "still", "--listen", path)
        check(result.code == USAGE and "is no socket" in result.err, "%s", result)
    with open(file, encoding="utf-8") as made:
        check(made.read() == "keep", "the file was changed")
    result = s.run("pipe", "still", "--raw", "-o", s.path("loop"))
    check(result.code == FAILED and "cannot look at" in result.err, "%s", result)
    result = s.run("pipe", "still", "--listen", s.path("not-there", "sock"))
    check(result.code == FAILED and "No such file" in result.err, "%s", result)


def test_server_leaves_the_socket_of_another(s):
    """One whose socket was taken away ends; the one that has made its own there meanwhile stays reachable."""
    s.publish("test:640x360@100,gray8", "cam")
    path = s.path("cam.sock")
    first = s.start("pipe", "cam", "--raw", "--listen", path)
    first.wait_for("listening on")
    os.unlink(path)
    second = s.start("pipe", "cam", "--raw", "--listen", path)
    second.wait_for("listening on")
    first.stop(signal.SIGTERM)
    reader = piping.read_socket(path)
    piping.receive(reader, PICTURE)
    reader.close()
    second.stop(signal.SIGTERM)
    check(not os.path.exists(path), "the socket is left")


def test_sizes_at_the_edge(s):
    """What can be made is; what is too large says so, and blames no memory."""
    s.publish("test:640x360@25,gray8", "cam")
    for size, shape in (("3x5", 3 * 5 + 2 * 2 * 3), ("2x2", 4 + 2), ("2x16384", 2 * 16384 + 2 * 8192)):
        got = Piped(s, "cam", "--raw", "--format", "yuv420p", "--size", size, "--count", "2").read_all()
        check(len(got) == 2 * shape, "%s: %d bytes", size, len(got))
    for size in ("16384x16384", "x16384"):
        result = s.run("pipe", "cam", "--raw", "--size", size)
        check(result.code == FAILED and "too large" in result.err and "memory" not in result.err, "%s", result)


if __name__ == "__main__":
    harness.main(globals())
