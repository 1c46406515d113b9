// player_webcodecs.js - decodes video by WebCodecs and draws each picture as soon as it is there.
//
// All players have one interface: new Player(stage, on), configure(track), sample(sample), drop(), close(). They call
// on.shown({ pts, sent, held }) for each picture that is shown, `held` being the ms that it waited on purpose, and
// on.failed(words) at most once, when somebody has to build another one. A player waits for a keyframe by itself, and
// drop() forgets what is not shown yet: it is late.

import { decoderConfig } from './ways.js';

const QUEUE_MOST = 6;         // pictures in the decoder's queue; with more of them ...
const QUEUE_PATIENCE_MS = 200; // ... for so long, the decoder is too slow for the stream, and is late for good
const QUEUE_LIMIT = 64;
const PACE_MOST_MS = 250;

export class WebCodecsPlayer {
  constructor(stage, on) {
    this.screen = stage.screen;
    this.on = on;
    this.track = null;
    this.decoder = null;
    this.needsKey = true;
    this.fullSince = 0;
    this.underway = new Map(); // by pts: what is in the decoder
    this.hiddenUnderway = 0;
    this.latest = -Infinity; // pts of the sample before
    this.reorders = false; // there are B-frames: pictures come in bursts and are paced by their times
    this.ahead = null;     // ms: display time minus pts
    this.held = [];
    this.frameTimer = 0;
    this.closed = false;
  }

  configure(track) {
    this.track = track;
    this.reorders = false;
    this.latest = -Infinity;
    this.ahead = null;
    this.#restart();
  }

  sample(sample) {
    if (this.closed || !this.decoder)
      return;
    if (sample.key) {
      if (this.needsKey && this.decoder.decodeQueueSize > QUEUE_MOST)
        this.#restart(); // what is queued would only be late
      this.needsKey = false;
      this.latest = -Infinity; // times may have jumped
    } else if (sample.discontinuity) {
      this.needsKey = true;
    }
    if (this.needsKey || (!sample.hidden && this.#isBehind())) {
      this.needsKey = true;
      return;
    }
    if (sample.pts < this.latest)
      this.reorders = true;
    this.latest = sample.pts;
    if (this.underway.size > 2000) // a decoder that swallows samples
      this.#forget();
    this.underway.set(sample.pts, sample);
    this.hiddenUnderway += sample.hidden ? 1 : 0;
    try {
      this.decoder.decode(new EncodedVideoChunk({ type: sample.key ? 'key' : 'delta', timestamp: sample.pts,
        duration: sample.duration || undefined, data: sample.data }));
    } catch (error) {
      this.#fail(error.message);
    }
  }

  drop() {
    if (this.closed || !this.decoder)
      return;
    this.#letGo();
    this.#restart();
  }

  close() {
    this.closed = true;
    this.#letGo();
    this.underway.clear();
    if (this.decoder && this.decoder.state !== 'closed')
      this.decoder.close();
    this.decoder = null;
  }

  #isBehind() {
    const queued = this.decoder.decodeQueueSize - this.hiddenUnderway;
    if (queued <= QUEUE_MOST) {
      this.fullSince = 0;
      return false;
    }
    const now = performance.now();
    this.fullSince = this.fullSince || now;
    return now - this.fullSince > QUEUE_PATIENCE_MS || queued > QUEUE_LIMIT;
  }

  // Pictures that are decoded and wait for their time.
  #letGo() {
    cancelAnimationFrame(this.frameTimer);
    this.frameTimer = 0;
    this.held.forEach((held) => held.frame.close());
    this.held = [];
    this.ahead = null;
  }

  #forget() {
    this.underway.clear();
    this.hiddenUnderway = 0;
  }

  #restart() {
    this.needsKey = true;
    this.fullSince = 0;
    this.#forget();
    try {
      if (this.decoder && this.decoder.state !== 'closed') {
        this.decoder.reset();
      } else {
        this.decoder = new VideoDecoder({
          output: (frame) => this.#output(frame),
          error: (error) => this.#fail(error.message),
        });
      }
      this.decoder.configure(decoderConfig(this.track));
    } catch (error) {
      this.#fail(error.message);
    }
  }

  #fail(words) {
    if (this.closed)
      return;
    this.close();
    this.on.failed(words);
  }

  #output(frame) {
    const sample = this.underway.get(frame.timestamp);
    this.underway.delete(frame.timestamp);
    if (sample?.hidden)
      this.hiddenUnderway--;
    if (this.closed || !sample || sample.hidden) {
      frame.close();
      return;
    }
    if (!this.reorders) {
      this.#show(frame, sample);
      return;
    }
    this.held.push({ frame, sample });
    if (!this.frameTimer)
      this.frameTimer = requestAnimationFrame((now) => this.#pace(now));
  }

  // Of B-frames two or three come at once. Each is shown when the slowest one before it says that it is due.
  #pace(now) {
    this.frameTimer = 0;
    while (this.held.length > 0) {
      const { frame, sample } = this.held[0];
      const due = sample.pts / 1000;
      if (this.ahead === null || now - due > this.ahead || Math.abs(now - due - this.ahead) > PACE_MOST_MS)
        this.ahead = now - due;
      if (due + this.ahead > now + 4 && this.held.length < 8)
        break;
      this.ahead -= 2; // and slowly less again: that is 5 % faster at 25 pictures in a second
      this.held.shift();
      this.#show(frame, sample);
    }
    if (this.held.length > 0)
      this.frameTimer = requestAnimationFrame((next) => this.#pace(next));
  }

  #show(frame, sample) {
    const [across, down] = this.track.sample_aspect || [1, 1];
    const width = across > 0 && down > 0 && across !== down
      ? Math.round(frame.visibleRect.width * across / down) : frame.displayWidth;
    const height = across > 0 && down > 0 && across !== down ? frame.visibleRect.height : frame.displayHeight;
    try {
      this.screen.draw(frame, width, height);
    } finally {
      frame.close();
    }
    this.on.shown({ pts: sample.pts, sent: sample.sent });
  }
}
