"""fftools.py - what the tests of FFmpeg's own cuframes components share: the FFmpeg that scripts/ffmpeg has built, and
how its frames and packets are compared. CUFRAMES_FFMPEG_VERSION chooses among several."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from harness import LIMIT, OK, check  # noqa: E402  pylint: disable=wrong-import-position

VERSIONS = "5.1", "7.1", "8.1"
FORMATS = ("nv12", "p010le", "yuv420p", "yuv422p", "yuv444p", "gray", "rgb24", "rgba", "bgra", "bgr24", "yuyv422",
           "uyvy422", "gray16le", "yuv420p10le", "yuv422p10le", "gbrp")


def need_tree():
    """FFmpeg's source tree in which it was built, or the test is skipped."""
    wanted = os.environ.get("CUFRAMES_FFMPEG_VERSION")
    for version in [wanted] if wanted else VERSIONS:
        tree = os.path.join(harness.SOURCE_DIR, "build", "ffmpeg", version, "source")
        if os.path.exists(os.path.join(tree, "ffmpeg")):
            return tree
    return harness.skip("no FFmpeg with cuframes here; `make ffmpeg` builds one")


def major():
    with open(os.path.join(need_tree(), "RELEASE"), encoding="utf-8") as file:
        return int(file.read().split(".")[0])


def ffmpeg(s, *args, name="ffmpeg", **options):
    """Starts it; what it says of frames is `-v verbose`."""
    return s.start_program(os.path.join(need_tree(), "ffmpeg"), "-nostdin", "-hide_banner", "-nostats", "-v", "verbose",
                           "-y", *args, name=name, **options)


def run(s, *args, code=OK, **options):
    """Runs it to its end; gives the Result."""
    return ffmpeg(s, *args, **options).expect(code)


def reader(s, stream, *args, options=(), **more):
    """One that waits for the stream, and for each frame, as long as tests do."""
    return ffmpeg(s, "-f", "cuframes", "-wait", LIMIT, "-timeout", LIMIT, *options, "-i", stream, *args,
                  name="reader of " + stream, **more)


def frames_to(form="framemd5"):
    return "-fps_mode", "passthrough", "-f", form, "-"


def read_frames(s, stream, *args, options=(), **more):
    """One that takes every frame, and prints its sum."""
    return reader(s, stream, *args, *frames_to(), options=("-mode", "ordered", *options), **more)


def sums(text):
    """The sum of each frame or packet."""
    return [line.split(",")[5].strip() for line in text.splitlines() if line and not line.startswith("#")]


def rows(text):
    """Stream, dts, pts, duration, size and sum of each packet; what is beside it is left out."""
    return [tuple(field.strip() for field in line.split(",")[:6]) for line in text.splitlines()
            if line and not line.startswith("#")]


def flags(text):
    """FFmpeg's flags of each packet of framecrc."""
    rows = [line.split(",")[6:] for line in text.splitlines() if line and not line.startswith("#")]
    return [next((field.strip() for field in row if "F=" in field), "F=0x1") for row in rows]


def same(got, wanted, what):
    check(len(got) == len(wanted), "%s: %d came of %d", what, len(got), len(wanted))
    wrong = [number for number, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]]
    check(not wrong, "%s: %d of %d differ, the first is %s", what, len(wrong), len(wanted), wrong[:1])


def publish(s, stream, *source, filters=(), options="", map_from="0:v:0", **more):
    """One that publishes by the filter, and waits for one subscriber unless options say for more."""
    waits = "" if "wait_subscribers" in options else ":wait_subscribers=1"
    graph = ",".join([*filters, "cuframes=%s:wait_timeout=%d:timeout=%d%s%s" % (
        stream, LIMIT, LIMIT, waits, ":" + options if options else "")])
    return ffmpeg(s, *source, "-map", map_from, "-noautoscale", "-vf", graph, "-fps_mode", "passthrough", "-f",
                  "null", "-", name="publisher of " + stream, **more)


def direct(s, *source, filters=(), map_from="0:v:0"):
    """What the same frames are without cuframes."""
    graph = ("-vf", ",".join(filters)) if filters else ()
    return sums(run(s, *source, "-map", map_from, "-noautoscale", *graph, *frames_to()).out)


def pattern(size, count, pixel_format=None, rate=25):
    """Arguments for a test picture, and the filters that give it its pixel format."""
    source = ("-f", "lavfi", "-i", "testsrc2=s=%s:r=%s" % (size, rate), "-frames:v", str(count))
    return source, (["scale=flags=accurate_rnd+bitexact", "format=" + pixel_format] if pixel_format else [])
