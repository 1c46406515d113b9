#!/usr/bin/env python3
"""test_secrets.py - passwords with any characters reach the camera, and nobody else: no line, event, list or
description has one, and a file keeps it from ps."""
import base64
import http.server
import json
import os
import threading
import urllib.parse

import camera
import harness
from harness import FAILED, OK, USAGE, check

PASSWORD = "pa/ss#w?rd@%41:x"
CLOSED = "127.0.0.1:1"  # nobody listens there


def spellings(secret, user="admin"):
    both = base64.b64encode(("%s:%s" % (user, secret)).encode()).decode()
    return [secret, urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), both.rstrip("=")]


def check_hidden(what, text, secrets):
    for secret in secrets:
        check(secret not in text, "%s has %r: %s", what, secret, text)


def watch_all(s, name):
    """What other users of this machine may see of a stream."""
    seen = [s.run(*args).out for args in (("list",), ("list", "--json"), ("info", name), ("info", name, "--json"),
                                          ("top", "--count", "1"), ("top", "--count", "1", "--json"))]
    check(all("127.0.0.1" in text for text in seen[:4]), "the source is not shown: %s", seen)
    return "\n".join(seen)


def url_of(cam, login):
    return cam.url.replace("rtsp://", "rtsp://%s@" % login)


def publish_seen(s, cam, secrets, *args, env=None):
    """The camera lets it in, with pictures, and nothing that is said or shown has a secret."""
    publisher = s.start("publish", *args, "--json", env=env)
    s.wait_stream("cam", publisher)
    check(s.json("verify", "cam", "--frames", "3", "--json")["frames"] == 3, "no pictures")
    seen = watch_all(s, "cam")
    check("\n".join(publisher.argv).count("***") == 0, "%s", publisher.argv)
    result = publisher.stop()
    check_hidden("what is shown", seen + result.out + result.err, secrets)
    check("127.0.0.1" in result.err and '"start"' in result.out, "%s", result)


def test_password_in_the_address(s):
    """As people write it, and as the rules want it."""
    film = camera.film(s)
    for login in ("digest", "basic"):
        cam = camera.Camera(s, camera.Plan(film, logins=(login,), password=PASSWORD))
        secrets = spellings(PASSWORD)
        for written in (PASSWORD, urllib.parse.quote(PASSWORD, safe="")):
            publish_seen(s, cam, secrets, url_of(cam, "admin:" + written), "--name", "cam")
        simple = camera.Camera(s, camera.Plan(film, logins=(login,), password="p@ss:w"))
        publish_seen(s, simple, ["p@ss", "s:w"], url_of(simple, "admin:p@ss:w"), "--name", "cam")


def test_password_file(s):
    film = camera.film(s)
    cam = camera.Camera(s, camera.Plan(film, logins=("digest",), user="us/er@x", password=PASSWORD))
    path = s.path("password")
    with open(path, "w") as file:
        file.write(PASSWORD + "\n")
    os.chmod(path, 0o600)
    secrets = spellings(PASSWORD, "us/er@x")
    publish_seen(s, cam, secrets, cam.url, "--name", "cam", "--user", "us/er@x", "--password-file", path)
    plain = camera.Camera(s, camera.Plan(film, logins=("basic",), password=PASSWORD))
    publish_seen(s, plain, spellings(PASSWORD), url_of(plain, "admin"), "--name", "cam", "--password-file", path)


def configure(s, stream, mode=0o600):
    path = s.path("cameras.json")
    with open(path, "w") as file:
        json.dump({"streams": [dict(stream, name="cam")]}, file)
    os.chmod(path, mode)
    return path


def test_password_in_the_configuration(s):
    cam = camera.Camera(s, camera.Plan(camera.film(s), logins=("digest",), password=PASSWORD))
    stream = {"input": cam.url, "user": "admin", "password": PASSWORD}
    publish_seen(s, cam, spellings(PASSWORD), "--config", configure(s, stream))
    for public, stream in ((True, {"input": "rtsp://%s/x" % CLOSED, "user": "a", "password": PASSWORD}),
                           (True, {"input": "rtsp://a:%s@%s/x" % (PASSWORD, CLOSED)}),
                           (False, {"input": "rtsp://%s/x" % CLOSED})):
        for mode in (0o644, 0o640):
            result = s.run("publish", "--config", configure(s, dict(stream, **{"no-reconnect": True}), mode))
            warned = "everybody may read the passwords" in result.err
            check(warned == (public and mode == 0o644), "%s: %s", mode, result)
            check_hidden("what is said", result.err, spellings(PASSWORD, "a"))


def test_what_cannot_be(s):
    empty, missing, secret = s.path("empty"), s.path("missing"), s.path("secret")
    open(empty, "w").close()
    with open(secret, "w") as file:
        file.write("hunter2222")
    url = "rtsp://%s/x" % CLOSED
    for code, said, args in (
            (FAILED, "No such file", (url, "--user", "a", "--password-file", missing)),
            (FAILED, "first line is empty", (url, "--user", "a", "--password-file", empty)),
            (FAILED, "Is a directory", (url, "--user", "a", "--password-file", s.root)),
            (FAILED, "everybody may read the password in", (url, "--user", "a", "--password-file", secret,
                                                            "--no-reconnect")),
            (USAGE, "there is no user", (url, "--password-file", secret)),
            (USAGE, "has a user already", ("rtsp://u@%s/x" % CLOSED, "--user", "a")),
            (USAGE, "has a password already", ("rtsp://u:p@%s/x" % CLOSED, "--password-file", secret)),
            (USAGE, "goes with an address", ("film.mp4", "--user", "a"))):
        result = s.run("publish", *args, "--name", "cam")
        check(result.code == code and said in result.err, "%s: %s", args, result)
        check_hidden("what is said", result.err, ["hunter"])


