"""harness.py - what the end-to-end tests share: a runtime directory of their own, processes with deadlines,
and the check that nothing is left behind.

A test file looks like this (python3, standard library only; each file is one ctest test, exit 77 means skipped):

    #!/usr/bin/env python3
    import harness
    from harness import check

    def test_list_knows_a_stream(s):
        pub = s.publish("test:320x240@25", "cam")
        streams = s.json("list", "--json")
        check(streams[0]["name"] == "cam", "list says %r", streams)
        pub.stop()

    if __name__ == "__main__":
        harness.main(globals())

Every test_* function gets a Session. When it returns, the session stops what still runs (SIGINT, then SIGKILL),
and fails the test if a process had to be killed, a file is left in the runtime directory, or a child or
grandchild is alive. On a failure it prints the end of every process's output.

Environment: CUFRAMES (the program), CUFRAMES_SOURCE_DIR, CUFRAMES_BUILD_DIR, CUFRAMES_SANITIZE (not empty: a slow
build); CUFRAMES_TEST_TIMEOUT multiplies the limit. Arguments: names of the tests to run (default: all), -k keeps
the temporary directory.
No process sees a CUDA driver unless the test gives it one (test_gpu.py).
Nothing here sleeps to synchronise: waits are for an event, with a deadline. That is one LIMIT for everything: it finds
what hangs, and no test may fail because the machine is slow or busy. What should be quick, or keep a pace, is judged by
pace(): a test in which it did not hold runs again, and fails if it did so every time.
"""
import collections
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SKIP = 77
SANITIZED = bool(os.environ.get("CUFRAMES_SANITIZE"))
LIMIT = 120 * (4 if SANITIZED else 1) * max(1, float(os.environ.get("CUFRAMES_TEST_TIMEOUT") or 1))
SLOW_MOST = 5
GIVE_UP = ("verify", "snapshot", "record", "pipe", "doctor")
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE_DIR = os.environ.get("CUFRAMES_SOURCE_DIR", os.path.dirname(os.path.dirname(HERE)))
BUILD_DIR = os.environ.get("CUFRAMES_BUILD_DIR", os.path.join(SOURCE_DIR, "build"))
CLIP = os.path.join(SOURCE_DIR, "tests", "data", "sintel-trailer-14s.mp4")

# Exit codes of the program.
OK, FAILED, USAGE, NO_STREAM, TIMEOUT, NOT_LIVE = range(6)

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_IN_CREATE, _IN_DELETE, _IN_MOVED = 0x100, 0x200, 0xC0

SKIPPED = []  # the tests of this file that could not run

# How a process ended.
Result = collections.namedtuple("Result", "code out err")


class Failure(AssertionError):
    """A check that did not hold."""


class Slow(Failure):
    """A pace that was not kept: it may be the machine's fault."""


class Skip(Exception):
    """The test cannot run here; says why."""


def check(condition, message="check failed", *args):
    if not condition:
        raise Failure(message % args if args else message)


def pace(condition, message="too slow", *args):
    """A check of what a busy machine may spoil: the test runs again, SLOW_MOST times in all."""
    if not condition:
        raise Slow(message % args if args else message)


def skip(reason):
    raise Skip(reason)


def need_program(name):
    """The path of a program from $PATH, or the test is skipped."""
    path = shutil.which(name)
    if not path:
        skip("no program '%s' here" % name)
    return path


def need_built(*parts):
    """A file of the build tree (as path parts), or the test is skipped."""
    path = os.path.join(BUILD_DIR, *parts)
    if not os.path.exists(path):
        skip("'%s' was not built" % path)
    return path


def as_user(user):
    """What subprocess needs to start a process of this user, who is in the group of the same number alone."""
    return {"user": user, "group": user, "extra_groups": []}


def may(user, *test):
    """Whether test(1) says yes to this user, who must be one that need_user() let pass."""
    return subprocess.run(["test", *test], check=False, **as_user(user)).returncode == 0


def need_user(user):
    """The test is skipped unless this process may become that user."""
    if os.geteuid() != 0:
        skip("needs root, to become another user")
    try:
        subprocess.run(["true"], check=True, **as_user(user))
    except OSError as why:  # no CAP_SETUID or CAP_SETGID, or a user that this user namespace does not know
        skip("cannot become user %d here: %s" % (user, os.strerror(why.errno)))


