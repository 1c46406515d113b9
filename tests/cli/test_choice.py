#!/usr/bin/env python3
"""test_choice.py - inputs with several videos: which one is taken, and that the others are left alone; and options that
go to FFmpeg as they are."""
import json
import os

import harness
import media
from harness import check
from server import Files

SMALL, LARGE, FRAMES = (160, 120), (320, 180), 50


def ffmpeg(*args):
    try:
        media.ffmpeg(*args)
    except media.CannotMake as why:
        harness.skip(str(why))


def films(s):
    return media.make(s.root, "elementary"), media.make(s.root, "elementary_large")


def variants(s):
    """A film in two sizes, as HLS: two pieces of one second of each."""
    directory = s.path("hls")
    os.mkdir(directory)
    lines = ["#EXTM3U"]
    for name, film, size, rate in zip(("small", "large"), films(s), (SMALL, LARGE), (100000, 2000000)):
        ffmpeg("-framerate", "25", "-i", film, "-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0",
               os.path.join(directory, name + ".m3u8"))
        lines += ["#EXT-X-STREAM-INF:BANDWIDTH=%d,RESOLUTION=%dx%d" % (rate, *size), name + ".m3u8"]
    with open(os.path.join(directory, "film.m3u8"), "w") as file:
        file.write("\n".join(lines) + "\n")
    return Files(s, directory)


def published(s, *args, code=harness.OK):
    """The first and the last event of a publisher that runs to its end."""
    result = s.run("publish", *args, "--name", "cam", "--json")
    check(result.code == code, "%s ended with %s: %s", args, result.code, result.err)
    events = [harness.parse_json(line) for line in result.out.splitlines()]
    return events[0], events[-1], result.err


def check_choice(s, size, *args):
    start, end, said = published(s, *args)
    check((start["width"], start["height"]) == size, "%s: took %s", args, start)
    check(end["frames"] == FRAMES, "%s: %s", args, end)
    return end, said


def test_variants(s):
    server = variants(s)
    address = server.address("film.m3u8")
    for size, *choice in ((LARGE,), (LARGE, "largest"), (SMALL, "smallest"), (SMALL, "500K"), (LARGE, "2000000"),
                          (SMALL, "319x500"), (LARGE, "1920x1080"), (SMALL, "16x16"), (SMALL, "1K")):
        server.asked.clear()
        options = ["--variant", *choice] if choice else []
        end, said = check_choice(s, size, address, "--no-reconnect", *options)
        check(end["packets"] == FRAMES, "%s: packets of the other one, too: %s", choice, end)
        check("left out: %dx%d" % (LARGE if size == SMALL else SMALL) in said, "said %s", said)
        other = "small" if size == LARGE else "large"
        check(not any(name.startswith(other) for name in server.asked), "%s: fetched for nobody: %s", choice,
              server.asked)


def test_variants_with_sound_apart(s):
    """Sound that belongs to the other variant is not fetched either; one without pictures is none of them."""
    server = variants(s)
    directory = s.path("hls")
    for name in ("good", "poor"):
        ffmpeg("-f", "lavfi", "-i", "sine=r=16000:d=2", "-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_list_size",
               "0", os.path.join(directory, name + ".m3u8"))
    lines = ["#EXTM3U"]
    for name in ("good", "poor"):
        lines.append('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="%s",NAME="a, b",URI="%s.m3u8"' % (name, name))
    for group, name, size, rate in zip(("poor", "good"), ("small", "large"), (SMALL, LARGE), (100000, 2000000)):
        more = 'RESOLUTION=%dx%d,CODECS="avc1.64000a,mp4a.40.2",AUDIO="%s"' % (*size, group)
        lines += ["#EXT-X-STREAM-INF:BANDWIDTH=%d,%s" % (rate, more), "./%s.m3u8" % name]
    lines += ['#EXT-X-STREAM-INF:BANDWIDTH=9000,CODECS="mp4a.40.2",AUDIO="poor"', "poor.m3u8"]
    with open(os.path.join(directory, "film.m3u8"), "w") as file:
        file.write("\n".join(lines) + "\n")
    for size, sound, choice in ((LARGE, "good", "largest"), (SMALL, "poor", "smallest")):
        server.asked.clear()
        end, _ = check_choice(s, size, server.address("film.m3u8"), "--no-reconnect", "--variant", choice)
        check(end["packets"] > FRAMES, "no sound: %s", end)
        others = {"small": "large", "large": "small", "good": "poor", "poor": "good"}
        gone = others[sound], others["large" if size == LARGE else "small"]
        check(not any(name.startswith(gone) for name in server.asked), "%s: fetched %s", choice, server.asked)


def test_programmes(s):
    """What belongs to another programme of a transport stream is not published either."""
    small, large = films(s)
    path = s.path("two.ts")
    ffmpeg("-framerate", "25", "-i", small, "-framerate", "25", "-i", large, "-map", "0", "-map", "1", "-c", "copy",
           "-program", "program_num=1:st=0", "-program", "program_num=2:st=1", path)
    for size, choice in ((SMALL, "smallest"), (LARGE, "largest")):
        end, _ = check_choice(s, size, path, "--variant", choice)
        check(end["packets"] == FRAMES, "packets of both: %s", end)


