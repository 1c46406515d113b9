// boxes.mjs - for tests: what the page reads of an annotation, and where it draws a box. Stdin: { page }, the folder of
// its modules; ends with 1 and the reason where something is not as meant.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const { page } = JSON.parse(readFileSync(0, 'utf8'));
const { readAnnotation, upright } = await import(`${page}/boxes.js`);

// As docs/protocol.md has it: one box, of a frame at 12345.678901 s.
function annotation({ label = 'cat', stream = 'door', length = 64, x = 0.25 } = {}) {
  const data = new Uint8Array(104 + 64), view = new DataView(data.buffer);
  view.setUint32(0, 0x544f4e41, true);
  view.setUint32(4, 1, true);
  view.setBigInt64(24, 12345678901999n, true);
  view.setUint32(32, 1, true);
  view.setUint32(36, length, true);
  data.set(new TextEncoder().encode(stream), 40);
  [x, 0.5, 0.125, 0.0625, 0.5].forEach((value, i) => view.setFloat32(104 + 4 * i, value, true));
  view.setUint32(124, 3, true);
  view.setUint32(128, 7, true);
  data.set(new TextEncoder().encode(label), 136);
  return data;
}

const read = readAnnotation(annotation());
assert.equal(read.stream, 'door');
assert.equal(read.pts, 12345678901, 'microseconds, as samples have them');
assert.deepEqual(read.boxes,
  [{ x: 0.25, y: 0.5, width: 0.125, height: 0.0625, confidence: 0.5, kind: 3, id: 7, label: 'cat' }]);
assert.equal(readAnnotation(annotation({ label: '<img src=x onerror=1>' })).boxes[0].label, '<img src=x onerror=1>');
assert.equal(readAnnotation(annotation({ x: NaN })).boxes.length, 0, 'a box that is nowhere');
assert.equal(readAnnotation(annotation({ length: 128 })), null, 'more than there is');
assert.equal(readAnnotation(annotation({ length: 63 })), null, 'a part of a box');
for (let length = 0; length < 168; length++)
  assert.equal(readAnnotation(annotation().subarray(0, length)), null, `cut off at ${length}`);

// Each way up of EXIF: where the top left corner of the stored picture is in the upright one, and whether sides change.
const corners = { 1: [0, 0], 2: [1, 0], 3: [1, 1], 4: [0, 1], 5: [0, 0], 6: [1, 0], 7: [1, 1], 8: [0, 1] };
for (const [orientation, [right, down]] of Object.entries(corners)) {
  const to = upright({ x: 0, y: 0, width: 0.25, height: 0.5 }, Number(orientation));
  const [width, height] = orientation >= 5 ? [0.5, 0.25] : [0.25, 0.5];
  assert.deepEqual(to, { x: right ? 1 - width : 0, y: down ? 1 - height : 0, width, height }, `way up ${orientation}`);
}
