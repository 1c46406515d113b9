#!/usr/bin/env python3
"""test_record_sound.py - sound stays with its picture, copied or encoded: films that flash and beep each second."""
import struct

import harness
import mp4
import recording
from harness import OK, check

NO_SYNC_SAMPLE = 0x10000  # of ISO 14496-12: sample_is_non_sync_sample
SECONDS = 3
OFFSET = 0.020  # what sound may be off, of the source's own


def film(s, name, *sounds):
    """White for a picture and a beep of a tenth of a second, both at each full second. A sound is its rate and how it
    is encoded."""
    path, options = s.path(name), []
    flash = ("color=black:s=64x48:r=25:d=%d,drawbox=w=iw:h=ih:color=white:t=fill:enable='lt(mod(t+0.001,1),0.04)'" %
             SECONDS)
    beep = "aevalsrc='if(lt(mod(t,1),0.1),0.8*sin(2*PI*1000*t),0)':s=48000:d=%d" % SECONDS
    for number, (rate, encoder) in enumerate(sounds):
        options += ["-map", "1:a", "-ar:a:%d" % number, rate, "-c:a:%d" % number, encoder]
    recording.ffmpeg("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, "-map", "0:v", *options, *recording.H264,
                     "-g", "100", path)
    return path


def start_of(path):
    return float(recording.probe(path, "-show_format")["format"]["start_time"])


def flashes(path):
    """Times of the white pictures, from the file's beginning on."""
    raw = recording.ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", "scale=1:1,format=gray",
                           "-f", "rawvideo", "-", text=False)
    frames = recording.probe(path, "-select_streams", "v:0", "-show_frames", "-show_entries",
                             "frame=pts_time")["frames"]
    check(len(raw) == len(frames), "%s: %d pictures, %d times", path, len(raw), len(frames))
    return [float(frame["pts_time"]) - start_of(path) for frame, level in zip(frames, raw) if level > 128]


def beeps(path, sound=0):
    """Times at which it begins to be loud, likewise."""
    frames, rate = recording.samples(path, sound)
    begins, last, found = start_of(path), -1, []
    for time, levels in frames:
        for number, level in enumerate(levels):
            if abs(level) > 6000:
                now = time - begins + number / rate
                if not found or now - last > 0.5:
                    found.append(now)
                last = now
    return found


def offsets(path, sound, white):
    """How much later than its flash each beep is, but for the first, of which the beginning may be cut."""
    loud = beeps(path, sound)
    found = [beep - flash for flash in white for beep in loud if flash > 0.5 and abs(beep - flash) < 0.4]
    check(len(found) >= SECONDS - 1, "%s: flashes at %s, beeps of %d at %s", path, white, sound, loud)
    return found


def stays_together(s, source, names, codecs, args=()):
    white = flashes(source)
    before = [offsets(source, sound, white) for sound in range(len(codecs))]
    for name, said in zip(names, recording.record_whole(s, source, *names, args=args)):
        check(said["code"] == OK and [stream["codec"] for stream in said["streams"]] == ["h264", *codecs], "%s: %s",
              name, said)
        white = flashes(s.path(name))
        for sound, film in enumerate(before):
            check(max(film) - min(film) < OFFSET, "the film itself: %s", film)
            after = offsets(s.path(name), sound, white)
            check(all(abs(one - film[-1]) < OFFSET for one in after), "%s, %d: off by %s, in the film by %s", name,
                  sound, after, film)


def test_copied(s):
    stays_together(s, film(s, "film.mkv", (48000, "aac"), (48000, "libopus")), ("a.mp4", "a.mkv", "a.ts"),
                   ("aac", "opus"))


