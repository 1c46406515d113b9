#!/usr/bin/env python3
"""test_metrics_http.py - `cuframes metrics` as a server: what it answers, whom it does not wait for, the sockets that
it is given, and its end."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import harness
import metering
import web
from harness import FAILED, LIMIT, OK, USAGE, check, pace
from web import drain

GET = "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Server(web.Server):
    """A server, started unless it runs already (`process`), and connections to it. Streams have as long to answer as
    tests wait, unless it says."""

    def __init__(self, s, *args, listen="127.0.0.1:0", timeout=LIMIT, process=None):
        super().__init__(process or s.start("metrics", "--listen", listen, "--timeout", timeout, *args))

    def raw(self, data):
        """Everything that comes back until the server closes; b"" too if it resets the connection."""
        with self.connect() as client:
            try:
                client.sendall(data if isinstance(data, bytes) else data.encode())
            except OSError:
                pass
            return drain(client)

    def get(self, path="/metrics"):
        """(status, headers, body)."""
        return answer(self.raw(GET % path))

    def metrics(self):
        status, _, body = self.get()
        check(status == 200, "status %s", status)
        return metering.Metrics(body)


def answer(data):
    found = web.Answer(data)
    return found.status, found.headers, found.body.decode()


def test_answers(s):
    s.publish("test:64x48@25", "cam")
    server = Server(s)
    status, headers, body = server.get()
    check(status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4"), "%s %s", status, headers)
    check(int(headers["content-length"]) == len(body), "%s, it has %d", headers, len(body))
    check(metering.Metrics(body).get("cuframes_stream_up", stream="cam") == 1, body)
    status, headers, body = answer(server.raw((GET % "/metrics").replace("GET", "HEAD")))
    check(status == 200 and int(headers["content-length"]) > 1000 and not body, "HEAD: %s %s", headers, body[:99])
    for path, wanted in (("/metrics?a=b", 200), ("/", 200), ("/x", 404), ("/metrics/x", 404), ("/../metrics", 200),
                         ("/" + "a" * 2000, 414)):
        status = server.get(path)[0]
        check(status == wanted, "%s: %s", path[:20], status)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = answer(server.raw((GET % "/metrics").replace("GET", method)))
        check(status == 405 and headers["allow"] == "GET, HEAD", "%s: %s %s", method, status, headers)
    check(server.raw("BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n").split()[1] in (b"400", b"403"), "an unknown method")
    check(answer(server.raw("GET /metrics HTTP/1.0\r\n\r\n"))[0] == 200, "HTTP/1.0")


def test_promtool(s):
    s.publish("test:64x48@25", "cam")
    metering.check_promtool(Server(s).get()[2])


def test_hosts(s):
    """A page of somebody else cannot ask by a name that it made ours (DNS rebinding)."""
    server = Server(s)
    for host, right in (("localhost", 1), ("LOCALHOST:9", 1), ("a.localhost", 1), ("127.0.0.1", 1), ("10.0.0.1:80", 1),
                        ("[::1]:80", 1), ("evil.example", 0), ("localhost.evil.example", 0), ("127.0.0.1.evil", 0),
                        ("[evil]", 0), ("localhost:x", 0), ("a" * 400, 0)):
        status = answer(server.raw((GET % "/").replace("localhost", host)))[0]
        check(status == (200 if right else 421), "%s: %s", host, status)


def test_one_connection(s):
    """One request after the other, and many at once."""
    server = Server(s)
    with server.connect() as client:
        for path in ("/", "/x", "/metrics"):
            client.sendall((GET % path).replace("Connection: close\r\n", "").encode())
            data = b""
            while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < length(data):
                data += client.recv(65536)
            check(answer(data)[0] == (404 if path == "/x" else 200), "%s: %r", path, data)
    request = (GET % "/x").replace("Connection: close\r\n", "")
    data = server.raw(request * 20 + GET % "/x")
    check(data.count(b"HTTP/1.1 404") == 21, "%d of 21 answers", data.count(b"HTTP/1.1 404"))


def length(data):
    return int(re.search(rb"content-length: (\d+)", data)[1])


def test_large_headers(s):
    server = Server(s)
    fits = (GET % "/").replace("\r\n\r\n", "\r\nUser-Agent: %s\r\n\r\n" % ("a" * 4000))
    check(answer(server.raw(fits))[0] == 200, "4000 bytes")
    for size in (9000, 20000):
        status = answer(server.raw((GET % "/").replace("\r\n\r\n", "\r\nCookie: %s\r\n\r\n" % ("a" * size))))[0]
        check(status == 431, "%d bytes: %s", size, status)
    server.raw((GET % "/").replace("\r\n\r\n", "\r\nCookie: %s\r\n\r\n" % ("a" * 1000000)))
    server.raw(GET % "/" + "".join("x-%d: a\r\n" % i for i in range(100000)))
    check(server.get()[0] == 200, "it does not go on")


def test_garbage(s):
    server = Server(s)
    for data in (os.urandom(4000), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, b"\r\n" * 2000, b"\0" * 5000,
                 b"GET", b"GET /metrics", b"GET /metrics HTTP/9.9\r\n\r\n", b"GET \xff\xfe HTTP/1.1\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b": :\r\n\r\n"):
        with server.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            drain(client)
    upgrade = GET.replace("close", "Upgrade") % "/"
    for to in ("websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
               "h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"):
        data = server.raw(upgrade.replace("\r\n\r\n", "\r\nUpgrade: %s\r\n\r\n" % to))
        check(b" 101 " not in data, "%s: %r", to[:9], data)
    check(server.get()[0] == 200, "it does not go on")


def test_who_does_not_go_on(s):
    """Connections that say nothing, half a request, a byte now and then, or do not read: others are served meanwhile,
    and there can be more of them than there are places."""
    s.publish("test:64x48@25", "cam")
    server = Server(s)
    idle = [server.connect() for _ in range(100)]
    half = [server.connect() for _ in range(100)]
    for client in half:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
    deaf = server.connect()
    deaf.sendall((GET % "/metrics").replace("close", "keep-alive").encode() * 50)
    for _ in range(3):
        check(server.metrics().get("cuframes_stream_up", stream="cam") == 1, "not up")
        for client in half:
            client.send(b"a")
    more = [server.connect() for _ in range(300)]  # 501 in all, of 256
    check(server.metrics().get("cuframes_stream_up", stream="cam") == 1, "not up")
    check(server.process.descriptors() < 2 * 256 + 64, "%d descriptors", server.process.descriptors())
    for client in half:
        drain(client)  # each is closed, sooner or later, however slowly it goes on
    for client in idle + half + more + [deaf]:
        client.close()
    s.until(lambda: server.process.descriptors() < 32, "connections are closed")


def test_the_slow_are_closed(s):
    """A request that does not arrive has its time, not longer for each byte."""
    server, began = Server(s), time.monotonic()
    with server.connect() as nothing, server.connect() as bytewise:
        bytewise.sendall(b"GET /metrics HT")
        bytewise.settimeout(0.5)
        while True:
            try:
                bytewise.sendall(b"a")
                if not bytewise.recv(1000):
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            check(time.monotonic() - began < LIMIT, "it is never closed")
        drain(nothing)
    pace(time.monotonic() - began < 15, "%.1f s", time.monotonic() - began)


def test_who_reads_slowly(s):
    """An answer that is larger than what the system takes at once, in small pieces, and whole."""
    s.start("publish", *[word for i in range(60) for word in ("test:64x48@1", "--name", "cam%02d" % i)], name="publish")
    server = Server(s)
    s.until(lambda: len(server.metrics().all("cuframes_stream_frames_total")) == 60, "60 streams")
    with socket.socket() as client:
        client.settimeout(LIMIT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.address)
        client.sendall((GET % "/metrics").replace("close", "keep-alive").encode() * 9 + (GET % "/metrics").encode())
        check(server.get("/")[0] == 200, "others are not served meanwhile")
        data = b""
        while True:
            more = client.recv(1000)
            if not more:
                break
            data += more
    answers = data.split(b"HTTP/1.1 200 OK\r\n")[1:]
    check(len(answers) == 10, "%d answers", len(answers))
    for one in answers:
        body = one.partition(b"\r\n\r\n")[2]
        check(len(body) == length(one), "%d of %d bytes", len(body), length(one))
        check(len(metering.Metrics(body.decode()).all("cuframes_stream_up")) == 60, "not whole")


def test_stopped_publisher(s):
    """The others' numbers come within the time, other pages at once, and those that give up harm nobody."""
    stopped = s.publish("test:64x48@25", "stopped")
    s.publish("test:64x48@25", "cam")
    server = Server(s, timeout=1)
    s.until(lambda: server.metrics().get("cuframes_stream_up", stream="stopped") == 1, "it is up")
    stopped.suspend()
    began = time.monotonic()
    with server.connect() as waits, server.connect() as leaves:
        waits.sendall((GET % "/metrics").encode())
        leaves.sendall((GET % "/metrics").encode())
        page = time.monotonic()
        check(server.get("/")[0] == 200, "the other page")
        pace(time.monotonic() - page < 0.5, "the other page took %.2f s", time.monotonic() - page)
        leaves.close()
        there = metering.Metrics(answer(drain(waits))[2])
    pace(time.monotonic() - began < 2, "%.2f s", time.monotonic() - began)
    check(there.get("cuframes_stream_up", stream="stopped") == 0, there.text)
    pace(there.get("cuframes_stream_up", stream="cam") == 1, "%s", there.text)
    before = there.get("cuframes_stream_scrape_errors_total", stream="stopped", error="timeout")
    again = server.metrics()
    check(again.get("cuframes_stream_scrape_errors_total", stream="stopped", error="timeout") == before + 1, again.text)
    stopped.resume()
    s.until(lambda: server.metrics().get("cuframes_stream_up", stream="stopped") == 1, "it is back")
    pace(server.process.err.count("stopped gives no numbers") == 1, server.process.err)
    server.process.wait_for("stopped answers again")


