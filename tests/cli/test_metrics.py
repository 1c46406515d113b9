#!/usr/bin/env python3
"""test_metrics.py - the numbers of `cuframes metrics` against what really happened, the table in docs/metrics.md, and
Prometheus' own judgement of the text."""
import os
import re
import subprocess
import time

import camera
import harness
import metering
from camera import Camera, Plan
from harness import FAILED, OK, USAGE, check

EVERY_CHARACTER = "Aa0._-zZ9" + "x" * 54


def documented():
    """{name: (type, labels, meaning)} of docs/metrics.md."""
    with open(os.path.join(harness.SOURCE_DIR, "docs", "metrics.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| `(cuframes_\w+)` \| (\w+) \| (.*?) ?\| (.*?) \|$", file.read(), re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels)), meaning) for name, kind, labels, meaning in rows}


def test_table(s):
    """Names, types, help and labels are those of the page, in its order."""
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    page = documented()
    s.until(lambda: metering.once(s, "film").all("cuframes_track_keyframe_interval_seconds"), "keyframes")
    there = metering.once(s, "film", "none")
    check(list(there.families) == list(page), "only in the program: %s; only on the page: %s",
          sorted(set(there.families) - set(page)), sorted(set(page) - set(there.families)))
    for name, (kind, meaning) in there.families.items():
        check((kind, meaning) == (page[name][0], page[name][2]), "%s is %s, the page has %s", name, (kind, meaning),
              page[name])
        for end in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            for labels, _ in there.all(name + end):
                check(set(labels) - {"le"} == page[name][1], "%s has the labels %s", name, labels)


