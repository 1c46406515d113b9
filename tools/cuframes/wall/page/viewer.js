// viewer.js - watches one stream for a tile: says what it wants of the server, gives samples to a player, replaces a
// player that has failed or shows nothing, leaves out what is late up to a keyframe, and counts. A player that fails
// again and again makes place for the next way of ways.js, and pictures made by the server are the last one.

import { Lateness } from './lateness.js';
import { KIND } from './sample.js';
import { picturesOnly, waysFor } from './ways.js';
import { WebCodecsPlayer } from './player_webcodecs.js';
import { MsePlayer } from './player_mse.js';
import { PicturePlayer } from './player_pictures.js';
import { Sound } from './sound.js';

const PLAYERS = { webcodecs: WebCodecsPlayer, mse: MsePlayer, pictures: PicturePlayer };
const STUCK_MS = 5000;       // a keyframe came, and nothing is shown
const FAILURES_MOST = 3;     // in so many ms one leaves a way
const FAILURES_MS = 10000;
const RETURN_MS = 60000;     // from pictures to packets: perhaps it was this one minute
const AGAIN_MS = 1000;
const BEHIND_SHOWN_MS = 5000; // that something was left out is said for so long
const WAITING_MOST = 2000;   // samples that wait until the browser has said what it can play

function bytesOfBase64(text) {
  return text ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : new Uint8Array(0);
}

export class Viewer {
  // on: { wants(), shown(pts), changed() }; clock() is the server's, in ms.
  constructor(number, name, stage, clock, on) {
    Object.assign(this, { number, name, stage, clock, on });
    this.active = false;
    this.full = false;
    this.tracks = new Map(); // by config
    this.track = null;       // of the video
    this.player = null;
    this.way = '';
    this.ways = [];
    this.skip = 0;           // ways that have been left
    this.pictures = picturesOnly;
    this.picturesSince = 0;
    this.pending = null;     // samples, while the browser is asked
    this.again = false;
    this.againAt = -Infinity;
    this.failures = [];
    this.words = '';         // why there is no picture
    this.note = '';          // why this way and no better one
    this.sound = null;
    this.soundTrack = null;
    this.soundOn = false;
    this.display = new Lateness();
    this.arrival = new Lateness(() => this.display.forget());
    this.behind = false;     // what comes is left out, but keyframes
    this.behindAt = -Infinity;
    this.newestSent = 0;
    this.lateUntil = 0;      // `sent` of the newest one when the page fell behind
    this.late = 0;           // pictures left out since they were late here
    this.#forget();
    this.rebuilt = 0;
    this.lastFailure = '';
    this.dropped = 0;
    this.lastPts = null;
  }

  start() {
    if (this.active)
      return;
    this.active = true;
    this.#forget();
    this.on.wants();
  }

  // The last picture stays.
  stop() {
    if (!this.active)
      return;
    this.active = false;
    this.#end();
    this.setSound(false);
    this.tracks.clear();
    this.track = this.soundTrack = null;
    this.on.wants();
  }

  setSound(on) {
    if (on === this.soundOn)
      return;
    this.soundOn = on;
    this.sound?.close();
    this.sound = on ? new Sound() : null; // in the click: browsers let nothing else begin to sound
    this.soundTrack = null;
    this.on.wants();
    this.on.changed();
  }

  setFull(full) {
    this.full = full;
    if (this.pictures && this.active)
      this.on.wants();
  }

  // What is said to the server; null: nothing is wanted.
  want() {
    if (!this.active)
      return null;
    const as = this.pictures ? 'pictures' : 'video';
    const wanted = { tile: this.number, stream: this.name, as, audio: this.soundOn };
    if (this.pictures)
      wanted.fps = this.full ? 5 : 1;
    if (this.again)
      wanted.again = true;
    this.again = false;
    return wanted;
  }

  // Begin anew with a keyframe: the page has slept, or a decoder has died.
  begin() {
    if (!this.active)
      return;
    this.#end();
    const now = performance.now();
    if (this.track && !this.pictures)
      this.#configure(this.track);
    if (now - this.againAt > AGAIN_MS) {
      this.againAt = now;
      this.again = true;
      this.on.wants();
    }
  }

  // The connection is gone; all that was known of the tracks is, too.
  lost() {
    this.#end();
    this.tracks.clear();
    this.track = this.soundTrack = null;
    this.words = '';
  }

  message(message) {
    if (message.track)
      this.#described(message.track);
    else if (message.pictures !== undefined)
      this.note = String(message.pictures);
    else if (message.dropped > 0)
      this.#leftOut('dropped', message.dropped);
    else if (message.waiting !== undefined)
      this.words = String(message.waiting);
    else if (message.gone)
      this.words = 'the stream is gone; it goes on here when it is back';
    this.on.changed();
  }

  sample(sample) {
    if (!this.active)
      return;
    this.bytes += sample.data.length;
    if (sample.kind === KIND.audio) {
      if (this.sound && this.soundTrack?.config === sample.config)
        this.sound.sample(sample);
    } else if (sample.kind === KIND.picture) {
      if (this.way !== 'pictures')
        this.#build('pictures');
      this.player.sample(sample);
    } else if (sample.kind === KIND.video && !this.pictures) {
      this.#video(sample);
    }
  }

  // Whether something was left out a moment ago.
  get isBehind() {
    return performance.now() - this.behindAt < BEHIND_SHOWN_MS;
  }

