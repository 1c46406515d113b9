// main.js - the page: which tiles there are, which of them are watched, keys, full size, and what is said of the
// connection. A page that nobody sees has no connection at all.

import { readAnnotation } from './boxes.js';
import { Detail } from './detail.js';
import { columns } from './layout.js';
import { Link } from './link.js';
import { KIND } from './sample.js';
import { Tile } from './tile.js';
import { describe } from './ways.js';
import { span } from './words.js';

const HIDDEN_MS = 2000;  // somebody who only switches tabs finds the connection again
const SLEPT_MS = 3000;   // a second that took so long: the page was frozen, or the machine slept
const GONE_MS = 10000;   // a publisher that starts again finds its tile
const ANNOTATIONS = 'cuframes-annotation';

const byId = (id) => document.getElementById(id);
const wall = byId('wall'), filter = byId('filter');
const tiles = new Map();     // by name
const numbers = new Map();   // by the number of the tile
const listeners = new Map(); // numbers of streams of annotations alone, by name
const order = new Intl.Collator(undefined, { numeric: true });
let streams = null, full = null, nextNumber = 1, wantsTimer = false, trouble = null, version = '';

const link = new Link({
  open(hello) {
    version = hello.version || '';
    trouble = null;
    sayTrouble();
  },
  closed(why, retryAt, retries) {
    for (const tile of tiles.values())
      tile.viewer.lost();
    trouble = { why, retryAt, retries };
    if (retries === 3)
      askForLogin();
    sayTrouble();
  },
  streams: listed,
  detail: (info) => detail.update(info),
  tile: (message) => numbers.get(message.tile)?.viewer.message(message),
  sample: sampled,
  error: (text) => console.warn('cuframes wall:', text),
});

const detail = new Detail(byId('detail'), { close: () => show(null), sound: toggleSound });

// ---- what is watched ----

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const tile = tiles.get(entry.target.dataset.stream);
    if (tile)
      tile.seen = entry.isIntersecting;
  }
  choose();
});

function takeNumber() {
  do
    nextNumber = nextNumber % 65535 + 1;
  while (numbers.has(nextNumber) || [...listeners.values()].includes(nextNumber));
  return nextNumber;
}

// Watches what is seen: of the wall what is on the screen, in full size that one alone.
function choose() {
  for (const tile of tiles.values()) {
    if (!document.hidden && (full ? tile === full : tile.seen && !tile.element.hidden))
      tile.viewer.start();
    else
      tile.viewer.stop();
  }
}

// One message for all that has changed in this turn.
function wants() {
  if (wantsTimer)
    return;
  wantsTimer = true;
  queueMicrotask(() => {
    wantsTimer = false;
    const list = [...tiles.values()].map((tile) => tile.viewer.want()).filter(Boolean).slice(0, 240);
    if (list.length > 0)
      for (const [stream, tile] of listeners)
        list.push({ tile, stream, as: 'video', audio: false, data: true });
    link.watch(list.slice(0, 256));
  });
}

function sampled(sample) {
  if (sample.kind !== KIND.data) {
    numbers.get(sample.tile)?.viewer.sample(sample);
    return;
  }
  const annotation = readAnnotation(sample.data);
  if (annotation)
    tiles.get(annotation.stream)?.boxes.add(annotation);
}

// ---- which tiles there are ----

const isAnnotations = (stream) => stream.format === 'none' && (stream.tracks || []).length > 0 &&
  stream.tracks.every((track) => track.codec === ANNOTATIONS);

function listed(list) {
  streams = list.filter((stream) => typeof stream.name === 'string').sort((a, b) => order.compare(a.name, b.name));
  const names = new Set(streams.map((stream) => stream.name));
  for (const [name, tile] of tiles)
    if (!names.has(name) && !tile.goneAt) {
      tile.goneAt = performance.now();
      tile.update({ ...tile.stream, state: 'gone', error: undefined });
    }
  for (const name of listeners.keys())
    if (!names.has(name))
      listeners.delete(name);
  let before = null;
  for (const stream of streams) {
    if (isAnnotations(stream)) {
      if (!listeners.has(stream.name)) {
        listeners.set(stream.name, takeNumber());
        wants();
      }
      continue;
    }
    const tile = tiles.get(stream.name) || add(stream.name);
    tile.goneAt = 0;
    tile.update(stream);
    const place = before ? before.nextSibling : wall.firstChild;
    if (place !== tile.element)
      wall.insertBefore(tile.element, place);
    before = tile.element;
  }
  sift();
}

