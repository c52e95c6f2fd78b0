"use strict";
// Sentence view and aggregate view: the attention of one head as lines between queries and keys.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const shades = 50; // steps of the shading behind the tokens

  const { format_weight, other_side, reaches, weights_of } = qk_atlas.attention;
  const { how_text } = qk_atlas.bipartite;
  const { hidden_tokens, is_of, reweighted, segments_of, weightings, within_pair } =
    qk_atlas.weighting;
  const { fetch_array, make } = qk_atlas.stage;
  const { Panel } = qk_atlas.panel;
  const { sentence_lines } = qk_atlas;
  const { SentenceTools } = qk_atlas.sentence_tools;

  const both = (make_one) => ({ query: make_one("query"), key: make_one("key") });
  const nothing_by_hand = () => both(() => new Map());
  const sum = (flags) => flags.reduce((total, flag) => total + flag, 0);
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
      this.count();
      this.note_how = make("p", "qk-panel-note qk-how");
      this.note.after(this.note_how);
      this.controls = new SentenceTools(this);
      qk_atlas.sentence_sheet.build(this);
      this.table = make("table", "qk-table");
      this.body.append(this.scroll, this.table);
    }

    count() {
      this.counts = both((side) => this.config.sides[side].length);
      this.segments = both((side) => segments_of(this.config.sides[side]));
    }

    /** Tell whether this view can show another sentence in the rows that it has. */
    can_become(config) {
      const kind = ({ is_pair, is_mean, side_names, has_values, has_transformed }) => (
        JSON.stringify([is_pair, is_mean, side_names, has_values, has_transformed]));
      return this.tokens.length > 0 && config.sides.query.length > 0 && !config.is_mean
        && kind(this.config) === kind(config);
    }

    /** Show another sentence: a third of the time of making all rows anew. */
    become(config, on_event) {
      this.fetching.abort();
      if (config.sequence !== this.config.sequence) this.options.by_hand = nothing_by_hand();
      Object.assign(this, {
        fetching: new AbortController(), config, on_event, tokens: config.tokens,
        weights: null, loaded: null, norms: null, shares: null, lines: null, drawn: "",
      });
      Object.assign(this.options, { picked: null, hot: null });
      this.count();
      qk_atlas.sentence_sheet.refill(this);
      this.tools.replaceChildren();
      this.controls = new SentenceTools(this);
      this.start();
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
        weighting, is_mean, has_sinks, pair: this.pair, hidden: both((side) => sum(hidden[side])),
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
      sentence_lines.draw_lines(this);
      this.controls.refresh();
      this.draw_place(this.hot ?? this.picked);
      qk_atlas.sentence_sheet.mark_places(this);
    }

    /** Show one token alone: its curves, the other column shaded and numbered, its table. */
    draw_place(place) {
      this.body.classList.toggle("qk-has-place", place !== null);
      const values = place && weights_of(this.shares, this.counts.key, place);
      for (const side of ["query", "key"]) {
        this.shade(side, place?.side === other_side(side) ? values : null);
      }
      sentence_lines.draw_curves(this, place, values ?? []);
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

  qk_atlas.bipartite.mount = (element, config, on_event) => {
    const before = qk_atlas.views[element.id];
    if (before instanceof SentenceView && before.can_become(config)) before.become(config, on_event);
    else qk_atlas.panel.mount(SentenceView, element, config, on_event);
  };
})();
