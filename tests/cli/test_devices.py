#!/usr/bin/env python3
"""test_devices.py - cameras of this machine (V4L2). There is none where tests run: what they do after the device was
opened is tested with a stand-in for the kernel's part (tests/v4l2), what comes before that without one."""
import os
import signal

import harness
import media
from harness import FAILED, OK, TIMEOUT, USAGE, check


class Camera:
    """The stand-in, under a name of this session."""

    def __init__(self, s, *words, jpeg=""):
        self.session, self.path = s, s.path("camera")
        self.input = "v4l2:" + self.path
        self.env = {"LD_PRELOAD": harness.need_built("tests", "libv4l2_camera.so"), "V4L2_CAMERA": self.path,
                    "V4L2_CAMERA_WORDS": " ".join(words), "V4L2_CAMERA_JPEG": jpeg}
        self.plug()

    def plug(self):
        if not os.path.lexists(self.path):
            os.symlink("/dev/null", self.path)

    def unplug(self):
        os.unlink(self.path)

    def args(self, *options, **asked):
        asked = ["%s=%s" % item for item in asked.items()]
        return ["publish", self.input, "--name", "cam", "--device", "host", *options,
                *(part for one in asked for part in ("--input-option", one))]

    def start(self, *options, **asked):
        return self.session.start(*self.args(*options, **asked), env=self.env)

    def ends(self, code, *wanted, options=(), **asked):
        """It does, with this code, and says all of that."""
        result = self.start(*options, **asked).wait()
        check(result.code == code, "it ended with %d: %s", result.code, result.err)
        for text in wanted:
            check(text in result.err, "it does not say %r: %s", text, result.err)
        return result


def events(process, kind):
    lines = [harness.parse_json(line) for line in process.out.splitlines()]
    return [line for line in lines if line["event"] == kind]


def test_pictures_as_they_come(s):
    """Each format of such cameras that is one of ours is published as it is: all bytes of a picture are the same."""
    camera = Camera(s)
    for asked, ours, size in (("yuyv422", "yuyv422", 2), ("uyvy422", "uyvy422", 2), ("nv12", "nv12", 1.5),
                              ("gray", "gray8", 1), ("gray16le", "gray16", 2), ("bgr24", "bgr24", 3),
                              ("yuv420p", "yuv420p", 1.5)):
        pub = camera.start(input_format=asked, video_size="320x240", framerate="50")
        stream = s.wait_stream("cam", pub)
        check((stream["format"], stream["width"], stream["height"]) == (ours, 320, 240), "%s: %s", asked, stream)
        numbers = []
        for _ in range(2):
            check(s.run("snapshot", "cam", "got.raw").code == OK, "no snapshot of %s", asked)
            with open(s.path("got.raw"), "rb") as file:
                got = file.read()
            check(len(got) == 320 * 240 * size and len(set(got)) == 1, "%s: %d bytes, %s", asked, len(got), set(got))
            numbers.append(got[0])
            os.unlink(s.path("got.raw"))
        check(numbers[0] != numbers[1], "%s stands still: %s", asked, numbers)
        pub.stop()


def test_uncompressed_pictures_are_no_packets(s):
    camera = Camera(s)
    pub = camera.start(input_format="yuyv422")
    s.wait_stream("cam", pub)
    pub.wait_for("not compressed: it comes as pictures only")
    done = s.run("record", "cam", "film.mkv")
    check(done.code == FAILED and "carries no packets" in done.err, "%s", done)
    result = pub.stop()
    check(result.err.count("not compressed") == 1, "said more than once: %s", result.err)
    check("0 packets" in result.err and "packet left out" not in result.err, "%s", result.err)


def test_uncompressed_pictures_with_sound(s):
    """Of a film the sound is in the ring, and it alone."""
    path = s.path("film.nut")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x360:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v",
                 "rawvideo", "-pix_fmt", "yuyv422", "-c:a", "aac", path)
    pub = s.publish(path, "cam", "--loop", "--realtime", "--packet-bytes", "256K")
    tracks = s.until(lambda: s.json("info", "cam", "--json")["tracks"], "a track")
    check([track["type"] for track in tracks] == ["audio"], "%s", tracks)
    result = pub.stop()
    check("not compressed" in result.err and "left out" not in result.err, "%s", result.err)


def test_motion_jpeg(s):
    """Compressed as it comes: in the ring, and so in recordings."""
    still = s.path("still.jpg")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240", "-frames:v", "1", still)
    pub = Camera(s, jpeg=still).start(input_format="mjpeg", video_size="320x240")
    s.wait_stream("cam", pub)
    done = s.run("record", "cam", "film.mkv", "--duration", "1")
    check(done.code == OK, "%s", done)
    media.ffmpeg("-i", s.path("film.mkv"), "-f", "null", "-")
    check("not compressed" not in pub.stop().err, "what is compressed is called uncompressed")


def test_unplugged(s):
    camera = Camera(s)
    pub = camera.start("--json", framerate="50")
    s.wait_stream("cam", pub)
    pub.wait_for('"event": ?"live"', "out")
    camera.unplug()
    pub.wait_for("there is no such device .*/dev/v4l/by-id.*trying again")
    camera.plug()
    pub.wait_for("is back after")
    pub.wait_for('"event": ?"live".*\n(.*\n)*.*"event": ?"reconnected"', "out")
    result = pub.stop()
    check(events(result, "end")[0]["reconnects"] == 1, "%s", result.out)


