// lateness.mjs - for tests: the page's viewer over a decoder that decodes when it is told to, by a clock that goes when
// it is told to. Stdin: { page }, the folder of its modules; ends with 1 and the reason where something is not as meant.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const { page } = JSON.parse(readFileSync(0, 'utf8'));

let now = 1e6; // ms, of this page and of the server
const decoders = [];

class Decoder {
  static isConfigSupported = async () => ({ supported: true });

  constructor(on) {
    Object.assign(this, on, { state: 'unconfigured', queue: [], resets: 0 });
    decoders.push(this);
  }

  get decodeQueueSize() { return 0; }
  configure() { this.state = 'configured'; }
  decode(chunk) { this.queue.push(chunk); }
  close() { this.state = 'closed'; }

  reset() {
    this.resets++;
    this.queue = [];
  }

  // All that it has was decoded just now.
  work() {
    for (const { timestamp } of this.queue.splice(0))
      this.output({ timestamp, visibleRect: { width: 16, height: 9 }, displayWidth: 16, displayHeight: 9, close() {} });
  }
}

const globals = {
  self: globalThis, location: { search: '' }, performance: { now: () => now }, VideoDecoder: Decoder,
  EncodedVideoChunk: class { constructor(chunk) { Object.assign(this, chunk); } },
  requestAnimationFrame: () => 0, cancelAnimationFrame: () => {},
};
for (const [name, value] of Object.entries(globals))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

const { Lateness } = await import(`${page}/lateness.js`);
const { Viewer } = await import(`${page}/viewer.js`);
const { KIND } = await import(`${page}/sample.js`);

function judge() {
  const lateness = new Lateness();
  const is = (late, at) => lateness.isLate(late, at);
  assert.equal(is(-3600000, 0), false, 'a clock that is an hour ahead counts for nothing');
  assert.equal(is(-3600000 + 650, 1000), false, '650 ms more than normal');
  assert.equal(is(-3600000 + 750, 1040), true, '750 ms more than normal');
  assert.equal(is(-3600000 + 750, 6000), true, 'for five seconds');
  assert.equal(is(-3600000 + 750, 6100), false, 'and then that is what is normal');
  assert.equal(is(-3600000 + 1600, 6200), true, 'from which it is judged again');
  lateness.forget();
  for (let at = 0; at < 600; at++)
    assert.equal(is(at * 10, at * 1000), false, 'what grows by 600 ms in a minute');
}

async function begin() {
  const shown = [];
  const stage = { screen: { draw() {} } };
  const viewer = new Viewer(1, 'film', stage, () => now, { wants() {}, changed() {}, shown: (pts) => shown.push(pts) });
  viewer.start();
  viewer.message({ track: { config: 1, kind: 'video', codec: 'avc1.42c01f', description: '', width: 16, height: 9 } });
  await new Promise((resolve) => setImmediate(resolve));
  const decoder = decoders[decoders.length - 1];
  // A sample, `late` ms old when it comes; its pts is its number.
  const give = (pts, { key = false, late = 5, hidden = false } = {}) => viewer.sample({ kind: KIND.video, key, hidden,
    discontinuity: false, tile: 1, config: 1, pts, dts: pts, duration: 40000, sent: (now - late) * 1000,
    data: new Uint8Array(4) });
  const step = (...sample) => {
    give(...sample);
    decoder.work();
    now += 40;
  };
  return { viewer, decoder, shown, give, step };
}

async function lateSamples() {
  const { viewer, decoder, shown, step } = await begin();
  step(1, { key: true });
  step(2);
  assert.deepEqual(shown, [1, 2]);
  step(3, { late: 600 });
  assert.deepEqual(shown, [1, 2, 3], '600 ms are borne');
  assert.equal(viewer.isBehind, false);
  const { resets } = decoder;
  step(4, { late: 900 });
  assert.equal(decoder.resets, resets + 1, 'what the decoder has is late, too');
  step(5, { late: 900 });
  step(6);
  assert.deepEqual(shown, [1, 2, 3], 'nothing is shown without a keyframe');
  assert.equal(viewer.isBehind, true, 'the tile is told');
  step(7, { key: true, late: 900 });
  assert.deepEqual(shown, [1, 2, 3, 7], 'a keyframe is a picture, however late');
  step(8, { late: 900 });
  step(9);
  assert.deepEqual(shown, [1, 2, 3, 7]);
  step(10, { key: true });
  step(11);
  assert.deepEqual(shown, [1, 2, 3, 7, 10, 11], 'it goes on with a keyframe that is in time');
  assert.equal(viewer.late, 6, 'it counts what it left out, and that it fell behind');
  now += 6000;
  assert.equal(viewer.isBehind, false, 'it is not behind for ever');
}

async function lateDecoder() {
  const { viewer, decoder, shown, give, step } = await begin();
  step(1, { key: true });
  step(2);
  for (let pts = 3; pts < 10; pts++)
    give(pts);
  now += 1000;
  decoder.work();
  assert.deepEqual(shown, [1, 2, 3], 'behind a picture that is a second late no other one of its age is shown');
  assert.equal(decoder.queue.length, 0);
  step(10);
  assert.deepEqual(shown, [1, 2, 3]);
  step(11, { key: true });
  step(12);
  assert.deepEqual(shown, [1, 2, 3, 11, 12]);
  assert.equal(viewer.isBehind, true);
}

async function lateForGood() {
  const { shown, step } = await begin();
  step(1, { key: true });
  let pts = 2;
  for (const end = now + 8000; now < end; pts++)
    step(pts, { key: pts % 25 === 0, late: 2000 });
  const before = shown.length;
  for (const end = now + 2000; now < end; pts++)
    step(pts, { key: pts % 25 === 0, late: 2000 });
  assert.equal(shown.length - before, 50, 'a link that has become slow is one that is slow');
}

async function headIsNotLate() {
  const { viewer, shown, step } = await begin();
  for (let pts = 1; pts < 100; pts++)
    step(pts, { key: pts === 1, hidden: true, late: 4000 });
  step(100);
  assert.deepEqual(shown, [100], 'what is only decoded is as old as it is');
  assert.equal(viewer.late, 0);
}

judge();
for (const one of [lateSamples, lateDecoder, lateForGood, headIsNotLate])
  await one();
