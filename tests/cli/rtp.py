"""rtp.py - encoded films as a camera sends them: elementary streams cut into access units and audio frames, and both
into RTP packets (RFC 3550; H.264: 6184, H.265: 7798, AAC: 3640, G.711: 3551)."""
import base64
import collections
import re
import struct

MTU = 1200
NTP_TO_UNIX = 2208988800  # seconds from 1900 to 1970

# One picture: its NAL units, each without a start code.
Unit = collections.namedtuple("Unit", "nals key")
# How audio is sent: its frames (bytes), samples per frame, rate, number of the payload and its lines of SDP.
Sound = collections.namedtuple("Sound", "frames samples rate payload sdp wrap")


class Codec:
    """What differs between H.264 and H.265: `header` bytes of a NAL unit, and numbers of their types."""

    def __init__(self, name, header, sets, pictures, keys, others, fragment, aggregate):
        self.name, self.header, self.sets, self.pictures, self.keys = name, header, sets, pictures, keys
        self.others, self.fragment, self.aggregate = others, fragment, aggregate

    def type(self, nal):
        return nal[0] & 31 if self.header == 1 else nal[0] >> 1 & 63

    def with_type(self, nal, number):
        """The header of this NAL unit with another type."""
        if self.header == 1:
            return bytes([nal[0] & 0xe0 | number])
        return bytes([nal[0] & 0x81 | number << 1, nal[1]])

    def begins_picture(self, nal):
        return self.type(nal) in self.pictures and nal[self.header] & 0x80 != 0

    def is_set(self, nal):
        return self.type(nal) in self.sets


H264 = Codec("H264", 1, (7, 8), range(1, 6), (5,), (6, 7, 8, 9), 28, 24)
H265 = Codec("H265", 2, (32, 33, 34), range(32), range(16, 24), (32, 33, 34, 35, 39), 49, 48)


def nal_units(data):
    """The NAL units of a byte stream with start codes."""
    starts = [match.end() for match in re.finditer(b"\0\0\1", data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    return [nal for nal in (data[start:end].rstrip(b"\0") for start, end in zip(starts, ends)) if nal]


class Film:
    """An elementary stream (.h264, .h265), or a list of Units, at so many pictures per second."""

    def __init__(self, source, fps=25, codec=None):
        self.fps = fps
        if isinstance(source, str):
            self.codec = codec or (H264 if source.endswith((".h264", ".264")) else H265)
            with open(source, "rb") as file:
                self.units = self._cut(nal_units(file.read()))
        else:
            self.codec, self.units = codec or H264, list(source)
        self.sets = list(dict.fromkeys(nal for unit in self.units for nal in unit.nals if self.codec.is_set(nal)))

    def _cut(self, nals):
        units, unit, has_picture = [], [], False
        for nal in nals:
            if has_picture and (self.codec.begins_picture(nal) or self.codec.type(nal) in self.codec.others):
                units.append(unit)
                unit, has_picture = [], False
            unit.append(nal)
            has_picture = has_picture or self.codec.type(nal) in self.codec.pictures
        units.append(unit)
        return [Unit(unit, any(self.codec.type(nal) in self.codec.keys for nal in unit)) for unit in units]

    def sdp(self, payload, with_sets):
        lines = ["a=rtpmap:%d %s/90000" % (payload, self.codec.name)]
        coded = [base64.b64encode(nal).decode() for nal in self.sets]
        if self.codec is H264:
            said = ";sprop-parameter-sets=" + ",".join(coded[:2]) if with_sets else ""
            lines.append("a=fmtp:%d packetization-mode=1%s" % (payload, said))
        elif with_sets:
            names = {32: "vps", 33: "sps", 34: "pps"}
            first = {names[self.codec.type(nal)]: text for nal, text in reversed(list(zip(self.sets, coded)))}
            lines.append("a=fmtp:%d %s" % (payload, ";".join("sprop-%s=%s" % pair for pair in first.items())))
        return lines


def payloads(nals, codec, aggregate=False, mtu=MTU):
    """The payloads of the packets of one picture. aggregate: small NAL units share one."""
    small = [nal for nal in nals if len(nal) + codec.header + 2 <= mtu // 4] if aggregate else []
    if len(small) > 1:
        together = codec.with_type(small[0], codec.aggregate)
        yield together + b"".join(struct.pack(">H", len(nal)) + nal for nal in small)
        nals = [nal for nal in nals if nal not in small]
    for nal in nals:
        if len(nal) <= mtu:
            yield nal
            continue
        body = nal[codec.header:]
        for at in range(0, len(body), mtu):
            first, last = at == 0, at + mtu >= len(body)
            kind = bytes([first << 7 | last << 6 | codec.type(nal)])
            yield codec.with_type(nal, codec.fragment) + kind + body[at:at + mtu]


def packet(payload_type, number, stamp, source, marker, payload, padding=0, extension=False):
    """One RTP packet. padding: so many bytes behind the payload, the last of which says how many. extension: with a
    header of that kind, as ONVIF's replay has it."""
    payload = (struct.pack(">HH", 0xabac, 3) + bytes(12) if extension else b"") + payload
    flags = 0x80 | (0x20 if padding else 0) | (0x10 if extension else 0)
    head = struct.pack(">BBHII", flags, marker << 7 | payload_type, number & 0xffff,
                       stamp & 0xffffffff, source)
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def sender_report(source, seconds, stamp):
    """RTCP: the RTP time `stamp` was at `seconds` since 1970 by the sender's clock."""
    ntp = round((seconds + NTP_TO_UNIX) * 2**32)
    return struct.pack(">BBHIQIII", 0x80, 200, 6, source, ntp, stamp & 0xffffffff, 0, 0)


def bye(source):
    return struct.pack(">BBHI", 0x81, 203, 1, source)


RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


def aac(path, payload=97, with_config=True):
    """Sound from a file of AAC with ADTS headers. with_config: whether the SDP has the decoder's configuration."""
    with open(path, "rb") as file:
        data = file.read()
    frames, at = [], 0
    rate, channels = RATES[data[2] >> 2 & 15], (data[2] & 1) << 2 | data[3] >> 6
    config = "%04x" % ((data[2] >> 6) + 1 << 11 | (data[2] >> 2 & 15) << 7 | channels << 3)
    while at + 7 <= len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames.append(data[at + (7 if data[at + 1] & 1 else 9):at + size])
        at += size
    said = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
    lines = ["a=rtpmap:%d mpeg4-generic/%d/%d" % (payload, rate, channels),
             "a=fmtp:%d %s%s" % (payload, said, ";config=" + config if with_config else "")]
    return Sound(frames, 1024, rate, payload, lines, lambda frame: struct.pack(">HH", 16, len(frame) << 3) + frame)


def g711(law):
    """A tone of 8 kHz in A-law or mu-law (law: "pcma" or "pcmu"), in packets of 20 ms: a square wave of 500 Hz."""
    high, low = (0x9a, 0x1a) if law == "pcma" else (0xb0, 0x30)
    frame = (bytes([high] * 8) + bytes([low] * 8)) * 10
    number = 8 if law == "pcma" else 0
    return Sound([frame], 160, 8000, number, ["a=rtpmap:%d %s/8000" % (number, law.upper())], lambda frame: frame)
