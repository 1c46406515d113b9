#!/usr/bin/env python3
"""test_doctor_stream.py - cuframes doctor NAME names what is wrong with a stream: its publisher, its camera, its
readers, its clock; and never hangs or dies of what another process does."""
import array
import ctypes
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import threading

import doctoring
import harness
from doctoring import doctor, doctor_in, mend
from harness import check
from test_containers import contain, stop

NOBODY = 65534
SHORT = ("--timeout", "6")  # where it is to give up


def unruly(s, what, name="cam"):
    """A publisher that breaks rules (unruly.c), until the test ends."""
    process = s.start_program(harness.need_built("tests", "unruly"), name, what, name="unruly", stdin=subprocess.PIPE)
    s.until(lambda: os.path.exists(os.path.join(s.dir, name + ".sock")) and s.json("list", "--json"), "it publishes")
    return process


def end(process):
    process.popen.stdin.close()
    process.popen.stdin = None
    process.expect(harness.OK)


# ---- is it there ----


def test_nobody(s):
    doctor(s, "cam").problem("exists", "nobody publishes cam", s.dir, "cuframes publish INPUT --name cam")
    doctoring.doctor_outside(s, "", "cam").problem("exists", "no publisher runs, or it has another runtime directory")
    s.publish("test:320x180@25", "cam1")
    doctor(s, "cam").problem("exists", "there is cam1")


def test_in_another_directory(s):
    session = s.path("session")
    os.makedirs(os.path.join(session, "cuframes"), 0o700)
    pub = s.start("publish", "test:320x180@25", "--name", "cam", "--dir", os.path.join(session, "cuframes"))
    s.until(lambda: s.run("info", "cam", "--dir", os.path.join(session, "cuframes")).code == 0, "it publishes")
    env = {"XDG_RUNTIME_DIR": session}
    doctor(s, "cam", env=env).problem("exists", "different runtime directories", "--dir %s/cuframes" % session)
    pub.stop()


def test_in_another_container(s):
    """The same path, and another mount there."""
    doctoring.need_mounts("--pid")
    script = 'mount -t tmpfs -o mode=700 none "$CUFRAMES_DIR" && exec "$@"'
    pub = s.start_program("unshare", "--mount", "sh", "-c", script, "sh", harness.program(), "publish",
                          "test:320x180@25", "--name", "cam", name="publisher")
    there = "/proc/%d/root%s/cam.sock" % (pub.pid, s.dir)
    s.until(lambda: os.path.exists(there) and not os.path.exists(os.path.join(s.dir, "cam.sock")), "it publishes")
    doctor(s, "cam").problem("exists", "another mount namespace", pub.pid, "docker run -v")
    pub.stop()


def test_dead(s):
    pub = s.publish("test:320x180@25", "cam")
    pub.kill()
    doctor(s, "cam").problem("exists", "has died", "cuframes publish INPUT --name cam")
    s.run("list")


# ---- does it answer ----


def test_stopped(s):
    """A publisher that is stopped is named with its process, and what it says lets it go on."""
    pub = s.publish("test:320x180@25", "cam")
    pub.suspend()
    finding = doctor(s, "cam").problem("answer", "stopped", pub.pid, "kill -CONT %d" % pub.pid)
    mend(s, finding)
    doctor(s, "cam").ready()
    pub.stop()


def test_in_a_debugger(s):
    pub = s.publish("test:320x180@25", "cam")
    libc = ctypes.CDLL(None, use_errno=True)
    attach, detach, any_thread = 16, 17, 0x40000000
    threads = [int(name) for name in os.listdir("/proc/%d/task" % pub.pid)]
    for thread in threads:  # as a debugger does
        if libc.ptrace(attach, thread, None, None) != 0:
            harness.skip("may not trace a child: " + os.strerror(ctypes.get_errno()))
        os.waitpid(thread, any_thread)
    report = doctor(s, "cam")
    for thread in threads:
        check(libc.ptrace(detach, thread, None, None) == 0, "it cannot go on")
    report.problem("answer", "a debugger holds it", "TracerPid")
    pub.stop()