def test_not_plugged_yet(s):
    camera = Camera(s)
    camera.unplug()
    pub = camera.start()
    pub.wait_for("there is no such device .*trying again")
    camera.plug()
    s.wait_stream("cam", pub)
    pub.stop()
    camera.unplug()
    camera.ends(FAILED, "there is no such device", options=("--no-reconnect",))


def test_stands_still(s):
    """From the first picture on, or later. Nobody waits inside of FFmpeg, whatever its flags: a time-out is found."""
    pub = Camera(s, "still").start("--timeout", "0.5")
    pub.wait_for("timed out: no packet for 0.5 s.*trying again")
    pub.stop()
    for flags, number in (("nobuffer", signal.SIGINT), ("+nobuffer", signal.SIGTERM)):
        pub = Camera(s, "stops").start("--timeout", "0.5", fflags=flags)
        s.wait_stream("cam", pub)
        pub.wait_for("timed out: no packet for 0.5 s.*trying again")
        pub.wait_for("is back after")
        pub.stop(number)


def test_damaged_pictures(s):
    """They are left out, and neither an end nor an error; nor do they keep the camera's buffers."""
    pub = Camera(s, "damaged").start("--json", framerate="50")
    s.wait_stream("cam", pub)
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 30, "more pictures than there are buffers")
    end = events(pub.stop(), "end")[0]
    check(end["decode_errors"] == 0 and end["reconnects"] == 0, "%s", end)


def test_times(s):
    """The kernel's, or ours: both go on by the distance of the pictures, and no jump is seen."""
    for times in ("auto", "source", "arrival"):
        pub = Camera(s).start("--times", times, "--json")
        s.wait_stream("cam", pub)
        s.until(lambda: s.json("info", "cam", "--json")["frames"] > 10, "pictures")
        end = events(pub.stop(), "end")[0]
        check(end["jumps"] == 0, "%s: %s", times, end)


def test_why_not(s):
    """Each cause has its remedy; what cannot change ends the stream."""
    wait = ("--duration", "0.5")
    for words, code, options, *wanted in (
            (("busy",), TIMEOUT, wait, "another program uses it", "fuser -v", "trying again"),
            (("closed",), TIMEOUT, wait, "no permission", "which is for the group root", "usermod -aG", "trying again"),
            (("metadata",), FAILED, (), "beside its pictures", "other device"),
            (("planes",), FAILED, (), "in several planes")):
        Camera(s, *words).ends(code, *wanted, options=options)
    camera = Camera(s)
    camera.ends(FAILED, "No such input format: nonsense", "v4l2-ctl --list-formats-ext", input_format="nonsense")
    camera.ends(FAILED, "Could not parse framerate", "v4l2-ctl --list-formats-ext", framerate="often")
    camera.ends(USAGE, "did you mean input_format?", input_formt="yuyv422")
    camera.ends(FAILED, "video_size", "large", "v4l2-ctl --list-formats-ext", video_size="large")
    camera.ends(USAGE, "v4l2-ctl --list-formats-ext", list_formats="all")


def refused(s, source, code, *wanted, **options):
    result = s.run("publish", source, "--name", "cam", "--duration", "0.5", **options)
    check(result.code == code, "%s ended with %d: %s", source, result.code, result.err)
    for text in wanted:
        check(text in result.err, "%s does not say %r: %s", source, text, result.err)


def need_libavdevice(s):
    if "libavdevice" in s.run("publish", "v4l2:/dev/null", "--name", "cam").err:
        harness.skip("no libavdevice of this program's FFmpeg here")


def test_without_a_camera(s):
    need_libavdevice(s)
    with open(s.path("file"), "w"):
        pass
    refused(s, "v4l2:/dev/null", FAILED, "this is no camera", "v4l2-ctl --list-devices")
    refused(s, "v4l2:" + s.path("file"), FAILED, "this is no device")
    refused(s, "v4l2:" + s.path("run"), FAILED, "this is no device")
    refused(s, "v4l2:", USAGE, "names no device, as in v4l2:/dev/video0")
    for source in ("/dev/video4711", "/dev/v4l/by-id/usb-none-video-index0", "v4l2:" + s.path("none")):
        refused(s, source, TIMEOUT, "there is no such device", "trying again")


def test_closed_to_a_user(s):
    need_libavdevice(s)
    harness.need_user(65534)
    os.mkdir(s.path("closed"), 0o700)
    os.chmod(s.dir, 0o1777)
    refused(s, "v4l2:" + s.path("closed", "video0"), TIMEOUT, "no permission", "usermod -aG", user=65534)


def test_files_of_such_names(s):
    """What is there is a file."""
    film = s.path("v4l2:film.mkv")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-c:v", "ffv1", film)
    result = s.run("publish", "v4l2:film.mkv", "--name", "cam")
    check(result.code == OK and "25 frames" in result.err, "%s", result)


def test_without_libavdevice(s):
    """Everything else works; a camera says what is missing, whatever options it has."""
    for major in range(59, 80):
        with open(s.path("no-driver", "libavdevice.so.%d" % major), "w"):
            pass
    refused(s, "/dev/video4711", FAILED, "needs FFmpeg's libavdevice", "apt install libavdevice")
    result = s.run("publish", "/dev/video4711", "--name", "cam", "--input-option", "input_format=mjpeg")
    check(result.code == FAILED and "needs FFmpeg's libavdevice" in result.err, "%s", result)
    check(s.run("publish", "test:64x64@25", "--name", "cam", "--duration", "0.2").code == OK, "no test picture")


if __name__ == "__main__":
    harness.main(globals())
