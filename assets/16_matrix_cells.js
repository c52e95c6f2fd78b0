"use strict";
// The pixels of the cells of a matrix: places, marks and colours of one cell. Nothing here meets
// the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const dimmed = 0.18; // opacity of what was not searched for
  const faint = 0.12; // of cells that stand back
  const waiting = 0.3; // of PCA maps that stand in for those that are being computed
  const large_side = 128; // CSS pixels; from here on a point is 2 pixels wide
  const eye = { yaw: 0.6, pitch: 0.35 }; // radians, 3-D maps are seen from here
  const cube_share = 0.59; // of the cell, so that every corner of a cube seen like this is in it
  const top_level = 126; // of the values of a ramp on each side
  const columns = new Int32Array(256); // room for `draw_map`
  const rows = new Int32Array(256);

  /** Return a cell in device pixels, without the rim that a mark of some pixels needs. */
  function inner_box({ left, top, side }, ratio, mark) {
    const rim = mark / 2;
    const [x, y, length] = [left, top, side].map((value) => Math.round(value * ratio));
    return { left: x + rim, top: y + rim, side: length - mark };
  }

  /** Return the view of a 2-D map in a box; see `place_cell`. */
  function flat_view(box, share) {
    const { left, top, side } = box;
    return { x: left + side / 2, y: top + side / 2, scale: side * (share ?? 1) };
  }

  /**
   * Place the points of a cell.
   * @param {Uint8Array|Uint16Array} coordinates (n * dims)
   * @param {number} dims
   * @param {{left: number, top: number, side: number}} box where their middles go, in pixels
   * @param {number|null} share of the largest span, 0 to 1, where all cells have a common scale;
   *   null where this map fills its cell
   * @param {object} placed is filled
   * @param {{yaw: number, pitch: number}} [from] from where a 3-D map is seen
   */
  function place_cell(coordinates, dims, box, share, placed, from = eye) {
    const { place_flat, place_turned, fit_square } = qk_atlas.points;
    if (dims === 2) {
      place_flat(coordinates, flat_view(box, share), placed);
      return;
    }
    const [x, y] = [box.left + box.side / 2, box.top + box.side / 2];
    const scale = box.side * cube_share * (share ?? 1);
    place_turned(coordinates, { x, y, scale, ...from }, placed);
    if (share === null) fit_square(placed, box);
  }

  /**
   * Draw a 2-D map in 8 bits, all of it inside a flat frame, as `place_flat` and `draw_dots` would:
   * a coordinate has 256 values, so that their pixels are known before the points are looked at.
   * @returns {boolean} whether it was drawn: not where a point could leave the frame
   */
  function draw_map(frame, coordinates, view, { values, table }, side) {
    const { pixels, width, height } = frame;
    const step = view.scale / 255;
    const shift = 0.5 - side / 2;
    for (let level = 0; level < 256; level += 1) {
      const x = Math.fround(view.x - view.scale / 2 + level * step);
      const y = Math.fround(view.y + view.scale / 2 - level * step);
      columns[level] = Math.floor(x + shift);
      rows[level] = Math.floor(y + shift);
    }
    const is_inside = columns[0] >= 0 && rows[255] >= 0
      && columns[255] + side <= width && rows[0] + side <= height;
    if (!is_inside) return false;
    for (let level = 0; level < 256; level += 1) rows[level] *= width;
    const count = Math.min(coordinates.length / 2, values.length);
    for (let i = 0; i < count; i += 1) {
      const colour = table[values[i]];
      const at = rows[coordinates[2 * i + 1]] + columns[coordinates[2 * i]];
      if (side === 1) pixels[at] = colour; // most dots are a single pixel
      else qk_atlas.points.draw_flat_dot(frame, at, side, colour);
    }
    return true;
  }

  /**
   * Return size and colours of the marks of a matrix: full, dimmed, faint, and larger for hits.
   * @param {{lut: Uint8Array, ground: number, ratio: number, side: number, ramp: string,
   *   is_deep: boolean, terms: object[]|null}} want terms: from `find.term_points`
   */
  function make_look({ lut, ground, ratio, side, ramp, is_deep, terms }) {
    const { colour_table, disc_stamps } = qk_atlas.points;
    const mark = Math.max(1, Math.round(ratio * (side < large_side ? 1 : 2)));
    const hit_mark = mark + 2;
    const table = (of, opacity) => colour_table(lut, of, ground, opacity, is_deep);
    const marks = terms?.map(({ chosen, values }, term) => ({
      chosen, values,
      table: table(values ? "discrete" : ramp, 1),
      stamps: disc_stamps([hit_mark / 2], 1, is_deep, values ? term : 0),
    }));
    return {
      ratio, mark, hit_mark, marks: marks ?? null,
      full: table(ramp, 1), rest: table(ramp, dimmed), faint: table(ramp, faint),
      waiting: table(ramp, waiting),
    };
  }

  /**
   * Draw one cell.
   * @param {object} frame
   * @param {object} placed room for its points
   * @param {object} look from `make_look`
   * @param {{coordinates: Uint8Array|Uint16Array, dims: number, css_box: object, eye: object,
   *   share: number|null, values: Uint8Array, is_faint: boolean, is_stand_in: boolean}} cell
   * @returns {number} points drawn as hits
   */
  function draw_cell(frame, placed, look, cell) {
    const { draw_dots, draw_discs, place_flat } = qk_atlas.points;
    const { ratio, mark, hit_mark, marks } = look;
    const { coordinates, dims, share, values } = cell;
    const box = inner_box(cell.css_box, ratio, hit_mark);
    let table = marks ? look.rest : look.full;
    if (cell.is_stand_in) table = look.waiting;
    if (cell.is_faint) table = look.faint;
    const view = flat_view(box, share);
    const is_plain = dims === 2 && coordinates instanceof Uint8Array;
    const is_drawn = is_plain && draw_map(frame, coordinates, view, { values, table }, mark);
    if (!is_drawn) {
      place_cell(coordinates, dims, box, share, placed, cell.eye);
      placed.count = Math.min(placed.count, values.length);
      draw_dots(frame, placed, { values, table }, mark, null);
    }
    if (!marks || cell.is_faint) return 0;
    let n_hits = 0;
    const count = Math.min(coordinates.length / dims, values.length);
    for (const hit of marks) {
      const chosen = hit.chosen.subarray(0, qk_atlas.find.count_below(hit.chosen, count));
      if (is_drawn) place_flat(coordinates, view, placed, chosen);
      const paint = { values: hit.values ?? values, table: hit.table, stamps: hit.stamps, sizes: null };
      draw_discs(frame, placed, paint, chosen);
      n_hits += chosen.length;
    }
    return n_hits;
  }

  /** Fill the pixels of a cell with the ground and forget their depths. */
  function clear_box(frame, css_box, ratio, ground) {
    const { left, top, side } = inner_box(css_box, ratio, 0);
    const [from, to] = [Math.max(0, left), Math.min(frame.width, left + side)];
    for (let row = Math.max(0, top); row < Math.min(frame.height, top + side); row += 1) {
      frame.pixels.fill(ground, row * frame.width + from, row * frame.width + to);
      frame.depths?.fill(Infinity, row * frame.width + from, row * frame.width + to);
    }
  }

  /** Return the least and the greatest norm of all cells. */
  function whole_range(cells) {
    const ranges = cells.filter(Boolean).map((cell) => cell.norm_range);
    return [Math.min(...ranges.map(([least]) => least)), Math.max(...ranges.map(([, most]) => most))];
  }

  /**
   * Return norms that are scaled by the range of their head, scaled by a common range.
   * @param {Uint8Array} norms (n) 0 to 126 for queries, 128 to 254 for keys
   * @param {number[]} range least and greatest norm of the head
   * @param {number[]} common least and greatest of all
   */
  function on_common_scale(norms, range, common) {
    const span = common[1] - common[0] || 1;
    const level = (value) => {
      const norm = range[0] + ((value & 127) / top_level) * (range[1] - range[0]);
      return Math.round(((norm - common[0]) / span) * top_level) + (value & 128);
    };
    const table = Uint8Array.from({ length: 256 }, (_, value) => level(value));
    return norms.map((value) => table[value]);
  }

  qk_atlas.matrix_cells = {
    eye, inner_box, place_cell, draw_map, make_look, draw_cell, clear_box, whole_range, on_common_scale,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.matrix_cells;
})();
