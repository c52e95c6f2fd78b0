"use strict";
// Model view: the pattern of every head on one input, as thumbnails that open with their tokens.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { make, mount } = qk_atlas.stage;
  const { InspectView, make_select } = qk_atlas.inspect;
  const { has_segments, pair_mask, pair_words, parse_ranges, ranges_text, score_names, scores_of, sort_cells } =
    qk_atlas.inspect_data;
  const { colour_picture, line_picture, square_picture, thumbnail_size } = qk_atlas.thumbnails;
  const { read_signs } = qk_atlas.token_lines;
  const { card_rows, open_head } = qk_atlas.model_large;

  const sorts = {
    grid: "layer and head", entropy: "entropy", distance: "mean distance", previous: "to the token before",
    next: "to the token after", same: "to itself", first: "to the first token", strongest: "strongest weight",
  };
  const of_places = ["distance", "previous", "next", "same"]; // nothing between two texts
  const gap = 4;
  const name_height = 16; // as in 37_model_view.css
  const large_layer = 4_000_000; // weights: browsers keep the answer, so this page need not

  /**
   * config: see InspectView; links {map, heads, neurons}: which ways lead on.
   * options: layers, heads (ranges), pairs, sort, drawn ("lines" or "squares").
   * events: change {changes}, open {view, layer, head}, open_map {layer, head}.
   */
  class ModelView extends InspectView {
    constructor(element, config, on_event) {
      super(element, config, on_event, { layers: "", heads: "", pairs: "all", sort: "grid", drawn: "lines" });
      this.rows = [];
      this.n_painted = 0;
    }

    build() {
      this.title = make("h1", "qk-inspect-title", "All heads");
      this.layer_box = this.make_box("layers", "layers");
      this.head_box = this.make_box("heads", "heads");
      const known = Object.entries(sorts).filter(([name]) => !(this.input.is_cross && of_places.includes(name)));
      this.sort = make_select("sort by", Object.fromEntries(known), (sort) => this.choose({ sort }));
      this.drawn = make_select("drawn as", { lines: "lines", squares: "matrix" }, (drawn) => this.choose({ drawn }));
      this.pairs = make_select("pairs", pair_words, (pairs) => this.choose({ pairs }));
      this.pairs.field.hidden = !has_segments(this.input);
      this.bar.replaceChildren(this.title, this.layer_box.field, this.head_box.field, this.sort.field,
        this.drawn.field, this.pairs.field, make("span", "qk-spring"), ...this.difference_legend(), this.make_exports());
      this.grid = make("div", "qk-thumbs", "", { role: "group", "aria-label": "heads" });
      this.body.replaceChildren(this.grid);
      this.body.classList.add("qk-thumbs-body");
      this.body.addEventListener("scroll", () => this.redraw(), { signal: this.signal });
      this.listen();
    }

    make_box(name, label) {
      const field = make("label", "qk-tool", label);
      const box = make("input", "qk-go-to qk-range-box", "", { type: "text", placeholder: "all", maxlength: "60" });
      box.addEventListener("change", () => {
        const count = name === "layers" ? this.input.layers.length : this.n_heads_max;
        const numbers = parse_ranges(box.value, count);
        box.classList.toggle("qk-not-found", !numbers);
        box.setAttribute("aria-invalid", String(!numbers));
        if (numbers) this.choose({ [name]: ranges_text(numbers, count) });
      });
      field.append(box);
      return { field, box };
    }

    get n_heads_max() {
      return Math.max(...this.input.layers.map(({ n_heads }) => n_heads));
    }

    /** Return layers and heads that the filters leave. */
    kept() {
      const keep = (text, count) => parse_ranges(text, count) ?? parse_ranges("", count);
      return {
        layers: keep(this.options.layers, this.input.layers.length),
        heads: keep(this.options.heads, this.n_heads_max),
      };
    }

    /** Return rows of cells: one a layer, or as they are sorted. */
    async arrange() {
      const { layers, heads } = this.kept();
      const rows = layers.map((layer) => heads.filter((head) => head < this.input.layers[layer].n_heads)
        .map((head) => ({ layer, head })));
      const { sort } = this.options;
      if (sort === "grid") return rows;
      const scores = new Map(await Promise.all(
        layers.map(async (layer) => [layer, await this.layer_scores(layer)])));
      const column = score_names.indexOf(sort);
      for (const cell of rows.flat()) cell.score = scores.get(cell.layer)[cell.head * score_names.length + column];
      const sorted = sort_cells(rows.flat(), ({ score }) => score);
      const width = heads.length;
      return Array.from({ length: Math.ceil(sorted.length / width) }, (_, i) => sorted.slice(i * width, (i + 1) * width));
    }

    async load() {
      const { layers, heads, sort } = this.options;
      const wanted = [layers, heads, sort].join(" ");
      const rows = await this.arrange();
      if (wanted !== this.arranged) this.fill(rows, sort === "grid");
      this.arranged = wanted;
      this.measure();
      await Promise.all(this.visible().map((row) => this.paint(row)));
    }

    /** Put the thumbnails on the page, with headings where they stand in their grid. */
    fill(rows, has_headings) {
      const { heads, layers } = this.kept();
      const focused = this.grid.contains(document.activeElement);
      this.grid.replaceChildren();
      this.scale?.clear();
      this.grid.dataset.sorted = String(!has_headings);
      if (has_headings) {
        const top = make("div", "qk-thumbs-top");
        top.append(make("span", ""), ...heads.map((head) => this.heading("heads", head, `H${head}`)));
        this.grid.append(top);
      }
      this.rows = rows.map((cells, i) => {
        const element = make("div", "qk-thumbs-row");
        if (has_headings) element.append(this.heading("layers", layers[i], `L${layers[i]}`));
        const thumbs = cells.map((cell, j) => this.make_thumb(cell, i, j));
        element.append(...thumbs.map(({ button }) => button));
        this.grid.append(element);
        return { cells, thumbs, element, painted: "" };
      });
      this.columns = heads.length;
      const first = this.rows[0]?.thumbs[0]?.button;
      if (first) first.tabIndex = 0;
      if (focused) first?.focus();
    }

    make_thumb({ layer, head, score }, row, column) {
      const button = make("button", "qk-thumb", "", {
        type: "button", tabindex: "-1", "data-row": row, "data-column": column, "aria-label": `layer ${layer} head ${head}`,
      });
      const canvas = make("canvas", "", "", { "aria-hidden": "true" });
      button.append(canvas);
      if (score !== undefined) button.append(make("span", "qk-thumb-name", `L${layer} H${head} · ${score.toFixed(2)}`));
      return { button, canvas };
    }

    heading(name, number, text) {
      const button = make("button", "qk-thumbs-heading", text, {
        type: "button", title: `only ${text}, or all again; with Shift: hide it`,
      });
      button.addEventListener("click", (event) => {
        const now = this.kept()[name];
        const count = name === "layers" ? this.input.layers.length : this.n_heads_max;
        const rest = now.filter((one) => one !== number);
        const alone = now.length === 1 ? parse_ranges("", count) : [number];
        this.choose({ [name]: ranges_text(event.shiftKey && rest.length ? rest : alone, count) });
      });
      return button;
    }

    cell_of(event) {
      const button = event.target.closest?.(".qk-thumb");
      return button && { button, ...this.rows[button.dataset.row].cells[button.dataset.column] };
    }

    listen() {
      const { grid } = this;
      grid.addEventListener("pointermove", (event) => {
        const cell = this.cell_of(event);
        if (cell) this.point_at(cell, event);
        else this.hide_card();
      });
      grid.addEventListener("pointerleave", () => this.hide_card());
      grid.addEventListener("click", (event) => {
        const cell = this.cell_of(event);
        if (cell) this.open(cell);
      });
      grid.addEventListener("keydown", (event) => {
        const cell = this.cell_of(event);
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!cell || !step) return;
        event.preventDefault();
        const { row, column } = cell.button.dataset;
        const next = this.rows[Number(row) + step[0]]?.thumbs[Number(column) + step[1]]?.button;
        if (!next) return;
        cell.button.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    }

    async point_at({ layer, head }, { clientX, clientY }) {
      this.pointed = `${layer} ${head}`;
      const scores = scores_of(await this.layer_scores(layer), head);
      if (this.pointed !== `${layer} ${head}` || this.large?.open) return;
      this.show_card({ clientX, clientY }, ...card_rows(this.input, { layer, head }, scores));
    }

    hide_card() {
      this.pointed = null;
      super.hide_card();
    }

    open({ layer, head }) {
      this.hide_card();
      open_head(this, layer, head);
    }

    /** Give all thumbnails the size that fits. */
    measure() {
      const { clientWidth, clientHeight } = this.body;
      const margin = this.options.sort === "grid" ? { width: 36, height: 36 } : { width: 0, height: 12 };
      const room = { width: clientWidth - 24 - margin.width, height: clientHeight - margin.height - 8 };
      const n_tokens = Math.max(this.input.queries.text.length, this.input.keys.text.length);
      const below = this.options.sort === "grid" ? 0 : name_height;
      this.size = thumbnail_size(room, this.columns, this.rows.length, gap + below, n_tokens);
      this.grid.style.setProperty("--qk-thumb-width", `${this.size.width}px`);
      this.grid.style.setProperty("--qk-thumb-height", `${this.size.height}px`);
    }

    /** Return the rows in sight and a little beyond. */
    visible() {
      const { scrollTop, clientHeight } = this.body;
      return this.rows.filter(({ element }) => (
        element.offsetTop < scrollTop + 1.5 * clientHeight
        && element.offsetTop + element.offsetHeight > scrollTop - 0.5 * clientHeight));
    }

    /** Paint a row unless it shows this already. */
    async paint(row) {
      const { pairs, drawn, theme } = this.options;
      const { width, height } = this.size;
      const wanted = [pairs, drawn, theme, width, height, devicePixelRatio].join(" ");
      if (row.painted === wanted) return;
      row.painted = wanted;
      const weights = new Map();
      for (const { layer } of row.cells) {
        if (!weights.has(layer)) weights.set(layer, this.layer_weights(layer));
      }
      const signs = read_signs(this.element);
      const mask = pair_mask(pairs, this.input.queries, this.input.keys);
      for (const [i, { layer, head }] of row.cells.entries()) {
        const values = await weights.get(layer);
        if (row.painted !== wanted || this.signal.aborted) return;
        this.paint_thumb(row.thumbs[i].canvas, values, head, mask, signs);
        if (values.values.length > large_layer) this.forget(layer);
      }
      row.element.dataset.painted = "";
      this.n_painted = this.rows.filter(({ element }) => "painted" in element.dataset).length;
    }

    forget(layer) {
      for (const url of this.fetched.keys()) if (url.endsWith(`/${layer}.u8`)) this.fetched.delete(url);
    }

    paint_thumb(canvas, layer, head, mask, signs) {
      canvas.width = Math.round(this.size.width * devicePixelRatio);
      canvas.height = Math.round(this.size.height * devicePixelRatio);
      const picture = this.options.drawn === "lines" ? line_picture : square_picture;
      const image = new ImageData(canvas.width, canvas.height);
      const values = picture(layer, head, mask, canvas.width, canvas.height);
      this.scale?.add(canvas, qk_atlas.change_scale.range_of_heads(layer, [head], mask));
      colour_picture(values, image.data, ...(this.is_difference ? [signs.more, signs.less] : [signs.single]));
      canvas.getContext("2d").putImageData(image, 0, 0);
    }

    set(options) {
      const named = ({ layers, heads, sort }) => [layers, heads, sort].join(" ");
      const before = named(this.options);
      super.set(options);
      if (this.input && before !== named(this.options)) this.start();
    }

    draw() {
      const { layers, heads, sort, drawn, pairs } = this.options;
      if (document.activeElement !== this.layer_box.box) this.layer_box.box.value = layers;
      if (document.activeElement !== this.head_box.box) this.head_box.box.value = heads;
      this.sort.select.value = sort;
      this.drawn.select.value = drawn;
      this.pairs.select.value = pairs;
      this.measure();
      Promise.all(this.visible().map((row) => this.paint(row))).catch((error) => this.fail(error));
      const n_cells = this.rows.reduce((sum, { cells }) => sum + cells.length, 0);
      const all = this.input.layers.reduce((sum, { n_heads }) => sum + n_heads, 0);
      const words = n_cells === all ? `${all} heads` : `${n_cells} of ${all} heads`;
      const tokens = `${this.input.queries.text.length} queries, ${this.input.keys.text.length} keys`;
      this.note.textContent = `${words} · ${tokens} · click a picture for its tokens, arrow keys and Enter do the same`;
    }

    exports() {
      return qk_atlas.inspect_exports.of_model(this);
    }

    shown() {
      const { layers, heads, pairs, sort, drawn } = this.options;
      const cells = this.rows.flatMap((row) => row.cells).map(({ layer, head }) => `L${layer} H${head}`);
      return {
        layers, heads, pairs, sort, drawn, n_cells: cells.length, first: cells[0] ?? null,
        n_painted: this.n_painted, large: this.large?.open ? this.large.dataset.head : null,
      };
    }
  }

  qk_atlas.model_view = { sorts, mount: (...of) => mount(ModelView, ...of) };
})();
