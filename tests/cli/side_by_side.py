"""side_by_side.py - cameras that each have a habit of their own, in one publisher: each picture must arrive once, at
the time at which it was taken, over one connection that lasts."""
import harness
from camera import Camera, Plan
from harness import check, pace

FPS = 25
FRAMES = 75
TICK = 1e9 / 90000


def clock(number):
    return 1e9 + number * 86400


def shown(process):
    """The pictures that a subscriber saw: pts and when they were taken, ns. The first ones may be there before the
    camera's report, and are dated by the next."""
    rows = [line.split()[2:4] for line in process.out.splitlines() if line.startswith("frame ")]
    ahead = [int(taken) - int(pts) for pts, taken in rows if taken != "-"]
    check(ahead and [taken for _, taken in rows[-len(ahead):]].count("-") == 0, "no picture has a time: %s", rows)
    return [(int(pts), int(pts) + ahead[0] if taken == "-" else int(taken)) for pts, taken in rows]


def check_pictures(name, number, rows, frames=FRAMES):
    check(len(rows) == frames, "%s: %d pictures", name, len(rows))
    places = [(taken / 1e9 - clock(number)) * FPS for _, taken in rows]
    wanted = range(round(places[0]), round(places[0]) + frames)
    check([round(place) for place in places] == list(wanted), "%s: pictures %s", name, places)
    steps = [after - before for (before, _), (after, _) in zip(rows, rows[1:])]
    check(all(abs(step - 1e9 / FPS) <= 2 * TICK for step in steps), "%s: from picture to picture %s ns", name, steps)


def has_ipv6():
    try:
        Camera(None, Plan(), host="::1").end()
    except OSError:
        return False
    return True


def watch(s, cases, *options, frames=FRAMES):
    """cases: names and plans, which have reports from the beginning. Gives the cameras."""
    names, plans = zip(*cases)
    for number, plan in enumerate(plans):
        plan.clock = clock(number)
    cameras = [Camera(s, plan, host="::1" if number % 5 == 0 and has_ipv6() else "127.0.0.1")
               for number, plan in enumerate(plans)]
    args = []
    for cam, name in zip(cameras, names):
        args += [cam.address("admin", "secret", "stream?channel=1&subtype=0"), "--name", name, *options]
    pub = s.start("publish", "--ordered-timeout", harness.LIMIT, "--json", *args, name="publish")
    watching = []
    for name in names:
        s.wait_stream(name, pub)
        watching.append(s.start_program(harness.need_built("tests", "times"), name, frames))
    for process in watching:
        process.expect(harness.OK)
    # Some sessions last for two seconds without a sign of life from us, and nobody waits for ever for a camera.
    late = [name for name, cam in zip(names, cameras) if cam.count("overdue")]
    pace(not late and '"disconnected"' not in pub.out, "a connection was lost, overdue: %s: %s", late, pub.out)
    for number, (name, process) in enumerate(zip(names, watching)):
        check_pictures(name, number, shown(process), frames)
        check(cameras[number].count("refused login") == 0, "%s refused a login", name)
    pub.stop()
    ends = [harness.parse_json(line) for line in pub.out.splitlines()]
    for end in (event for event in ends if event["event"] == "end"):
        check(not any(end[key] for key in ("decode_errors", "corrupt", "read_errors", "reconnects")), "%s", end)
    return cameras
