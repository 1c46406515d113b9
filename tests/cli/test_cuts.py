#!/usr/bin/env python3
"""test_cuts.py - films that were cut without encoding: pictures that others are decoded from are packets with a mark,
and nobody sees them."""
import harness
import media
import mp4
import recording
from harness import OK, check

HIDDEN, DISPOSABLE = 16, 32
SECOND = 1e9


def shown(path):
    """Times of all that FFmpeg shows of a video."""
    seen = recording.probe(path, "-select_streams", "v:0", "-show_frames", "-show_entries", "frame=pts_time")
    return [float(frame["pts_time"]) for frame in seen["frames"]]


def seen(s, path, *args):
    """What a subscriber gets of it: times of frames; of packets track, pts, dts and flags, from some keyframe on."""
    reader = s.start_program(harness.need_built("tests", "times"), "film", 10**6)
    pub = s.start("publish", path, "--name", "film", "--wait-for", "1", *args)
    rows = [line.split() for line in reader.expect(OK).out.splitlines()]
    pub.expect(OK)
    frames = [int(row[2]) / SECOND for row in rows if row[0] == "frame"]
    return frames, [tuple(map(int, row[1:])) for row in rows if row[0] == "packet"]


def film(s, *codec, sound=()):
    """6 s, with a keyframe each second."""
    path = s.path("whole.mp4")
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=6", *sound, "-g", "25", "-pix_fmt", "yuv420p", *codec,
                 path)
    return path


def h264(s):
    """Of the sound no packet is decoded by chance (PNS)."""
    return film(s, "-c:v", "libx264", "-preset", "veryfast", "-x264-params", "bframes=2:b-adapt=0:scenecut=0", "-c:a",
                "aac", "-aac_pns", "0", sound=("-f", "lavfi", "-i", "sine=440:r=48000:d=6"))


def check_shown(s, path, frames):
    want = shown(path)
    check(len(frames) == len(want), "%d pictures came of %d", len(frames), len(want))
    check(all(abs(one - other) < 1e-5 for one, other in zip(frames, want)), "at %s, not at %s", frames, want)


def test_parts_of_a_film(s):
    """Two parts, each from the middle of a group of pictures on: frames as FFmpeg shows them, packets marked as it
    marks them, and those that are shown have its times."""
    path = mp4.edit(h264(s), s.path("parts.mp4"), (0.5, 1.5), (3.7, 5.2))
    frames, packets = seen(s, path)
    check_shown(s, path, frames)
    for track, stream in ((0, "v:0"), (1, "a:0")):
        mine = [packet for packet in packets if packet[0] == track]
        want = recording.packets(path, stream)[-len(mine):]
        check([bool(packet[3] & HIDDEN) for packet in mine] == ["D" in packet["flags"] for packet in want],
              "track %d: marks %s", track, [packet[3] for packet in mine])
        check(sum(bool(packet[3] & HIDDEN) for packet in mine) > 5, "track %d: none is hidden", track)
        check(all(before[2] < after[2] <= after[1] for before, after in zip(mine, mine[1:])), "track %d: times %s",
              track, mine)
        check(all(abs(packet[1] / SECOND - float(one["pts_time"])) < 1e-3 for packet, one in zip(mine, want)
                  if not packet[3] & HIDDEN), "track %d: times %s", track, mine)


def disposable(path):
    """Which packets of the video FFmpeg takes for such that no other one needs."""
    rows = recording.ffmpeg("-i", path, "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").splitlines()
    return [", F=0x10" in row for row in rows if not row.startswith("#")]


