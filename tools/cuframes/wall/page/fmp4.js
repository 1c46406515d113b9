// fmp4.js - writes fragmented MP4 (ISO/IEC 14496-12 and -15) for Media Source Extensions: an initialisation segment for
// a track, and a fragment for a run of samples. Pure: bytes in, bytes out. Times are microseconds, and so is the scale.

import { colorCodes } from './color.js';

const TIMESCALE = 1000000;
const TRACK = 1;

const u8 = (n) => [n & 255];
const u16 = (n) => [n >> 8 & 255, n & 255];
const u24 = (n) => [n >> 16 & 255, n >> 8 & 255, n & 255];
const u32 = (n) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
const u64 = (n) => [...u32(Math.floor(n / 4294967296)), ...u32(n % 4294967296)];
const text = (string) => Array.from(string, (character) => character.charCodeAt(0));
const zeros = (count) => new Array(count).fill(0);

const UNITY = [...u32(0x10000), ...zeros(12), ...u32(0x10000), ...zeros(12), ...u32(0x40000000)];

function box(type, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 8);
  const out = new Uint8Array(length);
  out.set(u32(length));
  out.set(text(type), 4);
  let at = 8;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const fullBox = (type, version, flags, ...parts) => box(type, u8(version), u24(flags), ...parts);

// An MPEG-4 descriptor; none of ours reaches 128 bytes but by a strange AudioSpecificConfig, so the long form is used.
function descriptor(tag, ...parts) {
  const body = parts.flatMap((part) => [...part]);
  const n = body.length;
  return [tag, 0x80 | n >> 21 & 127, 0x80 | n >> 14 & 127, 0x80 | n >> 7 & 127, n & 127, ...body];
}

function esds(config) {
  return fullBox('esds', 0, 0, descriptor(3, u16(TRACK), u8(0),
    descriptor(4, u8(0x40), u8(0x15), u24(0), u32(0), u32(0), descriptor(5, config)), descriptor(6, u8(2))));
}

// OpusHead, as Ogg and WebCodecs have it, is little endian and has a name and a version in front; dOps is neither.
function dOps(track) {
  const head = track.description;
  if (head.length < 19 || String.fromCharCode(...head.subarray(0, 8)) !== 'OpusHead')
    return box('dOps', head.length >= 11 ? head
      : [0, track.channels || 2, ...u16(312), ...u32(track.sample_rate || 48000), 0, 0, 0]);
  const view = new DataView(head.buffer, head.byteOffset);
  return box('dOps', u8(0), u8(head[9]), u16(view.getUint16(10, true)), u32(view.getUint32(12, true)),
    u16(view.getUint16(16, true)), head.subarray(18));
}

// The fields of vpcC are those of the codec string: vp09.PROFILE.LEVEL.DEPTH.CHROMA.PRIMARIES.TRANSFER.MATRIX.FULL
function vpcC(codec) {
  const [, profile = 0, level = 31, depth = 8, chroma = 1, primaries = 1, transfer = 1, matrix = 1, full = 0] =
    codec.split('.').map((part) => parseInt(part, 10));
  return fullBox('vpcC', 1, 0, u8(profile), u8(level), u8(depth << 4 | chroma << 1 | full), u8(primaries), u8(transfer),
    u8(matrix), u16(0));
}

// Per codec the sample entry, and the box that configures its decoder.
const VIDEO = {
  avc1: ['avc1', (track) => box('avcC', track.description)],
  avc3: ['avc3', (track) => box('avcC', track.description)],
  hvc1: ['hvc1', (track) => box('hvcC', track.description)],
  hev1: ['hev1', (track) => box('hvcC', track.description)],
  av01: ['av01', (track) => box('av1C', track.description)],
  vp09: ['vp09', (track) => vpcC(track.codec)],
  vp08: ['vp08', () => vpcC('vp08.0.10.8.1.2.2.2.0')],
  vp8: ['vp08', () => vpcC('vp08.0.10.8.1.2.2.2.0')],
};
const AUDIO = {
  mp4a: ['mp4a', (track) => esds(track.description)],
  opus: ['Opus', dOps],
  flac: ['fLaC', (track) => fullBox('dfLa', 0, 0, track.description)],
};

const ALONE = ['vp08', 'vp09', 'Opus']; // need no description

const family = (codec) => codec.split('.')[0];

