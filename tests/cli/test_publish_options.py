#!/usr/bin/env python3
"""test_publish_options.py - the command line and configuration file of `publish`: every option is known, belongs to
the right stream, and a wrong one is refused before anything is opened."""
import os
import re
import stat

import harness
from harness import FAILED, OK, USAGE, check, pace


def events(result):
    """The JSON lines on stdout; there must be nothing else."""
    return [harness.parse_json(line, "a line of stdout") for line in result.out.splitlines()]


def ends(result):
    return {event["stream"]: event for event in events(result) if event["event"] == "end"}


def config(s, text):
    path = s.path("streams.json")
    with open(path, "w") as file:
        file.write(text)
    return path


def test_help_tells_every_option(s):
    result = s.run("publish", "--help")
    check(result.code == OK and not result.err, "says %s", result)
    for name in ("name", "device", "format", "loop", "realtime", "slots", "max-slots", "policy", "ordered-timeout",
                 "group", "mode", "allow-uid", "allow-gid", "no-packets", "packet-slots", "packet-bytes",
                 "rtsp-transport", "timeout", "reconnect", "no-reconnect", "duration", "dir", "json", "quiet",
                 "config"):
        check(re.search(r"--%s\b" % name, result.out), "no --%s in the help", name)


def test_wrong_values(s):
    for option, value in (("slots", "1"), ("slots", "1025"), ("max-slots", "many"), ("policy", "sometimes"),
                          ("ordered-timeout", "0"), ("group", "no-such-group"), ("mode", "9"), ("mode", "07777"),
                          ("allow-uid", "no-such-user"), ("allow-gid", "-1"), ("packet-slots", "1"),
                          ("packet-bytes", "10"), ("packet-bytes", "5G"), ("packet-bytes", "16X"),
                          ("rtsp-transport", "pigeon"), ("timeout", "0"), ("format", "nv13"), ("duration", "nan"),
                          ("config", s.path("missing.json"))):
        result = s.run("publish", "test:64x64@25", "--name", "cam", "--" + option, value)
        check(result.code == (FAILED if option == "config" else USAGE), "--%s %s gives %s", option, value, result)
        check(value in result.err, "--%s %s: the message does not say it: %s", option, value, result.err)


def test_streams_that_cannot_be(s):
    for args, word in (((), "no INPUT"), (("test:64x64@25",), "--name"), (("--name", "cam"), "no INPUT"),
                       (("test:64x64@9", "--name", "cam", "test:64x64@9", "--name", "cam"), "two streams"),
                       (("x", "--name", "cam", "--reconnect", "--no-reconnect"), "exclude")):
        result = s.run("publish", *args)
        check(result.code == USAGE and word in result.err, "%s gives %s", args, result)


def test_options_belong_to_their_input(s):
    """Before the first input they hold for all, behind an input for it alone."""
    s.start("publish", "--format", "gray8", "test:64x48@50", "--name", "a", "test:66x48@50", "--name", "b",
            "--format", "rgba", "test:68x48@50", "--name", "c")
    seen = {name: s.wait_stream(name)["format"] for name in "abc"}
    check(seen == {"a": "gray8", "b": "rgba", "c": "gray8"}, "formats %s", seen)


def complaints(result):
    """What --quiet leaves, but that the machine is slow."""
    return [line for line in result.err.splitlines() if "cannot keep the pace" not in line]


def test_config_file(s):
    text = """{%s "json": true, "quiet": true, "streams": [
        {"input": "test:64x48@50", "name": "a", "mode": "0600", "allow-uid": [0, "%d"], "slots": 9},
        {"input": "%s", "name": "b", "loop": true, "realtime": true, "packet-slots": 64, "no-packets": false}]}"""
    path = config(s, text % ("", os.getuid(), harness.CLIP))
    pub = s.start("publish", "--config", path, "test:70x48@50", "--name", "c")
    for name in "abc":
        s.wait_stream(name)
    mode = stat.S_IMODE(os.stat(os.path.join(s.dir, "a.sock")).st_mode)
    check(mode == 0o600, "the socket's mode is %o", mode)
    info = s.json("info", "b", "--json")
    check(info["packet_slots"] == 64, "info says %s", info)
    result = pub.stop()
    check(set(ends(result)) == {"a", "b", "c"} and not complaints(result), "said %s", result)
    path = config(s, text % ('"duration": 0.3,', os.getuid(), harness.CLIP))
    result = s.start("publish", "--config", path).expect(OK)
    check(set(ends(result)) == {"a", "b"} and not complaints(result), "said %s", result)


