#!/usr/bin/env python3
"""test_connection.py - the life of a connection to a camera: stalls found once and dated right, a picture that stands
still while sound comes, cameras that are not ready yet, the end said politely, and nothing said over and over."""
import json
import re
import signal

import camera
import harness
from camera import VIDEO, Camera, Plan
from harness import FAILED, OK, TIMEOUT, USAGE, check, pace


def events(process, kind):
    """The events of this kind that `publish --json` has printed so far."""
    lines = [json.loads(line) for line in process.out.split("\n")[:-1]]
    return [line for line in lines if line["event"] == kind]


def reasons(process):
    return [event["reason"] for event in events(process, "disconnected")]


def start(s, url, *args, name="cam"):
    return s.start("publish", url, "--name", name, "--json", *args, name="publish " + name)


def test_a_stall_is_found_once_and_dated_right(s):
    """The last picture, which FFmpeg's parser kept back, comes when the time is over, and is no sign of life."""
    film, limit = camera.film(s), 3
    cam = Camera(s, Plan(film, stall_at=30), Plan(film))
    pub = start(s, cam.url, "--timeout", limit)
    pub.wait_for('"reconnected"', "out")
    found = cam.wait_for("connected", 2).time - cam.wait_for("stall").time
    away = float(pub.wait_for(r"is back after ([\d.]+) s").group(1))
    check(reasons(pub) == ["timed out: no packet for 3 s"], "said %s", reasons(pub))
    check(away >= limit, "it was away for %s s, says %s", limit, pub.err)
    check(cam.count("TEARDOWN") == 1, "the camera was left without a word")
    order = re.findall(r'"event":"(stalled|live|disconnected|reconnected)"', pub.out)
    before = order[:order.index("disconnected")]
    check(before.count("live") == 1, "the last picture was taken for a return: %s", order)
    pub.stop()
    pace(found < 1.75 * limit, "found after %.1f s", found)  # 0.5 s is the wait before the next try


def test_a_camera_that_never_sends(s):
    """Its SDP has all that FFmpeg wants to know; that is no sign of life, either."""
    film = camera.film(s)
    cam = Camera(s, Plan(film, mute=(VIDEO,)), Plan(film, mute=(VIDEO,)), Plan(film))
    pub = start(s, cam.url, "--timeout", "1", "--rtsp-transport", "tcp")
    s.until(lambda: s.run("info", "cam").code == OK and s.json("info", "cam", "--json")["frames"] > 5, "pictures")
    check(len(reasons(pub)) >= 2 and all("timed out" in reason for reason in reasons(pub)), "said %s", reasons(pub))
    pace(len(reasons(pub)) == 2, "said %s", reasons(pub))  # the third has a second for its first picture
    check(not events(pub, "reconnected"), "it was never there before, but is said to be back: %s", pub.out)
    pub.stop()


def test_a_picture_that_stands_still(s):
    film, sound = camera.film(s), camera.sound(s, "pcma")
    for plan, what in ((Plan(film, sound, stall_at=30, stall_what=VIDEO), "sound"),
                       (Plan(film, metadata=True, stall_at=30, stall_what=VIDEO), "data")):
        cam = Camera(s, plan, Plan(film, sound))
        pub = start(s, cam.url, "--timeout", "2")
        pub.wait_for('"reconnected"', "out")
        check("no picture for 2 s" in reasons(pub)[0], "%s: %s", what, reasons(pub))
        pace(len(reasons(pub)) == 1, "%s: %s", what, reasons(pub))
        pub.stop()
    cam = Camera(s, Plan(film, sound, stall_at=30, stall_what=VIDEO), Plan(film, sound))
    pub = start(s, cam.url, "--timeout", harness.LIMIT, "--picture-timeout", "1", "--no-packets")
    pub.wait_for('"reconnected"', "out")
    check("no picture for 1 s" in reasons(pub)[0], "said %s", reasons(pub))
    pub.stop()


def test_pictures_that_are_rare(s):
    """One picture a second beside sound is no stall, whatever the time-out."""
    cam = Camera(s, Plan(camera.film(s, fps=1), camera.sound(s, "pcma")))
    pub = start(s, cam.url, "--timeout", "0.5")
    s.until(lambda: any(picture.number >= 8 for picture in list(cam.pictures)), "a connection that stays")
    check(not any("picture" in reason for reason in reasons(pub)), "said %s", reasons(pub))
    pub.stop()


