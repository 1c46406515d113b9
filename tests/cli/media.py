#!/usr/bin/env python3
"""media.py - makes test footage of many kinds from the clip, with the ffmpeg program, at test time.

From a test:           path = media.make(session.root, "hevc10")     made once for all tests, in the build tree
From a shell or C:     media.py DIRECTORY KIND...   prints one path per kind; exit 77 if ffmpeg cannot make it
The kinds are the functions in KINDS below.
"""
import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys

import harness


class CannotMake(Exception):
    """This ffmpeg lacks something, usually an encoder."""


def ffmpeg(*args):
    program = shutil.which("ffmpeg")
    if not program:
        raise CannotMake("no program 'ffmpeg' here")
    argv = [program, "-nostdin", "-v", "error", "-y", *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=harness.LIMIT)
    if done.returncode != 0:
        raise CannotMake("ffmpeg %s: %s" % (" ".join(args), done.stderr.strip()))


def encode(path, *options, seconds=2, size="320x180"):
    """Two seconds of the clip, small: encoders share two slow cores with other tests. The clip has gaps, which the
    ffmpeg program before version 7 fills in MP4 if nothing is said."""
    scale = ["-vf", "scale=" + size.replace("x", ":")] if size else []
    steady = ["-fps_mode", "cfr"] if path.endswith(".mp4") else []
    ffmpeg("-t", str(seconds), "-i", harness.CLIP, *scale, *steady, *options, path)
    return path


def long(folder):
    """Ten times the clip, 140 s, H.264 and AAC, without re-encoding."""
    path = os.path.join(folder, "long.mp4")
    ffmpeg("-stream_loop", "9", "-i", harness.CLIP, "-c", "copy", path)
    return path


def hevc8(folder):
    return encode(os.path.join(folder, "hevc8.mp4"), "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
                  "-x265-params", "log-level=error", "-c:a", "copy")


def hevc10(folder):
    return encode(os.path.join(folder, "hevc10.mp4"), "-c:v", "libx265", "-preset", "ultrafast",
                  "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=error", "-an")


def mjpeg(folder):
    return encode(os.path.join(folder, "mjpeg.mkv"), "-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj422p", "-an")


def odd(folder):
    """321x181 pixels, 4:2:0: chroma planes are rounded up."""
    return encode(os.path.join(folder, "odd.mkv"), "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-an", size="321x181")


def yuv444(folder):
    return encode(os.path.join(folder, "yuv444.mp4"), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p",
                  "-an")


def gray(folder):
    return encode(os.path.join(folder, "gray.mkv"), "-c:v", "ffv1", "-pix_fmt", "gray", "-an")


def cropped(folder):
    """H.264 with B-frames of a size that is no multiple of its blocks: 318x174 of 320x176."""
    return encode(os.path.join(folder, "cropped.mp4"), "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-pix_fmt",
                  "yuv420p", "-an", size="318x174")


def cropped_left(folder):
    """H.264 whose picture begins in the middle of what is coded."""
    return encode(os.path.join(folder, "cropped-left.mp4"), "-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p",
                  "-an", "-bsf:v", "h264_metadata=crop_left=32:crop_top=16")


def fields(folder):
    """Interlaced H.264."""
    return encode(os.path.join(folder, "fields.mp4"), "-c:v", "libx264", "-preset", "fast", "-flags", "+ildct+ilme",
                  "-x264-params", "tff=1", "-pix_fmt", "yuv420p", "-an")


def fields_mpeg2(folder):
    return encode(os.path.join(folder, "fields-mpeg2.mkv"), "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1",
                  "-bf", "2", "-q:v", "4", "-pix_fmt", "yuv420p", "-an")


def camera(folder):
    """As cameras send it: H.264 in the order in which it is shown, a keyframe each second, for 14 s."""
    return encode(os.path.join(folder, "camera.mp4"), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "24",
                  "-pix_fmt", "yuv420p", "-an", seconds=14)


def elementary(folder):
    """What the scripted camera (camera.py) sends: 50 small pictures of H.264, each with its number in it, two
    keyframes."""
    return _elementary(folder, "elementary.h264", "libx264", "-bf", "0", "-x264-params", "scenecut=0:log-level=error")


def elementary_large(folder):
    """The same camera after its reboot: another size, so other parameter sets."""
    return _elementary(folder, "elementary-large.h264", "libx264", "-bf", "0", "-x264-params",
                       "scenecut=0:log-level=error", size="320x180")


