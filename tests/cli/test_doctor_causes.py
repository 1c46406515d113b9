#!/usr/bin/env python3
"""test_doctor_causes.py - cuframes doctor says why a call of the system fails or a process dies by the error and the
signal, wherever that is met; and it ends, and counts right, whatever happens to its own processes."""
import os
import signal
import subprocess

import doctoring
import harness
from doctoring import denied, doctor
from harness import check

HOST = ("--device", "host")
SOMEBODY = 54324  # of this test alone: a limit of processes counts those of other tests, too
SHORT = ("--timeout", "4")


# ---- errors ----


def test_errors_of_a_call(s):
    """The same error has the same cause and remedy, whichever call meets it."""
    for call, error, texts in (("memfd_create", "EMFILE", ("NOFILE", "ulimit -n 4096")),
                               ("memfd_create", "ENFILE", ("the machine", "fs.file-max")),
                               ("memfd_create", "ENOMEM", ("memory has run out", "free -h")),
                               ("memfd_create", "ENOSYS", ("seccomp", "seccomp=PROFILE")),
                               ("ftruncate", "ENOSPC", ("is full", "df -h")),
                               ("ftruncate", "EDQUOT", ("as much on the disk", "quota")),
                               ("ftruncate", "EFBIG", ("FSIZE", "ulimit -f unlimited")),
                               ("ftruncate", "EIO", ("Input/output", "strace -f cuframes doctor shows the call"))):
        report = denied(s, call, error, *HOST)
        report.problem("memfd", call, *texts)
        report.finding("unknown", "host", "not tried", "kernel")


def test_errors_of_the_trial(s):
    """What the kernel's part does not try is met by a stream of its own, and nothing is said of options for that."""
    for call, error, texts in (("bind", "EOPNOTSUPP", ("the file system", "TMPDIR=/dev/shm", "--dir /dev/shm")),
                               ("flock", "ENOLCK", ("no locks", "TMPDIR=/dev/shm")),
                               ("fallocate", "ENOSYS", ("seccomp filter", "SystemCallFilter=")),
                               ("listen", "EPERM", ("seccomp filter", "seccomp=PROFILE")),
                               ("socket", "EPERM", ("socket:", "seccomp filter")),
                               ("socket", "EAFNOSUPPORT", ("unix sockets", "RestrictAddressFamilies=AF_UNIX")),
                               ("connect", "EACCES", ("cannot be read by another", "seccomp filter")),
                               ("connect", "ECONNREFUSED", ("nobody publishes it", "please report it"))):
        finding = denied(s, call, error, *HOST).problem("host", *texts)
        for text in ("(null)", "cuframes publish"):
            check(text not in str(finding), "%s %s: %s", call, error, finding)
    denied(s, "accept4", "EPERM", *HOST, *SHORT).problem("host", "did not answer", "too busy", "strace")


def test_security_module(s):
    """One refuses what rights allow, and no filter is in force."""
    with open("/proc/self/status") as file:
        if "Seccomp:\t0" not in file.read():
            harness.skip("a seccomp filter is in force here, and gets the blame")
    for right, text in (("make-socket", "cannot create the socket"), ("make-file", "cannot open the lock file")):
        report = denied(s, right, "LANDLOCK", *HOST)
        report.problem("host", text, "a security module, such as SELinux", "grep -i -e denied", "label=disable")


def test_a_call_that_kills(s):
    """A filter may end the process: the call is named, and so is the filter."""
    for call, name in (("memfd_create", "memfd_create"), ("futex_waitv", "futex_waitv"), ("pidfd_open", "pidfd_open"),
                       ("epoll_create1", "epoll_create1"), ("sendmsg", "sendmsg")):
        denied(s, call, "KILL", *HOST).problem("crash", "signal 31", name, "seccomp filter kills")
    denied(s, "bind", "KILL", *HOST).problem("host", "without a word", "seccomp filter kills")


def test_a_stream_behind_a_wall(s):
    """The rights of the socket let us through, and something else does not: one cause, one problem. It is not said that
    a publisher has died which only we cannot reach."""
    s.publish("test:320x180@25", "cam")
    for call, error, texts in (("connect", "EACCES", ("seccomp filter",)), ("connect", "EPERM", ("seccomp filter",)),
                               ("connect", "ENOSYS", ("seccomp filter",)), ("socket", "EPERM", ("seccomp filter",)),
                               ("connect", "ECONNREFUSED", ("seccomp filter",)),
                               ("socket", "EMFILE", ("NOFILE", "ulimit -n 4096")),
                               ("socket", "EAFNOSUPPORT", ("AF_UNIX", "RestrictAddressFamilies="))):
        report = denied(s, call, error, "cam", *HOST, *SHORT)
        report.problem("answer", "not let through to the publisher of cam", *texts)
        report.finding("unknown", "join", "not tried")
        report.finding("unknown", "host", "see the stream")
    denied(s, "connect", "ECONNREFUSED", *HOST).problem("host", "cannot be read by another")


# ---- limits ----


def test_no_descriptors_at_all(s):
    """However few there are: that is said, once, and nothing of what fails for it."""
    if harness.SANITIZED:
        harness.skip("a sanitizer needs some")
    for most in range(4, 20):
        report = doctor(s, *HOST, limit=("--nofile=%d:" % most,))
        name = "descriptors" if "descriptors" in report.problems else "process"
        report.problem(name, "NOFILE", "ulimit -n 4096")


def test_few_threads(s):
    """A limit that is enough for the doctor and for no publisher of many cameras."""
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o1777)
    report = doctor(s, *HOST, user=SOMEBODY, limit=("--nproc=9:",))
    report.problem("tasks", "threads more", "ulimit -u 4096", "--pids-limit")
    doctor(s, *HOST, user=SOMEBODY, limit=("--nproc=200",)).ready().finding("well", "tasks")


