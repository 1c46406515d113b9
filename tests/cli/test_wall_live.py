#!/usr/bin/env python3
"""test_wall_live.py - what a page of `cuframes wall` gets: samples that decode to the source's pictures, sound, JPEG,
and what it is told."""
import signal
import subprocess

import harness
import media
import watching
from harness import check, pace
from watching import AUDIO, DISCONTINUITY, HIDDEN, JPEG, KEY, VIDEO, Wall


def film(s, name, *options):
    """A film in a format of its own. (path, the hashes of its pictures)."""
    path = s.path(name)
    try:
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-f", "lavfi", "-i",
                     "sine=frequency=440:duration=4", "-pix_fmt", "yuv420p", *options, path)
    except media.CannotMake as error:
        harness.skip(str(error))
    return path, watching.decoded(path)


def check_video(s, path, pictures, codec, *publish):
    """A tile of a stream of the film shows its pictures, all of them and in order."""
    s.publish(path, "film", "--realtime", "--loop", *publish)
    page = Wall(s).page()
    page.watch({"tile": 7, "stream": "film"})
    samples = page.get(60, tile=7)
    track = page.track(7)
    check(track["codec"].startswith(codec) and (track["width"], track["height"]) == (320, 180), "%s", track)
    check(samples[0].flags & KEY and all(sample.config == track["config"] for sample in samples), "the first: %s",
          samples[0][:-1])
    pace(not any(sample.flags & DISCONTINUITY for sample in samples[1:]), "something was left out")
    check(all(a.dts < b.dts for a, b in zip(samples, samples[1:])), "dts does not rise")
    data = watching.elementary(track, samples)
    got = watching.decoded(watching.write(s, "got." + track["name"], data), "-f", track["name"])
    check(len(got) == len(samples), "%d pictures of %d samples", len(got), len(samples))
    # the last ones may come before one that was not had yet
    check(watching.is_part_of(got[:-20], pictures * 3), "they are not the film's")
    return page


def test_h264_with_b_frames(s):
    path, pictures = film(s, "film.mp4", "-c:v", "libx264", "-bf", "2", "-g", "25", "-c:a", "aac")
    page = check_video(s, path, pictures, "avc1.")
    pts = [sample.pts for sample in page.of(7)]
    check(pts != sorted(pts), "no picture is out of order: no B-frames?")


def test_h264_in_start_codes(s):
    """Cameras and TS have their parameter sets in the packets: they come out of there."""
    path, pictures = film(s, "film.ts", "-c:v", "libx264", "-g", "25", "-an")
    page = check_video(s, path, pictures, "avc1.")
    kinds = {unit[0] & 31 for sample in page.of(7) for unit in watching.units(sample.data)}
    check(not kinds & {7, 8, 9}, "there are sets or delimiters in the samples: %s", kinds)


def test_hevc(s):
    path, pictures = film(s, "film.mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                          "log-level=error:keyint=25:no-open-gop=1", "-an")
    check_video(s, path, pictures, "hvc1.1.")


def test_hevc_in_start_codes(s):
    path, pictures = film(s, "film.ts", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                          "log-level=error:keyint=25:no-open-gop=1", "-an")
    check_video(s, path, pictures, "hvc1.1.")


def check_sound(s, path, options):
    """The sound of a tile decodes, behind headers that ffmpeg makes of the description."""
    s.publish(path, "film", "--realtime", "--loop", *options)
    page = Wall(s).page()
    page.watch({"tile": 1, "stream": "film", "audio": True}, {"tile": 2, "stream": "film"})
    samples = page.get(40, tile=1, kind=AUDIO)
    track = page.track(1, "audio")
    check(track["codec"] == "mp4a.40.2" and track["sample_rate"] == 44100 and track["channels"] == 1, "%s", track)
    check(not page.of(2, AUDIO) and not page.tracks(2, "audio"), "a tile without sound has some")
    check(not any(sample.data[:1] == b"\xff" and sample.data[1] & 0xf6 == 0xf0 for sample in samples), "ADTS")
    data = b""
    for sample in samples: # an ADTS header: LC, 44100 Hz, one channel
        size = len(sample.data) + 7
        data += bytes([0xff, 0xf1, 0x50, 0x40 | size >> 11, size >> 3 & 255, (size & 7) << 5 | 0x1f, 0xfc])
        data += sample.data
    path = watching.write(s, "got.aac", data)
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-"], capture_output=True,
                          timeout=harness.LIMIT)
    check(not done.stderr and len(done.stdout) >= 39 * 2048, "%d bytes, %s", len(done.stdout), done.stderr)


