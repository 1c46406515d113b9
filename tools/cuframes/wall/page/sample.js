// sample.js - the binary messages of the WebSocket: 40 bytes, little endian, and then a sample (docs/wall.md).

export const KIND = { video: 1, audio: 2, picture: 3, data: 4 };

const HEAD_BYTES = 40;

// Exact up to 2^53 microseconds, which is the year 2255. No BigInt: there are hundreds of samples in a second.
function int64(view, at) {
  return view.getInt32(at + 4, true) * 4294967296 + view.getUint32(at, true);
}

// The lowest number there is says that a time is not known.
function time(view, at) {
  const value = int64(view, at);
  return value < -9.2e18 ? null : value;
}

// Null for what is no sample. Times are in microseconds; pts and dts those of the publisher, `sent` the server's clock.
export function readSample(buffer) {
  if (buffer.byteLength < HEAD_BYTES)
    return null;
  const view = new DataView(buffer);
  const flags = view.getUint8(1);
  const pts = time(view, 8), dts = time(view, 16), sent = int64(view, 32);
  return {
    kind: view.getUint8(0),
    key: (flags & 1) !== 0,
    discontinuity: (flags & 2) !== 0,
    hidden: (flags & 4) !== 0,
    tile: view.getUint16(2, true),
    config: view.getUint32(4, true),
    pts: pts ?? dts ?? sent,
    dts: dts ?? pts ?? sent,
    duration: view.getUint32(24, true),
    sent,
    data: new Uint8Array(buffer, HEAD_BYTES),
  };
}
