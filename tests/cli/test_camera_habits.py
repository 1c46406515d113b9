#!/usr/bin/env python3
"""test_camera_habits.py - what cameras do otherwise than a client may expect, and few of them wrongly: each picture
arrives once, at the time at which it was taken, over one connection. The cameras run side by side in one publisher."""
import re
import signal

import camera
import harness
import side_by_side
from camera import Camera, Film, Plan
from harness import check, pace
from side_by_side import FPS, FRAMES, check_pictures, clock, has_ipv6, shown


def edited(pattern, text):
    return lambda sdp: re.sub(pattern, text, sdp)


def habits(s):
    """Names and plans."""
    film, hevc, tone = camera.film(s), camera.film(s, "elementary_hevc"), camera.sound(s, "pcma")
    yield "rtp-time-wraps", Plan(film, first_stamp=2**32 - 90000 * 2)
    yield "rtp-numbers-wrap", Plan(film, first_number=65500)
    yield "rtp-numbers-begin-anew", Plan(film, renumber_at=40)
    yield "source-changes", Plan(film, new_source_at=40)
    yield "no-marker-bit", Plan(film, marker=False)
    yield "padding-and-aggregates", Plan(hevc, padding=7, aggregate=True)
    yield "other-channels", Plan(film, tone, channels=(4, 8))
    yield "no-content-base", Plan(film, content_base=lambda address: None)
    yield "content-base-without-slash", Plan(film, content_base=lambda address: address)
    yield "content-base-of-its-own-network", Plan(film, content_base=lambda _: "rtsp://192.0.2.7:554/stream/")
    elsewhere = edited("control:video", "control:rtsp://192.0.2.7/stream/video")
    yield "track-of-its-own-network", Plan(film, edit_sdp=elsewhere)
    yield "no-fmtp", Plan(film, edit_sdp=edited("a=fmtp:96[^\r]*\r\n", ""))
    yield "empty-sets-in-sdp", Plan(film, edit_sdp=edited("sprop-parameter-sets=[^\r]*", "sprop-parameter-sets=,"))
    yield "sets-in-sdp-alone", Plan(film, sets_in_band=False)
    yield "sets-in-band-alone", Plan(film, sets_in_sdp=False)
    yield "lines-without-cr", Plan(film, edit_sdp=edited("\r\n", "\n"))
    yield "another-rate-in-sdp", Plan(film, edit_sdp=lambda sdp: sdp + "a=framerate:5\r\n")
    yield "sound-first", Plan(film, tone, audio_first=True)
    yield "sound-that-never-comes", Plan(film, tone, mute=("audio",))
    yield "metadata-that-never-comes", Plan(film, metadata=True, mute=("metadata",))
    yield "size-changes-in-band", Plan(Film([*film.units, *camera.film(s, "elementary_large").units]))
    yield "wants-to-hear-from-us", Plan(film, session_timeout=2)
    yield "refuses-get-parameter", Plan(film, session_timeout=2, answers={"GET_PARAMETER": 501})
    yield "the-stronger-digest-first", Plan(film, logins=("sha-256", "digest"))


def test_habits(s):
    cameras = side_by_side.watch(s, habits(s))
    for number, cam in enumerate(cameras):
        if cam.plans[0].session_timeout == 2:
            keeps = "OPTIONS" if cam.plans[0].answers else "GET_PARAMETER"
            check(cam.count(keeps) >= 2, "camera %d heard %s", number, [event.what for event in cam.events])


def test_capture_times_across_a_jump(s):
    """Until the next report libavformat counts from one of the clock before: pictures were taken when they were taken.
    The reports are 50 pictures apart."""
    jumps = ((110, 36000.0),), ((110, -36.0),), ()
    plans = [Plan(camera.film(s), jumps=jump, strays=() if jump else ((110, 5000.0), (130, -3.0)), clock=clock(number))
             for number, jump in enumerate(jumps)]
    cameras = [Camera(s, plan) for plan in plans]
    args = [word for number, cam in enumerate(cameras) for word in (cam.url, "--name", "cam%d" % number)]
    pub = s.start("publish", "--ordered-timeout", harness.LIMIT, *args, name="publish")
    watching = []
    for number in range(len(cameras)):
        s.wait_stream("cam%d" % number, pub)
        watching.append(s.start_program(harness.need_built("tests", "times"), "cam%d" % number, 160))
    for number, process in enumerate(watching):
        process.expect(harness.OK)
        places = [round((taken / 1e9 - clock(number)) * FPS, 2) for _, taken in shown(process)]
        check(places == [places[0] + step for step in range(160)], "camera %d: %s", number, places)
        pace(places[0] < 110, "it came late: %s", places[0])
    pub.stop()


