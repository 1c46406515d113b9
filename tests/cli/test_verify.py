#!/usr/bin/env python3
"""test_verify.py - verify sees what is there, and fails where something is wrong: a film with a damaged, a repeated
and an earlier picture is made from test pictures."""
import json
import signal
import subprocess

import harness
from harness import FAILED, NO_STREAM, OK, TIMEOUT, USAGE, check, pace

KEYS = {"frames", "gaps", "duplicates", "longest_duplicate_run", "back_jumps", "torn", "skipped", "latency_us"}
SIZE = 96, 64


def check_clean(seen, **wanted):
    check(KEYS <= set(seen), "missing: %s", KEYS - set(seen))
    for key in ("gaps", "duplicates", "longest_duplicate_run", "back_jumps", "torn"):
        check(seen[key] == 0, "%s: %s", key, seen)
    for key, value in wanted.items():
        check(seen[key] == value, "%s is not %s: %s", key, value, seen)


def test_good_stream(s):
    s.publish("test:320x240@50", "cam")
    newest = s.start("verify", "cam", "--json", "--duration", "1.5")
    every = s.start("verify", "cam", "--json", "--frames", "60", "--mode", "ordered")
    slow = s.start("verify", "cam", "--json", "--frames", "6", "--delay", "0.2")
    seen = newest.json()
    check_clean(seen, stamped=True, ended="duration")
    check(seen["frames"] > 1, "%s", seen)
    pace(seen["frames"] + seen["skipped"] >= 65, "%s", seen)
    latency = seen["latency_us"]
    check(0 < latency["p50"] <= latency["p99"] <= latency["max"], "%s", latency)
    check(sum(count for _, _, count in latency["histogram"]) == seen["frames"] - 1, "%s", latency)
    check_clean(every.json(), stamped=True, ended="frames", frames=60, skipped=0)
    seen = slow.json()
    check_clean(seen, stamped=True)
    check(seen["frames"] == 6 and seen["skipped"] > 0, "%s", seen)
    pace(seen["skipped"] >= 40, "%s", seen)
    text = s.run("verify", "cam", "--frames", "20").out
    check("torn          0" in text and "latency       p50" in text and "#" in text, "it prints %s", text)


def test_real_pictures(s):
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    check_clean(s.json("verify", "film", "--json", "--frames", "24"), stamped=False, inexact=0)
    check_clean(s.json("verify", "film", "--json", "--frames", "8", "--delay", "0.1"), stamped=False)


def raw_pictures(s, count):
    """So many test pictures, rgb24, in a row if the machine keeps up with 25 per second."""
    pub = s.publish("test:%dx%d@25,rgb24" % SIZE, "source")
    size = SIZE[0] * SIZE[1] * 3
    with open(s.path("pictures"), "wb") as file:
        subprocess.run([harness.program(), "snapshot", "source", "-o", "-", "--format", "raw", "--count", str(count)],
                       stdout=file, env=s.env, check=True, timeout=harness.LIMIT)
    pub.stop()
    with open(s.path("pictures"), "rb") as file:
        data = file.read()
    return [data[i:i + size] for i in range(0, len(data), size)]


def watch(s, pictures):
    """The verify that saw these pictures, played once at 25 per second, from one of the first eight on; on a machine
    that is too slow for it to come in time they are played slower."""
    for rate in (25, 12, 6, 3, 1):
        verify = watch_once(s, pictures, rate)
        if harness.parse_json(verify.wait().out)["frames"] > len(pictures) - 8:
            return verify
    raise harness.Failure("verify misses more than the first eight: %s" % verify.out)


def watch_once(s, pictures, rate):
    with open(s.path("film.raw"), "wb") as file:
        file.write(b"".join(pictures))
    subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt",
                    "rgb24", "-s", "%dx%d" % SIZE, "-r", str(rate), "-i", s.path("film.raw"), "-c:v", "ffv1",
                    "-pix_fmt", "bgr0", s.path("film.mkv")], check=True, timeout=harness.LIMIT)
    verify = s.start("verify", "film", "--wait", "--json", "--mode", "ordered")
    verify.wait_for("waiting")
    s.start("publish", s.path("film.mkv"), "--name", "film", "--realtime", "--format", "rgb24",
            "--ordered-timeout", harness.LIMIT).expect(OK)
    return verify


def test_bad_streams(s):
    good = raw_pictures(s, 24)
    check_clean(watch(s, good).json(), stamped=True, ended="publisher_gone")

    torn = bytearray(good[15])
    torn[-1] ^= 1
    seen = watch(s, good[:15] + [bytes(torn)] + good[16:]).json(code=FAILED)
    check(seen["torn"] == 1 and seen["duplicates"] == 0 and seen["back_jumps"] == 0, "torn: %s", seen)

    half = len(good[0]) // 2
    seen = watch(s, good[:15] + [good[15][:half] + good[14][half:]] + good[16:]).json(code=FAILED)
    check(seen["torn"] == 1, "half old, half new: %s", seen)

    seen = watch(s, good[:15] + [good[14]] * 3 + good[15:] + [good[23]]).json(code=FAILED)
    check((seen["duplicates"], seen["longest_duplicate_run"], seen["torn"]) == (4, 3, 0), "repeated: %s", seen)

    seen = watch(s, good[:15] + good[11:]).json(code=FAILED)
    check((seen["back_jumps"], seen["duplicates"], seen["torn"]) == (1, 0, 0), "back: %s", seen)

    seen = watch(s, good[:15] + good[18:]).json()
    check_clean(seen)
    pace(seen["source_gaps"] == 1, "numbers left out: %s", seen)  # more, if pictures were missed in making the film

    # A film of a test picture that an encoder changed is no broken stream.
    soft = [picture[:half] + bytes(value ^ (i % 97 == 0) for i, value in enumerate(picture[half:])) for picture in good]
    seen = watch(s, soft).json()
    check_clean(seen, stamped=False)
    check(seen["inexact"] == seen["frames"], "inexact: %s", seen)


