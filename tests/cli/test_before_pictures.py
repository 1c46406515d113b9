#!/usr/bin/env python3
"""test_before_pictures.py - streams whose cameras have not given a picture yet: their names and states, and readers
that join and wait."""
import json
import os

import camera
import harness
from camera import Camera, Plan
from harness import FAILED, NOT_LIVE, OK, TIMEOUT, check, pace


def away(s):
    """A camera that is not there yet."""
    cam = Camera(s, Plan(camera.film(s)))
    cam.leave()
    return cam


def publish(s, cam, *args, wait="trying again"):
    pub = s.start("publish", cam.url, "--name", "cam", "--json", "--ordered-timeout", harness.LIMIT, *args,
                  name="publish cam")
    pub.wait_for(wait)
    return pub


def joined(s, count):
    """Waits until so many have joined."""
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == count, "%d subscribers" % count)


def events(process, kind):
    return [line for line in map(json.loads, process.out.split("\n")[:-1]) if line["event"] == kind]


def test_a_camera_that_is_not_there_is_seen(s):
    pub = publish(s, away(s))
    entry, = s.json("list", "--json")
    check(entry["name"] == "cam" and entry["format"] is None and entry["width"] == 0 and entry["frames"] == 0, "%s",
          entry)
    check(entry["state"] == "connecting" and "refused" in entry["state_reason"] and entry["last_picture"] is None, "%s",
          entry)
    info = s.json("info", "cam", "--json")
    check(info["slots"] == info["segments"] == 0 and info["tracks"] == [] and info["next_attempt"], "%s", info)
    pace(abs(info["state_since"] - entry["state_since"]) < 0.1, "it is tried since %s, then %s", entry, info)
    line = s.run("list").out.splitlines()[1]
    check("no picture yet" in line and "  connecting " in line and "refused" in line, "%s", line)
    text = s.run("info", "cam").out
    check("state        connecting since " in text and "picture      no picture yet" in text, "%s", text)
    top = s.run("top", "cam", "--count", "1", "--wait").out
    check("cam  no picture yet  connecting " in top and "\n  connecting: " in top, "%s", top)
    checked = s.run("info", "cam", "--check")
    check(checked.code == NOT_LIVE and checked.out.startswith("not live: connecting ") and "refused" in checked.out,
          "%s", checked)
    check(s.run("list", "--check").code == NOT_LIVE, "list --check")
    pub.stop()


def test_a_wrong_password_is_seen(s):
    cam = Camera(s, Plan(camera.film(s), logins=("digest",)))
    pub = s.start("publish", cam.address("admin", "mistaken-4711"), "--name", "cam", "--json", "--login-retry", "0.2")
    info = s.until(lambda: next((i for i in s.json("list", "--json") if i["state"] == "refused"), None), "refused")
    check(info["format"] is None and "wrong user or password" in info["state_reason"], "%s", info)
    check("mistaken" not in str(info), "a secret is shown: %s", info)
    check("  refused " in s.run("list").out, "%s", s.run("list").out)
    cam.wait_for("refused login", 4)
    later = s.json("info", "cam", "--json")
    pace(abs(later["state_since"] - info["state_since"]) < 0.1, "since %s, then %s", info, later)
    checked = s.run("info", "cam", "--check")
    check(checked.code == NOT_LIVE and checked.out.startswith("not live: refused "), "%s", checked)
    cam.replan(Plan(camera.film(s)))
    s.wait_stream("cam", pub)
    s.until(lambda: s.json("info", "cam", "--json")["state"] == "live", "it is live")
    pub.stop()


def test_a_name_is_taken_at_the_start(s):
    cam = away(s)
    pub = publish(s, cam)
    for source in (cam.url, "test:64x48@25", harness.CLIP):
        result = s.run("publish", source, "--name", "cam")
        check(result.code == FAILED and "in use" in result.err and "trying again" not in result.err, "%s", result)
    pub.stop()


