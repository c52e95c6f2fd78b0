"use strict";
// Rows of the neuron view: one a key, made only while they are in sight; each has the key's vector,
// the products with one or two queries, figures, and the weight.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { fit_canvas, make } = qk_atlas.stage;
  const { visible_text } = qk_atlas.attention;
  const { figure_text } = qk_atlas.neuron_data;

  const line_height = 22; // of one query's products; a row has one or two
  const spare = 8; // rows beyond those in sight
  const strength = 0.7; // exponent: middling values are seen

  /**
   * Paint a vector as a row of cells: blue positive, orange negative, stronger by magnitude.
   * @param {CanvasRenderingContext2D} context
   * @param {{left: number, top: number, width: number, height: number}} box
   * @param {(dimension: number) => number} value_of
   * @param {number[]} dimensions in the order shown
   * @param {number} most value of full colour
   */
  function paint_vector(context, box, value_of, dimensions, most, signs) {
    const wide = box.width / dimensions.length;
    const seam = wide >= 4 ? 0.5 : 0; // cells apart from each other while there is room
    dimensions.forEach((d, i) => {
      const value = value_of(d);
      context.globalAlpha = Math.min(1, Math.abs(value) / most) ** strength;
      context.fillStyle = value > 0 ? signs.more : signs.less;
      context.fillRect(box.left + i * wide, box.top, wide - seam, box.height);
    });
  }

  /** Make a canvas of some vectors below each other. */
  function paint_strip(canvas, lines, dimensions, signs) {
    const width = canvas.parentElement.clientWidth;
    const height = lines.length * line_height;
    const ratio = fit_canvas(canvas, width, height);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    lines.forEach(({ value_of, most }, i) => {
      const box = { left: 0, top: i * line_height + 3, width, height: line_height - 6 };
      paint_vector(context, box, value_of, dimensions, most, signs);
    });
  }

  /** Make a cell with a canvas. */
  function strip_cell(part, role = "cell") {
    const cell = make("div", "qk-neuron-strip", "", { role, "data-part": part });
    cell.append(make("canvas", "", "", { "aria-hidden": "true" }));
    return cell;
  }

  /** Make a cell with a line of text for each query. */
  function figure_cell(texts, kind) {
    const cell = make("div", `qk-neuron-figure ${kind}`, "", { role: "cell" });
    cell.append(...texts.map((text) => make("span", "", text)));
    return cell;
  }

  /** Make the cell of the weights: a bar and a figure for each query. */
  function weight_cell(weights) {
    const cell = make("div", "qk-neuron-figure qk-neuron-weight", "", { role: "cell" });
    for (const weight of weights) {
      const line = make("span", "", figure_text(weight));
      line.style.setProperty("--qk-share", Math.min(1, Math.abs(weight)));
      line.dataset.sign = weight < 0 ? "less" : "more";
      cell.append(line);
    }
    return cell;
  }

  /**
   * What is shown: {texts, special (of the keys), columns, dimensions, lines: [{explained, key_at(j, d),
   * product_at(j, d), most_product}], most_key, chosen, has_sink, signs}.
   */
  class NeuronRows {
    constructor(scroll, table, on_choose) {
      this.scroll = scroll;
      this.sheet = make("div", "qk-neuron-sheet", "", { role: "rowgroup" });
      table.append(this.sheet);
      this.rows = new Map();
      this.on_choose = on_choose;
      scroll.addEventListener("scroll", () => this.fill());
      this.sheet.addEventListener("click", (event) => {
        const row = event.target.closest(".qk-neuron-row");
        if (row?.dataset.key) this.on_choose(Number(row.dataset.key));
      });
      this.sheet.addEventListener("keydown", (event) => {
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        const row = event.target.closest(".qk-neuron-row");
        const key = step && Number(row?.dataset.key) + step;
        if (key === undefined || !(key >= 0 && key < this.model.texts.length)) return;
        event.preventDefault();
        this.reveal(key);
        this.fill();
        this.rows.get(key)?.querySelector("button").focus();
      });
    }

    get height() {
      return line_height * this.model.lines.length;
    }

    get n_rows() {
      return this.model.texts.length + (this.model.has_sink ? 1 : 0);
    }

    /** Show another query, head or order. */
    set(model) {
      this.model = model;
      const focused = this.sheet.contains(document.activeElement)
        ? Number(document.activeElement.closest(".qk-neuron-row").dataset.key) : null;
      this.sheet.style.height = `${this.n_rows * this.height}px`;
      this.sheet.dataset.lines = String(model.lines.length);
      this.sheet.replaceChildren();
      this.rows.clear();
      this.fill();
      if (focused !== null) this.rows.get(focused)?.querySelector("button").focus();
    }

    reveal(key) {
      const top = key * this.height;
      const { scrollTop, clientHeight } = this.scroll;
      if (top < scrollTop) this.scroll.scrollTop = top;
      const bottom = top + 2 * this.height + this.sheet.offsetTop;
      if (bottom > scrollTop + clientHeight) this.scroll.scrollTop = bottom - clientHeight;
    }

    /** Make the rows that are in sight, and let go of the others. */
    fill() {
      if (!this.model) return;
      const { scrollTop, clientHeight } = this.scroll;
      const first = Math.max(0, Math.floor(scrollTop / this.height) - spare);
      const last = Math.min(this.n_rows - 1, Math.ceil((scrollTop + clientHeight) / this.height) + spare);
      for (const [i, row] of this.rows) {
        if (i >= first && i <= last) continue;
        row.remove();
        this.rows.delete(i);
      }
      for (let i = first; i <= last; i += 1) if (!this.rows.has(i)) this.rows.set(i, this.make_row(i));
    }

    make_row(i) {
      const { texts, special, lines, columns, chosen, dimensions, signs } = this.model;
      const row = make("div", "qk-neuron-row", "", { role: "row", "aria-rowindex": i + 2 });
      row.style.top = `${i * this.height}px`;
      row.style.height = `${this.height}px`;
      this.sheet.append(row);
      if (i === texts.length) {
        this.fill_sink(row);
        return row;
      }
      row.dataset.key = String(i);
      row.toggleAttribute("data-chosen", i === chosen);
      const name = make("div", "qk-neuron-key qk-of-key", "", { role: "rowheader" });
      const button = make("button", `qk-token${special[i] ? " qk-special" : ""}`, "", {
        type: "button", "aria-pressed": String(i === chosen), title: `key ${i}: ${visible_text(texts[i])}`,
      });
      button.append(make("span", "qk-token-text", visible_text(texts[i])));
      name.append(button);
      const strips = [strip_cell("key"), strip_cell("product")];
      const figures = columns.map(({ field }) => figure_cell(
        lines.map(({ explained }) => figure_text(explained[field][i])), "qk-neuron-number"));
      row.append(name, ...strips, ...figures, weight_cell(lines.map(({ explained }) => explained.weights[i])));
      if (lines.every(({ explained }) => explained.logits[i] === -Infinity)) row.dataset.masked = "";
      paint_strip(strips[0].firstChild, [{ value_of: (d) => lines[0].key_at(i, d), most: this.model.most_key }], dimensions, signs);
      paint_strip(strips[1].firstChild, lines.map(({ product_at, most_product }) => (
        { value_of: (d) => product_at(i, d), most: most_product })), dimensions, signs);
      return row;
    }

    /** Fill the row of the weight that goes to no key. */
    fill_sink(row) {
      const { lines, columns, sink } = this.model;
      const name = make("div", "qk-neuron-key", "", { role: "rowheader" });
      name.append(make("em", "", "sink: no key"));
      const empty = [strip_cell("none"), strip_cell("none")];
      const figures = columns.map(({ field }, at) => figure_cell(
        lines.map(() => (field === "logits" || (at === columns.length - 1) ? figure_text(sink) : "")), "qk-neuron-number"));
      row.append(name, ...empty, ...figures, weight_cell(lines.map(({ explained }) => explained.sink_weight)));
    }
  }

  qk_atlas.neuron_rows = { NeuronRows, paint_strip, paint_vector, strip_cell, line_height };
})();
