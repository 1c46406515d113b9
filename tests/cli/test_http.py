#!/usr/bin/env python3
"""test_http.py - what web servers answer: one picture each time, pages, films that cannot be read from the front."""
import http.server
import threading

import harness
import media
from harness import check


class Server(http.server.ThreadingHTTPServer):
    """Answers every GET with the next of these, in turn: a status, a content type and the bytes."""
    daemon_threads = True

    def __init__(self, s, *answers, tells_length=True):
        self.answers, self.asked, self.tells_length, self.lock = answers, 0, tells_length, threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        s.at_end(self.server_close)
        s.at_end(thread.join)
        s.at_end(self.shutdown)

    def next(self):
        with self.lock:
            self.asked += 1
            return self.answers[(self.asked - 1) % len(self.answers)]

    def url(self, path):
        return "http://127.0.0.1:%d/%s" % (self.server_port, path)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, kind, data = self.server.next()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            pass  # it has seen enough

    def log_message(self, *_):
        pass


def content(path):
    with open(path, "rb") as file:
        return file.read()


def pictures(s, count):
    """So many JPEG files of different content."""
    pattern = s.path("p%d.jpg")
    try:
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25", "-frames:v", str(count), "-pix_fmt", "yuvj420p",
                     pattern)
    except media.CannotMake as why:
        harness.skip(str(why))
    return [content(pattern % number) for number in range(1, count + 1)]


def events(process):
    return [harness.parse_json(line) for line in process.out.splitlines()]


def test_one_picture_each_time(s):
    """A camera's address of snapshots is asked again at once, and that is no outage."""
    answers = [(200, "image/jpeg", data) for data in pictures(s, 5)]
    for path, tells_length in (("snapshot.jpg", True), ("snapshot?camera=1", True), ("cgi-bin/still", False)):
        check_snapshots(s, Server(s, *answers, tells_length=tells_length), path)


def check_snapshots(s, server, path):
    pub = s.publish(server.url(path), "cam", "--json")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] >= 10, "10 pictures")
    check(s.json("info", "cam", "--json")["state"] != "reconnecting", "it counts as away")
    lines = pub.err.splitlines()
    pub.stop()
    kinds = [event["event"] for event in events(pub)]
    check(not {"disconnected", "reconnected"} & set(kinds), "it said %s", kinds)
    end = events(pub)[-1]
    check(end["frames"] in (server.asked, server.asked - 1), "%d answers, %s", server.asked, end)
    check(end["reconnects"] == 0 and end["decode_errors"] == 0 and end["decoders"] == 1, "%s", end)
    check(len(lines) < 8, "a line for each picture: %s", lines)


def test_a_picture_fails(s):
    """When the server fails in between, that is an outage like any other."""
    good = [(200, "image/jpeg", data) for data in pictures(s, 4)]
    server = Server(s, *good, (500, "text/plain", b"busy"))
    pub = s.publish(server.url("snapshot.jpg"), "cam", "--json")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] >= 7, "7 pictures")
    pub.stop()
    kinds = [event["event"] for event in events(pub)]
    check("disconnected" in kinds and "reconnected" in kinds, "it said %s", kinds)
    check(events(pub)[-1]["reconnects"] == kinds.count("reconnected"), "%s", events(pub)[-1])


def test_answers_without_a_picture(s):
    """They are trouble: nobody asks for the next one at once."""
    server = Server(s, (200, "image/jpeg", pictures(s, 1)[0][:200]))
    pub = s.start("publish", server.url("snapshot.jpg"), "--name", "cam", "--json")
    pub.wait_for('"disconnected".*}$', "out")
    pub.stop(code=None)
    check(events(pub)[0]["event"] == "disconnected", "%s", pub.out)


def test_a_page_instead_of_a_stream(s):
    """It is said what it is and what to do; it may be a camera that starts, so it is tried again."""
    page = b"<!DOCTYPE html><html><head><title>Login</title></head><body>Who are you?</body></html>"
    for kind, data in (("text/html", page), ("application/json", b'{"error": "log in first"}')):
        server = Server(s, (200, kind + "; charset=utf-8", data))
        pub = s.start("publish", server.url("live"), "--name", "cam", "--json")
        pub.wait_for('"disconnected".*}$', "out")
        pub.stop(code=None)
        event = events(pub)[0]
        check("(%s)" % kind in event["reason"] and "browser" in event["remedy"], "it said %s", event)
        check(event["remedy"] in pub.err, "it said %s", pub.err)


def test_a_film_whose_index_is_at_its_end(s):
    """Without ranges nobody can go back to its pictures: no other try can help. With its index in front it plays."""
    film, ready = s.path("film.mp4"), s.path("ready.mp4")
    media.encode(film, "-c:v", "libx264", "-preset", "ultrafast", "-an", seconds=4, size=None)
    media.ffmpeg("-i", film, "-c", "copy", "-movflags", "+faststart", ready)
    result = s.run("publish", Server(s, (200, "video/mp4", content(film))).url("film.mp4"), "--name", "cam")
    check(result.code == harness.FAILED, "ended with %d: %s", result.code, result.err)
    check("index (moov) is at its end" in result.err and "+faststart" in result.err, "it said %s", result.err)
    result = s.run("publish", Server(s, (200, "video/mp4", content(ready))).url("film.mp4"), "--name", "cam")
    check(result.code == harness.OK and " frames in " in result.err, "ended with %d: %s", result.code, result.err)


if __name__ == "__main__":
    harness.main(globals())
