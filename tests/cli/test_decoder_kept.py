#!/usr/bin/env python3
"""test_decoder_kept.py - one decoder sees a film again and again, and a camera that comes back: no picture of the round
before is shown for one of this, none is missing, and their times go on."""
import os

import harness
import media
from harness import check

ROUNDS = 3
# Films, and whether a round's pictures are those of the film alone: else only as with a new decoder for each round.
FILMS = {
    "cropped": True,       # H.264 with B-frames: goes on at its IDR picture, and has pictures of two rounds in it
    "reordered_ts": True,  # the same without an index: the file is opened again
    "open_begin": False,   # H.264 without an IDR picture at its beginning
    "fields": True,
    "hevc8": True,
    "mpeg4": True,
    "vp9": True,
    "resize": True,        # ends in another size than it begins with
}


def publish(s, film, *options, rounds=1, each=0):
    """Sums of so many rounds of `each` pictures (0: to the end), and what publish said of it all."""
    program = harness.need_built("tests", "gpu", "frame_sums")
    pub = s.start("publish", film, "--name", "cam", "--device", "host", "--wait-for", "1", "--json",
                  "--ordered-timeout", harness.LIMIT, *options)
    s.wait_stream("cam", pub)
    reader = s.start_program(program, "cam", "--frames", each * rounds or 100000).wait()
    end = (pub.stop() if each else pub.expect(harness.OK)).out.splitlines()[-1]
    return [line.split(" ", 1)[1] for line in reader.out.splitlines()], harness.parse_json(end)


def test_every_round_is_the_film(s):
    for kind, whole in FILMS.items():
        try:
            film = media.make(s.root, kind)
        except harness.Skip:
            continue  # no encoder for it here
        once, _ = publish(s, film)
        kept, end = publish(s, film, "--loop", rounds=ROUNDS, each=len(once))
        fresh, anew = publish(s, film, "--loop", "--fresh-decoder", rounds=ROUNDS, each=len(once))
        check(len(once) > 20 and len(kept) == ROUNDS * len(once), "%s: %d and %d", kind, len(once), len(kept))
        check(end["decoders"] == 1 and end["loops"] >= ROUNDS - 1, "%s: %s", kind, end)
        check(anew["decoders"] >= ROUNDS, "%s: %s", kind, anew)
        check(kept == fresh, "%s: not what new decoders make of it", kind)
        check(not whole or kept == ROUNDS * once, "%s: a round differs from the film", kind)
        check(end["decode_errors"] == 0, "%s: %s", kind, end)


def test_times_go_on(s):
    """With pictures of two rounds in the decoder at the same time: each has the time of its round."""
    times = harness.need_built("tests", "times")
    pub = s.start("publish", media.make(s.root, "cropped"), "--name", "cam", "--loop", "--wait-for", "1",
                  "--ordered-timeout", harness.LIMIT)
    s.wait_stream("cam", pub)
    rows = s.start_program(times, "cam", "130").expect(harness.OK).out.splitlines()
    pts = [int(row.split()[2]) for row in rows if row.startswith("frame")]
    steps = {round((b - a) / 1e6) for a, b in zip(pts, pts[1:])}
    check(len(pts) == 130 and steps <= {41, 42}, "%d pictures, steps of %s ms", len(pts), steps)
    pub.stop()


def test_a_film_of_one_picture(s):
    """All of it is in the decoder when it ends."""
    once, _ = publish(s, media.make(s.root, "picture"))
    looped, _ = publish(s, media.make(s.root, "picture"), "--loop", rounds=20, each=1)
    check(len(once) == 1 and looped == 20 * once, "%s, %s", once, looped)


def test_reconnected(s):
    """The file comes back as it was, then as another one."""
    film = s.path("film.ts")
    os.symlink(media.make(s.root, "reordered_ts"), film)
    pub = s.start("publish", film, "--name", "cam", "--reconnect", "--json", "--ordered-timeout", harness.LIMIT)
    back = pub.wait_for(r'"reconnected"', "out")
    os.unlink(film)
    os.symlink(media.make(s.root, "open_begin"), film)
    pub.wait_for(r'"reconnected"', "out", back.end())
    changed = pub.wait_for(r'"width": ?320', "out")
    pub.wait_for(r'"disconnected"', "out", changed.end())
    end = harness.parse_json(pub.stop().out.splitlines()[-1])
    check(end["decoders"] == 2 and end["reconnects"] >= 2 and end["decode_errors"] == 0, "said %s", end)


def test_the_bench_of_many_films(s):
    """tests/gpu/films, for a machine with a GPU, in software here: that it measures, not what."""
    told = s.path("films.json")
    bench = s.start_program(os.path.join(harness.SOURCE_DIR, "tests", "gpu", "films"), "--device", "host", "--build",
                            harness.BUILD_DIR, "--film", media.make(s.root, "cropped"), "--streams", "1,3",
                            "--seconds", "0.3", "--budget", harness.LIMIT, "--json", told)
    said = bench.expect(harness.OK)
    with open(told, encoding="utf-8") as file:
        seen = harness.parse_json(file.read())
    check(set(seen["streams"]) == {"1", "3"} and seen["frames"] > 40, "it measured %s", seen)
    for row in seen["streams"].values():
        check(row["kept"]["decoders"] == 1 < row["anew"]["decoders"] and row["kept"]["loops"] >= 1, "%s", row)
        check(row["steady"]["pictures"] > 0 and row["steady"]["threads"]["workers"], "%s", row)
        check(row["steady"]["slots_bytes"] > 100000 and row["kept"]["in_place"] > 40, "%s", row)
        check(row.get("bare", {"last": 1})["last"] > 0, "%s", row)
    check(said.out.count("| 3 |") >= 3 and not [line for line in seen["problems"] if "FAILED" in line], "%s", said.out)


if __name__ == "__main__":
    harness.main(globals())
