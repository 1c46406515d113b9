"""metering.py - what the tests of `cuframes metrics` share: the text format read by code of its own, and promtool."""
import os
import re
import subprocess

import harness
from harness import check

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
UNESCAPED = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


class Metrics:
    """A text, taken apart: families (name -> type and help), samples ((name, sorted labels) -> value)."""

    def __init__(self, text):
        self.text, self.families, self.samples = text, {}, {}
        check(text.endswith("\n"), "the text does not end with a line's end: %r", text[-80:])
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family, meaning = line[7:].split(" ", 1)
                check(family not in self.families, "the family %s comes twice", family)
                self.families[family] = [None, meaning.replace("\\n", "\n").replace("\\\\", "\\")]
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                check(name == family and self.families[name][0] is None, "TYPE of %s stands behind %s", name, family)
                self.families[name][0] = kind
            else:
                self.add(line, family)

    def add(self, line, family):
        match = SAMPLE.fullmatch(line)
        check(match, "no sample: %r", line)
        name, labels, value = match.groups()
        kind = self.families[family][0]
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        check(name in [family + end for end in ends], "%s stands in the family %s", name, family)
        found = LABEL.findall(labels or "")
        check("".join('%s="%s",' % pair for pair in found).rstrip(",") == (labels or ""), "labels: %r", line)
        key = name, tuple(sorted((word, re.sub(r'\\[\\n"]', lambda at: UNESCAPED[at[0]], text))
                                 for word, text in found))
        check(key not in self.samples, "twice: %r", line)
        self.samples[key] = float(value)

    def get(self, name, **labels):
        """The value of the one sample with these labels (and others); None: there is none."""
        found = self.all(name, **labels)
        check(len(found) <= 1, "%s %s: %s", name, labels, found)
        return found[0][1] if found else None

    def all(self, name, **labels):
        """[(labels, value)] of all that have these."""
        return [(dict(has), value) for (of, has), value in self.samples.items()
                if of == name and set(labels.items()) <= set(has)]


def once(s, *args, code=harness.OK):
    """What `metrics --once` prints."""
    return Metrics(s.start("metrics", "--once", "--timeout", harness.LIMIT, *args).expect(code).out)


def promtool(*args, text=""):
    """What promtool says; the test is skipped without it."""
    done = subprocess.run([harness.need_program("promtool"), *args], input=text, capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C.UTF-8"))
    return done.returncode, done.stdout + done.stderr


def check_promtool(text):
    code, said = promtool("check", "metrics", text=text)
    check(code == 0 and not said, "promtool check metrics: %d, %s", code, said)
