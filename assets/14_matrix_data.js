"use strict";
// What the matrix has to fetch, in which order: first a sample of every head, then the rest.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const prefixes = [2000, 1000, 512, 256]; // what the data routes offer
  const first_bytes_max = 588_000; // so that the first picture needs less than 0.7 MB in all
  const n_marks_max = 4_000_000; // above this many points only samples are drawn
  const fetches_max = 4;

  /**
   * Return how many points of each head to fetch, step by step; 0 stands for all.
   * @param {number} n_cells
   * @param {number} n_points of one head
   * @param {number} dims
   * @returns {number[]}
   */
  function prefix_steps(n_cells, n_points, dims) {
    const first = prefixes.find((m) => n_cells * m * dims <= first_bytes_max) ?? prefixes.at(-1);
    const steps = [first, prefixes[0], 0].filter((m, i, all) => m !== all[i - 1] && m < n_points);
    const is_small = n_cells * n_points <= n_marks_max;
    return is_small || steps.length === 1 ? steps : steps.slice(0, -1);
  }

  /** Return the address of a binary route for m points of each head, 0 for all. */
  function with_prefix(url, m) {
    return m ? `${url}?m=${m}` : url;
  }

  /**
   * The data of a matrix as far as it is here. `cells[i]` repeats cells.json (null: not computed
   * yet); `coordinates[i]` is (n * dims) uint8 or null; `norms` is (n_cells * n_norms) uint8.
   */
  class MatrixData {
    constructor(config) {
      this.config = config;
      this.is_listed = false;
      this.complete = false;
      this.cells = config.cells.map(() => null);
      this.coordinates = config.cells.map(() => null);
      this.n_whole = 0; // points a head of the overview that is here
      this.attributes = {}; // encoding -> (n_points) uint8
      this.norms = null;
      this.n_norms = 0;
      this.stand_in = null; // PCA maps, as `coordinates`, while those wanted are being computed
      this.largest_span = 1;
    }

    get is_whole() {
      return this.complete && this.n_whole === this.n_wanted;
    }

    /** Points of each head that will be here in the end. */
    get n_wanted() {
      const { cells, n_points, dims } = this.config;
      return prefix_steps(cells.length, n_points, dims).at(-1) || n_points;
    }

    /**
     * Fetch what is missing.
     * @param {string} encoding what the colours stand for
     * @param {AbortSignal} signal
     * @param {() => void} changed is called whenever there is more to draw
     */
    async load(encoding, signal, changed) {
      const { capture_url, projection_url } = this.config;
      const { fetch_array, fetch_json } = qk_atlas.stage;
      const with_norms = encoding === "norm";
      const [listed] = await Promise.all([
        this.complete || fetch_json(`${projection_url}/cells.json`, signal),
        this.load_order(signal),
        with_norms || this.load_attribute(encoding, signal),
      ]);
      if (!this.complete) this.list(listed);
      if (!this.complete) await this.load_stand_in(signal, changed);
      const load = this.complete ? this.load_overview : this.load_single;
      await load.call(this, with_norms, signal, changed);
    }

    async load_order(signal) {
      const url = `${this.config.capture_url}/order.u32`;
      this.order ??= await qk_atlas.stage.fetch_array(url, Uint32Array, signal);
    }

    async load_attribute(name, signal) {
      const url = `${this.config.capture_url}/attribute/${name}.u8`;
      this.attributes[name] ??= await qk_atlas.stage.fetch_array(url, Uint8Array, signal);
    }

    /** Return the points of searched terms; found once for a search, not for every redraw. */
    found_points({ hits, sides }) {
      const { point_tokens, term_points } = qk_atlas.find;
      if (this.found?.hits !== hits || this.found.sides !== sides) {
        const owners = point_tokens(this.order, this.config.n_tokens, sides);
        this.found = { hits, sides, terms: term_points(owners, hits, null) };
      }
      return this.found.terms;
    }

    /** Tell whether the values of an encoding are here. */
    has(encoding) {
      return encoding === "norm" ? this.norms !== null : encoding in this.attributes;
    }

    /** Return what can be drawn of a cell: its map, else its PCA map, else null. */
    shown(i) {
      return this.coordinates[i] ?? this.stand_in?.[i] ?? null;
    }

    /** Fetch a sample of the PCA maps, which are there before all others. */
    async load_stand_in(signal, changed) {
      const { cells, n_points, dims, stand_in_url } = this.config;
      if (!stand_in_url || this.stand_in) return;
      const [m] = prefix_steps(cells.length, n_points, dims);
      const url = with_prefix(`${stand_in_url}/overview.u8`, m);
      const overview = await qk_atlas.stage.fetch_array(url, Uint8Array, signal);
      const length = overview.length / cells.length;
      this.stand_in = cells.map((_, i) => overview.subarray(i * length, (i + 1) * length));
      changed();
    }

    /** Fetch all points of one head in 16 bits: its cell is so large that 8 bits would show. */
    async load_fine(i, signal) {
      const { layer, head } = this.config.cells[i];
      const url = `${this.config.projection_url}/head/${layer}/${head}.u16`;
      this.coordinates[i] = await qk_atlas.stage.fetch_array(url, Uint16Array, signal);
    }

    list({ complete, cells }) {
      this.is_listed = true;
      this.complete = complete;
      this.cells = cells;
      this.largest_span = Math.max(...cells.map((cell) => cell?.span ?? 0));
    }

    async load_overview(with_norms, signal, changed) {
      const { cells, n_points, dims, projection_url } = this.config;
      for (const m of prefix_steps(cells.length, n_points, dims)) {
        const url = with_prefix(`${projection_url}/overview.u8`, m);
        const is_new = (m || n_points) > this.n_whole;
        const [overview] = await Promise.all([
          is_new && qk_atlas.stage.fetch_array(url, Uint8Array, signal),
          with_norms && this.load_norms(m, signal),
        ]);
        if (is_new) this.split(overview);
        changed();
      }
    }

    split(overview) {
      const length = overview.length / this.cells.length;
      this.coordinates = this.cells.map((_, i) => (
        this.coordinates[i] instanceof Uint16Array
          ? this.coordinates[i] : overview.subarray(i * length, (i + 1) * length)));
      this.n_whole = length / this.config.dims;
    }

    /** While heads are still being computed: those that are ready, one by one. */
    async load_single(with_norms, signal, changed) {
      const { cells, n_points, projection_url } = this.config;
      const m = n_points > prefixes[0] ? prefixes[0] : 0;
      if (with_norms) await this.load_norms(m, signal);
      const ready = cells.map((_, i) => i).filter((i) => this.cells[i] && !this.coordinates[i]);
      await qk_atlas.stage.in_turn(ready, fetches_max, async (i) => {
        const url = with_prefix(`${projection_url}/head/${cells[i].layer}/${cells[i].head}.u8`, m);
        this.coordinates[i] = await qk_atlas.stage.fetch_array(url, Uint8Array, signal);
        changed();
      });
    }

    async load_norms(m, signal) {
      const { cells, n_points, capture_url } = this.config;
      if ((m || n_points) <= this.n_norms) return;
      const url = with_prefix(`${capture_url}/norms.u8`, m);
      this.norms = await qk_atlas.stage.fetch_array(url, Uint8Array, signal);
      this.n_norms = this.norms.length / cells.length;
    }
  }

  qk_atlas.matrix_data = { prefix_steps, with_prefix, MatrixData };
  if (typeof module !== "undefined") module.exports = qk_atlas.matrix_data;
})();
