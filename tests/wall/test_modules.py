#!/usr/bin/env python3
"""test_modules.py - parts of the page that need no browser, under node: what is late, and what detectors say."""
import walling
import harness


def test_what_is_late_is_left_out(s):
    walling.node("lateness.mjs", {"page": walling.modules()})


def test_boxes(s):
    walling.node("boxes.mjs", {"page": walling.modules()})


if __name__ == "__main__":
    harness.main(globals())
