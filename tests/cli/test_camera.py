#!/usr/bin/env python3
"""test_camera.py - the scripted camera itself, read by ffmpeg and ffprobe and by hand: it must do what its plans say,
or tests that rely on it prove nothing."""
import json
import re
import socket
import subprocess
import sys

import camera
import harness
import media
import rtp
from camera import Camera, Plan
from harness import check


def ffprobe(*args):
    argv = [harness.need_program("ffprobe"), "-v", "error", "-of", "json", *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=harness.LIMIT)
    return json.loads(done.stdout or "{}"), done.stderr


def packets(cam, *args, count=50):
    """Packets of the first video track as ffprobe reads them."""
    found, said = ffprobe("-rtsp_transport", "tcp", *args, "-select_streams", "v", "-read_intervals", "%%+#%d" % count,
                          "-show_packets", cam.url)
    check(found.get("packets"), "ffprobe: %s", said)
    return found["packets"]


def streams(cam, *args):
    found, said = ffprobe("-rtsp_transport", "tcp", "-analyzeduration", "2000000", *args, "-show_streams", cam.url)
    check("streams" in found, "ffprobe: %s", said)
    return {stream.get("codec_type"): stream for stream in found["streams"]}


def decoded(*source):
    """Hashes of the pictures that ffmpeg decodes until the end, and what it said."""
    argv = [harness.need_program("ffmpeg"), "-nostdin", "-v", "error", *source, "-map", "0:v", "-fps_mode",
            "passthrough", "-f", "framehash", "-hash", "crc32", "-"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=harness.LIMIT)
    return [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")], done.stderr


def whole(s, kind, transport="tcp", **plan):
    """Every picture arrives as it was encoded."""
    film = camera.film(s, kind, fps=100)
    cam = Camera(s, Plan(film, loop=False, end="close", **plan))
    came, said = decoded("-rtsp_transport", transport, "-i", cam.url)
    check(came == decoded("-i", media.make(s.root, kind))[0], "%d pictures of %d: %s", len(came), len(film.units), said)
    return cam


def test_by_tcp(s):
    cam = whole(s, "elementary")
    check([picture.number for picture in cam.pictures] == list(range(50)), "sent %s", cam.pictures)


def test_hevc_with_aggregation_and_padding(s):
    whole(s, "elementary_hevc", aggregate=True, padding=5)


def test_sets_only_in_sdp_and_only_in_band(s):
    whole(s, "elementary", sets_in_band=False)
    whole(s, "elementary_large", sets_in_sdp=False)


def test_disorder_of_udp(s):
    """What comes in another order is put right by the numbers of packets."""
    cam = whole(s, "elementary", transport="udp", transports=("udp",), swap=7)
    check(cam.count("SETUP") == 1, "events %s", cam.events)


def test_packets_as_sent(s):
    cam = Camera(s, Plan(camera.film(s), reports=0, swap=4, lose=5, repeat=3, first_number=65534, renumber_at=20))
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        numbers = []
        while 1 not in numbers[20:]:
            numbers.append(int.from_bytes(interleaved(client)[1][2:4], "big"))
    check(numbers[:8] == [65534, 65535, 0, 0, 3, 3, 1, 4], "numbers %s", numbers)
    check(0 in numbers[14:], "numbers %s", numbers)


def test_transport_refused(s):
    cam = Camera(s, Plan(camera.film(s), transports=("udp",)))
    _, said = ffprobe("-rtsp_transport", "tcp", cam.url)
    check("461" in said or "Nonmatching" in said or "Protocol not supported" in said, "ffprobe: %s", said)


def test_loss(s):
    cam = Camera(s, Plan(camera.film(s, fps=100), loop=False, end="close", lose=10))
    came, said = decoded("-rtsp_transport", "tcp", "-i", cam.url)
    check(came and came != decoded("-i", media.make(s.root, "elementary"))[0], "nothing was lost: %s", said)


def test_times(s):
    """Jumps and strays are where the plan has them."""
    film = camera.film(s)
    cam = Camera(s, Plan(film, jumps=((20, 100.0), (30, -50.0)), strays=((10, 7.0),), reports=0))
    found = packets(cam, count=40)
    stamps = {picture.number: picture.stamp for picture in cam.pictures}
    check(stamps[1] - stamps[0] == 3600 and stamps[10] - stamps[9] == 3600 + 7 * 90000, "stamps %s", stamps)
    check(stamps[20] - stamps[19] == 3600 + 100 * 90000, "stamps %s", stamps)
    check(stamps[30] - stamps[29] == 3600 - 50 * 90000, "stamps %s", stamps)
    check(float(found[25]["pts_time"]) > 100, "ffprobe read %s", found[25])


def test_reports(s):
    """The camera's clock is what the plan says, at the first report and after its jump."""
    cam = Camera(s, Plan(camera.film(s), reports=10, clock=1e9, clock_jumps=((20, 3600.0),)))
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        reports = []
        while len(reports) < 3:
            channel, data = interleaved(client)
            if channel == 1:
                reports.append(int.from_bytes(data[8:16], "big") / 2**32 - rtp.NTP_TO_UNIX - 1e9)
    check([round(seconds, 3) for seconds in reports] == [0, 0.4, 3600.8], "reports at %s", reports)
    check(cam.wait_for("PLAY").connection == 0, "events %s", cam.events)


def by_hand(client, cam):
    """Asks for video by TCP and reads until PLAY is answered."""
    wants = (("SETUP", cam.url + "/video", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"), ("PLAY", cam.url, ""))
    for number, (method, url, more) in enumerate(wants):
        client.sendall(("%s %s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n" % (method, url, number, more)).encode())
        said = b""
        while not said.endswith(b"\r\n\r\n"):
            said += client.recv(1)
        check(said.startswith(b"RTSP/1.0 200"), "%s: %r", method, said)


def exactly(client, size):
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        check(more, "the camera hung up")
        data += more
    return data


def interleaved(client):
    head = exactly(client, 4)
    return head[1], exactly(client, int.from_bytes(head[2:], "big"))


def test_audio_and_metadata(s):
    cam = Camera(s, Plan(camera.film(s), camera.sound(s), metadata=True))
    found = streams(cam)
    check(set(found) == {"video", "audio", "data"}, "streams %s", set(found))
    check((found["audio"]["codec_name"], found["audio"]["sample_rate"]) == ("aac", "16000"), "audio %s", found["audio"])
    for law in ("pcma", "pcmu"):
        found = streams(Camera(s, Plan(camera.film(s), camera.sound(s, law))))
        codec = {"pcma": "pcm_alaw", "pcmu": "pcm_mulaw"}[law]
        check(found["audio"]["codec_name"] == codec, "audio %s", found["audio"])


def test_no_video_at_first(s):
    cam = Camera(s, Plan(None, camera.sound(s, "pcma")), Plan(camera.film(s)))
    check(set(streams(cam)) == {"audio"}, "the first answer has video")
    check(set(streams(cam)) == {"video"}, "the second answer has not")


def login(s, user="admin", password="secret", **plan):
    """What ffprobe says, and the camera."""
    cam = Camera(s, Plan(camera.film(s), **plan))
    return ffprobe("-rtsp_transport", "tcp", "-show_streams", cam.address(user, password))[1], cam


def test_logins(s):
    for kind in ("basic", "digest"):
        said, cam = login(s, logins=(kind,))
        check("401" not in said and cam.count("login") > 0 and not cam.count("refused login"), "%s: %s", kind, said)
    said, cam = login(s, password="wrong", logins=("digest", "basic"))
    check("401" in said and cam.count("refused login") > 0 and not cam.count("login"), "%s %s", said, cam.events)
    said, cam = login(s, logins=("sha-256",))  # which not every version of ffprobe can
    check("401" in said or cam.count("login"), "%s %s", said, cam.events)


def test_digest_by_hand(_):
    """The example of RFC 2617, 3.5."""
    fields = {"nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093", "uri": "/dir/index.html", "nc": "00000001",
              "cnonce": "0a4f113b", "qop": "auth"}
    found = [camera.login.response(kind, "testrealm@host.com", "Mufasa", "Circle Of Life", "GET", fields)
             for kind in ("digest", "sha-256")]
    check(found[0] == "6629fae49393a05397450978507c4ef1" and len(found[1]) == 64, "%s", found)


def test_answers(s):
    for status in (404, 454, 503):
        cam = Camera(s, Plan(camera.film(s), answers={"DESCRIBE": status}))
        _, said = ffprobe(cam.url)
        check(cam.count("DESCRIBE") == 1 and said, "%d: %s", status, said)
    cam = Camera(s, Plan(camera.film(s), answers={"OPTIONS": 0}))
    _, said = ffprobe("-timeout", "300000", cam.url)
    check(said and [event.what for event in cam.events][:2] == ["connected", "OPTIONS"], "%s %s", said, cam.events)


def test_stall_hold_and_close(s):
    """What a test asks for, when it asks."""
    cam = Camera(s, Plan(camera.film(s), stall_at=5), Plan(camera.film(s), close_at=8), Plan(camera.film(s)))
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        cam.wait_for("stall")
        check(len(cam.pictures) == 5, "stalled after %s", cam.pictures)
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        cam.wait_for("hang up")
        while client.recv(65536):
            pass
    check(len(cam.pictures) == 5 + 8, "closed after %s", cam.pictures)
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        interleaved(client)
        cam.hold()
        held = len(cam.pictures)
        cam.go_on()
        s.until(lambda: len(cam.pictures) > held + 2, "pictures after the hold")
        client.sendall(("TEARDOWN %s RTSP/1.0\r\nCSeq: 9\r\n\r\n" % cam.url).encode())
        cam.wait_for("TEARDOWN")
        cam.wait_for("closed", 3)


def test_gone_and_back(s):
    cam = Camera(s, Plan(camera.film(s)))
    cam.leave()
    _, said = ffprobe(cam.url)
    check("refused" in said, "ffprobe: %s", said)
    cam.come_back()
    cam.replan(Plan(camera.film(s, "elementary_large")))
    check(streams(cam)["video"]["width"] == 320, "it came back as it was")


def test_keepalive(s):
    """A client that says nothing is dropped when its time is over."""
    cam = Camera(s, Plan(camera.film(s), session_timeout=1, keepalive=("OPTIONS", "GET_PARAMETER")))
    with socket.create_connection((cam.host, cam.port), timeout=harness.LIMIT) as client:
        by_hand(client, cam)
        cam.wait_for("overdue")
        cam.wait_for("closed")


def test_command(s):
    """Alone: it prints its address, then what happens."""
    process = s.start_program(sys.executable, camera.__file__, media.make(s.root, "elementary"), "--stall-at", "3",
                              "--strays", "1:5", "--first", "1", "--answers", "GET_PARAMETER=404", name="camera")
    host, port = re.match(r"rtsp://([\d.]+):(\d+)/", process.wait_for(r"^rtsp://\S+", "out")[0]).groups()
    with socket.create_connection((host, int(port)), timeout=harness.LIMIT) as client:
        client.sendall(b"DESCRIBE rtsp://x/stream RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        check(client.recv(4096).startswith(b"RTSP/1.0 200"), "no description")
        process.wait_for(r'"what": "DESCRIBE"', "out")
    process.stop(code=None)


if __name__ == "__main__":
    harness.main(globals())
