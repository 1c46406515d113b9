"""walling.py - what the tests of the wall in browsers share: films of the test picture, the server, a page, and the
number of the picture that a page shows, read from its pixels."""
import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cli"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from harness import LIMIT, check, skip  # noqa: E402  pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(harness.SOURCE_DIR, "tools", "cuframes", "wall", "page")
WIDTH, HEIGHT, FPS, PICTURES = 640, 360, 25, 250

# Reads the stamp of the test picture (tools/cuframes/pattern/pattern.h): the number, or null where there is none.
PROBE = """
(() => {
  const block = Math.min(Math.floor(640 / 96), Math.floor(360 / 60)) & ~1;
  const scratch = new OffscreenCanvas(640, 360).getContext('2d', { willReadFrequently: true });
  self.readNumber = (source) => {
    scratch.drawImage(source, 0, 0, 640, 360);
    const { data } = scratch.getImageData(0, 0, block * 18, block * 12);
    const bit = (column, row) => {
      const x = block + column * block + block / 2, y = block + row * block + block / 2;
      const at = 4 * (y * block * 18 + x);
      return data[at] + data[at + 1] + data[at + 2] > 384 ? 1n : 0n;
    };
    const rows = [];
    for (let row = 0; row < 7; row++) {
      let value = 0n;
      for (let column = 0; column < 16; column++)
        value = value << 1n | bit(column, row);
      rows.push(value);
    }
    const number = rows[2] << 48n | rows[3] << 32n | rows[4] << 16n | rows[5];
    const sum = (number * 0x9E3779B97F4A7C15n & 0xffffffffffffffffn) >> 48n ^ 0x5AA5n;
    return (rows[0] << 16n | rows[1]) === 0x5CF7A93En && rows[6] === sum ? Number(number) : null;
  };
  self.shownBy = (tile) => tile.stage.element.querySelector('video.on') || tile.stage.screen.canvas;
  self.follow = (name) => {
    if (self.followed === wall.tiles.get(name))
      return;
    self.followed = wall.tiles.get(name);
    const tile = wall.tiles.get(name), { viewer } = tile, shown = viewer.on.shown;
    self.numbers = self.numbers || [];
    viewer.on.shown = (pts) => {
      shown(pts);
      self.numbers.push(readNumber(shownBy(tile)));
    };
  };
  return true;
})()
"""


def need_browsers():
    if not os.environ.get("CUFRAMES_BROWSERS"):
        skip("`make wall-test` drives browsers")
    harness.need_program("ffmpeg")
    if subprocess.run([harness.program(), "wall", "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      check=False).returncode:
        skip("this cuframes has no wall")


def run(*args, **options):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False, **options)
    check(done.returncode == 0, "%s: %s", " ".join(args)[:200], done.stderr.decode(errors="replace")[-2000:])
    return done.stdout


@functools.lru_cache(maxsize=None)
def folder():
    made = tempfile.mkdtemp(prefix="wall-films-")
    atexit.register(shutil.rmtree, made, True)
    return made


@functools.lru_cache(maxsize=None)
def modules():
    """A folder with the page's modules, which node takes for such there."""
    made = os.path.join(folder(), "page")
    shutil.copytree(PAGE, made)
    with open(os.path.join(made, "package.json"), "w", encoding="ascii") as file:
        file.write('{"type": "module"}')
    return made


def node(script, given):
    """What a script of this folder writes when it reads that, as JSON."""
    return run(harness.need_program("node"), os.path.join(HERE, script), input=harness.json.dumps(given).encode())


ENCODERS = {
    "plain": ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "25"),
    "b-frames": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50"),
    "large": ("-vf", "scale=960:540", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"),
    "av1": ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25"),
    "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25"),
}


def film(s, kind):
    """The path of ten seconds of the test picture, encoded so."""
    path = os.path.join(folder(), kind + ".mp4")
    if os.path.exists(path):
        return path
    raw = os.path.join(folder(), "pictures.yuv")
    if not os.path.exists(raw):
        publisher = s.start("publish", "test:%ux%u@250" % (WIDTH, HEIGHT), "--name", "pictures", "--format", "yuv420p",
                            "--device", "host", "--wait-for", "1", "--quiet")
        with open(raw + ".part", "wb") as file:
            s.start_to(file.fileno(), "pipe", "pictures", "--raw", "--mode", "ordered", "--count", str(PICTURES),
                       "--wait").expect(harness.OK)
        publisher.stop()
        os.rename(raw + ".part", raw)
    run("ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "%ux%u" % (WIDTH, HEIGHT),
        "-r", str(FPS), "-i", raw, *ENCODERS[kind], path)
    return path


def publish(s, name, path, *options):
    return s.publish(path, name, "--loop", "--realtime", "--quiet", *options)


class Elsewhere:
    """A server that somebody else has started."""

    def __init__(self, address):
        self.address = address


class Server:
    """`cuframes wall`, and what it says."""

    def __init__(self, s, *options, listen="127.0.0.1:0", prefix=()):
        if prefix:
            self.process = s.start_program(*prefix, harness.program(), "wall", "--listen", listen, *options)
        else:
            self.process = s.start("wall", "--listen", listen, *options)
        found = s.until(lambda: re.search(r"listening at (http://\S+)", self.process.text["err"]), "wall listens")
        self.address = found.group(1).rstrip("/")

    def streams(self):
        with urllib.request.urlopen(self.address + "/streams.json", timeout=LIMIT) as answer:
            return {stream["name"]: stream for stream in harness.json.load(answer)}

    def passes(self, s, name, count):
        """So many packets of a stream."""
        end = self.streams()[name]["packets"] + count
        s.until(lambda: self.streams()[name]["packets"] >= end, "%u packets of %s" % (count, name))


class Page:
    """The wall in a browser, by one way alone."""

    def __init__(self, s, browser, server, way=None, **options):
        self.s, self.way = s, way
        self.browser = browser(s, server.address + "/" + ("?way=" + way if way else ""), **options)
        self.evaluate = self.browser.evaluate
        s.until(lambda: self.evaluate("self.wall?.tiles instanceof Map"), "the page has begun")
        self.evaluate(PROBE)

    def until(self, script, what):
        return self.s.until(lambda: self.evaluate(script), what)

    def follow(self, name):
        """From now on the numbers of what is shown are kept."""
        self.until("wall.tiles.has(%r)" % name, "there is a tile of " + name)
        self.evaluate("(follow(%r), true)" % name)
        self.followed = name

    def shows(self, count=5):
        """Waits for so many more pictures with a number."""
        self.evaluate("(self.numbers.length = 0, true)")
        self.until("follow(%r), numbers.filter((number) => number !== null).length >= %u" % (self.followed, count),
                   "%u pictures more (%s)" % (count, self.way))

    def viewer(self, name, member):
        return self.evaluate("wall.tiles.get(%r).viewer.%s" % (name, member))
