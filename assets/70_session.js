"use strict";
// What follows from the view that is chosen: addresses, words, neighbours, lines. Pure functions.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const method_names = { tsne: "t-SNE", umap: "UMAP", pca: "PCA" };
  const parts = ["encoder", "decoder", "cross"]; // as PARTS in pipeline/specs.py
  const shown = {
    labels: "token labels", lines: "attention lines", size_by_norm: "size by norm",
    neighbours: "true neighbours", pictures: "patches as pictures",
    patches: "points of patches", words: "points of words",
  };
  const least_spread = 0.01; // a smaller spread of norms would show as no difference of size at all
  const n_notes_max = 50;
  const lines_per_query = 2;
  const faintest_line = 0.05; // weights below are not drawn on the map

  /**
   * Return the tokens of a sequence that have queries and those that have keys.
   * @param {object} tokens see tokens.json in architecture.md
   * @param {number|null} sequence
   * @returns {{query: number[], key: number[]}} tokens by position; both empty for no sequence
   */
  function sides_of(tokens, sequence) {
    const first = sequence === null ? -1 : tokens.sequence.indexOf(sequence);
    if (first < 0) return { query: [], key: [] };
    const { length } = tokens.sequences[sequence];
    const every = Array.from({ length }, (_, position) => first + position);
    const of = (some) => some?.filter((token) => tokens.sequence[token] === sequence) ?? every;
    return { query: of(tokens.query_tokens), key: of(tokens.key_tokens) };
  }

  /**
   * Return the strongest keys of each query of a sequence as lines between tokens.
   * @param {Float32Array} weights (n_queries * n_keys) row = query
   * @param {{query: number[], key: number[]}} sides tokens by position
   * @returns {{query_token: number, key_token: number, weight: number}[]}
   */
  function attention_lines(weights, sides) {
    const n_keys = sides.key.length;
    const strong = new Float32Array(n_keys);
    return sides.query.flatMap((query_token, query) => {
      const row = weights.subarray(query * n_keys, (query + 1) * n_keys);
      // Few keys of a long row are strong; only these are sorted.
      row.forEach((weight, key) => { strong[key] = weight >= faintest_line ? weight : 0; });
      return qk_atlas.attention.strongest(strong, lines_per_query).map(({ position, weight }) => (
        { query_token, key_token: sides.key[position], weight }));
    });
  }

  /** Return what a token is called in a column: a patch by its place, in few letters. */
  function token_name({ text, row, column }, token) {
    return row?.[token] >= 0 ? `▦${row[token]},${column[token]}` : text[token];
  }

  /**
   * Return what stands at each position of a corpus, for means by position: the token that most
   * sequences have there, where at least half of them do.
   * @param {object} tokens see tokens.json
   * @param {number[]|null} some tokens of one side; null: all
   * @returns {{text: string, special: boolean}[]} by position
   */
  function usual_tokens(tokens, some) {
    const counts = [];
    for (const token of some ?? tokens.text.keys()) {
      const at = (counts[tokens.position[token]] ??= { all: 0, of: new Map() });
      at.all += 1;
      const name = token_name(tokens, token);
      at.of.set(name, (at.of.get(name) ?? 0) + 1);
      at.special ??= new Map();
      at.special.set(name, tokens.special[token] === 1);
    }
    return counts.map(({ all, of, special }) => {
      const [text, count] = [...of].reduce((a, b) => (b[1] > a[1] ? b : a));
      const is_usual = count * 2 >= all;
      return { text: is_usual ? text : "·", special: is_usual && special.get(text) };
    });
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

  /** Return which page a path shows: "matrix", "head", "inspect" or "other". */
  function page_of(pathname) {
    return {
      "/": "matrix", "/head": "head",
      "/inspect/model": "inspect", "/inspect/heads": "inspect", "/inspect/neurons": "inspect",
    }[pathname] ?? "other";
  }

  /**
   * Return what can be shown on a head: sizes only where its norms differ, pictures of images.
   * @param {string} modality
   * @param {[number, number]|null} norm_range least and greatest norm of the head, where known
   * @param {boolean} [has_words] whether patches and words are read together
   */
  function show_options(modality, norm_range, has_words = false) {
    const [least, most] = norm_range ?? [0, 1];
    const is_flat = most - least < least_spread * (most || 1);
    return Object.entries(shown)
      .filter(([value]) => value !== "pictures" || modality === "image")
      .filter(([value]) => !["patches", "words"].includes(value) || has_words)
      .map(([value, label]) => (value === "size_by_norm" && is_flat
        ? { value, label: `${label} (all norms within 1 %)`, disabled: true } : { value, label }));
  }

  /** Return what was left out of an atlas as a heading and its rows; null where nothing was. */
  function notes_of(left_out) {
    if (!left_out?.length) return null;
    const count = left_out.length === 1 ? "1 note" : `${left_out.length.toLocaleString("en")} notes`;
    const rows = left_out.slice(0, n_notes_max);
    const n_more = left_out.length - rows.length;
    if (n_more) rows.push(`and ${n_more.toLocaleString("en")} more`);
    return { heading: `${count} on what was left out`, rows };
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
    parts, page_of, show_options, notes_of, sides_of, attention_lines, token_name, usual_tokens, neighbour, address,
    head_address, map_name, status_text,
    state_word, missing_title,
    missing_text,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.session;
})();
