#!/usr/bin/env python3
"""test_frames.py - frames and packets that go through FFmpeg's filter, muxer and input device are those that went in:
bit for bit, every one of them, with their times and what they say of themselves."""
import json
import os
import re

import fftools
import harness
import mp4
import recording
from harness import CLIP, LIMIT, check


def through_filter(s, source, filters, what, options=()):
    """Publishes by the filter and reads by the device; gives the number of frames."""
    wanted = fftools.direct(s, *source, filters=filters)
    reader = fftools.read_frames(s, "film", options=options)
    fftools.publish(s, "film", *source, filters=filters).expect(harness.OK)
    fftools.same(fftools.sums(reader.expect(harness.OK).out)[:len(wanted)], wanted, what)
    return len(wanted)


def test_a_whole_film_comes_bit_for_bit(s):
    count = through_filter(s, ("-i", CLIP), [], "the film")
    check(count == 338, "%d frames", count)


def test_every_pixel_format_in_odd_sizes(s):
    for pixel_format in fftools.FORMATS:
        size = "160x91" if pixel_format in ("yuyv422", "uyvy422") else "161x91"  # packed pairs of pixels
        source, filters = fftools.pattern(size, 5, pixel_format)
        through_filter(s, source, filters, pixel_format)


def test_what_cannot_be_shared_is_converted_by_the_graph(s):
    source, _ = fftools.pattern("64x48", 3)
    reader = fftools.read_frames(s, "film")
    publisher = fftools.publish(s, "film", *source, filters=["format=yuv444p10le"])
    publisher.expect(harness.OK)
    check(len(fftools.sums(reader.expect(harness.OK).out)) >= 3, "no frames")


def test_a_grid_is_encoded(s):
    """By the line of docs/howto/grid.md, with an encoder that needs no GPU: a film that begins with 0."""
    with open(os.path.join(harness.SOURCE_DIR, "docs", "howto", "grid.md"), encoding="utf-8") as page:
        line, = re.findall(r"^ *ffmpeg (-f cuframes .*)$", page.read(), re.M)
    film = s.path("wall.mp4")
    words = line.replace("-i wall", "-t 1 -i wall").replace("h264_nvenc", "mpeg4").replace("wall.mp4", film)
    s.publish("test:160x120@25", "cam")
    s.start("grid", "cam", "--output", "wall", "--size", "320x180", "--ordered-timeout", LIMIT)
    s.wait_stream("wall")
    s.until(lambda: s.json("info", "wall", "--json")["frames"] > 10, "pictures")
    fftools.ffmpeg(s, *words.split()).expect(harness.OK)
    probe = s.start_program(harness.need_program("ffprobe"), "-v", "error", "-show_entries",
                            "stream=nb_frames,start_time,width", "-of", "json", film).expect(harness.OK)
    seen, = json.loads(probe.out)["streams"]
    check(seen["width"] == 320 and float(seen["start_time"]) == 0 and 24 <= int(seen["nb_frames"]) <= 26, "%s", seen)


def muxed(s, source, *streams, readers=1):
    return fftools.ffmpeg(s, *source, *streams, "-wait_subscribers", readers, "-wait_timeout", LIMIT, "-timeout", LIMIT,
                          "-f", "cuframes", "film", name="muxer")