  // Once a second: is there a picture, and how many. Gives { fps, bits, latency }.
  look(now) {
    const seconds = Math.max(0.2, (now - this.countedAt) / 1000);
    this.fps = this.shown / seconds;
    this.bits = this.bytes * 8 / seconds;
    this.delays.sort((a, b) => a - b);
    this.latency = this.delays.length > 0 ? this.delays[this.delays.length >> 1] : NaN;
    this.countedAt = now;
    this.shown = this.bytes = 0;
    this.delays = [];
    const stuck = this.keyAt > this.shownAt && now - this.keyAt > STUCK_MS;
    if (this.active && this.player && this.way !== 'pictures' && stuck)
      this.#failed('a keyframe came, and no picture of it');
    if (this.active && this.pictures && !picturesOnly && this.picturesSince && now - this.picturesSince > RETURN_MS) {
      this.pictures = false;
      this.picturesSince = this.skip = 0;
      this.#end();
      this.on.wants();
    }
  }

  #forget() {
    this.shown = this.bytes = 0;
    this.countedAt = performance.now();
    this.delays = [];
    this.fps = this.bits = 0;
    this.latency = NaN;
    this.keyAt = this.shownAt = -Infinity;
    this.arrival.forget();
    this.display.forget();
  }

  #end() {
    this.player?.close();
    this.player = null;
    this.way = '';
    this.pending = null;
    this.behind = false;
    this.keyAt = this.shownAt = -Infinity;
  }

  #described(track) {
    track.description = bytesOfBase64(track.description);
    if (track.kind === 'audio') {
      this.soundTrack = track;
      this.sound?.configure(track).then((can) => {
        if (!can)
          this.note = `this browser does not play ${track.name || track.codec}`;
        this.on.changed();
      });
      return;
    }
    this.tracks.set(track.config, track);
    if (this.tracks.size > 8)
      this.tracks.delete(this.tracks.keys().next().value);
    const other = this.track?.codec.split('.')[0] !== track.codec.split('.')[0];
    this.track = track;
    if (other)
      this.skip = 0;
    if (!this.pictures)
      this.#configure(track);
    else if (other && this.picturesSince)
      this.picturesSince = -RETURN_MS; // another codec: tried at once
  }

  // Asks the browser, and keeps samples until it has answered.
  async #configure(track) {
    this.pending = [];
    const ways = await waysFor(track);
    if (!this.active || this.track !== track || !this.pending)
      return;
    this.ways = ways;
    const way = ways[Math.min(this.skip, ways.length)];
    if (!way || this.skip >= ways.length) {
      this.#usePictures(ways.length === 0 ? `this browser does not play ${track.name || track.codec}` : this.note);
      return;
    }
    if (way !== this.way)
      this.#build(way);
    const player = this.player;
    player.configure(track);
    const pending = this.pending || [];
    this.pending = null;
    for (const sample of pending)
      if (this.player === player && sample.config === track.config)
        this.#play(sample);
  }

  #video(sample) {
    if (this.pending) {
      this.pending.push(sample);
      if (this.pending.length > WAITING_MOST)
        this.pending.splice(0, this.pending.length, ...(sample.key ? [sample] : []));
    } else if (this.player && this.track?.config === sample.config) {
      if (this.way === 'pictures')
        this.#configure(this.track); // they stood in for packets that were not there
      else
        this.#play(sample);
    }
  }

  #play(sample) {
    if (sample.key && this.keyAt <= this.shownAt)
      this.keyAt = performance.now();
    if (this.#isWanted(sample))
      this.player.sample(sample);
  }

  // What comes too late is left out, and all that follows up to a keyframe which does not. A keyframe is always played:
  // so there is a picture now and then, however late.
  #isWanted(sample) {
    const late = !sample.hidden && sample.sent > 0 &&
      this.arrival.isLate(this.clock() - sample.sent / 1000, performance.now());
    this.newestSent = sample.sent;
    if (late && !this.behind)
      this.#fallBehind();
    if (sample.key) {
      this.behind = late;
      return true;
    }
    if (this.behind && !sample.hidden)
      this.#leftOut('late', 1);
    return !this.behind;
  }

  #fallBehind() {
    this.behind = true;
    this.lateUntil = this.newestSent;
    this.player.drop();
    this.#leftOut('late', 1);
    this.on.changed();
  }

  #leftOut(whose, count) {
    this[whose] += count;
    this.behindAt = performance.now();
  }

  #build(way) {
    this.player?.close();
    this.way = way;
    const player = new PLAYERS[way](this.stage, {
      shown: (picture) => this.#shown(picture),
      failed: (words) => {
        if (this.player === player)
          this.#failed(words);
      },
    });
    this.player = player;
    this.on.changed();
  }

  // `held`: how many ms the player waits on purpose.
  #shown({ pts, sent, held = 0 }) {
    const now = performance.now();
    const late = this.clock() - sent / 1000;
    this.shownAt = now;
    this.lastPts = pts;
    this.shown++;
    if (sent > 0)
      this.delays.push(Math.max(0, late)); // the clocks agree within some milliseconds
    if (!this.behind && sent > this.lateUntil && this.way !== 'pictures' && this.display.isLate(late - held, now))
      this.#fallBehind();
    if (this.words) {
      this.words = '';
      this.on.changed();
    }
    this.on.shown(pts);
  }

  #failed(words) {
    const now = performance.now();
    this.rebuilt++;
    this.lastFailure = words;
    this.failures = this.failures.filter((at) => now - at < FAILURES_MS);
    this.failures.push(now);
    if (this.failures.length >= FAILURES_MOST) {
      this.failures = [];
      this.skip++;
      this.note = `${this.way}: ${words}`;
    }
    this.begin();
  }

  #usePictures(why) {
    this.#end();
    this.note = why;
    this.pictures = true;
    this.picturesSince = this.skip > 0 ? performance.now() : 0;
    this.on.wants();
    this.on.changed();
  }
}