def test_readers_wait_for_the_first_picture(s):
    cam = away(s)
    pub = publish(s, cam)
    verify = s.start("verify", "cam", "--mode", "ordered", "--frames", "5", "--json")
    record = s.start("record", "cam", s.path("a.mkv"), "--duration", "1", "--json")
    snapshot = s.start("snapshot", "cam", s.path("a.png"), "--json")
    packets = s.start("record", "cam", s.path("%Y%m%d-%H%M%S.ts"), "--segment", "1h", "--json")
    joined(s, 4)
    cam.come_back()
    seen = verify.json()
    check(seen["frames"] == 5 and seen["missing"] == seen["torn"] == 0, "%s", seen)
    seen = record.json()
    check(seen["packets"] > 20 and seen["ended"] == "duration" and seen["lost"] == 0, "%s", seen)
    check(len(snapshot.json()["files"]) == 1 and os.path.exists(s.path("a.png")), "%s", snapshot.out)
    packets.wait_for('"event": ?"open"', "out")
    check(not events(pub, "reconnected"), "%s", pub.out)
    pub.stop()


def test_wait_is_for_the_beginning(s):
    """Those who wait for a stream wait for its first picture, too."""
    cam = away(s)
    readers = [s.start("snapshot", "cam", s.path("a.png"), "--wait", "--timeout", "0.1"),
               s.start("verify", "cam", "--wait", "--frames", "1", "--timeout", "0.1"),
               s.start("record", "cam", s.path("a.mkv"), "--wait", "--duration", "0.5", "--timeout", harness.LIMIT),
               s.start("info", "cam", "--wait", "--json")]
    pub = publish(s, cam)
    joined(s, 3)
    result = s.run("info", "cam", "--wait=0.3")
    check(result.code == TIMEOUT and "cam has not begun after 0.3 s: connecting " in result.err, "%s", result)
    check(all(reader.alive() for reader in readers), "one has ended")
    cam.come_back()
    for reader in readers:
        reader.expect(OK)
    check(readers[-1].json()["width"] > 0, "%s", readers[-1].out)
    pub.stop()


def test_who_waits_in_vain_is_told_why(s):
    pub = publish(s, away(s))
    for args in (("snapshot", "cam", s.path("a.png")), ("verify", "cam"), ("record", "cam", s.path("a.mkv"))):
        result = s.run(*args, "--timeout", "0.3")
        check(result.code == TIMEOUT and "cam: connecting " in result.err and "refused" in result.err, "%s", result)
    joined(s, 0)
    pub.stop()


def test_death_before_the_first_picture(s):
    cam = away(s)
    pub = publish(s, cam)
    verify = s.start("verify", "cam", "--json")
    record = s.start("record", "cam", s.path("a.mkv"))
    joined(s, 2)
    pub.kill()
    check(verify.json(TIMEOUT)["ended"] == "publisher_gone", "%s", verify.out)
    check("gone" in record.expect(FAILED).err, "%s", record.err)
    check(s.json("list", "--json") == [], "it is listed still")
    cam.come_back()
    pub = s.publish(cam.url, "cam")
    pub.stop()


def test_a_reader_that_reconnects_waits_again(s):
    cam = Camera(s, Plan(camera.film(s)))
    pub = s.publish(cam.url, "cam")
    verify = s.start("verify", "cam", "--reconnect", "--json")
    verify.wait_for(r"cam: \d+ frames")
    joined(s, 1)
    pub.stop()
    cam.leave()
    pub = publish(s, cam)
    joined(s, 1)
    cam.come_back()
    s.wait_stream("cam", pub)
    s.until(lambda: s.json("info", "cam", "--json")["subscriber_list"][0]["delivered"] > 3, "frames")
    seen = verify.stop().out
    check(json.loads(seen)["reconnects"] == 1 and json.loads(seen)["torn"] == 0, "%s", seen)
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
