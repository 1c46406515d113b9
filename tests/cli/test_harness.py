#!/usr/bin/env python3
"""test_harness.py - the harness itself: it must see the leftovers, hangs and crashes that it is there to see."""
import os
import signal
import sys

import harness
from harness import check


def wrong_of(body):
    """What a session says of a test with this body."""
    session = harness.Session("inner")
    try:
        body(session)
        return "; ".join(session.end())
    finally:
        session.end()
        session.close()


def test_clean_session_is_clean(_):
    wrong = wrong_of(lambda s: s.start_program("true").expect(0))
    check(wrong == "", "a clean session says: %s", wrong)


def test_left_file_is_seen(_):
    wrong = wrong_of(lambda s: open(os.path.join(s.dir, "cam.sock"), "w").close())
    check("cam.sock" in wrong, "says: %s", wrong)


def test_left_grandchild_is_seen(_):
    def body(s):
        s.start_program("sh", "-c", "sleep 60 >/dev/null 2>&1 & exit 0").expect(0)
    wrong = wrong_of(body)
    check("left running" in wrong and "sleep" in wrong, "says: %s", wrong)


def test_crash_is_seen(_):
    wrong = wrong_of(lambda s: s.start_program("sh", "-c", "kill -SEGV $$").wait())
    check("SIGSEGV" in wrong, "says: %s", wrong)


def test_deaf_process_is_killed(_):
    def body(s):
        s.stop_seconds = 0.5
        deaf = "import signal; signal.signal(2, signal.SIG_IGN); print('ready', flush=True)\nwhile True: signal.pause()"
        s.start_program(sys.executable, "-c", deaf).wait_for("ready", "out")
    wrong = wrong_of(body)
    check("did not end" in wrong, "says: %s", wrong)


def test_wait_for_reads_lines(s):
    process = s.start_program(sys.executable, "-c", "print('port 77')")
    check(process.wait_for(r"port (\d+)", "out").group(1) == "77", "wrong port")
    try:
        process.wait_for("never said", "out")
    except harness.Failure as failure:
        check("ended without" in str(failure), "says: %s", failure)
    else:
        raise harness.Failure("a line that never came was found")
    process.expect(0)


def test_stopped_process_is_ended(s):
    process = s.start_program("sh", "-c", "echo ready; kill -STOP $$; exit 0")
    process.wait_for("ready", "out")
    process.send(signal.SIGCONT)


def test_what_is_slow_runs_again(_):
    runs = []

    def body(_):
        runs.append(0)
        harness.pace(len(runs) == 3, "run %d is slow", len(runs))
    check(harness.run_one("test_slow_twice", body, False) == "ok" and len(runs) == 3, "%d runs", len(runs))
    check(harness.run_one("test_slow", body, False) == "failed", "slow each time, and no failure")
    check(len(runs) == 3 + harness.SLOW_MOST, "%d runs", len(runs))


if __name__ == "__main__":
    harness.main(globals())
