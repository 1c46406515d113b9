#!/usr/bin/env python3
"""test_blocked_output.py - nobody reads stderr or stdout: pictures flow, subscribers join, signals end the program, and
what was dropped is counted. Whoever reads gets every line, in order."""
import fcntl
import os
import pty
import re
import resource
import select
import signal
import subprocess
import termios

import harness
from harness import FAILED, OK, check

LINE_BYTES = 20


def full_pipe(s, name):
    """The path of a FIFO that is full, and our descriptor of it: whoever writes to it blocks until we read."""
    path = s.path(name)
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    s.at_end(os.close, fd)
    try:
        while os.write(fd, b"x" * 4096):
            pass
    except BlockingIOError:
        return path, fd


def read_rest(fd, until):
    """What is read from a descriptor up to a match of the pattern, or to its end where that is None."""
    text, deadline = b"", harness.Deadline()
    while until is None or not re.search(until, text):
        check(select.select([fd], [], [], deadline.left())[0], "nothing came within %.1f s: %r", deadline.seconds,
              text[-200:])
        data = os.read(fd, 65536)
        if not data:
            check(until is None, "it ended: %r", text[-200:])
            break
        text += data
    return text.decode()


def start_with(s, where, *args):
    """Starts the program with a redirection of the shell, such as "2> path"."""
    return s.start_program("sh", "-c", 'exec "$0" "$@" %s' % where, harness.program(), *harness.patient(args))


def use(s, name):
    """Somebody joins and sees every picture, and so do those who ask what there is."""
    result = s.json("verify", name, "--mode", "ordered", "--frames", "20", "--json")
    check(result["frames"] == 20 and result["missing"] == result["torn"] == 0, "%s", result)
    check(s.json("info", name, "--json")["frames"] > 0, "info")


def test_nobody_reads_stderr(s):
    for number in (signal.SIGTERM, signal.SIGINT):
        path, _ = full_pipe(s, "full-%d" % number)
        publisher = start_with(s, "2> " + path, "publish", "test:64x64@50", "--name", "a", "--ordered-timeout",
                               harness.LIMIT, harness.CLIP, "--name", "film", "--realtime", "--loop")
        s.wait_stream("a", publisher)
        s.wait_stream("film", publisher)
        for name in ("a", "film", "a"):
            use(s, name)
        publisher.stop(number)


def test_one_that_says_much(s):
    """FFmpeg's decoder threads have a lot to say of a damaged film; they must not wait either."""
    path, fd = full_pipe(s, "full")
    damaged = s.path("damaged.ts")
    subprocess.run([harness.need_program("ffmpeg"), "-v", "error", "-i", harness.CLIP, "-c", "copy", "-an", "-bsf:v",
                    "noise=amount=2000", damaged], check=True, timeout=harness.LIMIT)
    publisher = start_with(s, "2> " + path, "publish", damaged, "--name", "film", "--loop", "--realtime",
                           "--ordered-timeout", harness.LIMIT)
    s.wait_stream("film", publisher)
    use(s, "film")
    read_rest(fd, rb"publishing .*damaged.ts(.|\n)*\[h264\]")
    publisher.stop(signal.SIGTERM)


def test_second_signal_kills(s):
    """Also while the first one waits for what FFmpeg does not end, or for stderr."""
    path, _ = full_pipe(s, "full")
    publisher = start_with(s, "2> " + path, "publish", "test:64x64@50", "--name", "a")
    s.wait_stream("a", publisher)
    deadline = harness.Deadline()
    while publisher.alive():
        check(not deadline.over(), "signals do not end it")
        publisher.send(signal.SIGTERM)
        select.select([], [], [], 0.01)
    check(publisher.wait().code in (OK, -signal.SIGTERM), "ended with %s", publisher.popen.returncode)
    s.leaves("a.sock", "a.lock")


def test_readers(s):
    """A reader that cannot say how it goes does not keep what it reads."""
    s.publish("test:64x64@50", "a")
    path, _ = full_pipe(s, "full")
    slow = start_with(s, "2> " + path, "verify", "a", "--mode", "ordered", "--frames", "100", "--json")
    result = slow.json()
    check(result["frames"] == 100 and result["missing"] == 0, "%s", result)
    for args in (("snapshot", "a", "a.png"), ("snapshot", "a", "--sheet", "2x2", "--interval", "0.1", "-o", "b.png"),
                 ("list", "--dir", s.root), ("lst",), ("info", "b", "--wait=0.1")):
        code = s.run(*args).code
        check(start_with(s, "2> " + path, *args).wait().code == code, "%s", args)


