#!/usr/bin/env python3
"""test_camera_defaults.py - cameras as they come out of the box, or with firmware that leaves things out: without a
password, a time of day, times of pictures, or a length of their answers."""
import re
import socket
import threading

import camera
import harness
import media
from camera import Camera, Plan
from harness import check

SECOND = 1e9


def shown(s, name, count):
    """pts and capture time of so many pictures, ns or None."""
    process = s.start_program(harness.need_built("tests", "times"), name, count)
    rows = [line.split() for line in process.expect(harness.OK).out.splitlines() if line.startswith("frame ")]
    return [[None if text == "-" else int(text) for text in row[2:4]] for row in rows]


def test_rtp_times_that_stand_still(s):
    """With sound, reports move them on every two seconds."""
    film = camera.film(s)
    still = tuple((frame, -1 / film.fps) for frame in range(1, 5000))
    plans = Plan(film, jumps=still), Plan(film, camera.sound(s), jumps=still)
    cameras = [Camera(s, plan) for plan in plans]
    args = [word for number, cam in enumerate(cameras) for word in (cam.url, "--name", "cam%d" % number)]
    pub = s.start("publish", "--json", *args, name="publish")
    for number in range(len(cameras)):
        s.wait_stream("cam%d" % number, pub)
        times = [pts for pts, _ in shown(s, "cam%d" % number, 110)]
        steps = [(after - before) / SECOND for before, after in zip(times, times[1:])]
        check(sum(step < 0.001 for step in steps) <= 4 and min(steps) > 0, "camera %d: %s", number, steps)
        check(abs(times[-1] - times[0] - 109 / film.fps * SECOND) < SECOND, "camera %d: %s", number, times)
    pub.stop()
    check('"jump"' not in pub.out, "it said %s", pub.out)


def test_no_time_of_day(s):
    """Such cameras count from their start, or say 0: then nobody knows when a picture was taken."""
    for uptime in (0, 500):
        cam = Camera(s, Plan(camera.film(s), clock=uptime - 2208988800.0, reports=25))
        pub = s.publish(cam.url, "cam")
        taken = {captured for _, captured in shown(s, "cam", 60)}
        check(taken == {None}, "after %d s: %s", uptime, taken)
        pub.stop()


def test_empty_password(s):
    film = camera.film(s)
    for kind in ("digest", "basic"):
        for user in ("admin@", "admin:@", None):
            cam = Camera(s, Plan(film, logins=(kind,), password=""))
            args = [cam.url.replace("//", "//" + user)] if user else [cam.url, "--user", "admin"]
            pub = s.start("publish", *args, "--name", "cam")
            s.wait_stream("cam", pub)
            check(cam.count("refused login") == 0 and cam.count("login") > 0, "%s %s: %s", kind, user, cam.events)
            pub.stop()


class Server:
    """Answers each request with these bytes, without a length, and closes the connection."""

    def __init__(self, s, body):
        self.body = body
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/video" % self.listener.getsockname()[1]
        s.at_end(self.listener.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                client, _ = self.listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self.body)
        except OSError:
            pass


def test_an_answer_without_a_length(s):
    """Its end is no error."""
    with open(media.make(s.root, "elementary"), "rb") as file:
        server = Server(s, file.read())
    pub = s.start("publish", "--json", "--no-reconnect", server.url, "--name", "cam")
    pub.expect(harness.OK)
    end = harness.parse_json(pub.out.splitlines()[-1])
    check(end["frames"] == 50 and end["read_errors"] == 0, "%s", end)


def test_no_video_but_a_page(s):
    for body in (b"<html>who are you?</html>", b"<html>" + b"log in " * 3000):
        pub = s.start("publish", "--json", "--no-reconnect", Server(s, body).url, "--name", "cam")
        pub.expect(harness.FAILED)
        check(re.search("nothing that FFmpeg knows as video|too short to be a video", pub.err), "said %s", pub.err)


if __name__ == "__main__":
    harness.main(globals())