function add(name) {
  const number = takeNumber();
  const tile = new Tile(number, name, () => link.serverNow(), { wants, open: show });
  tiles.set(name, tile);
  numbers.set(number, tile);
  observer.observe(tile.element);
  return tile;
}

function remove(tile) {
  if (document.activeElement === tile.element)
    focusBeside(tile, 1) || focusBeside(tile, -1);
  observer.unobserve(tile.element);
  tile.close();
  tiles.delete(tile.name);
  for (const [number, one] of numbers)
    if (one === tile)
      numbers.delete(number);
}

function sift() {
  const wanted = filter.value.trim().toLowerCase();
  for (const tile of tiles.values()) {
    const text = `${tile.name} ${tile.badge.textContent} ${tile.stream.description || ''}`.toLowerCase();
    tile.element.hidden = wanted !== '' && !text.includes(wanted);
  }
  arrange();
  summarise();
  choose();
}

function shownTiles() {
  return [...wall.children].filter((one) => !one.hidden).map((one) => tiles.get(one.dataset.stream)).filter(Boolean);
}

function arrange() {
  const shown = shownTiles();
  const gap = parseFloat(getComputedStyle(wall).columnGap) || 0;
  const box = getComputedStyle(wall);
  const width = wall.clientWidth - parseFloat(box.paddingLeft) - parseFloat(box.paddingRight);
  const height = innerHeight - wall.offsetTop - parseFloat(box.paddingTop) - parseFloat(box.paddingBottom);
  const best = columns(shown.length, width, height, gap);
  wall.style.setProperty('--columns', String(best.count));
  wall.style.setProperty('--tile', `${Math.floor(best.width)}px`);
  if (!shown.some((tile) => tile.element.tabIndex === 0))
    shown.forEach((tile, i) => { tile.element.tabIndex = i === 0 ? 0 : -1; });
}

function summarise() {
  const shown = shownTiles();
  const live = shown.filter((tile) => tile.element.dataset.tone === 'good').length;
  const total = tiles.size;
  const count = `${shown.length === total ? '' : `${shown.length} of `}${total} stream${total === 1 ? '' : 's'}`;
  const text = streams === null ? 'Connecting' : total === 0 ? 'No streams'
    : live === shown.length ? `${count}, live` : `${count}, ${live} live`;
  if (byId('summary').textContent !== text)
    byId('summary').textContent = text;
  document.title = total > 0 && live < shown.length ? `(${shown.length - live} away) cuframes wall` : 'cuframes wall';
  const [title, more, command] = byId('empty').children;
  byId('empty').hidden = streams === null || shown.length > 0;
  title.textContent = total === 0 ? 'No streams yet' : 'No stream has this in its name or state';
  more.textContent = total === 0 ? 'They appear here by themselves. For example:' : '';
  command.textContent = total === 0 ? 'cuframes publish test:1280x720@25 --name test' : '';
  command.hidden = total !== 0;
}

// ---- full size ----

function show(tile) {
  if (tile === full)
    return;
  const before = full;
  full = null;
  if (before) {
    before.element.classList.remove('full');
    before.element.setAttribute('role', 'button');
    before.viewer.setSound(false);
    before.viewer.setFull(false);
  }
  document.body.classList.toggle('full', tile !== null);
  if (tile) {
    full = tile;
    tile.element.classList.add('full');
    tile.element.setAttribute('role', 'group');
    tile.viewer.setFull(true);
    detail.open(tile);
    link.detail(tile.name);
    focusOn(tile);
  } else {
    detail.hide();
    link.detail(null);
    arrange();
    if (before)
      focusOn(before);
  }
  choose();
}

function toggleSound() {
  if (!full)
    return;
  full.viewer.setSound(!full.viewer.soundOn);
  detail.refresh();
}

// ---- keys ----

function focusOn(tile) {
  for (const one of tiles.values())
    one.element.tabIndex = one === tile ? 0 : -1;
  tile.element.focus({ preventScroll: full !== null });
}

function focusBeside(tile, step) {
  const shown = shownTiles();
  const next = shown[shown.indexOf(tile) + step];
  if (next)
    focusOn(next);
  return Boolean(next);
}

