"""A film in real time for some consumers, three ways: decoded once and published, decoded once and sent through pipes,
decoded in each. CPU time and memory of all processes together. No consumer looks at the pictures: what is measured is
how they come to it."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

WAYS = ("cuframes", "pipes", "decode")
FRAME = 1280 * 720 * 3 // 2  # of the film, yuv420p
SECONDS = 14.1  # of it
FRAMES = 338


def missing(root):
    """{way: why it cannot run, with the remedy}."""
    found = {}
    for path in ("build/cuframes", "build/examples/subscribe"):
        if not os.path.exists(os.path.join(root, path)):
            found["cuframes"] = f"no {path}: make"
    if not shutil.which("ffmpeg"):
        found["pipes"] = found["decode"] = "no ffmpeg: install ffmpeg"
    return found


def ffmpeg(film, *output):
    return ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-re", "-i", film, "-map", "0:v",
            "-fps_mode", "passthrough", *output]


def start(way, root, directory, count):
    """Starts all processes of a way; those of which each must have seen the film come last."""
    film = os.path.join(root, "tests/data/sintel-trailer-14s.mp4")
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if way == "decode":
        return [subprocess.Popen(ffmpeg(film, "-f", "null", "-"), stdout=subprocess.DEVNULL, **quiet)
                for _ in range(count)]
    if way == "cuframes":
        environment = {**os.environ, "CUFRAMES_DIR": directory}
        publisher = subprocess.Popen([f"{root}/build/cuframes", "publish", film, "--name", "film", "--realtime",
                                      "--device", "host", "--quiet", "--wait-for", str(count)],
                                     env=environment, stdout=subprocess.DEVNULL, **quiet)
        readers = []
        for i in range(count):
            with open(f"{directory}/seen-{i}", "wb") as out:
                readers.append(subprocess.Popen([f"{root}/build/examples/subscribe", "film"], env=environment,
                                                stdout=out, **quiet))
        return [publisher, *readers]
    ends = [os.pipe() for _ in range(count)]
    outputs = "|".join(f"[f=rawvideo]pipe:{write}" for _, write in ends)
    sender = subprocess.Popen(ffmpeg(film, "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-f", "tee", outputs),
                              pass_fds=[write for _, write in ends], stdout=subprocess.DEVNULL, **quiet)
    readers = []
    for i, (read, _) in enumerate(ends):
        with open(f"{directory}/seen-{i}", "wb") as out:
            readers.append(subprocess.Popen(["dd", f"bs={FRAME}", "iflag=fullblock", "of=/dev/null"], stdin=read,
                                            stdout=subprocess.DEVNULL, stderr=out,
                                            env={**os.environ, "LC_ALL": "C"}))
    for pair in ends:
        for end in pair:
            os.close(end)
    return [sender, *readers]


def memory(processes):
    """MiB; what several share is counted once."""
    total = 0
    for process in processes:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, ValueError):  # it has just ended
            pass
    return total / 1024


def frames_seen(way, directory, count):
    """The least that a consumer saw."""
    if way == "decode":
        return FRAMES
    seen = []
    for i in range(count):
        with open(f"{directory}/seen-{i}", encoding="ascii", errors="replace") as file:
            text = file.read()
        seen.append(text.count("\n") if way == "cuframes" else int(text.split("+")[0]))
    return min(seen)


def measure(way, root, count):
    with tempfile.TemporaryDirectory(prefix="cuframes-film-") as directory:
        began = time.monotonic()
        processes = start(way, root, directory, count)
        try:
            while time.monotonic() < began + SECONDS / 2:
                time.sleep(0.1)
            held = memory(processes)
            cpu = 0
            for process in processes:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                cpu += usage.ru_utime + usage.ru_stime
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                    process.wait()
        if any(process.returncode != 0 for process in processes):
            sys.exit(f"film: {way}: a process failed, with status {[p.returncode for p in processes]}")
        return {"way": way, "consumers": count, "cpu": round(cpu / SECONDS, 4), "memory": round(held, 1),
                "frames": frames_seen(way, directory, count)}
