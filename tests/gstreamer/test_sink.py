#!/usr/bin/env python3
"""test_sink.py - cuframessink in pipelines: what subscribers, a recorder and the application get of them."""
import re

import gsttools
import harness
from gsttools import LEAKS, STATS, launch, leaks_nothing, stats_of
from harness import CLIP, OK, check

CAMERA = "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=30/1"
FILM = f"filesrc location={CLIP} ! qtdemux ! h264parse"
RAW = "-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", "1280x720", "-i"


def md5_of(s, *args):
    """The framemd5 of each picture, in order."""
    out = s.start_program(harness.need_program("ffmpeg"), "-v", "error", *args, "-f", "framemd5", "-").expect(OK).out
    return [line.split(",")[-1].strip() for line in out.splitlines() if not line.startswith("#")]


def md5_of_stream(s, *pipeline, frames, stream="cam"):
    """That of each picture which an ordered subscriber gets of the pipeline's stream: it waits for it."""
    raw = s.path("raw")
    with open(raw, "wb") as file:
        reader = s.start_to(file.fileno(), "pipe", stream, "--raw", "--mode", "ordered", "--wait")
    sink = launch(s, *pipeline, f"! cuframessink stream={stream} wait-subscribers=1 wait-timeout={10**12} sync=false",
                  env={**LEAKS, **STATS})
    result = sink.expect(OK)
    reader.expect(OK)
    md5 = md5_of(s, *RAW, raw)
    leaks_nothing(result)
    check(len(md5) == frames, "%d pictures of %d", len(md5), frames)
    return md5, stats_of(result)


def test_a_film_arrives_bit_by_bit(s):
    raw = s.path("direct")
    launch(s, FILM, f"! avdec_h264 ! filesink location={raw}").expect(OK)
    direct = md5_of(s, *RAW, raw)
    check(len(direct) > 300, "%d pictures", len(direct))
    for decoder in "avdec_h264", "avdec_h264 max-threads=1", "avdec_h264 direct-rendering=false":
        md5, stats = md5_of_stream(s, FILM, f"! {decoder}",
                                   frames=len(direct))
        check(md5 == direct, "%s: pictures differ", decoder)
        check(stats["in-place"] == len(direct) and stats["copied"] == 0, "%s: %s", decoder, stats)
    md5, stats = md5_of_stream(s, FILM, "! avdec_h264 ! tee", frames=len(direct))
    check(md5 == direct, "behind a tee: pictures differ")
    check(stats["copied"] == len(direct) and stats["in-place"] == 0, "behind a tee: %s", stats)


def test_a_film_keeps_its_times_and_what_is_live_is_not_delayed(s):
    # 30 pictures at 30 per second take at least the 29 steps between them; as fast as it goes without `sync`.
    pictures = "videotestsrc num-buffers=30", "! video/x-raw,format=NV12,width=64,height=48,framerate=30/1"
    for options, at_least in ("", 0.96), ("sync=false", 0.0):
        sink = launch(s, *pictures, f"! cuframessink stream=cam {options}")
        said = re.search(r"Execution ended after 0:00:(\d+\.\d+)", sink.expect(OK).out)
        check(float(said[1]) >= at_least, "%r: %s s", options, said[1])


def test_subscribers_check_every_frame(s):
    sink = launch(s, CAMERA.replace("is-live", "num-buffers=90 is-live"), "! cuframessink stream=cam")
    result = s.json("verify", "cam", "--wait", "--json", "--mode", "ordered")
    check(result["frames"] > 0, "%s", result)
    check(result["torn"] == result["gaps"] == result["duplicates"] == 0, "%s", result)
    sink.expect(OK)


