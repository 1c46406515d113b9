#!/usr/bin/env python3
"""test_camera_protocol.py - cameras that speak RTSP in their own way: each picture arrives nevertheless, once, at its
time, and over one connection."""
import re
import struct

import camera
import harness
import side_by_side
from camera import VIDEO, Camera, Film, Plan
from harness import check, pace


def edited(pattern, text, method=None):
    """For edit_reply: the replies to this method, or to all."""
    def edit(asked, data):
        return re.sub(pattern, text, data) if method in (None, asked) else data
    return edit


def hangs_up_at(what):
    return lambda method, data: None if method == what else data


def track_at(*endings):
    """For track_of: the tracks whose addresses end like this, and no others."""
    def track(address):
        return next((name for name, ending in endings if address.endswith(ending)), None)
    return track


def test_logins(s):
    """The strongest digest that is offered is answered, in whatever order they come."""
    film = camera.film(s)
    side_by_side.watch(s, [
        ("the-weaker-first", Plan(film, logins=("digest", "sha-256"))),
        ("the-stronger-alone", Plan(film, logins=("sha-256",))),
        ("basic-first", Plan(film, logins=("basic", "digest"))),
        ("basic-last", Plan(film, logins=("digest", "basic"))),
        ("all", Plan(film, logins=("basic", "digest+qop", "sha-256+qop", "sha-512-256+qop"))),
        ("with-qop", Plan(film, logins=("digest+qop",))),
        ("sha-with-qop", Plan(film, logins=("sha-256+qop+opaque",))),
        ("session", Plan(film, logins=("digest+sess",))),
        ("odd-realm", Plan(film, logins=("digest+odd",))),
        ("opaque", Plan(film, logins=("digest+opaque+qop",))),
        ("unknown-one-beside", Plan(film, logins=("sha-3+qop", "digest"))),
    ], frames=30)


def test_a_nonce_that_becomes_old(s):
    """In the middle of the session, said so or not; the session lives on."""
    film = camera.film(s)
    plans = [("said", Plan(film, logins=("digest",), stale_after=6, session_timeout=2, keepalive=("GET_PARAMETER",))),
             ("not-said", Plan(film, logins=("digest+qop",), stale_after=5, stale_said=False, session_timeout=2,
                               keepalive=("GET_PARAMETER",))),
             ("at-once", Plan(film, logins=("sha-256",), stale_after=3))]
    # A camera counts what is signed with its old nonce as a login that it refuses.
    names, plans = zip(*plans)
    cameras = [Camera(s, plan) for plan in plans]
    args = [word for name, cam in zip(names, cameras) for word in (cam.address("admin", "secret"), "--name", name)]
    pub = s.start("publish", *args, name="publish")
    for name, cam in zip(names, cameras):
        s.wait_stream(name, pub)
        if cam.plans[0].keepalive:
            cam.wait_for("GET_PARAMETER", 5)
        else:
            s.until(lambda name=name: s.json("info", name, "--json")["frames"] > 20, "pictures")
        pace(not cam.count("overdue"), "%s: %s", name, cam.events)
        check(cam.count("PLAY") in (1, 2) and cam.count("connected") == 1, "%s: %s", name, cam.events)
    pub.stop()


def test_requests_that_are_refused(s):
    film, tone = camera.film(s), camera.sound(s, "pcma")

    def without_range(_, fields):
        return (457, {}) if "range" in fields else None

    def each_alone(address, _):
        return None if address.endswith((VIDEO, "audio")) else (459, {})
    side_by_side.watch(s, [
        ("options-501", Plan(film, answers={"OPTIONS": 501})),
        ("options-405", Plan(film, answers={"OPTIONS": 405})),
        ("options-404", Plan(film, answers={"OPTIONS": 404})),
        ("options-hangs-up", Plan(film, edit_reply=hangs_up_at("OPTIONS"))),
        ("nothing-keeps-it", Plan(film, session_timeout=2, answers={"OPTIONS": 501, "GET_PARAMETER": 405})),
        ("play-without-range", Plan(film, answers={"PLAY": without_range})),
        ("play-each-track", Plan(film, tone, answers={"PLAY": each_alone}, reports=25)),
    ], frames=30)