def elementary_hevc(folder):
    return _elementary(folder, "elementary.h265", "libx265", "-bf", "0", "-x265-params", "scenecut=0:log-level=error")


def _elementary(folder, name, encoder, *options, size="160x120"):
    path = os.path.join(folder, name)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=%s:r=25:d=2" % size, "-c:v", encoder, "-preset", "veryfast", "-g", "25",
           "-pix_fmt", "yuv420p", *options, path)
    return path


def tone(folder):
    """AAC with ADTS headers."""
    path = os.path.join(folder, "tone.aac")
    ffmpeg("-f", "lavfi", "-i", "sine=440:r=16000:d=4", "-c:a", "aac", "-b:a", "24k", path)
    return path


def reordered_ts(folder):
    """Cropped H.264 with B-frames and in a transport stream, which has no index."""
    return encode(os.path.join(folder, "reordered.ts"), "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-pix_fmt",
                  "yuv420p", "-an", size="318x174")


def open_begin(folder):
    """H.264 that begins in the middle: its first keyframe is none that all begins anew with, and B-frames behind it
    want pictures from before it."""
    whole = encode(os.path.join(folder, "open-whole.ts"), "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "20",
                   "-x264-params", "open-gop=1:scenecut=0", "-pix_fmt", "yuv420p", "-an", seconds=4)
    path = os.path.join(folder, "open-begin.ts")
    ffmpeg("-ss", "1.5", "-i", whole, "-c", "copy", path)
    os.unlink(whole)
    return path


def picture(folder):
    """H.264 of one picture."""
    path = os.path.join(folder, "picture.mp4")
    ffmpeg("-ss", "6", "-i", harness.CLIP, "-vf", "scale=320:180", "-frames:v", "1", "-c:v", "libx264", "-an", path)
    return path


def mpeg4(folder):
    return encode(os.path.join(folder, "mpeg4.mkv"), "-c:v", "mpeg4", "-bf", "2", "-q:v", "4", "-an")


