#!/usr/bin/env python3
"""test_doctor.py - cuframes doctor names what is wrong with the directory, the kernel, the limits and the accounts of
this machine, each fault made by the test, and what mends it. test_doctor_stream.py does so for streams,
test_doctor_gpu.py for GPUs."""
import os
import socket
import subprocess

import doctoring
import harness
from doctoring import denied, doctor, doctor_in, mend
from harness import FAILED, OK, USAGE, check

HOST = ("--device", "host")  # a machine with a GPU and no driver for it (harness.py) is not ready otherwise
NOBODY, SOMEBODY = 65534, 54321
DAEMON = 1  # a user that every system knows
NO_PROC = {"ASAN_OPTIONS": "detect_leaks=0"}  # looking for leaks takes /proc


# ---- what it says, and how ----


def test_ready(s):
    result = s.run("doctor", *HOST)
    check((result.code, result.out) == (OK, "ready\n"), "it says %s", result)
    report = doctor(s, *HOST).ready()
    for name in ("owner", "rights", "access", "namespace", "leftovers", "memfd", "seals", "descriptors", "futex",
                 "pidfd", "file-size", "addresses", "tasks", "memory", "socket", "host"):
        check(any(finding["check"] == name for finding in report.findings), "nothing is said of %s", name)
    report.finding("well", "host", "every byte was right")
    s.publish("test:320x180@25", "cam")
    result = s.run("doctor", "cam")
    check((result.code, result.out) == (OK, "ready\n"), "it says %s", result)


def test_plain(s):
    os.chmod(s.dir, 0o777)
    lines = s.run("doctor", *HOST).out.splitlines()
    check(len(lines) == 4 and lines[0].startswith("problem  directory: anybody may write") and
          lines[1].startswith("  why    ") and lines[2].startswith("  mend   chmod go-w") and lines[3] == "1 problem",
          "it says %s", lines)
    os.chmod(s.dir, 0o770)
    all_lines = s.run("doctor", "--all", *HOST).out.splitlines()
    check(all_lines[-1] == "1 problem" and sum(line.startswith("well ") for line in all_lines) > 10, "%s", all_lines)
    os.chmod(s.dir, 0o700)
    check(s.run("doctor", "--all", *HOST).out.splitlines()[-1] == "ready", "not ready")
    told = s.json("doctor", "--json", *HOST)
    check(told["findings"] == [] and told["name"] is None and told["directory"] == s.dir, "%s", told)


def test_usage(s):
    for args, text in ((("a/b",), "a/b"), (("cam", "cam"), "unexpected"), (("--wait",), "--wait"),
                       (("--device", "gpu"), "gpu"), (("--timeout", "0"), "--timeout"), (("--al",), None)):
        result = s.run("doctor", *args)
        check(result.code == USAGE and text in result.err if text else result.code == OK, "%s: %s", args, result)


def seen(place):
    """Of a directory and all that is in it: whose it is, its rights, its times, its number."""
    paths = [place] + sorted(os.path.join(place, name) for name in os.listdir(place))
    return {path: tuple(os.lstat(path))[:7] + (os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns)
            for path in paths}


def test_changes_nothing(s):
    """Neither files of the living and the dead, for a moment neither: that would show in the directory's time. Nor does
    it leave anything among temporary files, or a process."""
    place = s.path("tmp")
    os.mkdir(place)
    s.publish("test:320x180@25", "living")
    s.publish("test:320x180@25", "cam").kill()
    other = os.path.join(s.dir, "another-programs.lock")
    with open(other, "w"):
        pass
    before = seen(s.dir)
    for args in ((), ("living",), ("cam",), ("none",)):
        report = doctor(s, *args, *HOST, env={"TMPDIR": place})
        check(seen(s.dir) == before and os.listdir(place) == [], "%s: something was changed", args)
        check(args == ("living",) or report.problems, "%s: it is ready", args)
    os.unlink(other)
    s.run("list")


def test_interrupted(s):
    """Ctrl-C while something hangs: it ends at once, and leaves nothing."""
    place = s.path("tmp")
    os.mkdir(place)
    standin = os.path.dirname(harness.need_built("tests", "cuda", "standin", "libcuda.so.1"))
    env = {"LD_LIBRARY_PATH": standin, "CUDA_STANDIN_HANG": "cuInit", "TMPDIR": place}
    process = s.start("doctor", "--device", "cuda", env=env)
    process.wait_for("starting the GPU's driver")
    result = process.stop(code=FAILED)
    check("ready" not in result.out and "before it was through" in result.err, "it says %s", result)
    check(os.listdir(place) == [], "it left %s", os.listdir(place))