def test_promtool(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    s.publish("test:64x48@25", EVERY_CHARACTER)
    reader = s.start("verify", "film", "--mode", "ordered")
    s.until(lambda: metering.once(s).get("cuframes_stream_subscribers", stream="film", policy="ordered"), "a reader")
    metering.check_promtool(metering.once(s, "film", EVERY_CHARACTER, "none").text)
    metering.check_promtool(metering.once(s).text)
    reader.stop()


def test_names(s):
    """Every character that a name may have; a name that cannot be one; one that nobody publishes."""
    s.publish("test:64x48@25", EVERY_CHARACTER)
    check(metering.once(s).get("cuframes_stream_up", stream=EVERY_CHARACTER) == 1, "not up")
    there = metering.once(s, EVERY_CHARACTER, "none", "none")
    check(there.get("cuframes_streams") == 2, "%s streams", there.get("cuframes_streams"))
    check(there.get("cuframes_stream_up", stream="none") == 0, "none is up")
    check(there.get("cuframes_stream_scrape_errors_total", stream="none", error="no_such_stream") == 1, there.text)
    check(there.get("cuframes_stream_frames_total", stream="none") is None, "none has frames")
    result = s.run("metrics", "a/b", "--once")
    check(result.code == USAGE and "a/b" in result.err and not result.out, "%s", result)


def test_nothing_there(s):
    there = metering.once(s)
    check(there.get("cuframes_streams") == 0 and there.get("cuframes_scrape_success") == 1, there.text)
    with open(s.path("file"), "w"):
        pass
    there = metering.once(s, "--dir", s.path("file"), code=FAILED)
    check(there.get("cuframes_scrape_success") == 0, there.text)


def test_stopped_publisher(s):
    """It is named, and the others have their numbers."""
    stopped = s.publish("test:64x48@25", "stopped")
    s.publish("test:64x48@25", "goes-on")
    stopped.suspend()
    result = s.start("metrics", "--once", "--timeout", "0.2").expect(OK)
    there = metering.Metrics(result.out)
    check(there.get("cuframes_stream_up", stream="stopped") == 0, there.text)
    check(there.get("cuframes_stream_scrape_errors_total", stream="stopped", error="timeout") == 1, there.text)
    check("stopped gives no numbers" in result.err, result.err)
    stopped.resume()
    check(metering.once(s).get("cuframes_stream_up", stream="stopped") == 1, "it did not come back")


class Meter:
    """The publisher of meter.c."""

    def __init__(self, s, name):
        self.process = s.start_program(harness.need_built("tests", "meter"), name, stdin=subprocess.PIPE)
        self.done = 0
        self.wait()

    def wait(self):
        self.done += 1
        self.process.wait_for(r"(?:done\n){%d}" % self.done, stream="out")

    def tell(self, command, *values):
        self.process.say(command % values if values else command)
        self.wait()


def test_what_really_happened(s):
    """Every number against what was published, taken, held and lost, to the last one."""
    meter = Meter(s, "cam")
    meter.tell("frames 7")
    meter.tell("packets 35 100")
    there = metering.once(s)
    for name, value in (("frames", 7), ("frames_dropped", 0), ("packets", 35), ("packet_bytes", 3500),
                        ("evictions", 0), ("reconnects", 0)):
        check(there.get("cuframes_stream_%s_total" % name, stream="cam") == value, "%s: %s", name, there.text)
    check(there.get("cuframes_track_packets_total", track="0", media="video", codec="h264") == 35, there.text)
    check(there.get("cuframes_track_keyframe_interval_seconds", track="0") == 0.4, there.text)
    check(not there.get("cuframes_stream_packets_read_total", policy="packets"), "nobody read one: %s", there.text)
    info = s.json("info", "cam", "--json")
    check(there.get("cuframes_stream_slots_allocated") == info["slots"], there.text)
    check(there.get("cuframes_stream_slots_max") == info["max_slots"], there.text)
    check(there.get("cuframes_stream_memory_bytes", device="host") == info["memory_bytes"], there.text)
    check(not there.all("cuframes_stream_frame_latency_seconds_count"), "nobody took a frame: %s", there.text)
    check(0 < there.get("cuframes_stream_last_frame_age_seconds") < harness.LIMIT, there.text)
    wall = there.get("cuframes_stream_last_frame_time_seconds"), there.get("cuframes_stream_start_time_seconds")
    check(time.time() - harness.LIMIT < wall[1] <= wall[0] <= time.time(), "%s", wall)


def test_subscribers(s):
    """Who takes, holds, lags and loses; what those did that have left, or were killed, stays counted."""
    meter = Meter(s, "cam")
    every = s.start("verify", "cam", "--mode", "ordered", "--depth", "4", "--frames", "5", "--json")
    holds = s.start("verify", "cam", "--delay", "3600", "--label", "holds")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 2, "two subscribers")
    for i in range(1, 6):
        meter.tell("frames 1")
        s.until(lambda: metering.once(s).get("cuframes_stream_frames_taken_total", policy="ordered") == i, "a frame")
        if i == 1:
            s.until(lambda: metering.once(s).get("cuframes_stream_frames_held", policy="newest") == 1, "one is held")
    every.expect(OK)
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 1, "one subscriber")
    meter.tell("frames 3")
    for killed in (False, True):
        there = metering.once(s)
        for policy, joined, taken in (("ordered", 1, 5), ("newest", 1, 1), ("packets", 0, None)):
            now = 1 if policy == "newest" and not killed else 0
            for name, value in (("subscribers", now), ("subscribers_joined_total", joined),
                                ("frames_taken_total", taken), ("frame_latency_seconds_count", taken)):
                check(there.get("cuframes_stream_" + name, policy=policy) == value, "%s of %s, killed %s: %s", name,
                      policy, killed, there.text)
        check(there.get("cuframes_stream_lag_frames", policy="newest") == (0 if killed else 7), there.text)
        check(there.get("cuframes_stream_frames_held", policy="newest") == (0 if killed else 1), there.text)
        check(there.get("cuframes_stream_slots_used") == (0 if killed else 1), there.text)
        if not killed:
            holds.kill()
            s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 0, "it is gone")