def vp8(folder):
    """With pictures that are never shown."""
    return encode(os.path.join(folder, "vp8.mkv"), "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8",
                  "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "400k", "-an")


def vp9(folder):
    """With pictures that are never shown, and some that are shown later."""
    return encode(os.path.join(folder, "vp9.mkv"), "-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "8",
                  "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "400k", "-an")


def repeated(folder):
    """VP9 in which pictures are shown again, by packets of one byte: the last one, and ever again the keyframe, the
    seventh, which stays in its place among those to predict from (that of the alternate picture, which there is
    not)."""
    path, last, key = os.path.join(folder, "repeated.ivf"), b"\x88", b"\x8a"
    encode(path, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0",
           "-lag-in-frames", "0", "-b:v", "400k", "-an", "-g", "999", "-force_key_frames", "expr:eq(n,6)")
    with open(path, "rb") as file:
        data, film, at, number = file.read(), b"", 32, 0
    while at < len(data):  # a frame is its size, its time and that many bytes
        size, time = struct.unpack_from("<IQ", data, at)
        film += struct.pack("<IQ", size, 2 * time) + data[at + 12:at + 12 + size]
        at, number = at + 12 + size, number + 1
        if number % 5 == 0:
            film += struct.pack("<IQ", 1, 2 * time + 1) + (last if number % 10 else key)
    return _write(folder, "repeated.ivf", data[:32] + film)


RESIZE_FRAMES = 144


def resize(folder):
    """One transport stream that is 320x180 for 2 s, then 640x360 for 2 s, then 320x180 again. Muxed as one: where files
    were merely put end to end the packet counters jump, and GStreamer 1.28 throws away what comes after, the new
    size."""
    parts = []
    for number, size in enumerate(("320x180", "640x360", "320x180")):
        part = os.path.join(folder, "resize-%d.ts" % number)
        parts.append(encode(part, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-an", "-f", "mpegts",
                            size=size))
    names = os.path.join(folder, "names")
    with open(names, "w") as file:
        file.writelines("file '%s'\n" % os.path.basename(part) for part in parts)
    path = os.path.join(folder, "resize.ts")
    ffmpeg("-f", "concat", "-i", names, "-c", "copy", "-f", "mpegts", path)
    for part in (names, *parts):
        os.unlink(part)
    return path


def audio(folder):
    """The sound alone."""
    path = os.path.join(folder, "audio.mp4")
    ffmpeg("-i", harness.CLIP, "-vn", "-c", "copy", path)
    return path


def video(folder):
    """The pictures alone."""
    path = os.path.join(folder, "video.mp4")
    ffmpeg("-i", harness.CLIP, "-an", "-c", "copy", path)
    return path


def truncated(folder):
    """The first 60 % of a transport stream of 14 s: it plays, then stops in the middle of a packet."""
    whole = os.path.join(folder, "truncated-whole.ts")
    ffmpeg("-i", harness.CLIP, "-c", "copy", "-f", "mpegts", whole)
    with open(whole, "rb") as file:
        data = file.read()
    os.unlink(whole)
    return _write(folder, "truncated.ts", data[:len(data) * 6 // 10 + 77])


def headless(folder):
    """The first half of an MP4 whose index is at its end and so is missing: nothing in it can be played."""
    whole = os.path.join(folder, "headless-whole.mp4")
    ffmpeg("-i", harness.CLIP, "-c", "copy", whole)
    with open(whole, "rb") as file:
        data = file.read()
    os.unlink(whole)
    return _write(folder, "headless.mp4", data[:len(data) // 2])


def empty(folder):
    return _write(folder, "empty.mp4", b"")


def noise(folder):
    """64 KiB that are no film at all (the same ones every time)."""
    return _write(folder, "noise.bin", bytes(_numbers(65536, 256)))


def corrupt(folder):
    """The clip as Matroska with one byte in about 2000 changed, the header left whole."""
    whole = os.path.join(folder, "corrupt-whole.mkv")
    ffmpeg("-i", harness.CLIP, "-c", "copy", whole)
    with open(whole, "rb") as file:
        data = bytearray(file.read())
    os.unlink(whole)
    for offset, value in zip(_numbers(len(data) // 2000, len(data) - 16384), _numbers(len(data) // 2000, 255)):
        data[16384 + offset] ^= value + 1
    return _write(folder, "corrupt.mkv", bytes(data))


def _numbers(count, below):
    """A fixed pseudo-random sequence (Knuth's MMIX generator): the same media in every run."""
    state = 1
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        yield (state >> 33) % below


def _write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


KINDS = {kind.__name__: kind for kind in (long, hevc8, hevc10, mjpeg, odd, yuv444, gray, cropped, cropped_left, fields,
                                          fields_mpeg2, camera, elementary, elementary_large, elementary_hevc,
                                          tone, reordered_ts, open_begin, picture, mpeg4, vp8, vp9,
                                          repeated, resize, audio, video, truncated, headless, empty, noise, corrupt)}


def kept():
    """A directory of the build tree with what this file makes of this clip with this ffmpeg."""
    key = hashlib.sha256(subprocess.run([harness.need_program("ffmpeg"), "-version"], capture_output=True).stdout)
    for source in (__file__, harness.CLIP):
        with open(source, "rb") as file:
            key.update(file.read())
    folder = os.path.join(harness.BUILD_DIR, "tests", "media", key.hexdigest()[:16])
    os.makedirs(folder, exist_ok=True)
    return folder


def make(folder, kind):
    """Gives the path of one file, in a folder of its own; skips the calling test if this ffmpeg cannot make it.
    Encoders take longer than most tests: what was made before, by whichever test, is linked, and must not be written
    to."""
    films = kept()
    mine = os.path.join(films, kind)
    with open(os.path.join(films, kind + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests at a time make it once
        if not os.path.isdir(mine):
            making = os.path.join(films, kind + ".new")
            shutil.rmtree(making, ignore_errors=True)
            os.mkdir(making)
            try:
                KINDS[kind](making)
            except CannotMake as why:
                return harness.skip(str(why))
            os.rename(making, mine)
    name, = os.listdir(mine)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        os.symlink(os.path.join(mine, name), path)
    return path


if __name__ == "__main__":
    if len(sys.argv) < 3 or not set(sys.argv[2:]) <= set(KINDS):
        sys.exit("usage: media.py DIRECTORY KIND...   kinds: " + " ".join(KINDS))
    try:
        for wanted in sys.argv[2:]:
            print(KINDS[wanted](sys.argv[1]))
    except CannotMake as reason:
        print(reason, file=sys.stderr)
        sys.exit(harness.SKIP)
