"use strict";
// Two columns of tokens and the lines of any heads of a layer between them, each head with its own
// colour and dashes; boxes beside the tokens say how much each head gives the token pointed at.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { fit_canvas, make } = qk_atlas.stage;
  const { other_side, visible_text } = qk_atlas.attention;
  const { curve, moved, row_height, word_pieces } = qk_atlas.bipartite;
  const { lines_of, n_colours, pair_mask, sign_of } = qk_atlas.inspect_data;

  const most_lines = 12_000;
  const box_width = 7;
  const strip_max = 112; // pixels beside each column for the boxes
  const box_rim = 0.12; // even a box of no weight has a visible edge

  /** Return the CSS colours of the heads and of the two signs of a difference. */
  function read_signs(element) {
    const style = getComputedStyle(element);
    const read = (name) => style.getPropertyValue(name).trim();
    return {
      heads: Array.from({ length: n_colours }, (_, i) => read(`--qk-head-${i}`)),
      single: read("--qk-line"), more: read("--qk-more"), less: read("--qk-less"),
    };
  }

  /**
   * config: {queries, keys: {text, special, segment}, title}. options: layer (weights, see
   * inspect_data.lines_of), heads, threshold, pairs, place, is_difference, is_single (one head, in
   * the colour of attention). `on_place(type, place)`: "hover" or "pick".
   */
  class TokenLines {
    constructor(element, config, on_place) {
      this.element = element;
      this.sides = { query: config.queries, key: config.keys };
      this.on_place = on_place;
      this.options = { layer: null, heads: [], threshold: 0.05, pairs: "all", place: null };
      this.drawn = "";
      this.found = { lines: [], n_above: 0, n_pairs: 0 };
      this.canvas = make("canvas", "qk-lines", "", { "aria-hidden": "true" });
      this.hot = make("canvas", "qk-lines-hot", "", { "aria-hidden": "true" });
      this.between = make("div", "qk-lines-between");
      this.between.append(this.canvas, this.hot);
      this.cells = {};
      const names = config.names ?? { query: "queries", key: "keys" };
      const columns = ["query", "key"].map((side) => this.make_column(side, names[side]));
      this.sheet = make("div", "qk-lines-sheet");
      this.sheet.append(
        make("div", "qk-heading qk-of-query", names.query), make("div", "qk-heading"),
        make("div", "qk-heading qk-of-key", names.key), columns[0], this.between, columns[1]);
      element.append(this.sheet);
      this.listen();
    }

    make_column(side, name) {
      const { text, special, segment, patch } = this.sides[side];
      const tokens = text.map((one, i) => (
        { text: one, special: special[i] === 1, is_patch: patch?.[i] === 1 }));
      const pieces = word_pieces(tokens);
      const column = make("div", `qk-lines-column qk-of-${side}`, "", { role: "group", "aria-label": name });
      this.cells[side] = tokens.map((token, position) => {
        const starts = position > 0 && segment[position] !== segment[position - 1];
        const kinds = [token.special && "qk-special", pieces[position] && "qk-piece", starts && "qk-second"];
        const shown = visible_text(token.text);
        const button = make("button", ["qk-token", ...kinds.filter(Boolean)].join(" "), "", {
          type: "button", title: shown, tabindex: "-1", "data-side": side, "data-position": position,
        });
        button.append(make("span", "qk-token-text", shown));
        return button;
      });
      this.cells[side][0].tabIndex = side === "query" ? 0 : -1;
      column.append(...this.cells[side]);
      return column;
    }

    listen() {
      const place_of = (event) => {
        const button = event.target.closest(".qk-token");
        return button && { side: button.dataset.side, position: Number(button.dataset.position) };
      };
      const { sheet } = this;
      sheet.addEventListener("pointerover", (event) => this.on_place("hover", place_of(event)));
      sheet.addEventListener("pointerleave", () => this.on_place("hover", null));
      sheet.addEventListener("focusin", (event) => this.on_place("hover", place_of(event)));
      sheet.addEventListener("focusout", (event) => {
        if (!sheet.contains(event.relatedTarget)) this.on_place("hover", null);
      });
      sheet.addEventListener("click", (event) => {
        const place = place_of(event);
        if (place) this.on_place("pick", place);
      });
      sheet.addEventListener("keydown", (event) => {
        const place = place_of(event);
        const next = place && moved(place, event.key, this.sides[place.side].text.length);
        if (!next) return;
        event.preventDefault();
        const cells = this.cells[next.side];
        const button = cells[Math.min(next.position, cells.length - 1)];
        for (const one of sheet.querySelectorAll('.qk-token[tabindex="0"]')) one.tabIndex = -1;
        button.tabIndex = 0;
        button.focus();
      });
    }

    get height() {
      return row_height * Math.max(this.cells.query.length, this.cells.key.length);
    }

    set(options) {
      Object.assign(this.options, options);
      if (!this.options.layer) return;
      this.draw_lines();
      this.draw_place();
      this.draw_marks();
    }

    /** Draw all lines; pointing at a token never comes here, it only fades the canvas. */
    draw_lines() {
      const { layer, heads, threshold, pairs, theme, is_difference, is_single } = this.options;
      const width = this.between.clientWidth;
      const wanted = [heads, threshold, pairs, theme, width, devicePixelRatio].join(" ");
      if (wanted === this.drawn && layer === this.drawn_layer) return;
      this.drawn = wanted;
      this.drawn_layer = layer;
      this.signs = read_signs(this.element);
      this.strip = is_single ? 0 : Math.min(strip_max, heads.length * box_width, width / 5);
      const mask = pair_mask(pairs, this.sides.query, this.sides.key);
      this.mask = mask;
      this.found = lines_of(layer, heads, { threshold, mask, most: most_lines });
      this.changes = is_difference ? qk_atlas.change_scale.range_of_heads(layer, heads, mask) : null;
      const context = this.fresh(this.canvas, width);
      for (const line of this.found.lines) this.stroke(context, line, width, 0.08, is_difference);
    }

    fresh(canvas, width) {
      const ratio = fit_canvas(canvas, width, this.height);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, this.height);
      return context;
    }

    colour_of({ head, value }) {
      if (this.options.is_difference) return value > 0 ? this.signs.more : this.signs.less;
      return this.options.is_single ? this.signs.single : this.signs.heads[sign_of(head).colour];
    }

    /** Return the opacity of a weight; of a change its root, so that small ones are seen. */
    opacity_of(value) {
      const strength = Math.abs(value);
      return this.options.is_difference ? Math.sqrt(strength) : strength;
    }

    stroke(context, line, width, least) {
      const strength = this.opacity_of(line.value);
      const [x, y, ...rest] = curve(line.query, line.key, width - 2 * this.strip);
      context.globalAlpha = Math.min(1, least + (1 - least) * strength);
      context.strokeStyle = this.colour_of(line);
      context.lineWidth = strength < 0.1 ? 1 : 1 + strength;
      context.setLineDash(this.options.is_single ? [] : sign_of(line.head).dash);
      context.beginPath();
      context.moveTo(x + this.strip, y);
      context.bezierCurveTo(...rest.map((value, i) => value + (i % 2 === 0 ? this.strip : 0)));
      context.stroke();
    }

    /** Show one token alone: its lines, and a box for each head beside each token of the other side. */
    draw_place() {
      const { place } = this.options;
      this.element.classList.toggle("qk-has-place", Boolean(place));
      const width = this.between.clientWidth;
      const context = this.fresh(this.hot, place ? width : 1);
      if (!place) return;
      const is_of = place.side === "query"
        ? ({ query }) => query === place.position : ({ key }) => key === place.position;
      for (const line of this.found.lines) if (is_of(line)) this.stroke(context, line, width, 0.25);
      if (this.strip) this.draw_boxes(context, place, width);
    }

    draw_boxes(context, place, width) {
      const { heads } = this.options;
      const wide = this.strip / heads.length;
      const side = other_side(place.side);
      context.setLineDash([]);
      context.lineWidth = 1;
      heads.forEach((head, i) => {
        const left = (side === "key" ? width - this.strip : 0) + i * wide;
        this.cells[side].forEach((_, position) => {
          const value = this.value_at(head, place, position);
          if (value === null) return;
          const colour = this.colour_of({ head, value });
          const box = [left + 0.5, position * row_height + 2.5, wide - 1.5, row_height - 5];
          context.globalAlpha = this.opacity_of(value);
          context.fillStyle = colour;
          context.fillRect(...box);
          context.globalAlpha = box_rim + (1 - box_rim) * this.opacity_of(value);
          context.strokeStyle = colour;
          context.strokeRect(...box);
        });
      });
    }

    /** Return the weight between a place and a position of the other side, null where not shown. */
    value_at(head, { side, position }, other) {
      const { values, n_queries, n_keys } = this.options.layer;
      const pair = side === "query" ? position * n_keys + other : other * n_keys + position;
      if (this.mask && !this.mask[pair]) return null;
      return values[head * n_queries * n_keys + pair] / 255;
    }

    draw_marks() {
      const { place, picked } = this.options;
      for (const button of this.marked ?? []) {
        button.classList.remove("qk-hot", "qk-picked");
        button.removeAttribute("aria-pressed");
      }
      this.marked = [[place, "qk-hot"], [picked, "qk-picked"]].filter(([one]) => one).map(([one, kind]) => {
        const button = this.cells[one.side][one.position];
        button?.classList.add(kind);
        if (kind === "qk-picked") button?.setAttribute("aria-pressed", "true");
        return button;
      }).filter(Boolean);
    }

    /** Return all that is drawn, as vectors; see export_menu.save_svg. */
    drawing(left, top) {
      const width = this.between.clientWidth;
      const base = this.sheet.getBoundingClientRect();
      const start = this.between.getBoundingClientRect().left - base.left + left;
      const round = (value) => value.toFixed(1);
      const paths = this.found.lines.map((line) => {
        const [x, y, ...rest] = curve(line.query, line.key, width).map(
          (value, i) => round(value + (i % 2 === 0 ? start : top)));
        return {
          d: `M${x} ${y}C${rest.join(" ")}`, colour: this.colour_of(line),
          opacity: 0.08 + 0.92 * this.opacity_of(line.value), width: 1 + Math.abs(line.value),
          dash: this.options.is_single ? "" : sign_of(line.head).dash.join(" "),
        };
      });
      const labels = ["query", "key"].flatMap((side) => this.sides[side].text.map((text, i) => ({
        x: side === "query" ? start - 6 : start + width + 6, y: top + (i + 0.7) * row_height,
        text: visible_text(text), anchor: side === "query" ? "end" : "start",
      })));
      return { paths, labels };
    }
  }

  qk_atlas.token_lines = { TokenLines, read_signs, most_lines };
})();