def test_one_thread_in_a_debugger(s):
    """That of the library, which answers: the others go on, and tell nothing."""
    pub = s.publish("test:320x180@25", "cam")
    libc = ctypes.CDLL(None, use_errno=True)
    attach, detach, any_thread = 16, 17, 0x40000000
    threads = [int(name) for name in os.listdir("/proc/%d/task" % pub.pid) if int(name) != pub.pid]
    for thread in threads:
        if libc.ptrace(attach, thread, None, None) != 0:
            harness.skip("may not trace a child: " + os.strerror(ctypes.get_errno()))
        os.waitpid(thread, any_thread)
    report = doctor(s, "cam")
    for thread in threads:
        check(libc.ptrace(detach, thread, None, None) == 0, "it cannot go on")
    report.problem("answer", "a debugger holds it", "TracerPid")
    pub.stop()


def test_in_the_kernel(s):
    process = s.start_program(harness.need_built("tests", "unruly"), "cam", "asleep", name="unruly",
                              stdin=subprocess.PIPE)

    def is_asleep():
        with open("/proc/%d/stat" % process.pid) as file:
            return file.read().rpartition(") ")[2][0] == "D"

    s.until(is_asleep, "it hangs in the kernel")
    doctor(s, "cam").problem("answer", "hangs in the kernel", process.pid, "/proc/%d/stack" % process.pid)
    end(process)


