"""gsttools.py - what the tests of the GStreamer plugin share: GStreamer's programs over the plugin that was built, with
a registry of their own, where each warning of GLib ends them and what is not freed is said at the end."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from harness import OK, check  # noqa: E402  pylint: disable=wrong-import-position

PLUGINS = os.path.join(harness.BUILD_DIR, "gstreamer")


def environment(s, **more):
    """In which GStreamer finds the plugin, and no registry of the user's is written. The registry is made in this
    process: a helper program of GStreamer's would load the plugin without the sanitizer that must come first."""
    harness.need_built("gstreamer", "libgstcuframes.so")
    env = {"GST_PLUGIN_PATH": PLUGINS, "GST_REGISTRY": s.path("registry.bin"), "GST_REGISTRY_FORK": "no",
           "G_DEBUG": "fatal-warnings", **more}
    if harness.SANITIZED:
        env["LD_PRELOAD"] = sanitizer()
    return env


def sanitizer():
    """The run time that must be in the program before a library that needs it."""
    listed = subprocess.run(["ldd", os.path.join(PLUGINS, "libgstcuframes.so")], check=True, capture_output=True,
                            text=True).stdout
    found = re.findall(r"=> (/\S*lib(?:asan|tsan|ubsan)\S*)", listed)
    return " ".join(found)


def inspect(s, *names):
    """What gst-inspect-1.0 says."""
    return s.start_program(harness.need_program("gst-inspect-1.0"), *names, env=environment(s)).expect(OK).out


def launch(s, *pipeline, env=None, name="gst-launch", **options):
    """Starts a pipeline."""
    words = [word for part in pipeline for word in part.split()]
    return s.start_program(harness.need_program("gst-launch-1.0"), *words, env=environment(s, **(env or {})),
                           name=name, **options)


def leaks_nothing(result):
    """That a pipeline that ran with the tracer LEAKS left no object of GStreamer's behind."""
    said = [line for line in result.err.splitlines() if "object-alive, type-name=(string)Gst" in line]
    check(not said, "not freed: %s", said[:5])


LEAKS = {"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"}
STATS = {"GST_DEBUG_NO_COLOR": "1", "GST_DEBUG": "GST_TRACER:7,cuframes:4"}


def stats_of(result):
    """The statistics that a cuframessink logs when it ends, with STATS in the environment."""
    said = re.findall(r"published: cuframes-sink-stats, (.*);", result.err)
    check(len(said) == 1, "%d lines of statistics: %s", len(said), result.err[-500:])
    return {name: int(value) for name, value in re.findall(r"([\w-]+)=\(\w+\)(\d+)", said[0])}