def test_mistakes_show_nothing(s):
    """A wrong option, a wrong key, a file that is no JSON: the messages quote what was typed, but for secrets."""
    url = "rtsp://admin:%s@%s/x?token=Zk9Qw" % (PASSWORD, CLOSED)
    for args in (("--json", "publish", url), ("publish", url, "--nme", "cam"), ("publish", url), ("pblish", url),
                 ("list", url), ("info", url), ("record", url), ("publish", "x.mp4", "--name", url),
                 ("publish", "--name", "a", "--format", url, "x.mp4"), ("publish", "--config", url),
                 ("snapshot", "a", "--" + url), ("publish", url, "--name", "a", "--no-reconnect")):
        result = s.run(*args)
        check(result.code != OK and result.err, "%s: %s", args, result)
        check_hidden(" ".join(args), result.err + result.out, spellings(PASSWORD) + ["ss#w", "Zk9Qw"])
    for text in ('{"streams": [{"input": "%s", "password": hunter2222}]}' % url,
                 '{"streams": [{"input": "%s" "password": "hunter2222"}]}' % url,
                 '{"streams": [{"input": "x", "name": "a", "password": ["hunter2222"]}]}',
                 '{"streams": [{"input": "x", "name": "a", "pasword": "hunter2222"}]}',
                 '{"streams": [{"input": "x", "name": "a", "timeout": "%s"}]}' % url):
        path = s.path("bad.json")
        with open(path, "w") as file:
            file.write(text)
        result = s.run("publish", "--config", path)
        check(result.code in (FAILED, USAGE) and path in result.err, "%s: %s", text, result)
        check_hidden(text, result.err, ["hunter", "ss#w", "Zk9Qw"])


def test_addresses_of_all_kinds(s):
    """Nothing answers there, and FFmpeg has much to say; reasons travel to who looks at the stream, too."""
    for url in ("http://%s/x.ts?password=Zk9Qw", "http://%s/x?user=bob&loginpas=Zk9Qw",
                "srt://%s?passphrase=Zk9QwZk9QwZk", "srt://%s?streamid=read:cam:bob:Zk9Qw",
                "rtmp://%s/live/Zk9Qw", "rtmp://%s/live/a playpath=Zk9Qw",
                "tcp://%s?token=Zk9Qw", "async:http://a:Zk9Qw@%s/x", "cache:http://a:Zk9Qw@%s/x", "rtsp://Zk9Qw@%s/x",
                "concat:http://a:Zk9Qw@%s/x|http://b:Zk9Qw@%s/y", "crypto:http://a:Zk9Qw@%s/x", "https://a:Zk9Qw@%s/x",
                "rtsp://%s/x?%%70assword=Zk9Qw", "hls+http://a:Zk9Qw@%s/x.m3u8", "Zk9://a:Zk9Qw@%s/x"):
        url = url.replace("%s", CLOSED).replace("%%", "%")
        result = s.run("publish", url, "--name", "cam", "--no-reconnect", "--json", "--duration", "5")
        check(result.code != OK, "%s: %s", url, result)
        check_hidden(url, result.err + result.out, ["Zk9Qw"])


def test_options_of_ffmpeg(s):
    for option in ("headers=Authorization: Bearer Zk9Qw", "cookies=session=Zk9Qw; path=/", "auth_token=Zk9Qw",
                   "http_proxy=http://bob:Zk9Qw@%s" % CLOSED, "no_such_key=Zk9Qw", "Zk9Qw"):
        result = s.run("publish", "http://%s/x.ts" % CLOSED, "--name", "cam", "--no-reconnect", "--json",
                       "--input-option", option)
        check(result.code != OK and result.err, "%s: %s", option, result)
        if option != "Zk9Qw":  # which is no option, and said as it is
            check_hidden(option, result.err + result.out, ["Zk9Qw"])


class Redirect(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://bob:Zk9Qw@%s/moved?token=Vy8Rt" % CLOSED)
        self.send_header("Set-Cookie", "session=Xs7Po; path=/")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_where_the_camera_sends_us(s):
    with http.server.HTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = s.run("publish", "http://127.0.0.1:%d/x.ts" % server.server_address[1], "--name", "cam", "--json",
                       "--no-reconnect")
        server.shutdown()
    check(result.code == FAILED and "127.0.0.1" in result.err, "%s", result)
    check_hidden("what is said", result.err + result.out, ["Zk9Qw", "Vy8Rt", "Xs7Po"])


def test_descriptions_of_others(s):
    """A program that does not take care says its address to everybody; at least we do not pass it on."""
    careless = s.start_program(harness.need_built("tests", "describe"), "other",
                               "rtsp://bob:Zk9Qw@%s/x?token=Vy8Rt" % CLOSED)
    s.until(lambda: any(one["name"] == "other" for one in s.json("list", "--json")) or not careless.alive(), "its name")
    check_hidden("what is shown", watch_all(s, "other"), ["Zk9Qw", "Vy8Rt"])


if __name__ == "__main__":
    harness.main(globals())