def test_queue_is_full(s):
    """Who asks a stopped publisher again and again fills its queue; the kernel then says nothing of who listens."""
    pub = s.publish("test:320x180@25", "cam")
    pub.suspend()
    for _ in range(100000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as knocking:
            if knocking.connect_ex(os.path.join(s.dir, "cam.sock")) != 0:
                break
    finding = doctor(s, "cam").problem("answer", "stopped", pub.pid, "kill -CONT %d" % pub.pid)
    mend(s, finding)
    pub.stop()


def exhaust(pub):
    """It has no descriptor left. A limit lies above the first number that is free, else there would be one."""
    taken = {int(number) for number in os.listdir("/proc/%d/fd" % pub.pid)}
    free = next(number for number in range(len(taken) + 1) if number not in taken)
    subprocess.run([harness.need_program("prlimit"), "--pid", str(pub.pid), "--nofile=%d:" % free], check=True)
    return free


def test_no_descriptor_for_a_connection(s):
    """It cannot take a connection, and so cannot say why; no machine is too busy."""
    pub = s.publish("test:320x180@25", "cam")
    limit = exhaust(pub)
    finding = doctor(s, "cam").problem("publisher-descriptors", "takes no connection", "process %d" % pub.pid,
                                       "all %d descriptors" % limit, "prlimit --pid %d --nofile=4096" % pub.pid)
    check(finding["mend"].startswith("sudo") == (resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096), "%s", finding)
    if not finding["mend"].startswith("sudo"):
        mend(s, finding)
        doctor(s, "cam").ready()
    pub.stop()


def test_no_descriptor_of_another_user(s):
    """Whose descriptors cannot be counted: who may is named."""
    harness.need_user(NOBODY)
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0666")
    exhaust(pub)
    finding = doctor(s, "cam", *SHORT, user=NOBODY).problem("answer", "does not answer", "may not look at",
                                                            "sudo cuframes doctor cam")
    check("busy" in finding["why"] and "descriptor" in finding["why"], "%s", finding)
    doctor(s, "cam").problem("publisher-descriptors", "takes no connection")
    pub.stop()


def test_hidden(s):
    """A /proc that shows a user its own processes alone: it does not say that the publisher runs."""
    harness.need_user(NOBODY)
    harness.need_program("setpriv")
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (5, 8):
        harness.skip("before Linux 5.8 that is no matter of one mount")
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0666")
    copy = s.for_user(NOBODY, harness.program())
    rights = 'shift; set -- setpriv --reuid %d --regid %d --clear-groups "%s" "$@"' % (NOBODY, NOBODY, copy)
    pub.suspend()
    report = doctor_in(s, "mount -t proc -o hidepid=2 proc /proc; " + rights, "cam", *SHORT)
    report.problem("answer", "does not answer", "process %d, which this user may not look at" % pub.pid,
                   "sudo cuframes doctor cam --dir " + s.dir)
    pub.resume()
    pub.stop()


def test_frozen(s):
    if not os.access("/sys/fs/cgroup/freezer", os.W_OK):
        harness.skip("needs the right to freeze control groups of version 1")
    group = "/sys/fs/cgroup/freezer/cuframes-doctor-%d" % os.getpid()
    pub = s.publish("test:320x180@25", "cam")
    os.mkdir(group)

    def put(file, value):
        with open(os.path.join(group, file), "w") as out:
            out.write(str(value))

    try:
        put("cgroup.procs", pub.pid)
        put("freezer.state", "FROZEN")
        s.until(lambda: open(os.path.join(group, "freezer.state")).read() == "FROZEN\n", "all its threads are frozen")
        doctor(s, "cam").problem("answer", "frozen", pub.pid, "docker unpause")
    finally:
        put("freezer.state", "THAWED")
        pub.stop()
        os.rmdir(group)


def test_stopped_in_another_pid_namespace(s):
    """It cannot be seen that it is stopped: it says what it may be."""
    doctoring.need_mounts("--pid", "--fork")
    pub = contain(s, "publish", "test:320x180@25", "--name", "cam", name="publisher")
    s.wait_stream("cam", pub)
    with open("/proc/%d/task/%d/children" % (pub.pid, pub.pid)) as file:
        inside = int(file.read())
    harness.stop_process(inside)
    report = doctor_in(s, ":", "cam", *SHORT, more=("--pid", "--fork", "--mount-proc"))
    report.problem("answer", "does not answer", "another PID namespace", alone=False)
    doctor(s, "cam").problem("answer", "stopped", inside)  # from the host it can
    os.kill(inside, signal.SIGCONT)
    stop(pub)


class Hostile:
    """A listener in the place of a publisher, which does to each that connects what a function says."""

    def __init__(self, s, answer):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(os.path.join(s.dir, "cam.sock"))
        self.socket.listen(64)
        self.answer, self.over, self.kept = answer, os.eventfd(0), []
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while self.over not in select.select([self.socket, self.over], [], [])[0]:
            peer = self.socket.accept()[0]
            self.kept.append(peer)
            try:
                self.answer(peer)
            except OSError:
                pass  # it has gone

    def close(self, s):
        os.eventfd_write(self.over, 1)
        self.thread.join(harness.LIMIT)
        for peer in self.kept + [self.socket]:
            peer.close()
        os.close(self.over)
        os.unlink(os.path.join(s.dir, "cam.sock"))


def flood(peer):
    """Descriptors, and no end of messages."""
    with open("/dev/null") as file:
        rights = array.array("i", [file.fileno()] * 50)
        for _ in range(20):
            peer.sendmsg([b"x" * 1000], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], socket.MSG_DONTWAIT)


def test_hostile(s):
    for what, answer in (("says nothing", lambda peer: None), ("closes", lambda peer: peer.close()),
                         ("garbage", lambda peer: peer.send(os.urandom(4000))),
                         ("an empty message", lambda peer: peer.send(b"")),
                         ("half a header", lambda peer: peer.send(b"\1\0\0")),
                         ("zeros", lambda peer: peer.send(bytes(65000))), ("a flood", flood)):
        hostile = Hostile(s, answer)
        report = doctor(s, "cam", *SHORT)
        hostile.close(s)
        check(report.problems and "crash" not in report.problems, "%s: it says %s", what, report.findings)
        if what == "says nothing":
            report.problem("answer", "does not answer", "process %d" % os.getpid(), "top -H -p", alone=False)


def refuse(code, text):
    """A publisher's answer to whatever is asked (docs/protocol.md, REFUSED)."""
    fields = struct.pack("<HHIi", 1, 0, 4, code) + struct.pack("<HHI", 2, 0, len(text)) + text.encode()
    message = struct.pack("<IHHII", 0x52465543, 3, 0, 16 + len(fields), 0) + fields

    def answer(peer):
        peer.recv(65536)
        peer.send(message)
    return answer