def test_sound(s):
    check_sound(s, film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-c:a", "aac")[0], [])


def test_sound_with_adts(s):
    check_sound(s, film(s, "film.ts", "-c:v", "libx264", "-g", "25", "-c:a", "aac")[0], [])


def jpeg_size(s, data):
    path = watching.write(s, "got.jpg", data)
    done = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", path],
                          capture_output=True, text=True, timeout=harness.LIMIT)
    return done.stdout.strip()


def test_mjpeg_is_pictures(s):
    """Each packet is one."""
    path, pictures = film(s, "film.mkv", "-c:v", "mjpeg", "-an")
    s.publish(path, "film", "--realtime", "--loop")
    page = Wall(s).page()
    page.watch({"tile": 0, "stream": "film"})
    samples = page.get(30, tile=0, kind=JPEG)
    got = watching.decoded(watching.write(s, "got.mjpeg", b"".join(one.data for one in samples)), "-f", "mjpeg")
    check(watching.is_part_of(got[:20], pictures * 3), "they are not the film's")


def test_pictures_where_no_packets_are(s):
    s.publish("test:320x240@25", "test")
    page = Wall(s).page()
    page.watch({"tile": 5, "stream": "test"}, {"tile": 6, "stream": "test", "as": "pictures", "width": 96, "fps": 10})
    check("packets" in page.told("pictures", tile=5)["pictures"], "%s", page.texts)
    check(jpeg_size(s, page.get(2, tile=5, kind=JPEG)[-1].data) == "320,240", "tile 5")
    check(jpeg_size(s, page.get(2, tile=6, kind=JPEG)[-1].data) == "96,72", "tile 6")


def test_late_comers_begin_at_once(s):
    """With what has come since the newest keyframe, flagged so that only the last of it is shown."""
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "100", "-bf", "0", "-an")[0]
    s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    first = wall.page()
    first.watch({"tile": 1, "stream": "film"})
    first.get(30, tile=1)
    second = wall.page()
    second.watch({"tile": 9, "stream": "film"})
    samples = second.get(5, tile=9)
    check(samples[0].flags & KEY, "no keyframe first")
    shown = next(i for i, sample in enumerate(second.get(120, tile=9)) if not sample.flags & HIDDEN)
    check(not any(sample.flags & HIDDEN for sample in second.of(9)[shown:]), "hidden after one that is shown")


def test_again(s):
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-an")[0]
    s.publish(path, "film", "--realtime", "--loop")
    page = Wall(s).page()
    page.watch({"tile": 1, "stream": "film"})
    page.get(3, tile=1)
    tracks = len(page.tracks(1))
    page.watch({"tile": 1, "stream": "film"}) # goes on
    page.say(ping=1)
    page.told(pong=1)
    check(len(page.tracks(1)) == tracks, "it began anew")
    page.watch({"tile": 1, "stream": "film", "again": True})
    page.until(lambda: len(page.tracks(1)) > tracks, "a track anew")
    before = len(page.of(1))
    check(page.get(before + 1, tile=1)[before].flags & KEY, "it does not begin with a keyframe")


def test_hidden_tile_gets_nothing(s):
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-an")[0]
    s.publish(path, "film", "--realtime", "--loop")
    page = Wall(s).page()
    page.watch({"tile": 1, "stream": "film"}, {"tile": 2, "stream": "film"})
    page.get(3, tile=1), page.get(3, tile=2)
    page.watch({"tile": 2, "stream": "film"})
    page.say(ping=2)
    page.told(pong=2)
    before, other = len(page.of(1)), len(page.of(2))
    page.get(other + 30, tile=2)
    check(len(page.of(1)) == before, "%d samples for a tile that is not watched", len(page.of(1)) - before)


