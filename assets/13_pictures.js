"use strict";
// Image patches as marks: small pictures into an array of pixels. Words as in 10_points.js.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Draw image patches as small pictures inside a border in the colour of the encoding; points
   * without a picture are left out.
   * @param {object} paint as above, with `pictures`, Uint32Array (n_pictures * side * side),
   *   `picture_of`, Int32Array (n_points), -1 for none, `side` and `border` in pixels, and the
   *   `ground` over which the pictures have `alpha` (0 to 256)
   */
  function draw_pictures(frame, placed, paint, chosen) {
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      if (paint.picture_of[i] >= 0) draw_picture(frame, placed, paint, i);
    }
  }

  function draw_picture(frame, placed, paint, i) {
    const { pixels, depths, width, height } = frame;
    const { pictures, picture_of, side, border, ground, alpha } = paint;
    const edge = paint.table[placed.shade[i] + paint.values[i]];
    const depth = placed.depth[i];
    const left = Math.floor(placed.x[i]) - (side >> 1);
    const top = Math.floor(placed.y[i]) - (side >> 1);
    const inside = (at) => at >= 0 && at < side;
    for (let row = Math.max(-border, -top); row < Math.min(side + border, height - top); row += 1) {
      const end = Math.min(side + border, width - left);
      for (let column = Math.max(-border, -left); column < end; column += 1) {
        const at = (top + row) * width + left + column;
        if (depths) {
          if (depths[at] < depth) continue;
          depths[at] = depth;
        }
        const from = (picture_of[i] * side + row) * side + column;
        pixels[at] = inside(row) && inside(column) ? qk_atlas.points.blend(ground, pictures[from], alpha) : edge;
      }
    }
  }

  qk_atlas.pictures = { draw_pictures };
  if (typeof module !== "undefined") module.exports = qk_atlas.pictures;
})();
