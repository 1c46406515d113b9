#!/usr/bin/env python3
"""test_howto_pipe.py - what docs/howto/pipe.md tells people to type does what it says, word for word, as far as the
programs are here (`scripts/install-deps howto`)."""
import glob
import os
import re
import shlex
import signal
import subprocess

import harness
import recording
from harness import OK, check, skip

PAGE = os.path.join(harness.SOURCE_DIR, "docs", "howto", "pipe.md")
SECONDS = 3
FRAME = 640 * 360 * 3 // 2


def section(heading):
    with open(PAGE, encoding="utf-8") as file:
        parts = re.split(r"^## (.+)$", file.read(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))[heading]


def blocks(heading, kind):
    found = re.findall(r"^```%s\n(.*?)^```$" % kind, section(heading), re.M | re.S)
    check(found, "%s has no block of %s", heading, kind)
    return found


def film(s):
    """Three seconds with sound; what packets and pictures it has."""
    path = s.path("film.mp4")
    recording.ffmpeg("-t", SECONDS, "-i", harness.CLIP, "-c", "copy", path)
    return path, [packet["data_hash"] for packet in recording.packets(path)]


def environment(s):
    """With our program first, and players that show nothing."""
    os.makedirs(s.path("mpv"), exist_ok=True)
    with open(s.path("mpv", "mpv.conf"), "w") as file:
        file.write("vo=null\nao=null\n")
    path = os.path.dirname(harness.program()) + os.pathsep + os.environ["PATH"]
    return dict(s.env, PATH=path, MPV_HOME=s.path("mpv"))


def run(s, command, *publish):
    """Publishes the film as soon as the command reads it, to its end; gives what the command printed."""
    for program in re.findall(r"(?:^|\| )(ffmpeg|mpv|gst-launch-1\.0)", command):
        harness.need_program(program)
    publisher = s.publish(s.path("film.mp4"), "film", "--wait-for", "1", *publish)
    done = s.start_program("sh", "-c", command, env=environment(s), name=command[:40])
    result = done.expect(OK)
    publisher.expect(OK)
    return result.out


def count(s, pattern):
    return len(glob.glob(s.path(pattern)))


def pictures(s, name):
    return len(recording.decoded(s.path(name), "v:0")[0])


def test_ffmpeg(s):
    _, packets = film(s)
    commands = blocks("FFmpeg", "sh")
    for command in commands:
        run(s, command)
    check(pictures(s, "pictures.mp4") >= len(packets) and pictures(s, "colours.mkv") == len(packets), "pictures")
    check([packet["data_hash"] for packet in recording.packets(s.path("packets.mkv"))] == packets, "packets")
    check("audio" in recording.streams(s.path("packets.mkv")), "no sound")
    check(1 <= count(s, "still-*.jpg") <= SECONDS + 1, "%d stills", count(s, "still-*.jpg"))
    check(len(commands) == 4, "a command is not looked at")


def test_mpv(s):
    film(s)
    for command in blocks("mpv", "sh"):
        out = run(s, command)
        check("(+) Video" in out and "End of file" in out, "%s: %s", command, out)


def test_gstreamer(s):
    _, packets = film(s)
    harness.need_program("gst-launch-1.0")
    if subprocess.run(["gst-inspect-1.0", "--exists", "avdec_h264"]).returncode != 0:
        skip("no gstreamer1.0-libav here")
    commands = blocks("GStreamer", "sh")
    for command in commands:
        run(s, command)
    check(len(recording.packets(s.path("gst.mp4"))) == len(packets), "packets")
    check(os.path.getsize(s.path("gst.png")) > 1000, "no picture")
    check(1 <= count(s, "gst-*.jpg") <= 5 * SECONDS + 1, "%d pictures", count(s, "gst-*.jpg"))
    check(count(s, "frame-*.jpg") == len(packets), "%d of %d", count(s, "frame-*.jpg"), len(packets))
    check(len(commands) == 4, "a command is not looked at")


