#!/usr/bin/env python3
"""test_page.py - what somebody does with the wall, in Chromium and Firefox: keys, clicks, sound, turned pictures, boxes
of a detector, pictures where nothing else goes, names that are no markup. `make wall-test` runs it."""
import os
import subprocess
import sys

import walling
from browser import BROWSERS
from walling import Elsewhere, Page, Server, film, publish
import harness
from harness import LIMIT, check, skip

STATE = "[document.activeElement?.dataset?.stream || '', document.body.classList.contains('full'), " \
        "document.querySelector('.tile.full')?.dataset.stream || '']"


def keys(s, browser):
    publishers = [publish(s, name, film(s, "plain")) for name in ("a", "b", "yard")]
    page = Page(s, BROWSERS[browser], Server(s))
    page.until("wall.tiles.size === 3 && [...wall.tiles.values()].every((tile) => tile.viewer.shownAt > 0)",
               "three tiles with pictures")

    def press(key, focused, full=""):
        page.browser.press(key)
        s.until(lambda: page.evaluate(STATE) == [focused, bool(full), full],
                "behind %s: %s, full size: %s" % (key, focused, full or "none"))

    press("ArrowRight", "a")
    press("ArrowRight", "b")
    press("Enter", "b", "b")
    press("ArrowRight", "yard", "yard")
    press("ArrowRight", "a", "a")
    s.until(lambda: page.evaluate("document.querySelector('#detail h2')?.textContent") == "a", "its detail")
    press("Escape", "a")
    page.browser.press("/")
    page.until("document.activeElement.id === 'filter'", "the filter has the focus")
    for key in "yard":  # more than a letter: the filter looks at where a stream comes from, too, which is a path
        page.browser.press(key)
    page.until("[...document.querySelectorAll('.tile')].filter((tile) => !tile.hidden).length === 1", "one is left")
    page.browser.press("Escape")
    page.until("[...document.querySelectorAll('.tile')].every((tile) => !tile.hidden)", "all are back")
    page.browser.press("?")
    page.until("document.getElementById('keys').open", "the list of keys")
    page.browser.press("Escape")
    page.until("!document.getElementById('keys').open", "is closed by Esc")
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    for publisher in publishers:
        publisher.stop()


# What the sound is like that goes to the loudspeakers: by Web Audio what is put into its buffers.
LISTEN = """(() => {
  self.heard = [];
  const was = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function start(...rest) {
    const samples = this.buffer.getChannelData(0);
    let crossings = 0, loud = 0;
    for (let i = 1; i < samples.length; i++) {
      crossings += samples[i - 1] < 0 && samples[i] >= 0;
      loud = Math.max(loud, Math.abs(samples[i]));
    }
    self.heard.push([crossings, samples.length / this.buffer.sampleRate, loud]);
    return was.apply(this, rest);
  };
  return true;
})()"""


def middle(page, selector):
    """Where an element is that can be clicked."""
    page.until("document.querySelector(%r)?.offsetParent != null && !document.querySelector(%r).hidden" %
               (selector, selector), "there is " + selector)
    return page.evaluate("(({ x, y, width, height }) => [x + width / 2, y + height / 2])"
                         "(document.querySelector(%r).getBoundingClientRect())" % selector)


