"use strict";
// The attention weights of one sequence as numbers and words. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const hidden_characters = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  const joiners = "\u200c\u200d";
  const familiar_symbols = { "\n": "↵", "\t": "⇥", "\x7f": "␡" };

  /** Return a symbol for one character that has no shape of its own. */
  function symbol_of(character, offset, text) {
    const is_inside = offset > 0 && offset + 1 < text.length;
    // Persian words and composed emoji need their joiners to be read at all.
    if (joiners.includes(character) && is_inside) return character;
    if (character in familiar_symbols) return familiar_symbols[character];
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  }

  /**
   * Return a token as it can be read on a screen: control characters, line breaks, tabs and
   * marks that turn the direction of writing become symbols, so that no token is invisible and
   * none can disturb its neighbours. One leading space, the sign of a new word, is dropped.
   * @param {string} text
   * @returns {string} never blank
   */
  function visible_text(text) {
    if (text === "") return "⟨empty⟩";
    const shown = text.replace(/^ (?=\S)/u, "").replace(hidden_characters, symbol_of);
    return /\S/u.test(shown) ? shown : "␣".repeat(shown.length);
  }

  /** Return a weight with three decimals, so that figures below each other line up. */
  function format_weight(weight) {
    return weight.toFixed(3);
  }

  /** Return "key" for "query" and "query" for "key". */
  function other_side(side) {
    return side === "query" ? "key" : "query";
  }

  /**
   * Return what one token gives (a query: its row over the keys) or gets (a key: its column
   * over the queries).
   * @param {Float32Array} weights (n_queries * n_keys), row = query
   * @param {number} n_keys
   * @param {{side: "query"|"key", position: number}} place
   * @returns {Float32Array} (n_keys) for a query, (n_queries) for a key
   */
  function weights_of(weights, n_keys, place) {
    const start = place.position * n_keys;
    if (place.side === "query") return weights.slice(start, start + n_keys);
    const column = new Float32Array(weights.length / n_keys);
    for (let i = 0; i < column.length; i += 1) column[i] = weights[i * n_keys + place.position];
    return column;
  }

  /**
   * Return the largest values, largest first; equal ones by position, zeros never.
   * @param {Float32Array} values (n_tokens)
   * @param {number} count at most so many
   * @returns {{position: number, weight: number}[]}
   */
  function strongest(values, count) {
    const found = [];
    values.forEach((weight, position) => {
      if (weight > 0) found.push({ position, weight });
    });
    return found.sort((a, b) => b.weight - a.weight).slice(0, count);
  }

  /** Tell whether a weight reaches a threshold; a masked pair, of weight zero, never does. */
  function reaches(weight, threshold) {
    // As float32, like the weights: 0.02 must count as reaching 0.02.
    return weight > 0 && weight >= Math.fround(threshold);
  }

  /**
   * List the pairs whose weight reaches a threshold.
   * @param {Float32Array} weights (n_queries * n_keys), row = query
   * @param {number} threshold
   * @returns {{pairs: number[], n_pairs: number, share: number}} pairs: places in `weights`,
   *   so query = floor(pair / n_keys) and key = pair % n_keys; n_pairs: all pairs with a
   *   weight above zero (a causal mask leaves about half); share: the part of all attention
   *   that the listed pairs hold, 0 to 1.
   */
  function pairs_above(weights, threshold) {
    const pairs = [];
    let n_pairs = 0;
    let total = 0;
    let held = 0;
    for (let pair = 0; pair < weights.length; pair += 1) {
      const weight = weights[pair];
      if (weight === 0) continue;
      n_pairs += 1;
      total += weight;
      if (!reaches(weight, threshold)) continue;
      held += weight;
      pairs.push(pair);
    }
    return { pairs, n_pairs, share: total > 0 ? held / total : 0 };
  }

  qk_atlas.attention = {
    visible_text, format_weight, other_side, weights_of, strongest, reaches, pairs_above,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.attention;
})();
