#!/usr/bin/env python3
"""test_service.py - `publish` under a service manager, which is a socket of the test here: it is told READY when each
name can be joined, signs of life of the thread that watches, what is reloaded, and the end."""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request

import camera
import harness
import media
from harness import OK, check
from server import Files

PICTURE = "test:64x48@25"


class Manager:
    """The other end of $NOTIFY_SOCKET. Keeps all that was said, a dict for each datagram."""

    def __init__(self, s, address=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = address or s.path("notify")
        self.socket.bind("\0" + self.path[1:] if self.path.startswith("@") else self.path)
        self.env = {"NOTIFY_SOCKET": self.path}
        self.said, self.seen = [], 0
        s.at_end(self.socket.close)

    def receive(self, deadline):
        self.socket.settimeout(deadline.left() or 0.001)
        try:
            text = self.socket.recv(65536).decode()
        except TimeoutError:
            return False
        self.said.append(dict(line.split("=", 1) for line in text.splitlines()))
        return True

    def wait_for(self, key, value=None):
        """The next datagram that has it, behind the one that this gave last."""
        deadline = harness.Deadline()
        while True:
            for at in range(self.seen, len(self.said)):
                if self.said[at].get(key) is not None and value in (None, self.said[at][key]):
                    self.seen = at + 1
                    return self.said[at]
            check(self.receive(deadline), "%s=%s was not said; said were %s", key, value or "...", self.said)

    def rest(self):
        """All that has come until now."""
        self.socket.setblocking(False)
        try:
            while True:
                self.said.append(dict(line.split("=", 1) for line in self.socket.recv(65536).decode().splitlines()))
        except BlockingIOError:
            return self.said


def configure(s, *streams):
    path = s.path("streams.json")
    with open(path + ".new", "w") as file:
        json.dump({"streams": [dict({"input": PICTURE, "ordered-timeout": harness.LIMIT}, **stream)
                               for stream in streams]}, file)
    os.rename(path + ".new", path)
    return path


def test_ready_when_names_can_be_joined(s):
    """Also that of a camera which is not there; and the name that somebody else has keeps nobody waiting."""
    manager = Manager(s)
    s.publish(PICTURE, "taken")
    nowhere = socket.socket()  # bound and not listening: refuses at once
    nowhere.bind(("127.0.0.1", 0))
    s.at_end(nowhere.close)
    config = configure(s, {"name": "door"}, {"name": "gate"}, {"name": "taken"},
                       {"name": "away", "input": "rtsp://127.0.0.1:%d/" % nowhere.getsockname()[1]})
    program = s.start("publish", "--config", config, env=manager.env)
    manager.wait_for("READY", "1")
    names = {stream["name"]: stream for stream in s.json("list", "--json")}
    check({"door", "gate", "away"} <= set(names), "ready, and list shows %s", sorted(names))
    check(names["away"]["state"] in ("connecting", "reconnecting"), "away is %s", names["away"]["state"])
    while manager.said[-1].get("STATUS") != "2 of 4 streams live, 1 failed":
        manager.wait_for("STATUS")
    check(sum("READY" in said for said in manager.said) == 1, "ready more than once: %s", manager.said)
    check(not any("WATCHDOG" in said for said in manager.said), "a sign of life that nobody asked for")
    program.stop(code=None)
    manager.wait_for("STOPPING", "1")
    check(not any("READY" in said for said in manager.rest()[manager.seen:]), "ready after the end: %s", manager.said)


def test_signs_of_life(s):
    """They come while pictures come, while none do, and to the end; not where they are meant for another process."""
    manager = Manager(s)
    program = s.start("publish", PICTURE, "--name", "a", "--quiet", env=dict(manager.env, WATCHDOG_USEC="200000"))
    manager.wait_for("READY", "1")
    for _ in range(5):
        manager.wait_for("WATCHDOG", "1")
    program.suspend()  # a process that hangs says nothing
    manager.seen = len(manager.rest())
    check(not manager.receive(harness.Deadline(1)), "a stopped process gives signs of life: %s", manager.said[-1])
    program.resume()
    manager.wait_for("WATCHDOG", "1")
    program.stop()
    other = Manager(s, s.path("other"))
    program = s.start("publish", PICTURE, "--name", "b", "--duration", "1",
                      env=dict(other.env, WATCHDOG_USEC="100000", WATCHDOG_PID="1"))
    program.expect(OK)
    check(not any("WATCHDOG" in said for said in other.rest()), "signs of life for another process: %s", other.said)


def test_reload(s):
    manager = Manager(s)
    program = s.start("publish", "--config", configure(s, {"name": "a"}), env=manager.env)
    manager.wait_for("READY", "1")
    configure(s, {"name": "a"}, {"name": "b"})
    program.send(signal.SIGHUP)
    said = manager.wait_for("RELOADING", "1")
    check(int(said["MONOTONIC_USEC"]) > 0, "no time: %s", said)
    manager.wait_for("READY", "1")
    names = [stream["name"] for stream in s.json("list", "--json")]
    check(sorted(names) == ["a", "b"], "ready after a reload, and list shows %s", names)
    with open(s.path("streams.json"), "w") as file:
        file.write("{")
    program.send(signal.SIGHUP)  # a file that is wrong: it goes on as it was, and so is ready
    manager.wait_for("RELOADING", "1")
    manager.wait_for("READY", "1")
    configure(s)
    program.send(signal.SIGHUP)
    manager.wait_for("STATUS", "no streams; waiting for another configuration (SIGHUP)")
    program.stop()


def test_abstract_socket(s):
    manager = Manager(s, "@cuframes-test-%d" % os.getpid())
    s.start("publish", PICTURE, "--name", "a", env=manager.env)
    manager.wait_for("READY", "1")


def test_manager_that_is_gone(s):
    """Nothing depends on who listens: no socket, one of nobody, a wrong address, a queue that is full."""
    full = Manager(s, s.path("full"))
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    s.at_end(filler.close)
    try:
        while True:
            filler.sendto(b"X=1", full.path)
    except BlockingIOError:
        pass
    for address in (s.path("nobody"), "relative", "@", "vsock:2:1", "/" + "x" * 200):
        program = s.start("publish", PICTURE, "--name", "a", "--duration", "0.2",
                          env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "no number"})
        program.expect(OK)
    program = s.start("publish", PICTURE, "--name", "a", env=full.env)
    s.wait_stream("a", program)
    full.wait_for("READY", "1")  # once there is room again
    program.stop()


