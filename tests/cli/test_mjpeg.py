#!/usr/bin/env python3
"""test_mjpeg.py - cameras that send JPEGs without end over HTTP, in the many ways that they have for it: the pictures
come, in order, over one connection."""
import socket
import threading

import harness
import media
from harness import check

SIZE, COUNT = "64x48", 6
LAST = b"\xff\xd9"


class Server:
    """Answers each request with a head and then parts, in turn and without end, of which each has its picture. Between
    them it waits for `pause` seconds."""

    def __init__(self, s, head, part, pictures, ends_after=None, pause=0.02):
        self.head, self.part, self.pictures, self.ends_after, self.pause = head, part, pictures, ends_after, pause
        self.go, self.asked = threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/video" % self.listener.getsockname()[1]
        s.at_end(self.end)
        self.thread(self.accept)

    def thread(self, function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def end(self):
        self.go.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        try:
            while True:
                self.thread(self.serve, self.listener.accept()[0])
        except OSError:
            pass

    def serve(self, client):
        try:
            with client:
                self.asked.append(client.recv(65536))
                client.sendall(self.head)
                number = 0
                while self.ends_after is None or number < self.ends_after:
                    client.sendall(self.part(number, self.pictures[number % len(self.pictures)]))
                    number += 1
                    if self.go.wait(self.pause):
                        return
        except OSError:
            pass


def pictures(s, size=SIZE, count=COUNT):
    pattern = s.path("p%s-%%d.jpg" % size)
    try:
        media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=%s:r=25" % size, "-frames:v", str(count), "-pix_fmt", "yuvj420p",
                     "-q:v", "20", pattern)
    except media.CannotMake as why:
        harness.skip(str(why))
    found = []
    for number in range(1, count + 1):
        with open(pattern % number, "rb") as file:
            found.append(file.read())
    return found


def head(kind="multipart/x-mixed-replace; boundary=frame", status="200 OK", more=""):
    kind = "Content-Type: %s\r\n" % kind if kind else ""
    return ("HTTP/1.0 %s\r\n%s%s\r\n" % (status, kind, more)).encode()


def parts(boundary="--frame", kind="image/jpeg", length=True, end="\r\n", behind="\r\n", more=""):
    """How the parts are written; the boundary stands in front of each."""
    def part(_, picture):
        lines = [boundary] if boundary else []
        lines += ["Content-Type: " + kind] if kind else []
        lines += ["Content-Length: %d" % (len(picture) + length - 1)] if length else []
        lines += [more] if more else []
        return (end.join(lines) + 2 * end).encode() + picture + behind.encode()
    return part


def behind(_, picture):
    """The boundary stands behind each, as small cameras have it."""
    return b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n--frame\r\n"


def chunked(part):
    def chunk(number, picture):
        data = part(number, picture)
        half = len(data) // 2
        return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (data[:half], data[half:]))
    return chunk


def cases():
    yield "as-it-should-be", head(), parts()
    yield "dashes-in-the-head", head("multipart/x-mixed-replace;boundary=--frame"), parts()
    yield "quoted", head('multipart/x-mixed-replace; boundary="frame"'), parts()
    yield "no-dashes", head(), parts("frame")
    yield "no-first-boundary", head(), behind
    yield "no-length", head(), parts(length=False)
    yield "no-kind", head(), parts(kind=None)
    yield "no-kind-no-length", head(), parts(kind=None, length=False)
    yield "another-kind", head(), parts(kind="image/jpg")
    yield "kind-with-charset", head(), parts(kind="image/jpeg; charset=binary")
    yield "more-headers", head(), parts(more="X-Timestamp: 1.5\r\nX-Long: " + 200 * "x")
    yield "too-short-a-length", head(), parts(length=-300)
    yield "too-long-a-length", head(), parts(length=400)
    yield "lines-without-cr", head(), parts(end="\n", behind="\n")
    yield "nothing-behind", head(), parts(behind="")
    yield "no-head", head(kind=None), parts()
    yield "head-says-jpeg", head("image/jpeg"), lambda _, picture: picture
    yield "bytes-in-between", head(), lambda number, picture: b"\0\0junk" + parts()(number, picture)
    yield "chunked", head(more="Transfer-Encoding: chunked\r\n").replace(b"1.0", b"1.1"), chunked(parts())


def check_video(s, name, server, pictures_sent):
    """All pictures come, and decode as they are."""
    pub = s.publish(server.url, name, "--json", *(("--timeout", "2") if name == "head-says-jpeg" else ()))
    s.until(lambda: s.json("info", name, "--json")["frames"] >= 3 * pictures_sent, "pictures of " + name)
    pub.stop()
    events = [harness.parse_json(line) for line in pub.out.splitlines()]
    end = events[-1]
    check(end["decode_errors"] == 0 and end["corrupt"] == 0, "%s: %s", name, end)
    check("disconnected" not in [event["event"] for event in events], "%s: %s", name, pub.out)


def test_ways_to_send(s):
    found = pictures(s)
    failed = []
    for name, first, part in cases():
        try:
            check_video(s, name, Server(s, first, part, found), len(found))
        except harness.Failure as why:
            failed.append((name, str(why)[:300]))
    check(not failed, "%s", failed)


def test_a_picture_that_is_cut(s):
    """One is damaged or missing, and the others come."""
    found = pictures(s)
    found[2] = found[2][:len(found[2]) // 2]
    for part in (parts(), parts(length=False), behind):
        server = Server(s, head(), part, found)
        pub = s.publish(server.url, "cam", "--json")
        s.until(lambda: s.json("info", "cam", "--json")["frames"] >= 4 * len(found), "pictures")
        pub.stop()
        check('"disconnected"' not in pub.out, "it was lost: %s", pub.out)


def test_another_size(s):
    small, large = pictures(s, count=4), pictures(s, "128x96", count=4)
    for part in (parts(), behind):
        server = Server(s, head(), part, small + large)
        pub = s.publish(server.url, "cam", "--json")
        pub.wait_for("the picture is 128x96")
        pub.wait_for("the picture is 64x48")
        pub.stop()
        check('"disconnected"' not in pub.out, "it was lost: %s", pub.out)


if __name__ == "__main__":
    harness.main(globals())
