#!/usr/bin/env python3
"""test_views_agree.py - list, info, top, metrics and doctor say the same of the same stream: its state, its frames, who
reads it, who holds what, what was dropped, in every state that a stream can be in; and no message says a word twice."""
import json
import os
import re
import subprocess

import harness
import media
import metering
from doctoring import doctor
from harness import check

HOST = ("--device", "host")


class Views:
    """What each of them says of a stream; the looks are taken at once, between two of info."""

    def __init__(self, s, name="cam"):
        self.before = s.json("info", name, "--json")
        once = ("--count", "1")
        texts = {"list": s.start("list"), "info": s.start("info", name), "top": s.start("top", name, *once)}
        listed, top, every = (s.start(*command, "--json")
                              for command in (("list",), ("top", name, *once), ("top", *once)))
        self.metrics = metering.once(s, name)
        self.doctor = doctor(s, name, *HOST)
        self.list, self.top, self.all = listed.json()[0], top.json()["streams"][0], every.json()["streams"][0]
        self.text = {who: process.wait().out for who, process in texts.items()}
        self.after = s.json("info", name, "--json")
        self.name = name

    def objects(self):
        return {"list": self.list, "top": self.top, "top of all": self.all, "info": self.after}

    def metric(self, name, **labels):
        return self.metrics.get("cuframes_stream_" + name, stream=self.name, **labels)

    def said(self, name):
        return next((finding for finding in self.doctor.findings if finding["check"] == name), {"what": ""})["what"]

    def agree(self, state):
        """On what does not go on by itself all are equal, on what does they lie between the two looks."""
        before, after = self.before, self.after
        for who, said in self.objects().items():
            check(said["state"] == state, "%s says %s, not %s", who, said["state"], state)
            for key in ("format", "width", "device", "subscribers", "pid", "state_reason", "description"):
                check(said[key] == before[key], "%s: %s says %r, info %r", key, who, said[key], before[key])
            for key in ("frames", "packets"):
                check(before[key] <= said[key] <= after[key], "%s: %s says %s, info %s and %s", key, who, said[key],
                      before[key], after[key])
        for who, said in (("top", self.top), ("top of all", self.all)):
            for key in ("slots_pinned", "max_slots", "evictions", "memory"):
                check(said[key] == before[key], "%s: %s says %s, info %s", key, who, said[key], before[key])
            check(before["dropped"] <= said["dropped"] <= after["dropped"], "%s", said["dropped"])
        check(self.metric("up") == 1, "metrics say that it is down")
        for metric, key in (("frames_total", "frames"), ("packets_total", "packets"),
                            ("frames_dropped_total", "dropped"), ("evictions_total", "evictions"),
                            ("slots_used", "slots_pinned"), ("slots_max", "max_slots")):
            value = self.metric(metric)
            check(value is None or before[key] <= value <= after[key], "%s: metrics say %s, info %s and %s", key, value,
                  before[key], after[key])
        if state != "unknown":
            check(self.metric("state", state=state) == 1, "metrics do not say %s: %s", state,
                  self.metrics.all("cuframes_stream_state"))
        held = sum(seat["leases_held"] for seat in before["subscriber_list"])
        check(sum(value for _, value in self.metrics.all("cuframes_stream_frames_held")) == held, "held: %s", held)
        check(sum(value for _, value in self.metrics.all("cuframes_stream_subscribers")) == before["subscribers"],
              "readers: %s", before["subscribers"])
        self.agree_in_words(state)
        return self

    def agree_in_words(self, state):
        before = self.before
        for who, text in self.text.items():
            check(("not said" if who == "info" else "") in text if state == "unknown" else state in text,
                  "%s does not say %s: %s", who, state, text)
        check("published by process %d" % before["pid"] in self.said("answer"), "doctor says %s", self.said("answer"))
        camera = next(finding for finding in self.doctor.findings if finding["check"] == "camera")
        check((camera["state"] == "problem") == (state not in ("live", "unknown")), "doctor says %s", camera)
        check(state == "unknown" or state in camera["what"], "doctor says %s", camera)
        if before["slots"]:
            check("of at most %d, %d pinned" % (before["max_slots"], before["slots_pinned"]) in self.said("slots"),
                  "doctor says %s, info %s", self.said("slots"), before)
        readers = [finding["what"] for finding in self.doctor.findings if finding["check"] == "readers"]
        check(len(readers) == before["subscribers"], "doctor says %s, info %s", readers, before["subscriber_list"])
        for seat in before["subscriber_list"]:
            said = next((line for line in readers if '"%s"' % seat["label"] in line), None)
            check(said and str(seat["pid"]) in said, "doctor says %s, info %s", readers, seat)


