"use strict";
// Lines between two columns of tokens: shapes, words and moves. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const row_height = 20; // pixels; `.qk-token` in 32_panels.css has the same

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
   * space, letters without one.
   * @param {{text: string, special: boolean}[]} tokens
   * @returns {boolean[]} (n_tokens)
   */
  function word_pieces(tokens) {
    const is_spaced = tokens.some(({ text, special }) => !special && /^ \S/u.test(text));
    const continues = tokens.map(({ text, special }, i) => {
      if (special || i === 0 || tokens[i - 1].special) return false;
      if (/^##./u.test(text)) return true;
      const touches_letters = /[\p{L}\p{N}]$/u.test(tokens[i - 1].text);
      return is_spaced && touches_letters && /^[\p{L}\p{N}]/u.test(text);
    });
    return tokens.map((_, i) => continues[i] || continues[i + 1] === true);
  }

  /** Return where a key press leads from a token, or null when the key means nothing here. */
  function moved(place, pressed, n_tokens) {
    const last = n_tokens - 1;
    switch (pressed) {
      case "ArrowUp": return { ...place, position: Math.max(place.position - 1, 0) };
      case "ArrowDown": return { ...place, position: Math.min(place.position + 1, last) };
      case "ArrowLeft": return { ...place, side: "query" };
      case "ArrowRight": return { ...place, side: "key" };
      case "Home": return { ...place, position: 0 };
      case "End": return { ...place, position: last };
      default: return null;
    }
  }

  /** Say how many of the lines are drawn; the percentage never claims more than there is. */
  function count_text(n_lines, n_pairs, threshold, share) {
    const [shown, all] = [n_lines, n_pairs].map((count) => count.toLocaleString("en-US"));
    const percent = Math.floor(share * 100);
    return `lines ≥ ${threshold} shown: ${shown} of ${all}, holding ${percent} % of the attention`;
  }

  qk_atlas.bipartite = { row_height, curve, word_pieces, moved, count_text };
  if (typeof module !== "undefined") module.exports = qk_atlas.bipartite;
})();
