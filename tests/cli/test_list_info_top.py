#!/usr/bin/env python3
"""test_list_info_top.py - the commands that only look: tables, JSON keys, who holds what, a terminal that is redrawn
in place."""
import json
import os
import pty
import re
import signal
import time

import harness
from harness import NOT_LIVE, NO_STREAM, OK, TIMEOUT, USAGE, check, pace

LIST_KEYS = {"name", "width", "height", "format", "fps", "device", "subscribers", "frames", "packets", "state",
             "state_since", "state_reason", "next_attempt", "last_picture"}
INFO_KEYS = LIST_KEYS | {"slots", "max_slots", "slots_pinned", "segments", "memory_bytes", "dropped", "evictions",
                         "sync_modes", "tracks", "subscriber_list"}
SEAT_KEYS = {"label", "pid", "uid", "mode", "sync", "leases", "leases_held", "held_slots", "depth", "lag", "skipped",
             "delivered", "evicted"}


def test_empty_directory(s):
    result = s.run("list")
    check(result.code == OK and not result.out and "no streams" in result.err, "list: %r", result)
    check(s.json("list", "--json") == [], "list --json is no empty array")
    result = s.run("top", "--count", "1")
    check(result.code == OK and "no streams" in result.out, "top: %r", result)
    check(s.json("top", "--json", "--count", "1")["streams"] == [], "top --json shows streams")


def test_list(s):
    s.publish("test:320x240@25", "b")
    s.publish("test:64x48@10,gray8", "a")
    streams = s.json("list", "--json")
    check([stream["name"] for stream in streams] == ["a", "b"], "list gives %s", streams)
    for stream in streams:
        check(LIST_KEYS <= set(stream), "missing: %s", LIST_KEYS - set(stream))
    check((streams[0]["width"], streams[0]["height"], streams[0]["format"]) == (64, 48, "gray8"), "%s", streams[0])
    check(streams[0]["subscribers"] == 0 and streams[0]["device"] == "host", "%s", streams[0])
    lines = s.run("list").out.splitlines()
    check(len(lines) == 3 and "a  " in lines[1] and "64x48 gray8" in lines[1] and "320x240" in lines[2], "%s", lines)


def test_info_shows_who_holds_what(s):
    s.publish("test:320x240@25", "cam")
    slow = s.start("verify", "cam", "--delay", "3600", "--label", "slow one", "--leases", "3")
    every = s.start("verify", "cam", "--mode", "ordered", "--depth", "7")
    s.until(lambda: any(seat["leases_held"] for seat in s.json("info", "cam", "--json")["subscriber_list"]
                        if seat["label"] == "slow one"), "the slow one holds a frame")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 2, "two subscribers")
    info = s.json("info", "cam", "--json")
    check(INFO_KEYS <= set(info), "missing: %s", INFO_KEYS - set(info))
    seats = {seat["label"]: seat for seat in info["subscriber_list"]}
    for seat in seats.values():
        check(SEAT_KEYS <= set(seat), "missing: %s", SEAT_KEYS - set(seat))
    held = seats["slow one"]
    check(held["pid"] == slow.pid and held["mode"] == "newest" and held["leases"] == 3, "%s", held)
    check(held["leases_held"] == 1 and len(held["held_slots"]) == 1 and held["held_slots"][0] < info["slots"], "%s",
          held)
    check(seats["verify"]["mode"] == "ordered" and seats["verify"]["depth"] == 7, "%s", seats["verify"])
    check(info["slots_pinned"] >= 1 and "complete" in info["sync_modes"], "%s", info)
    text = s.run("info", "cam").out
    check("slow one" in text and "1/3" in text and "320x240" in text, "info says %s", text)
    s.until(lambda: [seat["lag"] for seat in s.json("info", "cam", "--json")["subscriber_list"]
                     if seat["label"] == "slow one"][0] > 5, "the slow one is behind")
    every.stop()
    slow.stop()
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 0, "both have left")


