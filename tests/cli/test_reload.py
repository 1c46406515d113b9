#!/usr/bin/env python3
"""test_reload.py - `publish --config` reads its file anew at SIGHUP: streams come, go and change, and those that stay
the same are not touched."""
import json
import os
import re
import shutil
import signal

import camera
import harness
from harness import FAILED, OK, check

PICTURE = "test:64x64@50"


def handles(pid, number):
    """Whether a process has a handler for this signal."""
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"^SigCgt:\s*(\w+)", file.read(), re.M)[1], 16) >> (number - 1) & 1


class Configured:
    """`publish --config FILE --json`, and its file."""

    def __init__(self, s, *streams, **more):
        self.s, self.path, self.seen = s, s.path("streams.json"), {}
        self.write(*streams, **more)
        self.program = s.start("publish", "--config", self.path, "--json", "--ordered-timeout", harness.LIMIT)

    def write(self, *streams, **more):
        """A stream is a name, or a dict; the file appears whole."""
        streams = [{"input": PICTURE, "name": stream} if isinstance(stream, str) else stream for stream in streams]
        streams = [dict({"ordered-timeout": harness.LIMIT}, **stream) for stream in streams]
        self.write_text(json.dumps(dict({"streams": streams}, **more)))

    def write_text(self, text):
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)

    def events(self):
        return [harness.parse_json(line) for line in self.program.out.splitlines()]

    def wait_event(self, what, stream=None):
        """The next one of this kind and stream, however it lies among the others."""
        def find():
            seen = self.seen.get((what, stream), 0)
            found = [event for event in self.events() if event["event"] == what and event.get("stream") == stream]
            if len(found) > seen:
                self.seen[what, stream] = seen + 1
                return found[seen]
            check(self.program.alive(), "the publisher ended while it should say %s", what)
            return None
        return self.s.until(find, "event %s of %s" % (what, stream))

    def reload(self, what="reloaded"):
        self.program.send(signal.SIGHUP)
        return self.wait_event(what)

    def counts(self):
        event = self.reload()
        return event["added"], event["removed"], event["changed"], event["same"]

    def names(self):
        return sorted(stream["name"] for stream in self.s.json("list", "--json"))

    def wait_names(self, *names):
        self.s.until(lambda: self.names() == sorted(names), "streams %s" % (names,))


def other(name, **more):
    return dict({"input": PICTURE, "name": name}, **more)


def test_who_stays_misses_nothing(s):
    conf = Configured(s, "stays", "goes", other("changes"), {"input": harness.CLIP, "name": "film", "loop": True,
                                                             "realtime": True})
    conf.wait_names("stays", "goes", "changes", "film")
    readers = [s.start("verify", name, "--mode", "ordered", "--json") for name in ("stays", "film")]
    s.until(lambda: all(s.json("info", name, "--json")["subscriber_list"] for name in ("stays", "film")), "readers")
    before = {name: s.json("info", name, "--json") for name in ("stays", "film")}
    conf.write("comes", {"input": harness.CLIP, "name": "film", "loop": True, "realtime": True},
               other("changes", input="test:128x64@50"), "stays")
    check(conf.counts() == (1, 1, 1, 2), "%s", conf.events())
    conf.wait_names("stays", "changes", "comes", "film")
    s.until(lambda: s.json("info", "changes", "--json")["width"] == 128, "the new size")
    for name, was in before.items():
        now = s.json("info", name, "--json")
        check(now["pid"] == was["pid"] and now["frames"] > was["frames"], "%s: %s, before %s", name, now, was)
    for reader in readers:
        result = json.loads(reader.stop().out)
        check(result["missing"] == result["duplicates"] == result["epochs"] == result["reconnects"] == 0, "%s", result)
    said = [(event["event"], event["stream"]) for event in conf.events()
            if event["event"] in ("added", "removed", "changed")]
    check(sorted(said) == [("added", "comes"), ("changed", "changes"), ("removed", "goes")], "%s", said)
    conf.program.stop(signal.SIGTERM)
    ended = [event["stream"] for event in conf.events() if event["event"] == "end"]
    check(sorted(ended) == sorted(["stays", "goes", "changes", "changes", "comes", "film"]), "%s", ended)