def test_a_camera_that_is_not_ready(s):
    """What it answers while it starts is no reason to give up."""
    film, sound = camera.film(s), camera.sound(s, "pcma")
    first = (Plan(None, sound), Plan(film, answers={"DESCRIBE": 404}), Plan(film, answers={"DESCRIBE": 503}),
             Plan(film, answers={"SETUP": 454}), Plan(film, answers={"PLAY": 455}), Plan(film, edit_sdp=lambda _: "?"),
             Plan(None))
    cameras = [Camera(s, plan, Plan(film)) for plan in first]
    args = []
    for number, cam in enumerate(cameras):
        args += [cam.url, "--name", "cam%d" % number]
    pub = s.start("publish", "--json", *args)
    for number, cam in enumerate(cameras):
        s.wait_stream("cam%d" % number, pub)
        check(len(cam.connections) == 2, "%d: %d connections: %s", number, len(cam.connections), pub.err)
    check("no video" in pub.err, "said %s", pub.err)
    pub.stop()


def test_what_no_camera_can_change(s):
    for address, words in (("srt://127.0.0.1", "port"), ("nonsense://127.0.0.1/x", "nonsense")):
        result = s.run("publish", address, "--name", "cam")
        check(result.code in (FAILED, USAGE) and words in result.err, "%s: %s", address, result)


def test_an_end_is_said(s):
    """To each camera, however it comes to the end."""
    film = camera.film(s)
    cameras = [Camera(s, Plan(film)) for _ in range(6)]
    args = []
    for number, cam in enumerate(cameras):
        args += [cam.url, "--name", "cam%d" % number, "--rtsp-transport", "udp" if number % 2 else "tcp"]
    for times, more, number in ((1, (), signal.SIGTERM), (2, (), signal.SIGINT), (3, ("--duration", "3"), None)):
        pub = s.start("publish", *args, *more)
        for cam in cameras:
            cam.wait_for("PLAY", times)
        if number is None:
            pub.expect(OK)
        else:
            for index in range(len(cameras)):
                s.wait_stream("cam%d" % index, pub)
            pub.stop(number)
        for cam in cameras:
            cam.wait_for("TEARDOWN", times)


def test_nobody_at_home_is_said_once(s):
    cam = Camera(s, Plan(camera.film(s)))
    cam.leave()
    pub = start(s, cam.url)
    s.until(lambda: len(reasons(pub)) >= 4, "four tries")
    result = pub.stop()
    lines = [line for line in result.err.splitlines() if "refused" in line]
    check(len(lines) == 1 and "trying again" in lines[0], "said %s", result.err)
    result = s.run("publish", cam.url, "--name", "cam", "--duration", "1")
    check(result.code == TIMEOUT, "ended with %s", result)
    cam.come_back()


def test_each_reason_is_said_once(s):
    """A camera that answers now this and now that; and again when it was there meanwhile."""
    film = camera.film(s)
    cam = Camera(s, *[Plan(film, answers={"DESCRIBE": status}) for status in (404, 503, 404)], Plan(film))
    pub = start(s, cam.url)
    s.wait_stream("cam", pub)
    lines = [line for line in pub.err.splitlines() if "trying again" in line]
    check(len(lines) == 2 and len(reasons(pub)) == 3, "said %s", lines)
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 5, "pictures")
    cam.replan(Plan(film, answers={"DESCRIBE": 404}), Plan(film))
    cam.hang_up()
    pub.wait_for('"reconnected"', "out")
    lines = [line for line in pub.err.splitlines() if "404" in line]
    check(len(lines) == 2, "said %s", lines)
    pub.stop()


def test_a_camera_that_comes_and_goes(s):
    """It is asked less often each time, and not all of it is said."""
    cam = Camera(s, Plan(camera.film(s), close_at=10))
    pub = start(s, cam.url)
    s.until(lambda: len(reasons(pub)) >= 5, "five connections that do not last")
    waits = [event["retry_seconds"] for event in events(pub, "disconnected")]
    check(waits[:5] == [0.5, 1, 2, 4, 8], "waits: %s", waits)
    lines = [line for line in pub.err.splitlines() if "trying again" in line]
    check(len(lines) == 3 and "again and again" in lines[-1], "said %s", lines)
    check(pub.err.count("is back") <= 3 and len(events(pub, "reconnected")) >= 4, "said %s", pub.err)
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
