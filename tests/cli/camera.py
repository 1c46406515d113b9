#!/usr/bin/env python3
"""camera.py - a scripted RTSP camera on loopback, for tests: H.264 or H.265, sound, ONVIF metadata, over TCP or UDP,
and what real cameras do wrong. It writes down what it was asked.

From a test:

    film = camera.film(s)                                   25 fps, 160x120, 2 s, made once in the build tree
    cam = camera.Camera(s, Plan(film, stall_at=30), Plan(film))    the first connection stalls, later ones do not
    pub = s.publish(cam.url, "cam")
    cam.wait_for("stall")                                   an event of the camera
    cam.wait_for("PLAY", 2)                                 the second of a kind; requests are events, too
    check(cam.count("TEARDOWN") == 1, "...")

A Plan says how one connection is treated: the n-th one has the n-th plan, those that come later the last one. A test
that wants something to happen now, after it has seen something else, calls stall(), go_on(), hold(), hang_up(),
leave() and come_back(), or gives other plans by replan(). Nothing here is random. Times of media are those of the
schedule, not of sending: RTP times and reports (RTCP) are the same in every run but for `clock`, the camera's idea of
the time at PLAY.

Alone: `camera.py FILM.h264 --stall-at 30 --first 1` prints its address, then events as lines of JSON.
"""
import argparse
import collections
import dataclasses
import heapq
import itertools
import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import typing

import harness
import login
import media
import rtp
from rtp import Film

VIDEO, AUDIO, METADATA = "video", "audio", "metadata"
TRACKS = (VIDEO, AUDIO, METADATA)
ALL = "all"
PAYLOAD = {VIDEO: 96, METADATA: 107}
SOURCES = {VIDEO: 0x1111, AUDIO: 0x2222, METADATA: 0x3333}
REASONS = {200: "OK", 302: "Moved Temporarily", 401: "Unauthorized", 404: "Not Found", 454: "Session Not Found",
           461: "Unsupported Transport", 503: "Service Unavailable"}
METADATA_TEXT = (b'<?xml version="1.0" encoding="UTF-8"?>'
                 b'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:Event/></tt:MetadataStream>')

# Something that happened: monotonic time, number of the connection, what ("PLAY", "stall", ...) and more of it.
Event = collections.namedtuple("Event", "time connection what detail")
# A picture that was sent: its number in this connection, RTP time, and when it was taken by the camera's clock.
Picture = collections.namedtuple("Picture", "connection number stamp taken")


def option(default, text, **more):
    return dataclasses.field(default=default, metadata=dict(help=text, **more))


def pairs(text):
    """FRAME:SECONDS,... as the command line has it."""
    return tuple((int(frame), float(seconds)) for frame, seconds in (item.split(":") for item in text.split(",")))


def words(text):
    return tuple(text.split(","))


def answers(text):
    """METHOD=STATUS,... as the command line has it."""
    return {method: int(status) for method, status in (item.split("=") for item in text.split(","))}


