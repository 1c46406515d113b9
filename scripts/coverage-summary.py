#!/usr/bin/env python3
"""Sums gcovr's JSON up by directory, and lists the branches that no test took where nearly all should be.

usage: coverage-summary.py COVERAGE.JSON. Exit status: 1 if a directory of WATCHED is below LEAST percent of
branches."""
import json
import os
import sys

WATCHED = ("src/exchange", "src/wire", "src/link")
LEAST = 95.0
REASONS = os.path.join("docs", "coverage.md")


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def directory_of(path):
    """src/LAYER for the library, else the directory itself."""
    parts = path.split("/")
    return "/".join(parts[:2])


def function_at(functions, line):
    """The last function that begins at or before a line."""
    name = ""
    for start, candidate in functions:
        if start <= line:
            name = candidate
    return name


def gaps_of(entry):
    """(line, function, taken, branches) for each line with a branch not taken."""
    functions = sorted((function["lineno"], function["name"]) for function in entry.get("functions", []))
    for line in entry["lines"]:
        branches = line["branches"]
        taken = sum(branch["count"] > 0 for branch in branches)
        if taken < len(branches):
            yield line["line_number"], function_at(functions, line["line_number"]), taken, len(branches)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        entries = sorted(json.load(file)["files"], key=lambda entry: entry["file"])
    with open(REASONS, encoding="utf-8") as file:
        reasons = file.read()
    sums = {}
    for entry in entries:
        total = sums.setdefault(directory_of(entry["file"]), [0, 0, 0, 0])
        for line in entry["lines"]:
            if line.get("gcovr/noncode"):
                continue
            total[0] += line["count"] > 0
            total[1] += 1
            total[2] += sum(branch["count"] > 0 for branch in line["branches"])
            total[3] += len(line["branches"])
    unexplained = 0
    print(f"branches that no test took, in {', '.join(WATCHED)} ({REASONS} says why):")
    for entry in entries:
        path = entry["file"]
        if directory_of(path) not in WATCHED:
            continue
        with open(path, encoding="utf-8") as file:
            source = file.read().split("\n")
        for number, function, taken, branches in gaps_of(entry):
            known = f"`{os.path.relpath(path, 'src')}: {function}`" in reasons
            unexplained += not known
            reason = "" if known else ", no reason yet"
            print(f"  {path}:{number}: {function}: {branches - taken} of {branches}{reason}:"
                  f" {source[number - 1].strip()}")
    print(f"\n{'directory':<16}{'lines':>16}{'':>8}{'branches':>16}")
    low = []
    for directory, (lines, all_lines, branches, all_branches) in sorted(sums.items()):
        print(f"{directory:<16}{f'{lines}/{all_lines}':>16}{percent(lines, all_lines):>7.1f}%"
              f"{f'{branches}/{all_branches}':>16}{percent(branches, all_branches):>7.1f}%")
        if directory in WATCHED and percent(branches, all_branches) < LEAST:
            low.append(directory)
    for directory in low:
        print(f"{directory} is below {LEAST:.0f} % of branches")
    if unexplained:
        print(f"{unexplained} lines with a branch not taken and no reason in {REASONS}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
