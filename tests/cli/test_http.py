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


if __name__ == "__main__":
    harness.main(globals())
