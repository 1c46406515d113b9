// player_mse.js - plays a track by Media Source Extensions: samples become fragments of MP4 here, and playback is kept
// close to the newest of them. The interface is that of player_webcodecs.js.
//
// The media timeline is the player's own and has no gaps: where times jump, or samples are missing, the next keyframe
// follows on the last sample. So there is nothing for playback to get stuck at.

import { MediaSourceClass } from './ways.js';
import { fragment, initSegment, mimeType } from './fmp4.js';

// How far playback stays behind the newest sample.
const TARGET_FIRST_S = 0.1, TARGET_LEAST_S = 0.06, TARGET_MOST_S = 0.8;
const JUMP_S = 1;          // more than this behind the target: jump instead of hurrying
const GAP_US = 200000;     // missing time that is closed
const STUCK_MS = 500;      // playback stands still although there is something to play
const KEEP_S = 6, TRIM_S = 12;
const QUEUE_MOST = 2000;   // a tile begins with what has come since a keyframe
const STEER_MS = 100;

export class MsePlayer {
  constructor(stage, on, kind = 'video') {
    this.stage = stage;
    this.on = on;
    this.closed = false;
    this.needsKey = true;
    this.track = null;
    this.buffer = null;
    this.type = '';
    this.init = null;    // bytes of an initialisation segment that is to be appended before the next sample
    this.queue = [];
    this.sequence = 0;
    this.shift = null;   // microseconds from the publisher's dts to ours
    this.end = 0;        // where the last sample ends, on our timeline
    this.frameUs = 0;
    this.placed = [];    // { out, pts, sent } of samples that may be shown
    this.target = TARGET_FIRST_S;
    this.calmSince = performance.now();
    this.started = false;
    this.movedTo = -1;   // playback's last step, and when it was
    this.movedAt = performance.now();

    this.media = document.createElement(kind);
    this.media.muted = kind === 'video';
    this.media.autoplay = true;
    this.media.playsInline = true;
    this.media.disableRemotePlayback = true; // a managed media source asks for it
    this.media.tabIndex = -1;
    this.media.setAttribute('aria-hidden', 'true');
    this.source = new MediaSourceClass();
    this.url = URL.createObjectURL(this.source);
    this.source.addEventListener('sourceopen', () => this.#pump());
    this.media.addEventListener('error', () => this.#fail(this.media.error?.message || 'the media element failed'));
    this.media.addEventListener('waiting', () => this.#starved());
    this.media.src = this.url;
    this.timer = setInterval(() => this.#steer(), STEER_MS);
    if (kind === 'video') {
      stage.element.insertBefore(this.media, stage.screen.canvas.nextSibling);
      this.#watchFrames();
    }
  }

  configure(track) {
    this.track = track;
    this.needsKey = track.kind !== 'audio';
    this.reorderUs = 0;  // how much later than decoded pictures are shown, at most
    this.init = initSegment(track);
  }

  sample(sample) {
    if (this.closed || !this.track)
      return;
    if (sample.discontinuity && !sample.key && this.track.kind !== 'audio')
      this.needsKey = true;
    if (this.needsKey && !sample.key) {
      this.shift = null; // the keyframe follows on what is there
      return;
    }
    this.needsKey = false;
    const usual = this.track.fps > 0 ? Math.round(1e6 / this.track.fps) : this.frameUs || 40000;
    const duration = Math.min(sample.duration || usual, 10e6);
    this.frameUs = duration;
    let dts = this.shift === null ? 0 : sample.dts + this.shift;
    if (this.shift === null || Math.abs(dts - this.end) > Math.max(GAP_US, 3 * duration) || dts < this.last) {
      dts = this.end;
      this.shift = dts - sample.dts;
    }
    this.last = dts + 1;
    this.end = dts + duration;
    const pts = Math.max(dts - 5e6, sample.pts + this.shift);
    this.reorderUs = Math.min(1e6, Math.max(this.reorderUs, pts - dts));
    this.queue.push({ init: this.init, dts, pts, duration, key: sample.key, data: sample.data });
    this.init = null;
    this.placed.push({ out: pts, pts: sample.pts, sent: sample.sent, hidden: sample.hidden });
    if (this.placed.length > 512)
      this.placed.splice(0, 256);
    if (this.queue.length > QUEUE_MOST) {
      this.#fail('the browser takes no more samples');
      return;
    }
    this.#pump();
  }

  drop() {
    if (this.closed || !this.track)
      return;
    this.init = this.init || this.queue.map((sample) => sample.init).filter(Boolean).pop() || null;
    if (this.queue.length > 0) {
      this.end = this.queue[0].dts;
      this.placed = this.placed.filter((placed) => placed.out < this.end);
    }
    this.queue = [];
    this.shift = null;
    this.needsKey = this.track.kind !== 'audio';
    const ranges = this.media.buffered, newest = ranges.length > 0 ? ranges.end(ranges.length - 1) : 0;
    if (newest - this.media.currentTime > this.target + 0.1 && !this.media.seeking)
      this.media.currentTime = newest - this.target;
  }

  close() {
    if (this.closed)
      return;
    this.closed = true;
    clearInterval(this.timer);
    if (this.track?.kind !== 'audio' && this.media.videoWidth > 0 && this.media.readyState >= 2) {
      try {
        this.stage.screen.draw(this.media, this.media.videoWidth, this.media.videoHeight);
      } catch {
        // No last picture then.
      }
    }
    this.media.removeAttribute('src');
    this.media.load();
    this.media.remove();
    URL.revokeObjectURL(this.url);
    this.queue = [];
    this.placed = [];
    this.buffer = null;
  }

  #fail(words) {
    if (this.closed)
      return;
    this.close();
    this.on.failed(words);
  }

  // Appends what is waiting, one run of samples of one configuration at a time.
  #pump() {
    if (this.closed || this.source.readyState !== 'open' || this.queue.length === 0 || this.buffer?.updating)
      return;
    try {
      const first = this.queue[0];
      if (first.init) {
        this.#prepare();
        const init = first.init;
        first.init = null;
        this.buffer.appendBuffer(init);
        return;
      }
      let count = 1;
      const most = this.#whole();
      if (most === 0)
        return;
      while (count < most && !this.queue[count].init &&
             Math.abs(this.queue[count].dts - this.queue[count - 1].dts - this.queue[count - 1].duration) < 1000)
        count++;
      this.buffer.appendBuffer(fragment(++this.sequence, this.queue.slice(0, count)));
      this.queue.splice(0, count);
    } catch (error) {
      if (error.name === 'QuotaExceededError' && this.media.currentTime > 1)
        this.buffer.remove(0, this.media.currentTime - 1);
      else
        this.#fail(error.message);
    }
  }

  // How many samples may be appended. Of B-frames a run is whole when the next picture that is later than all of it has
  // come: a player that gets the later ones first takes what is between for a gap.
  #whole() {
    if (this.reorderUs === 0)
      return this.queue.length;
    let latest = -Infinity, whole = 0;
    this.queue.forEach((sample, i) => {
      if (sample.pts > latest || sample.init) {
        latest = sample.pts;
        whole = i;
      }
    });
    return whole;
  }

  #prepare() {
    const type = mimeType(this.track);
    if (!this.buffer) {
      this.buffer = this.source.addSourceBuffer(type);
      this.buffer.addEventListener('updateend', () => {
        this.#steer();
        this.#pump();
      });
      this.buffer.addEventListener('error', () => this.#fail('the browser could not read a sample'));
    } else if (type !== this.type) {
      this.buffer.changeType(type);
    }
    this.type = type;
  }

  // Keeps playback at the live edge: hurries, waits or jumps, and throws away what was played.
  #steer() {
    const { media, buffer } = this;
    if (this.closed || !buffer || buffer.updating || media.buffered.length === 0)
      return;
    const ranges = media.buffered, last = ranges.length - 1, at = media.currentTime;
    let here = last; // the range that is played; behind it may be a gap which B-frames are about to fill
    while (here >= 0 && !(ranges.start(here) <= at + 0.02 && at <= ranges.end(here) + 0.02))
      here--;
    const now = performance.now();
    if (at !== this.movedTo) {
      this.movedTo = at;
      this.movedAt = now;
    }
    const target = Math.max(this.target, 1.2 * this.frameUs / 1e6);
    const newest = ranges.end(last) - this.reorderUs / 1e6; // of B-frames the newest are not whole yet
    const stuck = now - this.movedAt > STUCK_MS && newest > at + 0.1;
    if ((here < 0 || stuck || newest - at > target + JUMP_S) && !media.seeking) {
      const to = Math.max(ranges.start(last), newest - target);
      if (Math.abs(to - at) > 0.001) {
        media.currentTime = to;
        this.movedAt = now;
      }
    }
    const lag = ranges.end(Math.max(here, 0)) - at;
    const rate = lag > target + 0.3 ? 1.2 : lag > target + 0.06 ? 1.05 : 1;
    if (media.playbackRate !== rate)
      media.playbackRate = rate;
    if (media.paused)
      media.play().catch(() => {}); // not before somebody has clicked, where a browser wants that
    if (now - this.calmSince > 10000) {
      this.calmSince = now;
      this.target = Math.max(TARGET_LEAST_S, this.target * 0.9);
    }
    if (media.currentTime - media.buffered.start(0) > TRIM_S)
      buffer.remove(0, media.currentTime - KEEP_S);
  }

  // Playback has caught up with the newest sample: it was too close for how evenly they come.
  #starved() {
    if (!this.started || this.media.seeking)
      return;
    this.calmSince = performance.now();
    this.target = Math.min(TARGET_MOST_S, this.target + 0.04);
  }

  #watchFrames() {
    if (!this.media.requestVideoFrameCallback) {
      this.media.addEventListener('timeupdate', () => this.#presented(this.media.currentTime));
      return;
    }
    const next = () => this.media.requestVideoFrameCallback((now, frame) => {
      if (this.closed)
        return;
      this.#presented(frame.mediaTime);
      next();
    });
    next();
  }

  #presented(mediaTime) {
    if (this.closed)
      return;
    if (!this.started) {
      this.started = true;
      this.media.classList.add('on');
    }
    const at = mediaTime * 1e6 + 500;
    let best = null;
    for (const placed of this.placed)
      if (placed.out <= at && (!best || placed.out > best.out))
        best = placed;
    if (best)
      this.on.shown({ pts: best.pts, sent: best.sent, held: this.target * 1000 });
  }
}