def test_refusals(s):
    """What a publisher says no with, each with what mends it. The numbers are those of the protocol."""
    for code, text, *mends in (
            (-16, "this side speaks protocol 7 to 9, the other 3", "cuframes --version on both sides"),
            (-2, "no memory for a seat", "free -h"),
            (-3, "memfd_create for a seat: Too many open files", "NOFILE", "ulimit -n 4096"),
            (-14, "the publisher may have 20 descriptors, its limit of open files", "ss -xp | grep cam.sock"),
            (-14, "the pool may not grow", "--max-slots"),
            (-14, "the stream has 2 subscribers already, its limit (max_subscribers)", "max_subscribers"),
            (-17, "nonsense came", "cuframes --version"),
            (-2, "500 MiB are not left of 200 MiB that the control group may have", "docker update --memory"),
            (-2, "the limit of file sizes is 100 bytes; raise it (ulimit -f)", "ulimit -f unlimited"),
            (-2, "no file descriptor is free: raise the limit (ulimit -n)", "ulimit -n 4096"),
            (-2, "the GPU has no memory left", "nvidia-smi shows who uses"),
            (-25, "memory legacy: not from another PID namespace", "docker run --pid container:PUBLISHER"),
            (-25, "no peer access from device 1 to 0", "nvidia-smi topo -p2p r"),
            (-25, "this process sees 1 GPU and none of them is it", "CUDA_VISIBLE_DEVICES=UUID"),
            (-25, "no CUDA driver", "apt install nvidia-driver"),
            (-8, "the publisher's allow list has neither user 5 nor group 6", "--allow-uid 5 (or --allow-gid 6)")):
        hostile = Hostile(s, refuse(code, text))
        report = doctor(s, "cam", *SHORT)
        hostile.close(s)
        report.problem("answer", "cannot be asked", text.partition(":")[0], *mends)


def test_publisher_that_hangs_up(s):
    """It is there, so it is not said that nobody publishes it."""
    hostile = Hostile(s, lambda peer: peer.close())
    report = doctor(s, "cam", *SHORT)
    hostile.close(s)
    report.problem("answer", "cannot be asked", "closed the connection", "the publisher's log", alone=False)
    check("exists" not in report.problems, "it says that it is not there: %s", report.problems)