def test_restart_of_the_publisher(s):
    """Nothing for the page to do: it is told, and the samples of the next one come, with another size."""
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-an")[0]
    publisher = s.publish(path, "film", "--realtime", "--loop")
    page = Wall(s).page()
    page.watch({"tile": 1, "stream": "film"})
    page.get(5, tile=1)
    publisher.kill()
    page.told("gone", tile=1)
    check(page.told("waiting", tile=1)["waiting"], "why")
    other = s.path("other.mp4")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=4", "-pix_fmt", "yuv420p", "-c:v",
                 "libx264", "-g", "25", other)
    before = len(page.of(1))
    s.publish(other, "film", "--realtime", "--loop")
    page.until(lambda: any(track["width"] == 160 for track in page.tracks(1)), "the other track")
    page.get(before + 10, tile=1)
    first = [sample for sample in page.of(1) if sample.config == page.track(1)["config"]][0]
    check(first.flags & KEY, "it does not begin with a keyframe: %s", first[:-1])


def test_stream_that_appears(s):
    page = Wall(s).page()
    page.watch({"tile": 1, "stream": "film"})
    check(page.told("waiting", tile=1)["waiting"] == "nobody publishes it", "%s", page.texts)
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-an")[0]
    s.publish(path, "film", "--realtime", "--loop")
    page.get(5, tile=1)


def test_frozen_publisher_costs_the_others_nothing(s):
    path = film(s, "film.mp4", "-c:v", "libx264", "-g", "25", "-an")[0]
    frozen = s.publish(path, "frozen", "--realtime", "--loop")
    s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    page = wall.page()
    page.watch({"tile": 1, "stream": "film"}, {"tile": 2, "stream": "frozen"})
    page.get(3, tile=1), page.get(3, tile=2)
    frozen.suspend()
    try:
        other = wall.page()
        other.watch({"tile": 1, "stream": "film"}, {"tile": 2, "stream": "frozen"})
        other.get(100, tile=1)
        check(len(wall.json("/streams.json")) == 2, "the list")
    finally:
        frozen.resume()


def test_lists_and_details(s):
    s.publish("test:64x48@25", "one")
    page = Wall(s).page()
    hello = page.told("hello")["hello"]
    check(hello["version"] == s.run("--version").out.split()[1] and hello["now"] > 1e15, "%s", hello)
    streams = page.told("streams")["streams"]
    check([stream["name"] for stream in streams] == ["one"] and streams[0]["watchers"] == 0, "%s", streams)
    page.watch({"tile": 1, "stream": "one"})
    page.until(lambda: page.texts[-1].get("streams", [{}])[0].get("watchers") == 1, "a watcher")
    page.say(detail="one")
    detail = page.told("detail")["detail"]
    check(set(detail) == set(s.json("info", "one", "--json")), "%s", detail)
    s.publish("test:64x48@25", "two")
    page.until(lambda: len(page.texts[-1].get("streams", [])) == 2, "the second stream")
    page.say(detail=None)
    page.say(ping=4)
    page.told(pong=4)
    before = len(page.texts)
    page.until(lambda: sum("streams" in text for text in page.texts[before:]) > 2, "more lists")
    check(not any("detail" in text for text in page.texts[before:]), "a detail that nobody wants")


def test_names(s):
    """Only the streams that were given."""
    s.publish("test:64x48@25", "one")
    s.publish("test:64x48@25", "two")
    wall = Wall(s, "two", "three")
    page = wall.page()
    check([stream["name"] for stream in page.told("streams")["streams"]] == ["two"], "%s", page.texts)
    check(wall.get("/one.jpg").status == 404 and wall.get("/two.jpg").status == 200, "pictures")
    page.watch({"tile": 1, "stream": "one"})
    check("waiting" in page.told("waiting", tile=1), "%s", page.texts)


