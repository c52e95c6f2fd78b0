"use strict";
// The pattern of one head as a small picture: lines from queries (left) to keys (right), or a square
// a pair. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const faintest = 6; // of 255: thinner lines leave no trace in a small picture
  const gamma = 0.85; // of a weight, so that middling ones are seen
  const gamma_of_change = 0.5; // changes are small: what has a sign must be seen at a tenth

  /**
   * Return the strongest pair of each bin, so that no more is drawn than can be seen.
   * @param {{values: Uint8Array|Int16Array, n_queries: number, n_keys: number}} layer
   * @param {number} head
   * @param {Uint8Array|null} mask of pairs, 0 for those not shown
   * @param {number} rows at most so many bins of queries
   * @param {number} columns at most so many bins of keys
   * @returns {{bins: Int16Array, rows: number, columns: number}} (rows * columns) in 255ths
   */
  function strongest_bins({ values, n_queries, n_keys }, head, mask, rows, columns) {
    const size = { rows: Math.min(rows, n_queries), columns: Math.min(columns, n_keys) };
    const bins = new Int16Array(size.rows * size.columns);
    const start = head * n_queries * n_keys;
    const column_of = Int32Array.from({ length: n_keys }, (_, j) => Math.floor((j * size.columns) / n_keys));
    for (let i = 0; i < n_queries; i += 1) {
      const row = Math.floor((i * size.rows) / n_queries) * size.columns;
      for (let j = 0; j < n_keys; j += 1) {
        const pair = i * n_keys + j;
        const value = values[start + pair];
        if (value === 0 || (mask && !mask[pair])) continue;
        const place = row + column_of[j];
        if (Math.abs(value) > Math.abs(bins[place])) bins[place] = value;
      }
    }
    return { bins, ...size };
  }

  /** Keep the stronger of two values at a pixel. */
  function keep(picture, place, value) {
    if (Math.abs(value) > Math.abs(picture[place])) picture[place] = value;
  }

  /**
   * Draw lines from left to right; where lines cross, the strongest is seen.
   * @returns {Int16Array} (height * width) in 255ths, negative for less attention than before
   */
  function line_picture(layer, head, mask, width, height) {
    const { bins, rows, columns } = strongest_bins(layer, head, mask, height, height);
    const picture = new Int16Array(width * height);
    for (let i = 0; i < rows; i += 1) {
      const start = ((i + 0.5) * height) / rows - 0.5;
      for (let j = 0; j < columns; j += 1) {
        const value = bins[i * columns + j];
        if (Math.abs(value) < faintest) continue;
        const step = (((j + 0.5) * height) / columns - 0.5 - start) / Math.max(1, width - 1);
        for (let x = 0, y = start; x < width; x += 1, y += step) {
          const top = Math.floor(y);
          const below = y - top;
          if (top >= 0) keep(picture, top * width + x, value * (1 - below));
          if (top + 1 < height) keep(picture, (top + 1) * width + x, value * below);
        }
      }
    }
    return picture;
  }

  /** Draw one square a pair: queries downwards, keys to the right. */
  function square_picture(layer, head, mask, width, height) {
    const { bins, rows, columns } = strongest_bins(layer, head, mask, height, width);
    const picture = new Int16Array(width * height);
    for (let y = 0; y < height; y += 1) {
      const row = Math.floor((y * rows) / height) * columns;
      for (let x = 0; x < width; x += 1) picture[y * width + x] = bins[row + Math.floor((x * columns) / width)];
    }
    return picture;
  }

  /** Return red, green and blue of a colour such as #0072B2. */
  function rgb_of(hex) {
    return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  }

  /**
   * Colour a picture: strength becomes opacity.
   * @param {Int16Array} picture
   * @param {Uint8ClampedArray} pixels (4 * n) RGBA, written
   * @param {string} positive colour
   * @param {string|null} negative colour of a difference; null for weights, which have no sign
   */
  function colour_picture(picture, pixels, positive, negative = null) {
    const signs = [rgb_of(positive), rgb_of(negative ?? positive)];
    const power = negative ? gamma_of_change : gamma;
    const opacity = Uint8Array.from({ length: 256 }, (_, v) => Math.round(255 * (v / 255) ** power));
    for (let i = 0; i < picture.length; i += 1) {
      const value = picture[i];
      const colour = signs[value < 0 ? 1 : 0];
      pixels[4 * i] = colour[0];
      pixels[4 * i + 1] = colour[1];
      pixels[4 * i + 2] = colour[2];
      pixels[4 * i + 3] = opacity[Math.min(255, Math.abs(value))];
    }
  }

  /**
   * Return how large a thumbnail is: all fit, or else they are high enough to tell lines apart.
   * @param {{width: number, height: number}} room for all of them, in pixels
   * @param {number} columns
   * @param {number} rows
   * @param {number} gap between them
   * @param {number} n_tokens of the longer side
   */
  function thumbnail_size(room, columns, rows, gap, n_tokens) {
    const width = Math.max(16, Math.min(220, Math.floor(room.width / columns - gap)));
    const fitting = Math.floor(room.height / rows - gap);
    const wanted = Math.min(0.8 * width, Math.max(56, 3 * n_tokens));
    const height = fitting >= Math.min(width, 48) ? Math.min(fitting, 1.2 * width) : wanted;
    return { width, height: Math.round(Math.max(16, height)) };
  }

  qk_atlas.thumbnails = { strongest_bins, line_picture, square_picture, colour_picture, rgb_of, thumbnail_size };
  if (typeof module !== "undefined") module.exports = qk_atlas.thumbnails;
})();
