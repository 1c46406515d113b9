#!/usr/bin/env python3
"""test_inspect.py - what gst-inspect-1.0 says of the plugin: its elements, and the properties that are promised."""
import gsttools
import harness
from harness import check

ELEMENTS = ["cuframessink", "cuframessrc", "cuframespacketsrc"]
SINK = {"stream": "String", "directory": "String", "slots": "Unsigned Integer. Range: 0 - 1024 Default: 0",
        "policy": 'Enum "GstCuframesPolicy" Default: 0, "wait"',
        "reserve": 'Enum "GstCuframesReserve" Default: 0, "need"',
        "mode": "Unsigned Integer. Range: 0 - 511 Default: 432",
        "zero-copy": "Boolean. Default: true"}


def test_the_plugin_has_its_elements(s):
    said = gsttools.inspect(s, "cuframes")
    for element in ELEMENTS:
        check(f"  {element}: " in said, "no %s: %s", element, said)
    check("MIT/X11" in said, "no licence: %s", said)


def test_the_sink_has_typed_properties_with_ranges(s):
    said = " ".join(gsttools.inspect(s, "cuframessink").split())
    for name, kind in SINK.items():
        check(f" {name} : " in said and kind in said, "%s is not '%s': %s", name, kind, said)


def test_a_script_can_ask_for_the_elements_by_the_version_of_cuframes(s):
    for element in ELEMENTS:
        gsttools.inspect(s, "--exists", "--atleast-version=0.1", element)


if __name__ == "__main__":
    harness.main(globals())