@dataclasses.dataclass
class Plan:
    """How one connection is treated. Frames are counted from 0 in each."""
    film: Film = None  # None: no video track
    sound: rtp.Sound = None
    then: tuple = ()  # (frame, film): this film from that frame on, of another codec perhaps, and nothing says so
    edit_sdp: typing.Callable = None  # gets the text and gives another one
    content_base: typing.Callable = None  # gets the address that was asked for; the default adds a slash
    edit_reply: typing.Callable = None  # gets the method and the reply's bytes and gives others; None: it hangs up
    edit_transport: typing.Callable = None  # likewise the value of Transport
    track_of: typing.Callable = None  # gets the address of SETUP and gives its track, or None: 404
    junk: tuple = ()  # (frame, bytes): these bytes come over TCP before that frame
    documents: tuple = ()  # of the metadata track, in turn; the default is a small one
    document_parts: int = 1400  # bytes of a document that one packet has
    later_answers: tuple = ()  # (frame, answers): these instead of `answers` from that frame on
    loop: bool = option(True, "begin the film again at its end; else what --end says", parse=bool)
    end: str = option("stay", "after the film: stay (and be silent), bye (RTCP) or close",
                      choices=("stay", "bye", "close"))
    sets_in_sdp: bool = option(True, "parameter sets in the SDP", parse=bool)
    sets_in_band: bool = option(True, "parameter sets among the packets", parse=bool)
    metadata: bool = option(False, "an ONVIF metadata track", parse=bool)
    audio_first: bool = option(False, "the SDP has audio before video", parse=bool)
    audio_starts: float = option(0.0, "seconds after which audio begins to come", parse=float)
    mute: tuple = option((), "tracks that are announced and never send, such as audio,metadata", parse=words)
    transports: tuple = option(("tcp", "udp"), "what SETUP takes; else it says 461", parse=words)
    channels: tuple = option((), "interleaved channels to use whatever was asked for, such as 4,6,8",
                             parse=lambda text: tuple(int(channel) for channel in text.split(",")))
    logins: tuple = option((), "basic, digest, sha-256: asked for, in this order", parse=words)
    user: str = option("admin", "who may log in", parse=str)
    password: str = option("secret", "with what", parse=str)
    answers: dict = option(None, "status instead of 200, METHOD=STATUS,...; 0: no answer at all", parse=answers)
    session_timeout: int = option(60, "seconds that the Session header says", parse=int)
    keepalive: tuple = option((), "methods of which one must come within that time; else it hangs up", parse=words)
    stall_at: int = option(None, "frame from which on nothing more is sent", parse=int)
    stall_what: str = option(ALL, "which track stalls", choices=(ALL, *TRACKS))
    close_at: int = option(None, "frame in the middle of which it hangs up", parse=int)
    silence: tuple = option((), "FRAME:SECONDS,... before that frame nothing is sent for so long, and then all that is "
                            "overdue at once", parse=pairs)
    jumps: tuple = option((), "FRAME:SECONDS,... RTP times of video jump there", parse=pairs)
    audio_jumps: tuple = option((), "the same for audio, counted in frames of video", parse=pairs)
    strays: tuple = option((), "FRAME:SECONDS,... one frame alone has another time", parse=pairs)
    clock_jumps: tuple = option((), "FRAME:SECONDS,... the camera's clock (NTP in its reports) jumps", parse=pairs)
    order: tuple = option((), "offsets in frames of RTP times, in turn: pictures that are shown in another order",
                          parse=lambda text: tuple(int(offset) for offset in text.split(",")))
    reports: int = option(50, "frames from one sender report (RTCP) to the next; 0: none", parse=int)
    clock: float = option(None, "the camera's clock at PLAY, seconds since 1970; default: the real one", parse=float)
    audio_clock: float = option(0.0, "seconds by which audio's reports are ahead of video's", parse=float)
    lose: int = option(0, "every n-th packet of video is lost", parse=int)
    swap: int = option(0, "every n-th packet of video comes after the next one", parse=int)
    repeat: int = option(0, "every n-th packet of video comes twice", parse=int)
    first_stamp: int = option(1000, "RTP time of the first frame", parse=int)
    first_number: int = option(1, "RTP sequence number of the first packet", parse=int)
    renumber_at: int = option(None, "frame from which on packets are counted anew from 0", parse=int)
    new_source_at: int = option(None, "frame from which on video has another SSRC", parse=int)
    aggregate: bool = option(False, "small NAL units share a packet (STAP-A, AP)", parse=bool)
    payload: int = option(None, "payload type of video's packets, whatever the SDP says", parse=int)
    payload_at: int = option(0, "frame from which on that is so", parse=int)
    extension: bool = option(False, "an extension header in each packet of video", parse=bool)
    bytewise: bool = option(False, "replies come byte by byte", parse=bool)
    stale_after: int = option(None, "requests after which the nonce of a digest is another one", parse=int)
    stale_said: bool = option(True, "then the camera says stale=true", parse=bool)
    padding: int = option(0, "bytes of padding in each packet of video", parse=int)
    marker: bool = option(True, "the marker bit at the end of each picture", parse=bool)

    def tracks(self):
        """The tracks of the SDP in their order."""
        has = {VIDEO: self.film, AUDIO: self.sound, METADATA: self.metadata}
        found = [track for track in TRACKS if has[track]]
        return sorted(found, key=(AUDIO, VIDEO, METADATA).index) if self.audio_first else found

    def sdp(self):
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
                 "a=range:npt=0-"]
        for track in self.tracks():
            if track == VIDEO:
                kind, payload, more = "video", PAYLOAD[VIDEO], self.film.sdp(PAYLOAD[VIDEO], self.sets_in_sdp)
            elif track == AUDIO:
                kind, payload, more = "audio", self.sound.payload, self.sound.sdp
            else:
                kind, payload = "application", PAYLOAD[METADATA]
                more = ["a=rtpmap:%d vnd.onvif.metadata/90000" % payload, "a=recvonly"]
            lines += ["m=%s 0 RTP/AVP %d" % (kind, payload), *more, "a=control:%s" % track]
        text = "\r\n".join(lines) + "\r\n"
        return self.edit_sdp(text) if self.edit_sdp else text

    def schedule(self):
        """(seconds, track, number) of all that is sent, in its order."""
        fps = self.film.fps if self.film else 25
        tracks = self.tracks()
        count = range(len(self.film.units)) if self.film and not self.loop else itertools.count()
        parts = [((number / fps, track, number) for number in count) for track in (VIDEO,) if track in tracks]
        if AUDIO in tracks:
            lasts = self.sound.samples / self.sound.rate
            first = -int(-self.audio_starts // lasts)
            parts.append((number * lasts, AUDIO, number) for number in itertools.count(first))
        if METADATA in tracks:
            parts.append((number * 0.5, METADATA, number) for number in itertools.count())
        return heapq.merge(*parts)

    def after(self, jumps, frame):
        """Seconds by which times have jumped when this frame comes."""
        return sum(seconds for at, seconds in jumps if at <= frame)


class Connection:
    """One client: its requests, and what is sent to it."""

    def __init__(self, camera, number, channel, plan):
        self.camera, self.number, self.channel, self.plan = camera, number, channel, plan
        self.routes = {}  # track -> function that sends bytes to (RTP: 0, RTCP: 1)
        self.sockets = [channel]
        self.writing = threading.Lock()
        self.open = True
        self.playing = False
        self.session = "%08d" % (number + 1)
        self.frame = 0  # of video, last sent
        self.sent = 0  # packets of video
        self.kept = None  # a packet that comes after the next one
        self.heard = time.monotonic()
        self.asked, self.method = 0, ""  # requests, and the last one's method
        self.document = 0  # packets of metadata

    def note(self, what, detail=""):
        self.camera.note(self.number, what, detail)

    # --- requests

    def serve(self):
        data = b""
        try:
            while True:
                more = self.channel.recv(65536)
                if not more:
                    break
                data = self.take(data + more)
        except OSError:
            pass
        self.close()
        self.note("closed")

    def take(self, data):
        """Answers the requests that are there whole; gives what is left."""
        while data:
            if data[:1] == b"$":  # the client's RTCP
                if len(data) < 4 or len(data) < 4 + struct.unpack(">H", data[2:4])[0]:
                    break
                data = data[4 + struct.unpack(">H", data[2:4])[0]:]
                continue
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                break
            lines = head.decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in lines[1:])
            fields = {key.strip().lower(): value.strip() for key, _, value in fields}
            body = int(fields.get("content-length", 0))
            if len(rest) < body:
                break
            data = rest[body:]
            method, address = lines[0].split()[:2]
            self.note(method, address)
            self.answer(method, address, fields)
        return data

    def answer(self, method, address, fields):
        if method in self.plan.keepalive:
            self.heard = time.monotonic()
        self.asked, self.method = self.asked + 1, method
        answers = self.plan.answers
        for frame, later in self.plan.later_answers:
            answers = later if self.playing and self.frame >= frame else answers
        chosen = (answers or {}).get(method)
        if callable(chosen):
            chosen = chosen(address, fields)
        if chosen is not None:
            status, headers = chosen if isinstance(chosen, tuple) else (chosen, {})
            if status:
                self.reply(fields, status, headers)
            return
        if method != "OPTIONS" and not self.may_enter(method, fields):
            return
        getattr(self, "on_" + method.lower(), self.on_other)(address, fields)

    def may_enter(self, method, fields):
        if not self.plan.logins:
            return True
        said = fields.get("authorization")
        over = self.plan.stale_after is not None and self.asked > self.plan.stale_after
        nonce = login.NONCE[::-1] if over else login.NONCE
        good = said and login.good(said, method, self.plan, nonce)
        if said:
            self.note("login" if good else "refused login", said.split()[0])
        if not good:
            stale = over and self.plan.stale_said
            asks = [login.challenge(kind, nonce, stale) for kind in self.plan.logins]
            self.reply(fields, 401, {"WWW-Authenticate": asks})
        return good

    def reply(self, fields, status, headers=None, body=""):
        lines = ["RTSP/1.0 %d %s" % (status, REASONS.get(status, "Error")), "CSeq: " + fields.get("cseq", "0")]
        for name, value in (headers or {}).items():
            lines += ["%s: %s" % (name, one) for one in (value if isinstance(value, list) else [value])]
        if body:
            lines += ["Content-Type: application/sdp", "Content-Length: %d" % len(body)]
        data = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        if self.plan.edit_reply:
            data = self.plan.edit_reply(self.method, data)
        if data is None:
            self.close()
            return
        for at in range(0, len(data), 1 if self.plan.bytewise else len(data)):
            self.write(data[at:at + 1] if self.plan.bytewise else data)

    def write(self, data):
        with self.writing:
            self.channel.sendall(data)

    def on_options(self, _, fields):
        self.reply(fields, 200, {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"})

    def on_describe(self, address, fields):
        base = self.plan.content_base(address) if self.plan.content_base else address.rstrip("/") + "/"
        self.reply(fields, 200, {"Content-Base": base} if base else {}, self.plan.sdp())

    def on_setup(self, address, fields):
        asked = fields.get("transport", "")
        track = next((track for track in TRACKS if address.endswith(track)), None)
        if self.plan.track_of:
            track = self.plan.track_of(address)
        kind = "tcp" if "/TCP" in asked else "udp"
        if track is None:
            self.reply(fields, 404)
        elif kind not in self.plan.transports or "multicast" in asked:
            self.reply(fields, 461)
        else:
            where = self.over_tcp(track, asked) if kind == "tcp" else self.over_udp(track, asked)
            where = self.plan.edit_transport(where) if self.plan.edit_transport else where
            self.reply(fields, 200, {"Transport": where, "Session": self.session_header()})

    def session_header(self):
        return "%s;timeout=%d" % (self.session, self.plan.session_timeout)

    def over_tcp(self, track, asked):
        number = int(re.search(r"interleaved=(\d+)", asked).group(1))
        if self.plan.channels:
            number = self.plan.channels[len(self.routes)]

        def route(data, control):
            self.write(struct.pack(">cBH", b"$", number + control, len(data)) + data)
        self.routes[track] = route
        return "RTP/AVP/TCP;unicast;interleaved=%d-%d" % (number, number + 1)

    def over_udp(self, track, asked):
        port = int(re.search(r"client_port=(\d+)", asked).group(1))
        host, family = self.channel.getpeername()[0], self.channel.family
        ours = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
        for one in ours:
            one.bind((self.channel.getsockname()[0], 0))
        self.sockets += ours
        self.routes[track] = lambda data, control: ours[control].sendto(data, (host, port + control))
        here = "-".join(str(one.getsockname()[1]) for one in ours)
        return "RTP/AVP;unicast;client_port=%d-%d;server_port=%s" % (port, port + 1, here)

    def on_play(self, _, fields):
        self.reply(fields, 200, {"Session": self.session_header(), "Range": "npt=0-"})
        self.heard = time.monotonic()
        if not self.playing:
            self.playing = True
            self.camera.thread(self.play)

    def on_teardown(self, _, fields):
        self.reply(fields, 200, {"Session": self.session})
        self.close()

    def on_other(self, _, fields):
        self.reply(fields, 200, {"Session": self.session})

    # --- what is sent

    def play(self):
        plan, began = self.plan, time.monotonic()
        clock = time.time() if plan.clock is None else plan.clock
        silences, stalled = dict(plan.silence), set()
        try:
            for seconds, track, number in plan.schedule():
                silence = silences.pop(number, 0) if track == VIDEO else 0  # all that is overdue then comes at once
                if not self.wait_until(max(began + seconds, time.monotonic() + silence)):
                    return
                if track == VIDEO and number == plan.stall_at:
                    stalled |= set(TRACKS) if plan.stall_what == ALL else {plan.stall_what}
                    self.note("stall", plan.stall_what)
                if track in stalled or track in self.camera.stalled or track in plan.mute or track not in self.routes:
                    continue
                if track == VIDEO and self.send_picture(number, clock) is False:
                    return
                if track == AUDIO:
                    self.send_sound(number, clock)
                elif track == METADATA:
                    self.send_document(number)
            self.send_kept()
            self.note("end")
            if plan.end == "bye":
                self.send(VIDEO, rtp.bye(SOURCES[VIDEO]), 1)
            elif plan.end == "close":
                self.close()
        except OSError:
            self.close()

    def wait_until(self, moment):
        """Until it is time and nobody holds us; False if the connection is closed or the client not heard of."""
        with self.camera.changed:
            while self.open:
                now = time.monotonic()
                if self.plan.keepalive and now > self.heard + self.plan.session_timeout:
                    break
                if now >= moment and not self.camera.held:
                    return True
                self.camera.changed.wait(min(max(0.001, moment - now), 1) if now < moment else 1)
            overdue = self.open
        if overdue:
            self.note("overdue", "no keepalive")
            self.close()
        return False

    def send_picture(self, number, clock):
        plan = self.plan
        film, self.frame = plan.film, number
        if plan.then and number >= plan.then[0]:
            film = plan.then[1]
        unit = film.units[number % len(film.units)]
        source = SOURCES[VIDEO]
        if plan.new_source_at is not None and number >= plan.new_source_at:
            source += 1
        shown = number + (plan.order[number % len(plan.order)] if plan.order else 0)
        moved = plan.after(plan.jumps, number) + dict(plan.strays).get(number, 0)
        stamp = plan.first_stamp + round((shown / film.fps + moved) * 90000)
        taken = clock + shown / film.fps + plan.after(plan.clock_jumps, number)
        if plan.reports and number % plan.reports == 0:
            self.send(VIDEO, rtp.sender_report(source, taken, stamp), 1)
        for at, data in plan.junk:
            if at == number:
                self.write(data)
        kind = PAYLOAD[VIDEO] if plan.payload is None or number < plan.payload_at else plan.payload
        if number == plan.renumber_at:
            self.sent = -plan.first_number
        nals = [nal for nal in unit.nals if plan.sets_in_band or not film.codec.is_set(nal)]
        parts = list(rtp.payloads(nals, film.codec, plan.aggregate))
        for at, payload in enumerate(parts):
            last = at == len(parts) - 1
            if last and number == plan.close_at:
                self.note("hang up")
                self.close()
                return False
            ends = last and plan.marker
            self.send_video(rtp.packet(kind, plan.first_number + self.sent, stamp, source, ends, payload, plan.padding,
                                       plan.extension))
        self.camera.pictures.append(Picture(self.number, number, stamp & 0xffffffff, taken))
        return True

    def send_video(self, packet):
        """With the loss and the disorder of the network."""
        self.sent += 1
        if self.plan.lose and self.sent % self.plan.lose == 0:
            return
        if self.plan.swap and self.sent % self.plan.swap == 0:
            self.kept = packet
            return
        for _ in range(2 if self.plan.repeat and self.sent % self.plan.repeat == 0 else 1):
            self.send(VIDEO, packet)
        self.send_kept()

    def send_kept(self):
        if self.kept:
            self.send(VIDEO, self.kept)
            self.kept = None

    def send_sound(self, number, clock):
        plan, sound = self.plan, self.plan.sound
        moved = plan.after(plan.audio_jumps, self.frame)
        stamp = 5000 + number * sound.samples + round(moved * sound.rate)
        if plan.reports and number % plan.reports == 0:
            taken = clock + number * sound.samples / sound.rate + plan.after(plan.clock_jumps, self.frame)
            self.send(AUDIO, rtp.sender_report(SOURCES[AUDIO], taken + plan.audio_clock, stamp), 1)
        frame = sound.wrap(sound.frames[number % len(sound.frames)])
        self.send(AUDIO, rtp.packet(sound.payload, number, stamp, SOURCES[AUDIO], True, frame))

    def send_document(self, number):
        plan = self.plan
        text = plan.documents[number % len(plan.documents)] if plan.documents else METADATA_TEXT
        parts = [text[at:at + plan.document_parts] for at in range(0, len(text), plan.document_parts)]
        for at, part in enumerate(parts):
            self.send(METADATA, rtp.packet(PAYLOAD[METADATA], self.document, 7000 + number * 45000, SOURCES[METADATA],
                                           at == len(parts) - 1, part))
            self.document += 1

    def send(self, track, data, control=0):
        self.routes[track](data, control)

    def close(self):
        with self.camera.changed:
            if not self.open:
                return
            self.open = False
            self.camera.changed.notify_all()
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:  # it was closed by the other side
                pass
            if one is not self.channel:
                one.close()


class Camera:
    """Listens from the beginning; with a session it ends with that. `session` may be None: then call end()."""

    def __init__(self, session, *plans, host="127.0.0.1", port=0, tell=None):
        self.plans, self.host, self.tell = plans, host, tell
        self.changed = threading.Condition()
        self.events, self.pictures, self.connections, self.threads = [], [], [], []
        self.stalled, self.held, self.over = set(), False, False
        self.listener = None
        self.listen(port)
        if session:
            session.at_end(self.end)

    def listen(self, port):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.host, port))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.thread(self.accept, self.listener)

    def address(self, user="", password="", path="stream"):
        """Its URL; user and password as they are written there."""
        who = "%s:%s@" % (user, password) if user else ""
        return "rtsp://%s%s:%d/%s" % (who, "[%s]" % self.host if ":" in self.host else self.host, self.port, path)

    @property
    def url(self):
        return self.address()

    def thread(self, function, *args):
        worker = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(worker)
        worker.start()

    def accept(self, listener):
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:  # leave() or end()
                return
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                number = len(self.connections)
                connection = Connection(self, number, channel, self.plans[min(number, len(self.plans) - 1)])
                self.connections.append(connection)
            connection.note("connected")
            self.thread(connection.serve)

    # --- what it was asked

    def note(self, connection, what, detail=""):
        event = Event(time.monotonic(), connection, what, detail)
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
        if self.tell:
            self.tell(event)

    def happened(self, what):
        """The events of this kind so far."""
        with self.changed:
            return [event for event in self.events if event.what == what]

    def count(self, what):
        return len(self.happened(what))

    def wait_for(self, what, times=1):
        """Waits for the n-th event of this kind and gives it."""
        deadline = harness.Deadline()
        with self.changed:
            while True:
                found = [event for event in self.events if event.what == what]
                if len(found) >= times:
                    return found[times - 1]
                harness.check(not deadline.over(), "no %s number %d from the camera's client; there were %s", what,
                              times, [event.what for event in self.events])
                self.changed.wait(deadline.left())

    # --- what is to happen now

    def replan(self, *plans):
        """Later connections are treated so, the next one by the first of these."""
        with self.changed:
            self.plans = [*self.plans[:1] * len(self.connections), *plans]

    def stall(self, *tracks):
        """These tracks (default: all) send nothing until go_on(); what would have come meanwhile is lost."""
        with self.changed:
            self.stalled = set(tracks or TRACKS)

    def hold(self):
        """Nothing comes until go_on(); then all of it at once, as after an outage of the network."""
        with self.changed:
            self.held = True

    def go_on(self):
        with self.changed:
            self.stalled, self.held = set(), False
            self.changed.notify_all()

    def hang_up(self):
        """All connections are closed."""
        for connection in list(self.connections):
            connection.close()

    def leave(self):
        """It is gone: connections are closed, and new ones refused."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def come_back(self):
        self.listen(self.port)

    def end(self):
        try:
            self.leave()
        except OSError:  # it had left
            self.hang_up()
        for worker in self.threads:
            worker.join(harness.LIMIT)
        for connection in self.connections:
            connection.channel.close()


def film(session, kind="elementary", fps=25):
    """A film that media.py makes; skips the test where it cannot."""
    return Film(media.make(session.root, kind), fps)


def sound(session, kind="aac", with_config=True):
    """A tone: "aac", "pcma" or "pcmu"."""
    return rtp.aac(media.make(session.root, "tone"), with_config=with_config) if kind == "aac" else rtp.g711(kind)


def arguments(argv):
    parser = argparse.ArgumentParser(description="An RTSP camera on loopback that misbehaves on purpose.")
    parser.add_argument("films", nargs="*", metavar="FILM", help="elementary stream, .h264 or .h265; the second one is "
                        "for the second connection, and so on; without any there is no video track")
    parser.add_argument("--fps", type=float, default=25, help="pictures per second (25)")
    parser.add_argument("--audio", help="aac:FILE (with ADTS headers), aac-bare:FILE (no configuration in the SDP), "
                        "pcma or pcmu")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen at (any)")
    parser.add_argument("--first", type=int, help="only the first so many connections are treated so, later ones well")
    for one in dataclasses.fields(Plan):
        if "help" not in one.metadata:
            continue
        name, default = "--" + one.name.replace("_", "-"), one.default
        if one.metadata.get("parse") is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(name, action=action, default=default, help=one.metadata["help"])
            continue
        parser.add_argument(name, type=one.metadata.get("parse", str), default=default, help=one.metadata["help"],
                            choices=one.metadata.get("choices"))
    return parser.parse_args(argv)


def main(argv):
    args = arguments(argv)
    films = [Film(path, args.fps) for path in args.films] or [None]
    heard = None
    if args.audio:
        kind, _, path = args.audio.partition(":")
        heard = rtp.aac(path, with_config=kind == "aac") if path else rtp.g711(kind)
    given = {one.name: getattr(args, one.name) for one in dataclasses.fields(Plan) if "help" in one.metadata}
    count = max(len(films), 1 if args.first is None else args.first + 1)
    plans = [Plan(films[min(number, len(films) - 1)], heard,
                  **(given if args.first is None or number < args.first else {})) for number in range(count)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    camera = Camera(None, *plans, host=args.host, port=args.port,
                    tell=lambda event: print(json.dumps(event._asdict()), flush=True))
    print(camera.url, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    os._exit(0)  # threads may be in the middle of a line


if __name__ == "__main__":
    main(sys.argv[1:])