function move(step) {
  const shown = shownTiles();
  if (full) {
    if (Math.abs(step) === 1 && shown.length > 0)
      show(shown[(shown.indexOf(full) + step + shown.length) % shown.length]);
    return;
  }
  const at = tiles.get(document.activeElement?.dataset?.stream);
  if (at)
    focusBeside(at, step);
  else if (shown.length > 0)
    focusOn(shown[0]);
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId('keys').open)
    return;
  const typing = document.activeElement === filter;
  if (event.key === 'Escape') {
    if (typing) {
      filter.value = '';
      sift();
      filter.blur();
    } else {
      show(null);
    }
    return;
  }
  if (typing) {
    if (event.key === 'Enter' || event.key === 'ArrowDown') {
      filter.blur();
      move(0);
      event.preventDefault();
    }
    return;
  }
  const across = Number(wall.style.getPropertyValue('--columns')) || 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
  const onTile = tiles.get(document.activeElement?.dataset?.stream);
  if (event.key in steps && (onTile || full || document.activeElement === document.body)) {
    move(steps[event.key]);
    event.preventDefault();
  } else if ((event.key === 'Enter' || event.key === ' ') && onTile && !full) {
    show(onTile);
    event.preventDefault();
  } else if (event.key === '/') {
    show(null);
    filter.focus();
    filter.select();
    event.preventDefault();
  } else if (event.key === '?') {
    help();
    event.preventDefault();
  } else if (event.key === 'f' || event.key === 'F') {
    wholeScreen();
  } else if (event.key === 'm' || event.key === 'M') {
    toggleSound();
  }
}

function wholeScreen() {
  if (document.fullscreenElement)
    document.exitFullscreen();
  else
    document.documentElement.requestFullscreen?.().catch(() => {});
}

function help() {
  byId('way').textContent = describe() + (version ? ` cuframes ${version}.` : '');
  byId('keys').showModal();
}

// ---- the connection, and time ----

function sayTrouble() {
  const line = byId('trouble');
  line.hidden = !trouble || document.hidden;
  if (trouble) {
    const wait = Math.max(0, (trouble.retryAt - performance.now()) / 1000);
    line.textContent = trouble.login ? 'The server wants a login: reload this page.'
      : `No connection: ${trouble.why}. ${wait > 0.5 ? `Next try in ${span(Math.ceil(wait))}.` : 'Trying.'}`;
  }
}

// A WebSocket does not say why it was refused.
async function askForLogin() {
  try {
    const answer = await fetch('/streams.json', { method: 'HEAD', cache: 'no-store' });
    if (trouble)
      trouble.login = answer.status === 401;
  } catch {
    // Nobody is there.
  }
}

let last = performance.now(), hiddenTimer = 0;

function second() {
  const now = performance.now();
  if (now - last > SLEPT_MS && !document.hidden)
    awake();
  last = now;
  for (const tile of [...tiles.values()]) {
    tile.viewer.look(now);
    tile.refresh();
    if (tile.goneAt && now - tile.goneAt > GONE_MS && tile !== full) {
      remove(tile);
      sift();
    }
  }
  detail.refresh();
  sayTrouble();
  summarise();
}

// What has piled up while the page slept is old: begin anew, and see whether the connection still lives.
function awake() {
  link.doubt();
  for (const tile of tiles.values())
    tile.viewer.begin();
}

function visibility() {
  clearTimeout(hiddenTimer);
  choose();
  if (document.hidden) {
    hiddenTimer = setTimeout(() => link.close(), HIDDEN_MS);
  } else {
    last = performance.now();
    link.open();
    link.hurry();
  }
}

document.addEventListener('keydown', key);
document.addEventListener('visibilitychange', visibility);
document.addEventListener('resume', awake);
addEventListener('pageshow', (event) => {
  if (!event.persisted)
    return;
  link.open();
  awake();
});
addEventListener('pagehide', () => link.close());
addEventListener('online', () => link.hurry());
addEventListener('resize', arrange);
filter.addEventListener('input', sift);
byId('help').addEventListener('click', help);
setInterval(second, 1000);
if (!document.hidden)
  link.open();

// For whoever looks with the browser's console, and for the tests.
self.wall = { tiles, link, show };
