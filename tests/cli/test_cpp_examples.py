#!/usr/bin/env python3
"""test_cpp_examples.py - the C++ programs in examples/ run, and what they make is looked at."""
import re
import subprocess

import harness
from harness import check


def gray(path, width, height):
    """A picture as rows of luma, by FFmpeg."""
    out = subprocess.run([harness.need_program("ffmpeg"), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt",
"gray", "-"], check=True, capture_output=True).stdout
    check(len(out) == width * height, "%s has %d samples, expected %dx%d", path, len(out), width, height)
    return [out[y * width:(y + 1) * width] for y in range(height)]


def still(s, size, pixels):
    """A stream that shows one scene of the film all the time."""
    path = s.path("still.png")
    subprocess.run([harness.need_program("ffmpeg"), "-v", "error", "-y", "-ss", "6", "-i", harness.CLIP, "-frames:v",
"1", "-vf", "scale=" + size, path], check=True)
    return s.publish(path, "camera", "--realtime", "--loop", "--format", pixels)


def shot(s, name, width, height):
    path = s.path(name + ".png")
    check(s.run("snapshot", name, path).code == harness.OK, "no snapshot of %s", name)
    return gray(path, width, height)


def worst(one, other):
    return max(abs(a - b) for rows in zip(one, other) for a, b in zip(*rows))


def test_contact_sheet(s):
    """Each tile is the picture that `cuframes snapshot` shows, whatever the planes; the rest is black."""
    program = harness.need_built("examples", "contact_sheet")
    for pixels in ("yuv420p", "nv12", "gray8", "rgb24", "bgr24"):
        camera = still(s, "320:180", pixels)
        path = s.path("sheet.png")
        said = s.start_program(program, "camera", path, "2").expect(harness.OK).out
        check(said == "%s: 2 pictures\n" % path, "contact_sheet says %r", said)
        sheet, picture = gray(path, 1280, 180), shot(s, "camera", 320, 180)
        check(len({sample for row in picture for sample in row}) > 20, "the scene shows nothing")
        for tile in range(2):
            differs = worst([row[tile * 320:(tile + 1) * 320] for row in sheet], picture)
            check(differs <= 30, "%s, tile %d: a sample differs by %d", pixels, tile, differs)  # two ways to make RGB
        check(max(sample for row in sheet for sample in row[640:]) <= 16, "the rest of the sheet is not black")
        camera.stop()


def test_viewer_without_a_window(s):
    """The last picture as a file is the one that `cuframes snapshot` shows; a format of OpenCV's own is not copied."""
    program = harness.need_built("examples", "opencv_viewer")
    for pixels in ("nv12", "bgr24"):
        camera = still(s, "320:180", pixels)
        path = s.path("viewer.png")
        said = s.start_program(program, "camera", "--count", "3", "--output", path).expect(harness.OK).out
        check(said == "camera: 3 pictures\n", "the viewer says %r", said)
        differs = worst(gray(path, 320, 180), shot(s, "camera", 320, 180))
        check(differs <= 30, "%s: a sample differs by %d", pixels, differs)  # two ways to make RGB
        camera.stop()


def test_viewer_says_what_is_missing(s):
    """A window needs a display, and is built where there is that part of OpenCV: either way there is a remedy."""
    program = harness.need_built("examples", "opencv_viewer")
    bare = {name: "" for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    result = s.start_program(program, "camera", env=bare).wait()
    check(result.code == 1 and "no window: " in result.err and "--output FILE" in result.err, "%s", result)
    for wrong in (["x", "--count", "0"], ["x", "--count", "y"], ["x", "--output", "x.png"], ["a", "b"]):
        check(s.start_program(program, *wrong).wait().code == 2, "%s is taken", wrong)


def test_bridge(s):
    camera = still(s, "640:360", "gray8")
    bridge = s.start_program(harness.need_built("examples", "bridge"), "camera", "half")
    s.until(lambda: s.run("info", "half").code == harness.OK and s.json("info", "half", "--json")["frames"] > 0,
            "the bridge publishes")
    info = s.json("info", "half", "--json")
    check(info["width"] == 320 and info["height"] == 180 and info["format"] == "gray8", "%s", info)
    whole, half = shot(s, "camera", 640, 360), shot(s, "half", 320, 180)
    differs = worst([row[::2] for row in whole[::2]], half)
    check(differs <= 2, "a sample differs by %d", differs)
    camera.stop()
    bridge.expect(harness.OK)


def test_inference(s):
    """What it finds is found by the viewer, for the very picture."""
    camera = s.publish("test:640x360@25,gray8", "camera")
    detector = s.start_program(harness.need_built("examples", "inference"), "camera", "bright")
    s.until(lambda: s.run("info", "bright").code == harness.OK and s.json("info", "bright", "--json")["packets"] > 0,
            "the detector has something to say")
    viewer = s.start_program(harness.need_built("examples", "viewer"), "camera", "bright")
    box = re.compile(r"frame (\d+): bright (\d\.\d+) at \d+,\d+ size 80x45")
    s.until(lambda: len([line for line in viewer.out.splitlines()[:-1] if box.fullmatch(line)]) >= 3, "boxes")
    camera.stop()
    for ended in (detector, viewer):
        ended.expect(harness.OK)


def test_words(s):
    for name in ("bridge", "inference", "contact_sheet", "opencv_viewer"):
        program = harness.need_built("examples", name)
        result = s.start_program(program).wait()
        check(result.code == 2 and ("usage: %s " % name) in result.err, "%s says %s", name, result)
    result = s.start_program(harness.need_built("examples", "bridge"), "no/name", "half").wait()
    check(result.code == 1 and 'the name "no/name"' in result.err, "bridge says %s", result)


if __name__ == "__main__":
    harness.main(globals())
