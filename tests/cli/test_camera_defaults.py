#!/usr/bin/env python3
"""test_camera_defaults.py - cameras as they come out of the box, or with firmware that leaves things out."""
import camera
import harness
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
        check(sum(step > 0.001 for step in steps) > 100 and min(steps) >= 0, "camera %d: %s", number, steps)
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


if __name__ == "__main__":
    harness.main(globals())