def sound(s, browser, way, codec):
    path = s.path("sound.mkv")
    walling.run("ffmpeg", "-v", "error", "-y", "-i", film(s, "plain"), "-f", "lavfi", "-i", "sine=440:r=48000:d=10",
                "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", codec, "-shortest", path)
    publisher = publish(s, "film", path)
    page = Page(s, BROWSERS[browser], Server(s), way)
    page.until("wall.tiles.get('film')?.viewer.shownAt > 0", "a picture")
    page.evaluate(LISTEN)
    page.browser.click(*middle(page, ".tile .stage"))
    page.until("document.body.classList.contains('full')", "a click shows it in full size")
    check(page.evaluate("wall.tiles.get('film').viewer.sound === null"), "there is sound that nobody asked for")
    page.browser.click(*middle(page, "#detail .sound"))
    if way == "webcodecs":
        # A third of a second: where there is no loudspeaker, time does not go on, and no more is wanted.
        page.until("heard.length >= 12", "sound is played")
        crossings, seconds, loud = map(sum, zip(*page.evaluate("heard.slice(4)")))
        check(abs(crossings / seconds - 440) < 60 and loud > 0, "%s: it has %.0f Hz", codec, crossings / seconds)
    else:
        # Firefox does not play where there is no loudspeaker.
        wanted = "currentTime > 1" if browser == "chromium" else "buffered.length > 0"
        page.until("wall.tiles.get('film').viewer.sound?.mse?.media." + wanted, "sound is played")
        check(not page.evaluate("wall.tiles.get('film').viewer.sound.mse.media.muted"), "it is muted")
    check(page.evaluate("document.querySelector('#detail .sound').textContent") == "Sound on", "the button")
    page.browser.press("m")
    page.until("wall.tiles.get('film').viewer.sound === null", "M ends it")
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


def turned(s, browser, way):
    """A phone's film: red on the left as it is stored, and to be turned so that this is below, as ffmpeg shows it."""
    stored, path = s.path("stored.mp4"), s.path("turned.mp4")
    walling.run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=red:s=320x360:r=25:d=4", "-f", "lavfi", "-i",
                "color=blue:s=320x360:r=25:d=4", "-filter_complex", "hstack", "-c:v", "libx264", "-preset", "ultrafast",
                "-tune", "zerolatency", "-g", "25", stored)
    walling.run("ffmpeg", "-v", "error", "-y", "-i", stored, "-c", "copy", "-metadata:s:v", "rotate=90", path)
    publisher = publish(s, "film", path)
    page = Page(s, BROWSERS[browser], Server(s), way)
    page.until("wall.tiles.get('film')?.viewer.shownAt > 0", "a picture")
    x, y = middle(page, ".tile .stage")
    height = page.evaluate("document.querySelector('.tile .stage').clientHeight")

    def names():
        at = page.browser.pixels()
        return ["red" if red > 150 > blue else "blue" if blue > 150 > red else "other"
                for red, _, blue in (at(x, y - height * 0.4), at(x, y + height * 0.4), at(x - height * 0.2, y - 20),
                                     at(x + height * 0.2, y - 20))]
    s.until(lambda: names() == ["blue", "red", "blue", "blue"], "upright: blue above red")
    publisher.stop()


def pictures(s, browser):
    publisher = publish(s, "film", film(s, "plain"))
    page = Page(s, BROWSERS[browser], Server(s), "pictures")
    page.follow("film")
    page.shows(4)
    check(page.viewer("film", "way") == "pictures", "by %s", page.viewer("film", "way"))
    shown = [number for number in page.evaluate("numbers") if number is not None]
    steps = [(after - before) % walling.PICTURES for before, after in zip(shown, shown[1:])]
    check(all(step > 10 for step in steps), "more than one in a second: %r", shown)
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


def codec(s, browser, way, kind):
    publisher = publish(s, "film", film(s, kind))
    page = Page(s, BROWSERS[browser], Server(s), way)
    page.follow("film")
    page.shows(40)
    check(page.viewer("film", "way") == way, "it is played by %s", page.viewer("film", "way"))
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


def boxes(s, browser):
    """What examples/detector says of the moving bar of the test picture is drawn over it."""
    detector = harness.need_built("examples", "detector")
    publisher = publish(s, "camera", film(s, "plain"))
    finding = s.start_program(detector, "camera", "bright")
    page = Page(s, BROWSERS[browser], Server(s))
    page.until("wall.tiles.get('camera')?.boxes.drawn?.boxes.length > 0", "boxes are drawn")
    check(page.evaluate("wall.tiles.size") == 1, "annotations have no tile of their own")
    colored = page.evaluate("""(() => {
      const canvas = wall.tiles.get('camera').overlay;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, i) => i % 4 === 3 && value > 0).length;
    })()""")
    check(colored > 100, "%d pixels of boxes", colored)
    finding.kill()
    page.until("wall.tiles.get('camera').boxes.drawn === null", "boxes go when the detector has gone")
    s.leaves("bright", "bright.lock", "bright.sock")
    publisher.stop()