def test_python(s):
    """With Debian's interpreter, for which Debian's modules are."""
    _, packets = film(s)
    python = "/usr/bin/python3"
    for program in blocks("OpenCV, NumPy", "python"):
        needs = [module for module in ("numpy", "cv2") if "import " + module in program]
        if subprocess.run([python, "-c", "import " + ", ".join(needs)], stderr=subprocess.DEVNULL).returncode != 0:
            skip("no %s for %s here" % (" and ".join(needs), python))
        with open(s.path("program.py"), "w") as file:
            file.write(program)
        out = run(s, python + " program.py")
        seen = int(re.search(r"(\d+) pictures", out)[1])
        check(seen == len(packets) if "ordered" in program else 1 <= seen <= len(packets), "%s: %d", needs, seen)


def test_many_readers(s):
    _, packets = film(s)
    server, reader = blocks("Many readers, and readers that come and go", "sh")
    publisher = s.publish(s.path("film.mp4"), "film", "--wait-for", "1")
    serving = s.start_program("sh", "-c", "exec " + server, env=environment(s))
    serving.wait_for("listening on")
    s.start_program("sh", "-c", reader, env=environment(s)).expect(OK)
    publisher.expect(OK)
    serving.stop(signal.SIGTERM)
    check([packet["data_hash"] for packet in recording.packets(s.path("reader.mkv"))] == packets, "packets")


def frigate_commands(s):
    """What Frigate makes of the configuration: its own words around those of input_args and path."""
    text, = blocks("Frigate", "yaml")
    size = [int(re.search(r"%s: (\d+)" % key, text)[1]) for key in ("width", "height", "fps")]
    commands = {}
    for path, words, roles in re.findall(r"- path: (\S+)\n\s+input_args: (.+)\n\s+roles: \[(.+)\]", text):
        command = ["ffmpeg", "-hide_banner", "-loglevel", "warning", *shlex.split(words), "-i", path]
        if "detect" in roles:
            command += ["-r", str(size[2]), "-s", "%dx%d" % (size[0], size[1]), "-threads", "2", "-f", "rawvideo",
                        "-pix_fmt", "yuv420p", "pipe:"]
        else:
            command += ["-f", "segment", "-segment_time", "10", "-segment_format", "mp4", "-reset_timestamps", "1",
                        "-strftime", "1", "-c:v", "copy", "-c:a", "aac", "film@%Y%m%d%H%M%S.mp4"]
        commands[roles.split(",")[0]] = [word.replace("/run/cuframes-pipe", s.root) for word in command]
    return commands


def test_frigate(s):
    """The pipes, and the programs that Frigate starts behind them, on a stream that goes on."""
    path, _ = film(s)
    s.publish(path, "film", "--loop", "--realtime")
    for command in re.findall(r"^    (cuframes pipe .+)$", section("Frigate"), re.M):
        command = command.replace("/run/cuframes-pipe", s.root)
        s.start_program("sh", "-c", "exec " + command, env=environment(s)).wait_for("listening on")
    commands = frigate_commands(s)
    with open(s.path("detect.raw"), "wb") as raw:
        detect = s.start_program(*commands["detect"], stdout=raw.fileno())
        record = s.start_program(*commands["record"])
        s.until(lambda: os.path.getsize(s.path("detect.raw")) >= 15 * FRAME, "pictures to detect in")
        for process in (record, detect):
            process.send(signal.SIGINT)
            process.wait()
    check("rror" not in detect.err and "rror" not in record.err, "%s %s", detect.err, record.err)
    segment = glob.glob(s.path("film@*.mp4"))
    check(segment, "nothing was recorded: %s", record.err)
    hashes, complaints = recording.decoded(segment[0], "v:0")
    check(len(hashes) >= 24 and not complaints, "%d pictures, %s", len(hashes), complaints)


def test_go2rtc(s):
    """The command that go2rtc starts, with ffmpeg in its place."""
    _, packets = film(s)
    text, = blocks("go2rtc", "yaml")
    command = re.search(r"exec:(.+?)#", text)[1]
    run(s, command + " | ffmpeg -v error -f mpegts -i - -c copy go2rtc.mkv")
    seen = recording.streams(s.path("go2rtc.mkv"))
    check(seen["video"]["codec_name"] == "h264" and seen["audio"]["codec_name"] == "aac", "%s", seen)
    check(len(recording.packets(s.path("go2rtc.mkv"))) == len(packets), "packets")


if __name__ == "__main__":
    harness.main(globals())
