#!/usr/bin/env python3
"""test_wall_files.py - what other programs read of `cuframes wall`: TS, MP4, JPEG, MJPEG, the list, the page."""
import base64
import os
import re
import signal
import subprocess

import harness
import media
import watching
from harness import check
from watching import Wall


def film(s, *options, name="film.mp4", size="320x180"):
    path = s.path(name)
    try:
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=%s:rate=25:duration=4" % size, "-f", "lavfi", "-i",
                     "sine=frequency=440:duration=4", "-pix_fmt", "yuv420p", *options, path)
    except media.CannotMake as error:
        harness.skip(str(error))
    return path


def h264(s, **options):
    return film(s, "-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac", **options)


class Reading:
    """What a program reads that does not end by itself: with chunks, as they come."""

    def __init__(self, wall, path):
        self.client = wall.connect()
        self.client.sendall(wall.request(path, version="1.0"))
        self.data = b""

    def until(self, size):
        """So many bytes of the body, at least; b"" behind the end."""
        while len(self.body()) < size:
            more = self.client.recv(65536)
            check(more, "it ends after %d bytes: %r", len(self.body()), self.data[:300])
            self.data += more
        return self.body()

    def rest(self):
        while True:
            more = self.client.recv(65536)
            if not more:
                return self.body()
            self.data += more

    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]


def probe(path):
    shown = ["-show_entries", "stream=codec_name,width", "-of", "csv=p=0"]
    done = subprocess.run(["ffprobe", "-v", "error", *shown, path],
                          capture_output=True, text=True, timeout=harness.LIMIT)
    return sorted(set(line.rstrip(",") for line in done.stdout.splitlines() if line))


def check_file(s, kind, *options):
    """What comes has the film's pictures, from a keyframe on."""
    path = h264(s)
    pictures = watching.decoded(path)
    s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    reading = Reading(wall, "/film." + kind)
    data = reading.until(200000)
    check(b"200 OK" in reading.data[:20], "%r", reading.data[:200])
    got = watching.write(s, "got." + kind, data)
    check(probe(got) == ["aac", "h264,320"], "%s", probe(got))
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "quiet", "-i", got, "-map", "0:v:0", "-fps_mode", "passthrough",
                           "-f", "framemd5", "-"], capture_output=True, text=True, timeout=harness.LIMIT)
    hashes = [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")][:-4]
    check(len(hashes) > 10 and watching.is_part_of(hashes, pictures * 4), "%d pictures, not the film's", len(hashes))
    silent = Reading(wall, "/film.%s?audio=none" % kind)
    check(probe(watching.write(s, "silent." + kind, silent.until(200000))) == ["h264,320"], "sound")


def test_ts(s):
    check_file(s, "ts")


def test_mp4(s):
    check_file(s, "mp4")


def test_ts_published_again(s):
    """On another machine, say."""
    s.publish(h264(s), "film", "--realtime", "--loop")
    wall = Wall(s)
    s.publish("http://127.0.0.1:%d/film.ts" % wall.address[1], "copy")
    info = s.json("info", "copy", "--json")
    check((info["width"], info["height"]) == (320, 180), "%s", info)
    page = wall.page()
    page.watch({"tile": 1, "stream": "copy"})
    page.get(10, tile=1)


def test_ts_goes_on(s):
    """Through a restart of the publisher, with another size; an MP4 ends there."""
    first = s.publish(h264(s), "film", "--realtime", "--loop")
    wall = Wall(s)
    ts, mp4 = Reading(wall, "/film.ts"), Reading(wall, "/film.mp4")
    before = len(ts.until(50000))
    mp4.until(20000)
    first.kill()
    s.publish(h264(s, name="other.mp4", size="160x120"), "film", "--realtime", "--loop")
    data = ts.until(before + 400000)
    check(probe(watching.write(s, "got.ts", data)) != [], "no TS")
    sizes = subprocess.run(["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-show_entries", "frame=width", "-of",
                            "csv=p=0", s.path("got.ts")], capture_output=True, text=True, timeout=harness.LIMIT).stdout
    check({"320", "160"} <= set(re.findall(r"\d+", sizes)), "widths: %s", sorted(set(sizes.split())))
    check(probe(watching.write(s, "got.mp4", mp4.rest())) == ["aac", "h264,320"], "the MP4")


def test_pictures(s):
    s.publish("test:320x240@25", "test")
    wall = Wall(s)
    for query, size in (("", "320,240"), ("?width=100", "100,75"), ("?width=9000", None), ("?width=4000", "320,240"),
                        ("?width=x", None)):
        answer = wall.get("/test.jpg" + query)
        check(answer.status == (200 if size else 400), "%s: %s", query, answer)
        if size:
            check(answer.headers["content-type"] == "image/jpeg", "%s", answer.headers)
            path = watching.write(s, "got.jpg", answer.body)
            done = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0",
                                   path], capture_output=True, text=True, timeout=harness.LIMIT)
            check(done.stdout.strip() == size, "%s: %s", query, done.stdout)
    reading = Reading(wall, "/test.mjpeg?width=64&fps=10")
    data = reading.until(6000)
    check(b"multipart/x-mixed-replace; boundary=cuframes" in reading.data, "%r", reading.data[:300])
    parts = data.split(b"--cuframes\r\n")[1:-1]
    check(len(parts) >= 2, "%d parts", len(parts))
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        check(body[:2] == b"\xff\xd8" and body[length - 2:] == b"\xff\xd9\r\n", "%r %d %d", head, length, len(body))


