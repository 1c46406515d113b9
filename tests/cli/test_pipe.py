#!/usr/bin/env python3
"""test_pipe.py - cuframes pipe: every picture, its bytes and its time, in each way that a program may read them; what
is converted; packets; several readers of one socket."""
import os
import signal
import socket

import harness
import media
import piping
import recording
import test_record_codecs as codecs
from harness import OK, check
from piping import FRAMEMD5, Film, Piped, ffmpeg, into


def every_picture(s, path, name, *words, compare=(), publish=(), times=True):
    """A whole film through a pipe: what ffmpeg reads there is what it decodes itself."""
    film = Film(s, path, name, *publish)
    out, process = into(s, ffmpeg(*FRAMEMD5), name, "--wait", "--mode", "ordered", *words)
    film.end()
    process.expect(OK)
    reference = piping.direct(path, *compare)
    seen, wanted = piping.frames(out), piping.frames(reference)
    check(len(wanted) >= 40 and len(seen) == len(wanted), "%s: %d pictures of %d", name, len(seen), len(wanted))
    wrong = [number for number, (one, other) in enumerate(zip(seen, wanted)) if one[1] != other[1]]
    check(not wrong, "%s: pictures %s are others", name, wrong[:10])
    if times:
        check(piping.rate(out) == piping.rate(reference), "%s: %s", name, out.decode()[:400])
        check(seen == wanted, "%s: times differ", name)


def test_whole_clip(s):
    """338 pictures of the clip, whose times have gaps."""
    every_picture(s, harness.CLIP, "film")


def test_pixel_formats(s):
    """8 and 10 bits, odd sides, 4:2:2, 4:4:4, gray."""
    for kind, pixels in (("hevc10", "yuv420p10le"), ("odd", "yuvj420p"), ("mjpeg", "yuvj422p"), ("gray", "gray"),
                         ("yuv444", "yuv444p"), ("cropped", "yuv420p")):
        every_picture(s, media.make(s.root, kind), kind, compare=("-pix_fmt", pixels), times=kind != "gray")


def test_rgb(s):
    """A film of RGB, which is published as rgba."""
    path = s.path("rgb.mkv")
    recording.ffmpeg("-t", "2", "-i", harness.CLIP, "-vf", "scale=322:182", "-c:v", "ffv1", "-pix_fmt", "gbrp", "-an",
                     path)
    every_picture(s, path, "rgb", compare=("-pix_fmt", "rgba"))


def test_matroska(s):
    """The other container, with times in ms: the same pictures, and their colours, which NUT does not say."""
    path = s.path("colour.mkv")
    recording.ffmpeg("-t", "2", "-i", harness.CLIP, "-vf", "scale=320:180,setsar=4/3", "-c:v", "ffv1", "-pix_fmt",
                     "yuv422p", "-colorspace", "bt709", "-color_range", "pc", "-color_primaries", "bt709",
                     "-color_trc", "bt709", "-an", path)
    every_picture(s, path, "colour", "--container", "mkv", times=False)
    for container, space in (("mkv", "bt709"), ("nut", None)):
        film = Film(s, path, "head")
        piped = Piped(s, "head", "--wait", "--container", container, "--mode", "ordered")
        with open(s.path("head." + container), "wb") as file:
            file.write(piped.read_all())
        film.end()
        piped.process.expect(OK)
        stream = recording.streams(s.path("head." + container))["video"]
        check(stream["sample_aspect_ratio"] == "4:3", "%s: %s", container, stream)
        check(stream.get("color_space") == space, "%s: %s", container, stream)
        check(stream.get("color_range") == ("pc" if space else None), "%s: %s", container, stream)


def snapshot_raw(s, name):
    path = s.path(name + ".raw")
    s.start("snapshot", name, path, "--format", "raw").expect(OK)
    with open(path, "rb") as file:
        return file.read()


PIXEL_FORMATS = ("nv12", "p010", "yuv420p", "yuv422p", "yuv444p", "gray8", "rgb24", "rgba", "bgra", "bgr24",
                 "yuyv422", "uyvy422", "gray16", "yuv420p10", "yuv422p10", "rgbp")
