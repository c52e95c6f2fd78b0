"use strict";
// What the legend of the inspect pages says: of the attention of an input, or of how an edit
// changed it. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const how_thumbs = "Click a picture for its tokens. Click L or H numbers to filter, Shift and click to hide.";
  const how_squares = "Click a number to show or hide its head; double click (or the key i) for it alone, again for all.";
  const how_neurons = "Click a token on the left: its query is compared with every key. Point at another to see "
    + "both. Click a row to choose its key.";

  const of_attention = {
    model_view: [
      ["line", "a line from query (left) to key (right), as strong as its weight"],
      ["words", how_thumbs],
    ],
    head_lines: [
      ["heads", "one colour and dash pattern for each head"],
      ["words", `${how_squares} Beside each token stand boxes: what the token pointed at gives or gets, head by head.`],
    ],
    neuron_view: [
      ["signs", "", ["positive", "negative"]],
      ["words", how_neurons],
    ],
  };

  const of_change = {
    model_view: [
      ["signs", "", ["more attention than before the edit", "less attention"]],
      ["words", "A line from query (left) to key (right): the more its weight changed, the stronger. "
        + "The colour grows with the root of the change, so that small ones are seen."],
      ["words", how_thumbs],
    ],
    head_lines: [
      ["signs", "", ["more attention than before the edit", "less attention"]],
      ["words", "The more a weight changed, the stronger its line, by the root of the change. Colours tell the sign; "
        + "only dashes tell heads apart."],
      ["words", `${how_squares} Boxes beside each token: what the token pointed at gives or gets more or less, head by head.`],
    ],
    neuron_view: [
      ["signs", "", ["higher than before the edit", "lower than before"]],
      ["words", "Vectors, products, figures and weights are all differences: now minus before."],
      ["words", how_neurons],
    ],
  };

  /**
   * Return the rows of the legend of a view.
   * @param {string} kind "model_view", "head_lines" or "neuron_view"
   * @param {boolean} is_difference
   * @returns {[string, string, string[]?][]} sign, words, and the words of both signs
   */
  function meanings_of(kind, is_difference) {
    return (is_difference ? of_change : of_attention)[kind];
  }

  qk_atlas.meanings = { meanings_of };
  if (typeof module !== "undefined") module.exports = qk_atlas.meanings;
})();
