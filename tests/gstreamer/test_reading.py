#!/usr/bin/env python3
"""test_reading.py - cuframessrc and cuframespacketsrc in pipelines beside the program: what arrives, who is held up,
and what is left behind."""
import re
import signal

import gsttools
import harness
import recording
from gsttools import LEAKS, launch, leaks_nothing
from harness import CLIP, OK, check


RAW = "-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", "1280x720", "-i"


def hashes(s, *source):
    """Of each picture, in order."""
    listed = s.start_program(harness.need_program("ffmpeg"), "-v", "error", *source, "-map", "0:v", "-f", "framemd5",
                             "-").expect(OK).out
    return [line.split(",")[-1].strip() for line in listed.splitlines() if not line.startswith("#")]


def test_what_arrives_is_what_was_decoded(s):
    """By the program's decoder, and by GStreamer's through the sink and the source."""
    raw, direct = s.path("raw"), s.path("direct")
    decode = f"filesrc location={CLIP} ! qtdemux ! h264parse ! avdec_h264 !"
    publisher = s.publish(CLIP, "film", "--wait-for", "1")
    reader = launch(s, "cuframessrc stream=film mode=ordered", f"! filesink location={raw}", env=LEAKS)
    leaks_nothing(reader.expect(OK))
    publisher.expect(OK)
    expected = hashes(s, "-i", CLIP)
    check(len(expected) > 300, "%d pictures", len(expected))
    check(hashes(s, *RAW, raw) == expected, "other pictures come from the program")
    launch(s, decode, f"filesink location={direct}").expect(OK)
    writer = launch(s, decode, f"cuframessink stream=again sync=false wait-subscribers=1 wait-timeout={10**12}")
    reader = launch(s, "cuframessrc stream=again mode=ordered connect-timeout=-1", f"! filesink location={raw}",
                    env=LEAKS)
    leaks_nothing(reader.expect(OK))
    writer.expect(OK)
    check(hashes(s, *RAW, raw) == hashes(s, *RAW, direct), "other pictures come from cuframessink")


def test_a_queue_that_stands_still_holds_up_nobody(s):
    """Its sink waits for its clock, which is far behind: 200 buffers, more than leases."""
    publisher = s.publish("test:320x240@60", "cam")
    s.wait_stream("cam", publisher)
    still = launch(s, "cuframessrc stream=cam leases=8 ! queue max-size-buffers=200 max-size-bytes=0 max-size-time=0 !",
                   f"fakesink sync=true ts-offset={10**15}", env=LEAKS, name="still")
    still.wait_for("all leases but one", stream="out")
    other = s.start("verify", "cam", "--mode", "ordered", "--frames", "60", "--json").json()
    check(other["torn"] == 0, "%s", other)
    info = s.json("info", "cam", "--json")
    check(info["dropped"] == 0 and info["evictions"] == 0, "%s", info)
    s.until(lambda: [one["leases_held"] for one in s.json("info", "cam", "--json")["subscriber_list"]] == [7],
            "all leases but one in hand")
    still.stop(signal.SIGINT, code=OK)
    leaks_nothing(still)
    publisher.stop()


def test_a_killed_publisher_comes_back(s):
    publisher = s.publish("test:320x240@30", "cam")
    s.wait_stream("cam", publisher)
    reader = launch(s, "-v cuframessrc stream=cam reconnect=true ! fakesink silent=false", name="reader")
    reader.wait_for("chain", stream="out")
    publisher.kill()
    publisher = s.publish("test:160x120@30", "cam")
    at = reader.wait_for(r"caps = video/x-raw.*width=\(int\)160", stream="out").end()
    reader.wait_for(r"chain .*flags: [0-9a-f]+ discont", stream="out", after=at)
    reader.stop(signal.SIGINT, code=OK)
    publisher.stop()


def test_pictures_of_a_gpu_are_copied_to_the_host(s):
    """Over the stand-in for the driver."""
    library = harness.need_built("tests", "cuda", "standin", "libcuda.so.1")
    env = {"LD_LIBRARY_PATH": library.rsplit("/", 1)[0], "CUDA_STANDIN_DEVICES": "1"}
    raw = s.path("raw")
    camera = s.publish("test:64x48@30", "cam", "--device", "cuda", env=env)
    s.wait_stream("cam", camera)
    refused = launch(s, "cuframessrc stream=cam device=host ! fakesink")
    refused.wait()
    publisher = s.publish(CLIP, "film", "--wait-for", "1", "--device", "cuda", env=env)
    check("takes host memory only" in refused.err, "%s", refused.err)
    reader = launch(s, "cuframessrc stream=film mode=ordered ! video/x-raw,format=I420", f"! filesink location={raw}",
                    env=env)
    reader.expect(OK)
    check("on device cuda:" in publisher.expect(OK).err, "not on the GPU: %s", publisher.err)
    check(hashes(s, *RAW, raw) == hashes(s, "-i", CLIP), "other pictures")


def test_packets_arrive_as_they_are(s):
    copy = s.path("copy.mkv")
    publisher = s.publish(CLIP, "film", "--wait-for", "1")
    reader = launch(s, "-e cuframespacketsrc stream=film start=oldest name=p",
                    "p. ! queue ! h264parse ! m. p. ! queue ! aacparse ! m.",
                    f"matroskamux name=m ! filesink location={copy}", env=LEAKS)
    leaks_nothing(reader.expect(OK))
    publisher.expect(OK)
    for track in "v:0", "a:0":
        expected = [packet["data_hash"] for packet in recording.packets(CLIP, track)]
        check([packet["data_hash"] for packet in recording.packets(copy, track)] == expected, "%s differs", track)


def test_playbin_takes_an_address(s):
    publisher = s.publish(CLIP, "film", "--wait-for", "1")
    player = launch(s, "playbin uri=cuframes://film?mode=ordered video-sink=fakesink audio-sink=fakesink",
                    env={"G_DEBUG": ""})
    player.expect(OK)
    publisher.expect(OK)


def test_inspect_documents_every_property(s):
    for element in "cuframessrc", "cuframespacketsrc":
        out = gsttools.inspect(s, element)
        for name in "stream", "directory", "label", "reconnect", "connect-timeout", "timeout", "latency", "stats":
            check(re.search(r"^  %s +: \S" % name, out, re.M), "%s: no %s", element, name)
        check("Klass                    Source/Video" in out, "%s: class", element)


if __name__ == "__main__":
    harness.main(globals())
