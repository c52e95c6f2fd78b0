"use strict";
// What is left of the attention of a sequence when tokens are hidden, values count, or one text of
// a pair is asked about the other. Everything follows from sets; in which order they were made
// never counts. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  // Kinds of tokens that can be hidden; those of pipeline/aggregate.py.
  const filters = ["start", "separators", "first", "punctuation", "patches", "words"];
  const of_images = ["patches", "words"]; // mean something where a sequence has both
  const weightings = { attention: null, value: 0, transformed: 1 }; // row of the norms of values
  const pairs = {
    all: null, "A→A": [0, 0], "B→B": [1, 1], "A→B": [0, 1], "B→A": [1, 0],
  };

  /** Tell whether a token consists of punctuation marks and symbols alone. */
  function is_punctuation({ text, special }) {
    const bare = text.trim().replace(/^##(?=.)/su, "");
    return !special && /^[\p{P}\p{S}]+$/u.test(bare);
  }

  /** Tell whether a token stands for a patch of an image. */
  const is_patch = (token) => token.is_patch ?? token.row >= 0;

  /** Tell whether tokens are patches and words of one sequence. */
  function has_both(tokens) {
    return tokens.some(is_patch) && tokens.some((token) => is_of("words", token));
  }

  /**
   * Tell whether a filter is about a token.
   * @param {string} filter one of `filters`
   * @param {{text: string, special: boolean, is_patch?: boolean, row?: number}} token
   * @param {number} position in its sequence, from 0
   */
  function is_of(filter, token, position) {
    switch (filter) {
      case "start": return position === 0 && token.special;
      case "separators": return position > 0 && token.special;
      case "first": return position === 0;
      case "punctuation": return !is_patch(token) && is_punctuation(token);
      case "patches": return is_patch(token);
      case "words": return !is_patch(token) && !token.special;
      default: return false;
    }
  }

  /**
   * Return which tokens are hidden: those a filter is about, but for what was chosen by hand.
   * @param {{text: string, special: boolean}[]} tokens of one side
   * @param {Set<string>} chosen filters
   * @param {Map<number, boolean>} by_hand position -> hidden or shown by a click
   * @returns {boolean[]} (n_tokens)
   */
  function hidden_tokens(tokens, chosen, by_hand) {
    const both = has_both(tokens);
    const meant = [...chosen].filter((filter) => both || !of_images.includes(filter));
    return tokens.map((token, position) => by_hand.get(position)
      ?? meant.some((filter) => is_of(filter, token, position)));
  }

  /**
   * Take the weights anew over the keys that are left:
   *   w[i][j] = a[i][j] n[j] / (sum over the keys j that are left)
   * with n the norm of the value, or 1. Hidden queries, hidden keys and rows without any weight
   * left are zero. A sink is a key that cannot be hidden: its share stays in the sum; it has no
   * value, so with norms it adds nothing. Nothing hidden and no norms: the weights as they are.
   * @param {Float32Array} weights (n_queries * n_keys) row = query
   * @param {{query: boolean[], key: boolean[]}} hidden
   * @param {{norms?: Float32Array|null, has_sinks?: boolean, is_mean?: boolean}} how norms (n_keys);
   *   is_mean: rows that need not sum to 1 yet, so they are always taken anew
   * @returns {Float32Array} (n_queries * n_keys)
   */
  function reweighted(weights, hidden, { norms = null, has_sinks = false, is_mean = false } = {}) {
    const n_keys = hidden.key.length;
    const found = new Float32Array(weights.length);
    const is_as_it_is = !norms && !is_mean && !hidden.key.includes(true);
    hidden.query.forEach((is_hidden, query) => {
      if (is_hidden) return;
      const start = query * n_keys;
      let all = 0;
      let left = 0;
      for (let key = 0; key < n_keys; key += 1) {
        const weight = weights[start + key];
        all += weight;
        if (!hidden.key[key]) left += norms ? weight * norms[key] : weight;
      }
      const sink = has_sinks && !norms && !is_mean ? Math.max(1 - all, 0) : 0;
      const total = is_as_it_is ? 1 : left + sink;
      if (!(total > 0)) return;
      for (let key = 0; key < n_keys; key += 1) {
        const part = norms ? weights[start + key] * norms[key] : weights[start + key];
        if (!hidden.key[key]) found[start + key] = part / total;
      }
    });
    return found;
  }

  /**
   * Return to which text of a pair each token belongs, 0 or 1; a special token to the text before.
   * @param {{segment: number, special: boolean}[]} tokens
   */
  function segments_of(tokens) {
    let segment = 0;
    return tokens.map((token) => {
      if (!token.special) segment = token.segment;
      return segment;
    });
  }

  /**
   * Keep the weights between two texts of a pair; all others become zero, none is changed.
   * @param {Float32Array} weights (n_queries * n_keys)
   * @param {{query: number[], key: number[]}} segments
   * @param {string} pair one of `pairs`
   */
  function within_pair(weights, segments, pair) {
    const wanted = pairs[pair];
    if (!wanted) return weights;
    const n_keys = segments.key.length;
    return weights.map((weight, place) => {
      const from = segments.query[Math.floor(place / n_keys)];
      return from === wanted[0] && segments.key[place % n_keys] === wanted[1] ? weight : 0;
    });
  }

  /**
   * Return what a box that hides tokens is called, by the tokens there are; null: there are none.
   * Tokens of a whole corpus bring their `position`.
   */
  function filter_name(filter, sides) {
    if (of_images.includes(filter) && !has_both(Object.values(sides).flat())) return null;
    return name_of(filter, Object.values(sides).flatMap((tokens) => (
      tokens.filter((token, position) => is_of(filter, token, token.position ?? position)))));
  }

  /** Return what a box is called that hides these tokens; null: none. */
  function name_of(filter, tokens) {
    const found = new Set(tokens.map(({ text }) => text.trim()));
    if (found.size === 0) return null;
    if (filter === "first") return "first token";
    if (filter === "punctuation" || filter === "words") return filter;
    if (filter === "patches") return "image patches";
    const names = [...found].slice(0, 2).join(" ") + (found.size > 2 ? " …" : "");
    return filter === "start" ? names : `all ${names}`;
  }

  qk_atlas.weighting = {
    filters, weightings, pairs, is_punctuation, is_of, is_patch, has_both, hidden_tokens, reweighted, segments_of,
    within_pair, filter_name, name_of,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.weighting;
})();