def parts_of(data):
    """The pictures of a multipart answer."""
    pictures = []
    for part in data.split(b"--cuframes\r\n")[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        pictures.append(body[:int(re.search(rb"Content-Length: (\d+)", head)[1])])
    return pictures


def jpegs(path):
    """The pictures of a file that is nothing else."""
    with open(path, "rb") as file:
        return {b"\xff\xd8\xff" + part for part in file.read().split(b"\xff\xd8\xff")[1:]}


def without_tables(picture):
    """As cameras of the machine send them: everybody knows the tables."""
    out, at = picture[:2], 2
    while picture[at + 1] != 0xda:
        length = 2 + int.from_bytes(picture[at + 2:at + 4], "big")
        out += picture[at:at + length] if picture[at + 1] != 0xc4 else b""
        at += length
    return out + picture[at:]


def test_pictures_of_mjpeg(s):
    """They are those of the camera, byte for byte, but where another size is asked for, or one is no whole JPEG."""
    path = s.path("film.mjpeg")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-c:v", "mjpeg", "-huffman", "default", "-pix_fmt",
                 "yuvj420p", path)
    packets = jpegs(path)
    publisher = s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    s.until(lambda: wall.json("/streams.json")[0]["tracks"], "its track is known")
    for _ in range(2):
        check(wall.get("/film.jpg").body in packets, "the picture is not one of the film")
    check(wall.get("/film.jpg?width=64").body not in packets, "made smaller")
    reading = Reading(wall, "/film.mjpeg?fps=10")
    pictures = parts_of(reading.until(60000))
    check(len(pictures) > 5 and all(one in packets for one in pictures), "%d pictures", len(pictures))
    publisher.suspend()
    try:
        check(wall.get("/film.jpg").body in packets, "of a publisher that stands still")
    finally:
        publisher.resume()
    publisher.stop()

    bare = watching.write(s, "bare.mjpeg", b"".join(map(without_tables, packets)))
    s.publish(bare, "bare", "--realtime", "--loop")
    s.until(lambda: [one for one in wall.json("/streams.json") if one["name"] == "bare" and one["tracks"]], "its track")
    check(b"\xff\xc4" in wall.get("/bare.jpg").body, "a picture without tables")
    pictures = parts_of(Reading(wall, "/bare.mjpeg?fps=10").until(30000))
    check(pictures and all(b"\xff\xc4" in one for one in pictures), "pictures without tables")


def test_picture_of_a_stalled_stream(s):
    """The newest there is."""
    publisher = s.publish("test:320x240@25", "test")
    wall = Wall(s)
    check(wall.get("/test.jpg").status == 200, "live")
    publisher.suspend()
    try:
        check(wall.get("/test.jpg?width=64").status == 200, "of a publisher that stands still")
    finally:
        publisher.resume()


def test_what_is_not_there(s):
    s.publish("test:64x48@25", "bare")
    wall = Wall(s)
    for path, status, words in (("/none.ts", 404, "no such stream"), ("/none.jpg", 404, "no such stream"),
                                ("/bare.ts", 404, "no packets"), ("/bare.mp4", 404, "no packets"),
                                ("/bare.mkv", 404, "nothing here"), ("/bare", 404, "nothing here"),
                                ("/-/none.js", 404, "nothing here"), ("/.ts", 404, "nothing here"),
                                ("/%s.ts" % ("a" * 300), 404, "nothing here"), ("/bare.ts?audio=x", 400, "audio")):
        answer = wall.get(path)
        check(answer.status == status and words in answer.body.decode(), "%s: %s", path[:20], answer)
    check(wall.socket("/other", "cuframes-wall-1").status == 404, "a WebSocket elsewhere")


