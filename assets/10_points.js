"use strict";
// Points to pixels: colour tables, projection, drawing into an array of pixels. Nothing here meets
// the page. Words used by all functions:
//   colour  one pixel as ImageData holds it, read as one little-endian number: 0xAABBGGRR
//   frame   {pixels: Uint32Array (height * width), depths: Float32Array (same) or null,
//           width, height}; depths only where nearer points have to cover farther ones
//   placed  where points fall in a frame: {count, x, y: Float32Array (n_points) in pixels,
//           depth: Float32Array (n_points), smaller is nearer, shade: Uint16Array (n_points),
//           256 * the number of the depth shade}
//   paint   {values: Uint8Array (n_points), table: Uint32Array (256 or n_shades * 256)}
//   chosen  Uint32Array of the points to draw, in this order, or null for all
// Points are numbered in draw order.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const n_shades = 8;
  const shade_fade = 0.55; // the farthest shade keeps 1 - 0.55 of its colour
  const eye_distance = 3; // from the middle of the cube, in sides of the cube
  const cube_radius = Math.sqrt(3) / 2;
  const ramps = ["type", "sequential", "discrete", "cyclic", "picture"]; // rows of the colour table
  // Marks of up to five searched terms; whether a place, in radii from the middle, is inside.
  const shapes = [
    (x, y) => x * x + y * y <= 1,
    (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.9,
    (x, y) => Math.abs(x) + Math.abs(y) <= 1.25,
    (x, y) => y <= 0.75 && y >= -1.1 + 1.85 * Math.abs(x),
    (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.35 && Math.max(Math.abs(x), Math.abs(y)) <= 1.1,
  ];

  /** Return the colour of "#rrggbb". */
  function parse_colour(css) {
    const rgb = Number.parseInt(css.slice(1), 16);
    return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >>> 16)) >>> 0;
  }

  /** Return `colour` over `ground`; alpha 0 to 256. Red with blue and green apart: two products. */
  function blend(ground, colour, alpha) {
    const rest = 256 - alpha;
    const red_blue =
      ((ground & 0xff00ff) * rest + (colour & 0xff00ff) * alpha + 0x800080) >>> 8;
    const green = ((ground & 0xff00) * rest + (colour & 0xff00) * alpha + 0x8000) >>> 8;
    return (0xff000000 | (red_blue & 0xff00ff) | (green & 0xff00)) >>> 0;
  }

  /**
   * Return the colours of all 256 values of a ramp over the ground.
   * @param {Uint8Array} lut (5 * 256 * 4) RGBA, row by row
   * @param {string} ramp one of `ramps`
   * @param {number} ground colour of the surface
   * @param {number} opacity 0 to 1
   * @param {boolean} is_deep also the shades towards the back, which fade into the ground
   * @returns {Uint32Array} (256) or (n_shades * 256)
   */
  function colour_table(lut, ramp, ground, opacity, is_deep) {
    const row = ramps.indexOf(ramp);
    if (row < 0) throw new Error(`ramp ${ramp}: expected one of ${ramps.join(", ")}`);
    const n_rows = is_deep ? n_shades : 1;
    const table = new Uint32Array(n_rows * 256);
    for (let i = 0; i < table.length; i += 1) {
      const at = (row * 256 + (i & 255)) * 4;
      const colour = lut[at] | (lut[at + 1] << 8) | (lut[at + 2] << 16);
      const kept = opacity * (1 - (shade_fade * (i >> 8)) / (n_shades - 1));
      table[i] = blend(ground, colour, Math.round(256 * kept));
    }
    return table;
  }

  /** Return room for the places of so many points. */
  function make_placed(n_points) {
    return {
      count: 0,
      x: new Float32Array(n_points),
      y: new Float32Array(n_points),
      depth: new Float32Array(n_points),
      shade: new Uint16Array(n_points),
    };
  }

  /**
   * Place the points of a 2-D map, y upwards, both axes at the same scale.
   * @param {Uint8Array|Uint16Array} coordinates (n_points * 2)
   * @param {{x: number, y: number, scale: number}} view pixel of the middle of the map and
   *   pixels for the whole range of a coordinate
   * @param {object} placed is filled; its shades must be zero
   * @param {Uint32Array|null} [chosen] draw indices; all from the start for null
   */
  function place_flat(coordinates, view, placed, chosen = null) {
    const step = view.scale / (256 ** coordinates.BYTES_PER_ELEMENT - 1);
    const left = view.x - view.scale / 2;
    const bottom = view.y + view.scale / 2;
    placed.count = coordinates.length / 2;
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      placed.x[i] = left + coordinates[2 * i] * step;
      placed.y[i] = bottom - coordinates[2 * i + 1] * step;
    }
  }

  /**
   * Place the points of a 3-D map as seen by a turned eye, in perspective.
   * @param {Uint8Array|Uint16Array} coordinates (n_points * 3)
   * @param {{x: number, y: number, scale: number, yaw: number, pitch: number}} view as in
   *   `place_flat`, at the middle of the cube; angles in radians
   * @param {object} placed is filled from the start
   */
  function place_turned(coordinates, view, placed) {
    const { x, y, depth, shade } = placed;
    const step = 1 / (256 ** coordinates.BYTES_PER_ELEMENT - 1);
    const [cos_yaw, sin_yaw] = [Math.cos(view.yaw), Math.sin(view.yaw)];
    const [cos_pitch, sin_pitch] = [Math.cos(view.pitch), Math.sin(view.pitch)];
    const per_depth = (n_shades - 1e-3) / (2 * cube_radius);
    placed.count = coordinates.length / 3;
    for (let i = 0, at = 0; i < placed.count; i += 1, at += 3) {
      const right = coordinates[at] * step - 0.5;
      const up = coordinates[at + 1] * step - 0.5;
      const front = coordinates[at + 2] * step - 0.5;
      const swung = front * cos_yaw - right * sin_yaw;
      const away = -(up * sin_pitch + swung * cos_pitch);
      const zoom = (view.scale * eye_distance) / (eye_distance + away);
      x[i] = view.x + (right * cos_yaw + front * sin_yaw) * zoom;
      y[i] = view.y - (up * cos_pitch - swung * sin_pitch) * zoom;
      depth[i] = away;
      shade[i] = Math.max(0, (away + cube_radius) * per_depth) << 8;
    }
  }

  /** Move and scale placed points so that they fill a square, both axes at the same scale. */
  function fit_square(placed, { left, top, side }) {
    const { x, y, count } = placed;
    const low = [Infinity, Infinity];
    const high = [-Infinity, -Infinity];
    for (let i = 0; i < count; i += 1) {
      if (x[i] < low[0]) low[0] = x[i];
      if (x[i] > high[0]) high[0] = x[i];
      if (y[i] < low[1]) low[1] = y[i];
      if (y[i] > high[1]) high[1] = y[i];
    }
    const scale = side / (Math.max(high[0] - low[0], high[1] - low[1]) || 1);
    const shift_x = left + side / 2 - (scale * (low[0] + high[0])) / 2;
    const shift_y = top + side / 2 - (scale * (low[1] + high[1])) / 2;
    for (let i = 0; i < count; i += 1) {
      x[i] = shift_x + x[i] * scale;
      y[i] = shift_y + y[i] * scale;
    }
  }

  /** Fill a frame with the ground and forget its depths. */
  function clear(frame, ground) {
    frame.pixels.fill(ground);
    frame.depths?.fill(Infinity);
  }

  /** Draw points as squares of `side` pixels; those that leave the frame are left out. */
  function draw_dots(frame, placed, paint, side, chosen) {
    const { width, height } = frame;
    const { x, y, depth, shade } = placed;
    const { values, table } = paint;
    const shift = 0.5 - side / 2;
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      const left = Math.floor(x[i] + shift);
      const top = Math.floor(y[i] + shift);
      if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
      const colour = table[shade[i] + values[i]];
      if (frame.depths) draw_deep_dot(frame, top * width + left, side, depth[i], colour);
      else draw_flat_dot(frame, top * width + left, side, colour);
    }
  }

  function draw_flat_dot({ pixels, width }, corner, side, colour) {
    for (let row = 0, at = corner; row < side; row += 1, at += width) {
      pixels[at] = colour; // most dots are a single pixel
      for (let column = 1; column < side; column += 1) pixels[at + column] = colour;
    }
  }

  function draw_deep_dot({ pixels, depths, width }, corner, side, depth, colour) {
    for (let row = 0, start = corner; row < side; row += 1, start += width) {
      for (let at = start; at < start + side; at += 1) {
        if (depths[at] < depth) continue;
        depths[at] = depth;
        pixels[at] = colour;
      }
    }
  }

  /**
   * Return the coverage of a mark, from 4 x 4 samples a pixel.
   * @param {number} radius in pixels
   * @param {number} opacity 0 to 1
   * @param {number} [shape] 0 disc, 1 square, 2 diamond, 3 triangle, 4 cross
   * @returns {{side: number, alpha: Uint16Array}} (side * side) 0 to 256; side is odd
   */
  function disc_stamp(radius, opacity, shape = 0) {
    const is_inside = shapes[shape];
    const wide = shape === 0 ? radius : 1.25 * radius;
    const reach = Math.max(0, Math.ceil(wide - 0.5));
    const side = 2 * reach + 1;
    const alpha = new Uint16Array(side * side);
    for (let i = 0; i < alpha.length; i += 1) {
      let hits = 0;
      for (let sample = 0; sample < 16; sample += 1) {
        const x = (i % side) - reach - 0.375 + (sample & 3) / 4;
        const y = Math.floor(i / side) - reach - 0.375 + (sample >> 2) / 4;
        if (is_inside(x / radius, y / radius)) hits += 1;
      }
      alpha[i] = Math.round(hits * 16 * opacity);
    }
    return { side, alpha };
  }

  /**
   * Return the discs of all sizes and depths, for `draw_discs`.
   * @param {number[]} radii in pixels, one a size class
   * @param {number} opacity 0 to 1
   * @param {boolean} is_deep also the shades towards the back, which are smaller
   * @param {number} [shape] of the marks, see `disc_stamp`
   * @returns {object[][]} stamps by shade, then by size class
   */
  function disc_stamps(radii, opacity, is_deep, shape = 0) {
    return Array.from({ length: is_deep ? n_shades : 1 }, (_, shade) => {
      const away = is_deep ? cube_radius * ((2 * shade + 1) / n_shades - 1) : 0;
      const zoom = eye_distance / (eye_distance + away);
      return radii.map((radius) => disc_stamp(radius * zoom, opacity, shape));
    });
  }

  /**
   * Draw points as smooth discs.
   * @param {object} paint as above, with `stamps` from `disc_stamps` and `sizes`, Uint8Array
   *   (n_points) of size classes or null where all have class 0
   */
  function draw_discs(frame, placed, paint, chosen) {
    const { x, y, depth, shade } = placed;
    const { values, table, stamps, sizes } = paint;
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      const stamp = stamps[shade[i] >> 8][sizes ? sizes[i] : 0];
      const colour = table[shade[i] + values[i]];
      draw_stamp(frame, stamp, Math.floor(x[i]), Math.floor(y[i]), depth[i], colour);
    }
  }

  /** Blend one disc around a pixel; a pixel that is half covered counts as taken in depth. */
  function draw_stamp(frame, stamp, x, y, depth, colour) {
    const { pixels, depths, width, height } = frame;
    const { side, alpha } = stamp;
    const left = x - (side >> 1);
    const top = y - (side >> 1);
    const first = Math.max(0, -left);
    const last = Math.min(side, width - left);
    const bottom = Math.min(side, height - top);
    for (let row = Math.max(0, -top); row < bottom; row += 1) {
      const at = (top + row) * width + left;
      for (let column = first; column < last; column += 1) {
        const cover = alpha[row * side + column];
        if (cover === 0) continue;
        if (depths) {
          if (depths[at + column] < depth) continue;
          if (cover >= 128) depths[at + column] = depth;
        }
        pixels[at + column] = cover === 256 ? colour : blend(pixels[at + column], colour, cover);
      }
    }
  }

  qk_atlas.points = {
    ramps, parse_colour, blend, colour_table, make_placed, place_flat, place_turned, fit_square,
    clear, draw_flat_dot, draw_dots, disc_stamp, disc_stamps, draw_discs,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.points;
})();