def unruly(s, what):
    process = s.start_program(harness.need_built("tests", "unruly"), "cam", what, name="unruly", stdin=subprocess.PIPE)
    s.until(lambda: os.path.exists(os.path.join(s.dir, "cam.sock")) and s.json("list", "--json"), "it publishes")
    return process


def end(process):
    process.popen.stdin.close()
    process.popen.stdin = None
    process.expect(harness.OK)


def test_live(s):
    pub = s.publish("test:320x180@10", "cam")
    holder = s.start("verify", "cam", "--delay", "3600", "--label", "holder", "--leases", "3")
    every = s.start("verify", "cam", "--mode", "ordered", "--label", "every", "--duration", "1000")
    s.until(lambda: (lambda info: info["subscribers"] == 2 and info["slots_pinned"] and
                     info["fps"])(s.json("info", "cam", "--json")),
            "both read")

    def quiet():  # what the second one holds for a moment comes and goes: once it held nothing at each look
        views = Views(s)
        held = [sum(seat["leases_held"] for seat in said["subscriber_list"]) for said in (views.before, views.top,
                                                                                         views.all, views.after)]
        pinned = [said["slots_pinned"] for said in (views.before, views.top, views.all, views.after)]
        pinned += [views.metric("slots_used"), sum(views.metrics.all("cuframes_stream_frames_held")[i][1] for i in
                                                   range(len(views.metrics.all("cuframes_stream_frames_held"))))]
        pinned += [int(number) for number in re.findall(r"(\d+) pinned", views.said("slots"))]
        return views if set(held) == {1} and set(pinned) == {1} else None
    views = s.until(quiet, "one picture is held at each look")
    views.agree("live")
    rates = [said["fps"] for said in (views.before, views.list, views.top, views.all, views.after)]
    check(all(rate > 0 for rate in rates), "rates: %s", rates)
    every.stop()
    holder.stop()
    pub.stop()


def test_sources_that_do_not_go_on(s):
    """Nothing of these moves, so that all must say the same to the last digit."""
    for what, state in (("stalled", "stalled"), ("reconnecting", "reconnecting"), ("ended", "ended"),
                        ("old", "unknown"), ("packets", "unknown")):
        process = unruly(s, what)
        reader = None
        if what != "packets":
            reader = s.start("verify", "cam", "--delay", "3600", "--label", "holder", "--duration", "1000")
            s.until(lambda: s.json("info", "cam", "--json")["slots_pinned"] == 1, "it holds the picture")
        if what == "old":
            s.until(lambda: s.run("info", "cam", "--check").code == harness.NOT_LIVE, "the picture is old")
            views = Views(s)
            check(s.run("list", "--check").code == harness.NOT_LIVE, "list says that it is live")
            views.doctor.problem("camera", "old", alone=False)
        else:
            views = Views(s).agree(state)
            live = state in ("live", "unknown")
            for command in (("info", "cam"), ("list",)):
                check((s.run(*command, "--check").code == harness.OK) == live, "%s --check of %s", command, what)
        for key in ("fps", "frames", "packets", "state_since", "last_picture"):
            said = {who: view[key] for who, view in views.objects().items()}
            if key.endswith(("since", "picture")):  # by a clock that was looked at each time
                said = {who: value if value is None else round(value) for who, value in said.items()}
                check(len(set(said.values())) == 1 or max(said.values()) - min(said.values()) <= 1, "%s: %s", key, said)
            elif key != "fps":
                check(len(set(said.values())) == 1, "%s: %s", key, said)
        if reader:
            reader.stop(code=None)
        end(process)


