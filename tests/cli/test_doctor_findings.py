#!/usr/bin/env python3
"""test_doctor_findings.py - every problem that cuframes doctor can find is named by a test of it, and every sentence
that it can say of one was said while the other tests ran, but for those of OUT_OF_REACH. These run before it (ctest);
where one of them did not, or had to skip something, sentences cannot be missed.

    test_doctor_findings.py --list     also which file names which problem
"""
import glob
import os
import re
import sys

import doctoring
import harness
from harness import check

SOURCES = os.path.join(harness.SOURCE_DIR, "tools", "cuframes", "doctor")
TESTS = os.path.join(harness.SOURCE_DIR, "tests", "cli")
LISTS = []
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


def checks():
    """All words that a finding may have as its check: what stands before the sentence."""
    words = set()
    for _, text in sources():
        for call in re.finditer(r"\bfound\(\s*d,([^;]*);", text):
            literals = re.findall(r'"([^"]*)"', call[1])
            first = next((at for at, text in enumerate(literals) if not re.fullmatch("[a-z_-]+", text)), len(literals))
            words.update(literals[:first])
    return words


def sentences():
    """What may be said of a problem, as (file, text with %)."""
    for name, text in sources():
        text = re.sub(r'"\s+PRI[ui]64(\s+")?', lambda at: "llu" if at[1] else 'llu"', text)
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
                if len(whole) > 18 and " " in whole:  # else it is no sentence
                    yield name, whole
    for name, text in sources():
        if name == "causes.c":
            for literal in re.findall(r"[,{]\s+(" + STRING + r"(?:\s*" + STRING + ")*)", text):
                whole = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal))
                if " " in whole and not re.match("Max |-[a-z] ", whole):  # names of limits, options of ulimit
                    yield name, whole


def unheard(said):
    for name, sentence in sorted(set(sentences())):
        parts = [re.escape(part) for part in re.split(r"%%|%[-0-9.*]*(?:ll|l|z|j)?[a-zA-Z]", sentence)]
        pattern = ".*?".join(parts).replace(r"sudo\ ", "(?:sudo )?")  # root is not told to
        if not re.search(pattern, said) and not any(part in sentence for part in OUT_OF_REACH):
            yield name, sentence


def tests():
    for path in sorted(glob.glob(os.path.join(TESTS, "test_doctor*.py"))):
        if not path.endswith("test_doctor_findings.py"):
            with open(path) as file:
                yield os.path.basename(path), file.read()


def test_every_problem_has_a_test(_):
    named = {word: [file for file, text in tests() if '"%s"' % word in text] for word in problems()}
    check(len(named) > 30, "only %d problems found in %s", len(named), SOURCES)
    if LISTS:
        for word, files in sorted(named.items()):
            print("%-22s %-14s %s" % (word, problems()[word], " ".join(files)))
    missing = ["%s (%s)" % (word, problems()[word]) for word, files in named.items() if not files]
    check(not missing, "no test names %s", ", ".join(missing))


def test_page(s):
    """docs/cli.md has the keys of --json, the states, the subjects and the checks, and no others."""
    with open(os.path.join(harness.SOURCE_DIR, "docs", "cli.md"), encoding="utf-8") as file:
        page = re.search(r"\n## doctor\n(.*?)\n## metrics\n", file.read(), re.S)[1]
    told = s.json("doctor", "--json", "--all", "--device", "host")
    above = re.search(r"JSON: (.*?): an array of objects with", page, re.S)[1]
    check(set(re.findall(r"`(\w+)`", above)) == set(told), "%s, the page has %s", list(told), above)
    rows = dict(re.findall(r"^\| `(\w+)`(?:, `mend`)? \| (.*?) \|", page.partition("JSON:")[2], re.M))
    for finding in told["findings"]:
        check(set(finding) == set(rows) | {"mend"}, "%s, the page has %s", list(finding), list(rows))
    check(set(re.findall(r"`(\w+)`", rows["state"])) == doctoring.STATES, "states: %s", rows["state"])
    subjects = set(re.findall(r"^\| `(\w+)` \|", page.partition("| subject |")[2].partition("A GPU that")[0], re.M))
    check(subjects == doctoring.SUBJECTS, "subjects: %s", sorted(subjects ^ doctoring.SUBJECTS))
    there = set(re.findall(r"`([a-z_-]+)`", page.partition("The words of `check`:")[2]))
    check(there == checks(), "the words of check: %s", sorted(there ^ checks()))


def test_every_sentence_was_heard(_):
    said = ""
    for test, _ in tests():
        path = doctoring.said_file(test)
        if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(harness.program()):
            harness.skip("%s did not run here before this one, or not all of it" % test)
        with open(path) as file:
            said += file.read()
    check(len(list(sentences())) > 150, "only %d sentences found in %s", len(list(sentences())), SOURCES)
    missing = ["%s: %s" % pair for pair in unheard(said)]
    check(not missing, "no test has heard\n%s", "\n".join(missing))
    for part in OUT_OF_REACH:
        check(any(part in sentence for _, sentence in sentences()), "doctor has no such sentence: %s", part)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--list" or LISTS.append(argument)]
    harness.main(globals())
