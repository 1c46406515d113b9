#!/usr/bin/env python3
"""test_leads.py - files of this machine that lead to the network, and what the network must not lead to."""
import os
import socket
import threading

import camera
import harness
import media
import rtp
from harness import check
from server import Files


def ffmpeg(*args):
    try:
        media.ffmpeg(*args)
    except media.CannotMake as why:
        harness.skip(str(why))


def pieces(s):
    """A film of two seconds in two pieces, in a directory of its own."""
    directory = s.path("hls")
    os.mkdir(directory)
    ffmpeg("-framerate", "25", "-i", media.make(s.root, "elementary"), "-c", "copy", "-f", "hls", "-hls_time", "1",
           "-hls_list_size", "0", os.path.join(directory, "film.m3u8"))
    return directory


def written(path, *lines):
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def playlist(path, *addresses):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:0"]
    for address in addresses:
        lines += ["#EXTINF:1,", address]
    return written(path, *lines, "#EXT-X-ENDLIST")


def frames(s, *args, code=harness.OK):
    result = s.run("publish", *args, "--name", "cam", "--json")
    check(result.code == code, "%s ended with %s: %s", args, result.code, result.err)
    return harness.parse_json(result.out.splitlines()[-1]).get("frames", 0), result.err


def test_playlist_that_leads_to_the_web(s):
    """Pieces of the web, of this machine beside them, and another playlist."""
    directory = pieces(s)
    server = Files(s, directory)
    web = [server.address("film%d.ts" % number) for number in range(2)]
    check(frames(s, playlist(s.path("web.m3u8"), *web))[0] == 50, "pieces of the web")
    mixed = playlist(os.path.join(directory, "mixed.m3u8"), web[0], "film1.ts")
    check(frames(s, mixed)[0] == 50, "pieces of both")
    leads = written(s.path("leads.m3u8"), "#EXTM3U", "#EXT-X-STREAM-INF:BANDWIDTH=100000", server.address("film.m3u8"))
    check(frames(s, leads)[0] == 50, "a playlist of the web")
    check(frames(s, os.path.join(directory, "film.m3u8"))[0] == 50, "a playlist of this machine alone")


def test_no_way_back(s):
    """A playlist of the web names a film of this machine, by its path or relative to what the user named."""
    directory = pieces(s)
    secret = s.path("secret.ts")
    os.link(os.path.join(directory, "film0.ts"), secret)
    server = Files(s, directory)
    for number, address in enumerate(("file://" + secret, "file:" + secret, secret)):
        bad = playlist(os.path.join(directory, "bad%d.m3u8" % number), address)
        leads = written(s.path("leads.m3u8"), "#EXTM3U", "#EXT-X-STREAM-INF:BANDWIDTH=100000",
                        server.address(os.path.basename(bad)))
        for source in (leads, server.address(os.path.basename(bad))):
            result = s.run("publish", source, "--name", "cam", "--json", "--no-reconnect")
            check(result.code != harness.OK and '"start"' not in result.out, "%s: %s", address, result)


class Sender:
    """RTP to a port of this machine, by UDP, as a camera that was told so sends it."""

    def __init__(self, s, film, port):
        self.film, self.to, self.over = film, ("127.0.0.1", port), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        s.at_end(self.end)
        self.thread.start()

    def end(self):
        self.over.set()
        self.thread.join(harness.LIMIT)

    def run(self):
        number = sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            while not self.over.wait(1 / self.film.fps):
                parts = list(rtp.payloads(self.film.units[number % len(self.film.units)].nals, self.film.codec))
                for at, part in enumerate(parts):
                    stamp = 1000 + round(number * 90000 / self.film.fps)
                    packet = rtp.packet(96, sent, stamp, 0x1111, at == len(parts) - 1, part)
                    sent += 1
                    try:
                        channel.sendto(packet, self.to)
                    except OSError:
                        pass  # nobody listens yet
                number += 1


def free_port():
    """An even one whose next one is free, too."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                return port


def test_description(s):
    """It is live: it stalls, is waited for, and comes back."""
    film, port = camera.film(s), free_port()
    path = written(s.path("cam.sdp"), "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=x", "c=IN IP4 127.0.0.1", "t=0 0",
                   "m=video %d RTP/AVP 96" % port, *film.sdp(96, True))
    sender = Sender(s, film, port)
    pub = s.publish(path, "cam", "--json", "--timeout", "2")
    s.until(lambda: s.json("info", "cam", "--json")["frames"] > 20, "pictures")
    sender.end()
    pub.wait_for('"disconnected"', "out")
    Sender(s, film, port)
    pub.wait_for('"reconnected"', "out")
    pub.stop()


if __name__ == "__main__":
    harness.main(globals())
