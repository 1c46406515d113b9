#!/usr/bin/env python3
"""test_snapshot.py - pictures of a stream: exact where they can be, the right colours, whole files, sheets."""
import os
import struct
import subprocess
import zlib

import harness
from harness import FAILED, NO_STREAM, OK, TIMEOUT, USAGE, check, pace


def read_png(path):
    """Width, height and the RGB bytes of an 8-bit RGB image."""
    with open(path, "rb") as file:
        data = file.read()
    check(data[:8] == b"\x89PNG\r\n\x1a\n", "%s is no PNG", path)
    at, packed, head = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    width, height, depth, color, _, _, interlaced = head
    check((depth, color, interlaced) == (8, 2, 0), "%s is no plain RGB image: %s", path, head)
    raw, pitch = zlib.decompress(packed), width * 3
    rows, above = [], bytearray(pitch)
    for y in range(height):
        kind, row = raw[y * (pitch + 1)], bytearray(raw[y * (pitch + 1) + 1:(y + 1) * (pitch + 1)])
        for x in range(pitch if kind else 0):
            left, up = row[x - 3] if x >= 3 else 0, above[x]
            corner = above[x - 3] if x >= 3 else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(guess - value))
            row[x] = row[x] + (0, left, up, (left + up) // 2, paeth)[kind] & 255
        rows.append(bytes(row))
        above = row
    return width, height, b"".join(rows)


def pixel(image, x, y):
    width, _, data = image
    return tuple(data[(y * width + x) * 3:][:3])


def near(one, other, by):
    return all(abs(a - b) <= by for a, b in zip(one, other))


def test_png_is_the_picture(s):
    """An RGB stream that stands still for a while: the PNG holds exactly its bytes."""
    s.publish("test:61x45@1/600,rgb24", "cam")
    png = s.json("snapshot", "cam", "a.png", "--json")["files"][0]
    raw = s.json("snapshot", "cam", "-o", "a.raw", "--json")["files"][0]
    check(png["seq"] == raw["seq"] == 1 and raw["format"] == "rgb24", "%s %s", png, raw)
    width, height, data = read_png(s.path("a.png"))
    with open(s.path("a.raw"), "rb") as file:
        check((width, height) == (61, 45) and data == file.read(), "the PNG is not the picture")
    check(sorted(name for name in os.listdir(s.root) if name.startswith("a.")) == ["a.png", "a.raw"], "files left")


def solid(s, name, color, matrix, full):
    """Two seconds of one colour, encoded losslessly with this matrix and range."""
    path = s.path(name + ".mkv")
    scale = "scale=out_color_matrix=%s:out_range=%s" % (matrix, "pc" if full else "tv")
    code = {"bt709": "bt709", "bt601": "smpte170m", "bt2020": "bt2020nc"}[matrix]
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-f", "lavfi", "-i",
                           "color=0x%02x%02x%02x:s=64x64:d=2:r=5,format=rgb24" % color, "-vf",
                           scale + ",format=yuv444p", "-c:v", "ffv1", "-colorspace", code, "-color_range",
                           "pc" if full else "tv", path], capture_output=True, text=True, timeout=harness.LIMIT)
    check(done.returncode == 0, "ffmpeg: %s", done.stderr)
    return path


def test_colors(s):
    """Matrix and range of the stream decide; JPEG too shows the colour that went in."""
    ffmpeg = harness.need_program("ffmpeg")
    for color, matrix, full in (((200, 40, 90), "bt709", False), ((200, 40, 90), "bt601", False),
                                ((30, 180, 60), "bt709", True), ((30, 60, 220), "bt2020", False)):
        name = "%s-%s" % (matrix, "full" if full else "limited")
        pub = s.publish(solid(s, name, color, matrix, full), "cam", "--realtime", "--loop")
        check(s.run("snapshot", "cam", name + ".png").code == OK, "no snapshot")
        seen = pixel(read_png(s.path(name + ".png")), 32, 32)
        check(near(seen, color, 3), "%s: %s became %s", name, color, seen)
        check(s.run("snapshot", "cam", name + ".jpg").code == OK, "no snapshot")
        rgb = subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-i", s.path(name + ".jpg"), "-f", "rawvideo",
                              "-pix_fmt", "rgb24", "-"], capture_output=True, timeout=harness.LIMIT).stdout
        check(len(rgb) == 64 * 64 * 3 and near(rgb[6240:6243], color, 6), "%s: JPEG has %s", name, rgb[6240:6243])
        pub.stop()


