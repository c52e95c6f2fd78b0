"use strict";
// Choosing, finding and naming points; numbers in, numbers out. Nothing here meets the page.
// `order`, `placed` and draw indices are as in 10_points.js and docs/architecture.md.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const label_block = 4; // pixels, side of one field of the collision grid

  /**
   * Return the draw index of every point.
   * @param {Uint32Array} order (n_points) draw index -> point
   * @returns {Uint32Array} (n_points) point -> draw index
   */
  function draw_index_of(order) {
    const inverse = new Uint32Array(order.length);
    order.forEach((point, index) => { inverse[point] = index; });
    return inverse;
  }

  /** Return a mask (n_tokens) uint8 with 1 at the given tokens; unknown ones are passed over. */
  function token_mask(n_tokens, tokens) {
    const mask = new Uint8Array(n_tokens);
    for (const token of tokens) mask[token] = 1;
    return mask;
  }

  /**
   * Return whose point each one is, by draw index.
   * @param {Uint32Array} order (n_points) draw index -> point; queries come first
   * @param {number} n_tokens
   * @param {{query_tokens: number[]|null, key_tokens: number[]|null}} [sides] the tokens that
   *   have a query and those that have a key, where not every token has both
   * @returns {{n_tokens: number, token: Uint32Array, is_key: Uint8Array}} (n_points) each
   */
  function point_tokens(order, n_tokens, sides) {
    const { query_tokens, key_tokens } = sides ?? {};
    const n_queries = query_tokens?.length ?? n_tokens;
    const is_key = Uint8Array.from(order, (point) => (point >= n_queries ? 1 : 0));
    const token = order.map((point, index) => {
      const place = is_key[index] ? point - n_queries : point;
      return (is_key[index] ? key_tokens : query_tokens)?.[place] ?? place;
    });
    return { n_tokens, token, is_key };
  }

  /**
   * Return the points whose token is marked, queries and keys alike.
   * @param {object} owners from `point_tokens`
   * @param {Uint8Array} mask (n_tokens)
   * @param {"query"|"key"|null} hidden_side is left out
   * @returns {Uint32Array} ascending draw indices
   */
  function points_of_tokens({ token, is_key }, mask, hidden_side) {
    const hidden = ["query", "key"].indexOf(hidden_side);
    const found = [];
    for (let index = 0; index < token.length; index += 1) {
      if (mask[token[index]] && is_key[index] !== hidden) found.push(index);
    }
    return Uint32Array.from(found);
  }

  /**
   * Return the points of each searched term, with the value that colours their marks.
   * @param {object} owners from `point_tokens`
   * @param {number[][]} hits tokens of each term
   * @param {"query"|"key"|null} hidden_side
   * @returns {{chosen: Uint32Array, values: Uint8Array|null}[]} values (n_points) of the ramp
   *   "discrete"; null for a single term, which keeps the colours of the picture
   */
  function term_points(owners, hits, hidden_side) {
    return hits.map((tokens, term) => ({
      chosen: points_of_tokens(owners, token_mask(owners.n_tokens, tokens), hidden_side),
      values: hits.length > 1 ? owners.is_key.map((is_key) => term + 5 * is_key) : null,
    }));
  }

  /**
   * Return the chosen points that lie in a polygon (even-odd rule).
   * @param {object} placed
   * @param {number[][]} polygon (n_corners, 2) in the pixels of `placed`
   * @param {Uint32Array|null} chosen null for all
   * @returns {Uint32Array} draw indices, in the order of `chosen`
   */
  function points_in_polygon(placed, polygon, chosen) {
    const found = [];
    const corners_x = Float64Array.from(polygon, ([x]) => x);
    const corners_y = Float64Array.from(polygon, ([, y]) => y);
    const [left, right] = [Math.min(...corners_x), Math.max(...corners_x)];
    const [top, bottom] = [Math.min(...corners_y), Math.max(...corners_y)];
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      const x = placed.x[i];
      const y = placed.y[i];
      if (x < left || x > right || y < top || y > bottom) continue;
      if (is_inside(corners_x, corners_y, x, y)) found.push(i);
    }
    return Uint32Array.from(found);
  }

  /** Tell by the even-odd rule; plain numbers, because a lasso has hundreds of corners. */
  function is_inside(corners_x, corners_y, x, y) {
    let is_odd = false;
    for (let a = 0, b = corners_x.length - 1; a < corners_x.length; b = a, a += 1) {
      const ay = corners_y[a];
      const by = corners_y[b];
      if (ay > y === by > y) continue;
      const ax = corners_x[a];
      if (x < ax + ((y - ay) * (corners_x[b] - ax)) / (by - ay)) is_odd = !is_odd;
    }
    return is_odd;
  }

  /**
   * Return the points nearest to one on the map, the nearest first.
   * @param {Uint8Array|Uint16Array} coordinates (n_points * dims)
   * @param {number} dims
   * @param {number} index draw index
   * @param {number} k
   * @returns {number[]} draw indices
   */
  function nearest_on_map(coordinates, dims, index, k) {
    const nearest = []; // [distance, index], sorted
    for (let i = 0; i * dims < coordinates.length; i += 1) {
      if (i === index) continue;
      let distance = 0;
      for (let d = 0; d < dims; d += 1) {
        distance += (coordinates[i * dims + d] - coordinates[index * dims + d]) ** 2;
      }
      if (nearest.length === k && distance >= nearest[k - 1][0]) continue;
      if (nearest.length === k) nearest.pop();
      const at = nearest.findIndex(([other]) => other > distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, [distance, i]);
    }
    return nearest.map(([, i]) => i);
  }

  /** Return how many of the ascending draw indices are among the first `count` points. */
  function count_below(indices, count) {
    let low = 0;
    let high = indices.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (indices[middle] < count) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Return the point nearest to a pixel, by looking at all of them. Where marks overlap the one
   * that is seen wins: the nearest to the eye, then the last drawn.
   * @param {object} placed
   * @param {number} x
   * @param {number} y
   * @param {{reach: number, radius: number}} within pixels: no further than `reach`; closer than
   *   `radius` all count as hit
   * @param {Uint32Array|null} chosen the points that can be found, null for all
   * @returns {number} draw index, or -1
   */
  function nearest_point(placed, x, y, within, chosen) {
    const hit = within.radius ** 2;
    let found = -1;
    let least = within.reach ** 2;
    let front = Infinity;
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count; n += 1) {
      const i = chosen ? chosen[n] : n;
      const distance = Math.max((placed.x[i] - x) ** 2 + (placed.y[i] - y) ** 2, hit);
      if (distance > least || (distance === least && placed.depth[i] > front)) continue;
      found = i;
      least = distance;
      front = placed.depth[i];
    }
    return found;
  }

  /**
   * Place labels beside their points so that none overlaps another, by a grid of taken fields.
   * @param {{x: number, y: number, width: number, gap?: number}[]} anchors wanted labels, the most
   *   wanted first
   * @param {{width: number, height: number, line: number, gap: number, blocked?: object[]}} room size
   *   of the picture, height of a label and its distance from the point, in pixels; boxes inside the
   *   picture that no label may cover
   * @param {number} most labels at most
   * @returns {{index: number, x: number, y: number}[]} left and top of the labels that fit
   */
  function place_labels(anchors, room, most) {
    const n_columns = Math.ceil(room.width / label_block);
    const taken = new Uint8Array(n_columns * Math.ceil(room.height / label_block));
    for (const box of room.blocked ?? []) claim(taken, n_columns, box);
    const placed = [];
    for (let index = 0; index < anchors.length && placed.length < most; index += 1) {
      const { x, y, width, gap = room.gap } = anchors[index];
      const sides = [[x + gap, y - room.line / 2], [x - gap - width, y - room.line / 2],
        [x - width / 2, y - gap - room.line], [x - width / 2, y + gap]];
      for (const [left, top] of sides) {
        const is_inside = left >= 0 && top >= 0
          && left + width <= room.width && top + room.line <= room.height;
        const box = { left, top, right: left + width, bottom: top + room.line };
        if (!is_inside || !take(taken, n_columns, box)) continue;
        placed.push({ index, x: left, y: top });
        break;
      }
    }
    return placed;
  }

  /** Return the fields of a box: first and last row, first and last column. */
  function fields_of(box, n_columns) {
    const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom]
      .map((edge) => Math.floor(edge / label_block));
    return { top, bottom, left: Math.max(left, 0), last: Math.min(right, n_columns - 1) };
  }

  /** Take the fields of a box. */
  function claim(taken, n_columns, box) {
    const { top, bottom, left, last } = fields_of(box, n_columns);
    for (let row = Math.max(top, 0); row <= bottom; row += 1) {
      taken.fill(1, row * n_columns + left, row * n_columns + last + 1);
    }
  }

  /** Take the fields of a box if all are free; say whether they were. */
  function take(taken, n_columns, box) {
    const { top, bottom, left, last } = fields_of(box, n_columns);
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= last; column += 1) {
        if (taken[row * n_columns + column]) return false;
      }
    }
    claim(taken, n_columns, box);
    return true;
  }

  /** Return the 32-bit FNV-1a hash of bytes as 8 hex digits: tests compare pictures by it. */
  function raster_hash(bytes) {
    let hash = 0x811c9dc5;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    return (hash >>> 0).toString(16).padStart(8, "0");
  }

  qk_atlas.find = {
    draw_index_of, token_mask, point_tokens, points_of_tokens, term_points, points_in_polygon,
    nearest_on_map, count_below, nearest_point, place_labels,
    raster_hash,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.find;
})();
