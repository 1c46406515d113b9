#!/usr/bin/env python3
"""test_state.py - what the source of a stream is doing: a camera that stalls, goes and comes back, as list, info, top,
events and exit codes show it."""
import json
import re
import time

import camera
import harness
from camera import VIDEO, Camera, Plan
from harness import NOT_LIVE, OK, TIMEOUT, check, pace


SECRET = "tell-nobody"


def state(s, name="cam"):
    info = s.json("info", name, "--json")
    check(SECRET not in str(info), "a secret is shown: %s", info)
    return info


def until_state(s, wanted, name="cam"):
    def look():
        info = state(s, name)
        return info if info["state"] == wanted else None
    return s.until(look, "the state %s" % wanted)


def events(process, *kinds):
    lines = [harness.parse_json(line) for line in process.out.splitlines()]
    return [line for line in lines if line["event"] in kinds]


def publish(s, cam, *args):
    pub = s.start("publish", cam.address("admin", SECRET), "--name", "cam", "--json", *args)
    s.wait_stream("cam", pub)
    return pub


def test_a_source_that_gives_pictures_is_live(s):
    before = time.time()
    pub = s.publish("test:64x48@25", "cam", "--json")
    info = until_state(s, "live")
    check(before - 1 < info["state_since"] < time.time() + 1, "%s, it is %s", info, time.time())
    check(info["state_reason"] is None and info["next_attempt"] is None, "%s", info)
    text = s.run("info", "cam").out
    check("state        live since " in text, "info says %s", text)
    check("  live " in s.run("list").out and "  live  " in s.run("top", "--count", "1").out, "list or top")
    pace(s.run("info", "cam", "--check").out == "live\n" and s.run("list", "--check").code == OK, "--check")
    pub.stop()
    kinds = [event["event"] for event in events(pub, "start", "live", "stalled", "end")]
    check(kinds[:2] == ["start", "live"] and kinds[-1] == "end", "%s", pub.out)
    check(events(pub, "live")[0]["seconds"] is None, "%s", pub.out)


