#!/usr/bin/env python3
"""test_record_tracks.py - which tracks a recording has: chosen ones, late ones, and such as need another form."""
import os

import camera
import harness
import recording
from camera import Camera, Plan
from harness import OK, USAGE, check
from recording import H264, PICTURES, TONE

CONTAINERS = ("mp4", "mkv", "ts")


def kinds(path):
    streams = recording.probe(path, "-show_streams")["streams"]
    return [(stream["codec_type"], stream["codec_name"]) for stream in streams]


def plays(path, stream):
    """Decodes all of one track without a complaint; gives the hashes."""
    frames, complaints = recording.decoded(path, stream)
    check(frames and not complaints, "%s, %s: %d frames, %s", path, stream, len(frames), complaints)
    return frames


def test_adts(s):
    """AAC out of TS has a header before each packet, and no description."""
    film = s.path("film.ts")
    recording.ffmpeg(*PICTURES, *TONE, *H264, "-c:a", "aac", film)
    names = ["a." + kind for kind in CONTAINERS]
    plain = s.path("plain.mkv")
    recording.ffmpeg("-i", film, "-c", "copy", "-bsf:a", "aac_adtstoasc", plain)
    for name, said in zip(names, recording.record_whole(s, film, *names)):
        check(said["code"] == OK and kinds(s.path(name)) == [("video", "h264"), ("audio", "aac")], "%s: %s", name, said)
        changed = said["streams"][1].get("conversion")
        check(changed == (None if name.endswith("ts") else "aac_adtstoasc"), "%s: %s", name, said)
        plays(s.path(name), "a")
        before = [packet["data_hash"] for packet in recording.packets(film if name.endswith("ts") else plain, "a:0")]
        after = [packet["data_hash"] for packet in recording.packets(s.path(name), "a:0")]
        check(recording.is_tail(before, after) and len(before) - len(after) < 4, "%s: the sound is another", name)


def watch(s, plan, *names, seconds=3, args=()):
    """Records a camera for so long; gives what each recorder said as JSON."""
    cam = Camera(s, plan)
    s.publish(cam.url, "cam")
    running = [s.start("record", "cam", s.path(name), "--duration", seconds, "--json", *args) for name in names]
    said = []
    for recorder in running:
        said.append(recorder.json())
        said[-1]["err"] = recorder.err
    return said


def test_without_description(s):
    """AAC by RTSP without config=: rate and channels are all that is known."""
    plan = Plan(camera.film(s), sound=camera.sound(s, "aac", with_config=False))
    names = ["a." + kind for kind in CONTAINERS]
    for name, said in zip(names, watch(s, plan, *names)):
        check(kinds(s.path(name)) == [("video", "h264"), ("audio", "aac")], "%s: %s", name, said)
        sound = recording.streams(s.path(name))["audio"]
        check(len(plays(s.path(name), "a")) > 30 and sound["sample_rate"] == "16000", "%s: %s", name, sound)
        plays(s.path(name), "v")


def check_video_alone(s, name, said, seconds):
    check(kinds(s.path(name)) == [("video", "h264")], "%s: %s", name, kinds(s.path(name)))
    check("is announced and has not come yet" in said["err"], "%s: %r", name, said["err"])
    check([stream["type"] for stream in said["streams"]] == ["video"], "%s: %s", name, said)
    pictures = recording.packets(s.path(name))
    check("K" in pictures[0]["flags"] and len(pictures) == seconds * 25, "%s: %d pictures", name, len(pictures))
    check(len(plays(s.path(name), "v")) == len(pictures), "%s does not play", name)


def test_sound_that_never_comes(s):
    plan = Plan(camera.film(s), sound=camera.sound(s, "aac", with_config=False), mute=("audio",))
    names = ["a." + kind for kind in CONTAINERS]
    for name, said in zip(names, watch(s, plan, *names)):
        check_video_alone(s, name, said, 3)