def test_no_socket(s):
    """What is no socket in the place of one, and a name with everything in it."""
    for make in (lambda path: open(path, "w").close(), os.mkfifo, lambda path: os.symlink("/dev/zero", path),
                 lambda path: os.symlink("cam.sock", path), os.mkdir):
        path = os.path.join(s.dir, "cam.sock")
        make(path)
        mend(s, doctor(s, "cam", *SHORT).problem("exists", "cam.sock is no socket", "in the place of"))
        doctor(s, "cam", *SHORT).problem("exists", "nobody publishes cam")
        os.rmdir(path + ".old") if os.path.isdir(path + ".old") else os.unlink(path + ".old")
    odd = os.path.join(s.dir, "\x1b[31mred.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(odd)
    listener.close()
    doctor(s, "--device", "host").ready()  # no stream can have that name: it is no dead publisher's
    os.unlink(odd)


# ---- the camera ----


def test_camera_that_is_away(s):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = "rtsp://user:secret@127.0.0.1:%d/cam" % listener.getsockname()[1]  # nobody listens
    pub = s.start("publish", address, "--name", "cam")
    s.until(lambda: "refused" in (s.json("info", "cam", "--json").get("state_reason") or "")
            if os.path.exists(os.path.join(s.dir, "cam.sock")) else False, "it has tried")
    report = doctor(s, "cam", *SHORT)
    finding = report.problem("camera", "connecting", "Connection refused", "ping")
    check("secret" not in str(report.findings), "it tells a password")
    check(finding["subject"] == "stream", "%s", finding)
    pub.stop()
    listener.close()


def test_what_the_camera_does(s):
    for state, *texts in (("stalled", "sends nothing"), ("refused", "because", "--password-file"),
                          ("reconnecting", "because", "ping"), ("ended", "nothing more"),
                          ("mute-refused", "wants another user or password"),
                          ("mute-reconnecting", "has no connection to it, and tries again")):
        process = unruly(s, state)
        doctor(s, "cam", *SHORT).problem("camera", state.replace("mute-", ""), *texts)
        end(process)


def test_old_picture(s):
    """A publisher that says nothing of its source: its newest picture tells."""
    process = unruly(s, "old")
    s.until(lambda: s.run("info", "cam", "--check").code == harness.NOT_LIVE, "the picture is old")
    doctor(s, "cam", *SHORT).problem("camera", "old", "may be 5 s")
    end(process)


def test_packets_alone(s):
    process = unruly(s, "packets")
    doctor(s, "cam").ready().finding("well", "join", "for its packets")
    end(process)


def test_nothing_said_yet(s):
    """A publisher has its name before it says what it has: nobody may take that for a stream without pictures."""
    process = unruly(s, "packets")
    result = s.run("verify", "cam", "--wait=0.1", "--timeout", "0.1")
    check(result.code == harness.TIMEOUT and "no frame came in time" in result.err, "%r", result)
    end(process)


# ---- readers ----


def until_seat(s, condition, what):
    s.until(lambda: any(condition(seat) for seat in s.json("info", "cam", "--json")["subscriber_list"]), what)


def stopped_reader(s, *args):
    """A reader that holds pictures, and is stopped."""
    reader = s.start_program(harness.need_built("tests", "observer"), "cam", "--hold", "2000", *args, name="observer")
    until_seat(s, lambda seat: seat["leases_held"], "it holds some")
    reader.suspend()
    return reader


def test_reader_that_holds_slots(s):
    s.publish("test:320x180@50", "cam")
    reader = stopped_reader(s)
    until_seat(s, lambda seat: seat["lag"] > 150, "it is behind")
    finding = doctor(s, "cam").problem("readers", "holds slot", reader.pid, "kill -CONT")
    check("of the last" in finding["what"], "%s", finding)
    reader.resume()


def test_reader_in_the_publishers_container(s):
    """Its number is of the publisher's PID namespace: here that is another process, which nobody is to kill."""
    doctoring.need_mounts("--pid", "--fork")
    script = '"$1" publish test:320x180@50 --name cam & until "$1" info cam; do :; done; "$2" cam --hold 2000 & wait'
    inside = s.start_program("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh",
                             harness.program(), harness.need_built("tests", "observer"), name="container")
    s.wait_stream("cam", inside)
    until_seat(s, lambda seat: seat["leases_held"], "it holds some")
    pid = next(seat["pid"] for seat in s.json("info", "cam", "--json")["subscriber_list"] if seat["leases_held"])
    hidden = [int(one) for one in os.listdir("/proc") if one.isdigit() and outer_number(one) == pid]
    for one in hidden:
        harness.stop_process(one)
    until_seat(s, lambda seat: seat["lag"] > 150, "it is behind")
    finding = doctor(s, "cam").problem("readers", "not seen from here", "docker ps", alone=False)
    check("kill" not in finding["mend"], "it names %s, which is another process: %s", pid, finding)
    for one in hidden:
        os.kill(one, signal.SIGCONT)
    with open("/proc/%d/task/%d/children" % (inside.pid, inside.pid)) as file:
        first = int(file.read())  # of the namespace, which ends with it
    inside.kill()
    os.waitpid(first, 0)  # it is ours now
    s.until(lambda: s.run("list").code == harness.OK and not os.listdir(s.dir), "they have ended")


def outer_number(pid):
    """What a process of a PID namespace below is called there; None: it is in ours."""
    try:
        with open("/proc/%s/status" % pid) as file:
            numbers = re.search(r"NSpid:(.*)", file.read())[1].split()
    except OSError:
        return None
    return int(numbers[-1]) if len(numbers) > 1 else None


def test_reader_that_is_waited_for(s):
    s.publish("test:320x180@50", "cam")
    reader = stopped_reader(s, "--ordered")
    s.until(lambda: s.json("info", "cam", "--json")["age_ms"] > 1500, "the stream stands still")
    report = doctor(s, "cam", *SHORT)
    report.problem("readers", "in ordered mode", "waits for it", reader.pid, alone=False)
    reader.resume()


def test_reader_that_was_evicted(s):
    s.publish("test:320x180@50", "cam", "--ordered-timeout", "0.2")
    reader = stopped_reader(s, "--ordered")
    until_seat(s, lambda seat: seat["evicted"], "it is evicted")
    doctor(s, "cam").problem("readers", "evicted", "--depth")
    reader.resume()


def test_every_slot_is_held(s):
    pub = s.publish("test:320x180@50", "cam", "--slots", "6", "--max-slots", "6")
    reader = s.start_program(harness.need_built("tests", "observer"), "cam", "--pin", "4", name="observer")
    until_seat(s, lambda seat: seat["leases_held"] == 4 and seat["lag"] > 150, "it holds them")
    report = doctor(s, "cam")
    report.problem("slots", "4 of the 6 slots", "cuframes top cam", alone=False)
    report.problem("readers", "holds slots", reader.pid, alone=False)
    report.problem("join", "the publisher's limit is 6", alone=False)
    reader.stop(code=None)
    pub.stop()


def test_no_slot_left(s):
    pub = s.publish("test:320x180@25", "cam", "--slots", "3", "--max-slots", "4")
    reader = s.start("verify", "cam", "--leases", "2", "--duration", "1000")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"], "it has joined")
    report = doctor(s, "cam")
    report.problem("join", "--max-slots", "the publisher's limit is 4", alone=False)
    reader.stop(code=None)
    pub.stop()


def test_crowd(s):
    """Of each reader something is said, and what comes behind them is not lost."""
    process = unruly(s, "crowd")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] >= 185, "they have joined")
    report = doctor(s, "cam", "--timeout", "60")
    report.problem("times", "stands still", alone=False)
    check(sum(finding["check"] == "readers" for finding in report.findings) >= 185, "some are missing")
    end(process)


