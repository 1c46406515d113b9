// tile.js - one stream on the wall, as elements: picture, boxes, name, state, numbers. Every word that comes from a
// stream goes in as text.

import { Boxes } from './boxes.js';
import { Screen } from './screen.js';
import { Viewer } from './viewer.js';
import * as words from './words.js';

export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name === 'className' ? 'class' : name, value === true ? '' : value);
  if (text !== undefined)
    made.textContent = text;
  made.append(...children);
  return made;
}

// Text that changes seldom: the document is touched only then.
function put(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

export class Tile {
  // on: { wants(), open(tile) }
  constructor(number, name, clock, on) {
    this.name = name;
    this.stream = { name };
    this.seen = false;   // on the screen
    this.element = element('article', { className: 'tile', role: 'button', tabindex: -1, 'aria-haspopup': 'dialog' });
    this.element.dataset.stream = name;
    const picture = element('canvas', { className: 'picture', width: 16, height: 9, 'aria-hidden': 'true' });
    this.overlay = element('canvas', { className: 'boxes', 'aria-hidden': 'true' });
    const stageElement = element('div', { className: 'stage' }, picture, this.overlay);
    this.stage = { element: stageElement, screen: new Screen(picture) };
    this.boxes = new Boxes(this.overlay);
    this.said = element('p', { className: 'said' });
    this.title = element('h2', { text: name });
    this.badge = element('span', { className: 'badge' });
    this.more = element('span', { className: 'more' });
    this.figures = element('span', { className: 'figures' });
    this.element.append(stageElement, this.said, element('div', { className: 'label' },
      element('div', { className: 'row' }, this.title, this.badge, this.figures), this.more));
    this.viewer = new Viewer(number, name, this.stage, clock, {
      wants: on.wants,
      changed: () => this.refresh(),
      shown: (pts) => this.#shown(pts),
    });
    this.clock = clock;
    this.element.addEventListener('click', () => on.open(this));
  }

  update(stream) {
    this.stream = stream;
    this.refresh();
  }

  get orientation() {
    return this.viewer.way === 'pictures' ? 1 : this.viewer.track?.orientation || 1;
  }

  // State and numbers in words. Called once a second, and when something has happened.
  refresh() {
    const { viewer, stream } = this;
    const state = words.state(stream, this.clock() / 1000);
    const away = state.tone === 'bad' || state.tone === 'warn' || state.tone === 'quiet';
    this.element.dataset.tone = state.tone;
    put(this.badge, state.word);
    const more = away ? state.more : viewer.isBehind ? 'This page is behind: pictures are left out.' : '';
    put(this.more, more);
    this.more.hidden = !more;
    put(this.figures, viewer.active && viewer.fps > 0 ? this.numbers() : '');
    this.stage.element.dataset.turn = String(this.orientation);
    const shows = viewer.lastPts !== null;
    this.element.classList.toggle('bare', !shows);
    const said = shows && !away ? '' : shows ? '' : viewer.words || this.#waiting(state);
    put(this.said, said);
    this.said.hidden = !said;
    this.element.setAttribute('aria-label', [this.name, state.word, more].filter(Boolean).join(', '));
  }

  numbers() {
    const { viewer } = this;
    const parts = [words.rate(viewer.fps), words.bitRate(viewer.bits), words.milliseconds(viewer.latency)];
    return parts.filter(Boolean).join(' · ');
  }

  #waiting(state) {
    if (state.tone === 'bad')
      return '';
    const tracks = this.stream.tracks || [];
    if (this.stream.format === 'none' && tracks.length > 0 && !tracks.some((track) => track.media === 'video'))
      return tracks.some((track) => track.media === 'audio') ? 'sound alone' : 'data alone';
    return 'no picture yet';
  }

  #shown(pts) {
    const { canvas } = this.stage.screen;
    if (this.element.classList.contains('bare'))
      this.refresh();
    if (this.boxes.kept.length === 0 && !this.boxes.drawn)
      return;
    const video = this.stage.element.querySelector('video.on');
    let aspect = video ? video.videoWidth / video.videoHeight : canvas.width / canvas.height;
    if (this.orientation >= 5)
      aspect = 1 / aspect;
    this.boxes.show(pts, aspect || 16 / 9, this.orientation);
  }

  close() {
    this.viewer.stop();
    this.element.remove();
  }
}