def test_sound_that_comes_late(s):
    """Within a second it is waited for, and what came before it is kept. Later it stays out of this file."""
    late = s.path("late.ts")
    recording.ffmpeg("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=6", "-itsoffset", "4", *TONE, *H264, "-g", "25",
                     "-c:a", "aac", "-f", "mpegts", late)
    names = ["a." + kind for kind in CONTAINERS]
    pictures = recording.packets(late)
    for name, said in zip(names, recording.record_whole(s, late, *names, publish=("--no-reconnect",))):
        if ("audio", "aac") in kinds(s.path(name)):  # libavformat has looked far enough ahead to know all of it
            continue
        check(said["code"] == OK and "left out, and joins with the next file" in said["err"], "%s: %s", name, said)
        check(len(recording.packets(s.path(name))) == len(pictures), "%s: pictures are missing", name)


def test_sound_of_which_the_head_is_made(s):
    """AC-3 that has not come: an MP4 with it would have no head, and nothing in it would play."""
    path = s.path("late.mkv")
    for encoder in ("ac3", "eac3"):
        recording.ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=6", "-itsoffset", "5", "-f", "lavfi", "-i",
                         "sine=d=1", "-map", "0:v", "-map", "1:a", "-c:a", encoder, *H264, "-g", "25", path)
        publisher = s.start("publish", path, "--name", "late", "--realtime", "--wait-for", "1", "--ordered-timeout",
                            harness.LIMIT)
        said = s.start("record", "late", s.path("late.mp4"), "--wait", "--duration", "2").wait()
        check(said.code == OK and "is announced and has not come yet" in said.err, "%s: %s", encoder, said)
        check(kinds(s.path("late.mp4")) == [("video", "h264")], "%s: %s", encoder, kinds(s.path("late.mp4")))
        plays(s.path("late.mp4"), 0)
        publisher.stop()
        os.unlink(s.path("late.mp4"))
        os.unlink(path)


def test_sound_that_is_waited_for(s):
    plan = Plan(camera.film(s), sound=camera.sound(s, "aac", with_config=False), audio_starts=0.6)
    cam = Camera(s, plan)
    recorder = s.start("record", "cam", s.path("a.mkv"), "--wait", "--duration", "2", "--json")
    s.start("publish", cam.url, "--name", "cam", "--wait-for", "1")
    recorder.json()
    check(kinds(s.path("a.mkv")) == [("video", "h264"), ("audio", "aac")], "no sound: %s", recorder.err)
    check(len(recording.packets(s.path("a.mkv"))) == 50, "pictures are missing")


def film_of_four(s):
    """H.264, AAC, G.711, MPEG-4."""
    path = s.path("film.mkv")
    recording.ffmpeg(*PICTURES, *TONE, "-map", "0", "-map", "1", "-map", "1", "-map", "0", *H264[2:], "-c:v:0",
                     "libx264", "-g", "10", "-c:v:1", "mpeg4", "-c:a:0", "aac", "-c:a:1", "pcm_alaw", "-ar:a:1",
                     "8000", "-ac:a:1", "1", path)
    return path


def test_chosen(s):
    film = film_of_four(s)
    for args, expected in ((("--tracks", "video"), ["h264", "mpeg4"]),
                           (("--tracks", "0,2"), ["h264", "pcm_alaw"]),
                           (("--tracks", "audio"), ["aac", "pcm_alaw"]),
                           (("--tracks", "1,video"), ["h264", "aac", "mpeg4"]),
                           (("--audio", "none"), ["h264", "mpeg4"]),
                           ((), ["h264", "aac", "pcm_alaw", "mpeg4"])):
        said, = recording.record_whole(s, film, "a.mkv", args=(*args, "--overwrite"))
        seen = [name for _, name in kinds(s.path("a.mkv"))]
        check(seen == expected, "%s: %s, %s", args, seen, said)
        check([stream["codec"] for stream in said["streams"]] == expected, "%s: %s", args, said)
        for number in range(len(expected)):
            plays(s.path("a.mkv"), number)
    s.publish(film, "film", "--realtime", "--loop")
    for args in (("--tracks", ""), ("--tracks", "sound"), ("--tracks", "16"), ("--tracks", "0,,1"), ("--audio", "mp3")):
        check(s.run("record", "film", s.path("b.mkv"), *args).code == USAGE, "%s is no usage error", args)
    result = s.run("record", "film", s.path("b.mkv"), "--tracks", "7", "--duration", "1")
    check(result.code == harness.FAILED and "no stream that goes into" in result.err, "%r", result)


if __name__ == "__main__":
    harness.main(globals())
