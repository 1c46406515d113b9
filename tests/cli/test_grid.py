#!/usr/bin/env python3
"""test_grid.py - `cuframes grid`: each tile is the vision library's own picture of its stream, streams come, go, die
and change, and nobody is held up by anybody."""
import json
import os
import re
import signal
import struct
import subprocess
import zlib

import harness
from harness import FAILED, OK, USAGE, check, pace

TRUTH = ("tests", "grid_truth")
LINEAR, AREA = 0, 1


def start(s, *args, **options):
    """A grid that says what happens."""
    return s.start("grid", *args, "--json", **options)


def events(process):
    return [harness.parse_json(line) for line in process.out.splitlines()]


def wait_event(process, what, stream=None, after=0):
    """The next event of this kind, behind the first `after` ones; gives it and how many there are then."""
    more = "" if stream is None else '"stream":"%s"' % stream
    position = [m.end() for m in re.finditer("\n", process.out)][after - 1] if after else 0
    process.wait_for(r'^\{"event":"%s"[^\n]*%s[^\n]*$' % (what, more), stream="out", after=position)
    found = [(index, event) for index, event in enumerate(events(process))
             if index >= after and event["event"] == what and (stream is None or event.get("stream") == stream)]
    return found[0][1], found[0][0] + 1


def end(process, number=signal.SIGINT):
    """What it counted."""
    return harness.parse_json(process.stop(number).out.splitlines()[-1])


