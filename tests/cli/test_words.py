#!/usr/bin/env python3
"""test_words.py - the program understands what was nearly right, and names what was wrong: commands, options, values,
and an output that takes nothing more."""
import harness
from harness import FAILED, OK, USAGE, check

COMMANDS = ("publish", "list", "info", "top", "snapshot", "record", "verify", "doctor")


def test_version_and_help(s):
    check(s.run("version").out == s.run("--version").out != "", "version differs")
    check(s.run("help").out == s.run("--help").out != "", "help differs")
    for command in COMMANDS:
        told = s.run("help", command)
        check(told.code == OK and told.out == s.run(command, "--help").out, "help %s differs", command)
        check(told.out.startswith("usage: cuframes %s" % command), "%s --help begins with %r", command, told.out[:40])


def test_nearly_right(s):
    for args, said in ((("lst",), 'unknown command "lst"; did you mean list?'),
                       (("--bogus",), "unknown option --bogus"),
                       (("list", "--jsn"), "unknown option --jsn; did you mean --json?"),
                       (("--json", "list"), "cuframes list --json"),
                       (("verify", "cam", "--mode"), "option --mode needs a value"),
                       (("publish", "test:64x64", "--name", "cam", "--format", "nv13"), "did you mean nv12?")):
        result = s.run(*args)
        check(result.code == USAGE and said in result.err, "%s: %s", args, result)
    check("did you mean" not in s.run("zzzzzz").err, "it guesses wildly")


def test_output_that_takes_nothing(s):
    s.publish("test:64x64@25", "cam")
    for args in (("list",), ("list", "--json"), ("info", "cam"), ("info", "cam", "--json"), ("top", "--count", "1"),
                 ("top", "--count", "1", "--json"), ("verify", "cam", "--frames", "3"),
                 ("verify", "cam", "--frames", "3", "--json"), ("doctor", "cam"), ("doctor", "cam", "--json"),
                 ("snapshot", "cam", "-", "--format", "raw"),
                 ("snapshot", "cam", "a.png", "--json"), ("publish", "test:64x64@25", "--name", "other", "--json"),
                 ("--help",), ("help",), ("version",), ("--version",), *((command, "--help") for command in COMMANDS)):
        result = s.start_program("sh", "-c", 'exec "$0" "$@" > /dev/full', harness.program(), *args).wait()
        check(result.code == FAILED and "No space left" in result.err, "%s > /dev/full: %s", args, result)
        result = s.start_program("sh", "-c", 'exec "$0" "$@" >&-', harness.program(), *args).wait()
        check(result.code == FAILED and "Bad file descriptor" in result.err, "%s >&-: %s", args, result)
    check(not s.run("top", "--count", "1").out.endswith("\n\n"), "top ends with a blank line")


if __name__ == "__main__":
    harness.main(globals())
