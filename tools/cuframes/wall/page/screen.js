// screen.js - the canvas of a tile: takes decoded pictures, and keeps the last one when its player is gone.

export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.context.imageSmoothingQuality = 'high';
  }

  // Draws what drawImage() takes, at the size of the picture; far smaller if it is shown far smaller, since memory of
  // many large canvases is what a wall runs out of first.
  draw(source, width, height) {
    const canvas = this.canvas;
    const shown = canvas.clientWidth * (self.devicePixelRatio || 1);
    let divisor = 1;
    while (shown > 0 && width / (divisor * 2) >= shown && divisor < 8)
      divisor *= 2;
    const w = Math.max(1, Math.round(width / divisor)), h = Math.max(1, Math.round(height / divisor));
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
    }
    this.context.drawImage(source, 0, 0, w, h);
  }
}
