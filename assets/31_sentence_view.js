"use strict";
// Sentence view and aggregate view: the attention of one head as lines between queries and keys.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const faint = 0.1; // lines below this weight are drawn as hairlines
  const shades = 50; // steps of the shading behind the tokens

  const { format_weight, other_side, pairs_above, reaches, weights_of } = qk_atlas.attention;
  const { count_text, curve, how_text, row_height } = qk_atlas.bipartite;
  const { hidden_tokens, is_of, reweighted, segments_of, weightings, within_pair } =
    qk_atlas.weighting;
  const { fetch_array, fit_canvas, make } = qk_atlas.stage;
  const { Panel } = qk_atlas.panel;
  const { SentenceTools } = qk_atlas.sentence_tools;

  const both = (make_one) => ({ query: make_one("query"), key: make_one("key") });
  const nothing_by_hand = () => both(() => new Map());
  const count = (flags) => flags.reduce((sum, flag) => sum + flag, 0);
  const chosen_before = new Map(); // element id -> what was chosen in the view that was there

  /**
   * config: {sides: {query, key} of {text, special, segment}[], weights_url, values_url, title,
   * subtitle, sequence (what hidden tokens belong to), is_pair, is_mean, has_values,
   * has_transformed, no_values, has_sinks, exports, empty_text, tokens: those of the queries}.
   * options: picked, hot (places), threshold, numbers (the table), weighting, pair, filters,
   * by_hand (tokens hidden or shown by a click), theme (its change redraws).
   * events: {type: "hover" | "pick", side, position}, both null when nothing is left;
   * {type: "weights"} when other weights are shown.
   */
  class SentenceView extends Panel {
    constructor(element, config, on_event) {
      const { sequence, by_hand, ...kept } = chosen_before.get(element.id) ?? {};
      super(element, config, on_event, {
        threshold: config.threshold ?? 0.02, numbers: false, weighting: "attention", pair: "all",
        filters: new Set(), ...kept,
        // Tokens hidden by hand are those of one sequence; filters and all else go on.
        by_hand: by_hand && sequence === config.sequence ? by_hand : nothing_by_hand(),
      });
    }

    get empty_text() {
      return this.config.empty_text
        ?? "No sentence chosen yet. Click a point on the map to see how its sentence attends.";
    }

    build() {
      this.counts = both((side) => this.config.sides[side].length);
      this.segments = both((side) => segments_of(this.config.sides[side]));
      this.note_how = make("p", "qk-panel-note qk-how");
      this.note.after(this.note_how);
      this.controls = new SentenceTools(this);
      qk_atlas.sentence_sheet.build(this);
      this.table = make("table", "qk-table");
      this.body.append(this.scroll, this.table);
    }

    /** Return which weighting is shown: the wanted one where this layer knows its norms. */
    get weighting() {
      const { weighting } = this.options;
      const is_known = { attention: true, value: this.config.has_values,
        transformed: this.config.has_transformed };
      return is_known[weighting] ? weighting : "attention";
    }

    /** Return which tokens of each side are hidden, by filters or by hand. */
    get hidden() {
      const { filters, by_hand } = this.options;
      const { sides, is_mean } = this.config;
      // Means are taken without what the filters leave out; only positions are hidden here.
      const chosen = is_mean ? new Set() : filters;
      return both((side) => hidden_tokens(sides[side], chosen, by_hand[side]));
    }

    known(place) {
      return place && place.position < (this.counts?.[place.side] ?? 0) ? place : null;
    }

    /** Change what decides over the weights; means are asked for anew. */
    choose(options) {
      this.set(options);
      const needs_norms = this.weighting !== "attention" && !this.norms && !this.config.is_mean;
      const needs_mean = this.config.is_mean && this.url !== this.loaded;
      if (needs_norms || needs_mean) this.start();
      else this.is_stale = true;
    }

    /** Hide or show one token. */
    toggle({ side, position }) {
      const by_hand = both((one) => new Map(this.options.by_hand[one]));
      by_hand[side].set(position, !this.hidden[side][position]);
      this.choose({ by_hand });
    }

    /** Turn a filter; it decides over its tokens again, whatever was clicked before. */
    turn_filter(filter, is_on) {
      const filters = new Set(this.options.filters);
      if (is_on) filters.add(filter);
      else filters.delete(filter);
      const by_hand = both((side) => new Map([...this.options.by_hand[side]].filter(
        ([position]) => !is_of(filter, this.config.sides[side][position], position))));
      this.choose({ filters, by_hand });
    }

    show_all() {
      this.choose({ filters: new Set(), by_hand: nothing_by_hand() });
    }

    /** The address of the weights; means depend on what is left out of them. */
    get url() {
      const { weights_url, is_mean } = this.config;
      if (!is_mean) return weights_url;
      const asked = new URLSearchParams({ weighting: this.weighting });
      if (this.options.filters.size) asked.set("without", [...this.options.filters].sort().join());
      return `${weights_url}?${asked}`;
    }

    async load(signal) {
      const { url, config } = this;
      const wants_norms = this.weighting !== "attention" && !config.is_mean;
      if (this.norms_of !== config.values_url) this.norms = null; // of another head
      this.norms_of = config.values_url;
      const { arriving } = config; // asked for before the view was there
      config.arriving = null;
      const here = config.weights ?? arriving ?? (url === this.loaded ? this.weights : null);
      const [weights, norms] = await Promise.all([
        here ?? fetch_array(url, Float32Array, signal),
        wants_norms ? this.norms ?? fetch_array(config.values_url, Float32Array, signal) : null,
      ]);
      if (url !== this.url) return this.load(signal); // something else was chosen meanwhile
      this.norms = norms ?? this.norms;
      this.is_stale = true;
      if (url === this.loaded) return this.weights;
      this.loaded = url;
      return this.cut(weights);
    }

    /** Check the size of what came; means bring the sequences behind each row in a last column. */
    cut(found) {
      const { counts: { query, key }, config } = this;
      const width = key + (config.is_mean ? 1 : 0);
      if (found.length !== query * width) {
        throw new Error(`found ${found.length} weights, expected ${query * width}`);
      }
      if (!config.is_mean) return found;
      this.n_sequences = Array.from({ length: query }, (_, row) => found[row * width + key]);
      qk_atlas.sentence_sheet.tell_counts(this);
      return found.filter((_, at) => at % width !== key);
    }

    /** Take the weights anew when something that decides over them has changed. */
    reckon() {
      if (!this.is_stale) return;
      this.is_stale = false;
      const { hidden, weighting, norms_shown: norms, config: { has_sinks, is_mean } } = this;
      const shares = reweighted(this.weights, hidden, { norms, has_sinks, is_mean });
      this.shares = within_pair(shares, this.segments, this.pair);
      this.drawn = "";
      qk_atlas.sentence_sheet.mark_hidden(this, hidden);
      this.n_reckoned = (this.n_reckoned ?? 0) + 1;
      this.how = how_text({
        weighting, is_mean, has_sinks, pair: this.pair, hidden: both((side) => count(hidden[side])),
      });
      this.note_how.textContent = [this.how, this.missing_text].filter(Boolean).join(" ");
      this.on_event({ type: "weights" });
    }

    /** The norms that weigh the keys, or null. */
    get norms_shown() {
      const row = weightings[this.weighting];
      if (row === null || this.config.is_mean || !this.norms) return null;
      return this.norms.subarray(row * this.counts.key, (row + 1) * this.counts.key);
    }

    get pair() {
      return this.config.is_pair ? this.options.pair : "all";
    }

    /** Say which norms of values are not known in this layer, and why. */
    get missing_text() {
      const { has_values, has_transformed, no_values } = this.config;
      if (has_values && has_transformed) return "";
      const name = has_values ? "‖v W‖ is" : "Norms of values are";
      const instead = this.options.weighting === this.weighting ? "" : "; attention is shown instead";
      return `${name} not known here: ${no_values}${instead}.`;
    }

    draw() {
      this.reckon();
      this.draw_lines();
      this.controls.refresh();
      this.draw_place(this.hot ?? this.picked);
      qk_atlas.sentence_sheet.mark_places(this);
    }

    /** Draw all lines; hovering never comes here, it only fades the canvas. */
    draw_lines() {
      const { threshold, theme } = this.options;
      const width = this.width = this.between.clientWidth;
      const wanted = [threshold, theme, width, devicePixelRatio].join();
      if (wanted === this.drawn) return;
      this.drawn = wanted;
      this.lines = pairs_above(this.shares, threshold);
      const context = this.clear(this.canvas);
      this.line_colour = getComputedStyle(this.canvas).color; // not asked for at each hover
      context.strokeStyle = this.line_colour;
      for (const pair of this.lines.pairs) {
        // Chromium draws hairlines five times faster, and lines this faint look the same.
        context.lineWidth = this.shares[pair] < faint ? 1 : 1.5;
        const ends = [Math.floor(pair / this.counts.key), pair % this.counts.key];
        this.stroke(context, ends, Math.min(this.shares[pair], 1));
      }
      const { pairs, n_pairs, share } = this.lines;
      this.note.textContent = count_text(pairs.length, n_pairs, threshold, share);
    }

    /** Show one token alone: its curves, the other column shaded and numbered, its table. */
    draw_place(place) {
      this.body.classList.toggle("qk-has-place", place !== null);
      const values = place && weights_of(this.shares, this.counts.key, place);
      for (const side of ["query", "key"]) {
        this.shade(side, place?.side === other_side(side) ? values : null);
      }
      this.draw_curves(place, values ?? []);
      qk_atlas.sentence_sheet.fill_numbers(this, place, values ?? []);
    }

    /** Shade a column by weight, with figures where a line would be drawn; null: clear it. */
    shade(side, values) {
      const { threshold } = this.options;
      this.columns[side].classList.toggle("qk-shaded", values !== null);
      this.cells[side].forEach((cell, position) => {
        const weight = values ? values[position] : 0;
        const shade = Math.round(weight * shades) / shades;
        const figure = reaches(weight, threshold) ? format_weight(weight) : "";
        // Most cells stay as they are from token to token, and writing costs a layout.
        if (cell.shade !== shade) cell.button.style.setProperty("--qk-shade", shade);
        if (cell.figure !== figure) cell.button.lastChild.textContent = figure;
        Object.assign(cell, { shade, figure });
      });
    }

    draw_curves(place, values) {
      const { threshold } = this.options;
      const context = this.clear(this.curves);
      Object.assign(context, { strokeStyle: this.line_colour, lineWidth: 1.5 });
      const shown = Array.from(values.keys()).filter((at) => reaches(values[at], threshold));
      for (const position of shown) {
        const ends = [place.position, position];
        if (place.side === "key") ends.reverse();
        // Alone, even the weakest of the lines that count as shown has to be seen.
        this.stroke(context, ends, Math.min(0.2 + 0.8 * values[position], 1));
      }
      this.n_curves = shown.length;
    }

    /** Give a canvas the size of the space between the columns, empty; asks for no layout. */
    clear(canvas) {
      const [width, height] = [this.width, Math.max(...Object.values(this.counts)) * row_height];
      const ratio = fit_canvas(canvas, width, height);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      return context;
    }

    stroke(context, [query, key], opacity) {
      const [x, y, ...rest] = curve(query, key, this.width);
      context.globalAlpha = opacity;
      context.beginPath();
      context.moveTo(x, y);
      context.bezierCurveTo(...rest);
      context.stroke();
    }

    shown() {
      const { threshold, numbers, filters } = this.options;
      const { weighting, pair, counts = null, n_sequences = null } = this;
      const hidden = counts && both((side) => this.hidden[side].flatMap((is, at) => (is ? [at] : [])));
      return {
        threshold, numbers, weighting, pair, filters: [...filters].sort(), hidden, counts,
        n_sequences, n_lines: this.lines?.pairs.length ?? 0, share: this.lines?.share ?? 0,
        n_curves: this.n_curves ?? 0,
      };
    }

    destroy() {
      if (qk_atlas.views[this.element.id] === this) {
        const { threshold, numbers, weighting, pair, filters, by_hand } = this.options;
        chosen_before.set(this.element.id, {
          threshold, numbers, weighting, pair, filters, by_hand, sequence: this.config.sequence,
        });
      }
      super.destroy();
    }
  }

  qk_atlas.bipartite.mount = (...of) => qk_atlas.panel.mount(SentenceView, ...of);
})();
