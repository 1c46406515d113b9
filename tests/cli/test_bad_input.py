#!/usr/bin/env python3
"""test_bad_input.py - wrong names, sizes, files, directories and disks: a clear error, the right exit code, nothing
lost and nothing left behind."""
import os
import re
import subprocess

import harness
import media
from harness import FAILED, NO_STREAM, OK, TIMEOUT, USAGE, check

NOBODY, SOMEBODY = 65534, 54321
BAD_NAMES = ("a/b", "..", "../x", "a b", ".hidden", "-x", "x" * 64, "", "h\u00e9", "a\nb", "a%nb;")


def check_clear(result, codes, *words):
    """A failure that says what is wrong: one of the codes, at least one line on stderr, no crash."""
    codes = codes if isinstance(codes, tuple) else (codes,)
    check(result.code in codes, "exit code %s, expected %s: %s", result.code, codes, result.err)
    check(result.err.strip(), "nothing on stderr")
    for word in words:
        check(word.lower() in result.err.lower(), "the message does not say '%s': %s", word, result.err)


def test_names(s):
    for name in BAD_NAMES:
        check_clear(s.run("publish", "test:64x64@25", "--name=" + name), USAGE)
        for command in ("verify", "info", "snapshot", "record"):
            check_clear(s.run(command, "--name=" + name), USAGE)
    longest = "x" * 63
    s.env["CUFRAMES_DIR"] = os.path.relpath(s.dir, s.root)  # or its socket's path might get too long
    s.publish("test:64x64@25", longest).stop()


def test_test_picture_sizes(s):
    for size in ("0x0", "0x64", "64x0", "65536x64", "64x65536", "-64x64", "64", "64x", "x64", "64x64x64", "axb",
                 "99999999999x64", "64x64@0", "64x64@-1", "64x64@nan", "64x64@x", "64x64@", ""):
        source = "test:" + (size if "@" in size or not size else size + "@25")
        check_clear(s.run("publish", source, "--name", "cam"), (USAGE, FAILED))


def test_odd_and_tiny_sizes(s):
    for size in ("321x181", "1x1", "37x25"):
        width, height = map(int, size.split("x"))
        pub = s.publish("test:%s@50" % size, "cam")
        seen = s.json("verify", "cam", "--json", "--frames", "8")
        stream = s.json("info", "cam", "--json")
        check((stream["width"], stream["height"]) == (width, height), "%s became %s", size, stream)
        check(seen["frames"] == 8 and seen["torn"] == 0, "%s: %s", size, seen)
        pub.stop()


def test_arguments(s):
    for args in ((), ("nonsense",), ("publish",), ("publish", "test:64x64@25"), ("verify",), ("record", "cam"),
                 ("verify", "cam", "--duration", "0"), ("verify", "cam", "--duration", "-1"),
                 ("verify", "cam", "--duration", "abc"), ("verify", "cam", "--mode", "sideways"),
                 ("verify", "cam", "--nonsense"), ("publish", "test:64x64@25", "--name", "cam", "--slots", "x"),
                 ("publish", "test:64x64@25", "--name", "cam", "--device", "toaster"), ("list", "extra"),
                 ("info", "one", "two")):
        process = s.start_program(harness.program(), *args)
        codes = (USAGE, FAILED) if "toaster" in args else USAGE
        check_clear(process.wait(), codes)


def test_no_such_stream(s):
    for command in (("info", "gone"), ("verify", "gone", "--duration", "1"), ("snapshot", "gone", s.path("x.png")),
                    ("record", "gone", s.path("x.mkv"))):
        check_clear(s.run(*command), NO_STREAM, "gone")
        check(not os.path.exists(s.path("x.png")) and not os.path.exists(s.path("x.mkv")), "a file was made")
    check(s.json("list", "--json") == [], "list shows something")
    check_clear(s.run("verify", "gone", "--wait=0.3", "--duration", "1"), (NO_STREAM, TIMEOUT), "gone")
    waiting = s.start("verify", "late", "--wait", "--frames", "1", "--json")
    s.publish("test:64x64@25", "late")
    check(waiting.json()["frames"] == 1, "it waited and saw nothing")


def test_name_in_use(s):
    pub = s.publish("test:64x64@25", "cam")
    before = s.json("info", "cam", "--json")["frames"]
    check_clear(s.run("publish", "test:64x64@25", "--name", "cam"), FAILED, "cam")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > before + 5, "the first publisher goes on")
    pub.stop()


def test_directory_is_no_directory(s):
    path = s.path("file")
    open(path, "w").close()
    check_clear(s.run("publish", "test:64x64@25", "--name", "cam", "--dir", path), FAILED, path)
    check_clear(s.run("list", "--dir", path), FAILED, path)
    check_clear(s.run("publish", "test:64x64@25", "--name", "cam", "--dir", s.path("no", "such")), FAILED, "no/such")


def test_directory_unwritable(s):
    harness.need_user(NOBODY)
    path = s.path("locked")
    os.mkdir(path, 0o555)
    check_clear(s.run("publish", "test:64x64@25", "--name", "cam", "--dir", path, user=NOBODY), FAILED, "permission")
    check(os.listdir(path) == [], "something was made in it")


