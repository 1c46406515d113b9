#!/usr/bin/env python3
"""test_browsers.py - the wall in Chromium and Firefox, by WebCodecs and by Media Source: the right pictures in the
right order, the right colours, and a tile that lives on whatever happens. `make wall-test` runs it."""
import base64
import os
import time

import walling
from browser import BROWSERS
from walling import Page, Server, film, publish
import harness
from harness import check, pace

WAYS = "webcodecs", "mse"
STOPPED_SECONDS = 60 if os.environ.get("CUFRAMES_LONG") else 8
KEYFRAME_DISTANCE = 25


def in_order(numbers, what):
    """Every picture has its number, and none comes before an earlier one but where the film begins anew."""
    check(None not in numbers, "%s: a picture without a number among %r", what, numbers)
    for before, after in zip(numbers, numbers[1:]):
        anew = before > walling.PICTURES - 60 and after < 60
        check(after >= before or anew, "%s: %d, then %d", what, before, after)
    check(len(set(numbers)) > 10, "%s: it stands still: %r", what, numbers)


def numbers(s, browser, way, kind):
    publisher = publish(s, "film", film(s, kind))
    page = Page(s, BROWSERS[browser], Server(s), way)
    page.follow("film")
    page.until("numbers.length >= 50", "50 pictures of %s by %s" % (kind, way))
    in_order(page.evaluate("numbers"), "%s, %s, %s" % (browser, way, kind))
    check(page.viewer("film", "way") == way, "it is played by %s", page.viewer("film", "way"))
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


COLORS = {  # matrix, range: what FFmpeg's filters and x264 call them
    ("smpte170m", "tv"): "601", ("smpte170m", "pc"): "601", ("bt709", "tv"): "709", ("bt709", "pc"): "709",
}
# The mean colour of the middle of eight bars.
BARS = """
((source) => {
  const scratch = new OffscreenCanvas(640, 360).getContext('2d', { willReadFrequently: true });
  scratch.drawImage(source, 0, 0, 640, 360);
  return [...Array(7).keys()].map((bar) => {
    const { data } = scratch.getImageData(Math.round((bar + 0.5) * 640 / 7) - 8, 100, 16, 16);
    const sum = [0, 0, 0];
    data.forEach((value, i) => { if (i % 4 < 3) sum[i % 4] += value; });
    return sum.map((value) => value / 256);
  });
})"""
OWN_VIDEO = """
new Promise((resolve, reject) => {
  const video = document.createElement('video');
  const bytes = Uint8Array.from(atob(%r), (character) => character.charCodeAt(0));
  video.muted = true;
  video.src = URL.createObjectURL(new Blob([bytes], { type: 'video/mp4' }));
  video.onerror = () => reject(new Error(video.error.message));
  video.loop = true;
  video.requestVideoFrameCallback(() => resolve(%s(video)));
  video.play();
})"""


def colours(s, browser, way):
    for (matrix, extent), name in COLORS.items():
        path = s.path("bars.mp4")
        walling.run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "smptebars=s=640x360:r=25:d=4", "-vf",
                    "scale=out_color_matrix=bt%s:out_range=%s,format=yuv420p" % (name, extent), "-c:v", "libx264",
                    "-preset", "ultrafast", "-qp", "4", "-bf", "0", "-g", "25", "-color_range", extent, "-colorspace",
                    matrix, "-color_primaries", matrix, "-color_trc", matrix, path)
        publisher = publish(s, "bars", path)
        server = Server(s)
        page = Page(s, BROWSERS[browser], server, way)
        page.until("wall.tiles.get('bars')?.viewer.shownAt > 0", "a picture")
        with open(path, "rb") as file:
            own = page.evaluate(OWN_VIDEO % (base64.b64encode(file.read()).decode(), BARS))
        ours = page.evaluate("%s(shownBy(wall.tiles.get('bars')))" % BARS)
        worst = max(abs(a - b) for one, other in zip(own, ours) for a, b in zip(one, other))
        print("%s, %s, %s %s: at most %.1f of 255 off" % (browser, way, matrix, extent, worst), flush=True)
        check(worst <= 3, "%s by %s, %s %s: %.1f off: %r, not %r", browser, way, matrix, extent, worst, ours, own)
        page.browser.close()
        server.process.stop()
        publisher.stop()