def test_drops_are_counted(s):
    """A full ordered subscriber under the policy `drop`."""
    meter = Meter(s, "cam")
    slow = s.start("verify", "cam", "--mode", "ordered", "--depth", "2", "--delay", "3600")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 1, "a subscriber")
    meter.tell("frames 1")
    s.until(lambda: metering.once(s).get("cuframes_stream_frames_held", policy="ordered") == 1, "a frame is held")
    meter.tell("frames 10")
    there = metering.once(s)
    published, dropped = (there.get("cuframes_stream_frames%s_total" % end) for end in ("", "_dropped"))
    check(published + dropped == 11 and dropped >= 7, "%s published, %s dropped", published, dropped)
    slow.kill()


def test_evictions_are_counted(s):
    s.publish("test:64x48@100", "cam", "--ordered-timeout", "0.01")
    slow = s.start("verify", "cam", "--mode", "ordered", "--depth", "2", "--delay", "3600")
    s.until(lambda: metering.once(s).get("cuframes_stream_evictions_total") == 1, "an eviction")
    slow.kill()


def test_age_of_the_keyframe(s):
    """None before the first; then it grows, whatever other packets come."""
    meter = Meter(s, "cam")
    check(metering.once(s).get("cuframes_track_last_keyframe_age_seconds") is None, "before any packet")
    meter.tell("packets 1 100")  # every tenth is one, and so is the first
    before = time.monotonic()
    first = metering.once(s).get("cuframes_track_last_keyframe_age_seconds", track="0", media="video", codec="h264")
    meter.tell("packets 9 100")
    there = metering.once(s)
    second = there.get("cuframes_track_last_keyframe_age_seconds")
    check(0 <= first < second, "%s, %s", first, second)
    check(second >= there.get("cuframes_track_last_packet_age_seconds"), "%s", there.text)
    s.until(lambda: metering.once(s).get("cuframes_track_last_keyframe_age_seconds") > 0.2, "it grows old")
    meter.tell("packets 1 100")
    after = time.monotonic()
    check(metering.once(s).get("cuframes_track_last_keyframe_age_seconds") < time.monotonic() - before, "a new one")
    check(after > before, "time")


def test_packets_lost(s):
    """By a reader that was stopped for longer than the ring lasts; it stays counted when the reader has left."""
    s.publish(harness.CLIP, "film", "--realtime", "--loop", "--packet-slots", "16")
    reader = s.start("pipe", "film", "--packets", "--output", os.devnull)

    def read():
        return metering.once(s).get("cuframes_stream_packets_read_total", stream="film", policy="packets")
    s.until(read, "it reads")
    check(metering.once(s).get("cuframes_stream_packets_lost_total", policy="packets") == 0, "it lost some before")
    reader.suspend()
    published = metering.once(s).get("cuframes_stream_packets_total", stream="film")
    s.until(lambda: metering.once(s).get("cuframes_stream_packets_total", stream="film") > published + 32, "packets")
    reader.resume()
    s.until(lambda: metering.once(s).get("cuframes_stream_packets_lost_total", policy="packets"), "it lost some")
    check("lost)" in s.run("info", "film").out, "info does not say it")
    reader.stop()
    s.until(lambda: metering.once(s).get("cuframes_stream_subscribers", policy="packets") == 0, "it has left")
    there = metering.once(s)
    check(there.get("cuframes_stream_packets_lost_total", policy="packets") > 16, there.text)
    check(there.get("cuframes_stream_packets_lost_total", policy="newest") == 0, there.text)


def test_latency(s):
    """Buckets hold all, each one those before it; the sum lies between what they say."""
    s.publish("test:64x48@100", "cam")
    s.start("verify", "cam", "--mode", "ordered", "--frames", "40").expect(OK)
    s.start("verify", "cam", "--frames", "5", "--delay", "0.1").expect(OK)
    there = metering.once(s)
    for policy, frames in (("ordered", 40), ("newest", 5)):
        buckets = there.all("cuframes_stream_frame_latency_seconds_bucket", policy=policy)
        bounds = [float(labels["le"]) for labels, _ in buckets]
        counts = [value for _, value in buckets]
        check(bounds == sorted(bounds) and len(bounds) == 16, "%s", bounds)
        check(bounds[0] == 0.00005 and bounds[-2] == 2.5 and bounds[-1] == float("inf"), "%s", bounds)
        check(counts == sorted(counts) and counts[-1] == frames, "%s", counts)
        each = [b - a for a, b in zip([0] + counts, counts)]
        total = there.get("cuframes_stream_frame_latency_seconds_sum", policy=policy)
        least = sum(n * bound for n, bound in zip(each, [0] + bounds))
        most = sum(n * bound for n, bound in zip(each, bounds) if n)
        check(least <= total <= most, "%s is not between %s and %s", total, least, most)


