#!/usr/bin/env python3
"""test_record_films.py - films that are published once, as fast as it goes: all of them is recorded, however short they
are, and under whatever name their sound comes."""
import harness
import recording
from harness import OK, check


def count(path):
    return len(recording.packets(path))


def test_short_films(s):
    """Who waits for a stream, and is waited for, gets all of it: the film is over before a recorder has asked what its
    packets are, and all groups of pictures are in the ring by then."""
    films = {"one.mp4": ("libx264", "0.04"), "small.mkv": ("mjpeg", "2"), "groups.mp4": ("libx264", "3")}
    for name, (codec, seconds) in films.items():
        format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        recording.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=" + seconds, "-c:v", codec, "-g", "25",
                         "-pix_fmt", format, s.path(name))
        for attempt in range(3):
            out = s.path("%d-%s" % (attempt, name))
            recorder = s.start("record", "film", out, "--wait")
            publisher = s.start("publish", s.path(name), "--name", "film", "--wait-for", "1")
            recorder.expect(OK)
            publisher.expect(OK)
            check(count(out) == count(s.path(name)), "%s: %d packets of %d", out, count(out), count(s.path(name)))


def test_dolby_under_its_other_name(s):
    """NUT and AVI have one name for AC-3 and E-AC-3; the head of an MP4 is made of what the packets are."""
    for codec in ("eac3", "ac3"):
        source = s.path(codec + ".nut")
        recording.ffmpeg(*recording.PICTURES, *recording.TONE, *recording.H264, "-c:a", codec, source)
        said = recording.record_whole(s, source, codec + ".mp4", codec + ".mkv")
        for name, result in zip((codec + ".mp4", codec + ".mkv"), said):
            check(result["code"] == OK, "%s: %s", name, result)
            seen = recording.streams(s.path(name))
            check(seen["audio"]["codec_name"] == codec, "%s: %s", name, seen)
            sound, wrong = recording.decoded(s.path(name), "a")
            check(len(sound) > 50 and not wrong, "%s: %d frames of sound: %s", name, len(sound), wrong)


def test_sound_before_the_pictures(s):
    """It is left out, since a file begins with a picture, and that is said; what comes behind it keeps its place."""
    source = s.path("before.mkv")
    recording.ffmpeg("-itsoffset", "1.2", *recording.PICTURES, "-f", "lavfi", "-i", "sine=440:r=8000:d=3",
                     *recording.H264, "-c:a", "pcm_alaw", source)
    for name in ("before.mp4", "again.mkv"):
        more = ("--audio", "aac") if name.endswith("mp4") else ()
        recorder = s.start("record", "film", s.path(name), "--wait", *more)
        s.start("publish", source, "--name", "film", "--wait-for", "1").expect(OK)
        said = recorder.expect(OK).err
        check("1.2 s of sound come before the first picture" in said, "said %s", said)
    sent, kept = recording.packets(source, "a:0"), recording.packets(s.path("again.mkv"), "a:0")
    wanted = [p["data_hash"] for p in sent if float(p["pts_time"]) >= 1.2]
    check([p["data_hash"] for p in kept] == wanted, "%d packets of %d", len(kept), len(wanted))


def test_tracks_are_told_before_anybody_is_waited_for(s):
    """A reader may ask what there is before it reads: it would be waited for, and wait itself."""
    publisher = s.start("publish", harness.CLIP, "--name", "film", "--wait-for", "1")
    publisher.wait_for("waiting for 1 subscribers")
    info = s.json("info", "film", "--json")
    check([track["codec"] for track in info["tracks"]][:1] == ["h264"], "%s", info["tracks"])
    publisher.stop()


if __name__ == "__main__":
    harness.main(globals())
