"use strict";
// How one attention weight comes about: products of dimensions, terms, softmax. Nothing here meets
// the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Compute a row of attention from its parts, as pipeline/attention.py does:
   * softmax(f(scaling * q k) + additive), f the soft cap, with a sink column where there is one.
   * @param {{query: Float32Array, keys: Float32Array, additive: Float32Array|null}} row query
   *   (head_dim), keys (n_keys * head_dim), additive (n_keys), -Infinity for unreachable
   * @param {{scaling: number, softcap: number|null, sink: number|null}} about
   * @returns {{dots: Float64Array, scaled: Float64Array, capped: Float64Array|null,
   *   additive: Float64Array|null, logits: Float64Array, weights: Float64Array,
   *   sink_weight: number}} each (n_keys); weights and sink_weight sum to 1
   */
  function explain_row({ query, keys, additive }, { scaling, softcap, sink }) {
    const n_keys = keys.length / query.length;
    const dots = Float64Array.from({ length: n_keys }, (_, j) => dot(query, keys, j));
    const scaled = dots.map((value) => value * scaling);
    const capped = softcap === null ? null : scaled.map((value) => softcap * Math.tanh(value / softcap));
    const terms = additive && Float64Array.from(additive);
    const logits = (capped ?? scaled).map((value, j) => value + (terms ? terms[j] : 0));
    const highest = logits.reduce((most, value) => Math.max(most, value), sink ?? -Infinity);
    const powers = logits.map((value) => Math.exp(value - highest));
    const of_sink = sink === null ? 0 : Math.exp(sink - highest);
    const total = powers.reduce((sum, value) => sum + value, of_sink);
    return {
      dots, scaled, capped, additive: terms, logits, weights: powers.map((value) => value / total),
      sink_weight: of_sink / total,
    };
  }

  function dot(query, keys, j) {
    let sum = 0;
    const start = j * query.length;
    for (let d = 0; d < query.length; d += 1) sum += query[d] * keys[start + d];
    return sum;
  }

  /** Return the element-wise products of a query with one key: (head_dim). */
  function products(query, keys, j) {
    return Float64Array.from(query, (value, d) => value * keys[j * query.length + d]);
  }

  /** Return the mean of the products over the keys that can be reached: (head_dim). */
  function mean_products(query, keys, additive) {
    const sums = new Float64Array(query.length);
    let n_reached = 0;
    for (let j = 0; j * query.length < keys.length; j += 1) {
      if (additive && additive[j] === -Infinity) continue;
      n_reached += 1;
      for (let d = 0; d < sums.length; d += 1) sums[d] += query[d] * keys[j * query.length + d];
    }
    return sums.map((sum) => sum / Math.max(1, n_reached));
  }

  /** Return one row minus another, field by field; -Infinity on both sides is no change. */
  function subtract_rows(now, before) {
    const minus = (a, b) => a && b && a.map((value, i) => (value === b[i] ? 0 : value - b[i]));
    return {
      ...Object.fromEntries(["dots", "scaled", "capped", "additive", "logits", "weights"].map(
        (name) => [name, minus(now[name], before[name]) ?? null])),
      sink_weight: now.sink_weight - before.sink_weight,
    };
  }

  /**
   * Return the dimensions in the order in which they are shown.
   * @param {"index"|"pair"|"overall"} order as stored; by what each gives the chosen pair, largest
   *   first; by its mean size over all keys
   * @param {Float32Array} query
   * @param {Float32Array} keys
   * @param {number} key the chosen one
   * @returns {number[]} (head_dim)
   */
  function order_dimensions(order, query, keys, key) {
    const dimensions = Array.from(query, (_, d) => d);
    if (order === "index") return dimensions;
    const size = new Float64Array(query.length);
    const n_keys = keys.length / query.length;
    for (let j = 0; j < n_keys; j += 1) {
      if (order === "pair" && j !== key) continue;
      products(query, keys, j).forEach((value, d) => { size[d] += order === "pair" ? value : Math.abs(value); });
    }
    return dimensions.sort((a, b) => size[b] - size[a] || a - b);
  }

  /**
   * Return the magnitude from which values have their full colour: a few outlying dimensions must
   * not leave all others pale.
   * @param {ArrayLike<number>} values
   * @returns {number} two of a hundred are larger; above zero
   */
  function full_colour(values) {
    const sizes = Float64Array.from(values, Math.abs).sort();
    return Math.max(1e-12, sizes[Math.floor(0.98 * (sizes.length - 1))]);
  }

  /** Return the same of changes, most of which may be none: an edit of one token leaves other keys. */
  function full_change(changes) {
    const most = changes.reduce((found, change) => Math.max(found, Math.abs(change)), 0);
    return most === 0 ? 1e-12 : full_colour(changes.filter((change) => Math.abs(change) > 0.001 * most));
  }

  /** Return the same for all products of a query. */
  function full_products(query, keys) {
    return full_colour(keys.map((value, i) => value * query[i % query.length]));
  }

  /** Say whose keys these are: "keys of key head 1, shared by heads 3–5". */
  function key_words({ n_heads, n_kv_heads, key_head, heads_of_key_head }, head) {
    if (n_heads === n_kv_heads) return "";
    const others = heads_of_key_head.filter((one) => one !== head);
    if (!others.length) return `keys of key head ${key_head}`;
    const text = qk_atlas.inspect_data.ranges_text(others, Infinity).replaceAll("-", "–").replaceAll(",", ", ");
    return `keys of key head ${key_head}, shared with head${others.length > 1 ? "s" : ""} ${text}`;
  }

  /** Say which vectors are shown. */
  function rotary_words({ has_rotary, rotary }, shown) {
    if (!has_rotary) return "no rotary embedding";
    if (shown === "before") return "before rotation: content alone; these products are not the logits";
    return rotary.length > 1 ? "after rotation, as the softmax received them"
      : "after rotation, as the softmax received them (an atlas built with --rotary before has both)";
  }

  /** Return the columns of figures that a head has. @returns {{name: string, field: string, title: string}[]} */
  function figure_columns({ scaling, softcap, has_terms, mask, bias }) {
    const added = [mask !== "none" && "mask", bias !== "none" && "bias"].filter(Boolean).join(", ") || "term";
    return [
      { name: "q · k", field: "dots", title: "dot product: the sum of the products of all dimensions" },
      { name: `× ${Number(scaling.toPrecision(4))}`, field: "scaled", title: "times the scaling that the model passes" },
      ...(softcap === null ? [] : [{ name: `cap ${softcap}`, field: "capped", title: `${softcap} tanh(x / ${softcap})` }]),
      ...(has_terms ? [
        { name: `+ ${added}`, field: "additive", title: "what is added; −∞: this key cannot be reached" },
        { name: "logit", field: "logits", title: "what goes into the softmax" },
      ] : []),
    ];
  }

  /** Return a figure in few signs. */
  function figure_text(value) {
    if (value === -Infinity) return "−∞";
    const text = Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3);
    return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", "");
  }

  qk_atlas.neuron_data = {
    explain_row, products, mean_products, subtract_rows, order_dimensions, full_colour, full_change, full_products,
    key_words, rotary_words, figure_columns, figure_text,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.neuron_data;
})();