def test_words_of_replies(s):
    film, tone = camera.film(s), camera.sound(s, "pcma")
    blank = edited(rb";timeout=", b"; timeout = ")
    side_by_side.watch(s, [
        ("byte-by-byte", Plan(film, tone, bytewise=True)),
        ("blank-before-timeout", Plan(film, session_timeout=2, keepalive=("GET_PARAMETER",), edit_reply=blank)),
        ("timeout-in-the-first-setup", Plan(film, tone, session_timeout=3, keepalive=("GET_PARAMETER",),
                                            edit_reply=FirstTimeout())),
        ("no-timeout", Plan(film, edit_reply=edited(rb";timeout=\d+", b""))),
        ("no-length", Plan(film, edit_reply=edited(rb"Content-Length: \d+\r\n", b""))),
        ("too-long-a-length", Plan(film, edit_reply=edited(rb"Content-Length: (\d+)", rb"Content-Length: 9\1"))),
        ("too-short-a-length", Plan(film, edit_reply=edited(rb"Content-Length: \d+", rb"Content-Length: 100"))),
        ("no-cseq", Plan(film, edit_reply=edited(rb"CSeq: \d+\r\n", b""))),
        ("wrong-cseq", Plan(film, edit_reply=edited(rb"CSeq: \d+", b"CSeq: 1"))),
        ("lines-without-cr", Plan(film, edit_reply=edited(rb"\r\n", b"\n"))),
        ("small-letters", Plan(film, edit_reply=lambda _, data: data.replace(b"Transport", b"transport")
                               .replace(b"Session", b"session").replace(b"CSeq", b"cseq"))),
        ("continue-first", Plan(film, edit_reply=lambda _, data: b"RTSP/1.0 100 Continue\r\n\r\n" + data)),
        ("asks-itself", Plan(film, junk=(
            (3, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            (9, b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\n$$$$")))),
    ], frames=60)


class FirstTimeout:
    """Only the reply to the first SETUP says how long a session lasts."""

    def __init__(self):
        self.seen = 0

    def __call__(self, method, data):
        self.seen += method == "SETUP"
        return data if method == "SETUP" and self.seen == 1 else re.sub(rb";timeout=\d+", b"", data)


def test_transports(s):
    film, tone = camera.film(s), camera.sound(s, "pcma")

    def says(pattern, text):
        return lambda transport: re.sub(pattern, text, transport)
    side_by_side.watch(s, [
        ("without-tcp", Plan(film, edit_transport=says("RTP/AVP/TCP", "RTP/AVP"))),
        ("small-letters", Plan(film, edit_transport=str.lower)),
        ("no-channels", Plan(film, tone, edit_transport=says(";interleaved=.*", ""))),
        ("one-channel", Plan(film, tone, edit_transport=says("interleaved=(\\d+)-\\d+", "interleaved=\\1"))),
        ("blanks", Plan(film, edit_transport=says(";", "; "))),
        ("two-of-them", Plan(film, edit_transport=lambda text: text + ",RTP/AVP;unicast;client_port=5000-5001")),
        ("more-words", Plan(film, edit_transport=lambda text: text + ";ssrc=00001111;mode=\"PLAY\"")),
        ("other-channels-unsaid", Plan(film, channels=(6,), edit_transport=says("interleaved=.*", "interleaved=0-1"))),
        ("audio-first-other-channels", Plan(film, tone, audio_first=True, channels=(20, 10))),
    ], frames=30)
    side_by_side.watch(s, [
        ("udp", Plan(film, tone)),
        ("no-server-port", Plan(film, edit_transport=says(";server_port=.*", ""))),
        ("its-own-network", Plan(film, edit_transport=lambda text: text + ";source=192.0.2.7")),
        ("source-is-a-name", Plan(film, edit_transport=lambda text: text + ";source=camera.invalid")),
        ("payload-padding-extension", Plan(film, padding=9, extension=True)),
    ], "--rtsp-transport", "udp", frames=30)


def test_a_session_that_is_forgotten(s):
    """Said of one that goes on, it means nothing; else it is found before the time is over."""
    film = camera.film(s)
    gone = ((25, {"GET_PARAMETER": 454, "OPTIONS": 454}),)
    side_by_side.watch(s, [("goes-on", Plan(film, session_timeout=2, later_answers=gone))], frames=100)
    cam = Camera(s, Plan(film, session_timeout=2, later_answers=gone, stall_at=80), Plan(film))
    pub = s.publish(cam.url, "cam", "--timeout", harness.LIMIT)
    pub.wait_for("the camera has forgotten the session")
    cam.wait_for("PLAY", 2)
    pub.stop()


def test_what_is_said(s):
    """Why it cannot be opened, in words that lead to the cause."""
    film = camera.film(s)

    def nothing_described(method, data):
        return b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 0\r\n\r\n" if method == "DESCRIBE" else data
    for plan, words in ((Plan(film, edit_reply=edited(b"RTSP/1.0", b"HTTP/1.1")), "it answers in HTTP"),
                        (Plan(film, edit_reply=nothing_described), "has no tracks"),
                        (Plan(film, answers={"DESCRIBE": lambda to, _: (302, {"Location": to})}), "in a circle"),
                        (Plan(film, answers={"DESCRIBE": (302, {"Location": "http://x/"})}), "is no RTSP")):
        result = s.run("publish", Camera(s, plan).url, "--name", "cam", "--no-reconnect")
        check(result.code == harness.FAILED and words in result.err, "%s: %s", words, result)


def test_addresses_of_tracks(s):
    film, tone = camera.film(s), camera.sound(s, "pcma")

    def control(text):
        return lambda sdp: sdp.replace("a=control:video", "a=control:" + text)
    query = "?channel=1&subtype=0"
    side_by_side.watch(s, [
        ("query-at-the-end", Plan(film, content_base=lambda _: None,
                                  track_of=track_at((VIDEO, "/stream/video" + query)))),
        ("query-before", Plan(film, content_base=lambda _: None, track_of=track_at((VIDEO, query + "/video")))),
        ("from-the-root", Plan(film, edit_sdp=control("/video"),
                               track_of=lambda address: VIDEO if re.search(r":\d+/video$", address) else None)),
        ("rooted-and-behind", Plan(film, edit_sdp=control("/video"), content_base=lambda _: None,
                                   track_of=track_at((VIDEO, query + "/video")))),
        ("in-place-of-the-last", Plan(film, content_base=lambda _: None,
                                      track_of=lambda address: VIDEO if re.search(r":\d+/video$", address) else None)),
        ("relative-base", Plan(film, content_base=lambda _: "/other/", track_of=track_at((VIDEO, "/other/video")))),
        ("base-is-nonsense", Plan(film, content_base=lambda _: "*")),
        ("no-control", Plan(film, edit_sdp=lambda sdp: sdp.replace("a=control:video\r\n", ""),
                            track_of=lambda _: VIDEO)),
        ("star", Plan(film, edit_sdp=control("*"), track_of=lambda _: VIDEO)),
        ("control-twice", Plan(film, edit_sdp=control("video\r\na=control:nonsense"))),
        ("blanks", Plan(film, tone, edit_sdp=lambda sdp: sdp.replace("control:", "control: "))),
    ], frames=30)


def test_descriptions(s):
    film, hevc, tone = camera.film(s), camera.film(s, "elementary_hevc"), camera.sound(s, "pcma")

    def replaced(old, new):
        return lambda sdp: re.sub(old, new, sdp)
    jpeg = "m=video 0 RTP/AVP 26\r\na=control:gone\r\n"
    application = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:metadata\r\n"
    side_by_side.watch(s, [
        ("second-video-refused", Plan(film, tone, edit_sdp=lambda sdp: sdp + jpeg)),
        ("first-video-refused", Plan(film, edit_sdp=replaced("m=video", jpeg + "m=video"))),
        ("two-refused", Plan(film, tone, edit_sdp=lambda sdp: sdp.replace("m=video", jpeg + "m=video", 1) + jpeg)),
        ("metadata-first", Plan(film, mute=("metadata",), metadata=True,
                                edit_sdp=lambda sdp: sdp.replace(application, "").replace("m=video",
                                                                                       application + "m=video"))),
        ("no-rtpmap", Plan(film, edit_sdp=replaced("a=rtpmap:96[^\r]*\r\n", ""))),
        ("no-rtpmap-hevc", Plan(hevc, edit_sdp=replaced("a=rtpmap:96[^\r]*\r\n", ""))),
        ("no-rtpmap-sound", Plan(film, tone, edit_sdp=replaced("a=rtpmap:8[^\r]*\r\n", ""))),
        ("two-formats", Plan(film, edit_sdp=replaced("RTP/AVP 96\r\n", "RTP/AVP 96 98\r\na=rtpmap:98 H265/90000\r\n"))),
        ("events-beside-sound", Plan(film, tone, edit_sdp=replaced(
            "RTP/AVP 8\r\n", "RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/16000\r\na=fmtp:101 0-15\r\n"))),
        ("another-number-in-rtpmap", Plan(film, payload=97, edit_sdp=replaced("(rtpmap|fmtp):96", r"\1:97"))),
        ("another-number-in-packets", Plan(film, payload=98)),
        ("another-number-later", Plan(film, payload=98, payload_at=12)),
        ("indented", Plan(film, edit_sdp=replaced("(?m)^", " "))),
        ("two-sounds", Plan(film, tone, mute=("audio",), edit_sdp=lambda sdp: sdp + (
            "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:2nd-audio\r\n"))),
    ], frames=30)


def junk_cases(film, tone):
    nonsense = bytes(range(256)) * 3
    yield "between-packets", Plan(film, junk=((4, nonsense), (9, b"\0"), (17, b"\xff" * 5000)))
    yield "dollars", Plan(film, tone, junk=((4, b"$" * 100), (8, b"$\0\0\1\x80$\0"), (12, b"RTSP/1 or so")))
    yield "small-packets", Plan(film, junk=((4, b"$\0\0\2ab"), (8, b"$\1\0\0"), (12, b"$\0\0\7\x80\xe0abcde")))
    yield "strange-channels", Plan(film, junk=((4, b"$\x09" + struct.pack(">H", 500) + b"\x80" * 500),
                                               (8, b"$\xf0\0\x10" + bytes(range(16)))))
    yield "a-page", Plan(film, junk=((6, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>$</html>\n"),))
    yield "empty-lines", Plan(film, junk=((5, b"\r\n\r\n\n"), (9, b"\0\0\r\n")))


def test_junk(s):
    """Bytes between packets: every packet is found again."""
    side_by_side.watch(s, list(junk_cases(camera.film(s), camera.sound(s, "pcma"))), frames=60)


if __name__ == "__main__":
    harness.main(globals())