def write_config(s, **content):
    path = s.path("grid.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.rename(path + ".new", path)
    return path


def tile(stream, x, y, width, height, **more):
    return dict({"stream": stream, "x": x, "y": y, "width": width, "height": height, "fit": "stretch"}, **more)


def judge(s, grid, tiles, picture_filter, pictures=5, most=0, **options):
    """Which numbers the tiles show, a list for each; those that say so when they have no signal are left out. most: by
    which samples may differ. The first two pictures are not judged: the newest one at joining may be of before the last
    event, and the next one may have been begun before it."""
    specs = ["%d,%d,%d,%d:%s:%s:%d" % (t["x"], t["y"], t["width"], t["height"], size, form, margin)
             for t, size, form, margin in tiles]
    out = s.start_program(harness.need_built(*TRUTH), grid, pictures + 2, "%d/%d" % (picture_filter, most), *specs,
                          **options).expect(OK).out
    numbers = [[] for _ in tiles]
    for index, what, number in re.findall(r"^tile (\d+) (\w+) ?(\d*)$", out, re.M)[2 * len(tiles):]:
        check(what != "wrong", "tile %s is no picture of its stream:\n%s", index, out)
        if number:
            numbers[int(index)].append(int(number))
    return numbers


def rises(numbers):
    return numbers == sorted(numbers)


def test_each_tile_is_its_picture(s):
    """Byte for byte, in luma and chroma, of several formats and sizes, larger and smaller."""
    kinds = (("nv12", "640x360"), ("yuv420p", "320x240"), ("rgb24", "161x121"), ("p010", "322x182"),
             ("nv12", "320x180"))
    for index, (form, size) in enumerate(kinds):
        s.publish("test:%s@25,%s" % (size, form), "c%d" % index)
    tiles = [tile("c0", 0, 0, 320, 180), tile("c1", 320, 0, 200, 100), tile("c2", 0, 180, 240, 176),
             tile("c3", 240, 180, 398, 178), tile("c4", 320, 100, 320, 80)]
    # c4 is copied where it has its own size; here its height is not
    for number, name in ((AREA, "area"), (LINEAR, "linear")):
        path = write_config(s, output="wall", size="640x360", tiles=tiles, filter=name)
        grid = start(s, "--config", path, "--no-labels", "--device", "host")
        for index in range(len(kinds)):
            wait_event(grid, "live", "c%d" % index)
        seen = judge(s, "wall", [(t, kinds[i][1], kinds[i][0], 4) for i, t in enumerate(tiles)], number)
        check(all(rises(one) for one in seen) and sum(map(len, seen)) >= 5, "%s: tiles show %s", name, seen)
        grid.stop()


def test_on_a_gpu(s):
    """Over the stand-in: streams of the GPU, of another one and of the host, in a grid on the GPU; and a GPU's in a
    grid on the host."""
    standin = os.path.join(harness.BUILD_DIR, "tests", "cuda", "standin")
    if not os.path.exists(os.path.join(standin, "libcuda.so.1")):
        harness.skip("no stand-in for a GPU was built")
    gpu = {"LD_LIBRARY_PATH": standin, "CUDA_STANDIN_DEVICES": "2", "CUDA_STANDIN_DELAY_US": "300"}
    places = [tile("here", 0, 0, 320, 180), tile("there", 320, 0, 200, 100), tile("host", 0, 180, 240, 176)]
    for name, device in (("here", "cuda:0"), ("there", "cuda:1"), ("host", "host")):
        s.publish("test:320x240@25,nv12", name, "--device", device, env=gpu)
    tiles = [(place, "320x240", "nv12", 4) for place in places]
    for device in ("cuda:0", "host", "auto"):
        report = s.path(device + ".report")
        path = write_config(s, output="wall", size="640x360", tiles=places, device=device, clock=True)
        grid = start(s, "--config", path, "--no-labels", env=dict(gpu, CUDA_STANDIN_REPORT=report))
        for place in places:
            wait_event(grid, "live", place["stream"])
        where = events(grid)[0]["device"]
        check(where.startswith("host" if device == "host" else "cuda:GPU-"), "it is on %s", where)
        seen = judge(s, "wall", tiles, AREA, most=1, env=gpu)
        check(all(rises(one) for one in seen), "%s: tiles show %s", device, seen)
        pace(all(seen), "%s: tiles show %s", device, seen)
        grid.stop()
        with open(report) as file:
            left = dict(part.split("=") for part in file.read().split()[1:])
        check(left["streams"] == "0" and left["host_allocations"] == "0", "%s: it left %s", device, left)
        left = {key: value for key, value in left.items()
                if value != "0" and key not in ("contexts", "modules", "swept")}
        check(not left, "%s: it left %s on the GPU", device, left)


def test_a_tile_of_the_same_size_is_a_copy(s):
    s.publish("test:320x180@25,nv12", "cam")
    path = write_config(s, output="wall", size="640x360", tiles=[tile("cam", 320, 180, 320, 180, fit="contain"),
                                                                 tile("cam", 0, 0, 320, 180)])
    grid = start(s, "--config", path, "--no-labels")
    wait_event(grid, "live", "cam")
    places = [(tile("cam", x, y, 320, 180), "320x180", "nv12", 4) for x, y in ((320, 180), (0, 0))]
    first, second = judge(s, "wall", places, LINEAR)
    check(first == second and first, "two tiles of one stream show %s and %s", first, second)
    check(len(s.json("info", "cam", "--json")["subscriber_list"]) == 1, "it was joined twice")
    check(end(grid)["streams"][0]["frames"] > 0, "no pictures")


def test_a_dead_camera_is_shown_and_comes_back(s):
    s.publish("test:160x120@25", "lives")
    dies = s.publish("test:160x120@25", "dies")
    s.leaves("dies.sock", "dies.lock")
    grid = start(s, "dies", "lives", "--output", "wall", "--size", "640x360")
    _, at = wait_event(grid, "live", "dies")
    wait_event(grid, "live", "lives")
    dies.kill()
    killed = harness.time.time()
    lost, at = wait_event(grid, "no_signal", "dies", at)
    pace(harness.time.time() - killed < 1, "it took %.2f s to show", harness.time.time() - killed)
    check(lost["reason"] == "the stream has gone" and abs(lost["since"] - killed) < harness.LIMIT, "it says %s", lost)
    before = s.json("info", "wall", "--json")["frames"]
    s.until(lambda: s.json("info", "wall", "--json")["frames"] > before + 5, "pictures without it")
    s.publish("test:320x240@25", "dies")  # of another size
    back, at = wait_event(grid, "live", "dies", at)
    check(back["seconds"] > 0, "it says %s", back)
    summary = end(grid)
    check(summary["losses"] == 1 and [one["losses"] for one in summary["streams"]] == [1, 0], "it counted %s", summary)


def test_a_stopped_camera_holds_nobody_up(s):
    stops = s.publish("test:160x120@25", "stops")
    s.publish("test:160x120@25", "goes")
    grid = start(s, "stops", "goes", "never", "--output", "wall", "--size", "320x180", "--fps", "50")
    _, at = wait_event(grid, "live", "stops")
    wait_event(grid, "live", "goes")
    wait_event(grid, "no_signal", "never")
    stops.suspend()
    lost, at = wait_event(grid, "no_signal", "stops", at)
    check(lost["reason"] == "no picture comes", "it says %s", lost)
    late = start(s, "stops", "goes", "--output", "late", "--size", "320x180")  # joins while it is stopped
    wait_event(late, "live", "goes")
    pictures = lambda: [s.json("info", name, "--json")["frames"] for name in ("wall", "late")]
    before = pictures()
    s.until(lambda: all(now > was + 10 for now, was in zip(pictures(), before)), "pictures beside a stopped camera")
    lost, _ = wait_event(late, "no_signal", "stops")
    check("does not answer" in lost["reason"] or "not joined" in lost["reason"], "it says %s", lost)
    stops.resume()
    wait_event(grid, "live", "stops", at)
    wait_event(late, "live", "stops")
    late.stop()
    grid.stop()


def test_what_a_source_says_is_shown(s):
    s.start("publish", "rtsp://127.0.0.1:9/nobody", "--name", "away")
    s.until(lambda: any(one["name"] == "away" for one in s.json("list", "--json")), "the stream")
    grid = start(s, "away", "--output", "wall", "--size", "320x180")
    lost, _ = wait_event(grid, "no_signal", "away")
    check(lost["reason"].startswith("connecting"), "it says %s", lost)
    grid.stop()


def test_all_streams_come_and_go(s):
    """Without names: those with pictures; neither grids nor what has no pictures."""
    first = s.publish("test:160x120@25", "cam1")
    s.leaves("boxes.sock", "boxes.lock")
    s.start_program(harness.need_built("examples", "detector"), "cam1", "boxes", env={"CUFRAMES_DIR": s.dir})
    grid, other = start(s, "--output", "wall", "--size", "320x180", "--keep", "0.5"), start(s, "--output", "other",
                                                                                            "--size", "320x180")
    wait_event(grid, "live", "cam1")
    wait_event(other, "live", "cam1")
    second = s.publish("test:160x120@25", "cam2")
    _, at = wait_event(grid, "live", "cam2")
    wait_event(other, "live", "cam2")
    first.stop()
    _, at = wait_event(grid, "no_signal", "cam1", at)
    wait_event(grid, "removed", "cam1", at)
    second.kill()
    s.leaves("cam2.sock", "cam2.lock")
    wait_event(grid, "removed", "cam2", at)
    for process in (grid, other):
        process.stop()
        names = {event["stream"] for event in events(process) if "stream" in event}
        check(names == {"cam1", "cam2"}, "it showed %s", names)


def test_a_stream_that_cannot_be_drawn_harms_nobody(s):
    """Colours that nobody can convert, pixels of a shape that cannot be, and an array that is no picture."""
    ffmpeg = harness.need_program("ffmpeg")
    for name, options in (("ycgco", ("-colorspace", "ycgco")), ("thin", ("-vf", "setsar=1/60000")),
                          ("flat", ("-vf", "setsar=60000"))):
        subprocess.run([ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-t", "1",
                        "-pix_fmt", "yuv420p", "-c:v", "ffv1", *options, s.path(name + ".mkv")], check=True,
                       stdin=subprocess.DEVNULL)
        s.publish(s.path(name + ".mkv"), name, "--realtime", "--loop")
    s.publish("test:160x120@25", "cam")
    s.start_program(harness.need_built("tests", "tensors"), "array")
    s.wait_stream("array")
    for fit in ("contain", "cover", "stretch"):
        grid = start(s, "cam", "ycgco", "thin", "flat", "array", "--output", "wall", "--size", "320x180", "--fit", fit)
        for name in ("cam", "thin", "flat"):
            wait_event(grid, "live", name)
        for name, why in (("ycgco", "matrix 8"), ("array", "tensor")):
            lost, _ = wait_event(grid, "no_signal", name)
            check(lost["reason"].startswith("cannot be shown: ") and why in lost["reason"], "it says %s", lost)
        before = s.json("info", "wall", "--json")["frames"]
        s.until(lambda: s.json("info", "wall", "--json")["frames"] > before + 5, "pictures")
        grid.stop()


def test_who_comes_and_goes_leaves_nothing(s):
    """Streams of a pattern, and a detector's, again and again: no descriptor and no thread is left."""
    s.publish("test:160x120@25", "cam")
    s.leaves("other.sock", "other.lock")
    grid = start(s, "--output", "wall", "--size", "320x180", "--keep", "0.1", "--boxes", "bright")
    _, at = wait_event(grid, "live", "cam")

    def come_and_go(at):
        other = s.publish("test:160x120@25", "other")
        _, at = wait_event(grid, "live", "other", at)
        other.kill()
        return wait_event(grid, "removed", "other", at)[1]

    def holds():
        return grid.descriptors(), len(os.listdir("/proc/%d/task" % grid.pid))
    at = come_and_go(at)
    before = holds()
    for _ in range(5):
        at = come_and_go(at)
    # a thread that joins, or that looks at the directory, has some for a moment
    s.until(lambda: all(now <= was for now, was in zip(holds(), before)), "what it held before, %s" % (before,))
    grid.stop()


def test_a_camera_changes_its_size(s):
    """In mid-stream, by one publisher: no signal is lost, and nobody joins again."""
    ffmpeg, parts = harness.need_program("ffmpeg"), []
    for index, size in enumerate(("320x240", "176x144")):
        parts.append(s.path("part%d.ts" % index))
        subprocess.run([ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=%s:rate=25" % size, "-t", "1",
                        "-c:v", "mpeg2video", "-output_ts_offset", str(index), parts[-1]], check=True,
                       stdin=subprocess.DEVNULL)
    with open(s.path("film.ts"), "wb") as film:
        for part in parts:
            with open(part, "rb") as file:
                film.write(file.read())
    s.publish(s.path("film.ts"), "film", "--realtime", "--loop")
    grid = start(s, "film", "--output", "wall", "--size", "320x180")
    wait_event(grid, "live", "film")
    widths = set()

    def both():
        widths.add(s.json("info", "film", "--json")["width"])
        return widths == {320, 176}
    s.until(both, "both sizes", every=0.05)
    before = s.json("info", "film", "--json")["subscriber_list"][0]["delivered"]
    s.until(lambda: s.json("info", "film", "--json")["subscriber_list"][0]["delivered"] > before + 30, "pictures")
    check(len(s.json("info", "film", "--json")["subscriber_list"]) == 1, "it joined again")
    end(grid)


def test_patterns(s):
    for name in ("a1", "a2", "b1", "nv12"):
        s.publish("test:64x64@25", name)
    grid = start(s, "b1", "a*", "nv12", "--output", "a9", "--size", "320x180", "--count", "20")
    streams = [one["stream"] for one in harness.parse_json(grid.expect(OK).out.splitlines()[-1])["streams"]]
    check(sorted(streams) == ["a1", "a2", "b1", "nv12"], "it showed %s", streams)


def test_reload(s):
    for name in ("stays", "goes", "comes"):
        s.publish("test:64x64@25", name)
    path = write_config(s, output="wall", size="320x180", streams=["stays", "goes"])
    grid = start(s, "--config", path)
    wait_event(grid, "live", "stays")
    _, at = wait_event(grid, "live", "goes")
    before = s.json("info", "stays", "--json")["subscriber_list"]
    write_config(s, output="wall", size="640x480", fps=12.5, streams=["comes", "stays"], clock=True)
    grid.send(signal.SIGHUP)
    event, at = wait_event(grid, "reloaded", after=at)
    check(event["tiles"] == 2 and event["needs_restart"] == [], "it says %s", event)
    wait_event(grid, "live", "comes", at)
    s.until(lambda: not s.json("info", "goes", "--json")["subscriber_list"], "it left")
    after = s.json("info", "stays", "--json")["subscriber_list"]
    check(len(after) == len(before) == 1 and after[0]["delivered"] > before[0]["delivered"], "who stays was touched")
    s.until(lambda: s.json("info", "wall", "--json")["width"] == 640, "the new size")
    for wrong in ({"output": "wall", "tiles": [{"stream": "stays", "x": 1}]}, {"output": "wall", "colums": 3}):
        write_config(s, **wrong)
        grid.send(signal.SIGHUP)
        event, at = wait_event(grid, "not_reloaded", after=at)
        check("grid.json" in event["message"], "it says %s", event)
    write_config(s, output="other", size="640x480", streams=["comes"])
    grid.send(signal.SIGHUP)
    event, at = wait_event(grid, "reloaded", after=at)
    check(event["needs_restart"] == ["output"], "it says %s", event)
    grid.send(signal.SIGHUP)
    event, at = wait_event(grid, "reloaded", after=at)
    check(event["needs_restart"] == ["output"], "the second time it says %s", event)
    write_config(s, output="other", size="640x480", streams=["comes", "wall"])  # what it is called now
    grid.send(signal.SIGHUP)
    event, at = wait_event(grid, "not_reloaded", after=at)
    check("cannot be a tile of itself" in event["message"], "it says %s", event)
    check(end(grid)["output"] == "wall", "it changed its name")


def test_a_wrong_file_is_refused(s):
    """Each with where it is wrong."""
    places = {"x": 0, "y": 0, "width": 100, "height": 100}
    for said, content in (
            ("line 1", '{"output": "wall", }'),
            ('"tiles" wants an array', {"output": "wall", "tiles": 3}),
            ("tile 1 is not an object", {"output": "wall", "tiles": [3]}),
            ('tile 2 has no "stream"', {"output": "wall", "tiles": [{"stream": "a"}, {}]}),
            ('tile 1: "stream": "a b" is no stream name', {"output": "wall", "tiles": [{"stream": "a b"}]}),
            ('tile 1: "width" wants an even number',
             {"output": "wall", "tiles": [dict(places, stream="a", width=101)]}),
            ('tile 1: "widht" is no key of a tile; did you mean width?',
             {"output": "wall", "tiles": [{"stream": "a", "widht": 3}]}),
            ('tile 1 has no "height"', {"output": "wall", "tiles": [{"stream": "a", "x": 0, "y": 0, "width": 64}]}),
            ("tile 2 has no place", {"output": "wall", "tiles": [dict(places, stream="a"), {"stream": "b"}]}),
            ('tile 1: "fit": "fill" is none of contain', {"output": "wall", "tiles": [{"stream": "a", "fit": "fill"}]}),
            ('tile 1: "label" wants a string', {"output": "wall", "tiles": [{"stream": "a", "label": 3}]}),
            ("outside the picture", {"output": "wall", "size": "128x128",
                                     "tiles": [dict(places, stream="a", x=100)]}),
            ("must be one name", {"output": "wall", "tiles": [dict(places, stream="a*")]}),
            ('"colums" is no option; did you mean columns?', {"output": "wall", "colums": 3}),
            ('"fps": "fast" wants pictures in a second', {"output": "wall", "fps": "fast"}),
            ('"filter": "aera" is neither area nor linear; did you mean area?', {"output": "wall", "filter": "aera"}),
            ("two ways to say the same", {"output": "wall", "streams": [], "tiles": []}),
            ("wants an object", [])):
        path = s.path("wrong.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        result = s.run("grid", "--config", path)
        said = said.replace("line 1", "wrong.json:1:")
        check(result.code == USAGE and said in result.err, "%s: %s %s", content, result.code, result.err)
    check(s.run("grid", "--config", s.path("none.json")).code == FAILED, "a file that is not there")


def test_usage(s):
    for said, args in (("--output NAME is missing", ("cam",)),
                       ("cannot be a tile of itself", ("cam", "wall", "--output", "wall")),
                       ("is no stream name", ("--output", "a b")),
                       ("'a/b' is no stream name", ("a/b", "--output", "wall")),
                       ("both even", ("--output", "wall", "--size", "641x480")),
                       ("from 0.1 to 240", ("--output", "wall", "--fps", "0")),
                       ("from 0.1 to 240", ("--output", "wall", "--fps", "25/0")),
                       ("from 0.1 to 240", ("--output", "wall", "--fps", "0x10")),
                       ("of up to 199 bytes", ("--output", "wall", "--clock=" + 20 * "%F %T wall")),
                       ("of up to 199 bytes", ("--output", "wall", "--clock=")),
                       ("did you mean nv12?", ("--output", "wall", "--format", "nv21")),
                       ("did you mean --columns?", ("--output", "wall", "--colums", "3")),
                       ("six digits", ("--output", "wall", "--background", "red"))):
        result = s.run("grid", *args)
        check(result.code == USAGE and said in result.err, "%s: %s %s", args, result.code, result.err)
    font = s.run("grid", "--output", "wall", "--font", os.path.join(harness.SOURCE_DIR, "README.md"))
    check(font.code == FAILED and "is no font" in font.err, "a font: %s", font)
    s.publish("test:64x64@25", "taken")
    taken = s.run("grid", "--output", "taken")
    check(taken.code == FAILED and "taken" in taken.err, "a name in use: %s", taken)
    nowhere = s.run("grid", "--output", "wall", "--dir", "/dev/null/none")
    check(nowhere.code == FAILED and "cuframes doctor --dir /dev/null/none` says more" in nowhere.err, "%s", nowhere)
    device = s.run("grid", "--output", "wall", "--device", "cuda")
    check(device.code == FAILED and "no CUDA driver" in device.err, "no GPU: %s", device)


def raw_picture(s, stream):
    """Luma and both chroma of the newest picture, NV12, as rows."""
    path = s.path(stream + ".raw")
    seen = s.json("snapshot", stream, path, "--format", "raw", "--json")["files"][0]
    width, height = seen["width"], seen["height"]
    with open(path, "rb") as file:
        data = file.read()
    luma = [data[y * width:(y + 1) * width] for y in range(height)]
    pairs = data[width * height:]
    chroma = [pairs[y * width:(y + 1) * width] for y in range(height // 2)]
    return luma, chroma


def test_boxes_of_a_detector_are_drawn(s):
    """The example finds the brightest field of a picture, and the grid draws its box, in green."""
    s.publish("test:320x180@25,nv12", "cam")
    s.leaves("bright.sock", "bright.lock")
    s.start_program(harness.need_built("examples", "detector"), "cam", "bright")
    grid = start(s, "cam", "--output", "wall", "--size", "640x360", "--no-labels", "--gap", "0", "--boxes", "bright")
    wait_event(grid, "live", "cam")

    def green():
        _, chroma = raw_picture(s, "wall")
        return sum(abs(row[x] - 81) <= 2 and abs(row[x + 1] - 72) <= 2 for row in chroma for x in range(0, 640, 2))
    s.until(lambda: green() > 60, "boxes in the grid")
    grid.stop()


def png(width, height, pixel):
    """An RGB picture as a PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(value for x in range(width) for value in pixel(x, y)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def still(s, name, width=200, height=100, color=(0, 0, 0)):
    """A camera of one colour."""
    with open(s.path(name + ".png"), "wb") as file:
        file.write(png(width, height, lambda x, y: color))
    s.publish(s.path(name + ".png"), name, "--loop", "--realtime")


def detect(s, camera, name, count, *box):
    s.leaves(name + ".sock", name + ".lock")
    s.start_program(harness.need_built("tests", "boxes"), camera, name, str(count), ",".join(map(str, box)))


GREEN = (81, 72)  # Cb, Cr of a box of class 0


def colored(chroma, color):
    """Samples of that colour."""
    return {(x // 2, y) for y, row in enumerate(chroma) for x in range(0, len(row), 2)
            if abs(row[x] - color[0]) <= 2 and abs(row[x + 1] - color[1]) <= 2}


def test_boxes_are_in_their_place(s):
    """To the pixel, for each way to fit: from the pair that a side is in to the pair that the other is in."""
    still(s, "cam")
    detect(s, "cam", "found", 1, 0.375, 0.25, 0.25, 0.5)  # 75 to 125 of 200, 25 to 75 of 100
    at = dict(x=100, y=40, width=300, height=300)
    for fit, left, top, right, bottom in (("contain", 212, 150, 288, 228),  # shown: 300x150 at 100,114; by 1.5
                                          ("cover", 174, 114, 326, 266),    # columns 50 to 150, by 3
                                          ("stretch", 212, 114, 288, 266)):  # by 1.5, and by 3
        path = write_config(s, output="wall", size="640x360", tiles=[dict(at, stream="cam", fit=fit)], boxes=["found"])
        grid = start(s, "--config", path, "--no-labels", "--device", "host")
        wait_event(grid, "live", "cam")
        wanted = {(x, y) for y in range(top // 2, bottom // 2) for x in range(left // 2, right // 2)
                  if x in (left // 2, right // 2 - 1) or y in (top // 2, bottom // 2 - 1)}
        seen = set()
        s.until(lambda: seen.update(colored(raw_picture(s, "wall")[1], GREEN)) or seen, "a box in the grid")
        check(seen == wanted, "%s: the box is from %s to %s", fit, min(seen), max(seen))
        grid.stop()


def test_boxes_leave_room_for_pictures(s):
    """However many there are: the last tile has its picture."""
    still(s, "cam", color=(255, 255, 255))
    detect(s, "cam", "found", 64, 0.25, 0.25, 0.5, 0.5)
    grid = start(s, *["cam"] * 256, "--output", "wall", "--size", "1280x720", "--no-labels", "--fps", "5", "--fit",
                 "stretch", "--boxes", "found", "--device", "host")
    wait_event(grid, "live", "cam")
    s.until(lambda: colored(raw_picture(s, "wall")[1], GREEN), "boxes in the grid")
    corner = {raw_picture(s, "wall")[0][720 - 12][1280 - 12] for _ in range(5)}
    check(235 in corner, "the last tile shows %s", corner)
    grid.stop()


def test_a_note_stays_in_its_tile(s):
    """Tiles without room for what there is to say: beside them all is as it was."""
    tiles = [tile("none", 40, 40, 16, 16), tile("none", 100, 100, 200, 16),
             tile("none", 40, 200, 60, 30, label="a\nb\nc")]
    path = write_config(s, output="wall", size="320x240", tiles=tiles, background="000000")
    grid = start(s, "--config", path, "--device", "host")
    wait_event(grid, "no_signal", "none")

    def spilt():
        luma, _ = raw_picture(s, "wall")
        check(any(value > 16 for row in luma for value in row), "there are no borders")
        return [(x, y) for y, row in enumerate(luma) for x, value in enumerate(row) if value != 16 and
                not any(t["x"] <= x < t["x"] + t["width"] and t["y"] <= y < t["y"] + t["height"] for t in tiles)]
    check(not spilt(), "there is something at %s", spilt()[:1])
    grid.stop()


def decoded(s, path):
    """RGB bytes of an image file."""
    ffmpeg = harness.need_program("ffmpeg")
    out = s.path("decoded.rgb")
    subprocess.run([ffmpeg, "-loglevel", "error", "-y", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", out],
                   check=True, stdin=subprocess.DEVNULL)
    with open(out, "rb") as file:
        return file.read()


def test_it_looks_as_it_did(s):
    """Still pictures, all ways to fit, names in several scripts and a character that no font has, beside a stored one.
    Another FreeType draws edges of letters a little otherwise."""
    stored = os.path.join(harness.SOURCE_DIR, "tests", "data", "grid.png")
    kinds = {"wide": (320, 120, lambda x, y: (x * 255 // 320, 90, 255 - y * 2)),
             "tall": (90, 200, lambda x, y: (255 - y, 200 if (x // 10 + y // 10) % 2 else 40, x * 2)),
             "square": (160, 160,
                        lambda x, y: (255, 255, 255) if (x - 80) ** 2 + (y - 80) ** 2 < 3600 else (30, 60, 120))}
    for name, (width, height, pixel) in kinds.items():
        with open(s.path(name + ".png"), "wb") as file:
            file.write(png(width, height, pixel))
        s.publish(s.path(name + ".png"), name, "--loop", "--realtime", "--device", "host")
    size = {"width": 204, "height": 170}
    tiles = [dict(size, stream="wide", x=4, y=4),
             dict(size, stream="tall", x=216, y=4, label="Tür Ωδός"),
             dict(size, stream="square", x=428, y=4,
                  label="no such: \U0001f408\u200b, and much too long for this tile"),
             dict(size, stream="wide", x=4, y=182, fit="cover", label="cover"),
             dict(size, stream="tall", x=216, y=182, fit="stretch", label="stretch"),
             dict(size, stream="square", x=428, y=182, fit="cover", label="")]
    font = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
    if not os.path.exists(font):
        harness.skip("no DejaVu Sans at %s" % font)
    path = write_config(s, output="wall", size="640x360", tiles=tiles, font=font, background="334455", clock="12:34")
    grid = start(s, "--config", path, "--device", "host")
    for name in kinds:
        wait_event(grid, "live", name)
    seen = os.environ.get("CUFRAMES_GRID_IMAGE", s.path("wall.png"))  # where a new one to be stored is wanted

    def differs():
        s.start("snapshot", "wall", seen).expect(OK)
        if not os.path.exists(stored):
            return 1
        one, other = decoded(s, seen), decoded(s, stored)
        check(len(one) == len(other), "another size")
        return sum(abs(a - b) > 24 for a, b in zip(one, other)) / len(one)
    s.until(lambda: differs() < 0.005, "the stored picture")  # a late one has a border for a moment
    grid.stop()


def test_the_pages_commands(s):
    """docs/howto/grid.md: what stands in blocks of sh, word for word."""
    with open(os.path.join(harness.SOURCE_DIR, "docs", "howto", "grid.md"), encoding="utf-8") as file:
        commands = re.findall(r"^```sh\n(.*?)^```$", file.read(), re.M | re.S)
    check(commands, "no commands")
    harness.need_program("ffmpeg")
    s.publish("test:160x120@25", "cam")
    grid = start(s, "--output", "wall", "--size", "320x180", "--ordered-timeout", harness.LIMIT)
    wait_event(grid, "live", "cam")
    path = os.path.dirname(harness.program()) + os.pathsep + os.environ["PATH"]
    for command in commands:
        s.start_program("sh", "-c", command, env={"PATH": path}).expect(OK)
    probe = subprocess.run([harness.need_program("ffprobe"), "-v", "error", "-count_frames", "-show_entries",
                            "stream=nb_read_frames,width", "-of", "json", s.path("wall.mp4")], check=True,
                           stdout=subprocess.PIPE).stdout
    stream = json.loads(probe)["streams"][0]
    check(stream["width"] == 320 and int(stream["nb_read_frames"]) >= 70, "it made %s", stream)
    grid.stop()


def test_64_tiles(s):
    inputs = []
    for index in range(64):
        inputs += ["test:64x36@5", "--name", "cam%02d" % index]
    s.start("publish", *inputs)
    s.wait_stream("cam63")
    grid = start(s, "cam*", "--output", "wall", "--size", "1280x720", "--fps", "5", "--clock")
    for index in range(64):
        wait_event(grid, "live", "cam%02d" % index)
    picture = s.path("wall.png")
    s.start("snapshot", "wall", picture).expect(OK)
    summary = end(grid)
    check(len(summary["streams"]) == 64 and all(one["frames"] for one in summary["streams"]), "it saw %s", summary)


def test_a_grid_of_a_grid(s):
    s.publish("test:320x180@25,nv12", "cam")
    inner = start(s, "cam", "--output", "inner", "--size", "320x180", "--gap", "0", "--no-labels")
    wait_event(inner, "live", "cam")
    path = write_config(s, output="outer", size="640x360", tiles=[tile("inner", 0, 0, 320, 180)])
    outer = start(s, "--config", path, "--no-labels")
    wait_event(outer, "live", "inner")
    numbers, = judge(s, "outer", [(tile("cam", 0, 0, 320, 180), "320x180", "nv12", 8)], LINEAR)
    check(rises(numbers), "it shows %s", numbers)
    outer.stop()
    inner.stop()


def test_a_killed_grid_leaves_nobody_stuck(s):
    s.publish("test:160x120@25", "cam", "--slots", "4", "--max-slots", "8")
    s.leaves("wall.sock", "wall.lock")
    for _ in range(3):
        grid = start(s, "cam", "--output", "wall", "--size", "320x180")
        wait_event(grid, "live", "cam")
        reader = s.start("verify", "wall", "--frames", "100000", "--json")
        s.until(lambda: s.json("info", "wall", "--json")["subscriber_list"], "a reader")
        grid.kill()
        seen = harness.parse_json(reader.wait().out)
        check(seen["ended"] == "publisher_gone", "the reader saw %s", seen)
        s.until(lambda: not s.json("info", "cam", "--json")["subscriber_list"], "its seat is free")
    grid = start(s, "cam", "--output", "wall", "--size", "320x180", "--count", "5")
    grid.expect(OK)
    s.start("verify", "cam", "--frames", "20").expect(OK)


def test_an_ordered_reader_has_every_picture(s):
    s.publish("test:160x120@25", "cam")
    grid = start(s, "cam", "--output", "wall", "--size", "320x180", "--ordered-timeout", harness.LIMIT)
    wait_event(grid, "live", "cam")
    seen = s.json("verify", "wall", "--mode", "ordered", "--frames", "60", "--json")
    check(not any(seen[key] for key in ("torn", "gaps", "duplicates", "back_jumps")), "it saw %s", seen)
    grid.stop()


def test_ends_by_itself(s):
    summary = harness.parse_json(start(s, "none", "--output", "wall", "--size", "128x128", "--fps", "30000/1001",
                                       "--count", "30").expect(OK).out.splitlines()[-1])
    check(summary["ended"] == "count" and summary["pictures"] == 30, "it says %s", summary)
    summary = harness.parse_json(start(s, "none", "--output", "wall", "--size", "128x128", "--duration",
                                       "0.3").expect(OK).out.splitlines()[-1])
    check(summary["ended"] == "duration", "it says %s", summary)
    summary = harness.parse_json(start(s, "none", "--output", "wall", "--size", "128x128", "--fps", "0.1", "--duration",
                                       "0.3").expect(OK).out.splitlines()[-1])
    check(summary["ended"] == "duration", "it says %s", summary)
    pace(summary["seconds"] < 10, "it waited for its next picture: %s", summary)


def test_texts_that_do_not_fit(s):
    """Words wider than the picture, and a name of megabytes: neither ends the grid, nor keeps it from its work."""
    for label in ("none", "x" * 8000000):
        path = write_config(s, output="wall", size="64x1200", count=2, tiles=[{"stream": "none", "label": label}])
        for arguments in (("--config", path), ("--output", "wall", "--size", "64x1200", "--count", "2", "--clock")):
            summary = harness.parse_json(start(s, *arguments).expect(OK).out.splitlines()[-1])
            pace(summary["cpu_seconds"] < 5, "it drew for %s", summary)


def test_quiet(s):
    grid = s.start("grid", "--output", "wall", "--size", "128x128", "--quiet")
    s.wait_stream("wall")
    s.start("verify", "wall", "--frames", "3").expect(OK)
    said = grid.stop().err
    check(said == "", "it says %s", said)


def test_pace_of_16_cameras(s):
    """16 x 360p into 1080p at 25 pictures in a second, and what it costs."""
    if harness.SANITIZED:
        harness.skip("a sanitized build keeps no pace")
    inputs = []
    for index in range(16):
        inputs += ["test:640x360@25,yuv420p", "--name", "cam%02d" % index]
    s.start("publish", *inputs)
    s.wait_stream("cam15")
    grid = start(s, "cam*", "--output", "wall", "--duration", "4")
    seen = harness.parse_json(grid.expect(OK).out.splitlines()[-1])
    cost = seen["cpu_seconds"] / seen["pictures"] * 25
    print("16 x 360p: %.2f processors at 25 pictures in a second; it made %.1f, load %s" %
          (cost, seen["fps"], open("/proc/loadavg").read().split()[0]))
    check(len(seen["streams"]) == 16, "it saw %s", seen)
    pace(cost < 1.5, "%.2f processors", cost)


if __name__ == "__main__":
    harness.main(globals())