def test_what_changes_is_said_first(s):
    """And then come its own events."""
    names = [str(number) for number in range(40)]
    conf = Configured(s, "stays")
    conf.wait_names("stays")
    for round_ in range(3):
        conf.write("stays", *names)
        check(conf.counts() == (40, 0, 0, 1), "%s", conf.events()[-1])
        for name in names:
            conf.wait_event("start", name)
        conf.write("stays")
        check(conf.counts() == (0, 40, 0, 1), "%s", conf.events()[-1])
        for name in names:
            conf.wait_event("end", name)
    for name in names:
        said = [event["event"] for event in conf.events() if event.get("stream") == name]
        said = [event for event in said if event in ("added", "start", "removed", "end")]
        check(said == ["added", "start", "removed", "end"] * 3, "%s: %s", name, said)
    conf.program.stop()


def test_a_broken_file_changes_nothing(s):
    conf = Configured(s, "a", "b")
    conf.wait_names("a", "b")
    reader = s.start("verify", "a", "--mode", "ordered", "--json")
    s.until(lambda: s.json("info", "a", "--json")["subscriber_list"], "a reader")
    good = open(conf.path).read()
    for text, said in (("{", "%s:1:1: " % conf.path), ('{"streams": [\n{"input": "x"}}', "%s:2:" % conf.path),
                       ('{"streams": [{"input": "%s"}]}' % PICTURE, "no --name"), ("{}", "wants {"),
                       ('{"streams": [{"input": "%s", "name": "a", "bogus": 1}]}' % PICTURE, '"bogus" is no option'),
                       ('{"streams": [{"input": "test:x", "name": "a"}]}', "test:x"),
                       (good.replace('"b"', '"a"'), 'two streams are called "a"')):
        conf.write_text(text)
        event = conf.reload("not_reloaded")
        check(said in event["message"] and said in conf.program.err, "%s: %s", text, event)
    os.unlink(conf.path)
    check("No such file" in conf.reload("not_reloaded")["message"], "a file that is not there")
    check(conf.names() == ["a", "b"], "%s", conf.names())
    conf.write_text(good)
    check(conf.counts() == (0, 0, 0, 2), "the good one again")
    result = json.loads(reader.stop().out)
    check(result["missing"] == result["epochs"] == 0 and result["frames"] > 0, "%s", result)
    conf.program.stop()


def test_none_is_left(s):
    """It waits for the next one."""
    conf = Configured(s, "a")
    conf.wait_names("a")
    conf.write()
    check(conf.counts() == (0, 1, 0, 0), "%s", conf.events())
    conf.wait_event("end", "a")
    check(conf.names() == [] and conf.counts() == (0, 0, 0, 0), "%s", conf.events())
    conf.write("b", "a")
    check(conf.counts() == (2, 0, 0, 0), "%s", conf.events())
    conf.wait_names("a", "b")
    conf.write("a")
    check(conf.counts() == (0, 1, 0, 1), "%s", conf.events())
    conf.wait_names("a")
    conf.write()
    check(conf.counts() == (0, 1, 0, 0), "%s", conf.events())
    conf.wait_event("end", "a")
    conf.program.stop(signal.SIGTERM)


def test_what_needs_a_restart(s):
    conf = Configured(s, "a", dir=s.dir)
    conf.wait_names("a")
    conf.write("a", dir=s.root, quiet=True)
    event = conf.reload()
    check(event["needs_restart"] == ["dir", "quiet"] and event["same"] == 1, "%s", event)
    check('"dir" differs in the configuration: that takes a restart' in conf.program.err, "%s", conf.program.err)
    check(conf.names() == ["a"], "%s", conf.names())
    conf.program.stop()


