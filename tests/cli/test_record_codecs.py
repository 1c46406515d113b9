#!/usr/bin/env python3
"""test_record_codecs.py - each codec in each container: written so that it is read back, bit for bit and decoded to the
same, or left out with a reason and with what to use instead."""
import harness
import recording
from harness import check

MP4, MKV, TS = "mp4", "mkv", "ts"
EVERYWHERE = (MP4, MKV, TS)

# codec: its encoder and options, and the containers that hold it
SOUND = {
    "aac": (("aac",), EVERYWHERE),
    "mp3": (("libmp3lame",), EVERYWHERE),
    "mp2": (("mp2",), EVERYWHERE),
    "ac3": (("ac3",), EVERYWHERE),
    "eac3": (("eac3",), EVERYWHERE),
    "dts": (("dca", "-ac", "2"), EVERYWHERE),
    "opus": (("libopus",), EVERYWHERE),
    "vorbis": (("libvorbis",), (MP4, MKV)),
    "flac": (("flac",), (MP4, MKV)),
    "alac": (("alac",), (MP4, MKV)),
    "truehd": (("truehd", "-ac", "2"), (MKV, TS)),
    "pcm_alaw": (("pcm_alaw", "-ar", "8000"), (MKV,)),
    "pcm_mulaw": (("pcm_mulaw", "-ar", "8000"), (MKV,)),
    "adpcm_g722": (("g722", "-ar", "16000"), (MKV,)),
    "adpcm_g726": (("g726", "-ar", "8000"), (MKV,)),
}
SAMPLES = {name: ((name,), (MKV,)) for name in (
    "pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f64le")}
