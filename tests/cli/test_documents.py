#!/usr/bin/env python3
"""test_documents.py - ONVIF's metadata: each document is a packet, in however many packets RTP brings it."""
import gzip

import camera
import harness
from camera import Camera, Plan
from harness import check


def text(number, events):
    """A document with so many events, some of which have the name of a document in them."""
    event = '<tt:Event n="%d">MetadataStream &gt; %s</tt:Event>\n'
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">' +
            "".join(event % (number, "x" * 40) for _ in range(events)) + "</tt:MetadataStream>\n").encode()


def bare(number, events):
    """Without a prologue."""
    return text(number, events).partition(b"\n")[2]


def packed(number, size):
    """Cannot be made smaller, so it has about that size."""
    noise = bytes((number * 7 + at * at * 31 + (at >> 3) * 17) & 0xff for at in range(size))
    return gzip.compress(noise, 0, mtime=0)


def came(s, name, count, track=1):
    """What so many packets of metadata had in them, and their times."""
    process = s.start_program(harness.need_built("tests", "contents"), name, track, count)
    rows = [line.split() for line in process.expect(harness.OK).out.splitlines()]
    return [bytes.fromhex(row[3]) for row in rows], [int(row[1]) for row in rows]


def check_documents(s, documents, *options, **plan):
    cam = Camera(s, Plan(camera.film(s), metadata=True, documents=tuple(documents), **plan))
    pub = s.publish(cam.url, "cam", *options)
    found, times = came(s, "cam", 2 * len(documents))
    pub.stop()
    first = documents.index(found[0]) if found[0] in documents else -1
    wanted = [documents[(first + at) % len(documents)] for at in range(len(found))]
    check(found == wanted, "%s of %s bytes came, wanted %s", [one[:30] for one in found], [len(one) for one in found],
          [len(one) for one in wanted])
    steps = [after - before for before, after in zip(times, times[1:])]
    check(all(abs(step - 0.5e9) < 1e6 for step in steps), "times %s", times)


def test_text(s):
    documents = [text(1, 1), text(2, 100), text(3, 16), bare(4, 60), bare(5, 1)]
    for options in ((), ("--rtsp-transport", "udp")):
        check_documents(s, documents, *options)


def test_parts_of_any_size(s):
    for size in (64, 333, 60000):
        check_documents(s, [text(1, 30), text(2, 60)], document_parts=size)


def test_packed(s):
    """The last part is smaller, or just as large as the others."""
    whole = [packed(1, 5000), packed(2, 100), packed(3, 1400 - 23), packed(4, 2800 - 23)]
    check(len(whole[2]) == 1400 and len(whole[3]) == 2800, "they have %s bytes", [len(one) for one in whole])
    check_documents(s, whole)


if __name__ == "__main__":
    harness.main(globals())
