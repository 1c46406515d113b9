// lateness.js - whether what comes or is shown is late: more than BOUND_MS later than is normal for its stream. Normal
// is the least of the last minute, so that the length of a way and clocks that differ count for nothing. Pure: no clock
// of its own.

const BOUND_MS = 700;
const SPAN_MS = 10000, SPANS = 6; // of the last minute
const ACCEPTED_MS = 5000; // so late for so long is what is normal now: a slow link, a clock that was set

export class Lateness {
  // accepted(): what was late is normal from now on.
  constructor(accepted = () => {}) {
    this.accepted = accepted;
    this.forget();
  }

  forget() {
    this.spans = []; // { since, least }, oldest first
    this.lateSince = null;
  }

  // How late one is at `now`, both in ms; gives whether that is too late.
  isLate(late, now) {
    const normal = Math.min(late, ...this.spans.map((span) => span.least));
    if (late - normal <= BOUND_MS) {
      this.lateSince = null;
    } else if (this.lateSince === null || now - this.lateSince <= ACCEPTED_MS) {
      this.lateSince = this.lateSince ?? now;
      return true;
    } else {
      this.forget();
      this.accepted();
    }
    this.#keep(late, now);
    return false;
  }

  #keep(late, now) {
    const last = this.spans[this.spans.length - 1];
    if (last && now - last.since < SPAN_MS)
      last.least = Math.min(last.least, late);
    else
      this.spans.push({ since: now, least: late });
    while (this.spans[0].since < now - SPAN_MS * SPANS)
      this.spans.shift();
  }
}