def test_nobody_reads_events(s):
    path, _ = full_pipe(s, "full")
    publisher = start_with(s, "> " + path, "publish", "test:64x64@50", "--name", "a", "--json", "--ordered-timeout",
                           harness.LIMIT)
    s.wait_stream("a", publisher)
    use(s, "a")
    result = publisher.stop(signal.SIGTERM, FAILED)
    check(re.search(r"[3-9]\d* events were lost: nobody read stdout", result.err), "%s", result)


def test_nobody_reads_results(s):
    """Commands that have nothing else to do wait for their reader, and a signal ends them."""
    s.publish("test:64x64@50", "a")
    path, _ = full_pipe(s, "full")
    for args in (("top", "--interval", "0.05"), ("top", "--json"), ("verify", "a", "--frames", "2", "--json"),
                 ("snapshot", "a", "-", "--format", "raw")):
        blocked = start_with(s, "> " + path, *args)
        s.until(lambda: is_waiting_for_output(blocked.pid), "%s waits for its output" % " ".join(args))
        result = blocked.stop(signal.SIGTERM, FAILED)
        check(re.search("nobody read it|Interrupted", result.err), "%s: %s", args, result)
    for args in (("list",), ("info", "a"), ("--help",)):
        blocked = start_with(s, "> " + path, *args)
        s.until(lambda: is_waiting_for_output(blocked.pid), "%s waits for its output" % " ".join(args))
        blocked.stop(signal.SIGTERM, -signal.SIGTERM)


def is_waiting_for_output(pid):
    """In write() or poll() of descriptor 1, by what the kernel says of its first thread."""
    try:
        with open("/proc/%d/comm" % pid) as name, open("/proc/%d/wchan" % pid) as file:
            return name.read().startswith("cuframes") and re.search("pipe_w|poll", file.read())
    except PermissionError:
        harness.skip("where a process waits is not to be seen here (wchan)")


def test_terminal_that_was_stopped(s):
    """Ctrl-S, and nobody looks; then Ctrl-Q."""
    ours, theirs = pty.openpty()
    s.at_end(os.close, ours)
    path = os.ttyname(theirs)
    termios.tcflow(theirs, termios.TCOOFF)
    publisher = start_with(s, "2> " + path, "publish", "test:64x64@50", "--name", "a", "--ordered-timeout",
                           harness.LIMIT)
    s.wait_stream("a", publisher)
    use(s, "a")
    termios.tcflow(theirs, termios.TCOON)
    read_rest(ours, rb"publishing test:64x64@50")
    os.close(theirs)
    publisher.stop(signal.SIGTERM)


class Say:
    """tests/say, whose stderr and stdout are pipes that we read when we want to."""

    def __init__(self, s, **redirected):
        self.done, done = os.pipe()
        program = harness.need_built("tests", "say")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.program = subprocess.Popen([program, str(done)], pass_fds=[done], env=s.env, bufsize=0,
                                        **dict(pipes, **redirected))
        os.close(done)
        s.at_end(self.close)
        self.err, self.out = self.program.stderr, self.program.stdout

    def ask(self, what):
        self.program.stdin.write(what.encode() + b"\n")
        read_rest(self.done, rb"done\n")

    def end(self):
        self.program.stdin.close()
        return self.program.wait(harness.LIMIT)

    def close(self):
        if self.program.poll() is None:
            self.program.kill()
        for file in (self.program.stdin, self.err, self.out):
            if file:
                file.close()
        self.program.wait()
        os.close(self.done)


def numbers(text, what):
    return [int(number) for number in re.findall(r"^.*%s (\d+)" % what, text, re.M)]


def test_dropped_lines_are_counted(s):
    say, text, said = Say(s), "", 60001
    say.ask("lines 60000")
    say.ask("lines 1")
    while sum(came_and_dropped(text)) < said:
        text += read_rest(say.err.fileno(), rb"\n$")
    say.ask("lines 3")
    text += read_rest(say.err.fileno(), rb"line 60004\n")
    came, dropped = came_and_dropped(text)
    check(came + dropped == 60004 and dropped > 20000, "%d came, %d dropped", came, dropped)
    lines = numbers(text, "line")
    check(lines == sorted(set(lines)) and lines[-3:] == [60002, 60003, 60004], "%s", lines[-5:])
    check(say.end() == OK, "exit code")