def test_a_stall_is_seen_since_the_last_picture(s):
    cam = Camera(s, Plan(camera.film(s)))
    pub = publish(s, cam, "--timeout", harness.LIMIT)
    until_state(s, "live")
    cam.stall()
    info = until_state(s, "stalled")
    later = state(s)
    pace(abs(info["state_since"] - info["last_picture"]) < 0.1 and later["state_since"] < later["last_picture"] + 0.1,
          "%s, then %s", info, later)
    pace(abs(later["state_since"] - info["state_since"]) < 0.1, "%s, then %s", info, later)
    event = json.loads(pub.wait_for(r'^.*"stalled".*$', stream="out").group())
    check(event["seconds"] >= 1, "%s", event)
    pub.wait_for(r"cam: no picture for \d+\.\d s")
    checked = s.run("info", "cam", "--check")
    check(checked.code == NOT_LIVE and checked.out.startswith("not live: stalled "), "%s", checked)
    check(s.run("list", "--check").code == NOT_LIVE, "list --check")
    check("  stalled " in s.run("list").out and "  stalled " in s.run("top", "--count", "1").out, "list or top")
    cam.go_on()
    until_state(s, "live")
    pub.wait_for("cam: pictures come again, after ")
    pace(s.run("info", "cam", "--check").code == OK, "--check of one that goes on")
    pub.stop()
    told = events(pub, "live", "stalled", "disconnected")
    kinds = [event["event"] for event in told]
    check(kinds[::2] == ["live"] * (len(kinds) // 2 + 1) and kinds[1::2] == ["stalled"] * (len(kinds) // 2), "%s", told)
    check(all(told[i + 1]["seconds"] >= told[i]["seconds"] for i in range(1, len(told), 2)), "%s", told)
    pace(len(told) == 3, "%s", told)


def test_sound_alone_is_a_stall(s):
    cam = Camera(s, Plan(camera.film(s), sound=camera.sound(s, "pcma")))
    pub = publish(s, cam, "--timeout", harness.LIMIT)
    until_state(s, "live")
    cam.stall(VIDEO)
    until_state(s, "stalled")
    tracks = {track["type"]: track for track in state(s)["tracks"]}
    check(tracks["audio"]["packets"] > 0, "%s", tracks)
    s.until(lambda: {track["type"]: track for track in state(s)["tracks"]}["audio"]["packets"]
            > tracks["audio"]["packets"], "sound goes on")
    check(cam.count("PLAY") == 1, "%s", cam.events)
    pub.stop()


def test_a_camera_that_is_away_says_why_and_when_it_is_tried_again(s):
    cam = Camera(s, Plan(camera.film(s)))
    pub = publish(s, cam)
    until_state(s, "live")
    cam.leave()
    info = until_state(s, "reconnecting")
    refused = s.until(lambda: (lambda i: i if "refused" in (i["state_reason"] or "") else None)(state(s)), "a reason")
    pace(abs(refused["state_since"] - info["state_since"]) < 0.1, "%s, then %s", info, refused)
    check(refused["next_attempt"] > refused["state_since"], "%s", refused)
    said = events(pub, "disconnected")
    check(refused["state_reason"] in [event["reason"] for event in said], "%s is none of %s", refused["state_reason"],
          said)
    text = s.run("info", "cam").out
    check("state        reconnecting since " in text and "refused" in text, "info says %s", text)
    check("reconnecting " in s.run("list").out, "list says %s", s.run("list").out)
    top = s.run("top", "--count", "1").out
    check("  reconnecting " in top and "\n  reconnecting: " in top, "top says %s", top)
    checked = s.run("info", "cam", "--check")
    check(checked.code == NOT_LIVE and "refused" in checked.out, "%s", checked)
    cam.come_back()
    back = until_state(s, "live")
    check(back["state_since"] > info["state_since"] and back["state_reason"] is None, "%s", back)
    pub.stop()
    kinds = [event["event"] for event in events(pub, "live", "stalled", "disconnected", "reconnected")]
    check(kinds[0] == kinds[-1] == "live", "%s", kinds)
    check("disconnected" in kinds[:kinds.index("reconnected")] and "live" in kinds[kinds.index("reconnected"):], "%s",
          kinds)


def test_a_camera_that_comes_back_without_pictures_has_stalled(s):
    cam = Camera(s, Plan(camera.film(s)), Plan(camera.film(s), mute=(VIDEO,), sound=camera.sound(s, "pcma")))
    pub = publish(s, cam, "--timeout", harness.LIMIT)
    until_state(s, "live")
    cam.hang_up()
    info = until_state(s, "stalled")
    check("no picture" in info["state_reason"], "%s", info)
    pace(abs(info["state_since"] - info["last_picture"]) < 0.1, "%s", info)
    pub.stop()


def test_pictures_of_a_camera_that_is_away(s):
    cam = Camera(s, Plan(camera.film(s)))
    pub = publish(s, cam)
    until_state(s, "live")
    fresh = s.run("snapshot", "cam", s.path("a.png"))
    check(fresh.code == OK and " old" not in fresh.err, "%s", fresh)
    cam.leave()
    s.until(lambda: "refused" in (state(s)["state_reason"] or ""), "a reason")
    old = s.run("snapshot", "cam", s.path("b.png"))
    check(old.code == OK, "%s", old)
    check(re.search(r"cam: the picture is \d+ (s|min) old; the stream: reconnecting .*refused", old.err), "%s", old)
    age = s.json("snapshot", "cam", s.path("c.png"), "--json")["files"][0]["age_ms"]
    check(age >= (time.time() - state(s)["last_picture"]) * 1000 - 10000 and age > 0, "%s ms old", age)
    for command in (("snapshot", "cam", s.path("d%d.png"), "--count", "2"), ("verify", "cam", "--frames", "2"),
                    ("record", "cam", s.path("e.mkv")), ("record", "cam", s.path("e%s.mkv"), "--segment", "1h")):
        result = s.run(*command, "--timeout", "0.3")
        check(result.code == TIMEOUT and re.search("cam: reconnecting .*refused", result.err), "%s", result)
    pub.stop()


def test_a_slow_subscriber_is_no_stall(s):
    pub = s.publish("test:64x48@25", "cam", "--json", "--ordered-timeout", harness.LIMIT)
    until_state(s, "live")
    slow = s.start("verify", "cam", "--mode", "ordered", "--depth", "1", "--delay", "3", "--duration", "7")
    slow.expect(OK)
    pub.stop()
    pace(not events(pub, "stalled"), "%s", pub.out)


if __name__ == "__main__":
    harness.main(globals())
