#!/usr/bin/env python3
"""test_wall_memory.py - what `cuframes wall` keeps does not grow: pages, readers of files and pictures, and publishers
come and go, many more than in a day. CUFRAMES_LONG=1 does it for minutes, with each number printed."""
import os
import threading

import harness
import media
from harness import check
from watching import Wall, JPEG

LONG = bool(os.environ.get("CUFRAMES_LONG"))
ROUNDS, WARM = (160, 40) if LONG else (11, 6)
ALLOWED = 8 << 20  # heaps of threads that are handed to other threads, pages of allocators: not what a round leaves


def read_some(wall, path, count):
    """Of an answer without an end."""
    with wall.connect() as client:
        client.sendall(wall.request(path))
        for _ in range(count):
            if not client.recv(65536):
                return


class Deaf:
    """Pages that watch and never read, as those of a browser that is stopped."""

    def __init__(self, wall, count):
        self.pages = [wall.page(receive_bytes=4096) for _ in range(count)]
        for page in self.pages:
            page.watch(*({"tile": i, "stream": "film", "audio": True} for i in range(4)))

    def close(self):
        for page in self.pages:
            page.close()


def one_round(s, wall, number, publisher, path):
    deaf = Deaf(wall, 3)
    readers = [threading.Thread(target=read_some, args=(wall, name, 20)) for name in ("/film.ts", "/film.mp4")]
    for reader in readers:
        reader.start()
    for i in range(6):
        with wall.page() as page:
            page.watch({"tile": 1, "stream": "film", "audio": True, "data": True}, {"tile": 2, "stream": "nobody"})
            page.get(40, tile=1)
            page.watch({"tile": 1, "stream": "film", "as": "pictures", "width": 64 + 16 * i, "fps": 10})
            page.get(1, tile=1, kind=JPEG)
            page.say(detail="film")
            page.told("detail")
    check(wall.get("/film.jpg?width=%u" % (100 + number)).status == 200, "no picture")
    for reader in readers:
        reader.join()
    if number % 3 == 2:
        publisher.kill()
        s.leaves("film", "film.lock")
        publisher = s.publish(path, "film", "--loop", "--realtime", "--quiet")
    deaf.close()
    return publisher


def test_memory_is_flat(s):
    path = s.path("film.mkv")
    media.ffmpeg("-f", "lavfi", "-i", "nullsrc=size=320x240:rate=100:duration=4,geq=random(1)*255:128:128", "-f",
                 "lavfi", "-i", "sine=duration=4", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast",
                 "-qp", "24", "-g", "50", "-c:a", "aac", path)
    publisher = s.publish(path, "film", "--loop", "--realtime", "--quiet")
    wall = Wall(s)
    sizes = []
    for number in range(ROUNDS):
        publisher = one_round(s, wall, number, publisher, path)
        sizes.append(wall.process.memory())
        if LONG:
            print("%u: %.1f MiB, %u descriptors" % (number, sizes[-1] / (1 << 20), wall.process.descriptors()),
                  flush=True)
    # The least of several: what is held for a moment comes and goes.
    before, after = min(sizes[WARM - 4:WARM]), min(sizes[-4:])
    check(harness.SANITIZED or after < before + ALLOWED, "%d MiB after %u rounds, %d after %u", before >> 20, WARM,
          after >> 20, ROUNDS)


if __name__ == "__main__":
    harness.main(globals())