# what ffmpeg calls them; None: the container has no name for it
FFMPEG = {"p010": "yuv420p10le", "gray8": "gray", "gray16": "gray16le", "yuv420p10": "yuv420p10le",
          "yuv422p10": "yuv422p10le", "rgbp": "gbrp"}


def test_raw_and_nut_of_every_format(s):
    """A picture that stands still: raw is what snapshot writes, and NUT what ffmpeg unpacks again."""
    for pixels in PIXEL_FORMATS:
        publisher = s.publish("test:61x45@1/600," + pixels, pixels)
        wanted = snapshot_raw(s, pixels)
        raw = Piped(s, pixels, "--raw", "--count", "1", "--json")
        got = raw.read_all()
        said = raw.said()
        check(got == wanted, "%s: raw pictures are others", pixels)
        check(said["picture_bytes"] == len(wanted) and said["format"] == "61x45 " + pixels, "%s", said)
        check("%d bytes a picture, raw" % len(wanted) in raw.process.err, "%s", raw.process.err)
        name = FFMPEG.get(pixels, pixels)
        out, process = into(s, ffmpeg("-f", "rawvideo", "-pix_fmt", name, "-"), pixels, "--count", "1")
        process.expect(OK)
        if pixels == "p010":  # the same samples, in planes and in the low bits
            planar = s.start_program("ffmpeg", "-nostdin", "-v", "error", "-f", "rawvideo", "-pix_fmt", "p010le", "-s",
                                     "61x45", "-i", s.path("p010.raw"), "-pix_fmt", name, "-f", "rawvideo", "-y",
                                     "p010.planar")
            planar.expect(OK)
            with open(s.path("p010.planar"), "rb") as file:
                wanted = file.read()
        if pixels == "rgbp":  # R, G, B here, and G, B, R there
            plane = 61 * 45
            wanted = wanted[plane:] + wanted[:plane]
        check(out == wanted, "%s: NUT gives other bytes", pixels)
        probed = Piped(s, pixels, "--count", "1")
        with open(s.path("one.nut"), "wb") as file:
            file.write(probed.read_all())
        probed.process.expect(OK)
        stream = recording.streams(s.path("one.nut"))["video"]
        check(stream["pix_fmt"] == name, "%s is read as %s", pixels, stream["pix_fmt"])
        publisher.stop()


def test_conversion(s):
    """Of one colour: each format that is asked for has it, within rounding; sizes and shapes of pixels follow."""
    path = s.path("red.mkv")
    recording.ffmpeg("-f", "lavfi", "-i", "color=0xc8285a:s=64x48:d=2:r=5,format=rgb24", "-vf",
                     "scale=out_color_matrix=bt709:out_range=tv,setsar=2/1", "-c:v", "ffv1", "-pix_fmt", "yuv444p",
                     "-colorspace", "bt709", "-color_range", "tv", path)
    s.publish(path, "red", "--loop", "--realtime")
    for pixels, sample in (("rgb24", (0xc8, 0x28, 0x5a)), ("bgr24", (0x5a, 0x28, 0xc8)),
                           ("rgba", (0xc8, 0x28, 0x5a, 0xff))):
        raw = Piped(s, "red", "--raw", "--count", "1", "--format", pixels, "--size", "32x", "--json")
        got, said = raw.read_all(), raw.said()
        check(said["format"].startswith("32x24 " + pixels) and len(got) == 32 * 24 * len(sample), "%s", said)
        off = [max(abs(a - b) for a, b in zip(got[at:at + len(sample)], sample))
               for at in range(0, len(got), len(sample))]
        check(max(off) <= 3, "%s is off by %d", pixels, max(off))
    piped = Piped(s, "red", "--count", "1", "--size", "x96", "--format", "gray")
    with open(s.path("red.nut"), "wb") as file:
        file.write(piped.read_all())
    piped.process.expect(OK)
    stream = recording.streams(s.path("red.nut"))["video"]
    check((stream["width"], stream["height"], stream["sample_aspect_ratio"]) == (128, 96, "2:1"), "%s", stream)
    piped = Piped(s, "red", "--count", "1", "--size", "64x96")
    with open(s.path("red.nut"), "wb") as file:
        file.write(piped.read_all())
    piped.process.expect(OK)
    check(recording.streams(s.path("red.nut"))["video"]["sample_aspect_ratio"] == "4:1", "pixels that are not scaled")


