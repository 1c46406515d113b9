"""fleet.py - what the tests of cuframes-agent share: a NATS server on loopback, and nodes of this machine, each with a
directory of its own."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from harness import OK, check  # noqa: E402  pylint: disable=wrong-import-position

TTL = 3
SERVER = "log=$1; shift; exec nats-server -js -a 127.0.0.1 -m -1 \"$@\" > \"$log\" 2>&1"
RUN = "exec \"$@\" 2>> \"$LOG\""  # what it starts outlives it, and would hold its stderr


def agent_program():
    return harness.need_built("cuframes-agent")


class Node:
    """An agent and its directory."""

    def __init__(self, fleet, name, *options):
        self.fleet, self.s, self.name = fleet, fleet.s, name
        self.dir, self.state, self.log = (self.s.path(kind + "-" + name) for kind in ("run", "state", "log"))
        self.options = options
        os.mkdir(self.dir, 0o700)
        self.begin()

    def begin(self):
        self.agent = self.s.start_program(
            "sh", "-c", RUN, "sh", agent_program(), "run", "--node", self.name, "--dir", self.dir,
            "--state", self.state, "--publisher", harness.program(), "--ttl", TTL, *self.options,
            env=dict(self.fleet.env, LOG=self.log),
            name="agent " + self.name)

    def said(self):
        with open(self.log) as file:
            return file.read()

    def wait_said(self, text, times=1):
        self.s.until(lambda: os.path.exists(self.log) and self.said().count(text) >= times,
                     "%s says '%s'" % (self.name, text))

    def publisher(self):
        """Its process, or None."""
        try:
            with open(os.path.join(self.state, "publish.lock")) as file:
                pid = int(file.read())
            with open("/proc/%d/stat" % pid) as file:
                return None if file.read().rpartition(")")[2].split()[0] == "Z" else pid
        except (OSError, ValueError):
            return None

    def kill_publisher(self):
        """Of an agent that is dead: its child is ours then."""
        pid = self.publisher()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def has_ended(self):
        """Its publisher; one that an agent left is our child, and to be waited for."""
        pid = self.publisher()
        if pid is None:
            self.reap()
        return pid is None

    def reap(self):
        try:
            with open(os.path.join(self.state, "publish.lock")) as file:
                os.waitpid(int(file.read()), os.WNOHANG)
        except (OSError, ValueError):  # it was no child of ours, or there was none
            pass

    def live(self):
        """The names of its streams that give pictures now."""
        streams = self.s.json("list", "--json", "--dir", self.dir)
        return sorted(stream["name"] for stream in streams if stream.get("state") == "live")

    def frames(self, name):
        return self.s.json("info", name, "--json", "--dir", self.dir)["frames"]

    def goes_on(self, name):
        """Waits for more pictures."""
        before = self.frames(name)
        self.s.until(lambda: self.frames(name) > before, "%s goes on at %s" % (name, self.name))


class Fleet:
    def __init__(self, s, *options):
        """options: of the server."""
        self.s, self.nodes, self.port, self.runs, self.options = s, {}, -1, 0, options
        agent_program()
        harness.need_program("nats-server")
        self.env = {}
        self.begin_server()

    def begin_server(self):
        """Anew with what it had, at the port that it had."""
        self.runs += 1
        ports = self.s.path("ports%d" % self.runs)
        os.mkdir(ports)
        self.server = self.s.start_program("sh", "-c", SERVER, "sh", self.s.path("nats.log"), "-sd",
                                           self.s.path("nats"), "-p", self.port, "--ports_file_dir", ports,
                                           *self.options,
                                           name="nats-server")
        found = self.s.until(lambda: [name for name in os.listdir(ports) if name.endswith(".ports")],
                             "nats-server begins")

        def port():
            with open(os.path.join(ports, found[0])) as file:
                text = file.read()
            return text and int(json.loads(text)["nats"][0].rsplit(":", 1)[1])

        self.port = self.s.until(port, "nats-server says where it is")
        self.env["NATS_URL"] = "nats://127.0.0.1:%d" % self.port

    def end_server(self):
        self.server.stop(signal.SIGTERM, None)

    def node(self, name, *options):
        self.nodes[name] = Node(self, name, *options)
        return self.nodes[name]

    def run(self, *arguments, code=OK, env=None):
        """A command of the agent, to its end."""
        return self.s.start_program(agent_program(), *arguments, "--ttl", TTL, env=dict(self.env, **(env or {})),
                                    name="agent " + arguments[0]).expect(code)

    def put(self, *cameras, **more):
        """Each is a name, or a stream as the file has it."""
        path = self.s.path("cameras.json")
        streams = [{"name": camera, "input": "test:64x48@25"} if isinstance(camera, str) else camera
                   for camera in cameras]
        with open(path, "w") as file:
            json.dump({"streams": streams}, file)
        return self.run("put", path, **more)

    def status(self, what="cameras", key="name"):
        """Of each camera, or node, what the buckets say; while there is no answer, nothing."""
        done = self.s.start_program(agent_program(), "status", "--json", env=self.env).wait()
        return {row[key]: row for row in json.loads(done.out)[what]} if done.code in (0, 5) else {}

    def until_live(self, **where):
        """Waits until each of these cameras is live at one of these nodes, "n1 n2", and gives what status says."""
        def look():
            seen = self.status()
            good = all(name in seen and seen[name]["state"] == "live" and seen[name]["node"] in nodes.split()
                       for name, nodes in where.items())
            return good and seen
        return self.s.until(look, "live: %s" % where)

    def end(self):
        """Each node ends as it is meant to, and its cameras with it."""
        for node in self.nodes.values():
            if node.agent.alive():
                node.agent.send(signal.SIGTERM)
        for node in self.nodes.values():
            if not node.agent.killed:
                node.agent.wait()
            self.s.until(node.has_ended, "the publisher of %s ends" % node.name)
        self.end_server()