# ---- the directory ----


def test_rights(s):
    for mode, text in ((0o777, "anybody"), (0o770, "group")):
        os.chmod(s.dir, mode)
        mend(s, doctor(s, *HOST).problem("rights", text, "%04o" % mode))
        doctor(s, *HOST).ready()
    os.chmod(s.dir, 0o1777)
    doctor(s, *HOST).ready()
    s.publish("test:320x180@25", "cam")
    os.chmod(s.dir, 0o777)  # a reader takes what was named as it is
    doctor(s, "cam").ready().finding("note", "rights", "0777")


def test_owner(s):
    harness.give(s.dir, NOBODY)
    finding = doctor(s, *HOST).problem("owner", NOBODY, s.dir)
    mend(s, finding)
    doctor(s, *HOST).ready()


def test_another_users(s):
    """Without a NAME it must do for a publisher; with one for a reader, who takes what was named."""
    harness.need_user(NOBODY)
    report = doctor(s, *HOST, user=NOBODY)
    report.problem("access", "may not enter", s.dir, "0700")
    os.chmod(s.dir, 0o755)
    mend(s, doctor(s, *HOST, user=NOBODY).problem("access", "may not write", "sudo chgrp $(id -g) " + s.dir), NOBODY)
    doctor(s, *HOST, user=NOBODY).ready()
    s.publish("test:320x180@25", "cam", "--mode", "0666")
    doctor(s, "cam", user=NOBODY).ready()


def test_not_there(s):
    path = s.path("no", "such")
    finding = doctor(s, "--dir", path, *HOST).problem("exists", path, "is not there", "install -d")
    mend(s, finding)
    doctor(s, "--dir", path, *HOST).ready()
    doctor(s, "--dir", s.path("soon"), *HOST).ready().finding("well", "exists", "the first publisher makes it")
    with open(s.path("file"), "w"):
        doctor(s, "--dir", s.path("file"), *HOST).problem("exists", "a file and no directory")


def test_on_the_way(s):
    """What is wrong is named where it is: above the directory, too."""
    harness.need_user(SOMEBODY)
    os.makedirs(s.path("closed", "run"), 0o755)
    os.chmod(s.path("closed"), 0o700)
    for args in ((), ("cam",)):
        report = doctor(s, *args, "--dir", s.path("closed", "run"), *HOST, user=SOMEBODY)
        report.problem("access", "may not enter %s, on the way" % s.path("closed"), "0700",
                       "chmod o+x %s" % s.path("closed"))
    with open(s.path("file"), "w"):
        for path in (s.path("file"), s.path("file", "run")):
            report = doctor(s, "--dir", path, *HOST)
            finding = report.problem("exists", "%s is a file and no directory" % s.path("file"))
            check("install" not in finding["mend"], "%s", finding)
    os.symlink("round", s.path("round"))
    doctor(s, "--dir", s.path("round"), *HOST).problem("exists", "symbolic links", "ls -ld")
    for args in ((), ("cam",)):
        report = doctor(s, *args, "--dir", s.path("no", "such"), *HOST)
        report.problem("exists", "%s is not there" % s.path("no"), "install -d")


def test_not_there_and_not_ours(s):
    harness.need_user(SOMEBODY)
    report = doctor(s, "--dir", s.path("new"), *HOST, user=SOMEBODY)
    finding = report.problem("exists", "%s may not be written to" % s.root, "sudo install -d -m 0700 -o %d" % SOMEBODY)
    mend(s, finding, SOMEBODY)
    doctor(s, "--dir", s.path("new"), *HOST, user=SOMEBODY).ready()


def test_link_to_nothing(s):
    """A publisher does not make what it leads to, and a doctor must not promise it."""
    os.symlink(s.path("away"), s.path("link"))
    failed = s.run("publish", "test:64x64@5", "--name", "cam", "--duration", "1", "--dir", s.path("link"))
    check(failed.code == FAILED, "it publishes: %s", failed)
    doctor(s, "cam", "--dir", s.path("link"), *HOST).problem("exists", "a link to nothing", s.path("away"))
    finding = doctor(s, "--dir", s.path("link"), *HOST).problem("exists", "a link to nothing", s.path("away"))
    mend(s, finding)
    doctor(s, "--dir", s.path("link"), *HOST).ready()