def spoil(pid):
    """Changes bytes of every slot behind the back of a publisher, in its own memory."""
    with open("/proc/%d/maps" % pid) as maps:
        areas = [line.split() for line in maps if "memfd:cuframes-segment" in line and " rw-s " in line]
    start, end = max((tuple(int(part, 16) for part in area[0].split("-")) for area in areas), key=lambda a: a[1] - a[0])
    try:
        with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
            for at in range(start, end, 997):
                memory.seek(at)
                value = memory.read(1)
                memory.seek(at)
                memory.write(bytes([value[0] ^ 1]))
    except PermissionError as why:
        harness.skip("cannot write the memory of another process here: %s" % why)


def test_changed_while_leased(s):
    """A publisher that writes where a subscriber reads: seen when the picture is looked at again."""
    for source, stamped in (("test:320x240@1/600", True), ("test:32x20@1/600", False)):
        for delay in (1, 5, 20, 80):  # until there is time to come before the second look
            pub = s.publish(source, "cam")
            verify = s.start("verify", "cam", "--json", "--frames", "1", "--delay", delay)
            s.until(lambda: s.json("info", "cam", "--json")["slots_pinned"] or not verify.alive(), "a frame is held")
            spoil(pub.pid)
            result = verify.wait()
            seen = harness.parse_json(result.out)
            if seen["torn"]:
                break
            pub.stop()
        check(result.code == FAILED, "%s", result)
        check(seen["torn"] == 1 and seen["stamped"] == stamped and seen["duplicates"] == 0, "%s", seen)
        pub.stop()


def test_ends(s):
    check(s.run("verify", "gone", "--duration", "1").code == NO_STREAM, "no stream")
    check(s.run("verify", "gone", "--wait", "0.3").code == TIMEOUT, "--wait 0.3")
    for args in ((), ("a", "b"), ("a", "--frames", "0"), ("a", "--delay", "x"), ("a", "--leases", "65"),
                 ("a", "--depth", "0")):
        check(s.run("verify", *args).code == USAGE, "%s is no usage error", args)
    waiting = s.start("verify", "never", "--wait")
    waiting.wait_for("waiting")
    waiting.stop(code=FAILED)
    pub = s.publish("test:64x64@1/600", "cam")
    result = s.run("verify", "cam", "--timeout", "0.4", "--json")
    check(result.code == TIMEOUT and json.loads(result.out)["ended"] == "timeout", "%r", result)
    for number in (signal.SIGINT, signal.SIGTERM):
        verify = s.start("verify", "cam", "--json", "--delay", "3600")
        s.until(lambda: s.json("info", "cam", "--json")["slots_pinned"], "a frame is held")
        check(json.loads(verify.stop(number).out)["ended"] == "signal", "ended %s", verify.out)
    verify = s.start("verify", "cam", "--json", "--mode", "ordered")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"], "it joined")
    s.until(lambda: s.json("info", "cam", "--json")["subscriber_list"][0]["delivered"], "a frame")
    pub.stop()
    check_clean(verify.json(), ended="publisher_gone", frames=1)


def test_reconnect(s):
    pub = s.publish("test:64x64@50", "cam")
    process = s.start("verify", "cam", "--json", "--reconnect", "--mode", "ordered")
    delivered = lambda: sum(seat["delivered"] for seat in s.json("info", "cam", "--json")["subscriber_list"])
    s.until(lambda: delivered() > 20, "some frames")
    pub.kill()
    pub = s.publish("test:96x64@50", "cam")
    s.until(lambda: delivered() > 20, "some more frames")
    seen = json.loads(process.stop().out)
    check_clean(seen, epochs=1, reconnects=1, stamped=True, ended="signal")
    pub.stop()


def test_evicted(s):
    s.publish("test:64x64@50", "cam", "--ordered-timeout", "0.2")
    args = ("--mode", "ordered", "--depth", "1", "--leases", "1", "--delay", "1")
    seen = s.start("verify", "cam", "--json", *args).json(code=FAILED)
    check(seen["ended"] == "evicted" and seen["evictions"] == 1 and seen["torn"] == 0, "%s", seen)
    again = s.start("verify", "cam", "--json", "--reconnect", "--frames", "3", *args).json()
    check(again["evictions"] >= 1 and again["frames"] == 3, "%s", again)
    check(s.json("info", "cam", "--json")["evictions"] >= 2, "info does not know")


if __name__ == "__main__":
    harness.main(globals())
