#!/usr/bin/env python3
"""test_lateness.py - what the page does with samples and pictures that are late, by its own modules under node."""
import walling
import harness


def test_what_is_late_is_left_out(s):
    walling.node("lateness.mjs", {"page": walling.modules()})


if __name__ == "__main__":
    harness.main(globals())