def test_info_of_packets(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    info = s.until(lambda: (lambda i: i if i["packets"] and i["fps"] > 0 else None)(s.json("info", "film", "--json")),
                   "packets and a rate")
    check([(e["type"], e["codec"]) for e in info["tracks"]] == [("video", "h264"), ("audio", "aac")], "%s", info)
    check(info["packet_slots"] > 0 and info["packet_bytes"] > 0 and (info["width"], info["height"]) == (1280, 720),
          "%s", info)
    text = s.run("info", "film").out
    check("h264" in text and "aac" in text, "info says %s", text)


def test_what_packets_amount_to(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")

    def measured():
        video, audio = s.json("info", "film", "--json")["tracks"]
        return (video, audio) if video["bit_rate"] and video["keyframe_longest"] else None
    video, audio = s.until(measured, "a bit rate, and two keyframes")
    check(video["packets"] > 0 and video["age_ms"] >= 0 and audio["packets"] > 0, "%s %s", video, audio)
    check(1 <= video["keyframe_frames"] <= video["keyframe_longest_frames"] <= 250, "%s", video)
    check(0 < video["keyframe_interval"] <= video["keyframe_longest"] < 11, "%s", video)
    check(audio["keyframe_interval"] is None and audio["keyframe_longest_frames"] is None, "%s", audio)
    check(video["keyframe_age_ms"] >= video["age_ms"] and audio["keyframe_age_ms"] is None, "%s %s", video, audio)
    text = s.run("info", "film").out
    check(re.search(r" kbit/s, keyframe after .*, newest \d+\.\d s ago", text), "info says %s", text)


def test_the_time_of_the_last_picture(s):
    before = time.time()
    pub = s.publish("test:64x48@25", "cam")
    info = s.json("info", "cam", "--json")
    check(before - 1 < info["last_picture"] < time.time() + 1, "%s, it is %s", info["last_picture"], time.time())
    pub.stop()


def test_check(s):
    check(s.run("list", "--check").code == NO_STREAM, "list --check without streams")
    check(s.run("info", "cam", "--check").code == NO_STREAM, "info --check without the stream")
    pub = s.publish("test:64x48@25", "cam")
    asked = ("info", "cam", "--check", "--max-age", harness.LIMIT)
    s.until(lambda: s.run(*asked).out == "live\n", "a picture")
    check(s.run(*asked).code == OK and s.run("list", "--check", "--max-age", harness.LIMIT).code == OK, "not live")
    check(s.json(*asked, "--json")["name"] == "cam", "info --check --json")
    tight = s.run("info", "cam", "--check", "--max-age", "0.000000001")
    check(tight.code == NOT_LIVE and tight.out.startswith("not live: the newest picture is "), "%s", tight)
    tight = s.run("info", "cam", "--check", "--max-age", "0.000000001", "--json")
    check(tight.code == NOT_LIVE and json.loads(tight.out)["frames"] > 0, "%s", tight)
    tight = s.run("list", "--check", "--max-age", "0.000000001")
    check(tight.code == NOT_LIVE and "cam" in tight.out, "%s", tight)
    for command in (("info", "cam"), ("list",)):
        result = s.run(*command, "--max-age", "5")
        check(result.code == USAGE and "--check" in result.err, "%s", result)
    pub.suspend()
    check(s.run("info", "cam", "--check").code == TIMEOUT, "a stopped publisher")
    check(s.run("list", "--check").code == NOT_LIVE, "a stopped publisher in list")
    pub.resume()
    pub.stop()


def test_wait_and_codes(s):
    check(s.run("info", "gone").code == NO_STREAM, "info of no stream")
    check(s.run("info", "gone", "--wait=0.3").code == TIMEOUT, "info --wait")
    check(s.run("top", "gone", "--count", "1").code == NO_STREAM, "top of no stream")
    for args in (("info",), ("info", "a", "b"), ("list", "a"), ("info", "a", "--wait=x"), ("top", "--interval", "0"),
                 ("top", "--count", "0"), ("list", "--nonsense")):
        check(s.run(*args).code == USAGE, "%s is no usage error", args)
    waiting = s.start("info", "cam", "--wait", "--json")
    s.publish("test:64x64@10", "cam")
    check(waiting.json()["name"] == "cam", "info waited in vain")
    for command in ("list", "info", "top", "snapshot", "record", "verify"):
        result = s.run(command, "--help")
        check(result.code == OK and result.out.startswith("usage: cuframes " + command) and not result.err,
              "%s --help: %r", command, result)


def test_top(s):
    pub = s.publish("test:320x240@25", "cam")
    s.publish("test:64x48@25", "other")
    held = s.start("verify", "cam", "--delay", "3600", "--label", "holder")
    s.until(lambda: s.json("info", "cam", "--json")["slots_pinned"], "a frame is held")
    lines = s.run("top", "--json", "--count", "3", "--interval", "0.1").out.splitlines()
    looks = [json.loads(line) for line in lines]
    check(len(looks) == 3 and [st["name"] for st in looks[0]["streams"]] == ["cam", "other"], "top says %s", lines)
    check(looks[0]["time"] < looks[1]["time"] and INFO_KEYS <= set(looks[0]["streams"][0]), "top says %s", looks[0])
    seat = looks[2]["streams"][0]["subscriber_list"][0]
    check(seat["label"] == "holder" and len(seat["held_slots"]) == 1, "top says %s", seat)

    text = s.run("top", "cam", "--count", "2", "--interval", "0.2").out
    check(text.count("holder") == 2 and "other" not in text and "\033" not in text, "top prints %r", text)
    timed = s.run("top", "--duration", "0.5", "--interval", "0.2", "--json")
    check(timed.code == OK and 1 <= len(timed.out.splitlines()) <= 3, "top --duration 0.5: %r", timed)
    pace(len(timed.out.splitlines()) == 3, "top --duration 0.5: %r", timed)

    # A stream that ends while it is watched stays on the screen, with the reason.
    watch = s.start("top", "cam", "--interval", "0.1")
    watch.wait_for("cam  320x240", stream="out")
    pub.stop()
    watch.wait_for("^cam  .*(nobody|no such|publish)", stream="out")
    watch.stop()
    held.stop()


def test_top_on_a_terminal(s):
    s.publish("test:320x240@25", "cam")
    ours, theirs = pty.openpty()
    process = s.start_program("sh", "-c", 'exec "$0" top --interval 0.1 --count 3 <"$1" >"$1"', harness.program(),
                              os.ttyname(theirs))
    process.expect(OK)
    os.close(theirs)
    text = b""
    try:
        while True:
            data = os.read(ours, 65536)
            if not data:
                break
            text += data
    except OSError:
        pass  # how a terminal whose other side is closed ends
    os.close(ours)
    check(text.count(b"\033[H") == 3 and text.count(b"320x240") == 3, "drew %r", text)
    check(b"\033[?25l" in text and text.rstrip().endswith(b"\033[?25h"), "the cursor is not brought back: %r", text)


def test_top_ends_by_signal(s):
    for number in (signal.SIGINT, signal.SIGTERM):
        top = s.start("top", "--json", "--interval", "3600")
        top.wait_for("streams", stream="out")
        top.stop(number)


if __name__ == "__main__":
    harness.main(globals())
