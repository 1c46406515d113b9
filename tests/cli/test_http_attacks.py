#!/usr/bin/env python3
"""test_http_attacks.py - clients of `cuframes metrics` that mean no good: requests that two servers would read in two
ways, paths and hosts that are not what they seem, and connections that end where they should not. Whatever they do, it
gives no answer but those a table names, goes on, and keeps nothing."""
import random
import re
import socket
import struct

import harness
from harness import check
from test_metrics_http import Server
from web import drain

HOST = b"Host: localhost\r\n"
END = b"\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + END  # which is 404, if it is taken for a request


def request(line=b"GET / HTTP/1.1", *headers, host=HOST, body=b""):
    return line + END + host + b"".join(header + END for header in headers) + END + body


# What comes, and the statuses that may be answered, in their order; the connection is shut behind it, so that all ends.
ALONE = {
    "no host": (request(host=b""), "400"),
    "no host, of old": (request(b"GET / HTTP/1.0", host=b""), "200"),
    "a host behind a blank": (request(host=b"Host : localhost\r\n"), "400"),
    "an empty host": (request(host=b"Host:\r\n"), "400"),
    "two hosts": (request(host=HOST + b"Host: evil.example\r\n"), "421"),
    "two hosts, the other way round": (request(host=b"Host: evil.example\r\n" + HOST), "421"),
    "a zero byte in the host": (request(host=b"Host: localhost\0.evil.example\r\n"), "421"),
    "a user in the host": (request(host=b"Host: localhost@evil.example\r\n"), "421"),
    "an address that is none": (request(host=b"Host: 127.0.0.1.\r\n"), "421|200"),
    "a whole address as the path": (request(b"GET http://localhost/ HTTP/1.1"), "40[03]"),
    "of somebody else": (request(b"GET http://evil.example/ HTTP/1.1"), "40[03]"),
    "a path with a line's end": (request(b"GET /%0d%0aHost:localhost%0d%0a%0d%0a HTTP/1.1",
                                         host=b"Host: evil.example\r\n"), "421|505"),
    "a path with a line's end, here": (request(b"GET /%0d%0aX:y HTTP/1.1"), "505"),
    "a path with a version": (request(b"GET /metrics%20HTTP/1.1%0aHost:localhost%0a%0a HTTP/1.1",
                                      host=b"Host: evil.example\r\n"), "421|505"),
    "a zero byte in the path": (request(b"GET /\0metrics HTTP/1.1"), "|400"),  # libwebsockets 4.3 hangs up
    "an encoded one": (request(b"GET /metrics%00x HTTP/1.1"), "|40[04]"),
    "no hexadecimal number": (request(b"GET /%zz HTTP/1.1"), "40[034]"),
    "half of one": (request(b"GET /% HTTP/1.1"), "40[034]"),
    "up and away": (request(b"GET /../../../etc/passwd HTTP/1.1"), "40[034]"),
    "encoded": (request(b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), "40[034]"),
    "backslashes": (request(b"GET /..\\..\\etc\\passwd HTTP/1.1"), "40[034]"),
    "no slash": (request(b"GET metrics HTTP/1.1"), "40[034]"),
    "a star": (request(b"GET * HTTP/1.1"), "40[034]"),
    "many arguments": (request(b"GET /?" + b"a=b&" * 1000 + b" HTTP/1.1"), "|41[04]|200"),
    "HTTP/0.9": (b"GET /\r\n\r\n", "505"),
    "HTTP/2.0": (request(b"GET / HTTP/2.0"), "505"),
    "the beginning of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "40[03]|505"),
    "a long version": (request(b"GET / HTTP/1.1" + b"1" * 100), "505"),
    "TRACE": (request(b"TRACE / HTTP/1.1"), "40[035]"),
    "CONNECT": (request(b"CONNECT localhost:80 HTTP/1.1"), "|40[035]"),
    "a method of 5000 letters": (request(b"A" * 5000 + b" / HTTP/1.1"), "|40[035]|431"),
    "asked to go on": (request(b"GET / HTTP/1.1", b"Expect: 100-continue"), "200|417"),
    "a WebSocket": (request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket",
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13"), "501"),
    "HTTP/2 by upgrade": (request(b"GET / HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                  b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), "501"),
    "anything by upgrade": (request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: rot13"), "501|403|200"),
    "a header over two lines": (request(b"GET / HTTP/1.1", b"X-A: a\r\n b"), "|400|200"),
    "a line without a colon": (request(b"GET / HTTP/1.1", b"nothing"), "|400"),
    "zero bytes in headers": (request(b"GET / HTTP/1.1", b"X\0A: a\0b"), "400|200"),
    "too many headers": (request(b"GET / HTTP/1.1", *[b"X-%d: y" % i for i in range(3000)]), "|400|431"),
}
# Requests with a body, or what may be one, and another request in it or behind it: that one is never answered. What was
# said to the first may be lost, where the connection ends while more comes.
IN_ONE = {
    "a length": (request(b"GET / HTTP/1.1", b"Content-Length: %d" % len(NEXT), body=NEXT), "|400"),
    "a length of 0": (request(b"GET / HTTP/1.1", b"Content-Length: 0", body=NEXT), "|400"),
    "two lengths": (request(b"GET / HTTP/1.1", b"Content-Length: 0", b"Content-Length: 50", body=NEXT), "|400"),
    "a length below 0": (request(b"GET / HTTP/1.1", b"Content-Length: -1", body=NEXT), "|400"),
    "pieces": (request(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + NEXT), "|400"),
    "pieces, written strangely": (request(b"GET / HTTP/1.1", b"tRANSFER-eNCODING: x, chunked", body=NEXT), "|400"),
    "both": (request(b"GET / HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked",
                     body=b"0\r\n\r\n" + NEXT), "|400"),
    "POST": (request(b"POST / HTTP/1.1", b"Content-Length: %d" % len(NEXT), body=NEXT + NEXT), "|405"),
    "POST in pieces": (request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"30\r\n" + NEXT), "|405"),
    "HEAD": (request(b"HEAD / HTTP/1.1", b"Content-Length: %d" % len(NEXT), body=NEXT), "|400"),
    "the end was asked for": (request(b"GET / HTTP/1.1", b"Connection: close", body=NEXT), "200"),
    "HTTP/1.0": (request(b"GET / HTTP/1.0", body=NEXT), "200"),
    "a wrong host": (request(host=b"Host: evil.example\r\n", body=NEXT), "|421"),
}


def statuses(data):
    return " ".join(status.decode() for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", data, re.M))


def ask(server, data):
    """What it answers until it hangs up, when nothing more is to come."""
    with server.connect() as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return drain(client)


def check_table(server, table):
    for name, (data, allowed) in table.items():
        answered = ask(server, data)
        check(re.fullmatch(allowed, statuses(answered)), "%s: %r, answered by %r", name, data[:120], answered[:300])
        check(b"cuframes_" not in answered, "%s gave numbers: %r", name, data[:120])
    check(server.get()[0] == 200, "it does not go on")


def test_alone(s):
    check_table(Server(s), ALONE)


def test_no_tunnel(s):
    """CONNECT, by who waits for what comes: it is refused, and not kept for ever."""
    check(statuses(Server(s).raw(request(b"CONNECT localhost:80 HTTP/1.1"))) == "405", "CONNECT")


def test_two_in_one(s):
    check_table(Server(s), IN_ONE)


def test_two_behind_one(s):
    """In the same packet as a request that is well: the next client is served all the same."""
    server = Server(s)
    for name, (data, _) in {**ALONE, **IN_ONE}.items():
        with server.connect() as client:
            try:
                client.sendall(request() + data)
                check(client.recv(12) == b"HTTP/1.1 200", "%s: the first is not answered", name)
            except ConnectionError:
                pass  # it was hung up for the second
            check(server.get("/")[0] == 200, "%s: nobody else is served", name)


def test_one_behind_the_other(s):
    """In one piece, in bytes, and cut anywhere: as many answers as requests, in their order."""
    server = Server(s)
    three = request() + NEXT + request(b"GET /metrics HTTP/1.1", b"Connection: close")
    check(statuses(server.raw(three)) == "200 404 200", "in one piece")
    for cut in range(1, len(three), 7):
        with server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(three[:cut])
            client.sendall(three[cut:])
            check(statuses(drain(client)) == "200 404 200", "cut at %d", cut)
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in three:
            client.sendall(bytes([byte]))
        check(statuses(drain(client)) == "200 404 200", "in bytes")
    wrong = request() + request(b"POST / HTTP/1.1") + request() * 5
    check(statuses(server.raw(wrong)) == "200 405", "what follows a request with a body is not read")


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_resets(s):
    """Three hundred at once that leave without a word, before, in and behind a request, and in an answer."""
    s.publish("test:64x48@25", "cam")
    server = Server(s)
    server.get()
    before = server.process.descriptors()
    for data in (b"", b"GET /met", request(b"GET /metrics HTTP/1.1"), request(b"GET /metrics HTTP/1.1") * 20):
        clients = [server.connect() for _ in range(300)]
        for client in clients:
            try:
                client.sendall(data)
            except OSError:
                pass  # there are more of them than places
        for number, client in enumerate(clients):
            if number % 3 == 0 and data.endswith(b"\r\n\r\n"):
                try:
                    client.recv(100)
                except OSError:
                    pass
            reset(client)
        check(server.get()[0] == 200, "it does not go on behind %r", data[:20])
    s.until(lambda: server.process.descriptors() <= before, "descriptors")


def test_mutations(s):
    """Requests with bytes changed, doubled, left out or cut off, a thousand of them; by a number that is said."""
    seed = random.randrange(1 << 32)
    random_of, server = random.Random(seed), Server(s)
    seeds = [data for table in (ALONE, IN_ONE) for data, _ in table.values() if len(data) < 2000]
    for number in range(1000):
        data = bytearray(random_of.choice(seeds))
        for _ in range(random_of.randrange(1, 6)):
            at = random_of.randrange(len(data))
            kind = random_of.randrange(4)
            if kind == 0:
                data[at] = random_of.choice(b"\0\r\n %/:\t?#\xff" + bytes([random_of.randrange(256)]))
            elif kind == 1:
                data[at:at] = data[at:at + random_of.randrange(1, 40)]
            elif kind == 2:
                del data[at:at + random_of.randrange(1, 8)]
            else:
                data[at:] = data[at:] + random_of.choice(seeds)
            if not data:
                data = bytearray(b"G")
        answered = ask(server, bytes(data))
        check(server.process.alive(), "seed %d, request %d ended it: %r", seed, number, bytes(data))
        check(not answered or answered.startswith(b"HTTP/1."), "seed %d: %r gives %r", seed, bytes(data), answered[:99])
    check(server.get()[0] == 200, "it does not go on (seed %d)", seed)


if __name__ == "__main__":
    harness.main(globals())