def test_states(s):
    """The state that is so, since when and why, and how often the source was lost."""
    meter = Meter(s, "cam")
    names = ["unknown", "live", "stalled", "reconnecting", "ended", "connecting", "refused"]
    for number, reason, lost in ((0, "", 0), (5, "", 0), (1, "", 0), (2, "", 0),
                                 (3, 'no "route" \\ to rtsp://u:secret@host/', 1), (1, "", 1), (6, "password", 2)):
        meter.tell("source %d %s", number, reason)
        there = metering.once(s)
        states = {labels["state"]: value for labels, value in there.all("cuframes_stream_state", stream="cam")}
        check(states == {name: name == names[number] for name in names}, "%s: %s", names[number], states)
        why = there.all("cuframes_stream_state_reason")
        check([(labels["state"], labels["reason"]) for labels, _ in why] ==
              ([(names[number], reason.replace("u:secret", "u:***"))] if reason else []), "%s", why)
        check(there.get("cuframes_stream_reconnects_total") == lost, "%s lost", lost)
        check((there.get("cuframes_stream_state_start_time_seconds") is None) == (number == 0), there.text)
        check("secret" not in there.text, there.text)


def test_a_restart_begins_anew(s):
    meter = Meter(s, "cam")
    meter.tell("frames 5")
    before = metering.once(s)
    meter.process.popen.stdin.close()
    meter.process.expect(OK)
    check(metering.once(s).get("cuframes_stream_up") is None, "it is still there")
    Meter(s, "cam").tell("frames 1")
    after = metering.once(s)
    check(before.get("cuframes_stream_frames_total") == 5 and after.get("cuframes_stream_frames_total") == 1, "%s %s",
          before.text, after.text)
    check(after.get("cuframes_stream_start_time_seconds") > before.get("cuframes_stream_start_time_seconds"), "a start")


def test_camera_that_comes_back(s):
    """With a real camera: live, lost, and live again."""
    cam = Camera(s, Plan(camera.film(s)))
    pub = s.start("publish", cam.address("admin", "secret"), "--name", "cam")
    s.wait_stream("cam", pub)

    def is_in(state):
        there = metering.once(s)
        return there if there.get("cuframes_stream_state", state=state) == 1 else None
    frames = s.until(lambda: is_in("live"), "live").get("cuframes_stream_frames_total")
    cam.leave()
    away = s.until(lambda: is_in("reconnecting"), "reconnecting")
    check(away.get("cuframes_stream_reconnects_total") == 1, away.text)
    s.until(lambda: "refused" in str(metering.once(s).all("cuframes_stream_state_reason", state="reconnecting")), "why")
    cam.come_back()
    back = s.until(lambda: is_in("live"), "live again")
    check(back.get("cuframes_stream_reconnects_total") == 1, back.text)
    check(back.get("cuframes_stream_frames_total") >= away.get("cuframes_stream_frames_total") >= frames, back.text)
    check(back.get("cuframes_stream_state_reason") is None, back.text)


def test_usage(s):
    for words in (["--interval", "1"], ["--listen", "0", "--once"], ["--listen", "0", "--textfile", "a.prom"],
                  ["--once", "--interval", "1"], ["--textfile", ""], ["--textfile", "a/"], ["--once", "--timeout", "0"],
                  ["--once", "--json"]):
        result = s.run("metrics", *words)
        check(result.code == USAGE and not result.out, "%s: %s", words, result)


if __name__ == "__main__":
    harness.main(globals())
