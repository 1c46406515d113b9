// words.js - numbers and states as people read them. Pure: no document, no clock of its own.

export function bitRate(bits) {
  if (!(bits > 0))
    return '';
  if (bits < 1e6)
    return `${Math.max(1, Math.round(bits / 1e3))} kbit/s`;
  return `${(bits / 1e6).toFixed(bits >= 1e7 ? 0 : 1)} Mbit/s`;
}

export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit++;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60)
    return `${s} s`;
  if (s < 3600)
    return `${Math.floor(s / 60)} min`;
  if (s < 86400)
    return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export function milliseconds(ms) {
  return !isFinite(ms) ? '' : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function rate(fps) {
  return fps > 0 ? `${fps >= 10 ? Math.round(fps) : fps.toFixed(1)} fps` : '';
}

export function clock(seconds) {
  const digits = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  return new Date(seconds * 1000).toLocaleTimeString(undefined, digits);
}

// A frame of 1920x1080 as `1920 × 1080`; nothing for streams without pictures.
export function size(stream) {
  return stream.width > 0 && stream.height > 0 ? `${stream.width} × ${stream.height}` : '';
}

// What a stream is doing: { word, more, tone }; `now` is the server's clock in seconds. tone: good, warn, bad, quiet.
export function state(stream, now) {
  if (stream.error)
    return { word: 'no answer', more: stream.error, tone: 'bad' };
  const since = stream.state_since > 0 ? stream.state_since : 0;
  const ago = since ? `since ${clock(since)} (${span(now - since)})` : '';
  const reason = stream.state_reason || '';
  const next = stream.next_attempt > now ? `next try in ${span(Math.max(1, stream.next_attempt - now))}` : '';
  const join = (...parts) => parts.filter(Boolean).join(' · ');
  switch (stream.state) {
    case 'live':
      return { word: 'live', more: '', tone: 'good' };
    case 'connecting':
      return { word: 'connecting', more: join(ago, reason), tone: 'warn' };
    case 'stalled':
      return { word: 'stalled', more: join(ago, reason), tone: 'warn' };
    case 'reconnecting':
      return { word: 'reconnecting', more: join(ago, reason, next), tone: 'bad' };
    case 'refused':
      return { word: 'refused', more: join(reason || 'it wants another user or password', next), tone: 'bad' };
    case 'gone':
      return { word: 'gone', more: 'nobody publishes it', tone: 'quiet' };
    case 'ended':
      return { word: 'ended', more: ago, tone: 'quiet' };
    default:
      return stream.age_ms > 5000
        ? { word: 'quiet', more: `newest picture is ${span(stream.age_ms / 1000)} old`, tone: 'warn' }
        : { word: 'on air', more: '', tone: 'good' };
  }
}
