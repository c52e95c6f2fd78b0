"use strict";
// What the colours of a difference stand for: a scale from less to more, with the changes that are
// there. The change of an input against the input before its edit.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Return the least and the greatest of some changes, zero where none is on a side.
   * @param {Iterable<number>} changes
   * @returns {[number, number]}
   */
  function range_of(changes) {
    let [least, greatest] = [0, 0];
    for (const change of changes) {
      if (change < least) least = change;
      if (change > greatest) greatest = change;
    }
    return [least, greatest];
  }

  /** Return the range of some ranges. */
  const joined = (ranges) => range_of([...ranges].flat());

  /** Return the range of some heads of a layer in 255ths, of the pairs that are shown. */
  function range_of_heads({ values, n_queries, n_keys }, heads, mask) {
    const size = n_queries * n_keys;
    let [least, greatest] = [0, 0];
    for (const head of heads) {
      for (let pair = 0; pair < size; pair += 1) {
        if (mask && !mask[pair]) continue;
        const value = values[head * size + pair];
        if (value < least) least = value;
        if (value > greatest) greatest = value;
      }
    }
    return [least / 255, greatest / 255];
  }

  /** Return a change with its sign, three decimals: +0.120, −0.031, 0. */
  function signed(change) {
    const text = Math.abs(change).toFixed(3);
    if (!/[1-9]/.test(text)) return "0";
    return `${change < 0 ? "−" : "+"}${text}`;
  }

  /** Tell whether no change would be seen in three decimals. */
  const is_none = (range) => range.every((change) => signed(change) === "0");

  /**
   * Return where the whole scale from -1 to 1 lies so that a window shows the part of a range.
   * @returns {{left: number, width: number}} in shares of the window
   */
  function window_on([least, greatest]) {
    const span = greatest - least;
    return { left: (-1 - least) / span, width: 2 / span };
  }

  /**
   * The part of a scale from -1 to 1 that is there, with its real ends; colours grow with the root of
   * a change. `is_bare`: two colours, as what they are of has scales of its own.
   */
  class ChangeScale {
    constructor({ is_bare = false } = {}) {
      const { make } = qk_atlas.stage;
      this.element = make("span", "qk-change-scale", "", { role: "img" });
      this.ends = [make("span", "qk-change-less"), make("span", "qk-change-more")];
      this.bar = make("span", "qk-change-bar", "", is_bare ? { "data-bare": "" } : {});
      this.colours = make("i", "");
      this.bar.append(this.colours);
      this.element.append(this.ends[0], this.bar, this.ends[1]);
      this.is_bare = is_bare;
      this.clear();
    }

    /** Forget all that was added. */
    clear() {
      this.parts = new Map();
      this.show([0, 0]);
    }

    /** Widen the range by that of a part, in the place of what the part had before. */
    add(part, range) {
      this.parts.set(part, range);
      this.show(joined(this.parts.values()));
    }

    show(range) {
      this.range = range;
      const nothing = is_none(range);
      this.bar.hidden = nothing;
      const words = nothing ? ["no weight has changed here", ""]
        : [`less ${signed(range[0])}`, `${signed(range[1])} more`];
      this.ends.forEach((end, i) => { end.textContent = words[i]; });
      const { left, width } = window_on(nothing || this.is_bare ? [-1, 1] : range);
      Object.assign(this.colours.style, { left: `${100 * left}%`, width: `${100 * width}%` });
      this.element.setAttribute("aria-label", `change of weights by the edit: ${words.join(" to ")}`);
      this.element.title = "weights now minus those before the edit; the ends are the least and the "
        + "greatest change shown, full colour stands for 1";
    }
  }

  qk_atlas.change_scale = { range_of, joined, range_of_heads, signed, is_none, window_on, ChangeScale };
  if (typeof module !== "undefined") module.exports = qk_atlas.change_scale;
})();
