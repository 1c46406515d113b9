#!/usr/bin/env python3
"""test_rtsp.py - a camera on loopback: pulled, killed, restarted, frozen, silent; subscribers go on."""
import bisect
import re
import signal
import subprocess

import harness
import media
from harness import check


def camera(s, *args, port=0):
    """Starts the RTSP server; gives it and its URL once it can be connected to."""
    process = s.start_program(harness.need_built("tests", "rtsp_server"), "--port", port, *args, name="camera")
    return process, process.wait_for(r"^(rtsp://\S+)\n", "out").group(1)


def port_of(url):
    return re.search(r":(\d+)/", url).group(1)


def frames_of(s, name):
    return s.json("info", name, "--json")["frames"]


def wait_frames(s, name, more):
    goal = frames_of(s, name) + more
    s.until(lambda: frames_of(s, name) >= goal, "%d more frames of %s" % (more, name))


def check_whole(seen):
    check(not any(seen.get(key) for key in ("torn", "changed", "duplicates", "back_jumps")), "saw %s", seen)


def killed_and_restarted(s, film):
    """The decoder stays, and nothing of before is seen again."""
    cam, url = camera(s, film)
    pub = s.publish(url, "cam", "--json")
    newest = s.start("verify", "cam", "--json", "--duration", "3600")
    ordered = s.start("verify", "cam", "--mode", "ordered", "--json", "--duration", "3600")
    observer = s.start_program(harness.need_built("tests", "observer"), "cam", "--ordered")
    observer.wait_for("joined")
    wait_frames(s, "cam", 40)
    for _ in range(2):
        said, printed = len(pub.err), len(pub.out)
        cam.kill()
        cam, _ = camera(s, film, port=port_of(url))
        pub.wait_for('"reconnected"', "out", printed)  # on a busy machine pictures of before come until then
        pub.wait_for("is back after", after=said)
        wait_frames(s, "cam", 40)
    for process in (newest, ordered, observer):
        process.send(signal.SIGINT)
    for seen in (newest.json(), ordered.json(), observer.json()):
        check_whole(seen)
        check(seen["frames"] > 100, "saw %s", seen)
        check(seen["epochs"] == 2, "expected two new epochs, saw %s", seen)
    check(harness.parse_json(observer.out)["gaps"] == 0, "frames were lost on the way: %s", observer.out)
    end = harness.parse_json(pub.stop().out.splitlines()[-1])
    check(end["decoders"] == 1, "the camera was the same, but there were %s decoders", end["decoders"])
    cam.stop(signal.SIGTERM)


def test_camera_killed_and_restarted(s):
    killed_and_restarted(s, harness.CLIP)


def test_camera_without_b_frames_killed_and_restarted(s):
    """Nothing waits in its decoder, which goes on without being flushed."""
    killed_and_restarted(s, media.make(s.root, "camera"))


def test_camera_that_never_answers(s):
    cam, url = camera(s, "--stall")
    pub = s.start("publish", url, "--name", "cam", "--timeout", "1")
    pub.wait_for(r"time[d ]*-?out|no answer")
    said = len(cam.err)
    cam.wait_for("a client waits", after=said)
    check(pub.alive(), "the publisher gave up")
    pub.stop(code=None)
    cam.stop(signal.SIGTERM)


def test_camera_that_is_not_there_yet(s):
    cam, url = camera(s, "--stall")
    cam.stop(signal.SIGTERM)
    pub = s.start("publish", url, "--name", "cam")
    pub.wait_for("refused")
    camera(s, harness.CLIP, port=port_of(url))
    s.wait_stream("cam", pub)
    wait_frames(s, "cam", 10)
    pub.stop()


def test_camera_freezes(s):
    cam, url = camera(s, harness.CLIP)
    pub = s.publish(url, "cam", "--timeout", "2")
    verify = s.start("verify", "cam", "--json", "--duration", "3600")
    wait_frames(s, "cam", 20)
    cam.suspend()
    pub.wait_for(r"time[d ]*-?out|no answer")
    cam.resume()
    wait_frames(s, "cam", 40)
    verify.send(signal.SIGINT)
    seen = verify.json()
    check_whole(seen)
    check(seen["epochs"] >= 1, "no new epoch: %s", seen)
    pub.stop()


NTP_TO_UNIX = 2208988800  # seconds from 1900 to 1970
RTP_TICK = 1e9 / 90000  # ns