def test_bad_config(s):
    for text, word in (("", "streams.json"), ("{", "streams.json:1"), ("[]", "streams"), ("{}", "streams"),
                       ('{"streams": [5]}', "stream 1"), ('{"streams": [{"name": "a"}]}', "input"),
                       ('{"streams": [{"input": 5, "name": "a"}]}', "input"),
                       ('{"streams": [{"input": "x"}]}', "--name"),
                       ('{"streams": [{"input": "x", "name": "a", "speed": 5}]}', "speed"),
                       ('{"streams": [{"input": "x", "name": "a", "loop": "yes"}]}', "loop"),
                       ('{"streams": [{"input": "x", "name": "a", "slots": true}]}', "slots"),
                       ('{"streams": [{"input": "x", "name": "a", "slots": 5000}]}', "slots"),
                       ('{"streams": [{"input": "x", "name": "a", "config": "y"}]}', "config"),
                       ('{"streams": [], "loop": true}', "loop")):
        result = s.run("publish", "--config", config(s, text))
        check(result.code == USAGE and word in result.err, "%s gives %s", text, result)
    os.mkdir(s.path("directory.json"))
    check(s.run("publish", "--config", s.path("directory.json")).code == USAGE, "a directory is no file that may come")


def test_duration_and_json(s):
    result = s.run("publish", "test:64x48@100", "--name", "cam", "--duration", "0.5", "--json")
    lines = events(result)
    check(result.code == OK and [line["event"] for line in lines] == ["start", "live", "end"], "said %s", result)
    check(lines[0]["width"] == 64 and lines[0]["format"] == "nv12" and 1 <= lines[2]["frames"] <= 51, "said %s", lines)
    pace(lines[2]["frames"] >= 30, "said %s", lines)


def test_quiet(s):
    result = s.run("publish", "test:64x48@100", "--name", "cam", "--duration", "0.3", "--quiet")
    check(result.code == OK and not result.out and not complaints(result), "said %s", result)


def test_one_fails_the_others_go_on(s):
    pub = s.start("publish", "test:64x48@50", "--name", "a", s.path("missing.mp4"), "--name", "b")
    pub.wait_for("missing.mp4")
    s.wait_stream("a")
    pub.stop(code=FAILED)


def test_password_is_not_shown(s):
    pub = s.start("publish", "rtsp://admin:secret@127.0.0.1:1/x?secret2", "--name", "cam", "--json")
    pub.wait_for("refused")
    result = pub.stop()
    check("admin" in result.err and "secret@" not in result.err + result.out, "said %s", result)


def test_sockets_for_some_users(s):
    harness.need_user(54321)
    os.chmod(s.dir, 0o755)
    s.publish("test:64x48@50", "cam", "--mode", "0666", "--allow-uid", "54321", "--allow-gid", "54322")
    for user, code in ((54321, OK), (54322, OK), (54323, FAILED)):
        result = s.run("verify", "cam", "--frames", "1", "--json", user=user)
        check(result.code == code, "user %s gets %s", user, result)


def test_an_empty_list_is_a_list(s):
    harness.need_user(54321)
    os.chmod(s.dir, 0o755)
    path = config(s, """{"streams": [
        {"input": "test:64x48@50", "name": "cam", "mode": "0666", "allow-uid": []}]}""")
    s.start("publish", "--config", path)
    s.wait_stream("cam")
    check(s.run("verify", "cam", "--frames", "1", "--json", user=54321).code == FAILED, "anybody may join")
    check(s.run("verify", "cam", "--frames", "1", "--json").code == OK, "the publisher's user may not")
    path = config(s, '{"streams": [{"input": "test:64x48@50", "name": "a", "allow-pid": []}]}')
    result = s.run("publish", "--config", path)
    check(result.code == USAGE and "allow-pid" in result.err, "%r", result)


def test_waits_for_subscribers(s):
    """It begins when they are there, and not before; the signal ends the wait as well."""
    publisher = s.start("publish", "test:64x48@100", "--name", "cam", "--wait-for", "2")
    publisher.wait_for("waiting for 2 subscribers")
    first = s.start("verify", "cam", "--mode", "ordered", "--frames", "30", "--json")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 1, "the first one joins")
    check(s.json("info", "cam", "--json")["frames"] == 0, "it began too early")
    second = s.start("verify", "cam", "--mode", "ordered", "--frames", "30", "--json")
    for reader in (first, second):
        check(reader.json()["frames"] == 30)
    publisher.stop()
    waiting = s.start("publish", "test:64x48@100", "--name", "cam", "--wait-for", "1")
    waiting.wait_for("waiting for 1 subscriber")
    waiting.stop()


if __name__ == "__main__":
    harness.main(globals())
