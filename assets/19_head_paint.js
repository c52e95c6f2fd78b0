"use strict";
// The pixels of one head: which points are shown, which stand out, and how they are drawn.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points, pictures, find } = qk_atlas;

  const opacity = 0.85;
  const not_found = 0.18; // opacity of what was not searched for
  const not_chosen = 0.15; // of what is not in the sequence or the selection
  const growths = { near: 1.2, found: 1.5 }; // of the marks that stand out
  const size_factors = [0.65, 0.95, 1.3, 1.75]; // of the radius, by class of norm

  /**
   * Choose what is shown at all, what stands out, and what was searched for.
   * @param {object} data HeadData
   * @param {{hits: number[][]|null, sequence: number|null, selected: number[]|null,
   *   hidden_side: string|null, hidden_kinds?: string[]}} options hidden_kinds: of `data.kind_of`
   * @returns {{all: Uint32Array, near: Uint32Array|null, terms: object[]|null,
   *   shown: Uint8Array}} draw indices, without those of hidden tokens; shown: (n_tokens)
   */
  function choose(data, { hits, sequence, selected, hidden_side, hidden_kinds = [] }) {
    const { owners, tokens } = data;
    const shown = new Uint8Array(owners.n_tokens).fill(1); // tokens; asked for with every frame
    if (hidden_kinds.length) {
      for (let token = 0; token < shown.length; token += 1) {
        if (hidden_kinds.includes(data.kind_of(token))) shown[token] = 0;
      }
    }
    const points_of = (mask) => find.points_of_tokens(owners, mask, hidden_side);
    const all = points_of(shown);
    let near = selected && Uint32Array.from(
      data.indices_of(selected).filter((index) => shown[owners.token[index]]));
    if (!selected && sequence !== null) {
      near = points_of(shown.map((one, token) => one && Number(tokens.sequence[token] === sequence)));
    }
    const found = hits && hits.map((some) => some.filter((token) => shown[token]));
    return { all, near, terms: found ? find.term_points(owners, found, hidden_side) : null, shown };
  }

  /**
   * Draw all sets of points.
   * @param {object} view
   * @param {object} view.frame, view.placed, view.sets as in 10_points.js and `choose`
   * @param {object} view.data HeadData
   * @param {{lut: Uint8Array, ground: number, ramp: string, values: Uint8Array, radius: number,
   *   ratio: number, dims: number, sizes: Uint8Array|null, cut: object|null}} view.look cut: the
   *   patches where pictures are drawn
   */
  function draw({ frame, placed, sets, look }) {
    const { all, near, terms } = sets;
    const paint = (chosen, how) => draw_set(frame, placed, chosen, { ...look, ...how });
    if (!near && !terms) {
      paint(all, { faded: 1, opacity, growth: 1 });
      return;
    }
    paint(all, { faded: near ? not_chosen : not_found, opacity: 1, growth: 1 });
    frame.depths?.fill(Infinity); // what was chosen is seen through what was not
    if (near) paint(near, { faded: 1, opacity: 1, growth: growths.near });
    terms?.forEach(({ chosen, values }, term) => {
      const mark = values ? { values, ramp: "discrete", shape: term, cut: null } : {};
      paint(chosen, { faded: 1, opacity: 1, growth: growths.found, ...mark });
    });
  }

  /** Draw some points; `faded` is their colour over the ground, `growth` enlarges marks. */
  function draw_set(frame, placed, chosen, look) {
    const { values, cut, ground, ratio, sizes } = look;
    const is_deep = look.dims === 3;
    const table = points.colour_table(look.lut, look.ramp, ground, look.faded, is_deep);
    const radius = look.radius * look.growth * ratio;
    const radii = (sizes ? size_factors : [1]).map((factor) => factor * radius);
    const stamps = points.disc_stamps(radii, look.opacity, is_deep, look.shape ?? 0);
    const paint = { values, table, stamps, sizes };
    if (!cut) {
      points.draw_discs(frame, placed, paint, chosen);
      return;
    }
    const border = Math.round(ratio * (look.growth > 1 ? 2 : 1));
    const alpha = Math.round(256 * look.faded);
    pictures.draw_pictures(frame, placed, { values, table, border, ground, alpha, ...cut }, chosen);
    const plain = chosen.filter((i) => cut.picture_of[i] < 0);
    points.draw_discs(frame, placed, paint, plain);
  }

  qk_atlas.head_paint = { choose, draw };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_paint;
})();
