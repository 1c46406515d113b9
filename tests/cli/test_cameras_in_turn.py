#!/usr/bin/env python3
"""test_cameras_in_turn.py - 16 cameras in one process. Half of them misbehave one after the other, each in its own way;
what the other half sends arrives, every picture once and in order, and none of those is connected to again."""
import signal

import camera
import harness
from camera import VIDEO, Camera, Plan
from harness import check, pace

GOOD = BAD = 8
FPS = 25
TIMEOUT = 4  # seconds until a silent camera counts as dead: a good one that waits for it has a gap longer than this
MOST_GAP = 3
AFTER = 50  # pictures that a good camera sends after the last trouble
CLOCKS = 1e9  # camera n begins at n days after this


def clock(number):
    return CLOCKS + number * 86400


def good_cameras(s):
    return [Camera(s, Plan(camera.film(s), clock=clock(number))) for number in range(GOOD)]


def start(s, cameras, names):
    """All of them in one publisher, and one ordered subscriber for each of the good ones."""
    args = [word for cam, name in zip(cameras, names) for word in (cam.url, "--name", name)]
    pub = s.start("publish", "--timeout", TIMEOUT, "--ordered-timeout", harness.LIMIT, "--json", *args, name="publish")
    for cam, name in zip(cameras, names):
        s.wait_stream(name, pub)
    return pub, [s.start_program(harness.need_built("tests", "times"), name, 10**6) for name in names[:GOOD]]


# The troubles. Each waits until its camera was asked for what shows that the trouble has come.

def stalls(cam, _):
    played = cam.count("PLAY")
    cam.stall()
    cam.wait_for("PLAY", played + 1)
    cam.go_on()


def reboots(cam, s):
    cam.replan(Plan(camera.film(s, "elementary_large")))
    cam.hang_up()
    cam.wait_for("PLAY", 2)


def refuses(cam, s):
    cam.replan(Plan(camera.film(s), logins=("digest",), password="changed"))
    cam.hang_up()
    cam.wait_for("DESCRIBE", 2)


def closes(cam, s):
    cam.replan(Plan(camera.film(s), close_at=10), Plan(camera.film(s), close_at=10), Plan(camera.film(s)))
    cam.hang_up()
    cam.wait_for("hang up", 2)


def jumps(cam, s):
    cam.replan(Plan(camera.film(s), jumps=((20, 36000.0), (40, -7200.0)), clock_jumps=((30, 3600.0),)))
    cam.hang_up()
    cam.wait_for("PLAY", 2)


def loses(cam, s):
    cam.replan(Plan(camera.film(s), lose=11, swap=7))
    cam.hang_up()
    cam.wait_for("PLAY", 2)


def leaves(cam, _):
    cam.leave()
    cam.come_back()
    cam.wait_for("PLAY", 2)


def shows_nothing(cam, _):
    """Its sound goes on."""
    cam.stall(VIDEO)


TROUBLES = (stalls, reboots, refuses, closes, jumps, loses, leaves, shows_nothing)


def seen(process):
    """The pictures that this subscriber has seen so far: when they were taken, as ns of the camera's clock."""
    rows = [line.split() for line in process.out.rpartition("\n")[0].splitlines() if line.startswith("frame ")]
    return [int(row[3]) for row in rows]


def numbers(camera_number, times):
    """Which pictures those were, counted by the camera: from when they were taken."""
    places = [(time / 1e9 - clock(camera_number)) * FPS for time in times]
    found = [round(place) for place in places]
    check(all(abs(place - number) < 0.01 for place, number in zip(places, found)), "%d: %s", camera_number, places)
    return found


def end_of(pub):
    """The last events of the streams by their names."""
    events = [harness.parse_json(line) for line in pub.out.splitlines()]
    return {event["stream"]: event for event in events if event["event"] == "end"}


def test_half_of_them_misbehave(s):
    tone = camera.sound(s, "pcma")
    cameras = good_cameras(s) + [Camera(s, Plan(camera.film(s), tone)) for _ in range(BAD)]
    names = ["good%d" % number for number in range(GOOD)] + ["bad-" + trouble.__name__ for trouble in TROUBLES]
    pub, watching = start(s, cameras, names)
    for trouble, cam in zip(TROUBLES, cameras[GOOD:]):
        trouble(cam, s)
    goals = [len(cam.pictures) + AFTER for cam in cameras[:GOOD]]
    for number, (process, goal) in enumerate(zip(watching, goals)):
        s.until(lambda: numbers(number, seen(process)[-1:] or [0])[0] >= goal,
                "picture %d of camera %d" % (goal, number))
        process.send(signal.SIGINT)
    pub.stop(code=None)
    ends = end_of(pub)
    for number, (cam, process, goal) in enumerate(zip(cameras, watching, goals)):
        found = numbers(number, seen(process))
        check(found == list(range(found[0], found[0] + len(found))), "camera %d: pictures %s", number, found)
        end = ends[names[number]]
        bad = [key for key in ("reconnects", "dropped", "evictions", "decode_errors", "corrupt") if end[key]]
        check(not bad and cam.count("PLAY") == 1, "camera %d: %s", number, end)
        pace(end["longest_gap"] < MOST_GAP, "camera %d: a gap of %s s", number, end["longest_gap"])
    for name in ("bad-stalls", "bad-reboots", "bad-closes", "bad-leaves"):
        check(ends[name]["reconnects"] >= 1, "%s: %s", name, ends[name])


if __name__ == "__main__":
    harness.main(globals())