def test_redirected(s):
    there = Camera(s, Plan(camera.film(s)))
    here = Camera(s, Plan(camera.film(s), answers={"DESCRIBE": (302, {"Location": there.url})}))
    pub = s.publish(here.url, "cam")
    check(there.count("PLAY") == 1 and here.count("PLAY") == 0, "asked %s and %s", here.events, there.events)
    pub.stop()


def test_disorder_of_udp(s):
    """Packets that overtake others, over IPv6 where there is one."""
    cam = Camera(s, Plan(camera.film(s), swap=5, clock=clock(0)), host="::1" if has_ipv6() else "127.0.0.1")
    pub = s.publish(cam.url, "cam", "--rtsp-transport", "udp")
    process = s.start_program(harness.need_built("tests", "times"), "cam", FRAMES)
    process.expect(harness.OK)
    check_pictures("udp", 0, shown(process))
    pub.stop()


def test_packets_that_come_twice(s):
    """UDP may bring a packet twice: FFmpeg takes the second one, if none waits, for one of its own. (Keyframes are
    cut into several packets; of their beginnings FFmpeg makes something else before anybody can compare.)"""
    cam = Camera(s, Plan(camera.film(s), camera.sound(s, "pcma"), repeat=5, clock=clock(0)))
    pub = s.publish(cam.url, "cam", "--rtsp-transport", "udp", "--json")
    process = s.start_program(harness.need_built("tests", "times"), "cam", FRAMES)
    process.expect(harness.OK)
    places = [(taken / 1e9 - clock(0)) * FPS for _, taken in shown(process)]
    check(len(places) == FRAMES, "%d pictures", len(places))
    twice = [after for before, after in zip(places, places[1:]) if after - before < 0.5 and round(after) % FPS != 0]
    check(not twice, "pictures came twice: %s of %s", twice, places)
    pub.stop()


def test_another_codec_after_the_reboot(s):
    cam = Camera(s, Plan(camera.film(s)), Plan(camera.film(s, "elementary_hevc")))
    pub = s.publish(cam.url, "cam")
    watching = s.start("verify", "cam", "--mode", "ordered", "--json", "--duration", "3600")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 30, "pictures")
    cam.hang_up()
    s.until(lambda: s.json("info", "cam", "--json")["tracks"][0]["codec"] == "hevc", "the other codec")
    before = s.json("info", "cam", "--json")["frames"]
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > before + 20, "pictures of the other codec")
    watching.send(signal.SIGINT)
    seen = watching.json()
    check(not any(seen[key] for key in ("torn", "duplicates", "back_jumps", "gaps")), "saw %s", seen)
    pub.stop()


def kinds(s, name):
    return [track["type"] for track in s.json("info", name, "--json")["tracks"]]


def test_track_that_cannot_be_set_up(s):
    """A way back for speech that is taken, sound that is switched off: the rest comes, and the log says so."""
    film, tone = camera.film(s), camera.sound(s, "pcma")
    back = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\na=control:back\r\n"
    cam = Camera(s, Plan(film, tone, edit_sdp=lambda sdp: sdp + back), Plan(film, tone))
    pub = s.publish(cam.url, "cam")
    pub.wait_for("SETUP failed: 404.*: left out: audio")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 10, "pictures")
    check(kinds(s, "cam") == ["video", "audio"], "tracks %s", kinds(s, "cam"))
    check(cam.count("PLAY") == 1, "events %s", cam.events)
    pub.stop()


def test_picture_that_cannot_be_set_up(s):
    """Asking for less is tried once, not with every connection."""
    gone = dict(edit_sdp=lambda sdp: sdp.replace("control:video", "control:gone"))
    cam = Camera(s, *[Plan(camera.film(s), **gone)] * 5, Plan(camera.film(s)))
    pub = s.publish(cam.url, "cam")
    check(cam.count("connected") == 6 and "is asked for" not in pub.err, "events %s: %s", cam.events, pub.err)
    check(pub.err.count("SETUP failed") == 1, "said %s", pub.err)
    pub.stop()


def test_answers_that_pass(s):
    """Each is said, with what the camera answered, and tried again."""
    answers = (("DESCRIBE", 404), ("DESCRIBE", 503), ("SETUP", 454), ("PLAY", 455))
    cameras = [Camera(s, Plan(camera.film(s), answers={method: status}), Plan(camera.film(s)))
               for method, status in answers]
    args = []
    for number, cam in enumerate(cameras):
        args += [cam.url, "--name", "cam%d" % number]
    pub = s.start("publish", *args, name="publish")
    for number, (method, status) in enumerate(answers):
        s.wait_stream("cam%d" % number, pub)
        pub.wait_for("cam%d: .*%s.*%d" % (number, method, status))
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