def test_two_hundred_streams(s):
    """One of which is stopped: it is named in time, and nothing is missing of the others."""
    inputs = [word for i in range(199) for word in ("test:64x48@1", "--name", "cam%03d" % i)]
    s.start("publish", *inputs, name="publish 199")
    stopped = s.publish("test:64x48@1", "stopped")
    server = Server(s, timeout=1)
    s.until(lambda: len(server.metrics().all("cuframes_stream_frames_total")) == 200, "200 streams")
    began = time.monotonic()
    server.metrics()
    whole = time.monotonic() - began
    stopped.suspend()
    began = time.monotonic()
    there = server.metrics()
    took = time.monotonic() - began
    pace(took < 2 + 2 * whole, "%.2f s, where %.2f s are enough with none stopped", took, whole)
    down = [labels["stream"] for labels, value in there.all("cuframes_stream_up") if not value]
    pace(down == ["stopped"], "not up: %s", down)
    check(len(there.all("cuframes_stream_up")) == 200, "%s", there.get("cuframes_streams"))
    stopped.resume()


def test_many_at_once(s):
    s.publish("test:64x48@25", "cam")
    server, seen = Server(s), []
    threads = [threading.Thread(target=lambda: seen.append(server.metrics().get("cuframes_stream_up", stream="cam")))
               for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    check(seen == [1] * 50, "%s", seen)


def test_addresses(s):
    for listen in ("0", "localhost:0", ":0", "[::1]:0", "0.0.0.0:0"):
        if "::" in listen and not harness_has_ipv6():
            continue
        server = Server(s, listen=listen)
        check(server.get()[0] == 200, "%s", listen)
        there = "[%s]" % server.address[0] if ":" in server.address[0] else server.address[0]
        taken = s.run("metrics", "--listen", "%s:%d" % (there, server.address[1]))
        check(taken.code == FAILED and "another port" in taken.err, "%s", taken)
        server.process.stop()
    for listen in ("", "a", "1.2.3:4", "127.0.0.1:65536", "127.0.0.1:", "[::1]", "example.org:80", "::1:80"):
        result = s.run("metrics", "--listen", listen)
        check(result.code == USAGE, "%s: %s", listen, result)
    result = s.run("metrics", "--listen", "192.0.2.1:0")
    check(result.code == FAILED and "no address of this machine" in result.err, "%s", result)


def harness_has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def inherit(s, fd, count=1):
    """The server with that descriptor as its third, as a service manager hands it over."""
    words = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=%d exec "$0" metrics 3<&%d' % (count, fd), harness.program()]
    process = harness.Process(s, words, "metrics by socket", env=s.env, pass_fds=(fd,), stdin=subprocess.DEVNULL)
    s.processes.append(process)
    return process


def test_inherited_socket(s):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=LIMIT)  # before there is a server
        client.sendall((GET % "/metrics").encode())
        process = inherit(s, listener.fileno())
        check(answer(drain(client))[0] == 200, "who came before the server")
        server = Server(s, process=process)
        check(server.address == listener.getsockname(), "it listens at %s", server.address)
        check(server.get()[0] == 200, "and who comes now")
        server.process.stop()
        client.close()
    path = s.path("socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        process = inherit(s, listener.fileno())
        process.wait_for("listening at the socket " + re.escape(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(path)
            client.sendall((GET % "/metrics").replace("localhost", "any").encode())
            check(answer(drain(client))[0] == 200, "a Unix socket")
        process.stop()
    with socket.socket() as no_listener:
        result = inherit(s, no_listener.fileno()).expect(FAILED)
        check("ListenStream=" in result.err, "%s", result)


def test_end(s):
    """Ctrl-C and SIGTERM, also while somebody waits for a stream that does not answer, is half through or reads."""
    stopped = s.publish("test:64x48@25", "stopped")
    for number in (signal.SIGINT, signal.SIGTERM):
        server = Server(s, timeout=1000)
        clients = [server.connect() for _ in range(4)]
        clients[1].sendall(b"GET /met")
        stopped.suspend()
        clients[2].sendall((GET % "/metrics").encode())
        check(server.get("/")[0] == 200, "the page")  # so the others have come, too
        began = time.monotonic()
        server.process.stop(number)
        pace(time.monotonic() - began < 3, "%.1f s", time.monotonic() - began)
        for client in clients:
            drain(client)
            client.close()
        stopped.resume()


def test_nothing_is_kept(s):
    server = Server(s)
    server.get()
    before = server.process.descriptors()
    for i in range(300):
        server.raw(GET % "/" if i % 3 else b"GARBAGE")
    s.until(lambda: server.process.descriptors() <= before, "descriptors")


def test_ready(s):
    """A service manager hears that it listens."""
    path = s.path("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(LIMIT)
        process = s.start("metrics", "--listen", "0", env={"NOTIFY_SOCKET": path})
        check("READY=1" in manager.recv(1000).decode().splitlines(), "not ready")
        process.stop()
        check("STOPPING=1" in manager.recv(1000).decode().splitlines(), "not stopping")


def test_few_descriptors(s):
    """Where they run out, it goes on when there are some again, and does not spin."""
    s.publish("test:64x48@25", "cam")
    process = s.start("metrics", "--listen", "127.0.0.1:0", limit=("--nofile=48",))
    server = Server(s, process=process)
    clients = [server.connect() for _ in range(60)]
    for client in clients:
        client.close()
    check(s.until(lambda: server.raw(GET % "/metrics"), "an answer").startswith(b"HTTP/1.1 200"), "no numbers")


if __name__ == "__main__":
    harness.main(globals())