def test_sound_alone(s):
    pub = s.start("publish", media.make(s.root, "audio"), "--loop", "--realtime", "--name", "cam")
    s.until(lambda: os.path.exists(os.path.join(s.dir, "cam.sock")) and
            s.json("info", "cam", "--json")["state"] == "live", "it is live")
    doctor(s, "cam", *HOST).ready()
    Views(s).agree("live")
    pub.stop()


def test_publisher_that_does_not_answer(s):
    """One that is stopped, and one that is dead: by name, and among all."""
    pub = s.publish("test:320x180@25", "cam")
    watching = s.start("top", "cam", "--json", "--interval", "0.1")
    watching.wait_for('"frames"', stream="out")
    pub.suspend()
    watching.wait_for('"error"', stream="out")
    by_name = json.loads(next(line for line in watching.out.splitlines() if '"error"' in line))["streams"][0]
    watching.stop()
    every, top, info = s.start("list", "--json"), s.start("top", "--count", "1", "--json"), s.start("info", "cam")
    there = metering.once(s, "cam", "--timeout", "0.3")
    listed, looked, result = every.json()[0], top.json()["streams"][0], info.wait()
    check(set(listed) == {"name", "error"} and listed == looked == by_name, "list %s, top %s and %s", listed, looked,
          by_name)
    check("did not answer in time" in listed["error"], "%s", listed)
    check(result.code == harness.TIMEOUT and "did not answer in time" in result.err, "info: %s", result)
    check(there.get("cuframes_stream_up", stream="cam") == 0, "%s", there.text)
    check(there.get("cuframes_stream_frames_total", stream="cam") is None, "it has frames")
    doctor(s, "cam", *HOST).problem("answer", "stopped", pub.pid)
    pub.kill()
    doctor(s, "cam", *HOST).problem("exists", "has died")
    doctor(s, *HOST).problem("leftovers", "cam")
    check(s.run("info", "cam").code == harness.NO_STREAM, "info")
    check(metering.once(s, "cam").get("cuframes_stream_up", stream="cam") == 0, "metrics")
    check(s.json("list", "--json") == [], "list")  # which removes its files
    check(s.json("top", "--count", "1", "--json")["streams"] == [], "top")
    check(s.run("top", "cam", "--count", "1").code == harness.NO_STREAM, "top of it")
    doctor(s, "cam", *HOST).problem("exists", "nobody publishes cam")


def test_no_word_twice(s):
    """A command does not introduce itself twice."""
    with open(s.path("file"), "w"):
        pass
    for command in (("list",), ("top", "--count", "1"), ("info", "cam"), ("top", "cam", "--count", "1"),
                    ("verify", "cam"), ("snapshot", "cam", "-"), ("record", "cam", "x.ts"), ("pipe", "cam", "-o", "x"),
                    ("metrics", "--once"), ("publish", "test:64x64@5", "--name", "cam", "--duration", "1"),
                    ("grid", "cam", "--output", "g", "--duration", "1")):
        result = s.run(*command, "--dir", s.path("file"))
        check(result.code not in (harness.OK, harness.USAGE) and result.err, "%s: %s", command, result)
        for line in result.err.splitlines():
            words = re.match(r"cuframes (\S+): ", line)
            check(words and not line[words.end():].startswith(words[1] + ":") and not re.search(r"(\b\w+: )\1", line),
                  "%s says: %s", command, line)


if __name__ == "__main__":
    harness.main(globals())
