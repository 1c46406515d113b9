#!/usr/bin/env python3
"""test_harness.py - the harness itself: it must see the leftovers, hangs and crashes that it is there to see."""
import os
import shutil
import signal
import subprocess
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
        script = "sleep 60 >/dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done"
        s.start_program("sh", "-c", script).expect(0)
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


def test_closed_folders_go(_):
    """What a test closed for itself goes with the session; a session that cannot be removed is a failure."""
    session = harness.Session("inner")
    os.makedirs(session.path("closed", "inside"))
    os.chmod(session.path("closed", "inside"), 0)
    os.chmod(session.path("closed"), 0o500)
    session.close()
    check(not os.path.exists(session.root), "%s is still there", session.root)


def test_stopped_process_is_ended(s):
    process = s.start_program("sh", "-c", "echo ready; kill -STOP $$; exit 0")
    process.wait_for("ready", "out")
    process.send(signal.SIGCONT)


def test_suspended_process_stands_still(s):
    """All its threads, the moment that suspend() returns; a plain SIGSTOP is on its way for a while."""
    busy = ("import hashlib, threading\nwork, ready = bytes(1 << 24), threading.Barrier(17)\ndef run():\n"
            "    ready.wait()\n    while True: hashlib.sha256(work)\n"
            "for _ in range(16): threading.Thread(target=run, daemon=True).start()\n"
            "ready.wait()\nprint('ready', flush=True)\nthreading.Event().wait()")
    process = s.start_program(sys.executable, "-c", busy)
    process.wait_for("ready", "out")
    for _ in range(5):
        process.suspend()
        check(set(harness.states(process.pid).values()) == {"T"}, "%s", harness.states(process.pid))
        process.resume()
        s.until(lambda: "R" in harness.states(process.pid).values(), "it goes on")
    process.kill()
    try:
        process.suspend()
    except harness.Failure as failure:
        check("has ended" in str(failure), "says: %s", failure)
    else:
        raise harness.Failure("a process that has ended was stopped")


def test_what_is_slow_runs_again(_):
    runs = []

    def body(_):
        runs.append(0)
        harness.pace(len(runs) == 3, "run %d is slow", len(runs))
    check(harness.run_one("test_slow_twice", body, False) == "ok" and len(runs) == 3, "%d runs", len(runs))
    check(harness.run_one("test_slow", body, False) == "failed", "slow each time, and no failure")
    check(len(runs) == 3 + harness.SLOW_MOST, "%d runs", len(runs))


def test_other_users_get_a_copy(s):
    """A program where only we may enter runs for another user all the same."""
    harness.need_user(65534)
    closed = s.path("closed")
    os.mkdir(closed, 0o700)
    shutil.copy(harness.program(), os.path.join(closed, "cuframes"))
    process = s.start_program(os.path.join(closed, "cuframes"), "--version", user=65534)
    process.expect(harness.OK)
    check(process.argv[0].startswith(s.path("for-everybody")), "ran %s", process.argv[0])


def run_plainly(argv, **environment):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=harness.LIMIT, env=dict(os.environ, **environment))
    return done.returncode, done.stdout


def test_c_test_is_skipped_with_a_reason(s):
    """Where a right is missing, a C test ends as skipped, and its tear-down has nothing to complain about."""
    program = harness.need_built("tests", "api_namespaces")
    without = []
    if os.geteuid() == 0:
        without = [harness.need_program("setpriv"), "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
        if subprocess.run(without + ["true"], capture_output=True, check=False).returncode != 0:
            without = []  # it cannot be taken away: then it is not there
    code, said = run_plainly(without + [program], TMPDIR=s.root)
    check(code == harness.SKIP and "skipped: needs" in said, "ended with %s: %s", code, said)
    check("left" not in said and "FAILED" not in said, "says: %s", said)
    check(not [name for name in os.listdir(s.root) if name.startswith("cf-")], "left a directory")


JUNIT = """<testsuite><testcase name="api/a" status="run"><system-out>[ RUN      ] one
[       OK ] one
[ RUN      ] two
skipped: needs &lt;a right&gt;
[  SKIPPED ] two
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] two
</system-out></testcase>
<testcase name="cli/b" status="run"><system-out>ok       test_x (0.1 s)
skipped  test_y (0.0 s): no such program
skipped  test_z (0.0 s)
</system-out></testcase>
<testcase name="lint/c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>skipped: no tool
</system-out></testcase>
<testcase name="api/d" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>[ RUN      ] one
skipped: needs that
[  SKIPPED ] one
[ RUN      ] two
skipped: needs that
[  SKIPPED ] two
[  SKIPPED ] 2 test(s), listed below:
</system-out></testcase></testsuite>
"""
SUMMARY = """
skipped: lint/c: no tool
skipped: api/d: needs that
skipped in part: api/a: two: needs <a right>
skipped in part: cli/b: test_y: no such program
skipped in part: cli/b: test_z: no reason given
2 passed, 0 failed, 2 skipped
"""


def test_summary_lists_what_was_skipped(s):
    os.mkdir(s.path("temporary"))
    with open(s.path("junit.xml"), "w") as file:
        file.write(JUNIT)
    command = [sys.executable, os.path.join(harness.SOURCE_DIR, "scripts", "test-summary.py"), s.path("junit.xml"), "0",
               s.path("temporary")]
    code, said = run_plainly(command)
    check(code == 0 and said == SUMMARY, "ended with %s: %s", code, said)
    left = s.path("temporary", "cf-abc")
    os.mkdir(left)
    code, said = run_plainly(command)
    check(code == 1 and "left behind by a test: " + left in said, "ended with %s: %s", code, said)
    check(said.endswith("\n2 passed, 0 failed, 2 skipped\n"), "says: %s", said)


FIRST_TRY = """<testsuite><testcase name="cli/a" status="fail"/><testcase name="cli/b" status="fail"/>
<testcase name="cli/c" status="run"/></testsuite>"""


def test_a_second_try_counts_and_is_named(s):
    script = os.path.join(harness.SOURCE_DIR, "scripts", "test-summary.py")
    os.mkdir(s.path("temporary"))
    for b, code_wanted, count in ("fail", 1, "2 passed, 1 failed"), ("run", 0, "3 passed, 0 failed"):
        with open(s.path("junit.xml"), "w") as file:
            file.write(FIRST_TRY)
        with open(s.path("again.xml"), "w") as file:
            file.write('<testsuite><testcase name="cli/a" status="run"/>'
                       '<testcase name="cli/b" status="%s"/></testsuite>' % b)
        code, said = run_plainly([sys.executable, script, s.path("junit.xml"), "8", s.path("temporary"),
                                  s.path("again.xml")])
        check(code == code_wanted and said.endswith(count + ", 0 skipped\n"), "ended with %s: %s", code, said)
        check("second try alone, its failure is above: cli/a" in said, "says: %s", said)
        check(("failed: cli/b" in said) == (b == "fail"), "says: %s", said)


if __name__ == "__main__":
    harness.main(globals())
