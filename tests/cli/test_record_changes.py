#!/usr/bin/env python3
"""test_record_changes.py - a source that is set up anew while it is recorded: whatever a file holds can be decoded, all
of it, and by what its own head says."""
import re

import camera
import harness
import recording
from camera import Camera, Plan
from harness import OK, check

SMALL, LARGE = (160, 120), (320, 180)
# how a camera tells its parameter sets: in the description alone, among the pictures alone, both
WAYS = ({"sets_in_band": False}, {"sets_in_sdp": False}, {})


def sizes(path):
    """Width and height of each decoded picture; the decoder must not complain."""
    frames = recording.probe(path, "-select_streams", "v:0", "-show_frames", "-show_entries",
                             "frame=width,height")["frames"]
    _, complaints = recording.decoded(path, "v:0")
    check(not complaints, "%s: %s", path, complaints)
    return [(frame["width"], frame["height"]) for frame in frames]


def written(recorder):
    """Packets in the file so far, as its live line says."""
    return max([int(count) for count in re.findall(r"(\d+) packets", recorder.err)], default=0)


def reboot(s, kinds, name, **plan):
    """Records a camera that sends 50 pictures of one film, reboots, and then sends another one, until some of that is
    written or it ends. Gives the result, and how many pictures of the first film there must be."""
    first, then = (camera.film(s, kind) for kind in kinds)
    cam = Camera(s, Plan(first, loop=False, end="close", **plan), Plan(then, **plan))
    publisher = s.start("publish", cam.url, "--name", "cam", "--wait-for", "1")
    recorder = s.start("record", "cam", s.path(name), "--wait")
    s.until(lambda: not recorder.alive() or written(recorder) > 80, "packets of the second film, or the end")
    result = recorder.stop(code=None)
    check(cam.count("PLAY") >= 2, "the camera did not come back: %s", result.err)
    publisher.stop(code=None)
    return result


def small_alone(seen):
    """All pictures of the first film from one of its two keyframes on: a recorder may join behind the first."""
    return set(seen) == {SMALL} and len(seen) in (25, 50)


def test_ts_goes_on(s):
    """Parameter sets that came with the description alone are put among the packets."""
    for number, way in enumerate(WAYS):
        name = "%d.ts" % number
        result = reboot(s, ("elementary", "elementary_large"), name, **way)
        seen = sizes(s.path(name))
        check(result.code == OK and "one file" not in result.err, "%s: %r", way, result)
        small = seen.count(SMALL)
        check(small_alone(seen[:small]) and len(seen) > 60 and set(seen[small:]) == {LARGE}, "%s: %s", way, seen)


def test_a_head_holds_for_its_file(s):
    """MP4 and Matroska have the sets in their heads: the file ends with the last picture that those are for."""
    for number, way in enumerate(WAYS):
        name = "%d.%s" % (number, ("mp4", "mkv", "mp4")[number])
        result = reboot(s, ("elementary", "elementary_large"), name, **way)
        check("from here on" in result.err, "%s: %r", way, result)
        check(small_alone(sizes(s.path(name))), "%s: %s", way, sizes(s.path(name)))


def test_another_codec(s):
    for kind in ("mkv", "ts"):
        result = reboot(s, ("elementary", "elementary_hevc"), "a." + kind)
        check("hevc from here on, was h264" in result.err, "%s: %r", kind, result)
        check(small_alone(sizes(s.path("a." + kind))), "%s: %s", kind, sizes(s.path("a." + kind)))


def test_the_same_again(s):
    """A camera that comes back as it was goes on in the same file."""
    for number, way in enumerate(WAYS):
        name = "%d.%s" % (number, ("mkv", "mp4", "mkv")[number])
        result = reboot(s, ("elementary", "elementary"), name, **way)
        seen = sizes(s.path(name))
        check(result.code == OK and "from here on" not in result.err and len(seen) > 60, "%s: %r", way, result)


def test_sets_come_with_a_later_keyframe(s):
    """A file begins where decoding can, not at a keyframe whose parameter sets nobody knows."""
    film = camera.film(s)
    first = film.units[0]
    film.units = [first._replace(nals=[nal for nal in first.nals if not film.codec.is_set(nal)]), *film.units[1:]]
    cam = Camera(s, Plan(film, sets_in_sdp=False))
    publisher = s.start("publish", cam.url, "--name", "cam", "--wait-for", "1")
    for kind in ("mp4", "mkv", "ts"):
        s.start("record", "cam", s.path("a." + kind), "--wait", "--duration", "2").expect(OK)
        seen = sizes(s.path("a." + kind))
        check(len(seen) == 50 and set(seen) == {SMALL}, "%s: %s", kind, seen)
    publisher.stop(code=None)


def shown(path):
    """When the pictures of a recording are shown, in the order in which a decoder gives them out."""
    frames = recording.probe(path, "-select_streams", "v:0", "-show_frames", "-show_entries", "frame=pts_time")
    return [float(frame["pts_time"]) for frame in frames["frames"]]


def test_a_clock_set_back_among_pictures_out_of_order(s):
    """By much or little, at each place of a group of eight: pictures stay in their order, and none comes behind one
    that is shown later."""
    for by, rate, sound in ((-100, 1, False), (-100, 1, True), (-0.4, 4, False)):
        film = recording.film(s, "film", seconds=8 // rate, fps=rate, sound=sound)
        for pictures in range(1, 9):
            recording.folder(s)
            feed = recording.Feed(s, "cam", film)
            feed.play(8 / rate)
            recorder = recording.Recorder(s, "cam", "rec/%s.mkv", "--segment", "1d", "--no-reconnect")
            recorder.wait("open")
            feed.play(pictures / rate)
            feed.tell("jump", by)
            feed.play((24 - pictures) / rate)
            feed.end()
            recorder.process.expect(OK)
            came = [shown(s.path(event["file"])) for event in recorder.events("file")]
            steps = {round((after - before) * rate, 2) for times in came for before, after in zip(times, times[1:])}
            check(steps == {1.0} and sum(map(len, came)) == 32, "set back by %s s after %d pictures, sound %s: %s", -by,
                  pictures, sound, came)


if __name__ == "__main__":
    harness.main(globals())