def systemd_file(name):
    return os.path.join(harness.SOURCE_DIR, "packaging", "systemd", name)


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    check(done.returncode == 0, "%s: %s", " ".join(argv), done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout + done.stderr


def units(s):
    """The units as they are installed, but for where the program is."""
    found = sorted(glob.glob(harness.need_built("systemd") + "/*"))
    check(found, "no units were made")
    found += glob.glob(os.path.join(harness.BUILD_DIR, "integrations", "fleet", "*.service"))  # where it was built
    for path in found:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"^(Exec\w+=)\S*/(cuframes(?:-agent)?) ",
                          r"\1%s/\2 " % os.path.dirname(harness.program()), file.read(), flags=re.M)
        with open(s.path(os.path.basename(path)), "w", encoding="utf-8") as file:
            file.write(text)
    return [s.path(os.path.basename(path)) for path in found]


def test_units_are_right(s):
    analyze = harness.need_program("systemd-analyze")
    s.start("list").expect(OK)  # the program that the units start is there
    for unit in units(s):
        said = run(analyze, "verify", "--man=no", unit)
        check(not said, "%s: %s", os.path.basename(unit), said)


def test_units_may_do_little(s):
    analyze = harness.need_program("systemd-analyze")
    for unit in units(s):
        if unit.endswith(".service"):
            said = run(analyze, "security", "--offline=yes", "--no-pager", "--threshold=20", unit)
            check("PrivateDevices=" in said, "no judgement: %s", said)
    with open(systemd_file("cuframes-publish@.service.in"), encoding="utf-8") as file:
        breaks = re.findall(r"^(?:PrivateDevices|PrivateUsers|ProtectClock|MemoryDenyWriteExecute|DevicePolicy"
                            r"|RuntimeDirectory)=.*", file.read(), re.M)
    check(not breaks, "takes GPUs, or streams, away: %s", breaks)