def test_encoded(s):
    """What cameras send, what has frames of its own, and a rate that AAC does not have. AAC itself is left alone."""
    names = ("a.mp4", "a.mkv", "a.ts")
    source = film(s, "film.mkv", (8000, "pcm_alaw"), (8000, "g726"), (48000, "libopus"), (37800, "pcm_s16le"),
                  (48000, "aac"))
    stays_together(s, source, names, ("aac",) * 5, ("--audio", "aac"))
    for name in names:
        for sound in range(5):
            _, complaints = recording.decoded(s.path(name), "a:%d" % sound)
            check(not complaints, "%s, %d: %s", name, sound, complaints)
    hashes = [[packet["data_hash"] for packet in recording.packets(path, "a:4")] for path in (source, s.path("a.mkv"))]
    check(recording.is_tail(*hashes), "AAC was encoded again")


def test_a_gap_stays_one(s):
    """Sound that stops for a while: nothing stands in its place, and what follows is in time."""
    whole, source = film(s, "whole.mkv", (8000, "pcm_alaw")), s.path("film.mkv")
    recording.ffmpeg("-i", whole, "-c", "copy", "-bsf:a", "noise=amount=0:drop='between(pts*tb,1.2,1.8)'", source)
    names = ("a.mp4", "a.mkv", "a.ts")
    for name, said in zip(names, recording.record_whole(s, source, *names, args=("--audio", "aac"))):
        begins = start_of(s.path(name))
        times = [float(packet["pts_time"]) - begins for packet in recording.packets(s.path(name), "a:0")]
        # a packet that is begun before the gap is made full: 1024 samples, and as many for the encoder's beginning
        inside = [time for time in times if 1.2 + 2 * 1024 / 8000 < time < 1.8 - 2 * 1024 / 8000]
        check(said["code"] == OK and not inside, "%s: sound at %s", name, inside)
        white, loud = flashes(s.path(name)), beeps(s.path(name))
        apart = loud[-1] - loud[0]
        check(abs(loud[-1] - white[-1]) < OFFSET and abs(apart - round(apart)) < OFFSET,
              "%s: flashes at %s, beeps at %s", name, white, loud)


def unmarked(path):
    """A film for feed.c whose sound nobody marks as a place to begin at, as it comes by RTP."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    _, tracks, count = struct.unpack_from("<q2I", data)
    at, kinds = 16, []
    for _ in range(tracks):
        kinds.append(struct.unpack_from("<I", data, at)[0])
        at += 64 + struct.unpack_from("<I", data, at + 60)[0]
    for _ in range(count):
        index, flags, size = struct.unpack_from("<3I", data, at)
        struct.pack_into("<I", data, at + 4, flags if kinds[index] == recording.VIDEO else flags & ~recording.KEY)
        at += 44 + size
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_sound_that_nobody_marks(s):
    """Who copies out of a recording leaves sound out that is not marked as a place to begin at: all of it, silently."""
    path = unmarked(recording.film(s, "film"))
    feed = recording.Feed(s, "cam", path)
    recorders = [s.start("record", "cam", s.path("out." + kind)) for kind in ("mp4", "mkv")]
    s.until(lambda: sum(entry["packets"] for entry in s.json("info", "cam", "--json")["subscriber_list"]) == 2,
            "both read")
    feed.play(60)
    feed.end()
    for recorder, kind in zip(recorders, ("mp4", "mkv")):
        recorder.expect(OK)
        sound = recording.packets(s.path("out." + kind), "a:0")
        marks = mp4.sample_flags(s.path("out.mp4"), 2)
        check(len(marks) > 20 and not any(flags & NO_SYNC_SAMPLE for flags in marks), "marked as %s", marks[:9])
        check(len(sound) > 20 and all("K" in packet["flags"] for packet in sound), "%s: %s", kind, sound[:3])
        recording.ffmpeg("-i", s.path("out." + kind), "-map", "0:a", "-c", "copy", s.path("sound." + kind))
        copied = recording.packets(s.path("sound." + kind), "a:0")
        check(len(copied) == len(sound), "%s: %d packets of %d", kind, len(copied), len(sound))


if __name__ == "__main__":
    harness.main(globals())
