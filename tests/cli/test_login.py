#!/usr/bin/env python3
"""test_login.py - cameras that want a login or another transport: a refused login is said once and tried seldom, and
the way that a camera sends by is found."""
import http.server
import json
import threading

import camera
import harness
from camera import VIDEO, Camera, Plan
from harness import FAILED, check, pace


def events(process, kind):
    """The events of this kind that `publish --json` has printed so far."""
    return [line for line in map(json.loads, process.out.split("\n")[:-1]) if line["event"] == kind]


def start(s, url, *args):
    return s.start("publish", url, "--name", "cam", "--json", *args, name="publish")


def lines(process, word):
    return [line for line in process.err.splitlines() if word in line]


def test_a_refused_login_is_tried_seldom(s):
    """Each try counts at the camera, once, also where there are two transports to try."""
    for kind in ("basic", "digest"):
        cam = Camera(s, Plan(camera.film(s), logins=(kind,)))
        pub = start(s, cam.address("admin", "mistaken-4711"), "--login-retry", "0.2")
        s.until(lambda: len(events(pub, "refused")) >= 5, "five tries")
        seen = events(pub, "refused")[:5]
        check([event["retry_seconds"] for event in seen] == [0.2, 0.4, 0.8, 1.6, 3.0], "waits: %s", seen)
        check(all("wrong user or password" in event["reason"] and event["remedy"] for event in seen), "%s", seen)
        tries = cam.count("refused login")
        check(tries == len(events(pub, "refused")), "%d logins in %s", tries, pub.out)
        check(len(lines(pub, "401")) == 1 and not events(pub, "disconnected"), "said %s", pub.err)
        cam.replan(Plan(camera.film(s)))
        s.wait_stream("cam", pub)
        pub.stop()


def test_by_default_a_minute_passes(s):
    cam = Camera(s, Plan(camera.film(s), logins=("digest",)))
    pub = start(s, cam.address("admin", "mistaken-4711"))
    pub.wait_for("401 Unauthorized: wrong user or password .*trying again in 60.0 s")
    pub.wait_for('"refused".*}$', "out")
    check(events(pub, "refused")[0]["retry_seconds"] == 60, "%s", pub.out)
    pub.stop()
    result = s.run("publish", cam.address("admin", "mistaken-4711"), "--name", "cam", "--no-reconnect")
    check(result.code == FAILED and "wrong user or password" in result.err and "%40" in result.err, "said %s", result)
    result = s.run("publish", cam.url, "--name", "cam", "--no-reconnect")
    check(result.code == FAILED and "wants a user and a password" in result.err, "said %s", result)
    cam.replan(Plan(camera.film(s), answers={"DESCRIBE": 403}))
    result = s.run("publish", cam.url, "--name", "cam", "--no-reconnect")
    check(result.code == FAILED and "403" in result.err, "said %s", result)
    check(cam.count("refused login") == 2, "%d logins", cam.count("refused login"))


def test_a_camera_that_knew_us(s):
    """After a restart it may not know its users yet: the first try comes sooner."""
    film = camera.film(s)
    cam = Camera(s, Plan(film))
    pub = start(s, cam.url)
    s.wait_stream("cam", pub)
    cam.wait_for("PLAY")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 5, "pictures")
    cam.replan(Plan(film, answers={"DESCRIBE": 401}))
    cam.hang_up()
    pub.wait_for('"refused".*}$', "out")
    check(events(pub, "refused")[0]["retry_seconds"] == 10, "%s", pub.out)
    pub.stop()


class Refusing(http.server.BaseHTTPRequestHandler):
    """Wants a login and takes none."""

    def do_GET(self):
        self.server.logins += "Authorization" in self.headers
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_over_http(s):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    server.logins = 0
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    s.at_end(thread.join, harness.LIMIT)
    s.at_end(server.server_close)
    s.at_end(server.shutdown)
    address = "http://admin:mistaken-4711@127.0.0.1:%d/video.mjpg" % server.server_address[1]
    pub = start(s, address, "--login-retry", "0.2")
    s.until(lambda: len(events(pub, "refused")) >= 3, "three tries")
    check(server.logins == len(events(pub, "refused")), "%d logins in %s", server.logins, pub.out)
    pub.stop()


