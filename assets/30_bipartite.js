"use strict";
// Lines between two columns of tokens: shapes, words and moves. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const row_height = 20; // pixels; `.qk-row` in 33_sentence_view.css has the same
  const weighting_names = {
    attention: "attention", value: "attention × ‖v‖", transformed: "attention × ‖v W‖",
  };

  /**
   * Return the curve from a query to a key.
   * @param {number} query_index
   * @param {number} key_index
   * @param {number} width of the space between the columns, in pixels
   * @returns {number[]} (8) x and y of: start, two control points, end
   */
  function curve(query_index, key_index, width) {
    const start = (query_index + 0.5) * row_height;
    const end = (key_index + 0.5) * row_height;
    return [0, start, width / 2, start, width / 2, end, width, end];
  }

  /**
   * Mark the tokens that are pieces of a longer word: `##ing`, or, where words begin with a
   * space, letters without one. Special tokens and patches are no pieces.
   * @param {{text: string, special: boolean, is_patch?: boolean}[]} tokens
   * @returns {boolean[]} (n_tokens)
   */
  function word_pieces(tokens) {
    const is_spaced = tokens.some(({ text, special }) => !special && /^ \S/u.test(text));
    const continues = tokens.map(({ text, special }, i) => {
      if (special || i === 0 || tokens[i - 1].special) return false;
      if (tokens[i].is_patch || tokens[i - 1].is_patch) return false;
      if (/^##./u.test(text)) return true;
      const touches_letters = /[\p{L}\p{N}]$/u.test(tokens[i - 1].text);
      return is_spaced && touches_letters && /^[\p{L}\p{N}]/u.test(text);
    });
    return tokens.map((_, i) => continues[i] || continues[i + 1] === true);
  }

  /**
   * Return where a key press leads from a token, or null when the key means nothing here.
   * @param {{side: "query"|"key", position: number}} place
   * @param {string} pressed
   * @param {{query: number, key: number}} counts tokens of each side
   */
  function moved(place, pressed, counts) {
    const { side, position } = place;
    const at = (to, on = side) => (
      { side: on, position: Math.max(0, Math.min(to, counts[on] - 1)) });
    switch (pressed) {
      case "ArrowUp": return at(position - 1);
      case "ArrowDown": return at(position + 1);
      case "ArrowLeft": return at(position, "query");
      case "ArrowRight": return at(position, "key");
      case "Home": return at(0);
      case "End": return at(counts[side] - 1);
      default: return null;
    }
  }

  const amount = (count, one, many) => `${count} ${count === 1 ? one : many}`;

  /**
   * Say how the shown weights follow from the attention; "" when they are the attention itself.
   * @param {{weighting: string, hidden: {query: number, key: number}, is_mean: boolean,
   *   has_sinks: boolean, pair: string}} how hidden: how many tokens of each side
   */
  function how_text({ weighting, hidden, is_mean, has_sinks, pair }) {
    const parts = [];
    const is_weighed = weighting !== "attention";
    if (is_weighed) parts.push(`${weighting_names[weighting]}, each row divided by its sum`);
    if (hidden.query || hidden.key) {
      const both = [hidden.query && amount(hidden.query, "query", "queries"),
        hidden.key && amount(hidden.key, "key", "keys")];
      const rest = hidden.key ? ": rows are taken anew over the keys that are left" : "";
      parts.push(`${both.filter(Boolean).join(" and ")} hidden${rest}`);
    }
    if (is_mean && !is_weighed) parts.push("mean over the sequences, each row divided by its sum");
    if (has_sinks && !is_mean) {
      parts.push(is_weighed ? "the sink has no value and adds nothing"
        : "rows sum to less than 1: the rest goes to the sink, which stays");
    }
    if (pair !== "all") parts.push(`only ${pair} is shown, its weights unchanged`);
    return parts.length ? `${parts.join("; ")}.` : "";
  }

  /** Say how many of the lines are drawn; the percentage never claims more than there is. */
  function count_text(n_lines, n_pairs, threshold, share) {
    const [shown, all] = [n_lines, n_pairs].map((count) => count.toLocaleString("en-US"));
    const percent = Math.floor(share * 100);
    return `lines ≥ ${threshold} shown: ${shown} of ${all}, holding ${percent} % of the attention`;
  }

  qk_atlas.bipartite = {
    row_height, weighting_names, curve, word_pieces, moved, how_text, count_text,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.bipartite;
})();
