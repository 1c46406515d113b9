#!/usr/bin/env python3
"""Counts what ctest wrote to its JUnit file, and says why what was skipped was skipped.

usage: test-summary.py JUNIT CTEST-STATUS. The count also goes to test-summary.txt beside JUNIT. Exit status: 0 if something passed and nothing failed."""
import os
import re
import sys
import xml.etree.ElementTree as xml


def parts(case):
    """What was skipped in a test that passed: C tests print a line "skipped: ...", those of the program their name."""
    lines = (case.findtext("system-out") or "").splitlines()
    for line in lines:
        found = re.match(r"skipped +(test_\w+) \([\d.]+ s\): (.*)|skipped: (.*)", line.strip())
        if found:
            yield ": ".join(filter(None, found.groups()))


def reason(case):
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("skipped:")] or [line for line in lines if "skip" in line.lower()]
    return (said or lines or ["no reason given"])[-1]


def main():
    junit, ctest_status = sys.argv[1], int(sys.argv[2])
    passed, failed, skipped = [], [], []
    try:
        cases = xml.parse(junit).getroot().iter("testcase")
    except (OSError, xml.ParseError) as error:
        sys.exit(f"test-summary: ctest left no result: {error}")
    for case in cases:
        status = case.get("status")
        (passed if status == "run" else skipped if status in ("notrun", "disabled") else failed).append(case)
    # What could not even be started is no skip.
    for case in list(skipped):
        why = case.find("skipped")
        if why is not None and "SKIP_RETURN_CODE" not in (why.get("message") or ""):
            skipped.remove(case)
            failed.append(case)
    print()
    for case in skipped:
        print(f"skipped: {case.get('name')}: {reason(case)}")
    for case in passed:
        for part in sorted(set(parts(case))):
            print(f"skipped in part: {case.get('name')}: {part}")
    for case in failed:
        print(f"failed: {case.get('name')}")
    count = f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped"
    with open(os.path.join(os.path.dirname(junit), "test-summary.txt"), "w", encoding="utf-8") as file:
        file.write(count + "\n")
    print(count, flush=True)
    return 1 if failed or not passed or ctest_status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