def test_cpu_time(s):
    doctor(s, *HOST, limit=("--cpu=500:",)).problem("cpu-time", "this process", "500 s", "ulimit -t unlimited")
    pub = s.publish("test:320x180@25", "cam", limit=("--cpu=500:",))
    doctoring.mend(s, doctor(s, "cam").problem("cpu-time", "the publisher %d" % pub.pid, "LimitCPU=infinity"))
    doctor(s, "cam").ready()


def test_stacks(s):
    """Threads get as much as the limit says, and die."""
    if harness.SANITIZED:
        harness.skip("a sanitizer needs more")
    report = doctor(s, *HOST, limit=("--stack=100000:",))
    report.problem("stack", "97.7 KiB", "STACK", "ulimit -s 8192")
    report.finding("unknown", "host", "not tried")


# ---- its own processes ----


def child_of(s, pid, depth):
    """A process that far below; it is waited for."""
    found = []

    def look():
        found[:] = [pid]
        for _ in range(depth):
            with open("/proc/%d/task/%d/children" % (found[0], found[0])) as file:
                children = file.read().split()
            if not children:
                return False
            found[:] = [int(children[0])]
        return True

    s.until(look, "it has a child")
    return found[0]


def hang(s, *args):
    """One that hangs in a file system, with the limit of time that arguments give."""
    process = doctoring.start_denied(s, "mkdir", "HANG", *HOST, *args)
    try:
        process.wait_for("making a directory for the trial")
    except harness.Failure:
        doctoring.report_of(process)  # it may be that there can be no filter
        raise
    return process


def test_hanging(s):
    """A file system that never answers, where the trial is to be: it ends in time, and looks at all the rest."""
    report = denied(s, "mkdir", "HANG", *HOST, *SHORT)
    report.problem("time", "making a directory for the trial", "did not end within 4 s", "umount", "TMPDIR")
    report.finding("unknown", "host", "not tried")
    report.finding("well", "memfd")
    report = denied(s, "memfd_create", "HANG", *HOST, *SHORT)
    report.problem("time", "making shared memory", "did not end within 4 s", "dmesg says")
    process = hang(s, "--timeout", "1000")
    process.send(signal.SIGINT)
    result = process.wait()
    check(result.code == harness.FAILED and "before it was through" in result.err, "it says %s", result)


def test_killed(s):
    """Each way in which a process of its own can die has its cause and remedy, and the others go on."""
    if not os.path.exists("/proc/self/task/%d/children" % os.getpid()):
        harness.skip("the kernel does not list children")
    causes = [(signal.SIGKILL, ("killed", "dmesg | tail")), (signal.SIGXCPU, ("CPU time", "ulimit -t unlimited"))]
    if not harness.SANITIZED:  # which has handlers of its own
        causes += [(signal.SIGBUS, ("shorter than it should be", "installed anew")),
                   (signal.SIGSEGV, ("is broken", "please report it"))]
    for number, texts in causes:
        process = hang(s, "--timeout", "1000")
        os.kill(child_of(s, process.pid, 2), number)
        report = doctoring.report_of(process)
        report.problem("crash", "making a directory for the trial", "signal %d" % number, *texts)
        report.finding("unknown", "host", "not tried")


def test_examiner_killed(s):
    """The process that runs the others: what was found until then is told, and that it is not all."""
    place = s.path("tmp")
    os.mkdir(place)
    standin = os.path.dirname(harness.need_built("tests", "cuda", "standin", "libcuda.so.1"))
    env = {"LD_LIBRARY_PATH": standin, "CUDA_STANDIN_HANG": "cuMemCreate", "TMPDIR": place}
    process = s.start_program(*doctoring.words("--device", "cuda", "--timeout", "1000"), name="doctor", env=env)
    process.wait_for("trial stream on the GPU")
    examiner, orphans = child_of(s, process.pid, 1), [child_of(s, process.pid, depth) for depth in (2, 3)]
    os.kill(examiner, signal.SIGKILL)
    report = doctoring.Report(process.wait())
    for orphan in orphans:  # they die with it, and are ours then, or init's
        try:
            os.waitpid(orphan, 0)
        except ChildProcessError:
            pass
    report.problem("process", "ended early", "trial stream on the GPU", "killed", alone=False)
    report.finding("well", "memfd")
    check(os.listdir(place) == [], "it left %s", os.listdir(place))


def test_parents(s):
    """Who starts it may ignore how children end, or be outside its PID namespace."""
    standin = os.path.dirname(harness.need_built("tests", "cuda", "standin", "libcuda.so.1"))
    ignore = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); " \
             "os.execv(sys.argv[1], sys.argv[1:])"
    for env, problem in (({}, None), ({"LD_LIBRARY_PATH": standin, "CUDA_STANDIN_CRASH": "cuDeviceGetCount"}, "crash")):
        device = ("--device", "cuda") if problem else HOST
        words = doctoring.words(*device)
        report = doctoring.Report(s.start_program("python3", "-c", ignore, *words, name="doctor", env=env).wait())
        if problem and not harness.SANITIZED:
            report.problem(problem, "starting the GPU's driver", "signal 11", alone=False)
        elif not problem:
            report.ready()
    harness.need_program("unshare")
    tried = subprocess.run(["unshare", "--pid", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        harness.skip("no PID namespace can be made here")
    doctoring.Report(s.start_program("unshare", "--pid", *doctoring.words(*HOST), name="doctor").wait()).ready()


if __name__ == "__main__":
    doctoring.main(globals())
