#!/usr/bin/env python3
"""test_containers.py - publisher and subscribers in PID, IPC, network, UTS and mount namespaces of their own: the
runtime directory is all that they share, each at /run/cuframes as by a bind mount."""
import os
import signal
import subprocess

import harness
from harness import check

UNSHARE = ["unshare", "--pid", "--ipc", "--net", "--uts", "--mount", "--fork", "--mount-proc", "--kill-child"]
# The shell is process 1 of the namespace and becomes the program.
ENTER = 'mount -t tmpfs run /run && mkdir /run/cuframes && mount --bind "$0" /run/cuframes && ' \
        'unset CUFRAMES_DIR && exec "$@"'


def contain(s, *args, name):
    """Starts the program in a container of its own, where it is process 1; its parent is outside."""
    harness.need_program("unshare")
    base = UNSHARE if os.geteuid() == 0 else UNSHARE + ["--map-root-user"]
    tried = subprocess.run(base + ["mount", "-t", "tmpfs", "run", "/run"], capture_output=True, text=True)
    if tried.returncode != 0:
        harness.skip("needs the right to make namespaces (CAP_SYS_ADMIN, or user namespaces): " + tried.stderr.strip())
    return s.start_program(*base, "sh", "-c", ENTER, s.dir, harness.program(), *harness.patient(args), name=name)


def stop(process):
    """Ctrl-C for the program: unshare, which is its parent, passes no signal on."""
    with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as file:
        os.kill(int(file.read()), signal.SIGINT)
    process.expect(harness.OK)


def test_frames_across_namespaces(s):
    publisher = contain(s, "publish", "test:320x240@25", "--name", "cam", "--ordered-timeout", harness.LIMIT,
                        name="publisher")
    s.wait_stream("cam", publisher)
    newest = contain(s, "verify", "cam", "--frames", "20", "--json", name="newest")
    ordered = contain(s, "verify", "cam", "--mode", "ordered", "--frames", "20", "--json", name="ordered")
    inside = contain(s, "info", "cam", "--json", name="info").json()
    check(inside["name"] == "cam" and inside["pid"] == 0, "info, which cannot see the publisher, says %s", inside)
    for reader in (newest, ordered):
        seen = reader.json()
        check(seen["frames"] == 20 and seen["stamped"], "%s saw %s", reader.name, seen)
        check(seen["torn"] + seen["duplicates"] + seen["back_jumps"] + seen["gaps"] == 0, "%s saw %s", reader.name,
              seen)
    stop(publisher)


def test_packets_across_namespaces(s):
    publisher = contain(s, "publish", harness.CLIP, "--name", "film", "--realtime", "--loop", name="publisher")
    s.wait_stream("film", publisher)
    path = s.path("film.mkv")
    recorded = contain(s, "record", "film", path, "--duration", "1", "--json", name="record").json()
    check(recorded["packets"] > 20 and os.path.getsize(path) > 10000, "recorded %s", recorded)
    stop(publisher)


if __name__ == "__main__":
    harness.main(globals())