def test_directory_of_another(s):
    """The default directory in /tmp, prepared by somebody else: it must not be trusted."""
    harness.need_user(SOMEBODY)
    path = "/tmp/cuframes-%d" % SOMEBODY
    if os.path.exists(path) or os.access("/run/cuframes", os.W_OK):
        harness.skip("%s is here already, or /run/cuframes comes before it" % path)
    os.mkdir(path, 0o777)
    s.at_end(os.rmdir, path)
    os.chmod(path, 0o755)
    harness.give(path, NOBODY)
    env = {"CUFRAMES_DIR": "", "XDG_RUNTIME_DIR": ""}
    check_clear(s.run("publish", "test:64x64@25", "--name", "cam", env=env, user=SOMEBODY), FAILED, path)
    check(os.listdir(path) == [], "something was made in it")
    # Nor is what he publishes there what we were looking for.
    fake = s.start("publish", "test:64x64@25", "--name", "cam", "--mode", "0666", "--dir", path, user=NOBODY)
    s.until(lambda: os.path.exists(os.path.join(path, "cam.sock")), "he publishes")
    for command in (("verify", "cam", "--frames", "1"), ("info", "cam"), ("list",), ("top", "--count", "1")):
        check_clear(s.run(*command, env=env, user=SOMEBODY), FAILED, path)
    fake.stop()


def test_long_directory(s):
    """Longer than the address of a socket may be: 108 bytes."""
    path = s.path("d" * 120)
    pub = s.start("publish", "test:64x64@25", "--name", "cam", "--dir", path)
    s.until(lambda: s.run("info", "cam", "--dir", path).code == OK, "it is there")
    check(s.run("verify", "cam", "--dir", path, "--frames", "2").code == OK, "verify")
    check([stream["name"] for stream in s.json("list", "--json", "--dir", path)] == ["cam"], "list")
    pub.stop()
    check(os.listdir(path) == [], "something was left in it")
    os.rmdir(path)


def test_files_that_are_no_film(s):
    for kind in ("empty", "noise", "headless"):
        path = media.make(s.root, kind)
        check_clear(s.run("publish", path, "--name", "cam"), FAILED, os.path.basename(path))
    check_clear(s.run("publish", s.path("missing.mp4"), "--name", "cam"), FAILED, "missing.mp4")
    check_clear(s.run("publish", s.root, "--name", "cam"), FAILED)
    check_clear(s.run("publish", "nonsense://x/y", "--name", "cam"), FAILED, "nonsense")


def test_damaged_files(s):
    """What can be decoded is published; the damage is no crash and no torn picture."""
    for kind in ("truncated", "corrupt"):
        path = media.make(s.root, kind)
        pub = s.publish(path, "cam", "--realtime")
        seen = s.json("verify", "cam", "--json", "--frames", "24")
        check(seen["torn"] == 0 and seen["back_jumps"] == 0 and seen["frames"] == 24, "%s: %s", kind, seen)
        pub.stop()
        result = s.run("publish", path, "--name", "cam")
        check(result.code in (OK, FAILED), "%s: %s", kind, result)


def test_resolution_change(s):
    observer = harness.need_built("tests", "observer")
    pub = s.publish(media.make(s.root, "resize"), "cam", "--realtime", "--loop")
    frames = str(media.RESIZE_FRAMES + 6)  # a round, wherever it begins: both changes are in it
    verify = s.start("verify", "cam", "--json", "--frames", frames, "--mode", "ordered")
    newest = s.start("verify", "cam", "--json", "--frames", frames)
    held = s.start_program(observer, "cam", "--ordered", "--hold", "20", "--frames", frames)
    for seen in (verify.json(), newest.json(), held.json()):
        check(seen["frames"] == int(frames), "only %s", seen)
        check(not any(seen.get(key) for key in ("torn", "changed", "back_jumps", "duplicates")), "saw %s", seen)
    seen = harness.parse_json(held.out)
    check(seen["new_formats"] >= 2 and seen["gaps"] == 0 and seen["end"] == 0, "saw %s", seen)
    info = s.json("info", "cam", "--json")
    check(info["segments"] <= 2, "old segments stay: %s", info)
    pub.stop()


def small_disk(s, name, kib):
    """A directory on a file system of its own with little room, or None."""
    path = s.path(name)
    os.mkdir(path)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk" % kib, "tmpfs", path], capture_output=True)
    if done.returncode != 0:
        return None
    s.at_end(subprocess.run, ["umount", path])
    return path


def test_disk_full_while_recording(s):
    s.publish(harness.CLIP, "cam", "--realtime", "--loop")
    ffmpeg = harness.need_program("ffmpeg")
    for number, kind in enumerate(("mkv", "mp4", "ts")):
        folder = small_disk(s, "disk-" + kind, 700)
        if folder is None:
            harness.skip("needs the right to mount a small file system (root with CAP_SYS_ADMIN)")
        path = os.path.join(folder, "film." + kind)
        check_clear(s.run("record", "cam", path, "--duration", "20"), FAILED, "space")
        copy = s.path("copy%d.%s" % (number, kind))
        with open(path, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        played = subprocess.run([ffmpeg, "-v", "info", "-nostdin", "-i", copy, "-map", "0:v", "-f", "null", "-"],
                                capture_output=True, text=True, timeout=harness.LIMIT)
        frames = [int(n) for n in re.findall(r"frame= *(\d+)", played.stderr)]
        check(played.returncode == 0 and frames and frames[-1] >= 24, "%s cannot be played: %s", kind, played.stderr)
        print("  %s: %d bytes, %d frames can be played" % (kind, os.path.getsize(path), frames[-1]))
    check(s.json("verify", "cam", "--json", "--frames", "1")["frames"] == 1, "the stream went with the disk")


def test_file_cannot_be_written(s):
    s.publish(harness.CLIP, "cam", "--realtime", "--loop")
    for path in ("/dev/full", s.path("no", "such", "film.mkv"), s.root):
        check_clear(s.run("record", "cam", path, "--duration", "2"), (FAILED, USAGE))
    check_clear(s.run("snapshot", "cam", s.path("no", "such.png")), FAILED)


if __name__ == "__main__":
    harness.main(globals())