def give(path, user):
    """The file becomes that user's, or the test is skipped."""
    try:
        os.chown(path, user, user)
    except OSError as why:  # no CAP_CHOWN, or a user that this user namespace does not know
        skip("cannot give files to user %d here: %s" % (user, os.strerror(why.errno)))


def program():
    path = os.environ.get("CUFRAMES")
    if path:
        return path
    path = os.path.join(BUILD_DIR, "cuframes")
    if os.access(path, os.X_OK):
        return path
    raise Failure("no program: set CUFRAMES to the path of cuframes")


def patient(args):
    """Arguments of the program with which it waits as long as tests do, where it gives up after seconds by default, or
    evicts who is slow; a test may say how long."""
    args = [str(argument) for argument in args]
    option = {"publish": "--ordered-timeout", **dict.fromkeys(GIVE_UP, "--timeout")}.get(args[0] if args else "")
    said = any(argument.split("=")[0] in (option, "--config") for argument in args)
    return args if said or not option else [args[0], option, str(LIMIT), *args[1:]]


class Deadline:
    """LIMIT from now, or so many seconds; left() never goes below 0."""

    def __init__(self, seconds=LIMIT):
        self.seconds = seconds
        self.end = time.monotonic() + self.seconds

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def over(self):
        return self.left() <= 0


def wait_ms(seconds):
    """For poll(): rounded up, so that a deadline is not polled to death at its end."""
    return int(seconds * 1000) + 1


def states(pid):
    """Of each thread of a process: what the kernel says of it, "R", "S", "T" (stopped) and so on."""
    found = {}
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/stat" % (pid, thread)) as file:
                found[thread] = file.read().rpartition(")")[2].split()[0]
        except OSError:  # it has ended
            pass
    return found


def stop_process(pid):
    """SIGSTOP, and waits until it is done. One thread after the other takes the signal, whichever runs; till then the
    rest goes on, and answers."""
    os.kill(pid, signal.SIGSTOP)
    deadline, looks = Deadline(), 0
    while looks < 2:  # a thread that was just being made while the first look was taken is seen by the second
        seen = states(pid)
        looks = looks + 1 if set(seen.values()) <= set("TtXZ") else 0
        check(seen, "process %d has ended, and cannot be stopped", pid)
        check(not deadline.over(), "process %d is not stopped: %s", pid, seen)
        if looks == 0:
            select.poll().poll(1)


