"use strict";
// Fetches what the neuron view needs of one head: of long inputs only the rows that are looked at.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const whole_max = 256; // queries: up to here one answer holds all
  const block = 64; // rows of a longer input that are fetched together

  /** Return from where to where the rows that hold one are fetched; a file brings all along. */
  function block_of(row, n_rows) {
    if (n_rows <= whole_max || qk_atlas.inline?.table) return [0, n_rows];
    const start = Math.floor(row / block) * block;
    return [start, Math.min(n_rows, start + block)];
  }

  /**
   * The vectors and terms of one head of one capture.
   *
   * `once(url, type)` fetches an array and remembers it.
   */
  class HeadSource {
    constructor(once, { capture_url, sequence, layer, head, n_queries, about }) {
      this.once = once;
      this.base = `${capture_url}/neuron/${sequence}/${layer}/${head}`;
      this.n_queries = n_queries;
      this.about = about;
    }

    /** Return (n_keys * head_dim) keys before or after rotation. */
    async keys(rotary) {
      const more = rotary === "before" ? "rotary=before" : "";
      if (this.n_queries > whole_max) {
        return this.once(`${this.base}.f32?${[more, "rows=keys"].filter(Boolean).join("&")}`, Float32Array);
      }
      const whole = await this.once(`${this.base}.f32${more && `?${more}`}`, Float32Array);
      return whole.subarray(this.n_queries * this.about.head_dim);
    }

    /** Return the vector of one query. */
    async query(row, rotary) {
      const { head_dim } = this.about;
      const more = rotary === "before" ? "rotary=before" : "";
      const [start, end] = block_of(row, this.n_queries);
      const rows = this.n_queries > whole_max ? `rows=${start}-${end}` : "";
      const query = [more, rows].filter(Boolean).join("&");
      const found = await this.once(`${this.base}.f32${query && `?${query}`}`, Float32Array);
      return found.subarray((row - start) * head_dim, (row - start + 1) * head_dim);
    }

    /** Return (n_keys) mask and bias of one query, or null. */
    async additive(row) {
      if (!this.about.has_terms) return null;
      const [start, end] = block_of(row, this.n_queries);
      const found = await this.once(`${this.base}/terms.f32?rows=${start}-${end}`, Float32Array);
      const n_keys = found.length / (end - start);
      return found.subarray((row - start) * n_keys, (row - start + 1) * n_keys);
    }

    /** Return everything about one query: {query, keys, additive, explained, shown: {query, keys}}. */
    async row(row, rotary) {
      const [query, keys, additive] = await Promise.all(
        [this.query(row, "after"), this.keys("after"), this.additive(row)]);
      const explained = qk_atlas.neuron_data.explain_row({ query, keys, additive }, this.about);
      if (rotary === "after") return { query, keys, additive, explained, shown: { query, keys } };
      const [old_query, old_keys] = await Promise.all([this.query(row, rotary), this.keys(rotary)]);
      return { query, keys, additive, explained, shown: { query: old_query, keys: old_keys } };
    }
  }

  /**
   * Return what one line of the table shows: a query of one capture, or how it changed.
   * @param {object[]} rows of `HeadSource.row`: now, and before where there is one
   */
  function line_of([now, before]) {
    const { full_change, full_colour, full_products, mean_products, subtract_rows } = qk_atlas.neuron_data;
    const { query, keys } = now.shown;
    const width = query.length;
    const mean = mean_products(query, keys, now.additive);
    const key_now = (j, d) => keys[j * width + d];
    if (!before) {
      return {
        explained: now.explained, mean, key_at: key_now, most_query: full_colour(query),
        most_key: full_colour(keys), most_product: full_products(query, keys), most_mean: full_colour(mean),
        query_at: (d) => query[d], product_at: (j, d) => query[d] * key_now(j, d),
      };
    }
    const old = before.shown;
    const old_mean = mean_products(old.query, old.keys, before.additive);
    const key_old = (j, d) => old.keys[j * width + d];
    const query_at = (d) => query[d] - old.query[d];
    const change = mean.map((value, d) => value - old_mean[d]);
    const minus = (values, others) => values.map((value, i) => value - others[i]);
    const products = (one) => one.keys.map((value, i) => value * one.query[i % width]);
    return {
      explained: subtract_rows(now.explained, before.explained), mean: change, query_at,
      most_query: full_change(query.map((_, d) => query_at(d))), most_mean: full_change(change),
      most_key: full_change(minus(keys, old.keys)),
      most_product: full_change(minus(products(now.shown), products(old))),
      key_at: (j, d) => key_now(j, d) - key_old(j, d),
      product_at: (j, d) => query[d] * key_now(j, d) - old.query[d] * key_old(j, d),
    };
  }

  qk_atlas.neuron_load = { HeadSource, block_of, line_of };
  if (typeof module !== "undefined") module.exports = qk_atlas.neuron_load;
})();