def test_cameras(s):
    """Their connections are theirs: one that is not touched keeps it; one that answers nothing can be removed."""
    film = camera.film(s)
    good = camera.Camera(s, camera.Plan(film))
    silent = camera.Camera(s, camera.Plan(film, answers={"DESCRIBE": 0}))
    streams = [{"input": cam.url, "name": name, "timeout": harness.LIMIT}
               for cam, name in ((good, "good"), (silent, "silent"))]
    conf = Configured(s, *streams)
    conf.wait_event("start", "good")
    silent.wait_for("DESCRIBE")
    check(conf.names() == ["good", "silent"], "%s", conf.names())  # it has its name before it says a word
    conf.write(streams[0], other("silent"))
    check(conf.counts() == (0, 0, 1, 1), "%s", conf.events())
    conf.wait_event("start", "silent")
    conf.wait_names("good", "silent")
    check(good.count("PLAY") == 1, "asked %d times", good.count("PLAY"))
    conf.write(other("silent"))
    check(conf.counts() == (0, 1, 0, 1), "%s", conf.events())
    conf.wait_names("silent")
    good.wait_for("TEARDOWN")
    conf.program.stop()


def test_password_file(s):
    """What the file says is an option, too."""
    cam = camera.Camera(s, camera.Plan(camera.film(s), logins=("digest",), password="later"))
    path = s.path("password")
    write_secret(path, "before")
    stream = {"input": cam.url, "name": "cam", "user": "admin", "password-file": path}
    conf = Configured(s, "a", stream)
    conf.wait_event("refused", "cam")
    write_secret(path, "later")
    check(conf.counts() == (0, 0, 1, 1), "%s", conf.events())
    conf.wait_event("start", "cam")
    conf.wait_names("a", "cam")
    check(conf.counts() == (0, 0, 0, 2), "%s", conf.events())
    conf.program.stop()


def write_secret(path, text):
    with open(path, "w") as file:
        os.chmod(path, 0o600)
        file.write(text)


def test_what_has_failed_is_tried_again(s):
    path = s.path("film.mp4")
    conf = Configured(s, "a", {"input": path, "name": "film", "loop": True, "realtime": True})
    conf.wait_event("end", "film")
    shutil.copyfile(harness.CLIP, path)
    check(conf.counts() == (0, 0, 1, 1), "%s", conf.events())
    conf.wait_names("a", "film")
    conf.program.stop()


def test_many_in_a_row(s):
    """Signals may fall together; what the last file says is what comes."""
    conf = Configured(s, "stays", "a")
    conf.wait_names("stays", "a")
    reader = s.start("verify", "stays", "--mode", "ordered", "--json")
    s.until(lambda: s.json("info", "stays", "--json")["subscriber_list"], "a reader")
    for round_ in range(30):
        conf.write("stays", *[other(name, input="test:%dx64@50" % (64 + 2 * round_)) for name in "abc"[:round_ % 4]])
        conf.program.send(signal.SIGHUP)
    conf.write("stays", other("a", input="test:320x64@50"), "d")
    conf.program.send(signal.SIGHUP)
    conf.wait_names("stays", "a", "d")
    s.until(lambda: s.json("info", "a", "--json").get("width") == 320, "the last size")
    result = json.loads(reader.stop().out)
    check(result["missing"] == result["epochs"] == 0 and result["frames"] > 0, "%s", result)
    conf.program.stop()


def test_without_a_file_it_is_the_end(s):
    """In order, as by SIGTERM: nothing is left behind."""
    s.publish(PICTURE, "a").stop(signal.SIGHUP, OK)


def test_exit_code(s):
    """Of what is configured at the end: a stream that failed and was removed does not count."""
    conf = Configured(s, "a", {"input": s.path("missing.mp4"), "name": "film"})
    conf.wait_event("end", "film")
    conf.wait_names("a")
    conf.write("a")
    check(conf.counts() == (0, 1, 0, 1), "%s", conf.events())
    conf.program.stop(signal.SIGINT, OK)
    conf = Configured(s, "a", {"input": s.path("missing.mp4"), "name": "film"})
    conf.wait_event("end", "film")
    conf.program.stop(signal.SIGINT, FAILED)


def test_none_at_the_start(s):
    """A service begins before it knows its first stream."""
    publisher = Configured(s)
    s.until(lambda: handles(publisher.program.pid, signal.SIGHUP), "it reads its file anew at SIGHUP")
    check(publisher.names() == [], "streams of nothing: %s", publisher.names())
    publisher.write("a")
    check(publisher.counts() == (1, 0, 0, 0), "the first one was not added")
    s.wait_stream("a", publisher.program)
    publisher.program.stop()


if __name__ == "__main__":
    harness.main(globals())
