// detail.js - everything about one stream, beside it in full size: what `cuframes info` and `top` say, and what can be
// done with it.

import { element } from './tile.js';
import { WORDS } from './ways.js';
import * as words from './words.js';

function copy(text, button) {
  const done = (well) => {
    button.textContent = well ? 'Copied' : 'Press Ctrl-C';
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  };
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let well = false;
    try {
      well = document.execCommand('copy'); // plain http has nothing else
    } catch {
      // It is selected: the keys copy it.
    }
    done(well);
  };
  if (navigator.clipboard)
    navigator.clipboard.writeText(text).then(() => done(true), select);
  else
    select();
}

function facts(rows) {
  const list = element('dl');
  for (const [name, value] of rows)
    if (value !== null && value !== undefined && value !== '')
      list.append(element('dt', { text: name }), element('dd', { text: String(value) }));
  return list;
}

function table(caption, heads, rows) {
  const cells = (tag, values) => values.map((value) => element(tag,
    { text: String(value ?? ''), scope: tag === 'th' ? 'col' : null }));
  return element('div', { className: 'scroll' }, element('table', {}, element('caption', { text: caption }),
    element('thead', {}, element('tr', {}, ...cells('th', heads))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...cells('td', row))))));
}

export class Detail {
  // on: { close(), sound() }
  constructor(aside, on) {
    this.aside = aside;
    this.on = on;
    this.tile = null;
  }

  open(tile) {
    this.tile = tile;
    this.info = null;
    const { name } = tile, path = `/${encodeURIComponent(name)}`;
    this.close = element('button',
      { type: 'button', className: 'close', 'aria-label': 'Back to the wall (Esc)', text: '✕' });
    this.close.addEventListener('click', () => this.on.close());
    this.sound = element('button', { type: 'button', className: 'sound', 'aria-pressed': 'false', text: 'Sound' });
    this.sound.addEventListener('click', () => this.on.sound());
    const command = `cuframes record ${name}`;
    const button = element('button', { type: 'button', text: 'Copy', 'aria-label': `Copy the command ${command}` });
    button.addEventListener('click', () => copy(command, button));
    this.state = element('p', { className: 'state', role: 'status' });
    this.live = element('div');
    this.body = element('div');
    this.aside.replaceChildren(
      element('div', { className: 'head' }, element('h2', { text: name }), this.close),
      this.state,
      element('nav', { 'aria-label': 'This stream' }, this.sound,
        element('a', { href: `${path}.jpg`, download: `${name}.jpg`, text: 'Snapshot' }),
        element('a', { href: `${path}.mp4`, target: '_blank', rel: 'noopener', text: `/${name}.mp4` }),
        element('a', { href: `${path}.ts`, download: `${name}.ts`, text: `/${name}.ts` })),
      element('p', { className: 'command' }, element('code', { text: command }), button),
      this.live, this.body);
    this.aside.hidden = false;
    this.refresh();
  }

  hide() {
    this.tile = null;
    this.aside.hidden = true;
    this.aside.replaceChildren();
  }

  // The server's answer, once a second.
  update(info) {
    if (!this.tile || info.name !== this.tile.name)
      return;
    this.info = info;
    this.#fill();
  }

  refresh() {
    const { tile } = this;
    if (!tile)
      return;
    const { viewer, stream } = tile;
    const state = words.state(stream, tile.clock() / 1000);
    const said = [state.word, state.more].filter(Boolean).join(' · ');
    if (this.state.textContent !== said)
      this.state.textContent = said;
    this.state.dataset.tone = state.tone;
    const audible = (stream.tracks || []).some((track) => track.media === 'audio' && track.plays !== null);
    this.sound.hidden = !audible;
    this.sound.setAttribute('aria-pressed', String(viewer.soundOn));
    this.sound.textContent = viewer.soundOn ? 'Sound on' : 'Sound off';
    this.live.replaceChildren(facts([
      ['Shown', tile.numbers()],
      ['By', [WORDS[viewer.way] || '', viewer.way === 'pictures' ? viewer.note : ''].filter(Boolean).join(': ')],
      ['Left out', [viewer.dropped > 0 ? `${viewer.dropped} samples: they waited for this page too long` : '',
        viewer.late > 0 ? `${viewer.late} pictures: they were late here` : ''].filter(Boolean).join(', ')],
      ['Decoders', viewer.rebuilt > 0 ? `rebuilt ${viewer.rebuilt} times: ${viewer.lastFailure}` : ''],
    ]));
    if (!this.info)
      this.#fill();
  }

  #fill() {
    const info = this.info || this.tile.stream;
    const readers = info.subscriber_list || [];
    const watchers = this.tile.stream.watchers;
    const held = (reader) => (Array.isArray(reader.held_slots) ? reader.held_slots.length : reader.leases_held);
    const parts = [facts([
      ['Picture', [words.size(info), info.format, words.rate(info.fps)].filter(Boolean).join(' · ')],
      ['Device', info.device],
      ['Slots', info.slots ? `${info.slots} of at most ${info.max_slots}, ${info.slots_pinned} held` : ''],
      ['Memory', info.memory_bytes ? words.bytes(info.memory_bytes) : ''],
      ['Frames', info.frames], ['Packets', info.packets],
      ['Dropped', info.dropped || ''], ['Evicted', info.evictions || ''],
      ['Browsers', watchers > 0 ? watchers : ''],
      ['Publisher', info.pid ? `process ${info.pid}` : ''],
      ['Source', info.description],
    ])];
    if (Array.isArray(info.tracks) && info.tracks.length > 0)
      parts.push(table('Tracks', ['Codec', 'Bit rate', 'Keyframes'], info.tracks.map((track) => [
        track.codec || track.type || track.media, words.bitRate(track.bit_rate),
        track.keyframe_interval ? `every ${Number(track.keyframe_interval.toPrecision(2))} s` : ''])));
    if (readers.length > 0)
      parts.push(table('Readers', ['Who', 'Mode', 'Holds', 'Behind', 'Skipped'], readers.map((reader) => [
        [reader.label || 'no name', reader.pid ? `(${reader.pid})` : ''].filter(Boolean).join(' '),
        reader.packets ? 'packets' : reader.mode, held(reader) || '', reader.lag || '', reader.skipped || ''])));
    else if (this.info)
      parts.push(element('p', { className: 'nobody', text: 'No other program reads it.' }));
    const where = this.aside.scrollTop;
    this.body.replaceChildren(...parts);
    this.aside.scrollTop = where;
  }
}
