// ways.js - what this browser can play, and in which order it is tried: WebCodecs shows a picture when it is decoded;
// Media Source Extensions play with a small delay, and exist on plain http, too; pictures are JPEG, made by the server.
//
// A way is tried only if the browser says that it can. One that fails all the same is left by the viewer.

import { canWrap, mimeType } from './fmp4.js';
import { colorSpace } from './color.js';

export const MediaSourceClass = self.ManagedMediaSource || self.MediaSource;

// For trying one way alone: /?way=mse. `pictures` is always there.
const only = new URLSearchParams(location.search).get('way');

export const WORDS = { webcodecs: 'WebCodecs', mse: 'Media Source', pictures: 'JPEG pictures' };

export function decoderConfig(track) {
  const config = { codec: track.codec === 'vp8' ? 'vp8' : track.codec };
  if (track.description.length > 0 && !config.codec.startsWith('vp'))
    config.description = track.description;
  if (track.kind === 'audio') {
    config.sampleRate = track.sample_rate;
    config.numberOfChannels = track.channels;
    return config;
  }
  const space = colorSpace(track.color);
  if (space)
    config.colorSpace = space;
  if (track.width > 0 && track.height > 0) {
    config.codedWidth = track.width;
    config.codedHeight = track.height;
  }
  config.optimizeForLatency = true;
  return config;
}

async function webcodecs(track) {
  const decoder = track.kind === 'audio' ? self.AudioDecoder : self.VideoDecoder;
  if (!decoder)
    return false;
  try {
    return (await decoder.isConfigSupported(decoderConfig(track))).supported === true;
  } catch {
    return false;
  }
}

function mse(track) {
  try {
    return Boolean(MediaSourceClass) && canWrap(track) && MediaSourceClass.isTypeSupported(mimeType(track));
  } catch {
    return false;
  }
}

// Names of the ways that can play a track, best first; empty: pictures.
export async function waysFor(track) {
  const ways = [];
  if (!track.codec)
    return ways;
  if ((!only || only === 'webcodecs') && await webcodecs(track))
    ways.push('webcodecs');
  if ((!only || only === 'mse') && mse(track))
    ways.push('mse');
  return ways;
}

export const picturesOnly = only === 'pictures';

// In a sentence, for the help.
export function describe() {
  if (only)
    return `Only this way, as the address says: ${WORDS[only] || only}.`;
  if (self.VideoDecoder)
    return 'This page decodes by WebCodecs where the browser has the codec, else by Media Source or as pictures.';
  return self.isSecureContext
    ? 'This browser has no WebCodecs: Media Source plays, a little later.'
    : 'Over plain http browsers have no WebCodecs: Media Source plays, a little later. With TLS it is quicker.';
}
