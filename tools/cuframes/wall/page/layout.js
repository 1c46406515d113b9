// layout.js - how many tiles stand side by side. Pure.

const LEAST = 240; // pixels: below that a tile is scrolled to instead of shrunk
const BAR = 34;    // what a tile has beneath its picture

// In how many columns `count` tiles of 16:9 are largest without scrolling, and how wide they are then. On a narrow
// screen, or with many, it is as many as fit by their least width, and they are as wide as there is room.
export function columns(count, width, height, gap) {
  const across = (n) => ({ count: n, width: (width - gap * (n - 1)) / n });
  if (width < 560)
    return across(width > height ? 2 : 1);
  let best = { count: 1, width: 0 };
  for (let n = 1; n <= count; n++) {
    const rows = Math.ceil(count / n);
    const byHeight = ((height - gap * (rows - 1)) / rows - BAR) * 16 / 9;
    const tile = Math.min(across(n).width, byHeight);
    if (tile > best.width)
      best = { count: n, width: tile };
  }
  return best.width >= LEAST ? best : across(Math.max(1, Math.min(count, Math.floor((width + gap) / (LEAST + gap)))));
}
