#!/usr/bin/env python3
"""test_docs.py - what the documents say of the program and of the tree is so: options and JSON keys of docs/cli.md,
commands in shell examples, links, and paths of files."""
import glob
import os
import re

import harness
import piping
from harness import check

LONG = re.compile(r"--[a-z][a-z-]*[a-z]")
COMMANDS = ("publish", "list", "info", "top", "snapshot", "record", "pipe", "grid", "wall", "verify", "doctor",
            "metrics")
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] + sorted(
    os.path.relpath(path, harness.SOURCE_DIR)
    for path in glob.glob(os.path.join(harness.SOURCE_DIR, "docs", "**", "*.md"), recursive=True))


def read(path):
    with open(os.path.join(harness.SOURCE_DIR, path), encoding="utf-8") as file:
        return file.read()


def sections(path):
    """The text below each `## ` heading."""
    parts = re.split(r"^## (.+)$", read(path), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def help_of(s, *command):
    result = s.run(*command, "--help")
    check(result.code == harness.OK, "%s --help ends with %s", " ".join(command), result.code)
    return result.out


def test_commands(s):
    listed = re.findall(r"^  ([a-z]+)  ", help_of(s), re.M)
    listed = [name for name in listed if name not in ("help", "version")]
    check(sorted(listed) == sorted(COMMANDS) == sorted(sections("docs/cli.md")),
          "the program has %s, docs/cli.md has %s", listed, list(sections("docs/cli.md")))


def test_options(s):
    for command, text in sections("docs/cli.md").items():
        program, page = set(LONG.findall(help_of(s, command))), set(LONG.findall(text))
        check(program == page, "%s: only --help has %s, only docs/cli.md has %s", command, sorted(program - page),
              sorted(page - program))


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_json_keys(s):
    film = s.publish(harness.CLIP, "film", "--realtime", "--loop", "--json")
    reader = s.start("verify", "film", "--json", "--duration", "3")
    s.until(lambda: s.json("info", "film", "--json")["subscribers"], "a subscriber")
    printed = {
        "list": s.json("list", "--json"),
        "info": s.json("info", "film", "--json"),
        "top": s.json("top", "--json", "--count", "1"),
        "snapshot": s.json("snapshot", "film", s.path("a.png"), "--json"),
        "record": s.json("record", "film", s.path("a.ts"), "--duration", "0.5", "--json"),
        "pipe": [piping.report(s.start("pipe", "film", "-o", "/dev/null", "--json", *words).expect(harness.OK))
                 for words in (("--count", "2"), ("--packets", "--container", "ts", "--duration", "0.5"))],
        "grid": [harness.parse_json(line) for line in
                 s.start("grid", "film", "none", "--output", "wall", "--size", "128x128", "--json", "--count", "9")
                 .expect(harness.OK).out.splitlines()],
        "verify": reader.json(),
        "doctor": s.json("doctor", "film", "--all", "--json"),
        "publish": [harness.parse_json(line) for line in film.stop().out.splitlines()],
    }
    pages = sections("docs/cli.md")
    for command, value in printed.items():
        text = pages[command] + (pages["info"] if command == "top" else "")
        missing = sorted(key for key in keys_of(value) if "`%s`" % key not in text)
        check(not missing, "%s prints keys that docs/cli.md does not have: %s", command, missing)


def test_shell_examples(s):
    """Options of `cuframes COMMAND ...` in code blocks and in code spans exist."""
    helps, seen = {}, 0
    for page in PAGES:
        text = read(page)
        blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)) + "\n" + "\n".join(
            re.findall(r"`([^`\n]+)`", text))
        for line in re.sub(r"\\\n", " ", blocks).splitlines():
            for command, rest in re.findall(r"(?<![-\w.])cuframes ([a-z]+)( [^|;&#>]*)?", line):
                if command not in COMMANDS:
                    continue
                helps[command] = helps.get(command) or set(LONG.findall(help_of(s, command))) | {"--name"}
                unknown = set(LONG.findall(rest)) - helps[command]
                check(not unknown, "%s: `%s` has no %s", page, line.strip(), sorted(unknown))
                seen += 1
    check(seen > 20, "only %s commands found in the documents", seen)


def test_links(s):
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            check(os.path.exists(os.path.join(harness.SOURCE_DIR, there)), "%s: no %s", page, target)
            if anchor:
                headings = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                            for heading in re.findall(r"^#+ (.+)$", read(there), re.M)]
                check(anchor in headings, "%s: %s has no heading #%s", page, there, anchor)


def test_paths(s):
    """Files of the tree that a page names in `code` exist, and so do the tests of a C file that it names after it."""
    for page in PAGES:
        for path in re.findall(r"`((?:src|tests|include|docs|scripts|examples|tools|bench|fuzz|cmake)/[\w./*-]*)`",
                               read(page)):
            check(glob.glob(os.path.join(harness.SOURCE_DIR, path)), "%s names %s, which is not there", page, path)


if __name__ == "__main__":
    harness.main(globals())
