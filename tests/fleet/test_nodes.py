#!/usr/bin/env python3
"""test_nodes.py - nodes come, go, die and are taken up again, and each camera runs on one of them."""
import os
import signal

import fleet
import harness
from harness import check, pace

NAMES = ["cam%d" % i for i in range(6)]


def by_node(seen):
    return {node: sorted(name for name in seen if seen[name]["node"] == node) for node in ("n1", "n2", "n3")}


def pair(f):
    """Two nodes that share six cameras; neither has room for all of them."""
    f.put(*NAMES)
    for name in ("n1", "n2"):
        f.node(name, "--cameras", 5, "--balance", 0)
    return f.until_live(**{name: "n1 n2" for name in NAMES})


def test_kill_a_node(s):
    """The cameras of a node that dies run on another one; those of that one notice nothing."""
    f = fleet.Fleet(s)
    f.put(*NAMES)
    f.node("n1", "--balance", 0)
    first = f.until_live(**{name: "n1" for name in NAMES})
    f.node("n2", "--balance", 0)
    f.put(*NAMES, {"name": "other", "input": "test:64x48@25", "fleet": {"labels": ["b"]}})
    f.node("n3", "--cameras", 1, "--label", "b")
    f.until_live(other="n3")
    verify = s.start("verify", "other", "--dir", f.nodes["n3"].dir, "--json")
    f.nodes["n1"].agent.kill()
    f.nodes["n1"].kill_publisher()
    seen = f.until_live(**{name: "n2" for name in NAMES})
    check(all(seen[name]["epoch"] > first[name]["epoch"] for name in NAMES), "epochs %s, then %s", first, seen)
    check(f.nodes["n2"].live() == NAMES, "n2 has %s", f.nodes["n2"].live())
    result = verify.stop().out
    check(harness.parse_json(result)["epochs"] == 0, "the stream of another node began anew: %s", result)
    f.end()


def test_kill_an_agent(s):
    """Its publisher goes on, and the next agent with it, under the same epochs."""
    f = fleet.Fleet(s)
    f.put(*NAMES)
    node = f.node("n1")
    first = f.until_live(**{name: "n1" for name in NAMES})
    publisher = node.publisher()
    node.agent.kill()
    node.goes_on("cam0")
    node.begin()
    node.wait_said("goes on with it")
    f.put(*NAMES, "more")
    seen = f.until_live(more="n1", **{name: "n1" for name in NAMES})
    check(node.publisher() == publisher, "another publisher")
    pace(all(seen[name]["epoch"] == first[name]["epoch"] for name in NAMES), "epochs %s, then %s", first, seen)
    node.agent.stop(signal.SIGUSR1)
    check(node.publisher() == publisher, "SIGUSR1 ends the publisher, too")
    node.begin()
    node.wait_said("goes on with it", 2)
    f.end()


def test_one_node_ends(s):
    """In order: another node has its cameras before it ends, and nobody waits for a lease to run out."""
    f = fleet.Fleet(s)
    seen = pair(f)
    leaves = max(("n1", "n2"), key=lambda node: len(by_node(seen)[node]))
    stays = {"n1": "n2", "n2": "n1"}[leaves]
    f.node("n3")
    s.until(lambda: "n3" in f.status("nodes", "node"), "n3 is there")
    f.nodes[leaves].agent.stop(signal.SIGTERM)
    log = f.nodes[leaves].said()
    pace(all("camera %s: ends here" % name in log for name in by_node(seen)[leaves]), "not given away: %s", log)
    f.until_live(**{name: stays + " n3" for name in NAMES})
    f.end()


def test_cameras_come_and_go(s):
    f = fleet.Fleet(s)
    node = f.node("n1")
    f.put("a", "b")
    first = f.until_live(a="n1", b="n1")
    f.run("rm", "a")
    s.until(lambda: node.live() == ["b"], "a ends")
    f.put({"name": "b", "input": "test:80x48@25"})

    s.until(lambda: [stream for stream in s.json("list", "--json", "--dir", node.dir) if stream.get("width") == 80],
            "b is another picture")
    pace(f.until_live(b="n1")["b"]["epoch"] == first["b"]["epoch"], "a change of a camera is no new claim")
    f.end()


def test_balance(s):
    """A node that comes later gets its share, without a gap, and then nothing moves any more."""
    f = fleet.Fleet(s)
    f.put(*NAMES)
    f.node("n1", "--cameras", 6, "--balance", 0.2)
    f.until_live(**{name: "n1" for name in NAMES})
    f.node("n2", "--cameras", 6, "--balance", 0.2)
    s.until(lambda: len(f.nodes["n2"].live()) == 3, "n2 has three")
    f.until_live(**{name: "n1 n2" for name in NAMES})
    pace(f.nodes["n2"].said().count("offered to") == 0, "moved back: %s", f.nodes["n2"].said())
    f.end()


def test_labels_and_room(s):
    """What has no place is said; a full node makes room for what only it can have."""
    f = fleet.Fleet(s)
    f.put("a", "b", {"name": "gpu", "input": "test:64x48@25", "fleet": {"labels": ["gpu"]}})
    f.node("n1", "--cameras", 2, "--label", "gpu", "--label", "x")
    s.until(lambda: len(f.nodes["n1"].live()) == 2, "n1 is full")
    s.until(lambda: [c for c in f.status().values() if c["problem"] == "has no place"], "one has no place")
    f.node("n2", "--cameras", 2)
    f.until_live(a="n1 n2", b="n1 n2", gpu="n1")
    f.end()


def test_one_agent_for_a_directory(s):
    f = fleet.Fleet(s)
    node = f.node("n1")
    node.wait_said("node n1")
    done = s.start_program(fleet.agent_program(), "run", "--state", node.state, env=f.env).expect(harness.FAILED)
    check("another agent" in done.err, "%r", done)
    check(oct(os.stat(node.state).st_mode & 0o777) == "0o700", "others may read what has passwords")
    f.end()


if __name__ == "__main__":
    harness.main(globals())