def captured(s, name, frames):
    """The capture times that a subscriber saw in so many frames, ns since 1970; None where there was none."""
    lines = s.start_program(harness.need_built("tests", "times"), name, frames).expect(harness.OK).out.splitlines()
    rows = [line.split() for line in lines if line.startswith("frame ")]
    return [None if row[3] == "-" else int(row[3]) for row in rows]


def stamped(cam):
    """When the camera took its pictures, ns since 1970, by each of its reports; from what it told its clients."""
    rows = [line.split() for line in cam.out.rpartition("\n")[0].splitlines()]
    pictures = [int(row[1]) for row in rows if row[0] == "picture"]
    times = set()
    for ntp, rtp in ((int(row[1]), int(row[2])) for row in rows if row[0] == "report"):
        moment = ((ntp >> 32) - NTP_TO_UNIX) * 10**9 + ((ntp & 0xffffffff) * 10**9 >> 32)
        for picture in pictures:
            ticks = (picture - rtp + 2**31) % 2**32 - 2**31
            times.add(moment + round(ticks * RTP_TICK))
    return sorted(times)


def test_capture_time_is_the_camera_s(s):
    """To the RTP tick, whatever the machine was doing: what the camera stamped, and not when somebody looked. The film
    has B-frames, so the decoder gives pictures out in another order than packets came."""
    cam, url = camera(s, "--stamps", harness.CLIP)
    pub = s.publish(url, "cam")
    cam.wait_for("^report ", "out")
    s.until(lambda: any(captured(s, "cam", 5)), "a picture after the camera's first report")
    seen = [time for time in captured(s, "cam", 60) if time is not None]
    pub.stop()
    want = stamped(cam)
    cam.stop(signal.SIGTERM)
    check(len(seen) >= 55, "only %d of 60 pictures have a capture time", len(seen))
    for time in seen:
        at = bisect.bisect(want, time)
        nearest = min((abs(time - other) for other in want[max(at - 1, 0):at + 1]), default=None)
        check(nearest is not None and nearest <= RTP_TICK, "captured at %d: %s ns from any picture of the camera", time,
              nearest)
    check(all(10e6 < later - time < 100e6 for time, later in zip(seen, seen[1:])),
          "not in the pictures' order: %s", seen)


def codecs(s, name):
    return {entry["codec"] for entry in s.json("info", name, "--json")["tracks"]}


def test_recording_of_a_camera(s):
    """Video and sound, without encoding; what was recorded can be played."""
    ffprobe, ffmpeg = harness.need_program("ffprobe"), harness.need_program("ffmpeg")
    cam, url = camera(s, harness.CLIP)
    pub = s.publish(url, "cam")
    film = s.path("film.mkv")
    s.start("record", "cam", film, "--duration", "3").expect(harness.OK)
    check(codecs(s, "cam") == {"h264", "aac"}, "tracks %s", codecs(s, "cam"))
    pub.stop()
    cam.stop(signal.SIGTERM)
    probe = subprocess.run([ffprobe, "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", film],
                           capture_output=True, text=True, timeout=harness.LIMIT)
    check(probe.stdout.split() == ["h264", "aac"], "recorded: %s %s", probe.stdout, probe.stderr)
    played = subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-i", film, "-f", "null", "-"],
                            capture_output=True, text=True, timeout=harness.LIMIT)
    check(played.returncode == 0 and not played.stderr, "playing it: %s", played.stderr)


def test_hevc_camera_by_udp(s):
    cam, url = camera(s, media.make(s.root, "hevc8"))
    pub = s.publish(url, "cam", "--rtsp-transport", "udp")
    check_whole(s.json("verify", "cam", "--json", "--frames", "24"))
    check(codecs(s, "cam") == {"hevc", "aac"}, "tracks %s", codecs(s, "cam"))
    pub.stop()
    cam.stop(signal.SIGTERM)


def test_camera_changes_resolution(s):
    cam, url = camera(s, media.make(s.root, "resize"))
    observer = harness.need_built("tests", "observer")
    pub = s.publish(url, "cam")
    reader = s.start_program(observer, "cam", "--ordered")
    reader.wait_for("joined")
    pub.wait_for("the picture is", after=len(pub.err))
    wait_frames(s, "cam", 10)
    reader.send(signal.SIGINT)
    seen = reader.json()
    check_whole(seen)
    check(seen["new_formats"] >= 1, "no new size: %s", seen)
    check(pub.alive(), "the publisher has ended")


if __name__ == "__main__":
    harness.main(globals())