def test_frames_and_packets_of_one_ffmpeg(s):
    """The pictures are the decoder's, the packets the source's, sound too; times agree."""
    frames = fftools.read_frames(s, "film")
    packets = fftools.reader(s, "film", "-map", "0", "-c", "copy", "-f", "framecrc", "-",
                             options=("-packets", "1", "-start", "oldest"))
    muxed(s, ("-i", CLIP), "-map", "0:v", "-c:v:0", "wrapped_avframe", "-fps_mode:v:0", "passthrough", "-map", "0:v",
          "-c:v:1", "copy", "-map", "0:a", "-c:a", "copy", readers=2).expect(harness.OK)
    fftools.same(fftools.sums(frames.expect(harness.OK).out), fftools.direct(s, "-i", CLIP), "frames")
    source = fftools.run(s, "-i", CLIP, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framecrc", "-").out
    fftools.same(sorted(fftools.rows(packets.expect(harness.OK).out)), sorted(fftools.rows(source)), "packets")


def test_packets_keep_what_they_say_of_themselves(s):
    """Those that no other one needs, and those that are not to be shown: through `cuframes publish`, and through the
    muxer."""
    whole = s.path("whole.mp4")
    recording.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-c:v", "libx265", "-preset", "ultrafast",
                     "-g", "25", "-x265-params", "log-level=0", "-pix_fmt", "yuv420p", whole)
    copy = "-map", "0:v", "-c", "copy", "-f", "framecrc", "-"
    for path, mark in (whole, "F=0x10"), (mp4.edit(whole, s.path("cut.mp4"), (0.5, 1.5)), "F=0x4"):
        wanted = fftools.flags(fftools.run(s, "-i", path, *copy).out)
        check(wanted.count(mark) > 5, "%s: the film has none: %s", mark, wanted)
        for own in False, True:
            reader = fftools.reader(s, "film", *copy, options=("-packets", "1", "-start", "oldest"))
            if own:
                muxed(s, ("-i", path), "-map", "0:v", "-c", "copy").expect(harness.OK)
            else:
                s.start("publish", path, "--name", "film", "--wait-for", "1").expect(harness.OK)
            fftools.same(fftools.flags(reader.expect(harness.OK).out), wanted, "flags")


def test_raw_video_into_the_muxer(s):
    for pixel_format in ("yuv420p", "gbrp", "p010le"):
        source, filters = fftools.pattern("67x33", 5, pixel_format)
        reader = fftools.read_frames(s, "film")
        muxed(s, source, "-vf", ",".join(filters), "-c:v", "rawvideo").expect(harness.OK)
        fftools.same(fftools.sums(reader.expect(harness.OK).out), fftools.direct(s, *source, filters=filters),
                     pixel_format)


def test_a_recording_by_copying_is_the_source(s):
    """`-c copy` of the packets into a file, which plays."""
    record = fftools.reader(s, "film", "-map", "0", "-c", "copy", s.path("film.mkv"),
                            options=("-packets", "1", "-start", "oldest"))
    muxed(s, ("-i", CLIP), "-map", "0:v", "-map", "0:a", "-c", "copy").expect(harness.OK)
    record.expect(harness.OK)
    fftools.same(fftools.direct(s, "-i", s.path("film.mkv")), fftools.direct(s, "-i", CLIP), "the recording's frames")


def words(s, stream):
    """What a stream says of its pictures."""
    return s.json("info", stream, "--json")


def test_what_a_picture_says_of_itself(s):
    """Through the filter, the device and a second filter: as it was said at first."""
    source, filters = fftools.pattern("64x48", 25, "yuv420p")
    filters += ["setsar=4/3", "setfield=tff",
                "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=limited",
                "metadata=add:key=cuframes.capture_time:value=1700000000123456789"]
    last = fftools.reader(s, "second", "-vf", "metadata=print:file=-", "-f", "null", "-", options=("-mode", "ordered"))
    middle = fftools.ffmpeg(s, "-f", "cuframes", "-mode", "ordered", "-wait", LIMIT, "-i", "first", "-vf",
                            "cuframes=second:wait_subscribers=1:wait_timeout=%d:timeout=%d" % (LIMIT, LIMIT),
                            "-fps_mode", "passthrough", "-f", "null", "-", name="middle")
    first = fftools.publish(s, "first", *source[:-2], filters=["realtime", *filters])
    s.wait_stream("second", middle)
    last.wait_for("capture_time", "out")
    for stream in "first", "second":
        info = words(s, stream)
        said = info["sample_aspect"], info["field_order"], info["color"]
        check(said == ("4:3", "top-first", {"matrix": 9, "range": 1, "primaries": 9, "transfer": 16}), "%s says %s",
              stream, said)
    first.stop(code=None)
    middle.wait()
    check("cuframes.capture_time=1700000000123456789" in last.wait().out, "the time of capture is lost")