def test_every_format(s):
    """The test picture's stamp has a white border block in its magic word in every format: compare with RGB."""
    reference = None
    for kind in ("rgb24", "rgba", "bgra", "gray8", "nv12", "yuv420p", "yuv422p", "yuv444p", "p010",
                 "bgr24", "yuyv422", "uyvy422", "gray16", "yuv420p10", "yuv422p10", "rgbp"):
        pub = s.publish("test:192x120@1/600," + kind, "cam")
        check(s.run("snapshot", "cam", kind + ".png").code == OK, "no snapshot of %s", kind)
        image = read_png(s.path(kind + ".png"))
        # Centres of the stamp's 16 blocks of 2 pixels in its first row: black and white, in any format.
        row = [pixel(image, 2 + 2 * i, 2) for i in range(16)]
        bits = [min(value) > 128 for value in row]
        reference = reference or bits
        check(bits == reference and any(bits) and not all(bits), "%s shows the stamp as %s", kind, row)
        raw = s.json("snapshot", "cam", "-o", "x.raw", "--json")["files"][0]
        check(raw["format"] == kind, "raw of %s is %s", kind, raw)
        pixels = {"rgb24": 24, "rgba": 32, "bgra": 32, "gray8": 8, "nv12": 12, "yuv420p": 12, "yuv422p": 16,
                  "yuv444p": 24, "p010": 24, "bgr24": 24, "yuyv422": 16, "uyvy422": 16, "gray16": 16, "yuv420p10": 24,
                  "yuv422p10": 32, "rgbp": 24}[kind]
        check(os.path.getsize(s.path("x.raw")) == 192 * 120 * pixels // 8, "raw %s has %d bytes", kind,
              os.path.getsize(s.path("x.raw")))
        pub.stop()


