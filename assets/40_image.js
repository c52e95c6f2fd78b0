"use strict";
// Patches of an image and their heat as numbers. Nothing here meets the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const steps = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  };

  const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);

  /**
   * Return the patch under a point of the image.
   * @param {number} x
   * @param {number} y
   * @param {{width: number, height: number}} size of the image as shown, same unit as x and y
   * @param {[number, number]} grid rows and columns
   * @returns {[number, number]} row and column; a point on or past an edge belongs to the last
   */
  function patch_at(x, y, size, [rows, columns]) {
    return [
      clamp(Math.floor((y / size.height) * rows), rows),
      clamp(Math.floor((x / size.width) * columns), columns),
    ];
  }

  /**
   * Return which position of the sequence each patch has.
   * @param {{row: number, column: number}[]} tokens row -1: not a patch
   * @param {[number, number]} grid rows and columns
   * @returns {Int32Array} (rows * columns), -1 where the sequence has no such patch
   */
  function patch_positions(tokens, [rows, columns]) {
    const positions = new Int32Array(rows * columns).fill(-1);
    tokens.forEach(({ row, column }, position) => {
      if (row >= 0) positions[row * columns + column] = position;
    });
    return positions;
  }

  /**
   * Return the patch an arrow key leads to, staying inside; from no patch to the first one.
   * @returns {[number, number]|null} row and column; null: the key means nothing here
   */
  function moved_patch(token, pressed, [rows, columns]) {
    const step = steps[pressed];
    if (!step) return null;
    if (!token || token.row < 0) return [0, 0];
    return [clamp(token.row + step[0], rows), clamp(token.column + step[1], columns)];
  }

  /** Return the largest weight of a patch; special tokens do not count. */
  function largest_of_patches(values, positions) {
    return positions.reduce((most, at) => (at < 0 ? most : Math.max(most, values[at])), 0);
  }

  /** Return the opacity of a weight where `opaque` is the weight that hides what is below. */
  function opacity_of(weight, opaque) {
    return opaque > 0 ? Math.min(weight / opaque, 1) : 0;
  }

  /** Say where a token is: the place of a patch and its label, the name of a special token, a word. */
  function place_name({ text, row, column, label, special = true }) {
    const name = qk_atlas.attention.visible_text(text);
    if (row < 0) return special ? name : `“${name}”`;
    return `row ${row}, column ${column}${label ? ` (${label})` : ""}`;
  }

  qk_atlas.image_panel = {
    patch_at, patch_positions, moved_patch, largest_of_patches, opacity_of, place_name,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_panel;
})();
