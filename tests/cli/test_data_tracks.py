#!/usr/bin/env python3
"""test_data_tracks.py - subtitles and data beside a video: packets have them bit for bit, at their times, and what
writes files says that it leaves them out."""
import struct

import harness
import media
import recording
from harness import OK, check

SUBTITLES = """1
00:00:00,500 --> 00:00:01,500
One

2
00:00:02,000 --> 00:00:03,000
Two <i>words</i>, \u00e4

3
00:00:03,200 --> 00:00:03,900
Three
"""
VIDEO = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p")


def crc(data):
    """As tables of transport streams have it."""
    value = 0xffffffff
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04c11db7 if value >> 31 else 0)) & 0xffffffff
    return value


def with_klv(data):
    """A transport stream whose table says of its last stream that it is KLV."""
    said = b"\x05\x04KLVA"
    packets = [data[at:at + 188] for at in range(0, len(data), 188)]
    for number, packet in enumerate(packets):
        if packet[1] & 0x5f != 0x50 or packet[2] != 0 or packet[4:6] != b"\0\x02":  # PID 0x1000, a PMT
            continue
        end = 8 + ((packet[6] & 15) << 8 | packet[7])
        section = bytearray(packet[5:end - 4] + said)
        section[-len(said) - 1] += len(said)  # of the last stream, which has no other words
        section[2] += len(said)
        section += struct.pack(">I", crc(section))
        packets[number] = (packet[:5] + section).ljust(188, b"\xff")
    return b"".join(packets)


def inputs(s):
    """Films with one data track each: path, codec."""
    with open(s.path("words.srt"), "w", encoding="utf-8") as file:
        file.write(SUBTITLES)
    with open(s.path("data.bin"), "wb") as file:
        file.write(bytes((at * at * 31 + (at >> 3) * 17) & 0xff for at in range(3000)))
    words = ("-i", s.path("words.srt"), "-map", "0", "-map", "1", *CODED)
    try:
        for name, codec, form in (("film.mkv", "subrip", "srt"), ("styled.mkv", "ass", "ass"),
                                  ("film.mp4", "mov_text", "mov_text")):
            media.ffmpeg(*VIDEO, *words, "-c:s", form, s.path(name))
            yield s.path(name), codec
        media.ffmpeg(*VIDEO, "-f", "data", "-i", s.path("data.bin"), "-map", "0", "-map", "1", *CODED, "-c:d", "copy",
                     "-bsf:d", "setts=ts=N*90000", s.path("data.ts"))
    except media.CannotMake as why:
        harness.skip(str(why))
    yield s.path("data.ts"), "bin_data"
    with open(s.path("data.ts"), "rb") as file, open(s.path("klv.ts"), "wb") as copy:
        copy.write(with_klv(file.read()))
    yield s.path("klv.ts"), "klv"


def test_packets(s):
    for path, codec in inputs(s):
        wanted = recording.probe(path, "-select_streams", "1", "-show_packets", "-show_data")["packets"]
        check(len(wanted) >= 3, "%s itself has %s", path, wanted)
        publisher = s.start("publish", path, "--name", "film", "--wait-for", "1", "--json")
        process = s.start_program(harness.need_built("tests", "contents"), "film", 1, len(wanted))
        rows = [line.split() for line in process.expect(OK).out.splitlines()]
        check(publisher.expect(OK), "it failed")
        contents = [recording.hexdump(packet["data"]) for packet in wanted]
        check([bytes.fromhex(row[3]) for row in rows] == contents, "%s: %s came, wanted %s", path, rows, contents)
        times = [float(packet["pts_time"]) for packet in wanted]
        steps = [int(row[1]) / 1e9 - time for row, time in zip(rows, times)]
        check(max(steps) - min(steps) < 1e-3, "%s: the times are off by %s", path, steps)
        publisher = s.start("publish", path, "--name", "film", "--realtime", "--loop")
        s.wait_stream("film", publisher)
        tracks = [(track["type"], track["codec"]) for track in s.json("info", "film", "--json")["tracks"]]
        check(tracks == [("video", "h264"), ("data", codec)], "%s: tracks %s", path, tracks)
        publisher.stop()


def test_files(s):
    """They have the video, and a sentence says what they do not have."""
    for path, codec in inputs(s):
        said = "left out: stream 1 (%s) is neither video nor sound" % codec
        names = ("a.mkv", "a.mp4", "a.ts")
        for name, result in zip(names, recording.record_whole(s, path, *names, args=("--overwrite",))):
            check(result["code"] == OK and result["err"].count(said) == 1, "%s: %s", name, result)
            kinds = [stream["codec_type"] for stream in recording.probe(s.path(name), "-show_streams")["streams"]]
            check(kinds == ["video"], "%s of %s has %s", name, path, kinds)
    result, = recording.record_whole(s, path, "a.mkv", args=("--overwrite", "--tracks", "video"))
    check(result["code"] == OK and "left out" not in result["err"], "it said %s", result)
    pipe = s.start("pipe", "film", "--packets", "--wait")
    s.start("publish", path, "--name", "film", "--realtime", "--wait-for", "1").expect(OK)
    result = pipe.expect(OK)
    check(said in result.err, "it said %s", result.err)


if __name__ == "__main__":
    harness.main(globals())