class Watch:
    """inotify on one directory: wait() returns after a file came, went or moved."""

    def __init__(self, path):
        self.fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0 or _libc.inotify_add_watch(self.fd, os.fsencode(path), _IN_CREATE | _IN_DELETE | _IN_MOVED) < 0:
            raise OSError(ctypes.get_errno(), "inotify", path)
        self.poll = select.poll()
        self.poll.register(self.fd, select.POLLIN)

    def wait(self, seconds):
        if self.poll.poll(wait_ms(seconds)):
            os.read(self.fd, 65536)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Process:
    """A running program. Its output is read by two threads, kept as text, and can be waited for by line."""

    def __init__(self, session, argv, name, **popen):
        self.session, self.name, self.argv = session, name, argv
        self.killed = False
        self.changed = threading.Condition()
        self.text = {"out": "", "err": ""}
        popen.setdefault("stdout", subprocess.PIPE)
        self.popen = subprocess.Popen(argv, stderr=subprocess.PIPE, cwd=session.root, **popen)
        self.pid = self.popen.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.readers = [threading.Thread(target=self._read, args=(pipe, key), daemon=True)
                        for pipe, key in ((self.popen.stdout, "out"), (self.popen.stderr, "err")) if pipe]
        self.open_pipes = len(self.readers)
        for reader in self.readers:
            reader.start()

    def _read(self, pipe, key):
        while True:
            data = os.read(pipe.fileno(), 65536)
            with self.changed:
                if data:
                    self.text[key] += data.decode("utf-8", "replace")
                else:
                    self.open_pipes -= 1
                self.changed.notify_all()
            if not data:
                return

    @property
    def out(self):
        with self.changed:
            return self.text["out"]

    @property
    def err(self):
        with self.changed:
            return self.text["err"]

    def wait_for(self, pattern, stream="err", after=0):
        """Waits until the output has a match of the pattern behind position `after`; gives the match."""
        expression, deadline = re.compile(pattern, re.M), Deadline()
        with self.changed:
            while True:
                match = expression.search(self.text[stream], after)
                if match:
                    return match
                if self.open_pipes == 0:
                    raise Failure("%s ended without saying /%s/" % (self.name, pattern))
                if deadline.over():
                    raise Failure("%s did not say /%s/ within %.1f s" % (self.name, pattern, deadline.seconds))
                self.changed.wait(deadline.left())

    def say(self, line):
        """A line on its stdin, which `stdin=subprocess.PIPE` must have opened."""
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def alive(self):
        return self.popen.poll() is None

    def send(self, number):
        """A signal, by pid; never to a process that is gone."""
        if self.alive():
            signal.pidfd_send_signal(self.pidfd, number)

    def suspend(self):
        """It stands still when this returns, all its threads; resume() lets it go on."""
        check(self.alive(), "%s has ended, and cannot be stopped", self.name)
        stop_process(self.pid)

    def resume(self):
        self.send(signal.SIGCONT)

    def wait(self, seconds=LIMIT):
        """Waits for the end; gives Result(code, out, err). code is -N after signal N."""
        poll, deadline = select.poll(), Deadline(seconds)
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(wait_ms(deadline.left())):
            raise Failure("%s did not end within %.1f s" % (self.name, deadline.seconds))
        self.popen.wait()
        for reader in self.readers:
            reader.join(LIMIT)
            check(not reader.is_alive(), "%s ended, but somebody still holds its output open", self.name)
        return Result(self.popen.returncode, self.out, self.err)

    def stop(self, number=signal.SIGINT, code=OK):
        """Asks it to end (SIGINT) and expects this exit code (None: any). Gives the Result."""
        self.send(number)
        result = self.wait()
        check(code is None or result.code == code, "%s ended with %s, expected %s", self.name, result.code, code)
        return result

    def kill(self):
        """SIGKILL, and waits for the end."""
        self.killed = True
        self.send(signal.SIGKILL)
        return self.wait()

    def expect(self, code):
        """Waits for the end and checks the exit code. Gives the Result."""
        result = self.wait()
        check(result.code == code, "%s ended with %s, expected %s", self.name, result.code, code)
        return result

    def json(self, code=OK):
        """Waits for the end, checks the exit code, and gives its output, which must be one JSON value."""
        return parse_json(self.expect(code).out, self.name)

    def descriptors(self):
        """How many it has open now."""
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def memory(self):
        """Bytes that are its own: not those of files, nor what it has in common with other processes."""
        with open("/proc/%d/status" % self.popen.pid, encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

    def cpu_seconds(self):
        """User and system time used so far."""
        with open("/proc/%d/stat" % self.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        os.close(self.pidfd)
        if self.popen.stdin:
            self.popen.stdin.close()
        if self.popen.stdout:
            self.popen.stdout.close()
        self.popen.stderr.close()


def parse_json(text, what="output"):
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure("%s: not one JSON value (%s): %r" % (what, error, text[:400])) from None


class Session:
    """One test's temporary root, runtime directory and processes."""

    def __init__(self, name):
        parent = tempfile.gettempdir()
        self.root = tempfile.mkdtemp(prefix="%.6s-" % name, dir=parent if len(parent) <= 28 else "/tmp")  # for sockets
        os.chmod(self.root, 0o755)  # a test may start processes of other users
        self.dir = os.path.join(self.root, "run")
        os.mkdir(self.dir, 0o700)
        self.env = dict(os.environ, CUFRAMES_DIR=self.dir, LC_ALL="C.UTF-8", LD_LIBRARY_PATH=self.no_driver())
        self.processes = []
        self.may_leave = set()
        self.stop_seconds = LIMIT
        self.cleanups = []

    def no_driver(self):
        """An LD_LIBRARY_PATH without a CUDA driver, so that tests are the same where there is one."""
        directory = os.path.join(self.root, "no-driver")
        os.mkdir(directory, 0o755)
        with open(os.path.join(directory, "libcuda.so.1"), "w"):
            return os.pathsep.join(filter(None, [directory, os.environ.get("LD_LIBRARY_PATH")]))

    def path(self, *parts):
        """A path below the temporary root (outside the runtime directory)."""
        return os.path.join(self.root, *parts)

    def at_end(self, function, *args):
        """Called at the end of the session, last one first, after the processes have ended."""
        self.cleanups.append((function, args))

    def start(self, *args, name=None, **options):
        """Starts the cuframes program; options as of start_program()."""
        return self.start_program(program(), *patient(args), name=name or "cuframes " + args[0], **options)

    def start_to(self, stdout, *args, name=None, **options):
        """Starts the cuframes program with this descriptor as its stdout; nothing of that is kept here."""
        return self.start_program(program(), *patient(args), name=name or "cuframes " + args[0], stdout=stdout,
                                  **options)

    def start_program(self, *argv, env=None, limit=(), user=None, name=None, stdin=subprocess.DEVNULL,
                      stdout=subprocess.PIPE):
        """Starts any program. user: a uid to run as; the test is skipped where that is not possible. limit: arguments
        for prlimit(1), such as "--fsize=100000". stdin: subprocess.PIPE for say().
        stdout: a descriptor, of which nothing is kept here."""
        argv = [str(argument) for argument in argv]
        name = name or os.path.basename(argv[0])
        if user is not None:
            argv[0] = self.for_user(user, argv[0])
        if limit:
            argv = [need_program("prlimit"), *limit, "--", *argv]
        popen = {} if user is None else as_user(user)
        popen.update(env=dict(self.env, **(env or {})), stdin=stdin, stdout=stdout)
        process = Process(self, argv, "%s[%d]" % (name, len(self.processes)), **popen)
        self.processes.append(process)
        return process

    def for_user(self, user, path):
        """A copy of a program, and of what it needs from the build and the sources, that this user can run: others may
        not be let into the directories above them, as in a clone below /root."""
        need_user(user)
        if not may(user, "-x", self.root):
            skip("user %d may not enter the directory for temporary files, %s" % (user, os.path.dirname(self.root)))
        directory = self.path("for-everybody")
        if not os.path.isdir(directory):
            os.mkdir(directory, 0o755)
            self.env["LD_LIBRARY_PATH"] += os.pathsep + directory
            for name in sorted(os.listdir(BUILD_DIR)):
                if name.startswith("libcuframes.so"):
                    self.copy_for_everybody(os.path.join(BUILD_DIR, name))
            for variable in ("LSAN_OPTIONS", "TSAN_OPTIONS"):
                named = re.search(r"suppressions=([^:]+)", self.env.get(variable, ""))
                if named:
                    self.env[variable] = self.env[variable].replace(named[1], self.copy_for_everybody(named[1]))
        copy = self.copy_for_everybody(shutil.which(path) or path)
        if not may(user, "-x", copy):
            skip("programs may not run in the directory for temporary files, %s" % os.path.dirname(self.root))
        return copy

    def copy_for_everybody(self, path):
        copy = self.path("for-everybody", os.path.basename(path))
        if not os.path.exists(copy):
            shutil.copyfile(path, copy)
            os.chmod(copy, 0o755)
        return copy

    def run(self, *args, **options):
        """Runs the cuframes program to its end; gives Result(code, out, err)."""
        return self.start(*args, **options).wait()

    def json(self, *args, code=OK, **options):
        """Runs the cuframes program to its end; gives the JSON it printed."""
        return self.start(*args, **options).json(code)

    def publish(self, source, name, *args, **options):
        """Starts `publish SOURCE --name NAME ARGS...` and waits until the stream has begun."""
        process = self.start("publish", source, "--name", name, *args, name="publish " + name, **options)
        self.wait_stream(name, process)
        return process

    def wait_stream(self, name, process=None):
        """Waits until `list --json` knows the stream and what its pictures are, or that it has none, and gives its
        entry; fails early if the process ends."""
        deadline = Deadline()
        with Watch(self.dir) as watch:
            while True:
                for stream in self.json("list", "--json"):
                    if stream.get("name") == name and stream.get("format", "") is not None:
                        return stream
                check(process is None or process.alive(), "the publisher of '%s' has ended", name)
                check(not deadline.over(), "no stream '%s' within %.1f s", name, deadline.seconds)
                watch.wait(min(0.2, deadline.left()))

    def leaves(self, *names):
        """Files that this test may leave in the runtime directory (a publisher that was killed)."""
        self.may_leave.update(names)

    def until(self, condition, what, every=0.1):
        """Asks again until condition() gives something true, for things that have no event. Gives it."""
        deadline = Deadline()
        with Watch(self.dir) as watch:
            while True:
                value = condition()
                if value:
                    return value
                check(not deadline.over(), "not within %.1f s: %s", deadline.seconds, what)
                watch.wait(min(every, deadline.left()))

    def end(self):
        """Stops everything, gives the list of what was wrong."""
        wrong = []
        for process in reversed(self.processes):
            try:
                if process.alive():
                    process.send(signal.SIGCONT)
                    process.send(signal.SIGINT)
                process.wait(self.stop_seconds)
            except Failure as failure:
                wrong.append(str(failure))
                process.kill()
            code = process.popen.returncode
            if code < 0 and not process.killed and -code not in (signal.SIGINT, signal.SIGTERM):
                wrong.append("%s died of %s" % (process.name, signal.Signals(-code).name))
        for function, args in reversed(self.cleanups):
            function(*args)
        left = set(os.listdir(self.dir)) - self.may_leave if os.path.isdir(self.dir) else set()
        if left:
            wrong.append("left in the runtime directory: %s" % ", ".join(sorted(left)))
        wrong += ["left running: %s" % child for child in reap_strays()]
        return wrong

    def report(self, lines=25):
        """The end of what every process said."""
        for process in self.processes:
            print("--- %s: %s -> %s" % (process.name, " ".join(process.argv), process.popen.returncode))
            for key in ("out", "err"):
                for line in process.text[key].splitlines()[-lines:]:
                    print("    %s| %s" % (key, line[:300]))

    def close(self, keep=False):
        for process in self.processes:
            process.close()
        if keep:
            print("kept: %s" % self.root)
            return
        for folder, inside, _ in os.walk(self.root):
            for path in (os.path.join(folder, name) for name in inside):
                if not os.path.islink(path) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                    os.chmod(path, 0o700)  # closed by a test; we need not be root
        shutil.rmtree(self.root)


def reap_strays():
    """Kills and reaps what is left below us (as their subreaper we inherit orphans); gives their names."""
    strays = []
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        pids = [int(pid) for pid in file.read().split()]
    for pid in pids:
        with open("/proc/%d/cmdline" % pid) as file:
            command = file.read().replace("\0", " ")
        if not command:  # it has ended, or is just becoming another program
            with open("/proc/%d/comm" % pid) as file:
                command = file.read().strip()
        strays.append("%d %s" % (pid, command))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return strays


def run_one(name, function, keep):
    """Gives "ok", "skipped" or "failed"."""
    for run in range(1, SLOW_MOST + 1):
        verdict = run_once(name, function, keep, run == SLOW_MOST)
        if verdict != "slow":
            return verdict
    return "failed"


def run_once(name, function, keep, last):
    """As run_one(), or "slow": once more. The last time that is a failure."""
    began, session, verdict = time.monotonic(), Session(name.replace("test_", "", 1)), "ok"
    reason = ""
    try:
        try:
            function(session)
        except Skip as why:
            verdict, reason = "skipped", str(why)
            SKIPPED.append(name)
        except Failure as failure:
            verdict = "slow" if isinstance(failure, Slow) and not last else "failed"
            reason = "line %d: %s" % (traceback.extract_tb(failure.__traceback__)[1].lineno, failure)
        except Exception:  # a bug of the test: as bad as a failure
            verdict, reason = "failed", traceback.format_exc()
        wrong = session.end()
        if wrong:
            verdict, reason = "failed", "; ".join(filter(None, [reason] + wrong))
        if verdict == "failed":
            session.report()
    finally:
        for process in session.processes:  # only after an interrupt is one still alive here
            if process.alive():
                process.kill()
        session.close(keep)
    print("%-8s %s (%.1f s)%s" % (verdict, name, time.monotonic() - began, ": " + reason if reason else ""), flush=True)
    return verdict


def main(module):
    """Runs the test_* functions of a module and exits: 0 all well, 1 something failed, 77 all were skipped."""
    os.umask(0o022)  # what other users are to read they can
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tests = {name: value for name, value in module.items() if name.startswith("test_") and callable(value)}
    wanted = [argument for argument in sys.argv[1:] if argument != "-k"] or list(tests)
    unknown = [name for name in wanted if name not in tests]
    if unknown:
        sys.exit("no such test: %s (there are: %s)" % (", ".join(unknown), ", ".join(tests)))
    verdicts = [run_one(name, tests[name], "-k" in sys.argv[1:]) for name in wanted]
    if "failed" in verdicts:
        sys.exit(1)
    sys.exit(SKIP if verdicts and set(verdicts) == {"skipped"} else 0)
