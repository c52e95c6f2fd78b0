"use strict";
// One input seen by all heads: ranges, pair filters, orders, differences. Nothing here meets the
// page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  // Columns of scores.f32; `SCORES` of pipeline/inspection.py.
  const score_names = ["entropy", "distance", "previous", "next", "same", "first",
    "strongest_query", "strongest_key", "strongest"];
  const n_colours = 16; // --qk-head-0 to --qk-head-15 in 37_inspect.css
  const dashes = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
  const colours_per_dash = 8;
  const pins_max = 3; // beside the chosen layer
  const pair_words = { all: "all", aa: "A → A", bb: "B → B", ab: "A → B", ba: "B → A" };

  /**
   * Read "0-3, 7" as numbers.
   * @param {string} text
   * @param {number} count numbers run from 0 to count - 1
   * @returns {number[]|null} ascending, each once; null when the text cannot be read or names
   *   nothing that is there. An empty text names all.
   */
  function parse_ranges(text, count) {
    const all = Array.from({ length: count }, (_, i) => i);
    if (text.trim() === "") return all;
    const wanted = new Set();
    for (const part of text.split(",")) {
      const found = /^\s*(\d{1,3})\s*(?:[-–]\s*(\d{1,3})\s*)?$/u.exec(part);
      if (!found) return null;
      const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
      for (let i = first; i <= last; i += 1) wanted.add(i);
    }
    const there = all.filter((i) => wanted.has(i));
    return there.length ? there : null;
  }

  /** Write ascending numbers as ranges, all `count` of them as nothing: "0-3,7". */
  function ranges_text(numbers, count) {
    if (numbers.length === count) return "";
    const parts = [];
    for (const number of numbers) {
      const last = parts.at(-1);
      if (last && last[1] === number - 1) last[1] = number;
      else parts.push([number, number]);
    }
    return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(",");
  }

  /**
   * Read "5:0-2;7" as layers with their heads.
   * @param {string} text
   * @param {{n_heads: number}[]} layers
   */
  function parse_pins(text, layers) {
    const read = (part) => {
      const [layer, heads = ""] = part.split(":");
      const n_heads = layers[Number(layer)]?.n_heads;
      return n_heads && { layer: Number(layer), heads: parse_ranges(heads, n_heads) ?? [0] };
    };
    return text ? text.split(";").map(read).filter(Boolean).slice(0, pins_max) : [];
  }

  /** Write layers with their heads; see `parse_pins`. */
  function pins_text(pins, layers) {
    return pins.map(({ layer, heads }) => {
      const text = ranges_text(heads, layers[layer].n_heads);
      return text ? `${layer}:${text}` : `${layer}`;
    }).join(";");
  }

  /**
   * Tell whether attention from one segment to another is shown.
   * @param {string} pairs "all", or two letters: of the query and of the key
   */
  function allows(pairs, query_segment, key_segment) {
    if (pairs === "all") return true;
    return "ab"[query_segment] === pairs[0] && "ab"[key_segment] === pairs[1];
  }

  /**
   * Return which pairs of one head are shown.
   * @param {{segment: number[]}} queries
   * @param {{segment: number[]}} keys
   * @returns {Uint8Array|null} (n_queries * n_keys) 1 for shown; null when all are
   */
  function pair_mask(pairs, queries, keys) {
    if (pairs === "all") return null;
    const n_keys = keys.segment.length;
    const mask = new Uint8Array(queries.segment.length * n_keys);
    queries.segment.forEach((from, i) => {
      keys.segment.forEach((to, j) => { mask[i * n_keys + j] = allows(pairs, from, to) ? 1 : 0; });
    });
    return mask;
  }

  /** Tell whether there are two segments to choose between. */
  function has_segments({ queries, keys, is_cross }) {
    return !is_cross && queries.segment.includes(1) && keys.segment.includes(0);
  }

  /**
   * Return how weights changed, in 255ths.
   * @param {Uint8Array} now
   * @param {Uint8Array} before
   * @returns {Int16Array} positive where there is more attention now
   */
  function difference(now, before) {
    const change = new Int16Array(now.length);
    for (let i = 0; i < now.length; i += 1) change[i] = now[i] - before[i];
    return change;
  }

  /**
   * List the lines of some heads.
   * @param {{values: Uint8Array|Int16Array, n_queries: number, n_keys: number}} layer
   *   (n_heads * n_queries * n_keys) in 255ths
   * @param {number[]} heads
   * @param {{threshold: number, mask: Uint8Array|null, most: number}} choice at most `most` lines,
   *   the strongest
   * @returns {{lines: {head: number, query: number, key: number, value: number}[], n_above: number,
   *   n_pairs: number}} weakest first, so that the strongest are drawn on top; values -1 to 1
   */
  function lines_of({ values, n_queries, n_keys }, heads, { threshold, mask, most }) {
    const size = n_queries * n_keys;
    const least = Math.max(1, threshold * 255);
    const places = [];
    let n_pairs = 0;
    for (const head of heads) {
      for (let pair = 0; pair < size; pair += 1) {
        const value = values[head * size + pair];
        if (value === 0 || (mask && !mask[pair])) continue;
        n_pairs += 1;
        if (Math.abs(value) >= least) places.push(head * size + pair);
      }
    }
    places.sort((a, b) => Math.abs(values[a]) - Math.abs(values[b]) || a - b);
    const lines = places.slice(-most).map((place) => {
      const pair = place % size;
      return {
        head: Math.floor(place / size), query: Math.floor(pair / n_keys), key: pair % n_keys,
        value: values[place] / 255,
      };
    });
    return { lines, n_above: places.length, n_pairs };
  }

  /** Return the sign of a head: which colour, and which dashes. Two heads of 0 to 31 never share both. */
  function sign_of(head) {
    return {
      colour: head % n_colours,
      dash: dashes[Math.floor(head / colours_per_dash) % dashes.length],
    };
  }

  /** Show a head or hide it; the last one stays. */
  function toggled(shown, head) {
    if (!shown.includes(head)) return [...shown, head].sort((a, b) => a - b);
    const rest = shown.filter((one) => one !== head);
    return rest.length ? rest : shown;
  }

  /** Show one head alone; if it is alone already, all. */
  function isolated(shown, head, count) {
    if (shown.length === 1 && shown[0] === head) return parse_ranges("", count);
    return [head];
  }

  /**
   * Return cells in the order of a score, largest first; cells without one last, equal ones in
   * the order of the grid.
   * @param {{layer: number, head: number}[]} cells
   * @param {(cell: {layer: number, head: number}) => number} score_of
   */
  function sort_cells(cells, score_of) {
    const keyed = cells.map((cell, index) => ({ cell, index, score: score_of(cell) }));
    const rank = ({ score }) => (Number.isNaN(score) ? -Infinity : score);
    return keyed.sort((a, b) => rank(b) - rank(a) || a.index - b.index).map(({ cell }) => cell);
  }

  /** Return the scores of one head as an object. @param {Float32Array} scores (n_heads * 9) */
  function scores_of(scores, head) {
    const start = head * score_names.length;
    return Object.fromEntries(score_names.map((name, i) => [name, scores[start + i]]));
  }

  qk_atlas.inspect_data = {
    score_names, n_colours, pair_words, pins_max, parse_ranges, ranges_text, parse_pins, pins_text, allows, pair_mask, has_segments,
    difference, lines_of, sign_of, toggled, isolated, sort_cells, scores_of,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.inspect_data;
})();