def test_fps(s):
    """Of 25 a second every fifth, on the beat; of 24 with gaps, at most so many."""
    film = Film(s, "test:64x48@25", "beat", "--duration", "600")
    piped = Piped(s, "beat", "--wait", "--mode", "ordered", "--fps", "5", "--duration", "2", "--json")
    with open(s.path("beat.nut"), "wb") as file:
        file.write(piped.read_all())
    said = piped.said()
    check(said["pictures"] == 10 and said["ended"] == "duration" and said["left_out"] >= 36, "%s", said)
    times = [float(packet["pts_time"]) for packet in recording.packets(s.path("beat.nut"))]
    check(all(abs(after - before - 0.2) < 1e-6 for before, after in zip(times, times[1:])), "%s", times)
    check(recording.streams(s.path("beat.nut"))["video"]["r_frame_rate"] == "5/1", "the rate is not said")
    for process in s.processes:
        if "publish" in process.name:
            process.send(signal.SIGINT)
    film.end()


def test_tensors(s):
    """As they are, and only so."""
    s.start_program(harness.need_built("tests", "tensors"), "net")
    s.wait_stream("net")
    raw = Piped(s, "net", "--raw", "--count", "1", "--json")
    got, said = raw.read_all(), raw.said()
    check(got == bytes(range(60)) and said["format"] == "2x3x5 float16", "%s", said)
    for words in ((), ("--raw", "--size", "64x")):
        result = s.run("pipe", "net", *words)
        check(result.code == harness.FAILED and "net has tensors, which are no pictures" in result.err, "%s", result)


def packet_hashes(path, stream="v:0"):
    return [packet["data_hash"] for packet in recording.packets(path, stream)]


def copied(s, source, container, stream="v:0"):
    """What ffmpeg -c copy makes of it."""
    path = s.path("copied." + container)
    recording.ffmpeg("-i", source, "-map", "0:" + stream, "-c", "copy", path)
    return packet_hashes(path, stream)


def test_packets(s):
    """Each packet of the video, bit for bit as ffmpeg -c copy has it, in each container; times of NUT are the
    source's."""
    for kind, source in (("h264", harness.CLIP), ("hevc", media.make(s.root, "hevc8")),
                         ("mjpeg", media.make(s.root, "mjpeg"))):
        for container in ("nut", "mkv", "mp4", "ts"):
            if (kind, container) == ("mjpeg", "ts"):
                continue
            film = Film(s, source, "film")
            piped = Piped(s, "film", "--wait", "--packets", "--container", container, "--json")
            path = s.path("film." + container)
            with open(path, "wb") as file:
                file.write(piped.read_all())
            film.end()
            said = piped.said()
            check(said["lost"] == said["refused"] == 0 and said["ended"] == "publisher_gone", "%s", said)
            check(packet_hashes(path) == copied(s, source, container), "%s in %s: others", kind, container)
            if container == "nut":
                times = [float(packet["pts_time"]) for packet in recording.packets(path)]
                wanted = [float(packet["pts_time"]) for packet in recording.packets(source)]
                check(times == wanted, "%s: times %s, not %s", kind, times[:5], wanted[:5])


