"""Packets from and to PyAV, so that a recorder is ten lines:

    door = cuframes.subscribe("door", mode="packets")
    packets = door.packets()
    with av.open("door.mkv", "w") as file:
        streams = cuframes.pyav.add_streams(file, door.tracks)
        for packet in packets:
            file.mux(cuframes.pyav.packet(packet, streams[packet.track]))
"""
from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from . import _core
from ._publisher import Publisher
from ._subscriber import Track

NANOSECONDS = Fraction(1, 10**9)

# Matroska's names of codecs, for those that it takes with their extradata as they are.
_NAMES = {"h264": "V_MPEG4/ISO/AVC", "hevc": "V_MPEGH/ISO/HEVC", "av1": "V_AV1", "vp8": "V_VP8", "vp9": "V_VP9",
          "mjpeg": "V_MJPEG", "mpeg4": "V_MPEG4/ISO/ASP", "aac": "A_AAC", "opus": "A_OPUS", "mp3": "A_MPEG/L3",
          "mp2": "A_MPEG/L2", "ac3": "A_AC3", "eac3": "A_EAC3", "pcm_s16le": "A_PCM/INT/LIT"}


def _element(name: str, content: bytes) -> bytes:
    """An element of EBML: its name, its size in 8 bytes, what it holds."""
    return bytes.fromhex(name) + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def template(track: Track) -> Any:
    """A stream of PyAV with the parameters of a track, for `container.add_stream_from_template()`. PyAV makes streams
    with extradata by demuxing alone: so this is the head of a Matroska file in memory. ValueError for a codec that
    Matroska does not know."""
    import av
    if track.codec not in _NAMES:
        raise ValueError(f"track {track.index}: {track.codec} is not one of {', '.join(_NAMES)}")
    video = track.media_type == "video"
    if video:
        form = _element("E0", _element("B0", _number(track.width)) + _element("BA", _number(track.height)))
    else:
        form = _element("E1", _element("B5", struct.pack(">d", track.sample_rate)) +
                        _element("9F", _number(track.channels)) +
                        (_element("6264", _number(16)) if track.codec == "pcm_s16le" else b""))
    entry = (_element("D7", _number(1)) + _element("73C5", _number(1)) + _element("83", _number(1 if video else 2)) +
             _element("86", _NAMES[track.codec].encode()) +
             (_element("63A2", track.extradata) if track.extradata else b"") + form)
    head = _element("1A45DFA3", _element("4282", b"matroska") + _element("4287", _number(4)) +
                    _element("4285", _number(2)))
    segment = _element("18538067", _element("1549A966", _element("2AD7B1", _number(10**6))) +
                       _element("1654AE6B", _element("AE", entry)) + _element("1F43B675", _element("E7", _number(0))))
    return av.open(io.BytesIO(head + segment), format="matroska").streams[0]


def add_streams(container: Any, tracks: Iterable[Track]) -> dict[int, Any]:
    """Adds a stream for each track of video and sound to an output container: {index of the track: stream}."""
    return {track.index: container.add_stream_from_template(template(track))
            for track in tracks if track.media_type in ("video", "audio")}


def packet(given: _core.Packet, stream: Any = None) -> Any:
    """An av.Packet of a packet; times in ns (its time_base says so). With a stream it is for that one, to be muxed.
    PyAV lets nobody mark a packet as hidden or disposable: see Packet.hidden."""
    import av
    made = av.Packet(bytes(given))
    made.time_base = NANOSECONDS
    made.pts, made.dts = given.pts, given.dts
    if given.duration:
        made.duration = given.duration
    made.is_keyframe, made.is_corrupt = given.key, given.corrupt
    if stream is not None:
        made.stream = stream
    return made


def decoder(track: Track) -> Any:
    """A CodecContext that decodes the packets of a track: `for frame in decoder.decode(packet(p))`."""
    import av
    context = av.CodecContext.create(track.codec, "r")
    if track.extradata:
        context.extradata = track.extradata
    return context


def describe(publisher: Publisher, track: int, stream: Any) -> None:
    """Describes a track by a stream of PyAV, which its packets come from."""
    context = stream.codec_context
    said: dict[str, Any] = {"codec": context.codec.canonical_name if hasattr(context.codec, "canonical_name")
                            else context.name, "media_type": stream.type, "extradata": context.extradata,
                            "bit_rate": context.bit_rate or 0}
    if stream.type == "video":
        rate = stream.average_rate or stream.guessed_rate or Fraction(0, 1)
        said.update(width=context.width, height=context.height, frame_rate_num=rate.numerator if rate else 0,
                    frame_rate_den=rate.denominator if rate else 0)
    elif stream.type == "audio":
        said.update(sample_rate=context.sample_rate, channels=context.channels)
    if stream.time_base:
        said.update(time_base_num=stream.time_base.numerator, time_base_den=stream.time_base.denominator)
    publisher.describe(track, said)


def send(publisher: Publisher, given: Any, *, track: int = 0) -> None:
    """Publishes an av.Packet. One without bytes, as a demuxer ends with, is left out."""
    if given.size == 0:
        return

    def time(value: int | None) -> int | None:
        return None if value is None else int(value * given.time_base * 10**9)

    publisher.send_packet(given, track=track, pts=time(given.pts), dts=time(given.dts),
                          duration=time(given.duration) or 0, key=given.is_keyframe, corrupt=given.is_corrupt,
                          hidden=given.is_discard, disposable=given.is_disposable)