def test_times_are_the_source_s(s):
    """pts in ns, as ffprobe reads them."""
    reader = fftools.reader(s, "film", "-fps_mode", "passthrough", "-enc_time_base", "1:1000000000", "-f",
                            "framemd5", "-", options=("-mode", "ordered", "-copyts"))
    source, _ = fftools.pattern("64x48", 10, rate="30000/1001")
    fftools.publish(s, "film", *source).expect(harness.OK)
    pts = [int(row[2]) for row in fftools.rows(reader.expect(harness.OK).out)][:10]
    steps = {b - a for a, b in zip(pts, pts[1:])}
    check(len(pts) == 10 and steps <= {33366666, 33366667}, "times %s", pts)


def test_two_filters_in_one_graph(s):
    source, _ = fftools.pattern("128x96", 50)
    full, small = fftools.read_frames(s, "full"), fftools.read_frames(s, "small")
    waits = "wait_subscribers=1:wait_timeout=%d:timeout=%d" % (LIMIT, LIMIT)
    graph = ("[0:v]split[a][b];[a]cuframes=full:%s[x];[b]scale=64:48:flags=bitexact+accurate_rnd,cuframes=small:%s[y]"
             % (waits, waits))
    fftools.run(s, *source[:-2], "-filter_complex", graph, "-map", "[x]", "-frames:v", "50", "-f", "null", "-", "-map",
                "[y]", "-frames:v", "50", "-f", "null", "-")
    wanted = fftools.direct(s, *source)
    fftools.same(fftools.sums(full.expect(harness.OK).out)[:50], wanted, "full")
    wanted = fftools.direct(s, *source, filters=["scale=64:48:flags=bitexact+accurate_rnd"])
    fftools.same(fftools.sums(small.expect(harness.OK).out)[:50], wanted, "small")


def test_sixteen_readers_get_every_frame(s):
    source, _ = fftools.pattern("128x96", 50)
    readers = [fftools.read_frames(s, "film") for _ in range(16)]
    fftools.publish(s, "film", *source, options="wait_subscribers=16").expect(harness.OK)
    wanted = fftools.direct(s, *source)
    for number, reader in enumerate(readers):
        fftools.same(fftools.sums(reader.expect(harness.OK).out)[:50], wanted, "reader %d" % number)


def test_ten_minutes_of_frames_at_full_speed(s):
    """15,000 frames in order: none lost."""
    reader = fftools.reader(s, "film", "-fps_mode", "passthrough", "-f", "null", "-", options=("-mode", "ordered"))
    publisher = fftools.publish(s, "film", "-f", "lavfi", "-i", "nullsrc=s=32x32:r=25:d=600")
    said = publisher.expect(harness.OK).err
    check("film: 15000 frames, 0 dropped, 0 evictions" in said, "the publisher: %s", said[-400:])
    said = reader.expect(harness.OK).err
    check("film: 15000 frames, 0 skipped" in said, "the reader: %s", said[-400:])


def test_a_graph_that_keeps_everything_does_not_stall(s):
    """`reverse` keeps all frames: more than there are leases are copied."""
    source, _ = fftools.pattern("64x48", 60)
    reader = fftools.read_frames(s, "film", "-vf", "reverse", options=("-leases", "4"))
    fftools.publish(s, "film", *source).expect(harness.OK)
    result = reader.expect(harness.OK)
    got = list(reversed(fftools.sums(result.out)))
    fftools.same(got[:60], fftools.direct(s, *source), "reversed")
    check("more are copied" in result.err, "it did not say so: %s", result.err)


if __name__ == "__main__":
    harness.main(globals())