def test_many_files_and_sheets(s):
    s.publish("test:320x180@25", "cam")
    files = s.json("snapshot", "cam", "shot-%03d.jpg", "--count", "3", "--interval", "0.2", "--json")["files"]
    check([f["file"] for f in files] == ["shot-001.jpg", "shot-002.jpg", "shot-003.jpg"], "%s", files)
    pace(files[0]["seq"] + 3 <= files[1]["seq"] <= files[0]["seq"] + 25, "the interval is wrong: %s", files)
    for f in files:
        with open(s.path(f["file"]), "rb") as file:
            data = file.read()
        check(data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "%s is no JPEG", f)

    sheet = s.json("snapshot", "cam", "sheet.png", "--sheet", "3x2", "--scale", "40x30", "--interval", "0.05",
                   "--json")["files"][0]
    check((sheet["width"], sheet["height"]) == (3 * 44 + 4, 2 * 34 + 4), "%s", sheet)
    image = read_png(s.path("sheet.png"))
    check(pixel(image, 1, 1) == (0, 0, 0), "there is no gap")
    cells = {image[2][((4 + 34 * r + 12) * image[0] + 4 + 44 * c) * 3:][:120] for r in range(2) for c in range(3)}
    check(all(any(cell) for cell in cells), "an empty cell")
    pace(len(cells) >= 5, "the cells are not different pictures")

    result = s.run("snapshot", "cam", "small.png", "--scale", "80x45")
    check(result.code == OK and read_png(s.path("small.png"))[:2] == (80, 45), "%r", result)
    piped = s.start_program("sh", "-c", '"$0" snapshot cam -o - --format raw --count 4 | wc -c', harness.program())
    check(int(piped.expect(OK).out) == 4 * 320 * 180 * 3 // 2, "piped %r", piped.out)
    check(s.run("snapshot", "cam").code == OK and read_png(s.path("cam.png"))[:2] == (320, 180), "no cam.png")


def footage(s, name, graph):
    """A lossless film of what ffmpeg draws, 10 pictures per second."""
    path = s.path(name + ".mkv")
    done = subprocess.run([harness.need_program("ffmpeg"), "-nostdin", "-v", "error", "-filter_complex", graph, "-r",
                           "10", "-c:v", "ffv1", "-pix_fmt", "yuv420p", path], capture_output=True, text=True,
                          timeout=harness.LIMIT)
    check(done.returncode == 0, "ffmpeg: %s", done.stderr)
    return path


def cells(image, columns, rows, gap=4):
    """The cells of a sheet, each a list of rows of RGB bytes."""
    width, height, data = image
    across, down = (width - gap) // columns - gap, (height - gap) // rows - gap
    return [[data[(y * width + gap + c * (across + gap)) * 3:][:across * 3]
             for y in range(gap + r * (down + gap), gap + r * (down + gap) + down)]
            for r in range(rows) for c in range(columns)]


def is_black(cell):
    return max(max(row) for row in cell) < 24


def test_sheet_of_scenes(s):
    """Black pictures and fades are left out; where there is nothing else, a black one is taken in the end."""
    film = footage(s, "film", "color=black:s=160x90:d=0.4:r=10[a];testsrc=s=160x90:d=0.6:r=10[b];[a][b]concat")
    black = footage(s, "black", "color=black:s=160x90:d=1:r=10")
    for name, path in (("film", film), ("black", black)):
        s.publish(path, name, "--realtime", "--loop", "--no-packets")
    plain, scenes = s.path("plain.png"), s.path("scenes.png")
    taken = s.start("snapshot", "film", plain, "--sheet", "4x4", "--interval", "0.15")
    check(s.run("snapshot", "film", scenes, "--sheet", "4x2", "--interval", "0.15", "--scenes").code == OK, "no sheet")
    check(taken.wait().code == OK and any(map(is_black, cells(read_png(plain), 4, 4))),
          "the film has no black pictures")
    seen = cells(read_png(scenes), 4, 2)
    check(len(seen) == 8 and not any(map(is_black, seen)), "black cells on a sheet of scenes")
    check(s.run("snapshot", "black", s.path("b.png"), "--sheet", "2x1", "--interval", "0.1", "--scenes").code == OK,
          "a black film has no sheet")
    check(all(map(is_black, cells(read_png(s.path("b.png")), 2, 1))), "a black film is not black")


def test_sheet_without_bars(s):
    """Bars above and below, and on both sides, are cut off with the soft lines beside them; a single picture keeps
    them."""
    film = footage(s, "film", "testsrc2=s=240x100:d=1:r=10,pad=320:180:30:40:black")
    s.publish(film, "film", "--realtime", "--loop", "--no-packets")
    for form in ((), ("--trim",)):
        check(s.run("snapshot", "film", "a.png", "--sheet", "2x2", "--interval", "0.1", *form).code == OK, "no sheet")
        image = read_png(s.path("a.png"))
        across, down = (image[0] - 4) // 2 - 4, (image[1] - 4) // 2 - 4
        # Up to two soft lines at each edge go with the bar beside them.
        good = 236 <= across <= 240 and 96 <= down <= 100 if form else (across, down) == (320, 180)
        check(good, "%s: cells of %sx%s", form, across, down)
        edges = [max(row) for cell in cells(image, 2, 2) for row in (cell[0], cell[-1])]
        check(min(edges) > 24 if form else max(edges) < 24, "%s: the edges have %s", form, edges)
    check(s.run("snapshot", "film", "a.png").code == OK and read_png(s.path("a.png"))[:2] == (320, 180), "it was cut")


def test_times_on_a_sheet(s):
    """A stream that stands still at 0: its time is in the corner, four times the same digit, and nothing else
    changed."""
    s.publish("test:160x90@1/15", "cam")
    s.publish("test:30x20@1/15", "tiny")
    for name in ("cam", "tiny"):
        for form in ((), ("--times",)):
            check(s.run("snapshot", name, name + "%d.png" % len(form), "--sheet", "1x1", *form).code == OK, "no sheet")
    without, written = (cells(read_png(s.path("cam%d.png" % i)), 1, 1)[0] for i in (0, 1))
    check(read_png(s.path("tiny0.png")) == read_png(s.path("tiny1.png")), "a cell too small for it has a time")
    box = [(x, y) for y in range(90) for x in range(160) if without[y][3 * x:][:3] != written[y][3 * x:][:3]]
    left, top, right, bottom = (pick(place[axis] for place in box) for pick in (min, max) for axis in (0, 1))
    check((left, right, bottom) == (0, 44, 89) and top == 79, "the text takes %s", (left, top, right, bottom))
    # Characters of 5 x 7 dots, one dot apart, two dots from the edges: 00:00.0
    dots = [[[written[81 + y][3 * (2 + 6 * i + x)] == 255 for x in range(5)] for y in range(7)] for i in range(7)]
    check(all(dots[i] == dots[0] for i in (1, 3, 4, 6)), "00:00.0 is not five times the same digit")
    check([sum(map(sum, character)) for character in (dots[0], dots[2], dots[5])] == [19, 8, 4], "%s", dots)


def test_errors(s):
    check(s.run("snapshot", "gone", "x.png").code == NO_STREAM, "no stream")
    s.publish("test:64x64@1/600", "cam")
    for args in (("x.gif",), ("x%s.png",), ("x.png", "--count", "2"), ("x.raw", "--scale", "8x8"),
                 ("x.png", "--sheet", "3"), ("x.png", "--sheet", "0x3"), ("x.png", "--format", "bmp"),
                 ("-o", "-", "--json"), ("x.png", "y.png"), ("x%d%d.png",), ("x.png", "--count", "0"),
                 ("x.png", "--scenes"), ("x.png", "--trim"), ("x.png", "--times")):
        check(s.run("snapshot", "cam", *args).code == USAGE, "%s is no usage error", args)
    for path in ("/dev/full", s.path("no", "x.png"), s.root + "/"):
        result = s.run("snapshot", "cam", path, "--format", "png")
        check(result.code == FAILED and path in result.err, "%s: %r", path, result)
    check(s.run("snapshot", "cam", "/dev/null", "--format", "png").code == OK, "/dev/null")
    check(not os.path.isfile("/dev/null"), "/dev/null was replaced")
    result = s.run("snapshot", "cam", "n%d.png", "--count", "2", "--timeout", "0.4")
    check(result.code == TIMEOUT and os.listdir(s.root).count("n1.png") == 1, "%r", result)
    left = s.start("snapshot", "cam", "late%d.png", "--count", "2", "--timeout", "3600")
    left.wait_for("late1.png")
    left.stop(code=FAILED)
    check(not [name for name in os.listdir(s.root) if ".png." in name], "left: %s", os.listdir(s.root))


if __name__ == "__main__":
    harness.main(globals())
