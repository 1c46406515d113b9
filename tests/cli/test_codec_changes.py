#!/usr/bin/env python3
"""test_codec_changes.py - a camera whose settings were changed sends another codec under the number that it had, which
FFmpeg does not follow: the input is opened anew, one line says so, and recordings go on."""
import socket
import subprocess
import threading

import camera
import harness
import media
import recording
from camera import Camera, Plan
from harness import FAILED, OK, check

FROM = "its video is %s from here on, was %s"


def film(s, name, codec, sound=False):
    """A transport stream with a keyframe each second; all that are made here have the same PIDs."""
    tone = ["-f", "lavfi", "-i", "sine=d=4", "-c:a", "aac"] if sound else []
    log = ["-x265-params", "log-level=error:bframes=0"] if codec == "libx265" else ["-bf", "0"]
    try:
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", *tone, "-c:v", codec, "-preset", "ultrafast",
                     "-g", "25", *log, "-pix_fmt", "yuv420p", s.path(name))
    except media.CannotMake as why:
        harness.skip(str(why))
    with open(s.path(name), "rb") as file:
        return file.read()


class Network:
    """Gives each connection the first film, and when told, the other one; those that come then have only that."""

    def __init__(self, s, before, after):
        self.parts, self.changed, self.clients = (before, after), threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        s.at_end(self.end)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.send, args=(client,), daemon=True).start()

    def send(self, client):
        try:
            if not self.changed.is_set():
                client.sendall(self.parts[0])
            self.changed.wait()
            client.sendall(self.parts[1])
        except OSError:
            pass  # it has seen enough

    def end(self):
        self.changed.set()
        self.listener.close()
        for client in self.clients:
            client.close()


def tracks(s):
    return [track["codec"] for track in s.json("info", "cam", "--json")["tracks"]]


def follow(s, url, change, pictures, now, was, timeout=harness.LIMIT):
    """After so many pictures of the first film the other codec comes, and a recorder of many files begins another one.
    Gives what the publisher said."""
    recording.folder(s)
    recorder = recording.Recorder(s, "cam", "rec/%s.mkv", "--segment", "1d", "--control", "--wait")
    publisher = s.start("publish", url, "--name", "cam", "--wait-for", "1", "--timeout", timeout)
    recorder.wait("open")
    change()
    recorder.wait("open", 2)
    check(tracks(s)[0] == now, "tracks %s, and %r", tracks(s), publisher.err)
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > pictures + 20, "pictures of the other codec")
    recorder.finish()
    said = publisher.stop().err
    files = [event["file"] for event in recorder.events("file")]
    seen = [recording.streams(s.path(name))["video"]["codec_name"] for name in files]
    check(seen == [was, now], "files of %s", seen)
    recording.decode(s.path(files[-1]))
    return said


def follow_at_once(*args):
    """No time-out has to pass, and one line says what happened."""
    said = follow(*args)
    lines = [line for line in said.splitlines() if FROM % ("hevc", "h264") in line]
    check(len(lines) == 1 and "trying again" in lines[0] and "timed out" not in said, "it said %s", said)


def test_transport_stream(s):
    for sound in (False, True):
        network = Network(s, film(s, "a.ts", "libx264", sound), film(s, "b.ts", "libx265", sound))
        follow_at_once(s, network.url, network.changed.set, 100, "hevc", "h264")


def test_transport_stream_back(s):
    """FFmpeg's parser of HEVC finds no end of a picture of H.264, and gives nothing out: the time-out tells."""
    network = Network(s, film(s, "a.ts", "libx265"), film(s, "b.ts", "libx264"))
    said = follow(s, network.url, network.changed.set, 100, "h264", "hevc", 2)
    check("timed out: no p" in said or FROM % ("h264", "hevc") in said, "it said %s", said)


def test_camera_in_mid_session(s):
    """By RTP, under the payload type that the session has."""
    then = camera.film(s, "elementary_hevc")
    cam = Camera(s, Plan(camera.film(s), then=(50, then)), Plan(then))
    follow_at_once(s, cam.url, lambda: None, 50, "hevc", "h264")
    check(cam.count("PLAY") == 2, "events %s", cam.events)


def test_pipe(s):
    """It is read on, and what follows the next table comes."""
    one, other = film(s, "a.ts", "libx264"), film(s, "b.ts", "libx265")
    done = subprocess.run([harness.program(), "publish", "-", "--name", "cam", "--json"], input=one + other * 3,
                          capture_output=True, env=s.env, timeout=harness.LIMIT)
    end = harness.parse_json(done.stdout.splitlines()[-1])
    check(done.returncode == OK and end["reconnects"] == 1 and end["frames"] > 200, "said %s", done)
    check((FROM % ("hevc", "h264")).encode() in done.stderr, "said %s", done.stderr)


def test_file(s):
    """What cannot be followed is no damage: it is said what it is, and what helps."""
    one, other = film(s, "a.ts", "libx264"), film(s, "b.ts", "libx265")
    for parts, now, was in (((one, other), "hevc", "h264"), ((other, one), "h264", "hevc")):
        with open(s.path("film.ts"), "wb") as file:
            file.write(b"".join(parts))
        result = s.run("publish", s.path("film.ts"), "--name", "cam", "--json")
        check(result.code == FAILED and FROM % (now, was) in result.err and "in parts" in result.err, "%r", result)
        check(harness.parse_json(result.out.splitlines()[-1])["frames"] == 100, "%s", result)


def test_same_codec(s):
    """Is none of these changes: all of it comes."""
    for codec in ("libx264", "libx265"):
        data = film(s, "a.ts", codec)
        with open(s.path("film.ts"), "wb") as file:
            file.write(data * 2)
        result = s.run("publish", s.path("film.ts"), "--name", "cam", "--json")
        check(result.code == OK and harness.parse_json(result.out.splitlines()[-1])["frames"] == 200, "%r", result)


if __name__ == "__main__":
    harness.main(globals())
