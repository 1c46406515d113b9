#!/usr/bin/env python3
"""piping.py - for tests of `cuframes pipe`: the program with another one behind it, or with a reader that reads when
the test says so."""
import json
import os
import select
import socket
import subprocess
import threading

import harness
from harness import check

FRAMEMD5 = ("-fps_mode", "passthrough", "-copyts", "-f", "framemd5", "-")


class Piped:
    """`cuframes pipe ARGS...` whose stdout is a pipe in the test's hand."""

    def __init__(self, s, *args, **options):
        self.read_end, write_end = os.pipe()
        s.at_end(self.close)
        self.process = s.start_to(write_end, "pipe", *args, **options)
        os.close(write_end)

    def close(self):
        if self.read_end is not None:
            os.close(self.read_end)
            self.read_end = None

    def read(self, size):
        """So many bytes, less at the end."""
        got, deadline = bytearray(), harness.Deadline()
        while len(got) < size:
            ready, _, _ = select.select([self.read_end], [], [], deadline.left())
            check(ready, "no more than %d of %d bytes came", len(got), size)
            part = os.read(self.read_end, min(size - len(got), 1 << 20))
            if not part:
                break
            got += part
        return bytes(got)

    def read_all(self):
        return self.read(1 << 40)

    def said(self, code=harness.OK):
        """The report of --json: the last line of stderr."""
        return report(self.process.expect(code))


def report(result):
    return json.loads(result.err.splitlines()[-1])


def into(s, program, *args, env=None, **options):
    """Runs `cuframes pipe ARGS... | PROGRAM...`; gives what the program printed, and the ended process of cuframes."""
    read_end, write_end = os.pipe()
    process = s.start_to(write_end, "pipe", *args, **options)
    os.close(write_end)
    reader = subprocess.Popen([harness.need_program(program[0]), *map(str, program[1:])], stdin=read_end, cwd=s.root,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    os.close(read_end)
    out, err = reader.communicate(timeout=harness.LIMIT)
    check(reader.returncode == 0, "%s: %s", program[0], err.decode("utf-8", "replace"))
    return out, process


def ffmpeg(*args):
    """The words of an ffmpeg that reads the pipe."""
    return ("ffmpeg", "-nostdin", "-v", "error", "-i", "-", *args)


def frames(text):
    """The lines of framemd5: (time, hash) of each picture."""
    if isinstance(text, bytes):
        text = text.decode()
    lines = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return [(int(line[2]), line[5].strip()) for line in lines]


def rate(text):
    """The time base of framemd5."""
    if isinstance(text, bytes):
        text = text.decode()
    return next(line.split()[-1] for line in text.splitlines() if line.startswith("#tb 0"))


def direct(path, *args):
    """What ffmpeg decodes of the file itself."""
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-an", *args,
                           *FRAMEMD5], capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffmpeg: %s", done.stderr)
    return done.stdout


def read_socket(path):
    reader = socket.socket(socket.AF_UNIX)
    reader.settimeout(harness.LIMIT)
    reader.connect(path)
    return reader


def receive(reader, size):
    got = b""
    while len(got) < size:
        part = reader.recv(size - len(got))
        check(part, "%d bytes of %d came", len(got), size)
        got += part
    return got


class Film:
    """A film that is published as soon as so many readers have joined."""

    def __init__(self, s, path, name, *args, readers=1):
        self.thread = threading.Thread(target=self._publish, args=(s, path, name, readers, args))
        self.result = None
        self.thread.start()

    def _publish(self, s, path, name, readers, args):
        self.result = s.start("publish", path, "--name", name, "--wait-for", readers, "--ordered-timeout",
                              harness.LIMIT, *args).wait()

    def end(self):
        self.thread.join(harness.LIMIT)
        check(self.result and self.result.code == harness.OK, "publish: %s", self.result)