def calls_of(analyze, name):
    """The system calls of one of systemd's sets, and of the sets in it."""
    found = set()
    for line in run(analyze, "--no-pager", "syscall-filter", name).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= calls_of(analyze, word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed_by(unit):
    """The system calls that are left by a unit's filters."""
    analyze = harness.need_program("systemd-analyze")
    with open(systemd_file(unit), encoding="utf-8") as file:
        filters = re.findall(r"^SystemCallFilter=(~?)(@.*)$", file.read(), re.M)
    check(len(filters) > 1, "no filters: %s", filters)
    allowed = calls_of(analyze, "@default")
    for deny, names in filters:
        for name in names.split():
            allowed = allowed - calls_of(analyze, name) if deny else allowed | calls_of(analyze, name)
    return allowed


def need_strace():
    strace = harness.need_program("strace")
    if subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        harness.skip("strace may not trace here")
    return strace


def called_in(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return {match[1] for match in (re.match(r"\d+ +(?:<\.\.\. )?(\w+)", line) for line in file) if match}


def check_publish_calls(s, streams, needed, env=None, during=lambda: None):
    """Every system call of publishing them, with a service manager, readers and a reload, is one that the unit's filter
    allows; `needed` are among them, without which strace has seen nothing of what this is about."""
    strace, allowed = need_strace(), allowed_by("cuframes-publish@.service.in")
    manager, config = Manager(s), configure(s, *streams)
    program = s.start_program(strace, "-D", "-f", "-qq", "-o", s.path("calls"), harness.program(), "publish",
                              "--config", config, env=dict(manager.env, WATCHDOG_USEC="1000000", **(env or {})))
    manager.wait_for("READY", "1")
    during()
    manager.wait_for("WATCHDOG", "1")
    program.send(signal.SIGHUP)
    manager.wait_for("RELOADING", "1")
    manager.wait_for("READY", "1")
    with open("/proc/%d/status" % program.pid, encoding="utf-8") as file:
        tracer = int(re.search(r"^TracerPid:\s*(\d+)", file.read(), re.M)[1])
    program.stop(signal.SIGTERM, code=None)
    os.waitpid(tracer, 0)  # which is nobody else's child now, and has written all then
    called = called_in(s.path("calls"))
    check(set(needed) <= called, "strace saw nothing of it: %s", sorted(called))
    check(called <= allowed, "the unit's filter refuses %s", sorted(called - allowed))
    with open(s.path("calls"), encoding="utf-8", errors="replace") as file:
        families = set(re.findall(r"socket\((AF_\w+)", file.read()))
    with open(systemd_file("cuframes-publish@.service.in"), encoding="utf-8") as file:
        known = set(re.search(r"^RestrictAddressFamilies=(.*)$", file.read(), re.M)[1].split())
    check(families <= known, "the unit refuses sockets of %s", sorted(families - known))


def test_unit_allows_what_publish_calls(s):
    """A film, a test picture, and cameras that are away; readers, and a group for the socket."""
    away = {"input": "rtsp://127.0.0.1:9/", "name": "away"}
    web = {"input": "http://localhost:9/a.m3u8", "name": "web"}
    film = {"input": harness.CLIP, "name": "film", "loop": True, "realtime": True}
    if os.geteuid() == 0:
        film["group"] = "video"

    def read():
        s.start("verify", "film", "--wait", "--frames", "5").expect(OK)
        s.start("record", "film", s.path("a.mp4"), "--duration", "0.5").expect(OK)
    check_publish_calls(s, [film, away, web, {"name": "test"}], ("memfd_create", "sendmsg", "connect"), during=read)


def test_unit_allows_what_cameras_take(s):
    """A camera by TCP with sound, one by UDP, one that comes over HTTP in pieces; and one of this machine."""
    film, tone = camera.film(s), camera.sound(s)
    tcp, udp = camera.Camera(s, camera.Plan(film, tone)), camera.Camera(s, camera.Plan(film))
    os.mkdir(s.path("hls"))
    try:
        media.ffmpeg("-framerate", "25", "-i", media.make(s.root, "elementary"), "-c", "copy", "-f", "hls", "-hls_time",
                     "1", "-hls_list_size", "0", s.path("hls", "film.m3u8"))
    except media.CannotMake as why:
        harness.skip(str(why))
    web = Files(s, s.path("hls"))
    of_machine = s.path("camera")
    os.symlink("/dev/null", of_machine)
    streams = [{"name": "tcp", "input": tcp.url},
               {"name": "udp", "input": udp.url, "rtsp-transport": "udp"},
               {"name": "web", "input": web.address("film.m3u8"), "loop": True, "realtime": True},
               {"name": "own", "input": "v4l2:" + of_machine}]

    def read():
        for stream in streams:
            s.start("verify", stream["name"], "--wait", "--frames", "5").expect(OK)
    check_publish_calls(s, streams, ("recvfrom", "setsockopt", "ioctl"), during=read,
                        env={"LD_PRELOAD": harness.need_built("tests", "libv4l2_camera.so"), "V4L2_CAMERA": of_machine})


def test_unit_allows_what_a_card_takes(s):
    """Frames in GPU memory, over the stand-in of a driver; what a real one calls besides is not seen here."""
    standin = os.path.dirname(harness.need_built("tests", "cuda", "standin", "libcuda.so.1"))
    card = {"LD_LIBRARY_PATH": standin, "CUDA_STANDIN_DEVICES": "1"}
    streams = [{"name": "film", "input": harness.CLIP, "device": "cuda", "loop": True, "realtime": True},
               {"name": "test", "device": "cuda"}]

    def read():
        for stream in streams:
            s.start("verify", stream["name"], "--wait", "--frames", "5", env=card).expect(OK)
            check(s.json("info", stream["name"], "--json")["device"].startswith("cuda:"), "it is on the host")
    check_publish_calls(s, streams, ("memfd_create", "sendmsg"), during=read, env=card)


def test_metrics_unit(s):
    """Socket and service as they are: the process finds the socket that it is handed, answers with the numbers of a
    stream, and calls, opens and connects to nothing that the unit takes away."""
    strace, allowed = need_strace(), allowed_by("cuframes-metrics.service.in")
    with open(systemd_file("cuframes-metrics.socket.in"), encoding="utf-8") as file:
        address = re.search(r"^ListenStream=(.*):(\d+)$", file.read(), re.M)
    check(address[1] == "127.0.0.1", "everybody on the network may ask: %s", address[0])
    check(address.expand(r"\1:\2") in s.run("metrics", "--help").out, "the program's own port is another")
    with open(systemd_file("cuframes-metrics.service.in"), encoding="utf-8") as file:
        line = re.search(r"^ExecStart=\S+/cuframes (.*)$", file.read(), re.M)[1]
    s.publish(PICTURE, "test")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    s.at_end(listener.close)
    script = 'exec 3<&0 < /dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'  # what is traced keeps the number (-D)
    program = s.start_program("sh", "-c", script, "sh", strace, "-D", "-f", "-qq", "-o", s.path("calls"),
                              harness.program(), *line.replace("/run/cuframes", s.dir).split(),
                              stdin=listener.fileno())
    for _ in range(2):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % listener.getsockname()[1],
                                    timeout=harness.LIMIT) as answer:
            text = answer.read().decode()
        check('cuframes_stream_up{stream="test"} 1' in text.splitlines(), "it says %s", text)
    with open("/proc/%d/status" % program.pid, encoding="utf-8") as file:
        tracer = int(re.search(r"^TracerPid:\s*(\d+)", file.read(), re.M)[1])
    program.stop(signal.SIGTERM)
    os.waitpid(tracer, 0)  # which is nobody else's child now, and has written all then
    called = called_in(s.path("calls"))
    check(called & {"accept", "accept4"}, "strace saw nothing of it: %s", sorted(called))
    check(called <= allowed, "the unit's filter refuses %s", sorted(called - allowed))
    with open(s.path("calls"), encoding="utf-8", errors="replace") as file:
        text = file.read()
    families = set(re.findall(r"socket\((AF_\w+)", text))
    check(families <= {"AF_UNIX"}, "it makes sockets of %s, and the unit has none of these", sorted(families))
    hidden = set(re.findall(r'open(?:at)?\(.*?"(/dev/[^"]*)"', text)) - {"/dev/null", "/dev/urandom", "/dev/random"}
    check(not hidden, "it opens what the unit hides: %s", hidden)


def test_users_and_directories(s):
    """A bare system gets the user, its groups, and directories that a publisher takes and others may not read."""
    sysusers, tmpfiles = harness.need_program("systemd-sysusers"), harness.need_program("systemd-tmpfiles")
    if os.geteuid() != 0:
        harness.skip("needs root, to make directories of other users")
    root = s.path("root")
    os.makedirs(os.path.join(root, "etc"))
    run(sysusers, "--root=" + root, systemd_file("sysusers.conf"))
    with open(os.path.join(root, "etc", "group"), encoding="utf-8") as file:
        groups = {row.split(":")[0]: row.strip().split(":") for row in file}
    check("cuframes" in groups["video"][3] and "cuframes" in groups["render"][3], "groups: %s", groups)
    number = int(groups["cuframes"][2])
    run(tmpfiles, "--root=" + root, "--create", systemd_file("tmpfiles.conf"))
    for path, mode in (("run/cuframes", 0o3770), ("etc/cuframes", 0o2750)):
        made = os.stat(os.path.join(root, path))
        check((made.st_mode & 0o7777, made.st_uid, made.st_gid) == (mode, 0, number), "%s: %o of %d:%d", path,
              made.st_mode, made.st_uid, made.st_gid)


def test_example(s):
    """The configuration that is shown works, and so does all that the unit says to the program."""
    with open(systemd_file("cameras.json"), encoding="utf-8") as file:
        config = json.load(file)
    config["streams"][0]["input"] = "rtsp://127.0.0.1:9/"  # nobody is there
    os.makedirs(s.path("etc"), mode=0o700)
    with open(s.path("etc", "cameras.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    os.chmod(s.path("etc", "cameras.json"), 0o600)
    with open(systemd_file("cuframes-publish@.service.in"), encoding="utf-8") as file:
        line = re.search(r"^ExecStart=\S+/cuframes (.*)$", file.read(), re.M)[1]
    line = line.replace("/etc/cuframes", s.path("etc")).replace("%i", "cameras").replace("/run/cuframes", s.dir)
    manager = Manager(s)
    program = s.start(*line.split(), env=manager.env)
    manager.wait_for("READY", "1")
    s.wait_stream("test", program)
    program.stop(signal.SIGTERM, code=None)


def test_wrong_file_is_not_tried_again(s):
    """Whatever is wrong in the file, the end is one that the unit makes no new start of."""
    with open(systemd_file("cuframes-publish@.service.in"), encoding="utf-8") as file:
        final = int(re.search(r"^RestartPreventExitStatus=(\d+)$", file.read(), re.M)[1])
    for text in ("", "{", "[]", '{"streams": [{"input": "x", "name": "a"}', '{"streams": [{"name": "a"}]}',
                 '{"streams": [{"input": "x", "name": "a", "slots": "many"}]}', "\0", '{"a": "\xff"}'):
        with open(s.path("wrong.json"), "w", encoding="latin-1") as file:
            file.write(text)
        result = s.run("publish", "--config", s.path("wrong.json"))
        check(result.code == final, "%r: exit code %d; the unit stays away after %d", text, result.code, final)


if __name__ == "__main__":
    harness.main(globals())