def test_slow_and_dead_subscribers_stall_nothing(s):
    sink = launch(s, CAMERA, "! cuframessink stream=cam policy=drop", env=LEAKS)
    s.wait_stream("cam", sink)
    slow = s.start("verify", "cam", "--delay", "0.5", "--json")
    stopped = s.start("verify", "cam", "--json")
    killed = s.start("verify", "cam", "--json")
    s.until(lambda: s.json("info", "cam", "--json")["subscribers"] == 3, "three subscribers")
    stopped.suspend()
    killed.kill()
    good = s.json("verify", "cam", "--frames", "60", "--json")
    check(good["frames"] == 60 and good["torn"] == 0, "%s", good)
    stopped.resume()
    result = sink.stop(code=None)
    leaks_nothing(result)
    for process in slow, stopped:
        report = harness.parse_json(process.wait().out)
        check(report["torn"] == 0, "%s", report)


def packets_of(s, path):
    """Codec, pts, dts, size and flags of every packet in a file, in the order of each track."""
    out = s.start_program(harness.need_program("ffprobe"), "-v", "error", "-show_entries",
                          "packet=codec_type,pts_time,dts_time,size,flags", "-of", "csv=p=0", path).expect(OK).out
    rows = [line.split(",") for line in out.splitlines()]
    return {kind: [row[1:] for row in rows if row[0] == kind] for kind in ("video", "audio")}


def test_packets_beside_frames_are_recorded(s):
    for form in "avc", "byte-stream":
        path = s.path(form + ".mkv")
        recorder = s.start("record", "cam", "-o", path, "--wait", "--json")
        caps = f"video/x-h264,stream-format={form},alignment=au"
        sink = launch(s, f"filesrc location={CLIP} ! qtdemux name=demux",
                      f"demux.video_0 ! queue ! h264parse config-interval=-1 ! {caps} ! tee name=t",
                      "t. ! queue ! avdec_h264 ! cuframessink name=k stream=cam sync=false",
                      f"wait-subscribers=1 wait-timeout={10**12}", "t. ! queue ! k.packets",
                      "demux.audio_0 ! queue ! aacparse ! k.packets_1", env={**LEAKS, **STATS})
        result = sink.expect(OK)
        leaks_nothing(result)
        report = recorder.json()
        check(report["lost"] == 0, "%s: %s", form, report)
        direct, recorded = packets_of(s, CLIP), packets_of(s, path)
        # A recording begins with the first keyframe, and sound from there on.
        begin = float(direct["video"][0][0])
        direct["audio"] = [row for row in direct["audio"] if float(row[0]) >= begin]
        for kind in direct:
            check(len(recorded[kind]) == len(direct[kind]), "%s: %d %s packets of %d", form, len(recorded[kind]), kind,
                  len(direct[kind]))
        md5 = [md5_of(s, "-i", file, "-map", "0:v", "-fps_mode", "passthrough") for file in (CLIP, path)]
        check(md5[0] == md5[1], "%s: the recording decodes to other pictures", form)


def test_frames_and_packets_share_their_clock(s):
    film, packets = s.path("film.mkv"), s.path("packets.mkv")
    readers = []
    for path, words in (film, ("--mode", "ordered")), (packets, ("--packets",)):
        with open(path, "wb") as file:
            readers.append(s.start_to(file.fileno(), "pipe", "cam", "--container", "mkv", "--wait", *words))
    launch(s, FILM, "! tee name=t",
           "t. ! queue ! avdec_h264 ! cuframessink name=k stream=cam sync=false",
           f"wait-subscribers=2 wait-timeout={10**12}", "t. ! queue ! k.packets").expect(OK)
    for reader in readers:
        reader.expect(OK)
    times = [s.start_program(harness.need_program("ffprobe"), "-v", "error", "-show_entries", f"{what}=pts_time", "-of",
                             "csv=p=0", path).expect(OK).out.replace(",", "").split()
             for what, path in (("packet", film), ("frame", packets))]
    frames, decoded = ([float(time) for time in some] for some in times)
    check(len(frames) > 300, "%d frames", len(frames))
    for time in frames:  # Matroska has milliseconds; GStreamer's decoder leaves out one picture that FFmpeg gives
        check(any(abs(time - other) < 0.0025 for other in decoded), "no packet has the time of the frame at %s", time)


if __name__ == "__main__":
    harness.main(globals())
