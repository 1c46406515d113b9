#!/usr/bin/env python3
"""test_web_answers.py - answers of the program's HTTP server: their headers, ETags, those without an end, and who
reads them slowly or leaves."""

import time

import harness
import web
from harness import check
from test_web_sockets import serve

POLICY = "default-src 'none'; script-src 'self'"


def test_headers(s):
    server = serve(s, "--policy", POLICY)
    for path, status in (("/", 200), ("/none", 503), ("/stream", 200), ("/" + "a" * 2000, 414)):
        answer = server.get(path)
        check(answer.status == status, "%s: %s", path[:20], answer)
        for name, value in (("content-security-policy", POLICY), ("x-content-type-options", "nosniff"),
                            ("referrer-policy", "no-referrer"), ("cross-origin-resource-policy", "same-origin"),
                            ("cache-control", "no-store")):
            check(answer.headers.get(name) == value, "%s: %s", name, answer)
    check(server.get("/none").headers["retry-after"] == "7", "%s", server.get("/none"))
    check("retry-after" not in server.get("/").headers, "of an answer before")
    refused = server.socket("/none").answer
    check(refused.status == 404 and refused.headers["content-security-policy"] == POLICY, "%s", refused)
    check("content-security-policy" not in serve(s).get("/").headers, "none was said")


def test_etag(s):
    server = serve(s)
    answer = server.get("/same")
    check(answer.status == 200 and answer.headers["etag"] == '"v1"' and answer.headers["cache-control"] == "no-cache",
          "%s", answer)
    for tags, status in (('"v1"', 304), ('W/"v1"', 304), ('"v0", "v1"', 304), ("*", 304), ('"v2"', 200), ("v1", 200),
                         ("x" * 3000, 200)):
        answer = server.get("/same", "If-None-Match: " + tags)
        check(answer.status == status and bool(answer.body) == (status == 200), "%s: %s", tags[:20], answer)
    with server.connect() as client:  # the connection goes on behind an answer without a body
        client.sendall(server.request("/same", 'If-None-Match: "v1"') + server.request("/same", "Connection: close"))
        data = web.drain(client)
        check(data.startswith(b"HTTP/1.1 304") and data.endswith(b"site.\n"), "%r", data)


def test_stream(s):
    server = serve(s)
    for bytes_, size in ((0, 1), (1, 1), (100000, 7), (65536, 65536), (5000000, 300000)):
        answer = server.get("/stream?bytes=%d&size=%d" % (bytes_, size))
        count = bytes_ // size
        wanted = b"".join(bytes([97 + i % 26]) * size for i in range(count))
        check(answer.whole and answer.body == wanted and "content-length" not in answer.headers, "%d by %d: %d bytes",
              bytes_, size, len(answer.body))
    old = server.get("/stream?bytes=100000&size=1000", version="1.0")
    check(len(old.body) == 100000 and "transfer-encoding" not in old.headers, "HTTP/1.0: %s", old.headers)
    for path in ("/stream?bytes=100000", "/silent"):
        head = server.get(path, method="HEAD")
        check(head.status == 200 and not head.body, "HEAD: %s", head)
    check(server.json("/numbers")["left"] == 1, "%s", server.json("/numbers"))
    with server.connect() as client:  # and the next request of the same connection
        client.sendall(server.request("/stream?bytes=10&size=5") + server.request("/", "Connection: close"))
        data = web.drain(client)
        check(b"0\r\n\r\nHTTP/1.1 200" in data and data.endswith(b"site.\n"), "%r", data)


def test_slow_reader(s):
    """Gets all of it, in its own time, and no more than some is kept for it."""
    server = serve(s)
    size = 5000000
    with server.connect(receive_bytes=65536) as client:
        client.sendall(server.request("/stream?bytes=%d&size=50000" % size, "Connection: close"))
        data = client.recv(1000)
        for _ in range(3):
            check(server.get("/").status == 200, "others are not served meanwhile")
        answer = web.Answer(data + web.drain(client))
    check(answer.whole and len(answer.body) == size, "%d bytes", len(answer.body))
    check(server.json("/numbers")["most_waiting"] < 8 << 20, "%s", server.json("/numbers"))


def test_leaving(s):
    """Who stops reading is closed after a while, who leaves is noticed; who has nothing to read stays. Neither they nor
    those that have asked for more already keep the server busy."""
    server = serve(s)
    began, before = time.monotonic(), server.process.cpu_seconds()
    silent = server.connect()
    silent.sendall(server.request("/silent") + server.request("/"))
    with server.connect(receive_bytes=4096) as deaf:
        deaf.sendall(server.request("/stream?bytes=100000000&size=100000") + server.request("/"))
        leaver = server.connect()
        leaver.sendall(server.request("/stream?bytes=100000000&size=100000"))
        leaver.recv(1000)
        leaver.close()
        s.until(lambda: server.json("/numbers")["left"] == 2, "both are gone")
    busy = (server.process.cpu_seconds() - before) / (time.monotonic() - began)
    check(busy < 0.3, "%.2f of a processor", busy)
    silent.setblocking(False)
    try:
        while True:
            data = silent.recv(1000)
            check(data, "who has nothing to read was closed, too")
    except BlockingIOError:
        pass
    silent.close()
    s.until(lambda: server.json("/numbers")["left"] == 3, "and this one")


if __name__ == "__main__":
    harness.main(globals())
