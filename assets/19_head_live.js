"use strict";
// The points of a live input on the map of a head: where they lie in the view, and which is meant.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points } = qk_atlas;

  const whole = 65535;
  const ring_width = 2;
  const dot = 1.5; // radius of the middle
  const core = 3; // of a point, half a side: not to be covered by labels
  const letters_max = 24;

  /**
   * Place live points as the points of the map are placed.
   * @param {Float32Array} shares (n * dims) of the frame of the map
   * @param {object} view as for `place_flat` and `place_turned` of 10_points.js
   * @param {number} dims
   * @returns {{x: Float32Array, y: Float32Array, count: number}}
   */
  function place(shares, view, dims) {
    const placed = points.make_placed(shares.length / dims);
    // Steps of the map's whole numbers, of which live points need not be one.
    const coordinates = { length: shares.length, BYTES_PER_ELEMENT: 2 };
    for (let i = 0; i < shares.length; i += 1) coordinates[i] = shares[i] * whole;
    (dims === 3 ? points.place_turned : points.place_flat)(coordinates, view, placed);
    return placed;
  }

  /** Return the live point nearest to a place within reach, or -1. */
  function nearest({ x, y, count }, at, reach) {
    let found = -1;
    let least = reach ** 2;
    for (let i = 0; i < count; i += 1) {
      const distance = (x[i] - at.x) ** 2 + (y[i] - at.y) ** 2;
      if (distance > least) continue;
      least = distance;
      found = i;
    }
    return found;
  }

  /**
   * Return what a live point is.
   * @param {{n_queries: number, query_tokens: number[]|null, key_tokens: number[]|null}} live
   */
  function meaning_of({ n_queries, query_tokens, key_tokens }, index) {
    const is_key = index >= n_queries;
    const own = is_key ? index - n_queries : index;
    const token = (is_key ? key_tokens : query_tokens)?.[own] ?? own;
    return { side: is_key ? "key" : "query", token };
  }

  /** Return the lines of the card of a live point. */
  function card_lines(live, index) {
    const { side, token } = meaning_of(live, index);
    const { text, position, is_exact } = live;
    return {
      side, text: text[token],
      lines: [`live input · ${side} · position ${position[token]} of ${text.length}`,
        is_exact ? "placed exactly, by the axes of the map" : "placed approximately, by its 10 nearest points"],
    };
  }

  const by_meaning = (a, b) => a.meaning.token - b.meaning.token || (a.meaning.side < b.meaning.side ? 1 : -1);

  /**
   * Return the labels that live points want, the hovered one first, then in the order of the text,
   * and the boxes of the points, which no label may cover.
   * @param {object} live
   * @param {{x: Float32Array, y: Float32Array, count: number}} placed
   * @param {{width: number, height: number}} view
   * @param {{gap: number, hovered: number}} how
   */
  function labels_of(live, { x, y, count }, { width, height }, { gap, hovered }) {
    const { shortened } = qk_atlas.head_overlay;
    const points_in_sight = [];
    for (let i = 0; i < count; i += 1) {
      const is_in_sight = x[i] >= 0 && y[i] >= 0 && x[i] <= width && y[i] <= height;
      if (is_in_sight) points_in_sight.push({ i, meaning: meaning_of(live, i) });
    }
    points_in_sight.sort((a, b) => (b.i === hovered) - (a.i === hovered) || by_meaning(a, b));
    return {
      wanted: points_in_sight.map(({ i, meaning: { token } }) => ({
        x: x[i], y: y[i], gap, is_strong: true,
        text: shortened(`${live.position[token]}:${qk_atlas.attention.visible_text(live.text[token])}`, letters_max),
      })),
      blocked: points_in_sight.map(({ i }) => (
        { left: x[i] - core, top: y[i] - core, right: x[i] + core, bottom: y[i] + core })),
    };
  }

  /** Return live points as discs of a drawing: a ring is a disc on a disc. */
  function circles_of(live, { x, y, count }, { radius, colours }) {
    return Array.from({ length: count }, (_, i) => {
      const { side } = meaning_of(live, i);
      const disc = (size, colour) => ({ x: x[i], y: y[i], radius: size, colour, opacity: 1 });
      return [disc(radius + ring_width / 2, colours[side]), disc(radius - ring_width / 2, colours.surface),
        disc(dot, colours[side])];
    }).flat();
  }

  /** Draw live points as rings in the colour of their side, filled with the ground. */
  function draw(context, placed, { live, radius, colours, hovered }) {
    for (let i = 0; i < placed.count; i += 1) {
      const { side } = meaning_of(live, i);
      context.beginPath();
      context.arc(placed.x[i], placed.y[i], radius + (i === hovered ? 2 : 0), 0, 2 * Math.PI);
      context.fillStyle = colours.surface;
      context.fill();
      context.lineWidth = ring_width + 2;
      context.strokeStyle = colours.surface;
      context.stroke();
      context.lineWidth = ring_width;
      context.strokeStyle = i === hovered ? colours.select : colours[side];
      context.stroke();
      context.beginPath();
      context.arc(placed.x[i], placed.y[i], dot, 0, 2 * Math.PI);
      context.fillStyle = colours[side];
      context.fill();
    }
  }

  qk_atlas.head_live = { place, nearest, meaning_of, card_lines, labels_of, circles_of, draw };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_live;
})();
