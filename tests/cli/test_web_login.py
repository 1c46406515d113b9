#!/usr/bin/env python3
"""test_web_login.py - who may ask the program's HTTP server: passwords, tokens, the cookie, patience with those who
guess, and the headers Host and Origin."""
import base64
import os
import time

import harness
import web
from harness import FAILED, USAGE, check, pace

WRONG_S = 1  # from a wrong login to its answer


def site(s, *args):
    return s.start_program(harness.need_built("tests", "site"), *args)


def write(s, text, name="login", mode=0o600):
    path = s.path(name)
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def serve(s, text, *args):
    return web.Server(site(s, "--login", write(s, text), *args))


def basic(both):
    return "Authorization: Basic " + base64.b64encode(both.encode()).decode()


def test_passwords(s):
    server = serve(s, "# who\n\nann:secret\nbob:pass:word ü\r\n")
    for path in ("/", "/numbers", "/nothing"):
        answer = server.get(path)
        check(answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic realm="), "%s", answer)
    for both in ("ann:secret", "bob:pass:word ü"):
        check(server.get("/", basic(both)).status == 200, both)
    check(server.get("/", basic("ann:secret").replace("Basic", "bAsIc")).status == 200, "a scheme in other letters")
    check(server.get("/?token=secret").status == 401, "a token where there are passwords")
    for wrong in (basic("ann:Secret"), basic("ann:secretx"), basic("ann:"), basic("ann"), basic(""), basic("# who"),
                  "Authorization: Basic", "Authorization: Basic !", "Authorization: Bearer secret",
                  "Authorization: " + "a" * 3000, "Authorization: x", basic("ann:secret\0")):
        s.until(lambda: server.get("/", wrong).status == 401, "%s is wrong" % wrong[:30])
    # The first wrong one after a while without one is looked at; then it is too soon.
    s.until(lambda: server.get("/", basic("ann:secret")).status == 200, "it goes on")


def test_token(s):
    server = serve(s, "abcDEF-._~+/=\n")
    check(server.get().headers["www-authenticate"] == "Bearer", "%s", server.get())
    check(server.get("/", "Authorization: Bearer abcDEF-._~+/=").status == 200, "by a header")
    check(server.get("/?token=abcDEF-._~%2B/=").status == 200, "by an argument")
    answer = server.get("/query?q=1&token=abcDEF-._~%2B/=")
    check(answer.status == 200 and answer.body == b"1\n", "%s", answer)
    s.until(lambda: server.get("/?token=abc").status == 401, "a wrong one")


def test_cookie(s):
    """Who has logged in once is let through by the cookie, also to a WebSocket; it has no password in it."""
    server = serve(s, "ann:secret\n")
    answer = server.get("/", basic("ann:secret"))
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    check(attributes == ["Path=/", "HttpOnly", "SameSite=Strict"], "%s", answer)
    check("secret" not in cookie and len(cookie.split("=")[1]) == 32, "%s", cookie)
    answer = server.get("/", "Cookie: other=1; %s; more=2" % cookie)
    check(answer.status == 200 and "set-cookie" not in answer.headers, "%s", answer)
    origin = "http://" + server.host
    check(server.socket("/talk", "site-1", origin=origin).status == 401, "a WebSocket without it")
    with server.socket("/talk", "site-1", "Cookie: " + cookie, origin=origin) as client:
        check(client.status == 101 and client.receive() == "hello", "a WebSocket with it: %s", client.answer)
    with server.socket("/talk", "site-1", basic("ann:secret")) as client:
        check(client.status == 101, "a WebSocket with a password: %s", client.answer)
    for wrong in (cookie[:-1], cookie[:-1] + "x", cookie + "0", cookie.split("=")[0] + "=", "x" + cookie,
                  cookie.replace("=", "")):
        check(server.get("/", "Cookie: " + wrong).status == 401, "%s", wrong)
    other = serve(s, "ann:secret\n")
    check(other.get("/", "Cookie: cuframes-%d=%s" % (other.address[1], cookie.split("=")[1])).status == 401,
          "another run's cookie")


def from_address(server, source, login, wait=True):
    """The answer to who asks from there; None if it is not waited for."""
    with web.socket.create_connection(server.address, harness.LIMIT, (source, 0)) as client:
        client.sendall(server.request("/", "Connection: close", basic(login)))
        return web.Answer(web.drain(client)) if wait else None


def test_guessing(s):
    """Behind a wrong login no other one of that address is looked at for a while, not even a right one; who asks from
    another address, or has the cookie, or says nothing, does not notice."""
    server = serve(s, "ann:secret\n", "--listen", "0.0.0.0:0")
    cookie = server.get("/", basic("ann:secret")).headers["set-cookie"].split(";")[0]

    def slowed():
        from_address(server, "127.0.0.2", "ann:wrong", wait=False)
        answer = from_address(server, "127.0.0.2", "ann:secret")
        return answer.status == 429 and answer

    answer = s.until(slowed, "a right login has to wait")
    check(answer.headers["retry-after"] == "1" and "set-cookie" not in answer.headers, "%s", answer)
    check(server.get("/", "Cookie: " + cookie).status == 200, "who has the cookie")
    check(server.get("/").status == 401, "who has nothing")

    def apart():
        from_address(server, "127.0.0.2", "ann:wrong", wait=False)
        check(from_address(server, "127.0.0.3", "ann:secret").status == 200, "another address has to wait, too")
        return from_address(server, "127.0.0.2", "ann:secret").status == 429

    s.until(apart, "it waited when the other one did not")
    s.until(lambda: from_address(server, "127.0.0.2", "ann:secret").status == 200, "it goes on")
    began = time.monotonic()
    answer = from_address(server, "127.0.0.2", "ann:wrong")
    check(answer.status == 401 and time.monotonic() - began >= WRONG_S, "%s after %.3f s", answer,
          time.monotonic() - began)
    pace(time.monotonic() - began < 5, "after %.1f s", time.monotonic() - began)


def test_hold_and_leave(s):
    """Who leaves before a wrong login is answered has not shortened it, and costs nothing."""
    server = serve(s, "ann:secret\n")
    for _ in range(50):
        with server.connect() as client:
            client.sendall(server.request("/", basic("ann:wrong")))
    s.until(lambda: server.get("/", basic("ann:secret")).status == 200, "it goes on")


def test_files(s):
    for text, why in (("", "neither"), ("# only\n\n", "neither"), ("one\ntwo\n", "only line"),
                      ("ann:a\ntoken\n", "only line"), ("two words\n", "line 1"), (":empty\n", "line 1"),
                      ("a" * 600, "too long"), ("a" * 512, "too long"), ("a:b\n" * 65, "64 lines"),
                      ("ann:\n", "line 1 has no password"), ("ann:a\nbob:\r\n", "line 2 has no password"),
                      ("ann:se\0cret\n", "zero byte"), ("\0\n", "zero byte"), ("# \0\nann:a\n", "zero byte")):
        result = site(s, "--login", write(s, text)).expect(FAILED)
        check(why in result.err and "secret" not in result.err, "%r: %s", text[:20], result)
    for mode in (0o644, 0o602):
        path = write(s, "ann:secret\n", mode=mode)
        result = site(s, "--login", path).expect(FAILED)
        check("chmod 600 " + path in result.err, "%s", result)
    for path, why in ((s.path("none"), "No such file"), (s.path(""), "directory"), ("/dev/zero", "zero byte")):
        result = site(s, "--login", path).expect(FAILED)
        check(why in result.err, "%s", result)
    server = serve(s, "ann:" + "a" * 507)
    check(server.get("/", basic("ann:" + "a" * 507)).status == 200, "the longest line, without an end")


def test_reach(s):
    """A private site is not there for others by mistake."""
    for listen in (":0", "0.0.0.0:0"):
        result = site(s, "--private", "--listen", listen).expect(USAGE)
        check("--login" in result.err and "--open" in result.err, "%s", result)
    check(web.Server(site(s, "--private")).get().status == 200, "over loopback")
    check(web.Server(site(s, "--private", "--open", "--listen", "0.0.0.0:0")).get().status == 200, "open")
    server = serve(s, "ann:secret\n", "--private", "--listen", "0.0.0.0:0")
    check(server.get("/", basic("ann:secret")).status == 200, "with a login")
    check("not encrypted" in server.process.err, "%s", server.process.err)
    result = site(s, "--open", "--login", write(s, "a:b")).expect(USAGE)
    check("either" in result.err, "%s", result)


def test_hosts(s):
    server = web.Server(site(s, "--host", "cams.example.org", "--host", "Two.example"))
    for host, right in (("localhost", 1), ("cams.example.org", 1), ("CAMS.example.org:8443", 1), ("two.example.", 1),
                        ("evil.example", 0), ("cams.example.org.evil.example", 0), ("xcams.example.org", 0),
                        ("cams.example.org:x", 0)):
        check(server.get(host=host).status == (200 if right else 421), "%s", host)
    for wrong in ("", "a:1", "http://a", "a b", "[::1]", "a" * 300):
        check(site(s, "--host", wrong).expect(USAGE), wrong)


def test_origins(s):
    server = web.Server(site(s, "--host", "cams.example.org"))
    port = server.address[1]
    for origin, host, right in (
            ("http://localhost:%d" % port, "localhost:%d" % port, 1), ("http://LOCALHOST", "localhost", 1),
            ("http://localhost:80", "localhost", 1), ("http://localhost", "localhost:80", 1),
            ("http://[::1]:%d" % port, "[::1]:%d" % port, 1), ("http://127.0.0.1", "127.0.0.1", 1),
            ("https://cams.example.org", "localhost:%d" % port, 1), ("https://cams.example.org:444", "localhost", 1),
            ("http://localhost:%d" % port, "localhost", 0), ("http://localhost", "localhost:%d" % port, 0),
            ("http://127.0.0.1", "localhost", 0), ("https://localhost", "localhost", 0), ("null", "localhost", 0),
            ("http://evil.example", "localhost", 0), ("http://localhost.evil.example", "localhost", 0),
            ("http://cams.example.org.evil.example", "localhost", 0), ("http://", "localhost", 0),
            ("file://", "localhost", 0), ("http://localhost@evil.example", "localhost", 0),
            ("a" * 500, "localhost", 0)):
        answer = server.get("/", "Origin: " + origin, host=host)
        check(answer.status == (200 if right else 403), "%s at %s: %s", origin[:40], host, answer)


if __name__ == "__main__":
    harness.main(globals())
