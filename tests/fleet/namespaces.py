#!/usr/bin/env python3
"""namespaces.py - three machines, each a network namespace with a nats-server of a cluster, an agent and publishers of
12 test pictures: a node is killed with its server, a node is cut off, all servers are away for 60 s. Prints how long
each took, and ends with 1 if a camera was lost, went back in its epoch, or ran twice in the end. Needs root; `make
fleet-test` runs it."""
import json
import os
import shutil
import signal
import subprocess
import time

import fleet
import harness
from harness import check

NODES, CAMERAS, TTL = ("n1", "n2", "n3"), ["cam%02d" % i for i in range(12)], 12
CONFIG = """server_name: %s
listen: 0.0.0.0:4222
jetstream { store_dir: %s }
cluster {
  name: fleet, listen: 0.0.0.0:6222
  routes: [nats://10.77.7.1:6222, nats://10.77.7.2:6222, nats://10.77.7.3:6222]
}
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Machine:
    def __init__(self, s, number):
        self.s, self.name, self.space = s, "n%d" % number, "cuframes-%d-%d" % (os.getpid(), number)
        self.link, self.bridge = "cfl%d" % number, "cfl0"
        self.dir, self.state = s.path("run-" + self.name), s.path("state-" + self.name)
        os.mkdir(self.dir, 0o700)
        ip("netns", "add", self.space)
        s.at_end(ip, "netns", "del", self.space)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        ip("link", "set", self.link, "master", self.bridge, "up")
        ip("-n", self.space, "addr", "add", "10.77.7.%d/24" % number, "dev", "eth0")
        ip("-n", self.space, "link", "set", "eth0", "up")
        ip("-n", self.space, "link", "set", "lo", "up")
        with open(s.path(self.name + ".conf"), "w") as file:
            file.write(CONFIG % (self.name, s.path("js-" + self.name)))
        self.begin_server()

    def start(self, *words):
        log = self.s.path(self.name + ".log")
        return self.s.start_program("ip", "netns", "exec", self.space, "sh", "-c", 'exec "$@" >> "$0" 2>&1', log,
                                    *words)

    def begin_server(self):
        self.server = self.start("nats-server", "-c", self.s.path(self.name + ".conf"))

    def begin_agent(self):
        self.agent = self.start(fleet.agent_program(), "run", "--node", self.name, "--dir", self.dir,
                                "--state", self.state, "--publisher", harness.program(), "--cameras", "12",
                                "--balance", "0", "--nats",
                                "nats://10.77.7.1:4222,nats://10.77.7.2:4222,nats://10.77.7.3:4222")

    def publisher(self):
        return fleet.Node.publisher(self)

    def has_ended(self):
        return fleet.Node.has_ended(self)

    def reap(self):
        fleet.Node.reap(self)

    def live(self):
        streams = self.s.json("list", "--json", "--dir", self.dir)
        return [stream["name"] for stream in streams if stream["state"] == "live"]

    def frames(self):
        return {stream["name"]: stream["frames"] for stream in self.s.json("list", "--json", "--dir", self.dir)}

    def command(self, *words):
        done = self.start_command(words)
        return done.out if done.code in (0, 5) else ""

    def start_command(self, words):
        return self.s.start_program("ip", "netns", "exec", self.space, fleet.agent_program(), *words, "--nats",
                                    "nats://10.77.7.%s:4222" % self.name[1:]).wait()

    def status(self):
        out = self.command("status", "--json")
        return {camera["name"]: camera for camera in json.loads(out)["cameras"]} if out else {}


def owners(machines):
    seen = {}
    for machine in machines:
        for name in machine.live():
            seen.setdefault(name, []).append(machine.name)
    return seen


def until(s, what, condition):
    began = time.monotonic()
    s.until(condition, what, every=0.2)
    took = time.monotonic() - began
    print("%-75s %5.1f s" % (what, took), flush=True)
    return took


def once_each(machines):
    seen = owners(machines)
    return sorted(seen) == CAMERAS and all(len(nodes) == 1 for nodes in seen.values())


def test_three_machines(s):
    for program in ("ip", "nats-server"):
        harness.need_program(program)
    if os.geteuid() != 0:
        harness.skip("needs root, for network namespaces")
    ip("link", "add", "cfl0", "type", "bridge")
    s.at_end(ip, "link", "del", "cfl0")
    ip("link", "set", "cfl0", "up")
    one, two, three = machines = [Machine(s, number) for number in (1, 2, 3)]
    with open(s.path("cameras.json"), "w") as file:
        json.dump({"streams": [{"name": name, "input": "test:64x48@25"} for name in CAMERAS]}, file)
    s.until(lambda: "cameras" in one.command("put", s.path("cameras.json")), "the cluster takes cameras")
    for machine in machines:
        machine.begin_agent()
    until(s, "three nodes begin: each camera is live on one", lambda: once_each(machines))
    before, lost = two.status(), three.live()
    steady = {**one.frames(), **two.frames()}
    three.agent.kill()
    os.kill(three.publisher(), signal.SIGKILL)
    three.server.kill()
    s.until(three.has_ended, "its publisher ends")
    for name in os.listdir(three.dir):
        os.unlink(os.path.join(three.dir, name))
    took = until(s, "a node killed with its server: its %d cameras are live elsewhere" % len(lost),
                 lambda: once_each([one, two]))
    harness.pace(took < TTL + 3, "took %.1f s", took)
    after = two.status()
    check(all(after[name]["epoch"] > before[name]["epoch"] for name in lost), "epochs %s, then %s", before, after)
    check(all(after[name]["epoch"] == before[name]["epoch"] for name in steady), "others lost leases: %s", after)
    shutil.rmtree(three.state)
    three.begin_server()
    three.begin_agent()
    s.until(lambda: '"n3"' in two.command("status", "--json"), "it is back")
    has = one.live()
    check(has, "n1 has no camera")
    ip("link", "set", one.link, "down")
    until(s, "a node cut off: its %d cameras are live on the other side, too" % len(has),
          lambda: set(has) <= set(owners([two, three])))
    check(set(one.live()) >= set(has), "the side that is cut off has ended something")
    ip("link", "set", one.link, "up")
    until(s, "it is back: each camera is live on one again", lambda: once_each(machines))
    before, frames = two.status(), [machine.frames() for machine in machines]
    for machine in machines:
        machine.server.stop(signal.SIGTERM, None)
    time.sleep(60)
    check(once_each(machines), "without servers: %s", owners(machines))
    for old, machine in zip(frames, machines):
        now = machine.frames()
        check(all(now[name] - old[name] > 60 * 20 for name in old), "a gap: %s, then %s", old, now)
    print("all servers away for 60 s: each camera goes on where it was")
    for machine in machines:
        machine.begin_server()
    until(s, "they are back: each camera has a lease again", lambda: all(
        camera["node"] for camera in two.status().values() or [{"node": None}]))
    after = two.status()
    check(all(after[name]["node"] == before[name]["node"] for name in CAMERAS), "moved: %s, then %s", before, after)
    check(all(after[name]["epoch"] >= before[name]["epoch"] for name in CAMERAS), "epochs %s, then %s", before, after)
    for machine in machines:
        machine.agent.send(signal.SIGTERM)
    for machine in machines:
        machine.agent.wait()
        s.until(machine.has_ended, "its publisher ends")
    for machine in machines:
        machine.server.stop(signal.SIGTERM, None)


if __name__ == "__main__":
    harness.main(globals())
