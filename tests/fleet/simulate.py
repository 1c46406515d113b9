#!/usr/bin/env python3
"""simulate.py [CAMERAS [NODES [DEAD]]] - real agents and a real NATS server, with publishers that only listen: 1000
cameras on 20 nodes, of which 3 are killed. Prints how long it took until each camera had a place, claims in a second,
and what the server took in and gave out; ends with 1 if a camera runs twice or has no place in the end. `make
fleet-test` runs it."""
import json
import os
import re
import sys
import time
import urllib.request

import fleet
import harness
from harness import check

PUBLISHER = '''#!/usr/bin/env python3
import json, signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: print(json.dumps({"event": "reloaded"}), flush=True))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    signal.pause()
'''
CAMERAS, NODES, DEAD = [int(word) for word in sys.argv[1:]] + [1000, 20, 3][len(sys.argv) - 1:]


def server_numbers(port):
    with urllib.request.urlopen("http://127.0.0.1:%d/varz" % port) as answer:
        seen = json.load(answer)
    return {key: seen[key] for key in ("in_msgs", "out_msgs", "in_bytes", "out_bytes", "mem", "cpu")}


def homes(f):
    """camera -> the nodes whose publishers have been told to run it."""
    found = {}
    for node in f.nodes.values():
        if not node.agent.alive():
            continue
        try:
            with open(os.path.join(node.state, "publish.json")) as file:
                streams = json.load(file)["streams"]
        except (OSError, ValueError):
            continue
        for stream in streams:
            found.setdefault(stream["name"], []).append(node.name)
    return found


def converge(s, f, what):
    began = time.monotonic()
    s.until(lambda: len(homes(f)) == CAMERAS and all(len(nodes) == 1 for nodes in homes(f).values()), what, every=0.25)
    return time.monotonic() - began


def main(s):
    fleet.TTL = 12
    f = fleet.Fleet(s)
    with open(s.path("nats.log")) as file:
        monitor = re.search(r"http monitor on .*:(\d+)", file.read())
    fake = s.path("publisher")
    with open(fake, "w") as file:
        file.write(PUBLISHER)
    os.chmod(fake, 0o755)
    f.put(*["cam%04d" % i for i in range(CAMERAS)])
    most = CAMERAS // (NODES - DEAD) + 10
    for i in range(NODES):
        f.node("node%02d" % i, "--cameras", most, "--publisher", fake)
    first = converge(s, f, "each camera has a place")
    counts = sorted(sum(name in nodes for nodes in homes(f).values()) for name in f.nodes)
    print("%d cameras on %d nodes have places after %.1f s (%.0f claims a second); %d to %d on a node"
          % (CAMERAS, NODES, first, CAMERAS / first, counts[0], counts[-1]), flush=True)
    if monitor:
        before = server_numbers(int(monitor[1]))
        time.sleep(24)
        after = server_numbers(int(monitor[1]))
        print("at rest, a second: %.0f messages in, %.0f out, %.0f kB in, %.0f kB out; %d MB, %.0f %% of a processor"
              % (*[(after[key] - before[key]) / 24 / scale for key, scale in
                   (("in_msgs", 1), ("out_msgs", 1), ("in_bytes", 1000), ("out_bytes", 1000))],
                 after["mem"] / 1e6, after["cpu"]), flush=True)
    for i in range(DEAD):
        node = f.nodes["node%02d" % i]
        node.agent.kill()
        node.kill_publisher()
    print("%d nodes killed: each camera has a place again after %.1f s" % (DEAD, converge(s, f, "again")), flush=True)
    check(max(map(len, homes(f).values())) == 1, "a camera runs twice")
    f.end()


if __name__ == "__main__":
    sys.argv[1:] = []
    harness.main({"test_simulation": main})
