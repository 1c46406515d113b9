#!/usr/bin/env python3
"""Counts what ctest wrote to its JUnit file, and says why what was skipped was skipped: whole tests, and parts of them.

usage: test-summary.py JUNIT CTEST-STATUS [DIRECTORY [AGAIN]]. The count also goes to test-summary.txt beside JUNIT.
DIRECTORY was the tests' for temporary files: what lies there they left behind. AGAIN is the JUNIT file of a second try
of tests that failed: who passed then counts as passed, and is named. Exit status: 0 if something passed, nothing failed
and nothing was left."""
import os
import re
import sys
import xml.etree.ElementTree as xml

NO_REASON = "no reason given"
# What a test's output says. `skipped: WHY` is everybody's; cmocka names the test around it, tests/cli on the line.
BEGUN = re.compile(r"\[ RUN +\] (\S+)")
SKIPPED = re.compile(r"\[ +SKIPPED +\] (\S+)")
WHY = re.compile(r"skipped: (.+)")
LINE = re.compile(r"skipped +(test_\w+) \([0-9.]+ s\)(?:: (.+))?")


def skipped_parts(output):
    """The parts that say they were skipped, as (name, why); the name is None for what is said about the whole."""
    parts, part, why = [], None, None
    for line in output.splitlines():
        begun, skipped, reason, named = (form.match(line.strip()) for form in (BEGUN, SKIPPED, WHY, LINE))
        if begun:
            part, why = begun[1], None
        elif skipped and skipped[1] == part:  # cmocka lists them once more at its end
            parts.append((part, why or NO_REASON))
            part, why = None, None
        elif named:
            parts.append((named[1], named[2] or NO_REASON))
        elif reason and part:
            why = reason[1]
        elif reason:
            parts.append((None, reason[1]))
    return parts


def reason(output):
    """Why all of a test was skipped: its parts' reasons, each once; else its last line."""
    said = list(dict.fromkeys(why for _, why in skipped_parts(output)))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return "; ".join(said) or (lines or [NO_REASON])[-1]


def sorted_cases(junit):
    """The tests that passed, failed and were skipped, as (name, output)."""
    passed, failed, skipped = [], [], []
    for case in xml.parse(junit).getroot().iter("testcase"):
        status, why = case.get("status"), case.find("skipped")
        which = passed if status == "run" else skipped if status in ("notrun", "disabled") else failed
        # What could not even be started is no skip.
        if which is skipped and why is not None and "SKIP_RETURN_CODE" not in (why.get("message") or ""):
            which = failed
        which.append((case.get("name"), case.findtext("system-out") or ""))
    return passed, failed, skipped


def main():
    junit, ctest_status = sys.argv[1], int(sys.argv[2])
    try:
        passed, failed, skipped = sorted_cases(junit)
        mended = {name for name, _ in sorted_cases(sys.argv[4])[0]} if len(sys.argv) > 4 else set()
    except (OSError, xml.ParseError) as error:
        sys.exit(f"test-summary: ctest left no result: {error}")
    if failed and all(name in mended for name, _ in failed):
        ctest_status = 0  # it was about these
    late = [case for case in failed if case[0] in mended]
    failed = [case for case in failed if case[0] not in mended]
    passed += late
    left = sorted(os.listdir(sys.argv[3])) if len(sys.argv) > 3 else []
    print()
    for name, output in skipped:
        print(f"skipped: {name}: {reason(output)}")
    for name, output in passed + failed:
        for part, why in skipped_parts(output):
            print(f"skipped in part: {name}: {part + ': ' if part else ''}{why}")
    for name, _ in late:
        print(f"passed at the second try alone, its failure is above: {name}")
    for name, _ in failed:
        print(f"failed: {name}")
    for name in left:
        print(f"left behind by a test: {os.path.join(sys.argv[3], name)}")
    count = f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped"
    with open(os.path.join(os.path.dirname(junit), "test-summary.txt"), "w", encoding="utf-8") as file:
        file.write(count + "\n")
    print(count, flush=True)
    return 1 if failed or left or not passed or ctest_status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