def test_no_seat_left(s):
    """No monitor is let in then, so that what it says must not be one."""
    process = unruly(s, "full")
    s.until(lambda: "connections" in s.run("info", "cam").err, "it lets nobody in")
    doctor(s, "cam", *SHORT).problem("answer", "128 connections", "ss -xp | grep cam.sock")
    end(process)


def test_limits_of_the_publisher(s):
    pub = s.publish("test:320x180@25", "cam", limit=("--fsize=70000000:",))
    mend(s, doctor(s, "cam").problem("file-size", "the publisher %d" % pub.pid, "prlimit --pid %d" % pub.pid))
    doctor(s, "cam").ready()
    pub.stop()
    pub = s.publish("test:320x180@25", "cam")
    have = pub.descriptors()
    subprocess.run([harness.need_program("prlimit"), "--pid", str(pub.pid), "--nofile=%d:" % (have + 8)], check=True)
    finding = doctor(s, "cam").problem("publisher-descriptors", "of %d" % (have + 8), "prlimit --pid %d" % pub.pid)
    mend(s, finding)
    doctor(s, "cam").ready()


def test_memory_of_the_publisher(s):
    """Its control group has no room for one more reader, for whom its pool may have to grow."""
    if harness.SANITIZED:
        harness.skip("a sanitizer takes more memory than that")
    group = doctoring.make_group(s, "memory", ("memory.max", "memory.limit_in_bytes"), 200 << 20)
    pub = s.publish("test:7680x4320@1", "cam", "--slots", "2")
    with open(os.path.join(group, "cgroup.procs"), "w") as out:
        out.write(str(pub.pid))
    used = int(s.json("info", "cam", "--json")["memory_bytes"])
    for file in ("memory.max", "memory.limit_in_bytes"):
        if os.path.exists(os.path.join(group, file)):
            with open(os.path.join(group, file), "w") as out:
                out.write(str(60 << 20))
    check(used > 0, "no memory")
    doctor(s, "cam").problem("group-memory", "the publisher %d" % pub.pid, "one more reader", alone=False)
    pub.stop()