def test_packets_follow_pictures(s):
    """Packets and pictures of one stream have the same times, from wherever a reader joined."""
    s.publish(media.make(s.root, "camera"), "cam", "--loop", "--realtime")
    pictures = Piped(s, "cam", "--duration", "1.5", "--mode", "ordered")
    packets = Piped(s, "cam", "--packets", "--duration", "3")
    for name, piped in (("pictures", pictures), ("packets", packets)):
        with open(s.path(name + ".nut"), "wb") as file:
            file.write(piped.read_all())
        piped.process.expect(OK)
    of_packets = {float(packet["pts_time"]) for packet in recording.packets(s.path("packets.nut"))}
    of_pictures = {float(packet["pts_time"]) for packet in recording.packets(s.path("pictures.nut"))}
    both = [time for time in of_pictures if min(of_packets) <= time <= max(of_packets)]
    near = [time for time in both if any(abs(time - other) < 1e-4 for other in of_packets)]
    check(len(both) >= 5 and near == both, "pictures %s, packets %s", sorted(of_pictures)[:9], sorted(of_packets)[:9])


def test_every_codec_in_nut(s):
    """The table of what NUT holds: read back under the same name, bit for bit, or left out with a word."""
    left_out = ("prores", "alac", "truehd", "adpcm_g726", "eac3", "adpcm_ms", "wmv2")
    for kinds, sound in ((codecs.SOUND, True), (codecs.SAMPLES, True), (codecs.PICTURES, False)):
        source, tracks = codecs.film(s, kinds, sound)
        film = Film(s, source, "film")
        piped = Piped(s, "film", "--wait", "--packets", "--json")
        with open(s.path("film.nut"), "wb") as file:
            file.write(piped.read_all())
        film.end()
        said = piped.said()
        written = {stream["track"]: number for number, stream in enumerate(said["streams"])}
        seen = recording.probe(s.path("film.nut"), "-show_streams")["streams"]
        for track, codec in enumerate(tracks):
            check((track in written) == (codec not in left_out), "%s: %s", codec, piped.process.err)
            if track in written:
                check(seen[written[track]]["codec_name"] == codec, "%s is %s", codec, seen[written[track]])
                got = packet_hashes(s.path("film.nut"), str(written[track]))
                wanted = packet_hashes(source, str(track))
                check(recording.is_tail(wanted, got) and 2 * len(got) >= len(wanted), "%s: %d packets, others than the "
                      "%d of the film", codec, len(got), len(wanted))
            else:
                check("do not find %s in nut" % codec in piped.process.err, "%s: %s", codec, piped.process.err)


def test_listen(s):
    """Several readers, each a subscriber of its own: one that sleeps takes nothing from the others, one that leaves is
    seen, and what a dead server left is replaced."""
    size = 640 * 360
    s.publish("test:640x360@100,gray8", "cam")
    path = s.path("cam.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    server = s.start("pipe", "cam", "--raw", "--listen", path, "--json")
    server.wait_for("listening on")
    readers = [piping.read_socket(path) for _ in range(3)]
    for reader in readers:
        piping.receive(reader, size)
    labels = [seat["label"] for seat in s.json("info", "cam", "--json")["subscriber_list"]]
    check(sorted(labels) == ["pipe 1", "pipe 2", "pipe 3"], "%s", labels)
    for _ in range(20):
        piping.receive(readers[1], size)
    readers[2].close()
    server.wait_for(r"reader 3: \d+ pictures.*enough")
    s.until(lambda: len(s.json("info", "cam", "--json")["subscriber_list"]) == 2, "its seat is free")
    readers.append(piping.read_socket(path))
    piping.receive(readers[3], size)
    second = s.run("pipe", "cam", "--raw", "--listen", path)
    check(second.code == harness.FAILED and "in use" in second.err, "two servers of one path: %s", second)
    result = server.stop(signal.SIGTERM)
    said = piping.report(result)
    check(said["readers"] == 4 and said["pictures"] >= 23 and said["skipped"] > 0, "%s", said)
    for reader in readers:
        reader.close()
    check(not os.path.exists(path), "the socket is left")


def test_waits_for_stream_and_picture(s):
    """Before there is a stream of that name."""
    piped = Piped(s, "cam", "--raw", "--wait", "--count", "2", "--json")
    piped.process.wait_for("waiting for cam")
    s.publish("test:64x48@25,gray8", "cam")
    check(len(piped.read_all()) == 2 * 64 * 48, "no pictures")
    piped.said()


if __name__ == "__main__":
    harness.main(globals())
