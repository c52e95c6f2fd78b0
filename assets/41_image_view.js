"use strict";
// Image view: the attention of one head over the patches of one image, as heat on the image.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const table_rows = 5;

  const { format_weight, other_side, strongest, visible_text, weights_of } = qk_atlas.attention;
  const { largest_of_patches, moved_patch, opacity_of, patch_at, patch_positions } =
    qk_atlas.image_panel;
  const { make } = qk_atlas.stage;
  const { Panel, fill_table, load_weights, make_svg, mount } = qk_atlas.panel;

  /** Say where a token is: the place of a patch, the name of a special token. */
  function place_name({ text, row, column }) {
    return row < 0 ? visible_text(text) : `row ${row}, column ${column}`;
  }

  /**
   * config: {image_url, grid: [rows, columns], tokens: {text, special, row, column}[] in sequence
   * order, row -1 where there is no patch, weights or weights_url, title, subtitle}.
   * options: picked, hot (places), side ("query" | "key"), contrast, grid_shown.
   * events: {type: "hover" | "pick", side, position}, both null when nothing is left.
   */
  class ImageView extends Panel {
    constructor(element, config, on_event, kept) {
      const { side = "query", contrast = false, grid_shown = false } = kept;
      super(element, config, on_event, { side, contrast, grid_shown });
    }

    get empty_text() {
      return "No image chosen yet. Click a patch on the map to see how its image attends.";
    }

    /** "query" or "key": what a click picks and the heat belongs to. */
    get side() {
      return this.picked?.side ?? this.options.side;
    }

    build() {
      this.positions = patch_positions(this.tokens, this.config.grid);
      this.build_tools();
      this.build_stage();
      this.build_specials();
      const row = make("div", "qk-image-row");
      row.append(this.stage, this.specials);
      this.readout = make("p", "qk-readout");
      this.table = make("table", "qk-table");
      this.body.append(row, this.build_bar(), this.readout, this.table);
    }

    build_tools() {
      const toggle = (text, on_click) => {
        const button = make("button", "qk-button", text, { type: "button" });
        button.addEventListener("click", on_click);
        return button;
      };
      this.sides = {
        query: toggle("as query", () => this.turn("query")),
        key: toggle("as key", () => this.turn("key")),
      };
      const segments = make("div", "qk-segments", "", { role: "group", "aria-label": "side" });
      segments.append(this.sides.query, this.sides.key);
      this.contrast = toggle("contrast", () => this.set({ contrast: !this.options.contrast }));
      this.grid = toggle("grid", () => this.set({ grid_shown: !this.options.grid_shown }));
      this.tools.append(segments, this.contrast, this.grid);
    }

    build_stage() {
      const [rows, columns] = this.config.grid;
      this.image = make("img", "qk-image", "", { alt: "the image as the model saw it" });
      this.heat = make("canvas", "qk-heat", "", { width: columns, height: rows });
      const svg = make_svg("svg", {
        class: "qk-grid", viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none",
      });
      const lines = [];
      for (let row = 1; row < rows; row += 1) lines.push(`M0 ${row}H${columns}`);
      for (let column = 1; column < columns; column += 1) lines.push(`M${column} 0V${rows}`);
      svg.append(make_svg("path", { d: lines.join("") }));
      this.frames = { hot: make("div", "qk-patch-frame qk-faint"), picked: make("div", "qk-patch-frame") };
      this.stage = make("div", "qk-stage", "", {
        role: "application", tabindex: "0",
        "aria-label": `Image of ${rows} by ${columns} patches; arrow keys move the picked patch`,
      });
      this.stage.append(this.image, this.heat, svg, this.frames.hot, this.frames.picked);
      this.listen();
    }

    listen() {
      const position_at = (event) => {
        const box = this.stage.getBoundingClientRect();
        return this.position_of(
          patch_at(event.clientX - box.left, event.clientY - box.top, box, this.config.grid),
        );
      };
      this.stage.addEventListener("pointermove", (event) => this.point_at(position_at(event)));
      this.stage.addEventListener("pointerleave", () => this.hover(null));
      this.stage.addEventListener("click", (event) => this.pick_position(position_at(event)));
      this.stage.addEventListener("keydown", (event) => {
        const token = this.tokens[this.picked?.position];
        const patch = moved_patch(token, event.key, this.config.grid);
        if (!patch) return;
        event.preventDefault();
        const position = this.position_of(patch);
        if (position !== this.picked?.position) this.pick_position(position);
      });
    }

    build_specials() {
      this.specials = make("div", "qk-specials");
      this.boxes = new Map();
      this.tokens.forEach(({ text, row }, position) => {
        if (row >= 0) return;
        const name = visible_text(text);
        const box = make("button", "qk-special-box", "", { type: "button", title: name });
        box.append(make("span", "qk-swatch"), make("span", "qk-name", name), make("span", ""));
        box.addEventListener("pointermove", () => this.point_at(position));
        box.addEventListener("pointerleave", () => this.hover(null));
        box.addEventListener("click", () => this.pick_position(position));
        this.boxes.set(position, box);
        this.specials.append(box);
      });
    }

    build_bar() {
      this.bar_end = make("span", "");
      this.bar_mark = make("span", "qk-bar-mark");
      this.bar_text = make("div", "qk-bar-text");
      const ramp = make("span", "qk-ramp");
      ramp.append(this.bar_mark);
      this.bar = make("div", "qk-colour-bar");
      this.bar.append(make("span", "", "0"), ramp, this.bar_end, this.bar_text);
      return this.bar;
    }

    position_of([row, column]) {
      return this.positions[row * this.config.grid[1] + column];
    }

    /** What the pointer reads while a query is picked is a key, and the other way round. */
    point_at(position) {
      const side = this.picked ? other_side(this.side) : this.side;
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
      this.image.src = this.config.image_url;
      const arrived = this.image.decode().catch(() => {
        throw new Error("the image did not arrive");
      });
      const [weights] = await Promise.all([load_weights(this.config, signal), arrived]);
      return weights;
    }

    draw() {
      const { picked, side } = this;
      const { contrast, grid_shown } = this.options;
      const values = picked && weights_of(this.weights, this.tokens.length, picked);
      this.largest = values ? largest_of_patches(values, this.positions) : 0;
      this.opaque = contrast && picked ? this.largest : 1;
      this.body.classList.toggle("qk-has-place", picked !== null);
      this.body.classList.toggle("qk-grid-shown", grid_shown);
      this.sides.query.setAttribute("aria-pressed", String(side === "query"));
      this.sides.key.setAttribute("aria-pressed", String(side === "key"));
      this.contrast.setAttribute("aria-pressed", String(contrast));
      this.grid.setAttribute("aria-pressed", String(grid_shown));
      this.draw_heat(values);
      this.draw_specials(values);
      this.draw_frame(this.frames.picked, picked);
      this.draw_frame(this.frames.hot, this.hot);
      this.draw_bar();
      this.draw_words(values);
      this.draw_table(values);
    }

    draw_heat(values) {
      const context = this.heat.getContext("2d");
      context.clearRect(0, 0, this.heat.width, this.heat.height);
      if (!values) return;
      context.fillStyle = getComputedStyle(this.heat).color;
      this.tokens.forEach(({ row, column }, position) => {
        if (row < 0) return;
        context.globalAlpha = opacity_of(values[position], this.opaque);
        context.fillRect(column, row, 1, 1);
      });
    }

    draw_specials(values) {
      for (const [position, box] of this.boxes) {
        const weight = values ? values[position] : 0;
        box.style.setProperty("--qk-heat", String(opacity_of(weight, this.opaque)));
        box.lastChild.textContent = values ? format_weight(weight) : "";
        box.setAttribute("aria-pressed", String(this.picked?.position === position));
        const hot = this.hot?.position === position ? " qk-hot" : "";
        box.className = `qk-special-box qk-of-${this.side}${hot}`;
      }
    }

    draw_frame(frame, place) {
      const token = place && this.tokens[place.position];
      frame.hidden = !token || token.row < 0;
      if (frame.hidden) return;
      const [rows, columns] = this.config.grid;
      frame.classList.toggle("qk-of-query", place.side === "query");
      frame.classList.toggle("qk-of-key", place.side === "key");
      frame.style.top = `${(100 * token.row) / rows}%`;
      frame.style.left = `${(100 * token.column) / columns}%`;
      frame.style.width = `${100 / columns}%`;
      frame.style.height = `${100 / rows}%`;
    }

    draw_bar() {
      const { contrast } = this.options;
      const largest = format_weight(this.largest);
      const advice = this.largest < 0.1 ? ", faint: try contrast" : "";
      this.bar.hidden = !this.picked;
      this.bar_end.textContent = contrast ? `≥ ${largest}` : "1";
      this.bar_mark.style.left = `${opacity_of(this.largest, this.opaque) * 100}%`;
      this.bar_text.textContent = contrast
        ? `contrast: all weights divided by the largest patch, ${largest}`
        : `opacity = weight; largest patch ${largest}${advice}`;
    }

    draw_words(values) {
      const { hot, picked, side } = this;
      if (!picked) {
        this.note.textContent = "Click a patch to see where it attends.";
      } else {
        const name = place_name(this.tokens[picked.position]);
        const does = side === "query" ? "what it attends to" : "who attends to it";
        this.note.textContent = `${side} at ${name}: ${does}`;
      }
      const has_weight = picked && hot && hot.side !== picked.side;
      const weight = has_weight ? `: weight ${format_weight(values[hot.position])}` : "";
      const asked = picked ? "Point at a patch to read its weight." : "";
      this.readout.textContent = hot
        ? `${hot.side} at ${place_name(this.tokens[hot.position])}${weight}` : asked;
    }

    draw_table(values) {
      this.table.hidden = !values;
      if (!values) return;
      const rows = strongest(values, table_rows).map(({ position, weight }) => {
        const { text, row, column } = this.tokens[position];
        const place = row < 0 ? ["–", "–"] : [String(row), String(column)];
        return [visible_text(text), ...place, format_weight(weight)];
      });
      const other = other_side(this.side);
      const caption = other === "key" ? "Strongest keys" : "Strongest queries";
      fill_table(this.table, caption, [other, "row", "column", "weight"], rows);
    }

    shown() {
      const { contrast, grid_shown } = this.options;
      const { grid } = this.config;
      const { side, largest = 0, opaque = 1 } = this;
      return { grid, side, contrast, grid_shown, max_weight: largest, opaque };
    }
  }

  qk_atlas.image_panel.mount = (...of) => mount(ImageView, ...of);
})();
