"use strict";
// Image view: the attention of one head over one image. Heat of one patch, the strongest key of
// each patch, or all strong flows.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const few_rows = 5; // of the table, until all are asked for
  const rows_max = 600;
  const flows_max = 3000; // drawn at most, the strongest; more would only cover the image

  const { format_weight, other_side, strongest, visible_text, weights_of } = qk_atlas.attention;
  const { largest_of_patches, opacity_of, place_name } = qk_atlas.image_panel;
  const { arrivals, faintest, flows_at, share_of, strong_flows, strongest_keys } = qk_atlas.image_flows;
  const { make } = qk_atlas.stage;
  const { Panel, fill_table, load_weights, mount } = qk_atlas.panel;
  const { image_tools, image_words } = qk_atlas;

  /** Return a place as "row, column", for tables. */
  function short_name({ text, row, column, label }) {
    if (row < 0) return visible_text(text);
    return `${row}, ${column}${label ? ` ${label}` : ""}`;
  }

  /**
   * config: {image_url, grid: [rows, columns], tokens: {text, special, row, column, label?}[] in
   * sequence order, row -1 where there is no patch, weights or weights_url, title, subtitle,
   * provenance?: what exports say, label_source?: where patch labels are from}.
   * options: picked, hot (places), side ("query" | "key"), mode ("patch" | "strongest" | "flows"),
   * threshold (of "flows"), contrast, grid_shown, all_rows.
   * events: {type: "hover" | "pick", side, position}, both null when nothing is left; {type: "look",
   * mode, threshold, contrast} when one of them is chosen.
   */
  class ImageView extends Panel {
    constructor(element, config, on_event, kept) {
      super(element, config, on_event, { ...image_tools.chosen(kept) });
    }

    get empty_text() {
      return "No image chosen yet. Click a patch on the map to see how its image attends.";
    }

    /** "query" or "key": what a click picks, and whose heat or flows are told. */
    get side() {
      return this.picked?.side ?? this.options.side;
    }

    get shows_flows() {
      return this.options.mode !== "patch";
    }

    build() {
      this.controls = new image_tools.Tools(this.options, {
        on_set: (options) => this.set(options),
        on_chosen: () => {
          const { mode, threshold, contrast } = this.options;
          this.on_event({ type: "look", mode, threshold, contrast });
        },
        on_turn: (side) => this.turn(side),
        exports: qk_atlas.image_exports?.of(this) ?? [],
      });
      this.tools.append(this.controls.element);
      this.stage = new qk_atlas.image_stage.ImageStage(this.config, {
        on_point: (position) => this.point_at(position),
        on_leave: () => this.hover(null),
        on_pick: (position) => this.pick_position(position),
        picked: () => this.picked?.position,
      });
      const has_words = image_words.has_words(this.tokens);
      this.of_any = has_words ? "a patch or a word" : "a patch";
      this.boxes = new (has_words ? image_words.Words : image_tools.Boxes)(this.tokens, this.stage.handlers);
      const row = make("div", has_words ? "qk-image-column" : "qk-image-row");
      row.append(this.stage.element, this.boxes.element);
      this.legend = new image_tools.Legend(has_words);
      this.readout = make("p", "qk-readout");
      this.table = make("table", "qk-table");
      this.more = make("button", "qk-button", "", { type: "button" });
      this.more.addEventListener("click", () => this.set({ all_rows: !this.options.all_rows }));
      const scroll = make("div", "qk-table-scroll", "", {
        tabindex: "0", role: "region", "aria-label": "weights as a table",
      });
      scroll.append(this.table);
      const { label_source } = this.config;
      const source = make("p", "qk-label-source", label_source ? `Patch labels: ${label_source}.` : "");
      this.body.append(row, this.legend.element, this.readout, scroll, this.more, source);
    }

    /** While a query is picked, the heat under the pointer is of a key, and the other way round. */
    point_at(position) {
      const side = this.picked && !this.shows_flows ? other_side(this.side) : this.side;
      this.hover(position < 0 ? null : { side, position });
    }

    pick_position(position) {
      if (position >= 0) this.pick({ side: this.side, position });
    }

    /** Look at the same patch as a query or as a key. */
    turn(side) {
      const { picked } = this;
      this.set({ side });
      if (picked && picked.side !== side) this.pick({ side, position: picked.position });
    }

    async load(signal) {
      const [weights] = await Promise.all(
        [load_weights(this.config, signal), this.stage.load(this.config.image_url)]);
      this.flows_for = this.rest_for = this.greatest = null;
      return weights;
    }

    /** Return the flows of the mode, whatever is picked. */
    all_flows() {
      const { mode, threshold } = this.options;
      const wanted = `${mode} ${threshold}`;
      if (this.flows_for !== wanted) {
        this.flows_for = wanted;
        this.flows = [];
        if (mode === "strongest") this.flows = strongest_keys(this.weights, this.tokens);
        if (mode === "flows") this.flows = strong_flows(this.weights, this.tokens.length, threshold);
      }
      return this.flows;
    }

    draw() {
      const { picked, hot, side } = this;
      const { contrast, grid_shown } = this.options;
      this.values = picked && !this.shows_flows
        ? weights_of(this.weights, this.tokens.length, picked) : null;
      this.largest = this.values ? largest_of_patches(this.values, this.stage.positions) : 0;
      this.opaque = contrast && picked ? this.largest : 1;
      this.body.classList.toggle("qk-has-place", picked !== null && !this.shows_flows);
      this.body.classList.toggle("qk-has-flows", this.shows_flows);
      this.body.classList.toggle("qk-grid-shown", grid_shown);
      this.controls.show({ ...this.options, side });
      qk_atlas.image_paint.draw_heat(this.stage.heat, this.values, this.tokens, this.opaque);
      this.draw_flows();
      this.draw_boxes();
      this.stage.draw_frame("picked", picked);
      this.stage.draw_frame("hot", hot);
      this.draw_words();
      this.draw_table();
    }

    /** Draw the flows, those of the picked or hot patch in full before the others. */
    draw_flows() {
      const flows = this.all_flows();
      this.told = flows_at(flows, this.picked);
      const most = flows.reduce((max, { weight }) => Math.max(max, weight), 0);
      const least = this.options.mode === "flows" ? this.options.threshold : faintest;
      this.range = [least, most];
      const shown = [...flows].sort((a, b) => b.weight - a.weight).slice(0, flows_max);
      this.n_left_out = flows.length - shown.length;
      const { clientWidth, clientHeight } = this.stage.image;
      const at = this.picked ?? this.hot;
      const look = { range: this.range, is_wide: this.options.mode === "flows", is_faint: at !== null };
      const same = [this.flows_for, look.is_faint, clientWidth, clientHeight, this.options.theme].join(" ");
      if (this.rest_for !== same) {
        this.rest_for = same;
        this.counts = this.stage.draw_flows("rest", shown, look);
      }
      const chosen = at ? flows_at(flows, at) : [];
      this.stage.draw_flows("chosen", chosen, { ...look, is_faint: false });
      if (this.picked && this.hot && this.shows_flows) {
        this.stage.draw_flows("chosen", [...chosen, ...flows_at(flows, this.hot)], { ...look, is_faint: false });
      }
    }

    draw_boxes() {
      const arrived = this.shows_flows ? arrivals(this.told, this.tokens.length) : null;
      this.boxes.draw({
        side: this.side, picked: this.picked, hot: this.hot,
        heat_of: (position) => (this.values ? opacity_of(this.values[position], this.opaque) : 0),
        text_of: (position) => {
          if (arrived) return `□ ${arrived[position]}`;
          return this.values ? format_weight(this.values[position]) : "";
        },
      });
    }

    draw_words() {
      const { picked, side, told, largest, opaque, range, n_left_out } = this;
      const { mode, threshold, contrast } = this.options;
      this.note.textContent = image_tools.note_of(
        { mode, threshold, side, token: picked && this.tokens[picked.position], of_any: this.of_any });
      const n_rows = mode === "flows" ? this.tokens.length : this.stage.positions.length;
      this.legend.draw({
        mode, contrast, largest, opaque, range, is_shown: this.shows_flows || picked !== null,
        n_flows: told.length, n_rows, share: share_of(told, picked ? 1 : n_rows), n_left_out,
        is_picked: picked !== null, strongest: this.strongest_weight(),
      });
      this.readout.textContent = this.reading();
    }

    /** Return the greatest weight of all; 0 before the weights are here. */
    strongest_weight() {
      this.greatest ??= this.weights.reduce((max, weight) => Math.max(max, weight), 0);
      return this.greatest;
    }

    /** Return what is said of the place below the pointer. */
    reading() {
      const { hot, picked, values } = this;
      if (!hot) return picked || this.shows_flows ? `Point at ${this.of_any} to read its weights.` : "";
      const name = `${hot.side} at ${place_name(this.tokens[hot.position])}`;
      if (!this.shows_flows) {
        const has_weight = picked && hot.side !== picked.side;
        return has_weight ? `${name}: weight ${format_weight(values[hot.position])}` : name;
      }
      const here = flows_at(this.all_flows(), hot);
      const other = other_side(hot.side);
      if (here.length === 0) return `${name}: nothing that is drawn`;
      const top = here.reduce((a, b) => (b.weight > a.weight ? b : a));
      const where = top[other] === hot.position ? "itself" : place_name(this.tokens[top[other]]);
      const way = hot.side === "query" ? "to" : "from";
      const rest = here.length > 1 ? `, and ${here.length - 1} more` : "";
      return `${name}: ${format_weight(top.weight)} ${way} ${where}${rest}`;
    }

    draw_table() {
      const { caption, headings, rows } = this.table_of(this.options.all_rows ? rows_max : few_rows);
      const total = this.shows_flows ? this.told.length : this.values?.filter((w) => w > 0).length;
      this.table.parentElement.hidden = !rows?.length;
      this.more.hidden = !(total > few_rows);
      this.more.textContent = this.options.all_rows
        ? "fewer rows" : `all ${Math.min(total, rows_max).toLocaleString("en")} rows`;
      if (rows?.length) fill_table(this.table, caption, headings, rows);
    }

    /** Return the strongest weights as a table of words. */
    table_of(most) {
      const other = other_side(this.side);
      if (this.shows_flows) {
        const name = (position) => short_name(this.tokens[position]);
        const rows = [...this.told].sort((a, b) => b.weight - a.weight).slice(0, most)
          .map(({ query, key, weight }) => [name(query), name(key), format_weight(weight)]);
        return { caption: "Strongest flows, by row and column", headings: ["query", "key", "weight"], rows };
      }
      if (!this.values) return {};
      const rows = strongest(this.values, most).map(({ position, weight }) => {
        const { text, row, column, label } = this.tokens[position];
        const place = row < 0 ? ["–", "–"] : [String(row), String(column)];
        const what = row >= 0 && label ? label : visible_text(text);
        return [what, ...place, format_weight(weight)];
      });
      const caption = other === "key" ? "Strongest keys" : "Strongest queries";
      return { caption, headings: [other, "row", "column", "weight"], rows };
    }

    shown() {
      const { side, largest = 0, opaque = 1, told = [], counts = {}, range = null } = this;
      const { grid } = this.config;
      return {
        ...image_tools.chosen(this.options), grid, side, max_weight: largest, opaque,
        n_flows: told.length, counts, range, n_rows: this.table?.rows.length ?? 0,
      };
    }
  }

  qk_atlas.image_panel.mount = (...of) => mount(ImageView, ...of);
})();
