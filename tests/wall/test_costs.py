#!/usr/bin/env python3
"""test_costs.py - what the wall costs: nothing for what nobody sees, little for the server, milliseconds from the
packet to the screen, and no more memory as time goes on. `make wall-test` runs it."""
import time

import walling
from browser import Chromium
from walling import Page, Server, film, publish
import harness
from harness import check, pace

TILES = 16
SECONDS = 10
COUNT = """(() => {
  const { on } = wall.link, was = on.sample;
  self.samples = 0;
  on.sample = (sample) => { self.samples++; was(sample); };
  return true;
})()"""
HIDE = """(() => {
  Object.defineProperty(document, 'hidden', { value: %s, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
  return true;
})()"""


def test_hidden_tiles_and_pages_cost_nothing(s):
    walling.need_browsers()
    publisher = publish(s, "film", film(s, "plain"))
    server = Server(s)
    page = Page(s, Chromium, server)
    page.follow("film")
    page.shows()
    page.evaluate(COUNT)
    page.evaluate("(document.getElementById('filter').value = 'nothing has this name', "
                  "document.getElementById('filter').dispatchEvent(new Event('input')), true)")
    s.until(lambda: server.streams()["film"]["watchers"] == 0, "nobody watches what the filter hides")
    before = page.evaluate("self.samples")
    server.passes(s, "film", 50)
    check(page.evaluate("self.samples") == before, "samples of a hidden tile come")
    page.evaluate("(document.getElementById('filter').value = '', "
                  "document.getElementById('filter').dispatchEvent(new Event('input')), true)")
    page.shows()
    page.evaluate(HIDE % "true")
    s.until(lambda: server.streams()["film"]["watchers"] == 0, "nobody watches in a hidden page")
    page.until("wall.link.socket === null", "a hidden page has no connection")
    page.evaluate(HIDE % "false")
    page.shows()
    publisher.stop()


def test_delay_and_server(s):
    """Judged by the server's share of a core alone; delays are printed, and mean something on an idle machine."""
    walling.need_browsers()
    path = film(s, "plain")
    publishers = [publish(s, "film%u" % i, path) for i in range(TILES)]
    server = Server(s)
    for way in "webcodecs", "mse":
        page = Page(s, Chromium, server, way, width=1600, height=1000)
        page.until("wall.tiles.size === %u && "
                   "[...wall.tiles.values()].every((tile) => tile.viewer.shownAt > 0)" % TILES,
                   "%u tiles have pictures" % TILES)
        page.evaluate(COUNT)
        cpu, began = server.process.cpu_seconds(), time.monotonic()
        page.until("samples >= %u" % (TILES * SECONDS * walling.FPS), "%u seconds" % SECONDS)
        share = (server.process.cpu_seconds() - cpu) / (time.monotonic() - began)
        delays = sorted(page.evaluate("[...wall.tiles.values()].map((tile) => tile.viewer.latency)"
                                      ".filter((ms) => ms !== null)"))
        rates = page.evaluate("[...wall.tiles.values()].map((tile) => tile.viewer.fps)")
        print("%s, %u tiles: the server takes %.3f of a core; %.1f pictures/s a tile; sent to shown p50 %.0f ms" %
              (way, TILES, share, sum(rates) / TILES, delays[len(delays) // 2] if delays else -1), flush=True)
        pace(share < 0.15, "%s: the server takes %.2f of a core", way, share)
        page.browser.close()
    for publisher in publishers:
        publisher.stop()


def test_memory_is_flat(s):
    """Eight times as many pictures as in life: a minute is eight."""
    walling.need_browsers()
    path = s.path("fast.mp4")
    walling.run("ffmpeg", "-v", "error", "-y", "-r", "200", "-i", film(s, "plain"), "-vf", "fps=200", "-c:v", "libx264",
                "-preset", "ultrafast", "-tune", "zerolatency", "-g", "200", path)
    publisher = publish(s, "film", path)
    server = Server(s)
    for way in "webcodecs", "mse":
        page = Page(s, Chromium, server, way)
        page.until("wall.tiles.get('film')?.viewer.shownAt > 0", "a picture")
        page.evaluate(COUNT)
        page.until("samples >= 2000", "caches are filled")
        first, server_first = page.browser.heap(), server.process.memory()
        page.until("samples >= 10000", "and 8000 pictures more")
        last, server_last = page.browser.heap(), server.process.memory()
        print("%s: %.1f MB of JavaScript, and 8000 pictures later %.1f; the server %.1f and %.1f" %
              (way, first / 1e6, last / 1e6, server_first / 1e6, server_last / 1e6), flush=True)
        check(last < first + 4e6, "%s: the page has grown from %d to %d bytes", way, first, last)
        check(server_last < server_first + 8e6, "%s: the server has grown from %d to %d bytes", way, server_first,
              server_last)
        page.browser.close()
    publisher.stop()


if __name__ == "__main__":
    harness.main(globals())
