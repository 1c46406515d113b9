#!/usr/bin/env python3
"""test_fmp4.py - the MP4 that the page writes for Media Source Extensions: ffprobe reads from it what went in, byte for
byte, with times, keyframes, size, shape of pixels and colour; and it decodes without a complaint. Runs under node."""
import base64
import os
import subprocess

import walling
import harness
from harness import LIMIT, check


def probe(path):
    harness.need_program("ffprobe")
    return harness.parse_json(walling.run("ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_data",
                                          "-show_data_hash", "md5", "-of", "json", path).decode())


def hexdump(text):
    """The bytes of what -show_data prints."""
    return b"".join(bytes.fromhex(line.split(": ", 1)[1][:40].replace(" ", ""))
                    for line in text.splitlines() if ": " in line)


def microseconds(seconds):
    return round(float(seconds) * 1e6)


def wrap(s, source, track, run_length=3):
    """Writes the only track of `source` anew; gives what ffprobe says of both, and the path of the new one."""
    before = probe(source)
    stream, packets = before["streams"][0], before["packets"]
    first = min(microseconds(packet["dts_time"]) for packet in packets)
    with open(source, "rb") as file:
        whole = file.read()
    samples = [{"dts": microseconds(packet["dts_time"]) - first, "pts": microseconds(packet["pts_time"]) - first,
                "duration": microseconds(packet["duration_time"]), "key": "K" in packet["flags"],
                "data": base64.b64encode(whole[int(packet["pos"]):][:int(packet["size"])]).decode()}
               for packet in packets]
    track = {"description": base64.b64encode(hexdump(stream.get("extradata", ""))).decode(), **track}
    if stream["codec_type"] == "video":
        track = {"kind": "video", "width": stream["width"], "height": stream["height"], **track}
    given = {"page": os.path.join(walling.modules(), "fmp4.js"), "track": track, "samples": samples,
             "run": run_length}
    copy = os.path.join(s.root, "copy.mp4")
    with open(copy, "wb") as file:
        file.write(walling.node("wrap.mjs", given))
    after = probe(copy)
    check(len(after["packets"]) == len(packets), "%u packets of %u", len(after["packets"]), len(packets))
    for i, (old, new) in enumerate(zip(packets, after["packets"])):
        check(old["data_hash"] == new["data_hash"], "packet %u has other bytes", i)
        keys = ["K" in packet["flags"] for packet in (old, new)]
        check(keys[0] == keys[1], "packet %u: keyframe %r, now %r", i, *keys)
        for key in "dts", "pts", "duration":
            if key == "duration" and (i == len(packets) - 1 or key + "_time" not in new):
                continue # FFmpeg goes by what the codec says, if it says something: sound ends within a frame
            want, got = samples[i][key], microseconds(new[key + "_time"])
            # Within a fragment times are sums of durations, and those are rounded.
            check(abs(want - got) <= run_length, "packet %u: %s is %d us, not %d", i, key, got, want)
    complaints = subprocess.run(["ffmpeg", "-v", "warning", "-xerror", "-i", copy, "-f", "null", "-"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
    check(complaints.returncode == 0 and not complaints.stdout, "ffmpeg says %s", complaints.stdout.decode()[-2000:])
    return stream, after["streams"][0]


def encode(s, *options, source="testsrc2=s=160x120:r=25:d=2"):
    path = os.path.join(s.root, "clip.mp4")
    harness.need_program("ffmpeg")
    walling.run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *options, path)
    return path


def codec_of(path):
    """As browsers call it, of an avcC."""
    data = hexdump(probe(path)["streams"][0]["extradata"])
    return "avc1.%02x%02x%02x" % tuple(data[1:4])


def h264(s, run_length, *options, **track):
    path = encode(s, "-c:v", "libx264", "-g", "20", *options)
    return wrap(s, path, {"codec": codec_of(path), **track}, run_length)


def test_h264_one_sample_a_fragment(s):
    old, new = h264(s, 1, "-bf", "0", "-tune", "zerolatency")
    check((new["codec_name"], new["width"], new["height"]) == ("h264", old["width"], old["height"]), "is %r", new)
    check(new["extradata_hash"] == old["extradata_hash"], "the avcC is another one")


def test_b_frames_keep_their_order(s):
    h264(s, 5, "-bf", "3")


def test_colour_and_shape_of_pixels(s):
    # Not said in the bitstream, so that the boxes must say it.
    for color, full in (("bt709", False), ("smpte170m", False), ("bt709", True)):
        _, new = h264(s, 4, "-bf", "0", sample_aspect=[16, 11],
                      color={"primaries": color, "transfer": color, "matrix": color, "full": full})
        said = [new.get(key) for key in ("color_space", "color_primaries", "color_transfer", "color_range")]
        check(said == [color] * 3 + ["pc" if full else "tv"], "%s, full %s: it says %r", color, full, said)
        check(new["sample_aspect_ratio"] == "16:11", "pixels are %s", new["sample_aspect_ratio"])


def test_vp9(s):
    path = encode(s, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "20")
    _, new = wrap(s, path, {"codec": "vp09.00.10.08", "description": ""})
    check(new["codec_name"] == "vp9", "is %s", new["codec_name"])


def test_sound(s):
    for encoder, codec, name in (("aac", "mp4a.40.2", "aac"), ("libopus", "opus", "opus")):
        path = encode(s, "-c:a", encoder, source="sine=440:r=48000:d=2")
        _, new = wrap(s, path, {"kind": "audio", "codec": codec, "sample_rate": 48000, "channels": 1}, 7)
        check((new["codec_name"], new["sample_rate"]) == (name, "48000"), "is %r", new)


if __name__ == "__main__":
    harness.main(globals())
