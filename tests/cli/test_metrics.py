#!/usr/bin/env python3
"""test_metrics.py - the numbers of `cuframes metrics` against what really happened, the table in docs/metrics.md, and
Prometheus' own judgement of the text."""
import os
import re
import signal

import harness
import metering
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
    stopped.send(signal.SIGSTOP)
    result = s.start("metrics", "--once", "--timeout", "0.2").expect(OK)
    there = metering.Metrics(result.out)
    check(there.get("cuframes_stream_up", stream="stopped") == 0, there.text)
    check(there.get("cuframes_stream_scrape_errors_total", stream="stopped", error="timeout") == 1, there.text)
    check("stopped gives no numbers" in result.err, result.err)
    stopped.send(signal.SIGCONT)
    check(metering.once(s).get("cuframes_stream_up", stream="stopped") == 1, "it did not come back")


def test_usage(s):
    for words in ([], ["--interval", "1"], ["--once", "--interval", "1"], ["--textfile", ""], ["--textfile", "a/"],
                  ["--once", "--timeout", "0"], ["--once", "--json"]):
        result = s.run("metrics", *words)
        check(result.code == USAGE and not result.out, "%s: %s", words, result)


if __name__ == "__main__":
    harness.main(globals())
