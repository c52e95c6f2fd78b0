"use strict";
// Quality figures and scores of heads: words for them, and which heads to show by them. Pure
// functions.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const names = {
    per_query_rho: "rho on map, per query",
    spearman: "rho on map, pooled",
    space_per_query_rho: "rho in space, per query",
    space_spearman: "rho in space, pooled",
    trustworthiness_at_10: "trustworthiness",
    recall_at_10: "neighbours kept",
    top_key_share: "strongest key among 3 nearest",
    mixing: "mixing",
    mixing_queries: "mixing around queries",
    mixing_keys: "mixing around keys",
    norm_spread: "spread of norms",
    order_hue: "patches ordered by hue",
    order_brightness: "patches ordered by brightness",
    order_frequency: "patches ordered by frequency",
    order_angle: "patches ordered by angle",
    order_row: "patches ordered by row",
    order_column: "patches ordered by column",
    order_neighbour_patches: "neighbour patches together",
  };

  /** Return a figure in words. */
  function name_of(figure) {
    if (names[figure]) return names[figure];
    const is_of_space = figure.startsWith("space_");
    const rest = is_of_space ? figure.slice("space_".length) : figure;
    const words = names[rest] ?? rest.replaceAll("_", " ");
    return is_of_space ? `${words}, in space` : words;
  }

  // Rows of the card of a head: figures of the map beside the same of the space, the rest below.
  const rows = {
    per_query_rho: "rho, per query", spearman: "rho, pooled",
    top_key_share: "strongest key in nearest 3", trustworthiness_at_10: "trustworthiness",
    recall_at_10: "neighbours kept", mixing: "mixing",
  };

  /**
   * Return figures of a head as rows, those of the map beside the same of the space.
   * @param {Object<string, number|null>} quality
   * @returns {{name: string, map: number|undefined, space: number|undefined}[]}
   */
  function by_place(quality) {
    const known = Object.keys(rows).filter((figure) => (
      figure in quality || `space_${figure}` in quality));
    const parts = /^(space_)?(.*)$/;
    const others = Object.keys(quality).filter((figure) => (
      !(parts.exec(figure)[2] in rows) && !figure.includes("mixing_")));
    return [
      ...known.map((figure) => (
        { name: rows[figure], map: quality[figure], space: quality[`space_${figure}`] })),
      ...others.map((figure) => ({ name: name_of(figure), map: quality[figure], space: undefined })),
    ];
  }

  /** Return a number with two decimals and a true minus sign. */
  function text_of(value) {
    return typeof value === "number" ? value.toFixed(2).replace("-", "−") : "not known";
  }

  /** Return the names of all figures that any of the listed cells has. */
  function known_figures(cells) {
    const found = new Set(cells.flatMap((cell) => (
      Object.entries(cell?.quality ?? {}).filter(([, value]) => typeof value === "number")
        .map(([name]) => name))));
    return [...found];
  }

  /** Return the figure of each cell, null where it is not known. */
  function values_of(cells, figure) {
    return cells.map((cell) => cell?.quality?.[figure] ?? null);
  }

  /** Return the least and the greatest of the known values, or [0, 1] where there are none. */
  function range_of(values) {
    const known = values.filter((value) => value !== null);
    return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  }

  /**
   * Choose the place of every cell, and which ones stand back or stand out.
   * @param {{layer: number, head: number}[]} cells
   * @param {(number|null)[]|null} values figure of each cell; null for no figure
   * @param {{columns: number, order: "layer"|"figure", keep: "least"|"most", bound: number|null,
   *   others: "dim"|"hide"|"outline"}} how keep: the cells with at least, or at most, the bound
   * @returns {{places: ({row: number, column: number}|null)[], rows: number, is_grid: boolean,
   *   dimmed: boolean[], outlined: boolean[], n_kept: number}}
   */
  function arrange(cells, values, how) {
    const is_kept = cells.map((_, i) => {
      if (!values || how.bound === null) return true;
      if (values[i] === null) return false;
      return how.keep === "least" ? values[i] >= how.bound : values[i] <= how.bound;
    });
    const is_bounded = Boolean(values) && how.bound !== null;
    const is_hidden = is_kept.map((kept) => !kept && how.others === "hide");
    const is_grid = !values || how.order === "layer";
    const places = cells.map(({ layer, head }, i) => (
      is_hidden[i] ? null : { row: layer, column: head }));
    if (!is_grid) {
      const shown = cells.map((_, i) => i).filter((i) => !is_hidden[i]);
      const rank = (i) => values[i] ?? -Infinity;
      shown.sort((a, b) => (rank(b) === rank(a) ? a - b : rank(b) - rank(a)));
      shown.forEach((i, at) => {
        places[i] = { row: Math.floor(at / how.columns), column: at % how.columns };
      });
    }
    return {
      places, is_grid,
      rows: 1 + Math.max(0, ...places.map((place) => place?.row ?? 0)),
      dimmed: is_kept.map((kept) => !kept && how.others === "dim"),
      outlined: is_kept.map((kept) => kept && is_bounded && how.others === "outline"),
      n_kept: is_kept.filter(Boolean).length,
    };
  }

  /**
   * Return the cell that a text such as "L3 H9", "3 9" or "3.9" means, or -1.
   * @param {string} text
   * @param {{layer: number, head: number}[]} cells
   */
  function cell_named(text, cells) {
    const found = /^\s*(?:l(?:ayer)?)?\s*(\d+)(?:\D+(\d+)?)?\s*$/i.exec(text);
    if (!found) return -1;
    const [layer, head] = [Number(found[1]), Number(found[2] ?? 0)];
    return cells.findIndex((cell) => cell.layer === layer && cell.head === head);
  }

  qk_atlas.figures = {
    name_of, by_place, text_of, known_figures, values_of, range_of, arrange, cell_named,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.figures;
})();