def markup(s, browser):
    """A file's name, and a reader's, that would be markup elsewhere are text."""
    evil = "<img src=x onerror=self.hacked=1>"
    path = s.path(evil + ".mp4")
    os.symlink(film(s, "plain"), path)
    publisher = publish(s, "film", path)
    page = Page(s, BROWSERS[browser], Server(s))
    page.until("wall.tiles.get('film')?.viewer.shownAt > 0", "a picture")
    page.evaluate("(wall.show(wall.tiles.get('film')), true)")
    page.until("document.getElementById('detail').textContent.includes('<img src=x')", "the source is said")
    check(page.evaluate("document.querySelectorAll('img').length") == 0, "a name has become an element")
    check(page.evaluate("self.hacked") is None, "a name was run")
    publisher.stop()



def from_far(s):
    """In the other network, with the browser: what drives it does so over loopback."""
    page = Page(s, BROWSERS["chromium"], Elsewhere(os.environ["CUFRAMES_FAR"]))
    page.follow("film")
    page.shows(30)
    check(page.evaluate("self.isSecureContext") is False, "plain http of another machine is taken for secure")
    check(page.viewer("film", "way") == "mse", "it is played by %s", page.viewer("film", "way"))
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)


def test_plain_http_from_another_machine(s):
    """The browser is in a network of its own, joined to the server's: no WebCodecs there, and Media Source plays."""
    walling.need_browsers()
    for program in "unshare", "ip", "nsenter":
        harness.need_program(program)
    tried = subprocess.run(["unshare", "--net", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
                           capture_output=True, text=True, timeout=LIMIT, check=False)
    if tried.returncode:
        skip("no network namespaces here: " + tried.stderr.strip())
    publisher = publish(s, "film", film(s, "plain"))
    here = s.start_program("unshare", "--net", "sleep", "infinity")
    there = s.start_program("unshare", "--net", "sleep", "infinity")
    own = os.readlink("/proc/self/ns/net")
    for one in here, there:
        s.until(lambda one=one: os.readlink("/proc/%d/ns/net" % one.popen.pid) != own, "a network of its own")
    inside = [["nsenter", "--net=/proc/%d/ns/net" % one.popen.pid] for one in (here, there)]
    walling.run(*inside[0], "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns",
                str(there.popen.pid))
    for prefix, device, address in zip(inside, ("v0", "v1"), ("10.254.7.1/24", "10.254.7.2/24")):
        walling.run(*prefix, "ip", "address", "add", address, "dev", device)
        walling.run(*prefix, "ip", "link", "set", device, "up")
        walling.run(*prefix, "ip", "link", "set", "lo", "up")
    server = Server(s, "--open", listen="10.254.7.1:0", prefix=inside[0])
    done = subprocess.run([*inside[1], sys.executable, os.path.abspath(__file__)], capture_output=True, text=True,
                          env=dict(os.environ, CUFRAMES_FAR=server.address), timeout=4 * LIMIT, check=False)
    check(done.returncode == 0, "%s", done.stdout + done.stderr)
    server.process.stop()
    for one in here, there:
        one.kill()
    publisher.stop()


def for_each(test, *cases):
    """A test function for each browser and case."""
    for name in BROWSERS:
        for case in cases or ((),):
            def one(s, name=name, case=case):
                walling.need_browsers()
                test(s, name, *case)
            globals()["_".join(("test", test.__name__, name, *case)).replace("-", "_")] = one


for_each(keys)
for_each(sound, ("webcodecs", "aac"), ("webcodecs", "libopus"), ("mse", "aac"))
for_each(turned, ("webcodecs",), ("mse",), ("pictures",))
for_each(pictures)
for_each(codec, ("webcodecs", "av1"), ("mse", "av1"), ("webcodecs", "vp9"))
for_each(boxes)
for_each(markup)


if __name__ == "__main__":
    harness.main({"test_from_far": from_far} if os.environ.get("CUFRAMES_FAR") else globals())
