#!/usr/bin/env python3
"""test_web_attacks.py - clients of the program's HTTP server that do not read, do not answer, only take places, or send
too much: memory is bounded, and others do not notice."""
import os
import signal
import subprocess
import sys

import harness
import web
from harness import check
from test_web_sockets import serve, talk

PLACES = 256
LASTING = 192  # of them, for WebSockets and answers without an end
BOUND = 300 << 20


def memory(process):
    with open("/proc/%d/status" % process.popen.pid, encoding="ascii") as file:
        return max(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def is_served(server, client):
    client.send("abc")
    check(client.receive() == "abc", "a WebSocket is not served")
    check(server.get("/").status == 200, "a request is not served")


def test_who_does_not_read(s):
    """60 that are sent as much as they take: each has its bound, and all together; one that reads gets all."""
    server = serve(s)
    with talk(server) as client:
        deaf = [talk(server, receive_bytes=4096) for _ in range(60)]
        for one in deaf:
            one.send("flood 100000")
        is_served(server, client)
        client.send("send 100 100000")
        for i in range(100):
            check(client.receive() == bytes([97 + i % 26]) * 100000, "message %d", i)
        numbers = server.json("/numbers")
        check(numbers["most_waiting"] < 16 << 20, "%s", numbers)  # 8 MiB here, and the kernel's
        check(harness.SANITIZED or memory(server.process) < BOUND, "%d MB", memory(server.process) >> 20)
        for one in deaf:
            one.close()
        s.until(lambda: server.json("/numbers")["closed"] == 60, "they are gone")
        is_served(server, client)


def test_what_many_have_in_common_counts_once(s):
    """40 that do not read wait for 7 MB each, which are the same: a megabyte is held, and nobody gets less."""
    server = serve(s)
    deaf = [talk(server, receive_bytes=4096) for _ in range(40)]
    for one in deaf:
        one.send("share 7 1000000")
    s.until(lambda: server.json("/numbers")["said"] == 40, "all have asked")
    check(server.json("/numbers")["refused"] == 0, "%s", server.json("/numbers"))
    check(harness.SANITIZED or memory(server.process) < 100 << 20, "%d MB", memory(server.process) >> 20)
    for one in deaf:
        one.close()
    s.until(lambda: server.json("/numbers")["closed"] == 40, "they are gone")
    # Nothing of it counts any more: others may have as much as before.
    with talk(server) as client:
        client.send("share 1 10")
        check(client.receive() == b"<" + b"-" * 10 + b">", "another one")
    s.until(lambda: server.json("/numbers")["released"] == 1, "it is let go of")


STOPPED = """
import sys
sys.path.insert(0, sys.argv[1])
import web
class There:
    tls, host = None, "localhost"
    def connect(self, receive_bytes=None):
        return web.socket.create_connection((sys.argv[2], int(sys.argv[3])), web.LIMIT)
    request = web.Server.request
client = web.WebSocket(There(), "/talk", "site-1")
client.send("flood 20000")
while True:
    client.receive()
    print("received", flush=True)
"""


def test_a_stopped_client(s):
    """SIGSTOP: it is given up when it does not answer, and others are served meanwhile."""
    server = serve(s, "--ping", "0.3", "--pong", "2")
    words = [sys.executable, "-c", STOPPED, os.path.dirname(os.path.abspath(__file__)), server.address[0],
             str(server.address[1])]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as stopped:
        try:
            check(stopped.stdout.readline() == b"received\n", "it does not begin")
            stopped.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)

            def given_up():
                with talk(server) as client:  # a new one each time: while it waits for us it answers no ping
                    is_served(server, client)
                numbers = server.json("/numbers")
                return numbers["opened"] == numbers["closed"]

            s.until(given_up, "it is given up")
        finally:
            stopped.kill()


def test_pings(s):
    """Who answers stays, also if it says nothing; who does not is hung up."""
    server = serve(s, "--ping", "0.3", "--pong", "3")
    with talk(server) as silent:
        silent.answers = False
        code, _ = silent.closing()
        check(code is None and silent.pings > 0, "%s after %d pings", code, silent.pings)
        s.until(lambda: server.json("/numbers")["closed"] == 1, "the site is told")
    server = serve(s, "--ping", "0.3", "--pong", "60")
    with talk(server) as answers:
        while answers.pings < 5:
            final, opcode, payload = answers.frame()
            check(final and opcode == web.PING, "%s %s", opcode, payload)
            answers.pings += 1
            answers.send_frame(web.PONG, payload)
        answers.send("abc")
        check(answers.receive() == "abc", "it is served on")


def test_places(s):
    """200 that only read headers, and more, of both kinds: there is always a place for a request, and who came too late
    is told so."""
    server = serve(s)
    sockets = [server.socket("/talk", "site-1") for _ in range(100)]
    streams = [server.connect() for _ in range(100)]
    for client in streams:
        client.sendall(server.request("/silent"))
    statuses = [web.Answer(client.recv(65536)).status for client in streams]
    check(all(one.status == 101 for one in sockets), "%s", [one.status for one in sockets])
    check(statuses.count(200) == LASTING - 100 and statuses.count(503) == 200 - LASTING, "%s", statuses)
    late = server.socket("/talk", "site-1")
    check(late.status == 503 and late.answer.headers["retry-after"] == "5", "%s", late.answer)
    check(server.get("/").status == 200, "a request finds no place")
    idle = [server.connect() for _ in range(200)]
    check(server.get("/").status == 200, "a request finds no place beside those that say nothing")
    check(server.process.descriptors() < 2 * PLACES + 64, "%d descriptors", server.process.descriptors())
    sockets[0].receive()
    sockets[0].send("abc")
    check(sockets[0].receive() == "abc", "who was there before")
    for client in sockets + streams + idle:
        client.close()
    s.until(lambda: server.process.descriptors() < 24, "all are closed")
    talk(server).close()


def test_few_places(s):
    server = serve(s, "--clients", "8")
    first = [talk(server) for _ in range(6)]
    check(server.socket("/talk", "site-1").status == 503, "a seventh")
    first[0].close()
    s.until(lambda: server.socket("/talk", "site-1").status == 101, "a place is free again")


def test_too_much(s):
    """Messages in pieces without an end, many small ones, many handshakes that are refused."""
    server = serve(s)
    with talk(server) as client:
        pieces = [talk(server) for _ in range(50)]
        for one in pieces:
            one.send_frame(web.TEXT, b"x" * 60000, final=False)
        for one in pieces:
            one.send_frame(web.CONTINUATION, b"", final=False)
        is_served(server, client)
        for one in pieces:
            one.send_frame(web.CONTINUATION, b"x" * 6000, final=False)
            check(one.closing()[0] == 1009, "more than a message may have")
            one.close()
        with talk(server) as chatty:
            chatty.client.sendall(b"".join(b"\x89\x80mask" for _ in range(20000)))  # pings
            is_served(server, client)
        for _ in range(100):
            check(server.socket("/none").status == 404, "no such path")
        s.until(lambda: (lambda n: n["opened"] - n["closed"])(server.json("/numbers")) == 1, "the others are gone")


def test_half_a_frame(s):
    """A frame that does not go on is given up with the rest of who sent it."""
    server = serve(s, "--ping", "0.3", "--pong", "2")
    with talk(server) as client:
        client.answers = False  # an answer to a ping would be more of the frame
        client.client.sendall(b"\x81\xfe\x10\x00mask" + b"x" * 100)
        check(client.closing()[0] is None, "it is closed")
    s.until(lambda: server.json("/numbers")["closed"] == 1, "the site is told")


if __name__ == "__main__":
    harness.main(globals())
