#!/usr/bin/env python3
"""test_web_sockets.py - WebSocket at the program's HTTP server, with a site of the test's own (site.c): the handshake,
messages of all shapes, what ends a connection and how."""
import signal
import struct

import harness
import web
from harness import check


def serve(s, *args):
    return web.Server(s.start_program(harness.need_built("tests", "site"), *args))


def talk(server, *headers, path="/talk", protocol="site-1", **options):
    client = server.socket(path, protocol, *headers, **options)
    check(client.status == 101, "refused: %s", client.answer)
    check(client.receive() == "hello", "what was sent before it was open")
    return client


def test_handshake(s):
    server = serve(s)
    with talk(server, origin="http://" + server.host) as client:
        check(client.answer.headers["Sec-WebSocket-Protocol"] == "site-1", "%s", client.answer)
        client.send("abc")
        check(client.receive() == "abc", "said back")
    talk(server, protocol=None).close()
    talk(server, path="/talk?q=a%20b%26c&d").close()
    for status, path, protocol, options in (
            (404, "/other", "site-1", {}), (404, "/", None, {}),
            (400, "/talk", "site-2", {}), (400, "/talk", "(http)", {}), (400, "/talk", "(listener), site-1", {}),
            (426, "/talk", "site-1", {"version": "8"}), (400, "/talk", "site-1", {"key": "short"}),
            (403, "/talk", "site-1", {"origin": "http://evil.example"}),
            (403, "/talk", "site-1", {"origin": "null"}),
            (403, "/talk", "site-1", {"origin": "https://" + server.host})):
        client = server.socket(path, protocol, **options)
        check(client.status == status, "%s %s %s: %s", path, protocol, options, client.answer)
        check(client.answer.headers["connection"] == "close" and client.answer.body.endswith(b".\n"), "%s",
              client.answer)
        check(status != 426 or client.answer.headers["sec-websocket-version"] == "13", "%s", client.answer)
        client.close()
    check(server.json("/numbers")["opened"] == 3, "%s", server.json("/numbers"))


def test_query(s):
    server = serve(s)
    for query, wanted in (("q=a%20b%26c", "a b&c"), ("qq=1&q=2", "2"), ("q", ""), ("x=q=1", None), ("q=", ""),
                          ("q=" + "a" * 2000, None), ("a=" + "b" * 600 + "&q=3", "3")):
        answer = server.get("/query?" + query)
        check(answer.body.decode().rstrip("\n") == ("none" if wanted is None else wanted), "%s: %s", query[:20], answer)
    with talk(server, path="/talk?q=a%20b") as client:
        client.send("query")
        check(client.receive() == "a b", "the query of a WebSocket")


def test_messages(s):
    """Of all lengths, in pieces, with pings and pongs between, many in one segment."""
    with talk(serve(s)) as client:
        for size in (1, 125, 126, 127, 4000, 4096, 5000, 65535, 65536):
            client.send("x" * size)
            check(client.receive() == "x" * size, "%d bytes", size)
        client.send_frame(web.TEXT, b"one ", final=False)
        client.send_frame(web.PING, b"now")
        client.send_frame(web.CONTINUATION, b"two ", final=False)
        client.send_frame(web.PONG, b"unasked")
        client.send_frame(web.CONTINUATION, b"", final=False)
        client.send_frame(web.CONTINUATION, "thrée".encode())
        final, opcode, payload = client.frame()
        check((final, opcode, payload) == (True, web.PONG, b"now"), "%s %s %s", final, opcode, payload)
        check(client.receive() == "one two thrée", "in pieces")
        for i in range(200):
            client.send("message %d" % i)
        for i in range(200):
            check(client.receive() == "message %d" % i, "the order of %d", i)


def test_binary(s):
    """Messages from bodies, larger than what is written at once, come whole and in their order."""
    with talk(serve(s)) as client:
        for count, size in ((100, 1), (50, 65536), (20, 65537), (3, 3000000), (2000, 1000)):
            client.send("send %d %d" % (count, size))
            for i in range(count):
                message = client.receive()
                check(isinstance(message, bytes) and len(message) == size and message[:1] == message[-1:] ==
                      bytes([97 + i % 26]), "message %d of %d bytes", i, size)


def ended(server, act):
    with talk(server) as client:
        act(client)
        return client.closing()


def test_parts(s):
    """A message out of several bodies, one of which many have in common, is one; it is let go of when nobody has it."""
    server = serve(s)
    with talk(server) as one, talk(server) as other:
        # Frames have 65536 bytes at most: parts end before, at and behind the end of one.
        for i, size in enumerate((1, 65534, 65535, 65536, 131071, 300000)):
            for client in one, other:
                client.send("share 3 %u" % size)
            for client in one, other:
                for _ in range(3):
                    message = client.receive()
                    check(message == b"<" + b"-" * size + b">", "%u bytes, and not %u", len(message), size + 2)
            s.until(lambda: server.json("/numbers")["released"] == i, "the one before is let go of")
        check(server.json("/numbers")["refused"] == 0, "refused")


def test_what_ends_it(s):
    server = serve(s)
    for wanted, what, act in (
            (1003, "a binary message", lambda c: c.send_frame(web.BINARY, b"abc")),
            (1009, "65537 bytes", lambda c: c.send_frame(web.TEXT, b"x" * 65537)),
            (1009, "more in pieces", lambda c: [c.send_frame(web.TEXT, b"x" * 40000, final=False),
                                                c.send_frame(web.CONTINUATION, b"x" * 40000)]),
            (1009, "a length of 2^40", lambda c: c.send_frame(web.TEXT, b"x" * 70000, length=2 ** 40)),
            (1007, "no UTF-8", lambda c: c.send_frame(web.TEXT, b"\xff\xfe")),
            (4000, "the site", lambda c: c.send("close 4000 as you like")),
            (1000, "the client", lambda c: c.send_frame(web.CLOSE, struct.pack("!H", 1000) + b"bye"))):
        code, reason = ended(server, act)
        check(code == wanted, "%s: %s %s", what, code, reason)
        check(code != 4000 or reason == "as you like", "%s", reason)
    for act in (lambda c: c.send_frame(3, b"an unknown opcode"), lambda c: c.send_frame(web.TEXT, b"", reserved=0x40),
                lambda c: c.send_frame(web.PING, b"x" * 126), lambda c: c.send_frame(web.PING, b"", final=False),
                lambda c: c.send_frame(web.CONTINUATION, b"of nothing"),
                lambda c: [c.send_frame(web.TEXT, b"a", final=False), c.send_frame(web.TEXT, b"b")]):
        ended(server, act)  # in whatever way
    numbers = s.until(lambda: (lambda n: n["closed"] == n["opened"] and n)(server.json("/numbers")), "all are gone")
    check(numbers["said"] == 1, "%s", numbers)
    talk(server).close()


def test_end(s):
    """Ctrl-C and SIGTERM are told, also to one that does not read."""
    for number in (signal.SIGINT, signal.SIGTERM):
        server = serve(s)
        with talk(server) as client, talk(server, receive_bytes=4096) as deaf:
            deaf.send("flood 100000")
            client.send("abc")
            check(client.receive() == "abc", "said back")
            server.process.send(number)
            check(client.closing()[0] == 1001, "not told")
            server.process.wait()


if __name__ == "__main__":
    harness.main(globals())