def test_video_that_a_file_cannot_hold(s):
    """Is said, where its sound alone would have come; the other file has both."""
    path = film(s, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "libopus",
                name="film.webm", size="160x90")
    s.publish(path, "film", "--realtime", "--loop")
    wall = Wall(s)
    answer = wall.get("/film.ts")
    check(answer.status == 404 and "vp9" in answer.body.decode() and ".mp4" in answer.body.decode(), "%s", answer)
    found = s.path("film.mp4")
    reading = Reading(wall, "/film.mp4")
    with open(found, "wb") as file:
        file.write(reading.until(60000))
    check(probe(found) == ["opus", "vp9,160"], "%s", probe(found))
    head = reading.data.partition(b"\r\n\r\n")[0].decode().lower()
    check(head.count("cache-control: no-store") == 1, "%s", head)


def test_list(s):
    wall = Wall(s)
    check(wall.json("/streams.json") == [], "there is none")
    s.publish(h264(s), "film", "--realtime", "--loop")
    stream = wall.json("/streams.json")[0]
    check(set(s.json("list", "--json")[0]) < set(stream) and stream["watchers"] == 0, "%s", stream)
    check([(track["media"], track["codec"]) for track in stream["tracks"]] == [("video", "h264"), ("audio", "aac")] and
          stream["tracks"][0]["plays"].startswith("avc1."), "%s", stream["tracks"])


def test_page(s):
    """Its files, and that a browser asks whether they have changed."""
    wall = Wall(s)
    answer = wall.get("/")
    check(answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8", "%s", answer)
    check("default-src 'none'" in answer.headers["content-security-policy"], "%s", answer.headers)
    for path in set(re.findall(r'(?:src|href)="(/-/[^"]+)"', answer.body.decode())):
        other = wall.get(path)
        check(other.status == 200 and other.body, "%s: %s", path, other)
    again = wall.get("/", "If-None-Match: " + answer.headers["etag"])
    check(again.status == 304 and not again.body, "%s", again)


def test_who_may_look(s):
    """Beyond this machine nobody without a login, unless it is said that everybody may."""
    login = s.path("login")
    with open(login, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("somebody:secret-word\n")
    refused = s.run("wall", "--listen", "0.0.0.0:0")
    check(refused.code != harness.OK and "--login" in refused.err and "--open" in refused.err, "%s", refused)
    check(Wall(s, "--listen", "0.0.0.0:0", "--open").get("/").status == 200, "--open")
    wall = Wall(s, "--listen", "0.0.0.0:0", "--login", login)
    right = "Authorization: Basic " + base64.b64encode(b"somebody:secret-word").decode()
    for path in ("/", "/streams.json", "/none.ts", "/none.jpg"):
        check(wall.get(path).status == 401, "%s without a login", path)
    check(wall.get("/streams.json", right).status == 200, "with it")
    check(wall.socket("/live", "cuframes-wall-1").status == 401, "a WebSocket without it")
    check(wall.socket("/live", "cuframes-wall-1", right).status == 101, "a WebSocket with it")
    check(wall.socket("/live", "cuframes-wall-1", right, origin="http://elsewhere.example").status == 403, "Origin")


def test_end_with_readers(s):
    s.publish(h264(s), "film", "--realtime", "--loop")
    wall = Wall(s)
    readings = [Reading(wall, "/film." + kind) for kind in ("ts", "mp4", "mjpeg")]
    for reading in readings:
        reading.until(3000)
    wall.process.send(signal.SIGTERM)
    wall.process.expect(harness.OK)


def test_reader_that_leaves(s):
    """Its feed ends, some seconds after the last one has left."""
    s.publish(h264(s), "film", "--realtime", "--loop")
    wall = Wall(s)
    reading = Reading(wall, "/film.ts")
    reading.until(3000)
    check(s.json("info", "film", "--json")["subscribers"] == 1, "one subscriber")
    reading.client.close()
    s.until(lambda: s.json("info", "film", "--json")["subscribers"] == 0, "that it leaves")


if __name__ == "__main__":
    harness.main(globals())
