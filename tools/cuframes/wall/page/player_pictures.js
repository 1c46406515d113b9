// player_pictures.js - shows JPEG pictures. The interface is that of player_webcodecs.js.

export class PicturePlayer {
  constructor(stage, on) {
    this.screen = stage.screen;
    this.on = on;
    this.busy = false;
    this.next = null;
    this.closed = false;
  }

  configure() {
  }

  sample(sample) {
    this.next = sample; // of pictures that come while one is decoded the newest is enough
    if (!this.busy)
      this.#decode();
  }

  drop() {
    this.next = null;
  }

  close() {
    this.closed = true;
    this.next = null;
  }

  async #decode() {
    this.busy = true;
    while (this.next && !this.closed) {
      const sample = this.next;
      this.next = null;
      try {
        const picture = await createImageBitmap(new Blob([sample.data], { type: 'image/jpeg' }));
        if (!this.closed) {
          this.screen.draw(picture, picture.width, picture.height);
          this.on.shown({ pts: sample.pts, sent: sample.sent });
        }
        picture.close();
      } catch {
        // One that is broken: the next one comes.
      }
    }
    this.busy = false;
  }
}
