// boxes.js - annotations: what a data packet says of a frame (docs/protocol.md, annotation), kept by the frame's time,
// and drawn over the picture.

const MAGIC = 0x544f4e41, HEAD_BYTES = 104, BOX_BYTES = 64, DETECTIONS = 1;
const BOXES_MOST = 1024, KEPT = 64;
const LIFE_US = 1500000; // so long after their frame boxes are shown while no newer ones come

const utf8 = new TextDecoder();

function zeroEnded(bytes) {
  const end = bytes.indexOf(0);
  return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

// { stream, pts, boxes: [{ x, y, width, height, confidence, id, label }] }, or null for what is none.
export function readAnnotation(data) {
  if (data.length < HEAD_BYTES)
    return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const length = view.getUint32(36, true);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== 1 || view.getUint32(32, true) !== DETECTIONS ||
      length % BOX_BYTES !== 0 || HEAD_BYTES + length > data.length)
    return null;
  const boxes = [];
  for (let at = HEAD_BYTES; at < HEAD_BYTES + length && boxes.length < BOXES_MOST; at += BOX_BYTES) {
    const box = { x: view.getFloat32(at, true), y: view.getFloat32(at + 4, true), width: view.getFloat32(at + 8, true),
      height: view.getFloat32(at + 12, true), confidence: view.getFloat32(at + 16, true),
      kind: view.getUint32(at + 20, true), id: view.getUint32(at + 24, true),
      label: zeroEnded(data.subarray(at + 32, at + 64)) };
    if ([box.x, box.y, box.width, box.height].every(isFinite))
      boxes.push(box);
  }
  return {
    stream: zeroEnded(data.subarray(40, HEAD_BYTES)),
    pts: Math.floor((view.getInt32(28, true) * 4294967296 + view.getUint32(24, true)) / 1000), // as samples have it: us
    boxes,
  };
}

// A box of the stored picture in the upright one, by the orientation that EXIF numbers 1 to 8.
export function upright({ x, y, width, height }, orientation) {
  switch (orientation) {
    case 2: return { x: 1 - x - width, y, width, height };
    case 3: return { x: 1 - x - width, y: 1 - y - height, width, height };
    case 4: return { x, y: 1 - y - height, width, height };
    case 5: return { x: y, y: x, width: height, height: width };
    case 6: return { x: 1 - y - height, y: x, width: height, height: width };
    case 7: return { x: 1 - y - height, y: 1 - x - width, width: height, height: width };
    case 8: return { x: y, y: 1 - x - width, width: height, height: width };
    default: return { x, y, width, height };
  }
}

// A colour that a kind keeps: neighbours in number are far apart in hue.
const hue = (kind) => (kind * 137 + 150) % 360;

export class Boxes {
  constructor(canvas) {
    this.canvas = canvas;
    this.kept = [];
    this.drawn = null;
  }

  add(annotation) {
    this.kept.push(annotation);
    if (this.kept.length > KEPT)
      this.kept.shift();
  }

  // For the picture of `pts` that is shown now, whose sides are as `aspect` when it is upright.
  show(pts, aspect, orientation) {
    let best = null;
    for (const one of this.kept)
      if (one.pts <= pts && pts - one.pts < LIFE_US && (!best || one.pts >= best.pts))
        best = one;
    if (best === this.drawn && (!best || this.aspect === aspect))
      return;
    this.drawn = best;
    this.aspect = aspect;
    this.#draw(best ? best.boxes : [], aspect, orientation);
  }

  clear() {
    this.kept = [];
    this.show(0, 1, 1);
  }

  #draw(boxes, aspect, orientation) {
    const { canvas } = this;
    const ratio = self.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    const w = Math.min(width, height * aspect), h = w / aspect; // the picture is in the middle
    const left = (width - w) / 2, top = (height - h) / 2;
    const line = Math.max(1.5 * ratio, w / 400);
    const letters = Math.max(11 * ratio, Math.min(18 * ratio, w / 40));
    context.font = `600 ${letters}px system-ui, sans-serif`;
    context.textBaseline = 'bottom';
    for (const box of boxes) {
      const to = upright(box, orientation);
      const x = left + to.x * w, y = top + to.y * h;
      context.lineWidth = line;
      context.strokeStyle = `hsl(${hue(box.kind)} 90% 60%)`;
      context.strokeRect(x, y, to.width * w, to.height * h);
      const sure = box.confidence > 0 ? `${Math.round(box.confidence * 100)}%` : '';
      const words = [box.label, box.id ? `#${box.id}` : '', sure].filter(Boolean).join(' ');
      if (!words || w < 220 * ratio)
        continue;
      const at = Math.max(top + letters * 1.3, y);
      context.fillStyle = context.strokeStyle;
      const across = context.measureText(words).width + letters * 0.6;
      context.fillRect(x - line / 2, at - letters * 1.3, across, letters * 1.3);
      context.fillStyle = '#000';
      context.fillText(words, x + letters * 0.3, at - letters * 0.1);
    }
  }
}