def test_session_of_another(s):
    """XDG_RUNTIME_DIR is kept by sudo and su, and then is another user's, or is not there at all."""
    harness.need_user(SOMEBODY)
    os.mkdir(s.path("session"), 0o700)
    env = {"CUFRAMES_DIR": ""}
    for session, name, text in (("session", "access", "may not enter"), ("no-session", "exists", "is not there")):
        report = doctor(s, *HOST, user=SOMEBODY, env=dict(env, XDG_RUNTIME_DIR=s.path(session)))
        if "choice" in report.problems or not report.problems:
            harness.skip("this machine has a /run/cuframes that anybody may write to")
        report.problem(name, text, s.path(session), "XDG_RUNTIME_DIR=/run/user/%d" % SOMEBODY)


def test_relative_path(s):
    """It is named so that it holds elsewhere, too."""
    for path in ("run", "./run", "././run/"):
        report = doctor_in(s, 'cd "$0"', "cam", "--dir", path, *HOST)
        report.problem("exists", "in " + s.dir, "--dir " + s.dir if not report.in_container else "-v " + s.dir)
    report = doctor_in(s, 'cd "$0/run"', "--dir", ".", *HOST).ready()
    report.finding("well", "choice", "directory is %s," % s.dir)


def test_removed_working_directory(s):
    """Nothing can be made where this process works: a path that goes on from there leads nowhere."""
    script = 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone"'
    for path in ("x", ".", "x/y"):
        for name in ((), ("cam",)):
            report = doctor_in(s, script, *name, "--dir", path, *HOST)
            finding = report.problem("exists", "the directory that this process works in was removed", 'cd "$PWD"')
            check(finding["subject"] == "directory", "%s", finding)
    remedy = finding["mend"].partition(";")[0]
    doctor_in(s, script + "\n" + remedy, "--dir", "x", *HOST).ready()
    doctor_in(s, "rmdir %s\n" % s.path("gone") + script, "--dir", s.dir, *HOST).ready()


def test_immutable(s):
    """An attribute goes before all rights."""
    harness.need_program("chattr")
    harness.need_program("mkfs.ext4")
    image = s.path("image")
    with open(image, "wb") as out:
        out.truncate(4 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "64", image], capture_output=True, text=True, check=False)
    check(made.returncode == 0, "%s", made.stderr)
    script = 'mount -o loop "$0/image" "$0/run" || exit 77; chmod 700 "$0/run"; chattr +i "$0/run"'
    tried = subprocess.run(["unshare", "--mount", "sh", "-ec", script, s.root], capture_output=True, text=True,
                           check=False)
    if tried.returncode != 0:
        harness.skip("no file system can be mounted from a file here: " + tried.stderr.strip())
    script = 'mount -o loop "$0/image" "$0/run"'
    finding = doctor_in(s, script, *HOST).problem("access", "may not write", "immutable", "chattr -i " + s.dir)
    mended = script + "\n" + doctoring.remedy(finding)
    doctor_in(s, mended, *HOST).ready()
    fill = '\ni=0; while touch "$0/run/x$i" 2>/dev/null; do i=$((i + 1)); done'
    doctor_in(s, mended + fill, *HOST).problem("room", "0 are left", "remove files there: df -i " + s.dir)


def test_root_without_its_rights(s):
    """A container without capabilities: root may do no more than anybody."""
    harness.need_user(NOBODY)
    harness.need_program("setpriv")
    weak = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]

    def weakly(*args):
        return doctoring.Report(s.start_program(*weak, *doctoring.words(*args), name="doctor").wait())

    os.chmod(s.root, 0o755)
    harness.give(s.dir, NOBODY)
    report = weakly("cam", *HOST)
    report.problem("access", "may not enter", "CAP_DAC_OVERRIDE", "docker run --user %d" % NOBODY)
    os.chmod(s.dir, 0o755)
    s.publish("test:320x180@25", "cam", "--mode", "0600", user=NOBODY)
    weakly("cam", *HOST).problem("socket", "may not connect", "CAP_DAC_OVERRIDE", "--user %d:%d" % (NOBODY, NOBODY))
    report = weakly(*HOST)
    report.problem("access", "may not write", "CAP_DAC_OVERRIDE", alone=False)


def test_link(s):
    link = s.path("link")
    os.symlink(s.dir, link)
    doctor(s, "--dir", link, *HOST).ready()
    try:
        os.lchown(link, NOBODY, NOBODY)
    except OSError as why:
        harness.skip("cannot give a link to another user: %s" % why)
    doctor(s, "--dir", link + "/", *HOST).problem("link", "user %d" % NOBODY, link)