def test_mistakes_of_a_page(s):
    """It is told what was expected, and goes on."""
    page = Wall(s).page()
    tile = {"tile": 1, "stream": "a"}
    for message, words in (({}, "one member"), ({"watch": [], "ping": 1}, "one member"), ([], "object"), (3, "object"),
                           ({"look": []}, "watch, detail and ping"), ({"watch": {}}, "array"), ({"watch": [1]}, "tile"),
                           ({"watch": [{"tile": 1}]}, "stream"), ({"watch": [{"stream": "a"}]}, "tile"),
                           ({"watch": [tile, tile]}, "twice"), ({"watch": [dict(tile, tile=65536)]}, "65535"),
                           ({"watch": [dict(tile, tile=-1)]}, "65535"), ({"watch": [dict(tile, tile=1.5)]}, "65535"),
                           ({"watch": [dict(tile, stream="")]}, "name"),
                           ({"watch": [dict(tile, stream="a" * 300)]}, "name"),
                           ({"watch": [dict(tile, audio=1)]}, "true or false"), ({"watch": [dict(tile, fps=0)]}, "fps"),
                           ({"watch": [dict(tile, fps=11)]}, "fps"), ({"watch": [dict(tile, width=8)]}, "width"),
                           ({"watch": [dict(tile, **{"as": "x"})]}, "pictures"), ({"watch": [dict(tile, x=1)]}, "x"),
                           ({"watch": [{"tile": i, "stream": "a"} for i in range(257)]}, "256"),
                           ({"detail": 1}, "name"), ({"ping": "a"}, "number")):
        before = len(page.texts)
        page.socket.send(message)
        error = page.told("error", after=before)["error"]
        check(words in error, "%s: %s", message, error)
    page.say(ping=3)
    page.told(pong=3)


def test_what_is_no_message(s):
    wall = Wall(s)
    for text, code in (("{", 1007), ("", 1007), ("[" * 5000, 1007), ('{"ping":1}x', 1007), ("nul", 1007),
                       ('{"ping":1,"ping":2}', 1007), ("{" + " " * 70000 + "}", 1009)):
        page = wall.page()
        page.socket.send(text)
        end = page.socket.closing()
        check(end[0] == code, "%r: %s", text[:20], end)
    page = wall.page()
    page.socket.send_frame(2, b"{}")
    check(page.socket.closing()[0] == 1003, "a binary message")
    check(wall.get("/").status == 200, "the server goes on")


def test_end(s):
    s.publish("test:64x48@25", "one")
    for number in (signal.SIGINT, signal.SIGTERM):
        wall = Wall(s)
        page = wall.page()
        page.watch({"tile": 1, "stream": "one"})
        page.get(1, tile=1, kind=JPEG)
        wall.process.send(number)
        check(page.socket.closing()[0] == 1001, "the page is not told")
        wall.process.expect(harness.OK)


def test_stopped_client(s):
    """One that does not read: what waits for it is bounded, and the others go on as before."""
    path = s.path("film.mp4")
    media.ffmpeg("-f", "lavfi", "-i", "nullsrc=size=640x360:rate=50:duration=8,geq=random(1)*255:128:128", "-pix_fmt",
                 "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "20M", "-g", "150", "-an", path)
    s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    deaf = wall.page(receive_bytes=4096)
    deaf.watch(*({"tile": i, "stream": "film"} for i in range(8)))
    other = wall.page()
    other.watch({"tile": 1, "stream": "film"})
    before = resident(wall)
    other.get(500, tile=1)

    check(harness.SANITIZED or resident(wall) - before < 64 << 20, "%d MiB more", (resident(wall) - before) >> 20)
    dropped = deaf.told("dropped")
    after = [sample for sample in deaf.samples if sample.tile == dropped["tile"]]
    deaf.until(lambda: [one for one in deaf.samples if one.tile == dropped["tile"]][len(after):], "what follows")
    following = [one for one in deaf.samples if one.tile == dropped["tile"]][len(after)]
    check(following.kind == VIDEO and following.flags & KEY, "no keyframe behind what was dropped: %s", following[:-1])


def resident(wall):
    with open("/proc/%d/statm" % wall.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


if __name__ == "__main__":
    harness.main(globals())
