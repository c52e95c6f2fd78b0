"use strict";
// What follows from the view that is chosen: addresses, words, neighbours, lines. Pure functions.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const method_names = { tsne: "t-SNE", umap: "UMAP", pca: "PCA" };
  const lines_per_query = 2;
  const faintest_line = 0.05; // weights below are not drawn on the map

  /**
   * Return the strongest keys of each query of a sequence as lines between tokens.
   * @param {Float32Array} weights (n * n) row = query
   * @param {number} first token of the sequence
   * @returns {{query_token: number, key_token: number, weight: number}[]}
   */
  function attention_lines(weights, first) {
    const n = Math.round(Math.sqrt(weights.length));
    const { strongest } = qk_atlas.attention;
    return Array.from({ length: n }, (_, query) => {
      const row = weights.subarray(query * n, (query + 1) * n);
      return strongest(row, lines_per_query)
        .filter(({ weight }) => weight >= faintest_line)
        .map(({ position, weight }) => (
          { query_token: first + query, key_token: first + position, weight }));
    }).flat();
  }

  /**
   * Return the head that lies next to one in the grid, or null at its edge.
   * @param {{layer: number, head: number}[]} cells
   * @param {{layer: number, head: number}} place
   * @param {{layer: number, head: number}} step
   */
  function neighbour(cells, place, step) {
    const [layer, head] = [place.layer + step.layer, place.head + step.head];
    return cells.find((one) => one.layer === layer && one.head === head) ?? null;
  }

  /** Return the address of a page that shows a view. */
  function address(page, view, defaults) {
    const query = qk_atlas.url.query_of(view, defaults);
    return query ? `${page}?${query}` : page;
  }

  /** Return the address of a head with `{layer}` and `{head}` left open. */
  function head_address(view, defaults) {
    const rest = address("/head", { ...view, layer: null, head: null }, defaults);
    return `${rest}${rest.includes("?") ? "&" : "?"}layer={layer}&head={head}`;
  }

  /** Return the name of a kind of map, such as "t-SNE 2-D". */
  function map_name(method, dims) {
    return `${method_names[method]} ${dims}-D`;
  }

  /** Return what is on screen, for the status line. */
  function status_text(atlas, map, { method, dims, guidance }) {
    const parts = [atlas.summary, map_name(method, dims)];
    if (method !== "pca") parts.push(`guidance ${Math.round(100 * guidance)} %`);
    if (typeof map?.rho === "number") {
      parts.push(`mean rho ${map.rho.toFixed(2).replace("-", "\u2212")}`);
    }
    return parts.join(" · ");
  }

  /** Return how the atlas stands, in a word or two. */
  function state_word(atlas, map) {
    if (atlas.building) return "building";
    if (atlas.failed && !map?.complete) return "failed";
    if (!atlas.capture) return "not built";
    if (!map) return "map missing";
    return map.complete ? "ready" : "unfinished";
  }

  /** Return the heading over `missing_text`. */
  function missing_title(atlas) {
    if (atlas.building) return "Being built";
    if (atlas.failed) return "The build failed";
    return atlas.capture ? "Not computed yet" : "Nothing to see here yet";
  }

  /** Return why there is nothing to draw, or "" when there is. */
  function missing_text(atlas, { method, dims }) {
    if (!atlas.capture) {
      return atlas.building
        ? "This atlas is being built. The first picture appears when PCA is done."
        : atlas.failed || atlas.missing;
    }
    if (atlas.maps[`${method}_${dims}`]) return "";
    return `${map_name(method, dims)} is not computed for this atlas yet.`;
  }

  qk_atlas.session = {
    attention_lines, neighbour, address, head_address, map_name, status_text, state_word, missing_title,
    missing_text,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.session;
})();