def test_long_path(s):
    path = s.path("d" * 120)
    os.mkdir(path)
    doctor(s, "--dir", path, *HOST).ready()
    doctor(s, "--dir", "/" + "d" * 300, *HOST).problem("path", "301 bytes", "255")
    report = doctor_in(s, "mount -t tmpfs none /proc", "--dir", path, *HOST, env=NO_PROC)
    report.problem("length", "mount -t proc", "107", alone=False)


def test_read_only(s):
    script = 'mount --bind "$0/run" "$0/run" && mount -o remount,bind,ro "$0/run"'
    doctor_in(s, script, *HOST).problem("access", "read-only", ":ro")
    s.publish("test:320x180@25", "cam")
    doctor_in(s, script, "cam").ready().finding("note", "access", "enough to read")


def test_no_room(s):
    script = 'mount -t tmpfs -o nr_inodes=2,mode=0700 none "$0/run" && touch "$0/run/x"'
    doctor_in(s, script, *HOST).problem("room", "df -i")


def test_default_that_is_not_taken(s):
    """Streams in /run/cuframes, where this user may not write, and so does not look."""
    harness.need_user(SOMEBODY)
    harness.need_program("setpriv")
    pub = s.publish("test:320x180@25", "cam")
    copy = s.for_user(SOMEBODY, harness.program())
    script = 'mount -t tmpfs none /run && mkdir /run/cuframes && mount --bind "$0/run" /run/cuframes && chmod 755 ' \
             '/run/cuframes && unset CUFRAMES_DIR XDG_RUNTIME_DIR'
    argv = ["unshare", "--mount", "sh", "-ec", script + '\nexec "$@"', s.root, "setpriv", "--reuid", SOMEBODY,
            "--regid", SOMEBODY, "--clear-groups", copy]
    doctoring.need_mounts()
    for name, problem in (((), "choice"), (("cam",), "exists")):
        _, *args = doctoring.words(*name, *HOST)
        report = doctoring.Report(s.start_program(*argv, *args, name="doctor").wait())
        report.problem(problem, "/run/cuframes", "CUFRAMES_DIR=/run/cuframes")
    pub.stop()


def test_user_namespace(s):
    """A directory whose owner has no number in a rootless container."""
    harness.need_program("unshare")
    harness.give(s.dir, SOMEBODY)
    os.chmod(s.dir, 0o755)
    report = doctor_in(s, ":", *HOST, more=("--user", "--map-root-user"))
    report.problem("owner", "user namespace", "mkdir", alone=False)


def test_leftovers(s):
    pub = s.publish("test:320x180@25", "cam")
    doctor(s, *HOST).ready()
    pub.kill()
    mend(s, doctor(s, *HOST).problem("leftovers", "cam", "killed"))
    check(os.listdir(s.dir) == [], "it left %s", os.listdir(s.dir))
    doctor(s, *HOST).ready()
    for name, mode in (("alone", 0o600), ("another-programs", 0o644)):  # a lock without a socket
        os.close(os.open(os.path.join(s.dir, name + ".lock"), os.O_CREAT, mode))
        s.leaves(name + ".lock")
    check("another" not in doctor(s, *HOST).problem("leftovers", "alone")["what"], "it takes any lock for ours")


def test_sockets_without_locks(s):
    """A list leaves them: their publisher's lock is gone. What hundreds leave is said, too."""
    odd = s.path("it's odd")
    os.mkdir(odd, 0o700)
    for number in range(300):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.bind(os.path.join(odd, "dead%03d.sock" % number))
    finding = doctor(s, "--dir", odd, *HOST).problem("leftover-sockets", "dead000", "their locks are gone")
    s.run("list", "--dir", odd)
    check(len(os.listdir(odd)) == 300, "a list removes them")
    mend(s, finding)
    left = len(os.listdir(odd))
    check(left < 300 and not os.path.exists(os.path.join(odd, "dead000.sock")), "it left %s", left)
    for name in os.listdir(odd)[1:]:
        os.unlink(os.path.join(odd, name))
    mend(s, doctor(s, "--dir", odd, *HOST).problem("leftover-sockets"))
    doctor(s, "--dir", odd, *HOST).ready()


