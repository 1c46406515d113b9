// wrap.mjs - for tests: writes with the page's fmp4.js. Stdin: { page, track, samples, run }, where `page` is the path
// of that module and bytes are in base64; stdout: the MP4, `run` samples in a fragment.
import { readFileSync } from 'node:fs';

const given = JSON.parse(readFileSync(0, 'utf8'));
const { canWrap, fragment, initSegment, mimeType } = await import(given.page);
const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));

const track = { ...given.track, description: bytes(given.track.description) };
if (!canWrap(track))
  throw new Error(`${mimeType(track)} cannot be wrapped`);
const parts = [initSegment(track)];
for (let at = 0, sequence = 1; at < given.samples.length; at += given.run, sequence++)
  parts.push(fragment(sequence, given.samples.slice(at, at + given.run).map(
    (sample) => ({ ...sample, data: bytes(sample.data) }))));
process.stdout.write(Buffer.concat(parts));
