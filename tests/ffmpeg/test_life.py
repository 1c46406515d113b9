#!/usr/bin/env python3
"""test_life.py - what FFmpeg's cuframes components do when something is not there, goes, comes back or changes, and
how they say so."""
import os
import signal

import fftools
import harness
from harness import CLIP, OK, check

ENDLESS = "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25,realtime"
WAIT_NULL = "-fps_mode", "passthrough", "-f", "null", "-"


def endless(s, stream, options="wait_subscribers=0"):
    process = fftools.publish(s, stream, *ENDLESS, options=options)
    s.wait_stream(stream, process)
    return process


def fails(s, message, *args, **options):
    """It ends with an error, and says this."""
    result = fftools.ffmpeg(s, *args, **options).wait()
    check(result.code > 0, "it ended with %s", result.code)
    check(message in result.err, "it did not say '%s': %s", message, result.err[-600:])


def test_what_is_wrong_is_said_in_ffmpeg_s_words(s):
    null = "-f", "null", "-"
    fails(s, "No such file or directory", "-f", "cuframes", "-i", "nobody", *null)
    fails(s, "Invalid argument", "-f", "cuframes", "-i", "no/name", *null)
    fails(s, "No such file or directory", "-f", "cuframes", "-packets", "1", "-wait", "0.2", "-i", "nobody", *null)
    source, _ = fftools.pattern("64x48", 2)
    fails(s, "under which name?", *source, "-vf", "cuframes", *null)
    fails(s, "cannot be shared", *source, "-pix_fmt", "yuv444p10le", "-c:v", "rawvideo", "-f", "cuframes", "x")
    fails(s, "two", "-i", CLIP, "-map", "0:v", "-map", "0:v", "-c", "wrapped_avframe", "-f", "cuframes", "x")
    publisher = endless(s, "taken")
    fails(s, "is in use", *source, "-vf", "cuframes=taken", *null)
    fails(s, "Address already in use", *source, "-f", "cuframes", "taken")
    fails(s, "no packets", "-f", "cuframes", "-packets", "1", "-i", "taken", *null)
    publisher.stop(code=None)


def test_the_device_waits_no_longer_than_it_was_told(s):
    """A publisher that stands still: no frame within the timeout."""
    publisher = endless(s, "cam")
    reader = fftools.ffmpeg(s, "-f", "cuframes", "-mode", "ordered", "-timeout", "0.5", "-i", "cam", *WAIT_NULL)
    reader.wait_for("Stream mapping")
    publisher.suspend()
    check("nothing has come for 0.500 s" in reader.wait().err, "no word of the timeout: %s", reader.err)
    publisher.resume()
    publisher.stop(code=None)


def test_a_reader_ends_with_its_publisher(s):
    for number in signal.SIGINT, signal.SIGKILL:
        publisher = endless(s, "cam")
        reader = fftools.reader(s, "cam", *WAIT_NULL, options=("-mode", "ordered"))
        reader.wait_for("Stream mapping")
        if number == signal.SIGKILL:
            s.leaves("cam.sock", "cam.lock")
            publisher.kill()
        else:
            publisher.stop(code=None)
        check("the publisher has ended" in reader.expect(OK).err, "it did not say why: %s", reader.err)


def test_a_reader_goes_on_with_the_next_publisher(s):
    """Killed and started again: -reconnect."""
    s.leaves("cam.sock", "cam.lock")
    first = endless(s, "cam")
    reader = fftools.reader(s, "cam", "-flush_packets", "1", "-fps_mode", "passthrough", "-f", "framecrc", "-",
                            options=("-reconnect", "1"))
    reader.wait_for("^0, .*\n0, .*\n0, ", "out")
    first.kill()
    seen = len(reader.out)
    second = endless(s, "cam")
    reader.wait_for("^0, .*\n0, .*\n0, ", "out", after=seen)
    check("1 reconnects" in reader.stop(code=None).err, "no reconnect: %s", reader.err)
    second.stop(code=None)


