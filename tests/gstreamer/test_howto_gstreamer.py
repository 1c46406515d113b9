#!/usr/bin/env python3
"""test_howto_gstreamer.py - what docs/howto/gstreamer.md tells people to type to read streams does what it says, word
for word, as far as GStreamer's plugins are here."""
import glob
import os
import re
import signal
import socket
import subprocess

import gsttools
import harness
import recording
from harness import OK, check, skip

PAGE = os.path.join(harness.SOURCE_DIR, "docs", "howto", "gstreamer.md")
SECONDS = 3


def blocks(heading, kind="sh"):
    with open(PAGE, encoding="utf-8") as file:
        parts = re.split(r"^## (.+)$", file.read(), flags=re.M)
    found = re.findall(r"^```%s\n(.*?)^```$" % kind, dict(zip(parts[1::2], parts[2::2]))[heading], re.M | re.S)
    check(found, "%s has no block of %s", heading, kind)
    return found


def need_elements(s, command):
    """Those of its elements that are not ours and that this machine lacks."""
    for word in re.findall(r"! ([a-z][a-z0-9_]+)(?= |$)", command.replace("\\\n", ""), re.M):
        found = subprocess.run(["gst-inspect-1.0", "--exists", word], env=environment(s), stderr=subprocess.DEVNULL)
        if found.returncode != 0 and not word.startswith("cuframes"):
            skip("no element %s here" % word)


def environment(s):
    env = dict(s.env, **gsttools.environment(s))
    env["G_DEBUG"] = ""  # other people's elements warn
    env["GST_PLUGIN_FEATURE_RANK"] = "fakevideosink:MAX"  # of all screens this one
    return env


def film(s):
    """Three seconds with sound, and its packets."""
    path = s.path("film.mp4")
    recording.ffmpeg("-t", SECONDS, "-i", harness.CLIP, "-c", "copy", path)
    return path, [packet["data_hash"] for packet in recording.packets(path)]


def start(s, command):
    harness.need_program("gst-launch-1.0")
    need_elements(s, command)
    return s.start_program("sh", "-c", "exec " + command, env=environment(s), name=command[:40])


def run(s, command, *publish):
    """Publishes the film as soon as the command reads it, to its end."""
    publisher = s.publish(s.path("film.mp4"), "film", "--wait-for", "1", *publish)
    result = start(s, command).expect(OK)
    publisher.expect(OK)
    return result


def test_read_frames(s):
    _, packets = film(s)
    view, encode, files = blocks("Read frames")
    run(s, view, "--realtime")
    run(s, encode)
    check(len(recording.decoded(s.path("frames.mp4"), "v:0")[0]) == len(packets), "pictures of frames.mp4")
    run(s, files)
    check(len(glob.glob(s.path("frame-*.jpg"))) == len(packets), "stills")


def test_read_packets(s):
    _, packets = film(s)
    one, both = blocks("Read packets")
    run(s, one)
    check([packet["data_hash"] for packet in recording.packets(s.path("copy.mp4"))] == packets, "packets of copy.mp4")
    run(s, both)
    check([packet["data_hash"] for packet in recording.packets(s.path("copy.mkv"))] == packets, "packets of copy.mkv")
    check("audio" in recording.streams(s.path("copy.mkv")), "no sound")


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_two_machines(s):
    film(s)
    port = free_port(socket.SOCK_DGRAM)
    there, here = (command.replace("7001", port) for command in blocks("Two machines"))
    need_elements(s, here)
    s.publish(s.path("film.mp4"), "film", "--realtime", "--loop")
    sender = start(s, there)
    receiver = start(s, here)
    s.wait_stream("far", receiver)
    s.until(lambda: s.json("info", "far", "--json")["frames"] > 10, "pictures there")
    receiver.stop(signal.SIGINT, code=OK)
    sender.stop(signal.SIGINT, code=OK)


def test_rtsp(s):
    film(s)
    if subprocess.run(["pkg-config", "--exists", "gstreamer-rtsp-server-1.0"]).returncode != 0:
        skip("no libgstrtspserver-1.0-dev here")
    if harness.SANITIZED:
        skip("the program of the page is built without the sanitizer")
    (program,), (command,) = blocks("RTSP out", "c"), blocks("RTSP out")
    with open(s.path("rtsp.c"), "w") as file:
        file.write(program)
    s.start_program("sh", "-c", command, name="cc").expect(OK)
    s.publish(s.path("film.mp4"), "film", "--realtime", "--loop")
    s.wait_stream("film")
    port = free_port(socket.SOCK_STREAM)
    server = s.start_program(s.path("rtsp"), port, "film", env=environment(s))
    url = f"rtsp://127.0.0.1:{port}/film"

    def read():
        return subprocess.run([harness.need_program("ffmpeg"), "-v", "error", "-rtsp_transport", "tcp", "-i", url,
                               "-frames:v", "5", "-f", "null", "-"], stderr=subprocess.DEVNULL).returncode == 0

    s.until(read, "five pictures by RTSP")
    server.kill()


def test_devices(s):
    publisher = s.publish("test:320x240@30", "cam")
    s.wait_stream("cam", publisher)
    out = s.start_program(harness.need_program("gst-device-monitor-1.0"), "Video/Source",
                          env=dict(gsttools.environment(s), G_DEBUG="")).expect(OK).out
    check(re.search(r"name\s*: cam\n", out), "no device: %s", out)


if __name__ == "__main__":
    harness.main(globals())