function videoEntry(track) {
  const [type, configuration] = VIDEO[family(track.codec)];
  const [across, down] = track.sample_aspect || [1, 1];
  const color = colorCodes(track.color);
  const pasp = across > 0 && down > 0 && across !== down ? box('pasp', u32(across), u32(down)) : [];
  const colr = !color ? [] : box('colr', text('nclx'), u16(color.primaries), u16(color.transfer), u16(color.matrix),
    u8(color.full ? 0x80 : 0));
  return box(type, zeros(6), u16(1), zeros(16), u16(track.width), u16(track.height), u32(0x480000), u32(0x480000),
    u32(0), u16(1), zeros(32), u16(0x18), u16(0xffff), configuration(track), pasp, colr);
}

function audioEntry(track) {
  const [type, configuration] = AUDIO[family(track.codec)];
  return box(type, zeros(6), u16(1), zeros(8), u16(track.channels || 2), u16(16), u32(0),
    u32((track.sample_rate || 48000) % 65536 * 65536), configuration(track));
}

// Whether a track of this codec can be wrapped; a browser must be asked besides (mimeType).
export function canWrap(track) {
  const [type] = (track.kind === 'audio' ? AUDIO : VIDEO)[family(track.codec || '')] || [];
  return Boolean(type) && (ALONE.includes(type) || track.description.length > 0);
}

export function mimeType(track) {
  const codec = track.codec === 'vp8' ? 'vp08.00.10.08' : track.codec;
  return `${track.kind === 'audio' ? 'audio' : 'video'}/mp4; codecs="${codec}"`;
}

// The initialisation segment of a track as the server describes it, `description` being a Uint8Array.
export function initSegment(track) {
  const audio = track.kind === 'audio';
  const [across, down] = track.sample_aspect || [1, 1];
  const shown = audio || !(across > 0 && down > 0) ? track.width : Math.round(track.width * across / down);
  const table = (type, ...parts) => fullBox(type, 0, 0, ...parts, u32(0));
  const ftyp = box('ftyp', text('iso6'), u32(1), text('iso6'), text('mp41'));
  const stbl = box('stbl', fullBox('stsd', 0, 0, u32(1), audio ? audioEntry(track) : videoEntry(track)),
    table('stts'), table('stsc'), table('stsz', u32(0)), table('stco'));
  const minf = box('minf', audio ? fullBox('smhd', 0, 0, zeros(4)) : fullBox('vmhd', 0, 1, zeros(8)),
    box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1))), stbl);
  const mdia = box('mdia', fullBox('mdhd', 0, 0, zeros(8), u32(TIMESCALE), u32(0), u16(0x55c4), u16(0)),
    fullBox('hdlr', 0, 0, u32(0), text(audio ? 'soun' : 'vide'), zeros(12), text('cuframes'), u8(0)), minf);
  const tkhd = fullBox('tkhd', 0, 7, zeros(8), u32(TRACK), u32(0), u32(0), zeros(8), u16(0), u16(0),
    u16(audio ? 0x100 : 0), u16(0), UNITY, audio ? zeros(8) : [...u32(shown * 65536), ...u32(track.height * 65536)]);
  const moov = box('moov',
    fullBox('mvhd', 0, 0, zeros(8), u32(TIMESCALE), u32(0), u32(0x10000), u16(0x100), zeros(10), UNITY, zeros(24),
      u32(TRACK + 1)),
    box('trak', tkhd, mdia),
    box('mvex', fullBox('trex', 0, 0, u32(TRACK), u32(1), u32(0), u32(0), u32(0))));
  return concat([ftyp, moov]);
}

// A fragment of samples in decoding order: { dts, pts, duration, key, data }; their dts must not lie before 0.
export function fragment(sequence, samples) {
  const rows = new Uint8Array(samples.length * 16);
  let size = 8;
  samples.forEach((sample, i) => {
    rows.set(u32(sample.duration), i * 16);
    rows.set(u32(sample.data.length), i * 16 + 4);
    rows.set(u32(sample.key ? 0x02000000 : 0x01010000), i * 16 + 8);
    rows.set(u32(Math.round(sample.pts - sample.dts)), i * 16 + 12);
    size += sample.data.length;
  });
  const make = (offset) => box('moof', fullBox('mfhd', 0, 0, u32(sequence)), box('traf',
    fullBox('tfhd', 0, 0x020000, u32(TRACK)),
    fullBox('tfdt', 1, 0, u64(samples[0].dts)),
    fullBox('trun', 1, 0x000f01, u32(samples.length), u32(offset), rows)));
  const moof = make(make(0).length + 8);
  return concat([moof, Uint8Array.from([...u32(size), ...text('mdat')]), ...samples.map((sample) => sample.data)]);
}

function concat(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