def interrupt(s, process):
    """From version 6 on FFmpeg tells a device only of the second Ctrl-C, when it is not still opening it."""
    def ended():
        process.send(signal.SIGINT)
        return not process.alive()
    s.until(ended, "it ends by Ctrl-C", every=0.5)
    process.wait()


def test_ctrl_c_ends_a_reader_that_waits(s):
    """For a name, and for a frame."""
    reader = fftools.reader(s, "nobody", *WAIT_NULL)
    s.until(lambda: reader.alive() and reader.descriptors() > 2, "it runs")
    reader.stop(code=None)
    publisher = endless(s, "cam")
    reader = fftools.reader(s, "cam", *WAIT_NULL)
    reader.wait_for("Stream mapping")
    publisher.suspend()
    interrupt(s, reader)
    publisher.resume()
    publisher.stop(code=None)


def test_ctrl_c_ends_who_waits_for_a_stopped_process(s):
    """A reader that joins a publisher which does not answer, and a muxer whose ordered reader takes nothing."""
    publisher = endless(s, "cam")
    publisher.suspend()
    reader = fftools.reader(s, "cam", *WAIT_NULL, options=("-wait", "600"))
    s.until(lambda: reader.alive() and reader.descriptors() > 2, "it runs")
    reader.stop(code=None)
    publisher.resume()
    publisher.stop(code=None)
    muxer = fftools.ffmpeg(s, *ENDLESS, "-f", "cuframes", "-timeout", "600", "-wait_subscribers", "1", "film",
                           name="muxer")
    slow = fftools.reader(s, "film", *WAIT_NULL, options=("-mode", "ordered"))
    slow.wait_for("Stream mapping")
    slow.suspend()
    s.until(lambda: s.json("info", "film", "--json")["subscriber_list"][0]["lag"] > 2, "it is behind")
    interrupt(s, muxer)
    slow.resume()
    slow.stop(code=None)


def test_t_ends_both_sides_and_leaves_nothing(s):
    publisher = fftools.ffmpeg(s, *ENDLESS, "-t", "1", "-vf", "cuframes=cam", *WAIT_NULL, name="publisher")
    s.wait_stream("cam", publisher)
    reader = fftools.reader(s, "cam", "-t", "0.2", *WAIT_NULL)
    reader.expect(OK)
    publisher.expect(OK)
    check(not os.path.exists(os.path.join(s.dir, "cam.sock")), "the stream's socket is still there")


def test_t_before_i_counts_from_the_first_frame(s):
    """Of a stream that has been there for long, too."""
    source, _ = fftools.pattern("64x48", 500)
    publisher = fftools.publish(s, "cam", *source, filters=["setpts=PTS+3600/TB", "realtime"],
                                options="wait_subscribers=0")
    s.wait_stream("cam", publisher)
    for options in (), ("-re",), ("-stream_loop", "2"):
        reader = fftools.reader(s, "cam", *fftools.frames_to(), options=(*options, "-mode", "ordered", "-t", "0.4"))
        got = fftools.rows(reader.expect(OK).out)
        check(len(got) in (9, 10, 11), "%s: %s", options, got)
    publisher.stop(code=None)


def resizing(s):
    """Half a second each in three sizes, in one transport stream."""
    path = s.path("resize.ts")
    with open(path, "wb") as whole:
        for number, size in enumerate(("128x96", "64x48", "96x64")):
            part = s.path("part.ts")
            source, _ = fftools.pattern(size, 12)
            fftools.run(s, *source, "-c:v", "mpeg4", "-q:v", "2", "-output_ts_offset", number + 1, "-f", "mpegts", part)
            with open(part, "rb") as file:
                whole.write(file.read())
    return path


def test_a_change_of_size_goes_through_one_stream(s):
    """FFmpeg makes its graph anew; the stream lives on, and so does its reader."""
    path = resizing(s)
    reader = fftools.read_frames(s, "cam", "-noautoscale")
    publisher = fftools.publish(s, "cam", "-i", path)
    publisher.expect(OK)
    result = reader.expect(OK)
    wanted = fftools.direct(s, "-i", path)
    check(len(wanted) == 36, "%d frames", len(wanted))
    fftools.same(fftools.sums(result.out), wanted, "frames")
    check("36 frames, 0 skipped, 0 packets, 0 lost, 0 reconnects" in result.err, "not one stream: %s", result.err)
    fails(s, "change=fail", "-i", path, "-map", "0:v", "-noautoscale", "-vf", "cuframes=cam:change=fail", *WAIT_NULL)