SAMPLES["adpcm_ms"] = (("adpcm_ms",), ())
SAMPLES["wavpack"] = (("wavpack",), (MKV,))
PICTURES = {
    "h264": (("libx264", "-preset", "ultrafast"), EVERYWHERE),
    "hevc": (("libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"), EVERYWHERE),
    "mpeg4": (("mpeg4",), EVERYWHERE),
    "mpeg2video": (("mpeg2video",), EVERYWHERE),
    "mpeg1video": (("mpeg1video",), EVERYWHERE),
    "av1": (("libsvtav1", "-preset", "12"), (MP4, MKV)),
    "vp9": (("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), (MP4, MKV)),
    "vp8": (("libvpx", "-deadline", "realtime", "-cpu-used", "8"), (MKV,)),
    "mjpeg": (("mjpeg", "-pix_fmt", "yuvj420p"), (MP4, MKV)),
    "jpeg2000": (("jpeg2000",), (MP4, MKV)),
    "png": (("png", "-pix_fmt", "rgb24"), (MP4, MKV)),
    "dirac": (("vc2",), (MKV, TS)),
    "flv1": (("flv1",), (MKV,)),
    "ffv1": (("ffv1",), (MKV,)),
    "prores": (("prores_ks", "-pix_fmt", "yuv422p10le"), (MKV,)),
}
MORE_PICTURES = {
    "h263": (("h263",), (MKV,)),
    "msmpeg4v3": (("msmpeg4",), (MKV,)),
    "theora": (("libtheora",), (MKV,)),
    "wmv1": (("wmv1",), (MKV,)),
    "wmv2": (("wmv2",), (MKV,)),
    "msmpeg4v2": (("msmpeg4v2",), (MKV,)),
    "huffyuv": (("huffyuv",), (MKV,)),
    "ffvhuff": (("ffvhuff",), (MKV,)),
    "magicyuv": (("magicyuv", "-pix_fmt", "gbrp"), (MKV,)),
    "utvideo": (("utvideo",), ()),
}
# what a container changes in packets; the decoder gives the same
CHANGED = {TS: ("h264", "hevc", "aac", "mpeg4", "dirac")}


def encoders():
    return {line.split()[1] for line in recording.ffmpeg("-encoders").splitlines() if len(line.split()) > 1}


def film(s, kinds, sound):
    """A Matroska file with H.264 and, behind it, a track of each kind that this ffmpeg can encode."""
    there, parts, tracks = encoders(), [], ["h264"]
    picture = "testsrc=s=176x144:r=25:d=1"
    recording.ffmpeg("-f", "lavfi", "-i", picture, *recording.H264, "-g", "5", s.path("0.mkv"))
    parts.append(s.path("0.mkv"))
    for kind, ((encoder, *options), _) in kinds.items():
        if encoder not in there or kind == "h264":
            continue
        part = s.path("%d.mkv" % len(parts))
        source = "sine=440:d=1" if sound else picture
        form = () if sound or "-pix_fmt" in options else ("-pix_fmt", "yuv420p")
        recording.ffmpeg("-f", "lavfi", "-i", source, *form, "-g", "5", "-c", encoder, *options, "-strict", "-2",
                         part)
        parts.append(part)
        tracks.append(kind)
    inputs = [word for part in parts for word in ("-i", part)]
    maps = [word for number in range(len(parts)) for word in ("-map", number)]
    path = s.path("film.mkv")
    recording.ffmpeg(*inputs, *maps, "-c", "copy", "-strict", "-2", path)
    return path, tracks


def check_track(source, track, path, number, container, codec):
    """Track `number` of the recording is track `track` of the source."""
    hashes = {}
    for name, index in ((source, track), (path, number)):
        seen = recording.probe(name, "-select_streams", str(index), "-show_packets", "-show_data_hash", "md5",
                               "-show_entries", "packet=data_hash")["packets"]
        hashes[name] = [packet["data_hash"] for packet in seen]
    if codec not in CHANGED.get(container, ()):
        # the beginning is left out: sound before the first picture, pictures before a keyframe
        check(recording.is_tail(hashes[source], hashes[path]), "%s in %s: packets are others", codec, container)
    check(len(hashes[path]) >= len(hashes[source]) / 2, "%s in %s: %d packets of %d", codec, container,
          len(hashes[path]), len(hashes[source]))
    before, _ = recording.decoded(source, track)
    after, complaints = recording.decoded(path, number)
    check(not complaints, "%s in %s: %s", codec, container, complaints)
    if codec not in SOUND:
        check(recording.is_tail(before, after), "%s in %s is decoded to something else", codec, container)
    else:
        check(after, "%s in %s is not decoded", codec, container)


def all_kinds(s, kinds, sound):
    source, tracks = film(s, kinds, sound)
    names = ["out." + container for container in EVERYWHERE]
    for container, said in zip(EVERYWHERE, recording.record_whole(s, source, *names)):
        check(said["code"] == harness.OK, "%s: %s", container, said)
        written = {stream["track"]: number for number, stream in enumerate(said["streams"])}
        seen = recording.probe(s.path("out." + container), "-show_streams")["streams"]
        check(len(seen) == len(written), "%s: %d streams, said %s", container, len(seen), said["streams"])
        for track, codec in enumerate(tracks):
            if container in (kinds[codec][1] if codec in kinds else EVERYWHERE):
                check(track in written, "%s is not in %s: %s", codec, container, said["err"])
                name = seen[written[track]]["codec_name"]
                check(name == codec or (codec, name) == ("mp2", "mp3"), "%s in %s is %s", codec, container, name)
                check_track(source, track, s.path("out." + container), written[track], container, codec)
            else:
                check(track not in written, "%s is in %s", codec, container)
                advice = "stream %d: players do not find %s in" % (track, codec)
                line = next((line for line in said["err"].splitlines() if advice in line), "")
                better = ".mkv holds it" if MKV in kinds[codec][1] else "" if sound else "no container"
                check(better in line and line and ("--audio aac" in line) == sound, "%s in %s: %r", codec, container,
                      said["err"])


def test_sound(s):
    all_kinds(s, SOUND, True)


def test_samples(s):
    all_kinds(s, SAMPLES, True)


def test_pictures(s):
    all_kinds(s, PICTURES, False)


def test_more_pictures(s):
    all_kinds(s, MORE_PICTURES, False)


if __name__ == "__main__":
    harness.main(globals())