# What happens to samples on their way, in the page itself.
CORRUPT = """(() => {
  const { on } = wall.link, was = on.sample;
  let left = 3;
  on.sample = (sample) => {
    if (sample.kind === 1 && !sample.key && left > 0) {
      left--;
      sample.data.forEach((value, i) => { if (i > 3) sample.data[i] = value ^ 0x5a; });
    }
    was(sample);
  };
  return true;
})()"""
LOSE_KEYFRAME = """(() => {
  const { on } = wall.link, was = on.sample;
  let left = 1;
  on.sample = (sample) => { if (!(sample.kind === 1 && sample.key && left-- > 0)) was(sample); };
  return true;
})()"""
JUMP = """(() => {
  const { on } = wall.link, was = on.sample, by = %d;
  on.sample = (sample) => { sample.pts += by; sample.dts += by; was(sample); };
  return true;
})()"""


def trouble(s, browser, way):
    publisher = publish(s, "film", film(s, "plain"))
    server = Server(s)
    page = Page(s, BROWSERS[browser], server, way)
    page.follow("film")
    page.shows()

    def heals(what):
        began = time.monotonic()
        page.shows()
        took = time.monotonic() - began
        print("%s, %s: five pictures %.1f s after %s" % (browser, way, took, what), flush=True)
        # A keyframe a second, and two seconds behind it.
        pace(took < 4, "%s by %s: %.1f s after %s", browser, way, took, what)

    for what, script in (("corrupt samples", CORRUPT), ("a lost keyframe", LOSE_KEYFRAME),
                         ("a jump of an hour", JUMP % 3600000000), ("a jump back", JUMP % -7200000000)):
        page.evaluate(script)
        server.passes(s, "film", KEYFRAME_DISTANCE + 5)  # in which it happens
        heals(what)

    page.browser.suspend()
    server.passes(s, "film", STOPPED_SECONDS * walling.FPS)
    page.browser.resume()
    heals("a sleep of %u s" % STOPPED_SECONDS)

    for what, kind in (("a restart", "plain"), ("another size", "large"), ("another codec", "vp9"), ("back", "plain")):
        publisher.kill()
        s.leaves("film", "film.lock")
        publisher = publish(s, "film", film(s, kind))
        heals(what)
    check(page.viewer("film", "way") == way, "it ends by %s", page.viewer("film", "way"))
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


# What comes in three seconds comes half as long later, and what follows behind it.
HOLD_BACK = """(() => {
  const { on } = wall.link, was = on.sample, held = [], until = performance.now() + 3000;
  let due = 0;
  const next = () => {
    while (held.length > 0 && held[0].due <= performance.now())
      was(held.shift().sample);
    if (held.length > 0)
      setTimeout(next, held[0].due - performance.now());
  };
  on.sample = (sample) => {
    const now = performance.now();
    due = Math.max(due, now < until ? now + 1500 : now);
    held.push({ due, sample });
    if (held.length === 1)
      setTimeout(next, due - now);
  };
  return true;
})()"""


def late(s, browser, way):
    publisher = publish(s, "film", film(s, "plain"))
    page = Page(s, BROWSERS[browser], Server(s), way)
    page.follow("film")
    page.shows(30)
    page.evaluate(HOLD_BACK)
    page.until("wall.tiles.get('film').more.textContent.startsWith('This page is behind')", "the tile says so")
    page.until("wall.tiles.get('film').viewer.late >= 10", "late pictures are left out")
    page.shows(50)
    numbers = page.evaluate("numbers")
    for before, after in zip(numbers, numbers[1:]):
        check(not 0 < (before - after) % walling.PICTURES < 25, "it goes back from %d to %d", before, after)
    s.until(lambda: (page.viewer("film", "latency") or 9999) < 700, "pictures are in time again")
    page.until("wall.tiles.get('film').more.hidden", "and the tile says no more of it")
    check(page.viewer("film", "rebuilt") == 0, "rebuilt: %s", page.viewer("film", "lastFailure"))
    check(not page.browser.complaints, "the browser says %r", page.browser.complaints)
    publisher.stop()


def for_each(test, *cases):
    """A test function for each browser, way and case."""
    for browser in BROWSERS:
        for way in WAYS:
            for case in cases or ((),):
                def one(s, browser=browser, way=way, case=case):
                    walling.need_browsers()
                    test(s, browser, way, *case)
                name = "_".join(("test", test.__name__, browser, way, *case)).replace("-", "_")
                globals()[name] = one


for_each(numbers, ("plain",), ("b-frames",))
for_each(colours)
for_each(trouble)
for_each(late)


if __name__ == "__main__":
    harness.main(globals())