def test_a_slow_reader_stalls_nobody(s):
    """It is stopped with frames in hand; the publisher publishes all the same, and the other reader gets all."""
    source, _ = fftools.pattern("64x48", 300)
    slow = fftools.reader(s, "film", *WAIT_NULL)
    good = fftools.read_frames(s, "film")
    stopper = fftools.publish(s, "film", *source, options="wait_subscribers=2")
    slow.wait_for("Stream mapping")
    slow.suspend()
    check(" 0 dropped, 0 evictions" in stopper.expect(OK).err, "frames were dropped: %s", stopper.err)
    fftools.same(fftools.sums(good.expect(OK).out)[:300], fftools.direct(s, *source), "the other reader")
    slow.resume()
    slow.expect(OK)


def test_a_stream_without_a_picture_is_waited_for(s):
    """A stream of packets alone: a reader of frames gives up in time, and says why."""
    publisher = fftools.ffmpeg(s, *ENDLESS, "-c:v", "mpeg4", "-f", "cuframes", "packets", name="muxer")
    s.wait_stream("packets", publisher)
    result = fftools.ffmpeg(s, "-f", "cuframes", "-timeout", "0.5", "-i", "packets", *WAIT_NULL).wait()
    check(result.code > 0, "it ended with %s: %s", result.code, result.err)
    reader = fftools.reader(s, "packets", "-frames:v", "5", "-c", "copy", "-f", "framecrc", "-",
                            options=("-packets", "1"))
    check(len(fftools.sums(reader.expect(OK).out)) == 5, "no packets")
    publisher.stop(code=None)


def test_pictures_that_are_not_encoded_have_no_packets(s):
    """The stream has a place for packets, and none will come: it says so instead of waiting."""
    path = s.path("raw.nut")
    fftools.run(s, *fftools.pattern("64x48", 50)[0], "-c:v", "rawvideo", "-pix_fmt", "yuv420p", path)
    s.publish(path, "cam", "--loop", "--realtime")
    fails(s, "carries no packets", "-f", "cuframes", "-packets", "1", "-i", "cam", "-c", "copy", "-f", "null", "-")


def test_a_camera_is_waited_for(s):
    """A stream that is there before its source: both kinds of readers wait for what comes first."""
    path = s.path("film.nut")
    os.mkfifo(path)
    publisher = s.start("publish", path, "--name", "cam", "--realtime")
    s.until(lambda: [stream["name"] for stream in s.json("list", "--json")] == ["cam"], "it has its name")
    frames = fftools.reader(s, "cam", "-frames:v", "5", *fftools.frames_to())
    packets = fftools.reader(s, "cam", "-frames:v", "5", "-c", "copy", "-f", "framecrc", "-", options=("-packets", "1"))
    s.until(lambda: len(s.json("info", "cam", "--json")["subscriber_list"]) == 2, "both have joined")
    source = fftools.ffmpeg(s, *fftools.pattern("64x48", 75)[0], "-c:v", "mpeg4", "-f", "nut", path,
                            name="source")
    check(len(fftools.sums(frames.expect(OK).out)) == 5, "no frames")
    check(len(fftools.sums(packets.expect(OK).out)) == 5, "no packets")
    source.expect(OK)
    publisher.wait()


def test_a_loop_is_one_stream(s):
    """-stream_loop: no new graph, no end between."""
    source = "-stream_loop", "1", "-i", resizing(s)
    reader = fftools.read_frames(s, "cam", "-noautoscale")
    fftools.publish(s, "cam", *source).expect(OK)
    count = len(fftools.sums(reader.expect(OK).out))
    check(count == len(fftools.direct(s, *source)), "%d frames", count)


if __name__ == "__main__":
    harness.main(globals())
