#!/usr/bin/env python3
"""test_trouble.py - without a control plane, cut off from it, and with anything in its buckets."""
import base64
import os
import signal
import socket

import fleet
import harness
from harness import check, pace

LOGIN = {"name": "login", "input": "test:64x48@25", "fleet": {"exclusive": True}}


def test_no_control_plane(s):
    """Every stream goes on, but for what may not run twice; who comes back finds all as it was."""
    f = fleet.Fleet(s)
    f.put("a", "b", LOGIN)
    first = {}
    for name in ("n1", "n2"):
        f.node(name, "--cameras", 3, "--balance", 0)
    first = f.until_live(a="n1 n2", b="n1 n2", login="n1 n2")
    has = {name: f.nodes[first[name]["node"]] for name in first}
    f.end_server()
    for node in {has["a"], has["b"]}:
        node.wait_said("go on unconfirmed")
    s.until(lambda: "login" not in has["login"].live(), "what is exclusive rests")
    has["a"].goes_on("a")
    has["b"].goes_on("b")
    f.begin_server()
    seen = f.until_live(a="n1 n2", b="n1 n2")
    check(all(seen[name]["epoch"] >= first[name]["epoch"] for name in ("a", "b")), "epochs %s, then %s", first, seen)
    pace(all(seen[name]["node"] == first[name]["node"] for name in ("a", "b")), "moved: %s, then %s", first, seen)
    f.until_live(login="n1 n2")
    f.end()


def test_cut_off(s):
    """Both sides go on; the one that comes back sees the higher epoch and ends, without a restart."""
    f = fleet.Fleet(s)
    f.put("a")
    n1 = f.node("n1")
    first = f.until_live(a="n1")
    f.node("n2")
    n1.agent.suspend()
    seen = f.until_live(a="n2")
    check(seen["a"]["epoch"] > first["a"]["epoch"], "epochs %s, then %s", first, seen)
    n1.goes_on("a")
    n1.agent.resume()
    s.until(lambda: n1.live() == [], "n1 ends it")
    check("above" in n1.said(), "n1 says nothing of the epoch: %s", n1.said())
    f.nodes["n2"].goes_on("a")
    f.end()


def test_without_a_server_at_the_start(s):
    """A machine that comes up alone runs what it had."""
    f = fleet.Fleet(s)
    f.put("a", LOGIN)
    n1 = f.node("n1")
    f.until_live(a="n1", login="n1")
    n1.agent.kill()
    n1.kill_publisher()
    f.end_server()
    n1.begin()
    s.until(lambda: n1.live() == ["a"], "a goes on")
    f.begin_server()
    f.until_live(a="n1", login="n1")
    f.end()


def put_raw(f, bucket, key, value):
    """What any client may write; the library of the agent is not asked."""
    link = socket.create_connection(("127.0.0.1", f.port))
    lines = link.makefile("rb")
    lines.readline()
    link.sendall(b'CONNECT {"verbose":false}\r\nSUB _INBOX.t 1\r\n')
    subject = b"$KV.cuframes_%s.%s" % (bucket.encode(), key.encode())
    link.sendall(b"PUB %s _INBOX.t %d\r\n" % (subject, len(value)) + value + b"\r\n")
    head = lines.readline()
    while head and not head.startswith(b"MSG"):  # it may ask who is there
        head = lines.readline()
    answer = lines.readline()
    check(b'"seq"' in answer, "%s: %r %r", key, head, answer)
    link.close()


def test_anything_in_the_buckets(s):
    """A camera that cannot be is reported, and the others run."""
    f = fleet.Fleet(s)
    f.put("good")
    n1 = f.node("n1")
    f.until_live(good="n1")
    stream = b'{"input":"test:64x48@25"'
    bad = {"text": b"no JSON", "empty": b"", "list": b"[]", "deep": b"[" * 100000,
           "huge": b'{"input":"' + b"x" * 200000 + b'"}', "a_b/c": stream + b"}", "-x": stream + b"}",
           "n" * 100: stream + b"}", "unknown": stream + b',"bogus":1}',
           "zero": b'{"input":"test:64x48@25\\u0000"}', "file": b'{"input":"/etc/passwd"}',
           "twice": stream + b',"input":"x"}',
           "number": b'{"input":7}', "named": stream + b',"name":"good"}', "wrong": stream + b',"slots":"many"}',
           "size": b'{"input":"test:0x0@0"}', "labels": stream + b',"fleet":{"labels":[1]}}', "bytes": os.urandom(500)}
    for key, value in bad.items():
        put_raw(f, "cameras", key, value)
    put_raw(f, "nodes", "n9", b"no JSON")
    put_raw(f, "nodes", "n8", b'{"node":"n8","cameras":-1,"cameras_max":1e30,"moves":{"good":"n1"},"labels":{}}')
    put_raw(f, "leases", "stray", b"\xff" * 1000)
    f.put("good", "more")
    f.until_live(good="n1", more="n1")
    s.until(lambda: all(f.status()[key]["problem"] not in (None, "has no place") for key in bad), "each is reported")
    check(all(byte in "\n" or " " <= byte <= "~" for byte in n1.said()), "the log has what a terminal obeys")
    n1.goes_on("good")
    put_raw(f, "cameras", "wrong", stream + b"}")
    f.until_live(wrong="n1")
    f.end()


def test_a_lease_of_somebody_else(s):
    """A lease that nobody can read is somebody's: it is waited for, and then claimed."""
    f = fleet.Fleet(s)
    f.put("a")
    f.run("status", code=harness.NOT_LIVE)
    put_raw(f, "leases", "a", base64.b64encode(os.urandom(30)))
    f.node("n1")
    f.until_live(a="n1")
    f.nodes["n1"].agent.send(signal.SIGTERM)
    f.end()


if __name__ == "__main__":
    harness.main(globals())
