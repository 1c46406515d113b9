// link.js - the one WebSocket of the page: opened, kept, opened again, and what is said over it (docs/wall.md).
// Also the server's clock, as seen from here: half of the quickest way there and back is taken for the way back.

import { readSample } from './sample.js';

const PROTOCOL = 'cuframes-wall-1';
const RETRY_FIRST_MS = 500, RETRY_LAST_MS = 10000;
const PING_MS = 2000;
const DEAD_MS = 6000; // no word for so long although a ping is out: the connection is gone, whatever TCP believes
const CLOCK_FADES_MS = 60000;

const CLOSED = { 1001: 'the server has ended', 1013: 'the server has too many clients' };

const localMs = () => performance.timeOrigin + performance.now();

export class Link {
  // on: { open(hello), closed(words, retryAtMs, retries), streams(list), detail(object), tile(message), sample(sample),
  //       error(text) }
  constructor(on) {
    this.on = on;
    this.socket = null;
    this.wanted = false;
    this.watching = [];
    this.detailOf = null;
    this.retries = 0;
    this.timer = 0;
    this.clock = null; // { offsetMs, tripMs, atMs }
    this.pingAt = 0;
    this.heardAt = 0;
    setInterval(() => this.#keep(), PING_MS);
  }

  open() {
    this.wanted = true;
    if (!this.socket && !this.timer)
      this.#connect();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.timer = 0;
    this.retries = 0;
    this.#drop();
  }

  // At once, instead of when the wait is over: the network is back, or somebody looks again.
  hurry() {
    if (!this.wanted || this.socket?.readyState === WebSocket.OPEN)
      return;
    clearTimeout(this.timer);
    this.timer = 0;
    this.#drop();
    this.#connect();
  }

  // The page has slept: is anybody still there? Asks, and gives the answer two seconds.
  doubt() {
    this.heardAt = performance.now() - DEAD_MS + 2000;
    this.pingAt = this.heardAt + 1;
    this.#say({ ping: localMs() });
    setTimeout(() => this.#keep(), 2100);
  }

  // All that is wanted from now on. What has `again` begins anew; that is said once.
  watch(list) {
    this.watching = list.map(({ again, ...rest }) => rest);
    this.#say({ watch: list });
  }

  detail(name) {
    this.detailOf = name;
    this.#say({ detail: name });
  }

  // The server's clock in milliseconds since 1970, of now.
  serverNow() {
    return localMs() + (this.clock ? this.clock.offsetMs : 0);
  }

  #say(message) {
    if (this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify(message));
  }

  #connect() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/live`, PROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardAt = performance.now();
    this.pingAt = 0;
    socket.onopen = () => this.#say({ ping: localMs() });
    socket.onmessage = (event) => {
      if (this.socket === socket)
        this.#heard(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket)
        this.#lost(event.code, event.reason);
    };
  }

  #drop() {
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onclose = socket.onmessage = socket.onopen = null;
      socket.close();
    }
  }

  #heard(data) {
    this.heardAt = performance.now();
    if (typeof data !== 'string') {
      const sample = readSample(data);
      if (sample)
        this.on.sample(sample);
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if ('pong' in message)
      this.#pong(message);
    else if (message.hello)
      this.#hello(message.hello);
    else if (message.streams)
      this.on.streams(message.streams);
    else if ('tile' in message)
      this.on.tile(message);
    else if (message.detail)
      this.on.detail(message.detail);
    else if (message.error)
      this.on.error(String(message.error));
  }

  #hello(hello) {
    this.retries = 0;
    if (!this.clock && hello.now > 0)
      this.clock = { offsetMs: hello.now / 1000 - localMs(), tripMs: Infinity, atMs: performance.now() };
    this.on.open(hello);
    this.#say({ watch: this.watching });
    if (this.detailOf !== null)
      this.#say({ detail: this.detailOf });
  }

  #pong({ pong, now }) {
    const here = localMs(), trip = here - pong;
    this.pingAt = 0;
    if (!this.clock || trip <= this.clock.tripMs || performance.now() - this.clock.atMs > CLOCK_FADES_MS)
      this.clock = { offsetMs: now / 1000 + trip / 2 - here, tripMs: trip, atMs: performance.now() };
  }

  #keep() {
    if (!this.socket)
      return;
    const now = performance.now();
    const asked = this.pingAt || this.socket.readyState === WebSocket.CONNECTING;
    if (asked && now - this.heardAt > DEAD_MS) {
      this.#drop();
      this.#lost(0, 'no answer');
    } else if (!this.pingAt && this.socket.readyState === WebSocket.OPEN) {
      this.pingAt = now;
      this.#say({ ping: localMs() });
    }
  }

  #lost(code, reason) {
    this.socket = null;
    if (!this.wanted)
      return;
    const wait = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** this.retries) * (0.75 + Math.random() / 2);
    this.retries++;
    const words = CLOSED[code] || reason || 'connection lost';
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.#connect();
    }, wait);
    this.on.closed(words, performance.now() + wait, this.retries);
  }
}