def test_leftovers_of_another(s):
    harness.need_user(NOBODY)
    os.chmod(s.dir, 0o1777)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0666", user=NOBODY)
    pub.kill()
    doctor(s, *HOST, user=SOMEBODY).problem("leftovers", "other users", "sudo cuframes list", alone=False)
    mend(s, doctor(s, *HOST).problem("leftovers", "cam"))


# ---- kernel and seccomp ----


def test_kernel(s):
    for call, error, name, text in (("memfd_create", "ENOSYS", "memfd", "memfd_create"),
                                    ("memfd_create", "EPERM", "memfd", "seccomp"),
                                    ("fcntl:1=1033", "EINVAL", "seals", "5.1"),
                                    ("fcntl:1=1033", "EPERM", "seals", "seccomp"),
                                    ("fcntl:1=1033", "NOTHING", "seals", "imitates Linux"),
                                    ("socketpair", "EPERM", "sockets", "AF_UNIX"),
                                    ("sendmsg", "EPERM", "descriptors", "SCM_RIGHTS"),
                                    ("sendmsg", "NOTHING", "descriptors", "SCM_RIGHTS"),
                                    ("getsockopt:2=17", "ENOPROTOOPT", "credentials", "SO_PEERCRED"),
                                    ("futex:1=9", "ENOSYS", "futex", "sleep"),
                                    ("epoll_create1", "EPERM", "epoll", "epoll_create1"),
                                    ("eventfd2", "ENOSYS", "epoll", "eventfd")):
        denied(s, call, error, *HOST).problem(name, text)


def test_kernel_that_lacks_what_need_not_be(s):
    for call, error, name in (("pidfd_open", "ENOSYS", "pidfd"), ("futex_waitv", "ENOSYS", "futex_waitv"),
                              ("setsockopt:2=83", "ENOPROTOOPT", "passrights")):
        report = denied(s, call, error, *HOST).ready()
        report.finding("note", name)
        report.finding("note", "seccomp", "in force")


def test_memfd_noexec(s):
    """An administrator can forbid executable memory: to Linux 6.6 that was all memory of ours, too."""
    setting = "/proc/sys/vm/memfd_noexec"
    if not os.path.exists(setting):
        harness.skip("no %s: Linux before 6.3" % setting)
    script, more = "echo 2 > " + setting, ("--pid", "--fork", "--mount-proc")
    old = 'set -- python3 "%s" memfd_create EACCES "$@"' % os.path.join(harness.HERE, "deny.py")
    report = doctor_in(s, script + "\n" + old, *HOST, more=more)
    report.problem("memfd", "vm.memfd_noexec is 2", "sysctl", alone=False)


# ---- limits ----


def test_limits(s):
    doctor(s, *HOST, limit=("--nofile=100:",)).problem("descriptors", "100", "ulimit -n")
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o1777)
    finding = doctor(s, *HOST, user=SOMEBODY, limit=("--nofile=100",)).problem("descriptors", "100")
    check("sudo prlimit --pid $$ --nofile=4096" in finding["mend"], "it may not raise its hard limit: %s", finding)
    os.chmod(s.dir, 0o700)
    doctor(s, *HOST, limit=("--nofile=14:",)).problem("descriptors", "14")
    doctor(s, *HOST, limit=("--fsize=1000000:",)).problem("file-size", "FSIZE", "ulimit -f")
    doctor(s, *HOST, limit=("--memlock=0",)).ready().finding("unknown", "locked-memory", "MEMLOCK")
    s.publish("test:320x180@25", "cam")
    doctor(s, "cam", limit=("--nofile=100:",)).ready()
    doctor(s, "cam", limit=("--nofile=40:",)).problem("descriptors", "reader")
    if not harness.SANITIZED:  # which writes files, and maps terabytes
        doctor(s, *HOST, limit=("--fsize=0:",)).problem("file-size", "0 B at most", "ulimit -f")
        doctor(s, *HOST, limit=("--as=900000000:",)).problem("addresses", "ulimit -v")


def test_processes(s):
    """No further process: the limit of a user who has nothing else."""
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o1777)
    report = doctor(s, *HOST, user=SOMEBODY, limit=("--nproc=1:",))
    report.problem("process", "fork", "ulimit -u")


def test_group_memory(s):
    group = doctoring.make_group(s, "memory", ("memory.max", "memory.limit_in_bytes"), 30 << 20)
    report = doctor_in(s, 'echo $$ > %s/cgroup.procs' % group, *HOST)
    report.problem("group-memory", "30.0 MiB", "docker update", alone=not harness.SANITIZED)


