#!/usr/bin/env python3
"""test_times.py - the times of sources whose clocks are wrong, jump, or are none: what is published goes on all the
same, and is as long as it took."""
import collections
import subprocess

import camera
import harness
import media
import rtp
from camera import Camera, Plan
from harness import check, pace
from server import Server

KEY, DISCONTINUITY, NEW_PARAMS = 1, 2, 8
SECOND = 1e9
HOUR = 3600
ROUND = 2**32 / 90000 / HOUR

Packet = collections.namedtuple("Packet", "track pts dts flags")


def number(text):
    return None if text == "-" else int(text)


def seen(s, name, frames):
    """The times of so many frames, and the packets that came meanwhile."""
    lines = s.start_program(harness.need_built("tests", "times"), name, frames).expect(harness.OK).out.splitlines()
    rows = [line.split() for line in lines]
    packets = [Packet(int(row[1]), number(row[2]), number(row[3]), int(row[4])) for row in rows if row[0] == "packet"]
    return [number(row[2]) for row in rows if row[0] == "frame"], packets


def of_track(packets, track):
    return [packet for packet in packets if packet.track == track]


def steps(times):
    return [later - before for before, later in zip(times, times[1:])]


def check_times(times, what, most=2 * SECOND):
    """There is one, and it rises, without a jump."""
    check(None not in times, "%s: without a time: %s", what, times)
    check(all(0 < step < most for step in steps(times)), "%s: steps of %s", what,
          [step / SECOND for step in steps(times) if not 0 < step < most])


def ended(pub):
    return harness.parse_json(pub.stop().out.splitlines()[-1])


def test_strays_and_jumps(s):
    """One picture is stamped hours ahead; then the clock is set back for good, and then forward. RTP's times go round
    after 13 hours, so that a step back may come as one ahead."""
    film = camera.film(s)
    cam = Camera(s, Plan(film, strays=((40, 2 * HOUR),), jumps=((60, -3 * HOUR), (90, 5 * HOUR))))
    pub = s.publish(cam.url, "cam", "--json")
    frames, packets = seen(s, "cam", 120)
    end = ended(pub)
    check_times(frames, "frames")
    check_times([packet.dts for packet in packets], "packets")
    check(end["jumps"] == 3, "jumps %s", end)
    events = [harness.parse_json(line) for line in pub.out.splitlines() if '"jump"' in line]
    hours = [event["seconds"] / HOUR for event in events if event["event"] == "jump"]
    check(all(abs((hour - was + ROUND / 2) % ROUND - ROUND / 2) < 0.1 for hour, was in zip(hours, (2, -3, 5))),
          "it said jumps of %s hours", hours)
    at = [packet for packet in packets if packet.flags & DISCONTINUITY]
    check(at and all(packet.flags & KEY for packet in at), "no keyframe tells of the jumps: %s", packets)
    length = (frames[-1] - frames[0]) / SECOND
    check(abs(length - (len(frames) - 1) / film.fps) < 0.3, "%d pictures last %.3f s", len(frames), length)


def test_sound_by_another_clock(s):
    """Its reports are 50 hours ahead of the video's; later both clocks jump together."""
    film, sound = camera.film(s), camera.sound(s)
    cam = Camera(s, Plan(film, sound, reports=25, audio_clock=50 * HOUR, clock_jumps=((100, HOUR),)))
    pub = s.publish(cam.url, "cam", "--json")
    _, packets = seen(s, "cam", 180)
    end = ended(pub)
    tracks = [of_track(packets, track) for track in (0, 1)]
    for track in tracks:
        check_times([packet.dts for packet in track], "track %d" % track[0].track)
    apart = tracks[0][-1].dts - tracks[1][-1].dts
    check(abs(apart) < 2 * SECOND, "sound is %.3f s behind", apart / SECOND)
    check(end["jumps"] >= 1, "jumps %s", end)


def test_a_hole_is_as_long_as_the_camera_was_away(s):
    """However long it had run before; and every packet has a time."""
    film = camera.film(s)
    cam = Camera(s, Plan(film, close_at=150), Plan(film, first_stamp=10**9))
    pub = s.publish(cam.url, "cam", "--json")
    reader = s.start_program(harness.need_built("tests", "times"), "cam", 400)
    gone, back = cam.wait_for("hang up"), cam.wait_for("PLAY", 2)
    rows = [line.split() for line in reader.expect(harness.OK).out.splitlines()]
    packets = [(int(row[3]), int(row[4])) for row in rows if row[0] == "packet" and "-" not in row]
    check(all("-" not in row[2:4] for row in rows if row[0] == "packet"), "packets without times")
    check(ended(pub)["reconnects"] == 1, "reconnects")
    hole = max(steps([dts for dts, _ in packets]), default=0) / SECOND
    away = back.time - gone.time
    pace(abs(hole - away) < 0.3, "a hole of %.3f s, and the camera was away for %.3f s", hole, away)