def came_and_dropped(text):
    return len(numbers(text, "line")), sum(int(n) for n in re.findall(r"cuframes: (\d+) lines were dropped", text))


def test_dropped_events_are_counted(s):
    say = Say(s)
    say.ask("events 100000")
    text = read_rest(say.out.fileno(), rb"event 1[^0-9](.|\n)*event 10[^0-9]")
    came, dropped = numbers(text, "event"), numbers(text, "after")
    deadline = harness.Deadline()
    while came[-1] < 100001:  # it takes no more before half of its queue has been read
        check(not deadline.over(), "no event of now within %.1f s", deadline.seconds)
        say.ask("events 1")
        last = came[-1]
        text = read_rest(say.out.fileno(), rb"\n")
        came, dropped = came + numbers(text, "event"), dropped + numbers(text, "after")
        check(came[-1] > last, "%s", text)
    check(len(came) + sum(dropped) == came[-1] and sum(dropped) > 0, "%d came, %d dropped, of %d", len(came),
          sum(dropped), came[-1])
    check(say.end() == OK, "exit code")


def test_nothing_is_lost_for_who_reads(s):
    """And in order, stderr and stdout together, where both go to the same place."""
    both, end = os.pipe()
    s.at_end(os.close, both)
    say = Say(s, stdout=end, stderr=end)
    os.close(end)
    for _ in range(5):
        say.ask("both 200")
        say.ask("print 3")
    say.program.stdin.close()
    text = read_rest(both, None)
    check(say.program.wait(harness.LIMIT) == OK, "exit code")
    wanted, number = [], 0
    for _ in range(5):
        for _ in range(200):
            number += 1
            wanted += ["cuframes say: line %d" % number, "event %d after 0" % number]
        wanted += ["print %d" % (i + 1) for i in range(3)]
    came = text.splitlines()
    check(came == wanted, "%s", [pair for pair in zip(came, wanted) if pair[0] != pair[1]][:3])


def test_busy_machine(s):
    """Who reads gets all of it also where the writing threads have their turn later than the end waits otherwise."""
    for key, what in (("stderr", "lines"), ("stdout", "events")):
        ours, theirs = os.pipe()
        s.at_end(os.close, ours)
        say = Say(s, **{key: theirs})
        os.close(theirs)
        say.ask("late 1500")
        say.ask("%s 2" % what)
        say.program.stdin.close()
        text = read_rest(ours, None)
        check(numbers(text, what.rstrip("s")) == [1, 2], "%s: %r", what, text)
        check(say.program.wait(harness.LIMIT) == OK, "exit code")


def test_non_blocking_output(s):
    """Others made the pipe non-blocking, as some shells and runtimes do: it is waited for, not given up."""
    for key, what in (("stderr", "lines"), ("stdout", "events"), ("stdout", "print")):
        ours, theirs = os.pipe()
        s.at_end(os.close, ours)
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
        fcntl.fcntl(theirs, fcntl.F_SETFL, os.O_WRONLY | os.O_NONBLOCK)
        say = Say(s, **{key: theirs})
        os.close(theirs)
        say.program.stdin.write(b"%s 2000\n" % what.encode())
        text = read_rest(ours, rb"2000")
        check(numbers(text, what.rstrip("s")) == list(range(1, 2001)), "%s: %r", what, text[-200:])
        check(say.end() == OK, "exit code")


def test_full_disk_takes_lines_again(s):
    """stderr on a disk that is full for a while: what it did not take is counted, and the cause is said."""
    path, at_most = s.path("err"), 8192
    with open(path, "w") as file:
        say = Say(s, stderr=file)
    limit_files(say.program.pid, at_most)
    say.ask("lines 1000")
    s.until(lambda: os.path.getsize(path) > at_most - LINE_BYTES * 2, "the file is full")
    say.ask("lines 1")
    limit_files(say.program.pid, resource.RLIM_INFINITY)
    deadline = harness.Deadline()
    while "lines were dropped: stderr could not be written: File too large" not in open(path).read():
        check(not deadline.over(), "not said within %.1f s", deadline.seconds)
        say.ask("lines 1")
    check(say.end() == OK, "exit code")
    text = open(path).read()
    came, dropped = numbers(text, "line"), [int(n) for n in re.findall(r"cuframes: (\d+) lines were dropped", text)]
    check(sum(dropped) > 0 and came[-1] > 1000, "%s, %s dropped", came[-3:], dropped)


def limit_files(pid, size):
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    harness.main(globals())
