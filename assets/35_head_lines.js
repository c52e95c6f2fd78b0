"use strict";
// Head view: one layer, any of its heads overlaid, and up to three pinned layers beside it.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { make, mount } = qk_atlas.stage;
  const { InspectView, make_button, make_select, make_slider } = qk_atlas.inspect;
  const { has_segments, isolated, pair_words, parse_pins, parse_ranges, pins_max, pins_text, ranges_text,
    sign_of, toggled } = qk_atlas.inspect_data;
  const { TokenLines, most_lines } = qk_atlas.token_lines;
  const { fill_table, make_svg } = qk_atlas.panel;
  const { format_weight, visible_text } = qk_atlas.attention;

  const thresholds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];
  const table_rows = 16;
  const same = (a, b) => a?.side === b?.side && a?.position === b?.position;

  /**
   * config: see InspectView. options: layer, heads and pinned (texts, see `parse_pins`), pairs,
   * threshold, numbers, picked (a place or null).
   * events: change {changes}, layer {layer}, pick {side, position}, open_map {layer, head}.
   */
  class HeadLines extends InspectView {
    constructor(element, config, on_event) {
      super(element, config, on_event, {
        layer: 0, heads: "", pinned: "", pairs: "all", threshold: 0.05, numbers: false, picked: null,
      });
      this.hot = null;
      this.sheets = [];
    }

    get n_layers() {
      return this.input.layers.length;
    }

    build() {
      const { layers } = this.input;
      this.title = make("h1", "qk-inspect-title");
      this.previous = make_button("↑", "the layer before", () => this.go(this.options.layer - 1));
      this.next = make_button("↓", "the next layer", () => this.go(this.options.layer + 1));
      for (const button of [this.previous, this.next]) button.classList.add("qk-arrow");
      this.layer_list = make_select("layer", Object.fromEntries(layers.map((_, i) => [i, String(i)])),
        (value) => this.go(Number(value)));
      this.pin = make_button("pin this layer", "keep this layer beside the next one", () => this.pin_layer());
      this.slider = make_slider("threshold", thresholds, (threshold) => this.choose({ threshold }));
      this.pairs = make_select("pairs", pair_words, (pairs) => this.choose({ pairs }));
      this.pairs.field.hidden = !has_segments(this.input);
      this.numbers = make_button("numbers", "the strongest lines as a table",
        () => this.choose({ numbers: !this.options.numbers }));
      this.link = make("span", "");
      this.bar.replaceChildren(this.title, this.previous, this.next, this.layer_list.field, this.pin,
        this.slider.field, this.pairs.field, this.numbers, make("span", "qk-spring"),
        ...this.difference_legend(), this.link, this.make_exports());
      this.columns = make("div", "qk-lines-columns");
      this.table = make("table", "qk-table");
      this.side = make("aside", "qk-lines-numbers", "", { "aria-label": "numbers" });
      this.side.append(this.table);
      this.body.replaceChildren(this.columns, this.side);
    }

    /** Return the layers to show, the chosen one first. */
    wanted() {
      const { layers } = this.input;
      const layer = Math.min(this.options.layer, layers.length - 1);
      const heads = parse_ranges(this.options.heads, layers[layer].n_heads)
        ?? parse_ranges("", layers[layer].n_heads);
      return [{ layer, heads }, ...parse_pins(this.options.pinned, layers)];
    }

    async load() {
      const shown = this.wanted();
      const weights = await Promise.all(shown.map(({ layer }) => this.layer_weights(layer)));
      shown.forEach(({ layer }, i) => { this.sheet_at(i, layer).weights = weights[i]; });
      for (const { column } of this.sheets.splice(shown.length)) column.remove();
    }

    /** Return the place of one layer on the page, made anew when it is of another layer. */
    sheet_at(index, layer) {
      const old = this.sheets[index];
      if (old?.layer === layer) return old;
      const column = make("section", "qk-lines-layer");
      const head = make("header", "qk-lines-head");
      const squares = make("div", "qk-squares", "", { role: "toolbar", "aria-label": `heads of layer ${layer}` });
      const name = make("div", "qk-lines-name");
      name.append(make("h2", "", `Layer ${layer}`));
      if (index > 0) name.append(make_button("unpin", `take layer ${layer} away`, () => this.unpin(index - 1)));
      const names = this.input.is_cross
        ? { query: "decoder queries", key: "encoder keys" } : { query: "queries", key: "keys" };
      const { queries, keys, layers } = this.input;
      head.append(name, squares);
      column.append(head);
      const lines = new TokenLines(column, { queries, keys, names }, (type, place) => this.on_place(type, place));
      const sheet = { layer, column, lines, squares: this.fill_squares(squares, index, layers[layer].n_heads) };
      if (old) old.column.replaceWith(column);
      else this.columns.append(column);
      this.sheets[index] = sheet;
      return sheet;
    }

    fill_squares(holder, index, n_heads) {
      const squares = Array.from({ length: n_heads }, (_, head) => {
        const { colour, dash } = sign_of(head);
        const square = make("button", "qk-square", "", {
          type: "button", tabindex: head ? "-1" : "0", style: `--qk-own: var(--qk-head-${colour})`,
          title: `head ${head}: click shows or hides it, double click (or i) shows it alone`,
          "aria-label": `head ${head}`,
        });
        const sample = make_svg("svg", { viewBox: "0 0 24 4", "aria-hidden": "true" });
        sample.append(make_svg("line", { x1: 1, x2: 23, y1: 2, y2: 2, "stroke-dasharray": dash.join(" ") }));
        square.append(make("span", "", String(head)), sample);
        square.addEventListener("click", () => this.choose_heads(index, (shown) => toggled(shown, head)));
        square.addEventListener("dblclick", () => this.isolate(index, head, n_heads));
        return square;
      });
      holder.append(...squares);
      holder.addEventListener("keydown", (event) => {
        const at = squares.indexOf(event.target);
        if (event.key === "i") this.isolate(index, at, n_heads);
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const to = { Home: 0, End: n_heads - 1 }[event.key] ?? (step && at + step);
        if (to === undefined || !squares[to]) return;
        event.preventDefault();
        squares[at].tabIndex = -1;
        squares[to].tabIndex = 0;
        squares[to].focus();
      });
      return squares;
    }

    isolate(index, head, count) {
      this.choose_heads(index, (shown) => isolated(shown, head, count));
    }

    choose_heads(index, change) {
      const shown = this.wanted();
      shown[index].heads = change(shown[index].heads);
      const [{ layer, heads }, ...pins] = shown;
      const { layers } = this.input;
      this.choose(index === 0
        ? { heads: ranges_text(heads, layers[layer].n_heads) } : { pinned: pins_text(pins, layers) });
    }

    pin_layer() {
      const [first, ...pins] = this.wanted();
      const pinned = pins_text([first, ...pins].slice(0, pins_max), this.input.layers);
      this.choose({ pinned });
      const next = first.layer + 1 < this.n_layers ? first.layer + 1 : first.layer - 1;
      if (next >= 0) this.go(next);
    }

    unpin(index) {
      const pins = this.wanted().slice(1).filter((_, i) => i !== index);
      this.choose({ pinned: pins_text(pins, this.input.layers) });
    }

    go(layer) {
      if (layer < 0 || layer >= this.n_layers) return;
      this.set({ layer });
      this.emit("layer", { layer });
    }

    set(options) {
      const shown = () => this.input && this.wanted().map(({ layer }) => layer).join();
      const before = shown();
      super.set(options);
      if (this.input && before !== shown()) this.start();
    }

    on_place(type, place) {
      if (type === "hover") {
        if (same(place, this.hot)) return;
        this.hot = place;
        this.redraw();
        return;
      }
      const picked = same(place, this.options.picked) ? null : place;
      this.set({ picked });
      this.emit("pick", { side: picked?.side ?? null, position: picked?.position ?? null });
    }

    /** Return the place to show alone, if this input has it. */
    get place() {
      const place = this.hot ?? this.options.picked;
      const side = place && this.input[place.side === "query" ? "queries" : "keys"];
      return side && place.position < side.text.length ? place : null;
    }

    draw() {
      const { threshold, pairs, numbers, theme, picked } = this.options;
      const shown = this.wanted();
      const [{ layer, heads }] = shown;
      this.title.textContent = `Layer ${layer}`;
      this.layer_list.select.value = String(layer);
      this.previous.disabled = layer === 0;
      this.next.disabled = layer === this.n_layers - 1;
      this.pin.disabled = shown.length > pins_max;
      this.pairs.select.value = pairs;
      this.slider.show(threshold);
      this.numbers.setAttribute("aria-pressed", String(numbers));
      this.link.replaceChildren(...[heads.length === 1 && this.map_link(layer, heads[0])].filter(Boolean));
      this.columns.dataset.count = String(shown.length);
      this.side.hidden = !numbers;
      this.sheets.forEach((sheet, i) => {
        sheet.squares.forEach((square, head) => {
          square.setAttribute("aria-pressed", String(shown[i].heads.includes(head)));
        });
        sheet.lines.set({
          layer: sheet.weights, heads: shown[i].heads, threshold, pairs, theme,
          is_difference: this.is_difference, place: this.place, picked,
        });
      });
      this.draw_note();
      if (numbers) this.draw_table().catch((error) => this.fail(error));
    }

    draw_note() {
      const counts = this.sheets.map(({ lines }) => lines.found);
      const sum = (name) => counts.reduce((total, one) => total + one[name], 0);
      const drawn = counts.reduce((total, { lines }) => total + lines.length, 0);
      const [a, b, c] = [drawn, sum("n_above"), sum("n_pairs")].map((n) => n.toLocaleString("en-US"));
      const cut = drawn < sum("n_above") ? `, the strongest ${most_lines.toLocaleString("en-US")} of each layer` : "";
      const what = this.is_difference ? "changes" : "weights";
      this.scale?.show(qk_atlas.change_scale.joined(this.sheets.map(({ lines }) => lines.changes)));
      this.note.textContent = `${a} lines drawn${cut}: ${b} of ${c} ${what} reach ${this.options.threshold}. `
        + "Point at a token for its own; click keeps it.";
    }

    /** Return the strongest lines of what is shown, of one token where one is chosen. */
    strongest() {
      const { place } = this;
      return this.sheets.flatMap(({ lines, layer }) => lines.found.lines
        .filter((line) => !place || line[place.side] === place.position)
        .map((line) => ({ ...line, layer })))
        .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    }

    async exact(lines) {
      const n_keys = this.input.keys.text.length;
      const found = await Promise.all(lines.map(({ layer, head }) => this.head_weights(layer, head)));
      return lines.map(({ query, key }, i) => found[i][query * n_keys + key]);
    }

    async draw_table() {
      const lines = this.strongest().slice(0, table_rows);
      const wanted = JSON.stringify(lines);
      if (wanted === this.table_shows) return;
      this.table_shows = wanted;
      const weights = await this.exact(lines);
      if (this.table_shows !== wanted) return;
      const { queries, keys } = this.input;
      const rows = lines.map(({ layer, head, query, key }, i) => [
        `${visible_text(queries.text[query])} → ${visible_text(keys.text[key])}`,
        `${query} → ${key}`, `L${layer} H${head}`, format_weight(weights[i]),
      ]);
      const name = this.place && visible_text(
        (this.place.side === "query" ? queries : keys).text[this.place.position]);
      const caption = name ? `Strongest of ${this.place.side} “${name}”` : "Strongest lines";
      fill_table(this.table, caption, ["query → key", "places", "head", this.is_difference ? "change" : "weight"], rows);
    }

    exports() {
      return qk_atlas.inspect_exports.of_lines(this);
    }

    shown() {
      const { pairs, threshold, numbers, picked } = this.options;
      const shown = this.wanted();
      return {
        layer: shown[0].layer, heads: shown[0].heads, pinned: shown.slice(1).map(({ layer }) => layer),
        pairs, threshold, numbers, picked, place: this.place,
        n_lines: this.sheets.map(({ lines }) => lines.found.lines.length),
      };
    }
  }

  qk_atlas.head_lines = { mount: (...of) => mount(HeadLines, ...of) };
})();
