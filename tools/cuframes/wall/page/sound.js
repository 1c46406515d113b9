// sound.js - plays the sound of one stream: by WebCodecs and Web Audio, or by Media Source where that is all there is.
// The interface is that of player_webcodecs.js, without pictures.

import { MsePlayer } from './player_mse.js';
import { decoderConfig, waysFor } from './ways.js';

const LEAD_S = 0.06, LEAD_MOST_S = 0.35;

export class Sound {
  constructor() {
    this.context = null;
    this.decoder = null;
    this.mse = null;
    this.at = 0;
    this.closed = false;
    this.playing = new Set();
  }

  // Resolves to whether this browser can play it. Called again when the track changes.
  async configure(track) {
    this.#stop();
    const [way] = await waysFor(track);
    if (this.closed || !way)
      return false;
    if (way === 'mse') {
      this.mse = new MsePlayer(null, { shown() {}, failed: () => this.#stop() }, 'audio');
      this.mse.configure(track);
      return true;
    }
    this.context = this.context || new AudioContext({ latencyHint: 'interactive' });
    this.context.resume();
    this.decoder = new AudioDecoder({ output: (data) => this.#output(data), error: () => this.#stop() });
    this.decoder.configure(decoderConfig(track));
    return true;
  }

  sample(sample) {
    if (this.mse) {
      this.mse.sample(sample);
    } else if (this.decoder?.state === 'configured' && this.decoder.decodeQueueSize < 50) {
      try {
        this.decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: sample.pts, data: sample.data }));
      } catch {
        this.#stop();
      }
    }
  }

  close() {
    this.closed = true;
    this.#stop();
    this.context?.close();
    this.context = null;
  }

  #stop() {
    this.mse?.close();
    this.mse = null;
    if (this.decoder && this.decoder.state !== 'closed')
      this.decoder.close();
    this.decoder = null;
    this.playing.forEach((node) => node.stop());
    this.playing.clear();
    this.at = 0;
  }

  #output(data) {
    const { context } = this;
    if (!context || this.closed) {
      data.close();
      return;
    }
    const late = this.at < context.currentTime + 0.005;
    if (late)
      this.at = context.currentTime + LEAD_S;
    if (this.at > context.currentTime + LEAD_MOST_S) { // too much waits: some is left out rather than late for good
      data.close();
      return;
    }
    const sound = context.createBuffer(data.numberOfChannels, data.numberOfFrames, data.sampleRate);
    for (let channel = 0; channel < data.numberOfChannels; channel++)
      data.copyTo(sound.getChannelData(channel), { planeIndex: channel, format: 'f32-planar' });
    data.close();
    const node = context.createBufferSource();
    node.buffer = sound;
    node.connect(context.destination);
    node.onended = () => this.playing.delete(node);
    node.start(this.at);
    this.playing.add(node);
    this.at += sound.duration;
  }
}
