#!/usr/bin/env python3
"""test_doctor_findings.py - every problem that cuframes doctor can find is named by a test of it.

    test_doctor_findings.py              the test; with --list also which file names which problem
    test_doctor_findings.py --said FILE  which of its sentences no test has heard, but for those of OUT_OF_REACH:
                                         FILE is what CUFRAMES_DOCTOR_SAID named while the others ran (doctoring.py)
"""
import glob
import os
import re
import sys

import harness
from harness import check

SOURCES = os.path.join(harness.SOURCE_DIR, "tools", "cuframes", "doctor")
TESTS = os.path.join(harness.SOURCE_DIR, "tests", "cli")
STRING = r'"(?:[^"\\]|\\.)*"'
# Parts of sentences, and why no test can make the fault.
OUT_OF_REACH = {
    "the message came without it": "a security module that takes descriptors out of messages; none here does",
    "label=disable, or apparmor=unconfined": "likewise, of messages",
    "(T): kill -CONT PID": "the publisher must be stopped between two questions",
    "libnvcuvid.so.1 cannot be loaded": "the loader always says why",
}


def sources():
    for path in sorted(glob.glob(os.path.join(SOURCES, "*.c"))):
        with open(path) as file:
            yield os.path.basename(path), file.read()


def problems():
    """The words of what may be a problem: {word: file}."""
    words = {}
    for name, text in sources():
        for state, word in re.findall(r'\bfound\(\s*d,\s*([^"]+?),\s*("[^"]*"|what)', text):
            if "PROBLEM" in state or "severity" in state:
                for one in ['"host"', '"gpu"'] if word == "what" else [word]:
                    words[one.strip('"')] = name
        for word, other in re.findall(r'FOUND_PROBLEM,\s*[^"]*\?\s*("[^"]*")\s*:\s*("[^"]*")', text):
            words.update({word.strip('"'): name, other.strip('"'): name})
    return words


def sentences():
    """What may be said of a problem, as (file, text with %)."""
    for name, text in sources():
        text = re.sub(r'" PRI(?:u64|i64) "', "llu", text)
        for call in re.finditer(r"\b(?:found|finding_why|finding_mend)\((?!finding \*|doctor \*)", text):
            depth, at = 1, call.end()
            while depth and at < len(text):  # up to its end; no sentence has an odd bracket
                depth += {"(": 1, ")": -1}.get(text[at], 0)
                at += 1
            words = text[call.end():at]
            if call.group().startswith("found(") and not re.match(r"\s*d,\s*(FOUND_PROBLEM|.*severity)", words):
                continue
            for literal in re.findall(STRING + r"(?:\s*" + STRING + ")*", words):
                whole = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal)).replace('\\"', '"')
                if len(whole) > 18:
                    yield name, whole
    for name, text in sources():
        if name == "causes.c":
            for literal in re.findall(r"[,{]\s+(" + STRING + r"(?:\s*" + STRING + ")*)", text):
                yield name, "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal))


def unheard(path):
    with open(path) as file:
        said = file.read()
    for name, sentence in sorted(set(sentences())):
        parts = [re.escape(part) for part in re.split(r"%%|%[-0-9.*]*(?:ll|l|z|j)?[a-zA-Z]", sentence)]
        if not re.search(".*?".join(parts), said) and not any(part in sentence for part in OUT_OF_REACH):
            yield name, sentence


def tests():
    for path in sorted(glob.glob(os.path.join(TESTS, "test_doctor*.py"))):
        if not path.endswith("test_doctor_findings.py"):
            with open(path) as file:
                yield os.path.basename(path), file.read()


def test_every_problem_has_a_test(_):
    named = {word: [file for file, text in tests() if '"%s"' % word in text] for word in problems()}
    check(len(named) > 30, "only %d problems found in %s", len(named), SOURCES)
    if "--list" in sys.argv:
        for word, files in sorted(named.items()):
            print("%-22s %-14s %s" % (word, problems()[word], " ".join(files)))
    missing = ["%s (%s)" % (word, problems()[word]) for word, files in named.items() if not files]
    check(not missing, "no test names %s", ", ".join(missing))


if __name__ == "__main__":
    if "--said" in sys.argv:
        for file_name, line in unheard(sys.argv[sys.argv.index("--said") + 1]):
            print("%s: %s" % (file_name, line))
    else:
        sys.argv = [argument for argument in sys.argv if argument == "--list"] or sys.argv
        harness.main(globals())
