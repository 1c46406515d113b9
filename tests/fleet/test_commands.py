#!/usr/bin/env python3
"""test_commands.py - cuframes-agent's put, get, rm and status, and what it says of options, files and servers that
cannot be."""
import json

import fleet
import harness
from harness import FAILED, NOT_LIVE, NO_STREAM, USAGE, check


def agent(s, *arguments, **env):
    return s.start_program(fleet.agent_program(), *arguments, env=env).wait()


def test_options(s):
    for arguments in ([], ["bogus"], ["run", "--bogus"], ["run", "--ttl"], ["run", "--ttl", "0"], ["put"], ["rm"],
                      ["get", "a", "b"], ["status", "x"], ["run", "--node", "a b"], ["status", "--fleet", "a.b"],
                      ["status", "--key", "x"], ["run", "--cameras", "x"], ["run", "more"]):
        done = agent(s, *arguments)
        check(done.code == USAGE and done.err.startswith("cuframes-agent: "), "%s: %r", arguments, done)
    done = agent(s, "--help")
    check(done.code == 0 and done.out.startswith("usage: ") and not done.err, "--help: %r", done)
    check(agent(s, "--version").out.split()[1] == s.run("version").out.split()[1], "another version")


def test_no_server(s):
    done = agent(s, "status", NATS_URL="nats://somebody:secret@127.0.0.1:1")
    check(done.code == FAILED and "127.0.0.1:1" in done.err, "no server: %r", done)
    check("secret" not in done.err, "the password is shown: %r", done)


def test_cameras(s):
    f = fleet.Fleet(s)
    cameras = [{"name": "door", "input": "rtsp://camera.example/1", "password": "p", "fleet": {"labels": ["site-a"]}},
               {"name": "yard.back", "input": "test:64x48@25", "fleet": {"exclusive": True}}]
    done = f.put(*cameras)
    check(done.out == "2 cameras, 2 of them new or changed\n", "put: %r", done)
    done = f.put(*cameras)
    check(done.out == "2 cameras, 0 of them new or changed\n", "put again: %r", done)
    got = json.loads(f.run("get").out)["streams"]
    check(got == cameras, "get: %s", got)
    check(json.loads(f.run("get", "door").out)["streams"] == cameras[:1], "get door")
    f.run("get", "nobody", code=NO_STREAM)
    f.run("rm", "nobody", code=NO_STREAM)
    done = f.run("status", code=NOT_LIVE)
    check(done.out.count("has no place") == 2, "status: %s", done.out)
    f.run("rm", "door", "yard.back")
    check(json.loads(f.run("get").out) == {"streams": []}, "something is left")
    f.run("status")
    f.end()


def test_files_that_cannot_be(s):
    f = fleet.Fleet(s)
    good = {"name": "good", "input": "test:64x48@25"}
    for camera, word in (({"name": "a..b", "input": "test:64x48@25"}, "name of a stream"), ({"name": "x"}, "input"),
                         ({"name": "x", "input": "/etc/passwd"}, "no address"), (good, "two streams"),
                         ({"name": "x", "input": "rtsp://c/", "password-file": "/etc/shadow"}, "password-file"),
                         ({"name": "x", "input": "rtsp://c/", "fleet": {"label": []}}, "label"),
                         ({"name": "x", "input": "rtsp://c/" + "x" * 20000}, "bytes"),
                         ({"input": "rtsp://c/"}, "name")):
        done = f.put(good, camera, code=USAGE)
        check(word in done.err, "%s: %s", str(camera)[:80], done.err)
    check(json.loads(f.run("get").out) == {"streams": []}, "a file that is wrong changed something")
    path = s.path("no.json")
    f.run("put", path, code=FAILED)
    with open(path, "w") as file:
        file.write("{")
    f.run("put", path, code=USAGE)
    f.put({"name": "film", "input": "/film.mp4"}, code=USAGE)
    f.run("put", s.path("cameras.json"), "--trust-cameras")
    f.end()


if __name__ == "__main__":
    harness.main(globals())
