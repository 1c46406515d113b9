"""What the tests of the package share: a runtime directory each, limits of time, children."""
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import cuframes

# Seconds for what must come; they find what hangs, and judge nothing.
LIMIT = 120 * max(1, int(os.environ.get("CUFRAMES_TEST_TIMEOUT") or 1))

try:
    import numpy
except ImportError:
    numpy = None


def module(name):
    """A package that may be missing: the test that needs it is skipped, with the reason."""
    try:
        return __import__(name, fromlist=["*"])
    except (ImportError, OSError) as error:
        raise unittest.SkipTest(f"python has no {name} ({error})") from None


class Streams(unittest.TestCase):
    """Each test has a runtime directory of its own, and leaves nothing there."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="cf-python-")
        self.addCleanup(shutil.rmtree, self.directory)
        before = os.environ.get("CUFRAMES_DIR")
        os.environ["CUFRAMES_DIR"] = self.directory
        self.addCleanup(lambda: os.environ.pop("CUFRAMES_DIR") if before is None else
                        os.environ.__setitem__("CUFRAMES_DIR", before))

    def publish(self, width=64, height=32, form="nv12", name="s", **options):
        publisher = cuframes.publish(name, width, height, form, **options)
        self.addCleanup(publisher.close)
        return publisher

    def subscribe(self, name="s", **options):
        subscriber = cuframes.subscribe(name, **options)
        self.addCleanup(subscriber.close)
        return subscriber

    def send(self, publisher, picture=None, **times):
        """A dropped frame is sent again: the pool may have to grow first."""
        if picture is None:
            picture = nv12(1, publisher.width, publisher.height)
            if publisher.format == "gray8":
                picture = picture[:publisher.height]
        until(lambda: publisher.send(picture, **times))

    def pair(self, *arguments, **options):
        """A publisher, a subscriber, and a frame in its hand."""
        publisher = self.publish(*arguments)
        subscriber = self.subscribe(**options)
        self.send(publisher)
        return publisher, subscriber, subscriber.next(LIMIT)


def nv12(number, width=64, height=32):
    """A picture every byte of which follows from the number; rows of Y, then those of chroma."""
    rows = height + (height + 1) // 2
    return numpy.fromfunction(lambda y, x: (number * 31 + y * 7 + x) % 251, (rows, width)).astype("u1")


def until(condition, limit=None):
    """Asks again until it is true: there is no event for it."""
    end = time.monotonic() + (LIMIT if limit is None else limit)
    pause = threading.Event()
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("it has not come to be")
        pause.wait(0.005)


def soon(seconds, measure):
    """What is quick when nobody else wants the processor is so at least once."""
    took = []
    while not took or min(took) >= seconds:
        if len(took) == 20:
            raise AssertionError(f"it never took less than {seconds} s, but {min(took):.3f} s and more")
        took.append(measure())


def states(pid):
    """Of each thread of a process: what the kernel says of it, "R", "S", "T" (stopped) and so on."""
    found = {}
    for of in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):  # it has ended
            with open(f"/proc/{pid}/task/{of}/stat", encoding="ascii", errors="replace") as file:
                found[of] = file.read().rpartition(")")[2].split()[0]
    return found


class Child:
    """Another interpreter that runs a program; its lines can be waited for. Nothing of it lives on."""

    def __init__(self, program, *arguments, **environment):
        path = os.pathsep.join(sys.path)
        command = [sys.executable, "-P", "-u", "-c", program, *map(str, arguments)]
        self.process = subprocess.Popen(command, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=path, **environment))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def suspend(self):
        """It stands still when this returns; till all its threads have taken the signal it could still answer."""
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG))

    def line(self):
        if not select.select([self.process.stdout], [], [], LIMIT)[0]:
            raise AssertionError("the child says nothing")
        return self.process.stdout.readline().rstrip("\n")

    def say(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        """What it still said; fails unless it ended with 0."""
        said, _ = self.process.communicate(timeout=LIMIT)
        if self.process.returncode != 0:
            raise AssertionError(f"the child ended with {self.process.returncode}: {said}")
        return said


@contextlib.contextmanager
def thread(target):
    """Runs it beside; an exception there is one here."""
    failed = []

    def run():
        try:
            target()
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)

    beside = threading.Thread(target=run, daemon=True)
    beside.start()
    yield beside
    beside.join(LIMIT)
    if failed:
        raise failed[0]
    if beside.is_alive():
        raise AssertionError("the other thread does not end")


def main():
    """A file of which all is skipped exits with 77."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    for test, why in result.skipped:  # as the summary of all tests reads it
        print(f"skipped {getattr(test, '_testMethodName', 'test_setup')} (0.00 s): {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == len(result.skipped):
        sys.exit(77)