def jpegs():
    argv = [harness.need_program("ffmpeg"), "-v", "error", "-i", harness.CLIP, "-vf", "scale=160:90", "-frames:v", "10",
            "-f", "image2pipe", "-c:v", "mjpeg", "-"]
    data = subprocess.run(argv, capture_output=True, timeout=harness.LIMIT).stdout
    return [b"\xff\xd8" + part for part in data.split(b"\xff\xd8")[1:]]


def check_pace(s, url, fps, count, *options):
    pub = s.publish(url, "cam", *options)
    frames, packets = seen(s, "cam", count)
    pub.stop()
    check(None not in frames, "frames without times")
    check(all(packet.dts is not None and packet.pts is not None for packet in packets), "packets without times")
    length = (frames[-1] - frames[0]) / SECOND
    return length, (count - 1) / fps


def test_http_mjpeg_goes_by_our_clock(s):
    """FFmpeg invents 25 pictures a second; 8 came."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=part\r\n\r\n"
    parts = [b"--part\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture)
             for picture in jpegs()]
    server = Server(s, "http", parts, 8, head)
    length, took = check_pace(s, server.url, 8, 24)
    pace(abs(length - took) < 0.4, "%.3f s of film in %.3f s", length, took)
    length, _ = check_pace(s, server.url, 8, 24, "--times", "source")
    check(abs(length - 23 / 25) < 0.1, "with --times source they are as FFmpeg invents them, not %.3f s", length)


def test_bare_h264_goes_by_our_clock(s):
    film = camera.film(s)
    units = [b"".join(b"\0\0\0\1" + nal for nal in unit.nals) for unit in film.units]
    server = Server(s, "tcp", units, 8)
    length, took = check_pace(s, server.url.rstrip("/"), 8, 24)
    pace(abs(length - took) < 0.4, "%.3f s of film in %.3f s", length, took)


def spliced(s, *parts, seconds=2):
    """A transport stream of such parts: (codec, first PID, kinds of streams in their order). Each has a table of its
    own version. Each part is as long."""
    film = s.path("film.ts")
    codecs = {"h264": ("libx264",), "hevc": ("libx265", "-x265-params", "log-level=error:bframes=0")}
    with open(film, "wb") as out:
        for number, (codec, pid, order) in enumerate(parts):
            part = s.path("%d.ts" % number)
            maps = [word for kind in order for word in ("-map", "0:" + kind)]
            media.ffmpeg("-t", str(seconds), "-i", harness.CLIP, *maps,
                         "-vf", "scale=160:90", "-c:v", *codecs[codec], "-preset", "ultrafast", "-bf", "0", "-g", "24",
                         "-c:a", "copy", "-mpegts_start_pid", str(pid), "-tables_version", str(number),
                         "-output_ts_offset", str(seconds * number), part)
            with open(part, "rb") as file:
                out.write(file.read())
    return film


def check_spliced(s, film, pictures):
    """All pictures, in their order and in one track; sound in one other."""
    pub = s.start("publish", film, "--name", "cam", "--json", "--wait-for", "1")
    frames, packets = seen(s, "cam", pictures)
    video = [packet.dts for packet in of_track(packets, 0)]
    check(len(video) == pictures and {packet.track for packet in packets} == {0, 1},
          "%d packets of video, tracks %s", len(video), {packet.track for packet in packets})
    check_times(frames, "frames", SECOND / 5)
    check_times(video, "video", SECOND / 5)
    end = harness.parse_json(pub.expect(harness.OK).out.splitlines()[-1])
    check(end["frames"] == pictures and end["decode_errors"] == 0 and end["jumps"] == 0, "it ended with %s", end)
    return pub.err


def test_a_programme_on_other_pids(s):
    """A transport stream whose table changes its version and names other PIDs, in another order."""
    said = check_spliced(s, spliced(s, ("h264", 256, "va"), ("h264", 512, "va"), ("h264", 768, "av")), 144)
    check("goes on as" not in said, "it said %s", said)


def test_a_programme_of_another_codec(s):
    """... and then the PIDs of before, again."""
    said = check_spliced(s, spliced(s, ("h264", 256, "va"), ("hevc", 512, "va"), ("h264", 256, "va")), 144)
    check("goes on as hevc, was h264" in said and "goes on as h264, was hevc" in said, "it said %s", said)


def test_another_codec_beyond_what_was_looked_at(s):
    """FFmpeg reads some seconds ahead to find out what is in a film; this change comes later."""
    check_spliced(s, spliced(s, ("h264", 256, "va"), ("hevc", 512, "va"), seconds=7), 336)


def test_another_codec_in_a_pipe(s):
    """What cannot be read twice loses the last two pictures of each table, which FFmpeg keeps back; none is torn."""
    film = spliced(s, ("h264", 256, "va"), ("hevc", 512, "va"), ("h264", 256, "va"))
    with subprocess.Popen(["cat", film], stdout=subprocess.PIPE) as cat:
        pub = s.start("publish", "-", "--name", "cam", "--json", "--wait-for", "1", stdin=cat.stdout)
        cat.stdout.close()
        frames, packets = seen(s, "cam", 140)
        end = harness.parse_json(pub.expect(harness.OK).out.splitlines()[-1])
    check_times(frames, "frames", SECOND / 5)
    check({packet.track for packet in packets} == {0, 1}, "tracks %s", {packet.track for packet in packets})
    check(end["frames"] == 140 and end["decode_errors"] == 0 and end["jumps"] == 0, "it ended with %s", end)


def test_metadata_of_a_camera(s):
    """What ONVIF calls metadata comes as packets of a data track."""
    cam = Camera(s, Plan(camera.film(s), metadata=True))
    pub = s.publish(cam.url, "cam")
    _, packets = seen(s, "cam", 60)
    tracks = s.json("info", "cam", "--json")["tracks"]
    pub.stop()
    data = [number for number, track in enumerate(tracks) if track["type"] == "data"]
    check(len(data) == 1 and tracks[data[0]]["codec"] == "vnd.onvif.metadata", "tracks %s", tracks)
    mine = of_track(packets, data[0])
    check(len(mine) >= 3, "%d packets of metadata", len(mine))
    check_times([packet.dts for packet in mine], "metadata")


def told_anew(packets):
    """Which packets of the video came behind a change of what its track is; the first is none."""
    return [at for at, packet in enumerate(of_track(packets, 0)) if at and packet.flags & NEW_PARAMS]


def test_sets_of_another_sdp(s):
    """After a reboot the camera tells other parameter sets, in the SDP alone: readers are told before the first packet
    that needs them."""
    large = camera.film(s, "elementary_large")
    cam = Camera(s, Plan(camera.film(s), sets_in_band=False, close_at=30), Plan(large, sets_in_band=False))
    pub = s.publish(cam.url, "cam")
    _, packets = seen(s, "cam", 60)
    extradata = s.start_program(harness.need_built("tests", "times"), "cam", 0).expect(harness.OK).out
    pub.stop()
    mine = of_track(packets, 0)
    begins = next(at for at, packet in enumerate(mine) if at and packet.flags & DISCONTINUITY)
    check(mine[begins].flags & KEY and begins in told_anew(packets), "discontinuity at %d, told anew at %s", begins,
          told_anew(packets))
    check(all(nal.hex() in extradata for nal in large.sets), "extradata is %s", extradata)


def test_sets_beside_the_packets(s):
    """FLV: a second head in mid-film."""
    parts = []
    for number, size in enumerate(("160:90", "320:180")):
        parts.append(s.path("%d.flv" % number))
        media.ffmpeg("-t", "2", "-i", harness.CLIP, "-vf", "scale=" + size, "-c:v", "libx264", "-preset", "ultrafast",
                     "-bf", "0", "-g", "24", "-an", "-output_ts_offset", str(2 * number), parts[-1])
    film = s.path("film.flv")
    with open(film, "wb") as out:
        for number, part in enumerate(parts):
            with open(part, "rb") as file:
                out.write(file.read()[13 * number:])  # one head for both
    pub = s.start("publish", film, "--name", "cam", "--wait-for", "1")
    _, packets = seen(s, "cam", 96)
    pub.expect(harness.OK)
    check(48 in told_anew(packets), "told anew at %s", told_anew(packets))


def test_sets_among_the_packets(s):
    """It is said with the packet that brings them, ..."""
    pub = s.start("publish", media.make(s.root, "resize"), "--name", "cam", "--wait-for", "1")
    _, packets = seen(s, "cam", media.RESIZE_FRAMES)
    pub.expect(harness.OK)
    third = media.RESIZE_FRAMES // 3
    check({third, 2 * third} <= set(told_anew(packets)), "told anew at %s", told_anew(packets))


def test_sets_among_the_packets_of_before(s):
    """... and who joins after they changed gets those that hold now."""
    film, large = camera.film(s), camera.film(s, "elementary_large")
    both = rtp.Film(film.units + large.units)
    both.sets = film.sets
    cam = Camera(s, Plan(both, stall_at=90))
    pub = s.publish(cam.url, "cam", "--timeout", str(harness.LIMIT))
    cam.wait_for("stall")
    deadline, extradata = harness.Deadline(), ""
    while not all(nal.hex() in extradata for nal in large.sets):
        check(not deadline.over(), "extradata stays %s", extradata)
        extradata = s.start_program(harness.need_built("tests", "times"), "cam", 0).expect(harness.OK).out
    pub.stop()


def test_times_option(s):
    result = s.start("publish", "test:64x64@25", "--name", "a", "--times", "arival").expect(harness.USAGE)
    check("is none of auto, source and arrival" in result.err and "arrival" in result.err, "it said %s", result.err)


if __name__ == "__main__":
    harness.main(globals())
