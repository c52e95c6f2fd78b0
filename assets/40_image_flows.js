"use strict";
// The strong flows of attention between the patches of an image, and their shapes: an arrow to
// another patch, a circle for itself, a square for a special token. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const faintest = 0.05; // the strongest key of a patch is not drawn below
  const modes = ["patch", "strongest", "flows"];

  /**
   * Return the strongest key of each query that is a patch; the first of equals.
   * @param {Float32Array} weights (n * n), row = query
   * @param {{row: number}[]} tokens (n), row -1 where there is no patch
   * @param {number} [least] weaker ones are left out
   * @returns {{query: number, key: number, weight: number}[]} by query
   */
  function strongest_keys(weights, tokens, least = faintest) {
    const n = tokens.length;
    const flows = [];
    for (let query = 0; query < n; query += 1) {
      if (tokens[query].row < 0) continue;
      let key = 0;
      for (let i = 1; i < n; i += 1) {
        if (weights[query * n + i] > weights[query * n + key]) key = i;
      }
      const weight = weights[query * n + key];
      if (weight > 0 && weight >= Math.fround(least)) flows.push({ query, key, weight });
    }
    return flows;
  }

  /**
   * Return every flow that reaches a threshold, those of special tokens too.
   * @param {Float32Array} weights (n * n), row = query
   * @param {number} n tokens
   * @param {number} least
   * @returns {{query: number, key: number, weight: number}[]} by query, then key
   */
  function strong_flows(weights, n, least) {
    const bound = Math.fround(least);
    const flows = [];
    for (let place = 0; place < n * n; place += 1) {
      const weight = weights[place];
      if (weight === 0 || weight < bound) continue;
      flows.push({ query: Math.floor(place / n), key: place % n, weight });
    }
    return flows;
  }

  /** Return the flows that leave a picked query, or arrive at a picked key; all for no place. */
  function flows_at(flows, place) {
    return place ? flows.filter((flow) => flow[place.side] === place.position) : flows;
  }

  /** Return the sum of the weights of flows over the number of rows they could fill, 0 to 1. */
  function share_of(flows, n_rows) {
    return n_rows ? flows.reduce((sum, { weight }) => sum + weight, 0) / n_rows : 0;
  }

  /** Return how many flows arrive at each token. */
  function arrivals(flows, n) {
    const counts = new Int32Array(n);
    for (const { key } of flows) counts[key] += 1;
    return counts;
  }

  const middle_of = ({ row, column }) => [column + 0.5, row + 0.5];

  /**
   * Return what is drawn for each flow, the faintest first, in units of patches from the top left.
   * A flow between two special tokens has no place on the image and is left out.
   * @param {{query: number, key: number, weight: number}[]} flows
   * @param {{row: number, column: number}[]} tokens
   * @returns {{kind: "arrow"|"circle"|"square"|"triangle", from: number[], to: number[],
   *   weight: number}[]} arrow: to another patch; circle: to itself; square: to a special token;
   *   triangle: from a special token
   */
  function shapes_of(flows, tokens) {
    const shapes = [];
    for (const { query, key, weight } of flows) {
      const [from, to] = [tokens[query], tokens[key]];
      if (from.row < 0 && to.row < 0) continue;
      let kind = "arrow";
      if (query === key) kind = "circle";
      else if (to.row < 0) kind = "square";
      else if (from.row < 0) kind = "triangle";
      const ends = kind === "square" ? [from, from] : [kind === "triangle" ? to : from, to];
      const [start, end] = ends.map(middle_of);
      shapes.push({ kind, from: start, to: end, weight });
    }
    return shapes.sort((a, b) => a.weight - b.weight);
  }

  /**
   * Return opacity and width of a weight, growing from the least to the greatest that are shown.
   * @param {number} weight
   * @param {[number, number]} range of the weights that are shown
   * @param {boolean} is_wide whether the width tells the weight too
   * @returns {{opacity: number, width: number}} width in CSS pixels
   */
  function look_of(weight, [least, most], is_wide) {
    const share = most > least ? Math.min(Math.max((weight - least) / (most - least), 0), 1) : 1;
    return { opacity: 0.3 + 0.7 * share, width: is_wide ? 1 + 3 * share : 1.5 };
  }

  /**
   * Return the corners of an arrow, drawn back from both middles so that neighbours stay apart.
   * @param {number[]} from
   * @param {number[]} to same unit
   * @param {number} gap free at both ends
   * @param {number} head length of the arrow head
   * @returns {{line: number[][], head: number[][]}} two ends; three corners, the tip first
   */
  function arrow_of(from, to, gap, head) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = Math.hypot(dx, dy);
    const [x, y] = [dx / length, dy / length];
    const free = Math.min(gap, length / 4);
    const tip = [to[0] - free * x, to[1] - free * y];
    const size = Math.min(head, length / 2);
    const base = [tip[0] - size * x, tip[1] - size * y];
    const half = 0.5 * size;
    return {
      line: [[from[0] + free * x, from[1] + free * y], base],
      head: [tip, [base[0] - half * y, base[1] + half * x], [base[0] + half * y, base[1] - half * x]],
    };
  }

  qk_atlas.image_flows = {
    modes, faintest, strongest_keys, strong_flows, flows_at, share_of, arrivals, shapes_of,
    look_of, arrow_of,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_flows;
})();