def test_digests(s):
    """What libavformat answers, it answers; what it cannot is said, with what to do."""
    film = camera.film(s)
    for kinds in (("basic",), ("digest",), ("sha-256", "digest"), ("sha-256",)):
        cam = Camera(s, Plan(film, logins=kinds))
        pub = start(s, cam.address("admin", "secret"))
        s.wait_stream("cam", pub)
        check(cam.count("refused login") == 0, "%s: %s", kinds, pub.err)
        pub.stop()
    cam = Camera(s, Plan(film, logins=("sha-256", "digest")))  # it is not the kind that is wrong
    pub = start(s, cam.address("admin", "mistaken"))
    pub.wait_for('"refused".*}$', "out")
    check("wrong user or password" in events(pub, "refused")[0]["reason"], "said %s", pub.out)
    pub.stop()
    cam = Camera(s, Plan(film, logins=("sha-256",)))
    pub = start(s, cam.address("admin", "mistaken"))
    pub.wait_for('"refused".*}$', "out")
    check("wrong user or password" in events(pub, "refused")[0]["reason"], "said %s", pub.out)
    check(cam.count("refused login") == 1, "%d logins", cam.count("refused login"))
    pub.stop()
    cam = Camera(s, Plan(film, logins=("sha-3",)))
    pub = start(s, cam.address("admin", "secret"))
    pub.wait_for('"refused".*}$', "out")
    event = events(pub, "refused")[0]
    check("another kind than MD5" in event["reason"] and "MD5" in event["remedy"], "said %s", event)
    check(cam.count("refused login") == 0, "it tried nevertheless")
    pub.stop()


def test_a_camera_that_sends_by_udp_alone(s):
    film, sound = camera.film(s), camera.sound(s, "pcma")
    cam = Camera(s, Plan(film, sound, transports=("udp",), logins=("digest",)))
    pub = start(s, cam.address("admin", "secret"))
    pub.wait_for("comes over UDP: the camera refuses")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 5, "pictures")
    check(len(cam.connections) == 2 and not events(pub, "disconnected"), "said %s", pub.err)
    pub.wait_for('"transport".*}$', "out")
    check(events(pub, "transport")[0]["transport"] == "udp", "%s", pub.out)
    cam.hang_up()
    pub.wait_for('"reconnected"', "out")
    check(len(cam.connections) == 3, "it tried TCP again")
    check(len(lines(pub, "over UDP")) == 1, "said %s", pub.err)
    pub.stop()
    result = s.run("publish", cam.address("admin", "secret"), "--name", "cam", "--rtsp-transport", "tcp",
                   "--no-reconnect")
    check(result.code == FAILED and "by tcp" in result.err and "--rtsp-transport auto" in result.err, "said %s", result)


def test_a_camera_that_refuses_in_its_own_words(s):
    """Other numbers than 461 are about the transport, too, but not each."""
    film = camera.film(s)
    for status, connections in ((400, 2), (461, 2), (453, 1)):
        cam = Camera(s, Plan(film, answers={"SETUP": status}), Plan(film))
        result = s.run("publish", cam.url, "--name", "cam", "--no-reconnect", "--duration", "3", "--json")
        check(len(cam.connections) == connections, "%d: %d connections: %s", status, len(cam.connections), result)


def test_nothing_comes_over_tcp(s):
    film = camera.film(s)
    cam = Camera(s, Plan(film, mute=(VIDEO,)), Plan(film))
    pub = start(s, cam.url, "--timeout", "1")
    pub.wait_for("comes over UDP: nothing came")
    pace(len(cam.connections) == 2, "%d connections", len(cam.connections))
    pub.stop()


def test_udp_is_not_tried_for_ever(s):
    """Where nothing comes by UDP either, TCP has its turn again."""
    film = camera.film(s)
    cam = Camera(s, Plan(film, mute=(VIDEO,)), Plan(film, mute=(VIDEO,)), Plan(film, transports=("tcp",)))
    pub = start(s, cam.url, "--timeout", "1")
    s.until(lambda: any(picture.number > 5 for picture in list(cam.pictures)), "pictures")
    pace(len(cam.connections) == 3, "%d connections", len(cam.connections))
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
