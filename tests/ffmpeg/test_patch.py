#!/usr/bin/env python3
"""test_patch.py - the script that puts our files into FFmpeg's tree: it can be run twice and taken back, and leaves
alone what it does not know."""
import os
import shutil
import subprocess

import fftools
import harness
from harness import check

PATCH = os.path.join(harness.SOURCE_DIR, "integrations", "ffmpeg", "patch")
EDITED = ("RELEASE", "configure", "libavfilter/allfilters.c", "libavfilter/Makefile", "libavdevice/alldevices.c",
          "libavdevice/Makefile", "libavformat/allformats.c", "libavformat/Makefile")


def tree(s):
    """What the script looks at of FFmpeg's tree, as FFmpeg has it."""
    there, copy = fftools.need_tree(), s.path("tree")
    for directory in "libavutil", "libavfilter", "libavdevice", "libavformat":
        os.makedirs(os.path.join(copy, directory))
    for name in EDITED:
        shutil.copy(os.path.join(there, name), os.path.join(copy, name))
    patch(copy, "--reverse")
    return copy


def patch(copy, *args):
    return subprocess.run([PATCH, copy, *args], check=False, capture_output=True, text=True, timeout=harness.LIMIT)


def content(copy):
    found = {}
    for folder, _, names in os.walk(copy):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, copy)] = file.read(), os.stat(path).st_mode
    return found


def test_twice_is_once_and_back_is_nothing(s):
    copy = tree(s)
    before = content(copy)
    check(patch(copy, "--check").returncode == 0 and content(copy) == before, "--check changes something")
    check(patch(copy).returncode == 0, "it refuses")
    once = content(copy)
    check(len(once) == len(before) + 6 and once["configure"] != before["configure"], "it did nothing")
    again = patch(copy)
    check("nothing to do" in again.stdout and content(copy) == once, "the second time: %s", again)
    check(patch(copy, "--reverse").returncode == 0 and content(copy) == before, "not all was taken back")
    check("nothing to do" in patch(copy, "--reverse").stdout, "taken back twice")


def test_what_it_does_not_know_stays_as_it_is(s):
    copy = tree(s)
    for name, change in (("RELEASE", lambda text: "4.4.1\n"),
                         ("configure", lambda text: text.replace("    libdav1d\n", "")),
                         ("libavformat/Makefile", lambda text: text.replace("CONFIG_DASH_MUXER", "CONFIG_DUSK_MUXER")),
                         ("libavfilter/allfilters.c", lambda text: text + "extern const AVFilter ff_vf_curves;\n")):
        path = os.path.join(copy, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(change(text))
        before = content(copy)
        result = patch(copy)
        check(result.returncode == 1 and "it knows" in result.stderr, "%s: %s", name, result)
        check(content(copy) == before, "%s: the tree has changed", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    result = patch(s.path("nothing"))
    check(result.returncode == 1 and "no FFmpeg source tree" in result.stderr, "an empty place: %s", result)


def test_a_failure_half_way_is_taken_back(s):
    """A directory in the place of the last file: it cannot be written."""
    copy = tree(s)
    os.mkdir(os.path.join(copy, "libavformat", "cuframesenc.c"))
    before = content(copy)
    result = patch(copy)
    check(result.returncode == 1, "it says that all is well: %s", result)
    check(content(copy) == before, "the tree has changed")


if __name__ == "__main__":
    harness.main(globals())
