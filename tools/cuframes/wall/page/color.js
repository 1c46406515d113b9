// color.js - what a track says of its colours, as VideoDecoder and as MP4 want it.
// The server gives names or code points of H.273; 0, 2 and null are "not said", and then the browser guesses as it
// does for its own <video>.

const PRIMARIES = [
  [1, 'bt709'], [5, 'bt470bg'], [6, 'smpte170m'], [9, 'bt2020'], [12, 'smpte432'],
];
const TRANSFERS = [
  [1, 'bt709'], [6, 'smpte170m'], [8, 'linear'], [13, 'iec61966-2-1'], [16, 'pq'], [18, 'hlg'],
  [14, 'bt709'], [15, 'bt709'], [16, 'smpte2084'], [18, 'arib-std-b67'], [14, 'bt2020-10'], [15, 'bt2020-12'],
];
const MATRICES = [
  [0, 'rgb'], [1, 'bt709'], [5, 'bt470bg'], [6, 'smpte170m'], [9, 'bt2020-ncl'], [9, 'bt2020nc'], [0, 'gbr'],
];

function code(table, value) {
  if (typeof value === 'number')
    return value === 2 ? null : value;
  const row = table.find(([, name]) => name === value);
  return row ? row[0] : null;
}

function name(table, value) {
  const number = code(table, value);
  const row = number === null ? null : table.find(([n]) => n === number);
  return row ? row[1] : null;
}

// A VideoColorSpaceInit, or undefined if the track says nothing.
export function colorSpace(color) {
  if (!color)
    return undefined;
  const space = {
    primaries: name(PRIMARIES, color.primaries || null),
    transfer: name(TRANSFERS, color.transfer || null),
    matrix: color.matrix === 0 ? null : name(MATRICES, color.matrix),
    fullRange: typeof color.full === 'boolean' ? color.full : null,
  };
  return Object.values(space).some((value) => value !== null) ? space : undefined;
}

// Code points and range of a `colr` box of the kind `nclx`; null if the track says nothing.
export function colorCodes(color) {
  if (!color)
    return null;
  const of = (table, value) => code(table, value || null) ?? 2;
  const codes = {
    primaries: of(PRIMARIES, color.primaries),
    transfer: of(TRANSFERS, color.transfer),
    matrix: of(MATRICES, color.matrix),
    full: color.full === true,
  };
  return codes.primaries === 2 && codes.transfer === 2 && codes.matrix === 2 && !codes.full ? null : codes;
}
