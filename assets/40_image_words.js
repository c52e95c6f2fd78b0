"use strict";
// Words around an image that a decoder reads in one sequence with it, as a running text below the
// image; they are pointed at and clicked like patches.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /** Tell whether a token is a word: neither a patch nor special. */
  const is_word = ({ row, special }) => row < 0 && !special;

  const has_words = (tokens) => tokens.some(is_word);

  /**
   * Return what stands in the running text, in the order of the sequence: the position of each token
   * that is no patch, and "image" once where patches stand.
   * @param {{row: number}[]} tokens
   * @returns {(number|"image")[]}
   */
  function running_text(tokens) {
    const pieces = [];
    tokens.forEach(({ row }, position) => {
      if (row < 0) pieces.push(position);
      else if (pieces.at(-1) !== "image") pieces.push("image");
    });
    return pieces;
  }

  /** Let a button stand for a token: it is pointed at, focused and clicked like a patch. */
  function listen(button, position, { on_point, on_leave, on_pick }) {
    for (const type of ["pointermove", "focus"]) button.addEventListener(type, () => on_point(position));
    for (const type of ["pointerleave", "blur"]) button.addEventListener(type, () => on_leave());
    button.addEventListener("click", () => on_pick(position));
  }

  /** A button for each token that is no patch. Used as `Boxes` of 41_image_tools.js. */
  class Words {
    constructor(tokens, handlers) {
      const { make } = qk_atlas.stage;
      this.element = make("div", "qk-image-words", "", { role: "group", "aria-label": "text with the image" });
      this.tokens = tokens;
      this.words = new Map();
      for (const piece of running_text(tokens)) {
        if (piece === "image") {
          this.element.append(make("span", "qk-image-mark", "the image"));
          continue;
        }
        const { text, special } = tokens[piece];
        const word = make("button", "", qk_atlas.attention.visible_text(text), { type: "button" });
        word.dataset.special = String(special);
        listen(word, piece, handlers);
        this.words.set(piece, word);
        this.element.append(word);
      }
    }

    draw({ side, picked, hot, heat_of, text_of }) {
      for (const [position, word] of this.words) {
        const figure = text_of(position);
        word.style.setProperty("--qk-heat", String(heat_of(position)));
        word.title = figure ? `position ${position}: ${figure}` : `position ${position}`;
        word.setAttribute("aria-pressed", String(picked?.position === position));
        word.className = `qk-image-word qk-of-${side}${hot?.position === position ? " qk-hot" : ""}`;
      }
    }
  }

  qk_atlas.image_words = { Words, listen, has_words, is_word, running_text };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_words;
})();