def test_group_tasks(s):
    group = doctoring.make_group(s, "pids", ("pids.max", "pids.max"), 15)
    doctor_in(s, 'echo $$ > %s/cgroup.procs' % group, *HOST).problem("tasks", "TasksMax", "15")


def test_machine_memory(s):
    with open(s.path("meminfo"), "w") as out:
        out.write("MemTotal: 100000 kB\nMemAvailable:  9000 kB\nSwapFree: 0 kB\n")
    finding = doctor_in(s, 'mount --bind "$0/meminfo" /proc/meminfo', *HOST).problem("memory", "8.8 MiB", "free -h")
    check(finding["subject"] == "limits", "%s", finding)


def test_nothing_can_be_seen(s):
    """Without /proc what cannot be seen is unknown, and neither well nor wrong."""
    report = doctor_in(s, "mount -t tmpfs none /proc", *HOST, env=NO_PROC).ready()
    for name in ("memory", "namespace"):
        report.finding("unknown", name)


# ---- accounts ----


def test_wrong_group(s):
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0660")
    report = doctor(s, "cam", user=SOMEBODY)
    report.problem("socket", "may not connect to cam", "0660", "group 0", SOMEBODY)
    doctor(s, *HOST, user=SOMEBODY).finding("unknown", "socket", "cam")
    os.chown(os.path.join(s.dir, "cam.sock"), 0, NOBODY)
    doctor(s, "cam", user=SOMEBODY).problem("socket", "a user that this machine knows", "--group-add %d" % NOBODY)
    doctor(s, "cam", user=DAEMON).problem("socket", "usermod -aG nogroup daemon", "--group-add %d" % NOBODY)
    os.chown(os.path.join(s.dir, "cam.sock"), 0, SOMEBODY - 1)  # a group without a name
    doctor(s, "cam", user=DAEMON).problem("socket", "sudo groupadd -g %d cuframes-%d && sudo usermod -aG cuframes-%d "
                                          "daemon" % (3 * (SOMEBODY - 1,)), "--group-add %d" % (SOMEBODY - 1))
    pub.stop()


def test_allow_list(s):
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o755)
    s.publish("test:320x180@25", "cam", "--mode", "0666", "--allow-uid", "1")
    doctor(s, "cam", user=SOMEBODY).problem("answer", "allow list", "--allow-uid %d" % SOMEBODY)
    # In a user namespace it is another number for itself than for the publisher.
    copy = s.for_user(SOMEBODY, harness.program())
    _, *args = doctoring.words("cam", *HOST)
    harness.need_program("unshare")
    as_root = ["unshare", "--user", "--map-root-user"]
    tried = subprocess.run([*as_root, "true"], capture_output=True, check=False, **harness.as_user(SOMEBODY))
    if tried.returncode != 0:
        harness.skip("no user namespace can be made here")
    result = s.start_program("setpriv", "--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", *as_root, copy,
                             *args, name="doctor").wait()
    doctoring.Report(result).problem("answer", "allow list", "--allow-uid %d" % SOMEBODY)


def test_container(s):
    """In a container its own directory is shared with nobody: what a new user meets first."""
    with open(s.path("containerenv"), "w"):
        pass
    script = 'mount -t tmpfs none /run && cp "$0/containerenv" /run/.containerenv && mkdir -m 700 /run/cuframes && ' \
             'unset CUFRAMES_DIR'
    report = doctor_in(s, script, *HOST).ready()
    report.finding("note", "container", "a container")
    report.finding("note", "namespace", "/run/cuframes", "-v")
    doctor_in(s, script, "cam").problem("exists", "docker run -v /run/cuframes:/run/cuframes")
    bound = script + ' && mount --bind "$0/run" /run/cuframes'
    doctor_in(s, bound, *HOST).ready().finding("well", "namespace", "mounted into this container")


def test_no_place_for_a_trial(s):
    """TMPDIR that cannot be written to: the next one is taken. If none is left, that is unknown."""
    doctor(s, *HOST, env={"TMPDIR": "/proc/no"}).ready().finding("well", "host")
    script = "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && mount -t tmpfs -o ro none /dev/shm && " \
             "mount -t tmpfs -o mode=0700 none /mnt"
    report = doctor_in(s, script, "--dir", "/mnt", *HOST, env={"TMPDIR": "/proc/no"}).ready()
    report.finding("unknown", "host", "not tried")


if __name__ == "__main__":
    doctoring.main(globals())
