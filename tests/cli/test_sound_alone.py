#!/usr/bin/env python3
"""test_sound_alone.py - inputs that have sound and no video: an intercom, internet radio, a file. They are published as
packets, and everybody sees that there are no pictures."""
import json

import camera
import harness
import media
from camera import AUDIO, Camera, Plan
from harness import FAILED, NOT_LIVE, OK, check


def events(process, kind):
    return [line for line in map(json.loads, process.out.split("\n")[:-1]) if line["event"] == kind]


def until_state(s, wanted):
    def look():
        info = s.json("info", "cam", "--json")
        return info if info["state"] == wanted else None
    return s.until(look, "the state %s" % wanted)


def intercom(s, *plans):
    return Camera(s, *(plans or (Plan(None, camera.sound(s, "pcma")),)))


def publish(s, url, *args):
    """Its sound is believed to be all after a moment and two tries."""
    pub = s.start("publish", url, "--name", "cam", "--json", *args)
    s.wait_stream("cam", pub)
    return pub


def no_pictures(s):
    """Who wants pictures is told at once."""
    for args in (("snapshot", "cam", s.path("a.png")), ("verify", "cam"), ("verify", "cam", "--wait")):
        result = s.run(*args)
        check(result.code == FAILED and "cam has no pictures, only packets" in result.err, "%s", result)


def test_a_file(s):
    film = media.make(s.root, "audio")
    pub = publish(s, film, "--loop", "--realtime")
    info = until_state(s, "live")
    check(info["format"] == "none" and info["width"] == 0 and info["frames"] == 0 and info["slots"] == 0, "%s", info)
    check([track["type"] for track in info["tracks"]] == ["audio"] and info["tracks"][0]["codec"] == "aac", "%s", info)
    check("no pictures" in s.run("list").out and "no pictures" in s.run("top", "--count", "1").out, "list or top")
    check("picture      no pictures" in s.run("info", "cam").out, "%s", s.run("info", "cam").out)
    s.until(lambda: s.run("info", "cam", "--check", "--max-age", str(harness.LIMIT)).out == "live\n", "info --check")
    s.until(lambda: s.run("list", "--check").code == OK, "list --check")
    no_pictures(s)
    seen = s.json("record", "cam", s.path("a.mka.mkv"), "--duration", "1", "--json")
    check([track["type"] for track in seen["streams"]] == ["audio"] and seen["packets"] > 20, "%s", seen)
    pub.stop()
    start, = events(pub, "start")
    check(start["format"] == "none" and start["width"] == 0, "%s", start)
    check("sound alone (aac, " in pub.err and "no video" in pub.err, "%s", pub.err)
    check(events(pub, "end")[0]["frames"] == 0 and events(pub, "end")[0]["packets"] > 20, "%s", pub.out)


def test_a_file_to_its_end(s):
    """It ends as a film does, at the pace of its times, and every packet is there."""
    film = media.make(s.root, "audio")
    record = s.start("record", "cam", s.path("a.mkv"), "--wait", "--json")
    pub = s.start("publish", film, "--name", "cam", "--json", "--realtime", "--wait-for", "1")
    end = events(pub.expect(OK) and pub, "end")[0]
    seen = record.json()
    check(seen["packets"] == end["packets"] and seen["lost"] == 0 and seen["ended"] == "publisher_gone", "%s, %s", seen,
          end)
    check(end["seconds"] > 0.5 * seen["seconds"], "it had a pace: %s, %s", end, seen)
    result = s.run("publish", film, "--name", "cam", "--no-packets")
    check(result.code == FAILED and "no video stream" in result.err and "--no-packets" in result.err, "%s", result)


def test_an_intercom(s):
    cam = intercom(s)
    pub = publish(s, cam.url, "--timeout", "3")
    check("has no video stream yet; if that is so for 3 s, its sound is published alone" in pub.err, "%s", pub.err)
    info = until_state(s, "live")
    check(info["format"] == "none" and info["tracks"][0]["codec"] == "pcm_alaw", "%s", info)
    no_pictures(s)
    record = s.start("record", "cam", s.path("%Y%m%d-%H%M%S.mkv"), "--segment", "1h", "--json")
    record.wait_for('"event": ?"open"', "out")
    cam.leave()
    info = until_state(s, "reconnecting")
    check(info["format"] == "none", "%s", info)
    checked = s.run("info", "cam", "--check")
    check(checked.code == NOT_LIVE and "reconnecting" in checked.out, "%s", checked)
    no_pictures(s)
    cam.come_back()
    until_state(s, "live")
    record.wait_for('"event": ?"open"[^\n]*"discontinuity"', "out")
    record.stop()
    pub.stop()
    check(len(events(pub, "start")) == 1 and events(pub, "reconnected"), "%s", pub.out)


def test_sound_that_stops_is_a_stall(s):
    cam = intercom(s)
    pub = publish(s, cam.url, "--no-reconnect", "--timeout", harness.LIMIT)  # there is no other try: believed at once
    until_state(s, "live")
    cam.stall(AUDIO)
    info = until_state(s, "stalled")
    check(info["format"] == "none", "%s", info)
    pub.wait_for(r"cam: no sound for \d+\.\d s")
    check(s.run("info", "cam", "--check").code == NOT_LIVE, "--check")
    cam.go_on()
    until_state(s, "live")
    pub.wait_for("cam: sound comes again, after ")
    pub.stop()


def test_a_camera_that_starts_is_not_believed(s):
    """It answers before its video is there."""
    sound = camera.sound(s, "pcma")
    cam = intercom(s, Plan(None, sound), Plan(camera.film(s), sound))
    pub = publish(s, cam.url)
    check(s.json("info", "cam", "--json")["width"] > 0 and len(cam.connections) == 2, "%s", cam.events)
    pub.stop()


def test_a_camera_that_lost_its_video_is_away(s):
    sound = camera.sound(s, "pcma")
    cam = intercom(s, Plan(camera.film(s), sound), Plan(None, sound))
    pub = publish(s, cam.url)
    until_state(s, "live")
    cam.hang_up()
    info = s.until(lambda: next((i for i in s.json("list", "--json") if "no video" in (i["state_reason"] or "")), None),
                   "a reason")
    check(info["state"] == "reconnecting" and info["width"] > 0, "%s", info)
    cam.wait_for("DESCRIBE", 4)
    check("sound alone" not in pub.err, "%s", pub.err)
    pub.stop()


def test_waiting_for_an_input_that_turns_out_to_be_sound(s):
    cam = intercom(s)
    cam.leave()
    pub = s.start("publish", cam.url, "--name", "cam", "--json", "--timeout", "2")
    pub.wait_for("trying again")
    snapshot = s.start("snapshot", "cam", s.path("a.png"), "--timeout", "0.5")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 1 or not snapshot.alive(), "it has joined")
    cam.come_back()
    result = snapshot.wait()
    check(result.code == harness.TIMEOUT, "%s", result)
    until_state(s, "live")
    no_pictures(s)
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
