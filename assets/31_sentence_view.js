"use strict";
// Sentence view: the attention of one head over one sequence as lines between two columns.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const thresholds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
  const table_rows = 10;
  const faint = 0.1; // lines below this weight are drawn as hairlines
  const shades = 50; // steps of the shading behind the tokens

  const { format_weight, other_side, pairs_above, reaches, strongest, visible_text, weights_of } =
    qk_atlas.attention;
  const { count_text, curve, moved, row_height, word_pieces } = qk_atlas.bipartite;
  const { fit_canvas, make } = qk_atlas.stage;
  const { Panel, fill_table, load_weights, make_svg, mount } = qk_atlas.panel;

  /**
   * config: {tokens: {text, special}[], weights: Float32Array (n_tokens * n_tokens), row = query,
   * or weights_url, title, subtitle, threshold}.
   * options: picked, hot (places), threshold, numbers (the table), theme (its change redraws).
   * events: {type: "hover" | "pick", side, position}, both null when nothing is left.
   */
  class SentenceView extends Panel {
    constructor(element, config, on_event, kept) {
      const threshold = kept.threshold ?? config.threshold ?? 0.02;
      super(element, config, on_event, { threshold, numbers: kept.numbers ?? false });
    }

    get empty_text() {
      return "No sentence chosen yet. Click a point on the map to see how its sentence attends.";
    }

    build() {
      this.drawn = "";
      this.marked = [];
      this.build_tools();
      this.canvas = make("canvas", "qk-lines", "", { "aria-hidden": "true" });
      this.curves = make_svg("svg", { class: "qk-curves", "aria-hidden": "true" });
      this.between = make("div", "qk-between");
      this.between.append(this.canvas, this.curves);
      this.cells = { query: [], key: [] };
      const pieces = word_pieces(this.tokens);
      this.columns = {
        query: this.make_column("query", pieces), key: this.make_column("key", pieces),
      };
      const sheet = make("div", "qk-bipartite");
      sheet.append(
        make("div", "qk-heading qk-of-query", "queries"), make("div", "qk-heading"),
        make("div", "qk-heading qk-of-key", "keys"),
        this.columns.query, this.between, this.columns.key,
      );
      this.scroll = make("div", "qk-scroll");
      this.scroll.append(sheet);
      this.table = make("table", "qk-table");
      this.body.append(this.scroll, this.table);
      this.listen(sheet);
    }

    build_tools() {
      const label = make("label", "qk-threshold", "threshold");
      this.slider = make("input", "", "", {
        type: "range", min: "0", max: String(thresholds.length - 1), step: "1",
      });
      this.slider.addEventListener("input", () => {
        this.set({ threshold: thresholds[this.slider.valueAsNumber] });
      });
      this.slider_text = make("output", "");
      label.append(this.slider, this.slider_text);
      this.numbers = make("button", "qk-button", "numbers", { type: "button" });
      this.numbers.addEventListener("click", () => this.set({ numbers: !this.options.numbers }));
      this.tools.append(label, this.numbers);
    }

    make_column(side, pieces) {
      const column = make("div", `qk-of-${side}`, "", {
        role: "group", "aria-label": side === "query" ? "queries" : "keys",
      });
      column.append(...this.tokens.map(({ text, special }, position) => {
        const kind = (special ? " qk-special" : "") + (pieces[position] ? " qk-piece" : "");
        const shown = visible_text(text);
        const button = make("button", `qk-token${kind}`, "", {
          type: "button", title: shown, tabindex: "-1",
          "data-side": side, "data-position": String(position),
        });
        button.append(make("span", "qk-token-text", shown), make("span", "qk-token-weight"));
        this.cells[side].push({ button, shade: 0, figure: "" });
        return button;
      }));
      return column;
    }

    listen(sheet) {
      const place_of = (event) => {
        const button = event.target.closest(".qk-token");
        if (!button) return null;
        return { side: button.dataset.side, position: Number(button.dataset.position) };
      };
      sheet.addEventListener("pointerover", (event) => this.hover(place_of(event)));
      sheet.addEventListener("pointerleave", () => this.hover(null));
      sheet.addEventListener("focusin", (event) => this.hover(place_of(event)));
      sheet.addEventListener("focusout", (event) => {
        if (!sheet.contains(event.relatedTarget)) this.hover(null);
      });
      sheet.addEventListener("click", (event) => {
        const place = place_of(event);
        if (place) this.pick(place);
      });
      sheet.addEventListener("keydown", (event) => {
        const place = moved(place_of(event), event.key, this.tokens.length);
        if (!place) return;
        event.preventDefault();
        this.button_at(place).focus();
      });
    }

    button_at({ side, position }) {
      return this.cells[side][position].button;
    }

    load(signal) {
      return load_weights(this.config, signal);
    }

    draw() {
      this.draw_lines();
      this.draw_place(this.hot ?? this.picked);
      this.draw_marks();
    }

    /** Draw all lines; hovering never comes here, it only fades the canvas. */
    draw_lines() {
      const { threshold, theme } = this.options;
      const width = this.between.clientWidth;
      const wanted = [threshold, theme, width, devicePixelRatio].join();
      if (wanted === this.drawn) return;
      this.drawn = wanted;
      this.lines = pairs_above(this.weights, threshold);
      const n_tokens = this.tokens.length;
      const ratio = fit_canvas(this.canvas, width, n_tokens * row_height);
      const context = this.canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, n_tokens * row_height);
      context.strokeStyle = getComputedStyle(this.canvas).color;
      for (const pair of this.lines.pairs) {
        const [x, y, ...rest] = curve(Math.floor(pair / n_tokens), pair % n_tokens, width);
        context.globalAlpha = this.weights[pair];
        // Chromium draws hairlines five times faster, and lines this faint look the same.
        context.lineWidth = this.weights[pair] < faint ? 1 : 1.5;
        context.beginPath();
        context.moveTo(x, y);
        context.bezierCurveTo(...rest);
        context.stroke();
      }
      this.draw_count();
    }

    draw_count() {
      const { threshold } = this.options;
      const { pairs, n_pairs, share } = this.lines;
      this.note.textContent = count_text(pairs.length, n_pairs, threshold, share);
      this.slider.value = String(thresholds.findLastIndex((step) => step <= threshold));
      this.slider.setAttribute("aria-valuetext", String(threshold));
      this.slider_text.textContent = String(threshold);
    }

    /** Show one token alone: its curves, the other column shaded and numbered, its table. */
    draw_place(place) {
      this.body.classList.toggle("qk-has-place", place !== null);
      const values = place && weights_of(this.weights, this.tokens.length, place);
      for (const side of ["query", "key"]) {
        this.shade(side, place?.side === other_side(side) ? values : null);
      }
      const weights = values ?? new Float32Array();
      this.draw_curves(place, weights);
      this.draw_table(place, weights);
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
      const width = this.between.clientWidth;
      const { threshold } = this.options;
      const paths = [];
      values.forEach((weight, position) => {
        if (!reaches(weight, threshold)) return;
        const ends = [place.position, position];
        if (place.side === "key") ends.reverse();
        const [x, y, ...rest] = curve(...ends, width);
        // Alone, even the weakest of the lines that count as shown has to be seen.
        const opacity = 0.2 + 0.8 * weight;
        paths.push(make_svg("path", { d: `M${x} ${y}C${rest.join(" ")}`, opacity }));
      });
      this.curves.replaceChildren(...paths);
    }

    draw_table(place, values) {
      const { numbers } = this.options;
      this.numbers.setAttribute("aria-pressed", String(numbers));
      this.table.hidden = !numbers;
      if (!numbers) return;
      if (!place) {
        fill_table(this.table, "Point at a token to see its numbers.", [], []);
        return;
      }
      const other = other_side(place.side);
      const name = visible_text(this.tokens[place.position].text);
      const rows = strongest(values, table_rows).map(({ position, weight }) => [
        visible_text(this.tokens[position].text), String(position), format_weight(weight),
      ]);
      const caption = `${place.side} ${place.position} “${name}”: strongest of its `
        + (other === "key" ? "keys" : "queries");
      fill_table(this.table, caption, [other, "position", "weight"], rows);
    }

    /** Mark the hot and the picked token; one of all tokens can be reached by Tab. */
    draw_marks() {
      const { hot, picked } = this;
      for (const button of this.marked) {
        button.classList.remove("qk-hot", "qk-picked");
        button.removeAttribute("aria-pressed");
        button.tabIndex = -1;
      }
      const stop = this.button_at(hot ?? picked ?? { side: "query", position: 0 });
      stop.tabIndex = 0;
      this.marked = [stop];
      if (hot) stop.classList.add("qk-hot");
      this.reveal(picked);
      if (!picked) return;
      const button = this.button_at(picked);
      button.classList.add("qk-picked");
      button.setAttribute("aria-pressed", "true");
      this.marked.push(button);
    }

    /** Scroll to a newly picked token: the map may pick one that is out of sight. */
    reveal(picked) {
      if (this.revealed === picked) return;
      this.revealed = picked;
      if (!picked) return;
      const top = picked.position * row_height;
      const { scrollTop, clientHeight } = this.scroll;
      const is_seen = top >= scrollTop && top + 2 * row_height <= scrollTop + clientHeight;
      if (!is_seen) this.scroll.scrollTop = top - clientHeight / 2;
    }

    shown() {
      const { threshold, numbers } = this.options;
      const n_lines = this.lines?.pairs.length ?? 0;
      const share = this.lines?.share ?? 0;
      return { threshold, numbers, n_lines, share, n_curves: this.curves?.childElementCount ?? 0 };
    }
  }

  qk_atlas.bipartite.mount = (...of) => mount(SentenceView, ...of);
})();