# ---- pictures and clocks ----


def test_clock(s):
    """A time namespace: another CLOCK_MONOTONIC."""
    doctoring.need_mounts("--time")
    ahead = ["unshare", "--time", "--monotonic", "100000", "--fork", "--kill-child"]
    pub = s.start_program(*ahead, harness.program(), "publish", "test:320x180@25", "--name", "cam", name="publisher")
    s.wait_stream("cam", pub)
    doctor(s, "cam").problem("clock", "in the future", "CLOCK_MONOTONIC", alone=False)
    stop(pub)
    pub = s.publish("test:320x180@25", "cam")
    report = doctoring.Report(s.start_program(*ahead, *doctoring.words("cam"), name="doctor").wait())
    report.problem("clock", "in the past", alone=False)
    pub.stop()


def test_times(s):
    for what, text in (("still", "stands still"), ("back", "goes back")):
        process = unruly(s, what)
        doctor(s, "cam").problem("times", text, "--times arrival")
        end(process)


def test_pictures_that_change_in_hand(s):
    process = unruly(s, "scribble")
    for _ in range(20):  # it is seen only if it happens between two looks
        report = doctor(s, "cam")
        if report.problems:
            break
    report.problem("join", "not whole", "cuframes verify cam")
    end(process)


def test_device_and_mode(s):
    s.publish("test:320x180@25", "cam")
    doctor(s, "cam", "--device", "host").ready()
    doctor(s, "cam", "--device", "cuda").problem("driver", "no CUDA driver", "docker run --gpus all", alone=False)


# ---- messages that point here ----


def ask(s, said, user=None):
    """What a message says of doctor, done: it finds a problem."""
    command = re.search(r"; `(cuframes doctor[^`]*)` says more$", said, re.M)
    check(command, "no word of doctor: %s", said)
    path = harness.program() if user is None else s.for_user(user, harness.program())
    argv = ["sh", "-c", command[1].replace("cuframes", path, 1) + " --all --json"]
    return doctoring.Report(s.start_program(*argv, name="doctor", user=user).wait())


def test_messages_point_here(s):
    for command in (("info", "cam"), ("verify", "cam"), ("snapshot", "cam", "-"), ("record", "cam", "x.ts"),
                    ("pipe", "cam", "-o", "/dev/null")):
        ask(s, s.run(*command).err).problem("exists", "nobody publishes cam")
    odd = s.path("it's a $(place)")
    os.mkdir(odd, 0o777)
    os.chmod(odd, 0o777)
    ask(s, s.run("info", "cam", "--dir", odd).err).problem("exists", odd, alone=False)
    said = s.run("publish", "test:64x64@25", "--name", "cam", "--dir", odd).err
    ask(s, said).problem("rights", "anybody", alone=False)
    ask(s, s.run("list", "--dir", s.path("no-driver", "libcuda.so.1")).err).problem("exists", "no directory")
    said = s.run("publish", "test:64x64@25", "--name", "cam", "--device", "cuda").err
    ask(s, said).problem("driver", "no CUDA driver")
    pub = s.publish("test:320x180@25", "cam")
    ask(s, s.run("verify", "cam", "--device", "cuda").err).problem("driver", "no CUDA driver", alone=False)
    pub.suspend()
    ask(s, s.run("info", "cam").err).problem("answer", "stopped")
    pub.resume()
    check("says more" not in s.run("verify", "cam", "--leases", "60").err, "it promises what doctor does not look for")
    check("says more" not in s.run("publish", "test:64x64@25", "--name", "cam").err, "likewise, of a name in use")


def test_messages_of_no_permission_point_here(s):
    harness.need_user(NOBODY)
    os.chmod(s.dir, 0o755)
    s.publish("test:320x180@25", "cam")
    ask(s, s.run("info", "cam", user=NOBODY).err, user=NOBODY).problem("socket", "may not connect")


if __name__ == "__main__":
    doctoring.main(globals())
