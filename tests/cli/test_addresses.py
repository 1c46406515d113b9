#!/usr/bin/env python3
"""test_addresses.py - addresses that cannot work are refused at once, with what is wrong with them; what was meant as
an address and is none is not just "no such file"; and what RFC 3986 allows works."""
import shutil

import camera
import harness
from camera import Camera, Plan
from harness import FAILED, USAGE, check

NO_PORT, NO_HOST, SLASHES = "no number from 1 to 65535", "names no host", "two slashes"


def said(s, address, code):
    result = s.run("publish", address, "--name", "cam", "--no-reconnect")
    check(result.code == code, "%r ended with %s: %s", address, result.code, result.err)
    return result.err


def test_addresses_that_cannot_work(s):
    for address, wrong in (("rtsp://127.0.0.1:99999/x", NO_PORT), ("rtsp://127.0.0.1:0/x", NO_PORT),
                           ("udp://127.0.0.1:70000", NO_PORT), ("http://[::1]:port/x", NO_PORT),
                           ("rtsp://", NO_HOST), ("rtsp:///stream", NO_HOST), ("http://:80/x", NO_HOST),
                           ("rtsp://admin:secret@:554/x", NO_HOST), ("rtsp:/camera/x", SLASHES),
                           ("http:camera/x", SLASHES), ("rtsp://fe80::1:554/x", "in brackets"),
                           ("rtsp://[fe80::1/x", "without a ]"), ("rtsp://admin:12345678/9@camera/x", "%2F"),
                           ("", "empty INPUT")):
        text = said(s, address, USAGE)
        check(wrong in text and "secret" not in text, "%r: %s", address, text)


def test_texts_that_were_meant_as_addresses(s):
    for text in ("127.0.0.1:554/x", "192.0.2.7", "192.0.2.7/stream", "camera:554", "rtsp//camera/x"):
        check("begins with its protocol" in said(s, text, FAILED), "%r: no hint", text)
    check("no such protocol" in said(s, "onvif://192.0.2.7", FAILED), "no hint")
    for text in ("film.mp4", "films/one.mp4", "a.b.c/d"):
        check("No such file" in said(s, text, FAILED), "%r: it is no address", text)


def test_files_are_files(s):
    """Whatever their names look like."""
    for name in ("127.0.0.1:99999", "rtsp:x", "192.0.2.7"):
        shutil.copy(harness.CLIP, s.path(name))
        result = s.run("publish", name, "--name", "cam", "--duration", "1")
        check(result.code == harness.OK, "%r: %s", name, result)


def test_capitals_and_blanks(s):
    """As people paste them: protocols may be in capitals."""
    cam = Camera(s, Plan(camera.film(s)))
    pub = s.publish(" %s\n" % cam.url.replace("rtsp://", "RTSP://"), "cam")
    check(cam.count("PLAY") == 1, "events %s", cam.events)
    cam.hang_up()
    cam.wait_for("PLAY", 2)  # it is known as a network input
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