def test_what_no_other_picture_needs(s):
    """Packets that may be left out are marked as they are in the source."""
    path = film(s, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0")
    _, packets = seen(s, path)
    wanted = disposable(path)
    check(wanted.count(True) > 10, "the film has none: %s", wanted)
    mine = [bool(packet[3] & DISPOSABLE) for packet in packets if packet[0] == 0]
    check(len(mine) > 10 and mine == wanted[-len(mine):], "%s, not %s", mine, wanted)


def test_round_after_round(s):
    """What is not shown takes no time, in no round."""
    path = mp4.edit(h264(s), s.path("part.mp4"), (0.52, 2.52))
    reader = s.start_program(harness.need_built("tests", "times"), "film", 180)
    pub = s.start("publish", path, "--name", "film", "--wait-for", "1", "--loop")
    rows = [line.split() for line in reader.expect(OK).out.splitlines()]
    pub.stop()
    frames = [int(row[2]) / SECOND for row in rows if row[0] == "frame"]
    check(len(frames) == 180 and all(0.03 < after - before < 0.09 for before, after in zip(frames, frames[1:])),
          "pictures at %s", frames)


def test_a_decoder_that_forgets(s):
    """FFmpeg's way to dav1d loses the mark: the ffmpeg program shows all of it."""
    path = mp4.edit(film(s, "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-lag-in-frames", "0"),
                    s.path("part.mp4"), (1.5, 3.5))
    frames, _ = seen(s, path)
    check(len(frames) == 50 and abs(frames[0]) < 0.03, "%d pictures from %s on", len(frames), frames[:1])


def record(s, path):
    """Recordings in all containers, and what was said."""
    kinds = ("mp4", "mkv", "ts")
    said = recording.record_whole(s, path, *("film." + kind for kind in kinds))
    check(all(one["code"] == OK and one["lost"] == 0 for one in said), "said %s", said)
    return [(s.path("film." + kind), one) for kind, one in zip(kinds, said)]


def test_recording_a_part(s):
    """MP4 shows what the film shows, from the very sample on; the others show more, and that is said."""
    path = mp4.edit(h264(s), s.path("part.mp4"), (1.5, 4.7))
    want = recording.decoded(path, "v:0"), recording.decoded(path, "a:0")
    (mp4_file, said), *others = record(s, path)
    check(recording.decoded(mp4_file, "v:0") == want[0], "other pictures in MP4")
    sound, trouble = recording.decoded(mp4_file, "a:0")
    check(sound[:-1] == want[1][0][:-1] and not trouble, "other sound in MP4")  # the last packet is whole there
    times, wanted = shown(mp4_file), shown(path)
    check(all(abs(one - other) < 1e-3 for one, other in zip(times, wanted)), "pictures at %s, not at %s", times, wanted)
    check("not to be shown" not in said["err"] and abs(said["seconds"] - 3.2) < 0.1, "said %s", said)
    for name, said in others:
        pictures, trouble = recording.decoded(name, "v:0")
        check(recording.is_tail(pictures, want[0][0]) and not trouble, "%s lacks pictures", name)
        check("not to be shown" in said["err"], "of %s it said %s", name, said["err"])


def test_recording_parts(s):
    """In the middle of a file nothing hides pictures, and no sound is heard that is not in the film."""
    path = mp4.edit(h264(s), s.path("parts.mp4"), (0.5, 1.5), (3.7, 5.2))
    want = recording.decoded(path, "v:0")[0]
    for name, said in record(s, path):
        pictures, trouble = recording.decoded(name, "v:0")
        check(set(want) <= set(pictures) and not trouble, "%s lacks pictures, or %s", name, trouble)
        check("not to be shown" in said["err"], "of %s it said %s", name, said["err"])
        sound = recording.packets(name, "a:0")
        length = float(sound[-1]["pts_time"]) - float(recording.packets(name)[0]["pts_time"])
        check(all(float(b["pts_time"]) > float(a["pts_time"]) for a, b in zip(sound, sound[1:])) and length < 3.2,
              "sound in %s: %s", name, [packet["pts_time"] for packet in sound])


def test_many_files_of_a_part(s):
    """The first of many begins as a single one does, and what is behind the end is no use to anybody. (The part ends
    with a picture that no other is waiting for.)"""
    path = mp4.edit(h264(s), s.path("part.mp4"), (1.5, 5.6))
    folder = recording.folder(s)
    recorder = s.start("record", "film", folder + "/%Y%m%d-%H%M%S.mp4", "--wait", "--segment-bytes", "64K",
                       "--no-reconnect", "--utc")
    s.start("publish", path, "--name", "film", "--wait-for", "1", "--realtime").expect(OK)
    recorder.expect(OK)
    names = recording.files(folder)
    pictures = [picture for name in names for picture in recording.decoded("%s/%s" % (folder, name), "v:0")[0]]
    check(len(names) > 1 and pictures == recording.decoded(path, "v:0")[0], "%s have %d pictures", names, len(pictures))


if __name__ == "__main__":
    harness.main(globals())