def test_two_videos_of_one_film(s):
    """They are no variants: one is decoded, and the packets of both are there."""
    small, large = films(s)
    path = s.path("two.mkv")
    ffmpeg("-framerate", "25", "-i", small, "-framerate", "25", "-i", large, "-map", "0", "-map", "1", "-c", "copy",
           path)
    for size, choice in ((SMALL, "smallest"), (LARGE, "largest")):
        end, said = check_choice(s, size, path, "--variant", choice)
        check(end["packets"] == 2 * FRAMES and "left out" not in said, "%s: %s", end, said)


def test_input_options(s):
    server = variants(s)
    address = server.address("film.m3u8")
    published(s, address, "--no-reconnect", "--input-option", "user_agent=of the test")
    check(server.agents == {"of the test"}, "they were %s", server.agents)
    film = media.make(s.root, "elementary_large")
    _, end, _ = published(s, film, "--input-option", "framerate=10", "--input-option", "skip_frame=nokey")
    check(end["frames"] == 2, "the demuxer's and the decoder's: %s", end)
    _, end, said = published(s, film, "--input-option", "user_agent=x", "--input-option", "rtsp_flags=prefer_tcp")
    check(end["frames"] == 50, "%s", end)
    for key in ("user_agent", "rtsp_flags"):
        check(said.count("--input-option %s does nothing here" % key) == 1 and "h264" in said, "said %s", said)
    for wrong in ("framerate", "=10", "a=b\nc=d"):
        result = s.run("publish", film, "--name", "cam", "--input-option", wrong)
        check(result.code == harness.USAGE and "KEY=VALUE" in result.err, "%r: %s", wrong, result)


def test_wrong_input_options(s):
    """They are known before anything is opened; a value may be a secret."""
    film = media.make(s.root, "elementary")
    for wrong, words in (("framrate=10", "did you mean framerate?"), ("prob_size=hidden", "did you mean probesize?"),
                         ("nonsense=hidden", "no such option"), ("crf=20", "no such option"), ("lowres=1", "size"),
                         ("probesize=hidden", "value"), ("probesize=-hidden", "value"), ("=hidden", "KEY=VALUE"),
                         ("rtsp_flags=prefer_hidden", "value"), ("skip_frame=hidden", "value"),
                         ("framerate=hidden", "value"), ("tls_verify=hidden", "value"), ("threads=hidden", "threads"),
                         ("timeout=hidden", "--timeout"), ("rtsp_transport=hidden", "--rtsp-transport")):
        result = s.run("publish", film, "--name", "cam", "--input-option", wrong)
        check(result.code == harness.USAGE and words in result.err, "%s: %s", wrong, result)
        check("--input-option " + wrong.split("=")[0] in result.err, "%s: %s", wrong, result)
        check("hidden" not in result.err, "a value is shown: %s", result)
    for good in ("probesize=1M", "fflags=+genpts-fastseek", "rtsp_flags=prefer_tcp", "skip_frame=nokey",
                 "max_delay=500k", "allowed_media_types=video+audio", "headers=X-A: b", "framerate=30000/1001",
                 "tls_verify=1"):
        result = s.run("publish", film, "--name", "cam", "--input-option", good)
        check(result.code == harness.OK, "%s: %s", good, result)


def test_in_a_file(s):
    with open(s.path("streams.json"), "w") as file:
        json.dump({"streams": [{"input": media.make(s.root, "elementary"), "name": "cam", "variant": "largest",
                                "input-option": ["framerate=10", "skip_frame=nokey"]}]}, file)
    result = s.run("publish", "--config", s.path("streams.json"), "--json")
    check(result.code == harness.OK, "%s", result)
    check(harness.parse_json(result.out.splitlines()[-1])["frames"] == 2, "%s", result.out)


def test_an_object_in_a_file(s):
    film = media.make(s.root, "elementary")
    for options, code, words in (({"framerate": 10, "skip_frame": "nokey"}, harness.OK, ""),
                                 ({"framerate": [1]}, harness.USAGE, "strings or numbers"),
                                 ({"headers": "hidden" * 200}, harness.USAGE, "1023"),
                                 ({"framrate": "hidden"}, harness.USAGE, "did you mean framerate?")):
        with open(s.path("streams.json"), "w") as file:
            json.dump({"streams": [{"input": film, "name": "cam", "input-option": options}]}, file)
        result = s.run("publish", "--config", s.path("streams.json"), "--json")
        check(result.code == code and words in result.err and "hidden" not in result.err, "%s: %s", options, result)
        if code == harness.OK:
            check(harness.parse_json(result.out.splitlines()[-1])["frames"] == 2, "%s", result.out)


def test_wrong_variants(s):
    for wrong in ("0", "2X", "-3", "x", "12x", "999999999999", "larges"):
        result = s.run("publish", harness.CLIP, "--name", "cam", "--variant", wrong)
        check(result.code == harness.USAGE and "--variant %s wants" % wrong in result.err, "%s: %s", wrong, result)
    check("mean largest?" in result.err, "no hint: %s", result.err)


if __name__ == "__main__":
    harness.main(globals())
