"use strict";
// Neuron view: how the attention of one query comes about: vectors, products, terms, softmax.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { fetch_json, make, mount } = qk_atlas.stage;
  const { visible_text } = qk_atlas.attention;
  const { InspectView, make_button, make_select } = qk_atlas.inspect;
  const {
    figure_columns, figure_text, key_words, order_dimensions, rotary_words,
  } = qk_atlas.neuron_data;
  const { HeadSource, line_of } = qk_atlas.neuron_load;
  const { NeuronRows, paint_strip, strip_cell } = qk_atlas.neuron_rows;
  const { read_signs } = qk_atlas.token_lines;
  const { range_of } = qk_atlas.change_scale;

  const orders = { index: "as stored", pair: "by the chosen key", overall: "by size over all keys" };
  const rotaries = { after: "after rotation", before: "before rotation" };

  /**
   * config: see InspectView. options: layer, head, picked (a query's place or null), compare (a
   * query's position or null), dimensions, rotary.
   * events: place {layer, head}, pick {side, position}, change {changes}, open_map {layer, head}.
   */
  class NeuronView extends InspectView {
    constructor(element, config, on_event) {
      super(element, config, on_event, {
        layer: 0, head: 0, picked: null, compare: null, dimensions: "index", rotary: "after", key: null,
      });
      this.hot = null;
    }

    build() {
      const { queries } = this.input;
      this.title = make("h1", "qk-inspect-title");
      const numbers = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [i, String(i)]));
      this.layer_list = make_select("layer", numbers(this.input.layers.length), (value) => this.go(Number(value), this.options.head));
      this.head_list = make_select("head", {}, (value) => this.go(this.options.layer, Number(value)));
      this.order_list = make_select("dimensions", orders, (dimensions) => this.choose({ dimensions }));
      this.rotary_list = make_select("vectors", rotaries, (rotary) => this.choose({ rotary }));
      this.link = make("span", "");
      this.bar.replaceChildren(this.title, this.layer_list.field, this.head_list.field, this.order_list.field,
        this.rotary_list.field, make("span", "qk-spring"), ...this.difference_legend({ is_bare: true }), this.link, this.make_exports());
      this.list = make("div", "qk-neuron-queries qk-of-query", "", { role: "group", "aria-label": "queries" });
      this.list.append(make("div", "qk-heading qk-of-query", "queries"));
      this.items = queries.text.map((text, i) => this.make_item(text, queries.special[i] === 1, i));
      this.list.append(...this.items.map(({ item }) => item));
      this.scroll = make("div", "qk-neuron-scroll", "", { tabindex: "-1" });
      this.table = make("div", "qk-neuron-table", "", { role: "table", "aria-label": "keys of the chosen query" });
      this.head_rows = make("div", "qk-neuron-head", "", { role: "rowgroup" });
      this.table.append(this.head_rows);
      this.scroll.append(this.table);
      this.body.replaceChildren(this.list, this.scroll);
      this.rows = new NeuronRows(this.scroll, this.table,
        (key) => this.set({ key: key === this.options.key ? null : key }));
      this.listen();
    }

    make_item(text, special, position) {
      const shown = visible_text(text);
      const item = make("div", "qk-neuron-item");
      const token = make("button", `qk-token${special ? " qk-special" : ""}`, "", {
        type: "button", title: `query ${position}: ${shown}`, tabindex: "-1", "data-position": position,
      });
      token.append(make("span", "qk-token-text", shown));
      const pin = make("button", "qk-neuron-pin", "vs", {
        type: "button", tabindex: "-1", title: `keep “${shown}” beside the chosen query (Shift and click, or c)`,
        "aria-label": `vs ${shown}`, "data-pin": position,
      });
      item.append(token, pin);
      return { item, token, pin };
    }

    listen() {
      const at = (event) => {
        const token = event.target.closest?.(".qk-token, .qk-neuron-pin");
        return token ? Number(token.dataset.position ?? token.dataset.pin) : null;
      };
      const point = (position) => {
        if (position === this.hot) return;
        this.hot = position;
        this.start();
      };
      this.list.addEventListener("pointerover", (event) => point(at(event)));
      this.list.addEventListener("pointerleave", () => point(null));
      this.list.addEventListener("focusin", (event) => point(at(event)));
      this.list.addEventListener("focusout", (event) => {
        if (!this.list.contains(event.relatedTarget)) point(null);
      });
      this.list.addEventListener("click", (event) => {
        const position = at(event);
        if (position === null) return;
        if (event.shiftKey || event.target.closest(".qk-neuron-pin")) this.keep(position);
        else this.pick(position);
      });
      this.list.addEventListener("keydown", (event) => {
        const position = at(event);
        if (position === null) return;
        if (event.key === "c") this.keep(position);
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        const next = step && this.items[position + step]?.token;
        if (!next) return;
        event.preventDefault();
        next.focus();
      });
      this.table.addEventListener("pointermove", (event) => this.point_at(event));
      this.table.addEventListener("pointerleave", () => this.hide_card());
    }

    pick(position) {
      this.set({ picked: { side: "query", position }, ...(this.options.compare === position ? { compare: null } : {}) });
      this.emit("pick", { side: "query", position });
    }

    keep(position) {
      this.choose({ compare: position === this.options.compare || position === this.query ? null : position });
    }

    /** Return the position of the chosen query: the picked one, else the first that is a word. */
    get query() {
      const { picked } = this.options;
      const { special, text } = this.input.queries;
      if (picked?.side === "query" && picked.position < text.length) return picked.position;
      return Math.max(0, special.indexOf(0));
    }

    /** Return the queries shown: the chosen one, and one beside it. */
    get shown_queries() {
      const other = this.hot ?? this.options.compare;
      const is_there = other !== null && other !== this.query && other < this.input.queries.text.length;
      return is_there ? [this.query, other] : [this.query];
    }

    get place() {
      const layer = Math.min(this.options.layer, this.input.layers.length - 1);
      return { layer, head: Math.min(this.options.head, this.input.layers[layer].n_heads - 1) };
    }

    go(layer, head) {
      this.set({ layer, head });
      this.emit("place", this.place);
    }

    set(options) {
      const named = ({ layer, head, picked, compare, rotary }) => JSON.stringify([layer, head, picked, compare, rotary]);
      const before = named(this.options);
      super.set(options);
      if (this.input && before !== named(this.options)) this.start();
    }

    about_of(url, { layer, head }) {
      const address = `${url}/neuron/${layer}/${head}.json`;
      if (!this.fetched.has(address)) this.fetched.set(address, fetch_json(address, this.signal));
      return this.fetched.get(address);
    }

    async load() {
      const place = this.place;
      const queries = this.shown_queries;
      const urls = [this.config.capture_url, this.config.compared_url].filter(Boolean);
      const abouts = await Promise.all(urls.map((url) => this.about_of(url, place)));
      const rotary = abouts[0].rotary.includes(this.options.rotary) ? this.options.rotary : "after";
      const sources = urls.map((capture_url, i) => new HeadSource((...of) => this.once(...of), {
        capture_url, sequence: this.config.sequence, ...place, n_queries: this.input.queries.text.length, about: abouts[i],
      }));
      const rows = await Promise.all(queries.map(
        (query) => Promise.all(sources.map((source) => source.row(query, rotary)))));
      this.data = { about: abouts[0], rotary, queries, rows, place };
    }

    draw() {
      const { about, rotary, rows, place, queries } = this.data;
      const { dimensions, key } = this.options;
      const [{ shown }] = rows[0];
      const order = order_dimensions(dimensions, shown.query, shown.keys, key ?? this.strongest());
      const lines = rows.map(line_of);
      const { most_key, most_query } = lines[0];
      this.scale?.show(range_of(lines.flatMap(({ explained }) => Array.from(explained.weights))));
      this.model = {
        texts: this.input.keys.text, special: this.input.keys.special, lines,
        columns: figure_columns(about), dimensions: order, most_key, chosen: key, most_query, has_sink: about.sink !== null, sink: about.sink,
        signs: read_signs(this.element),
      };
      this.draw_bar(about, rotary, place);
      const shown_now = JSON.stringify([place, rotary, queries, dimensions, key, this.options.theme, this.scroll.clientWidth]);
      this.items.forEach(({ item, token, pin }, i) => {
        token.classList.toggle("qk-picked", i === this.query);
        token.setAttribute("aria-pressed", String(i === this.query));
        token.tabIndex = i === this.query ? 0 : -1;
        pin.setAttribute("aria-pressed", String(i === this.options.compare));
        item.toggleAttribute("data-kept", i === this.options.compare);
      });
      if (shown_now === this.drawn) return;
      this.drawn = shown_now;
      this.table.style.setProperty("--qk-figures", this.model.columns.length);
      this.draw_head();
      this.rows.set(this.model);
    }

    /** Return the key that gets most of the chosen query. */
    strongest() {
      const { weights } = this.data.rows[0][0].explained;
      return weights.indexOf(Math.max(...weights));
    }

    draw_bar(about, rotary, { layer, head }) {
      this.title.textContent = `L${layer} H${head}`;
      this.layer_list.select.value = String(layer);
      const { select } = this.head_list;
      const { n_heads } = this.input.layers[layer];
      if (select.options.length !== n_heads) {
        select.replaceChildren(...Array.from({ length: n_heads }, (_, i) => make("option", "", String(i), { value: i })));
      }
      select.value = String(head);
      this.order_list.select.value = this.options.dimensions;
      this.rotary_list.field.hidden = about.rotary.length < 2;
      this.rotary_list.select.value = rotary;
      this.link.replaceChildren(...[this.map_link(layer, head)].filter(Boolean));
      const scale = [["q", this.model.most_query], ["k", this.model.most_key], ["q × k", this.model.lines[0].most_product]]
        .map(([name, most]) => (most > 1e-9 ? `${name} ±${Number(most.toPrecision(2))}` : `${name} 0`)).join(", ");
      const words = [`${about.head_dim} dimensions`, key_words(about, head), rotary_words(about, rotary),
        about.sink === null ? "" : "a sink takes weight: rows of keys sum to less than 1", `full colour from ${this.is_difference ? "a change of " : ""}${scale}`];
      this.note.textContent = words.filter(Boolean).join(" · ");
    }

    /** Draw headings, and a row for each query: its vector, its mean products, the sum of its weights. */
    draw_head() {
      const { columns, lines, dimensions, signs, most_query } = this.model;
      const heading = (text, title = "") => make("div", "qk-neuron-heading", text, { role: "columnheader", title });
      const names = make("div", "qk-neuron-names", "", { role: "row" });
      names.append(heading("key"), heading("k: vector of the key"), heading("q × k: product of each dimension"),
        ...columns.map(({ name, title }) => heading(name, title)), heading(this.is_difference ? "change" : "weight", "after the softmax"));
      const rows = lines.map((line, i) => {
        const position = this.data.queries[i];
        const row = make("div", "qk-neuron-query", "", { role: "row" });
        const name = make("div", "qk-neuron-key", "", { role: "rowheader" });
        name.append(make("span", "qk-neuron-label", i ? "vs" : "q"), make("strong", "", visible_text(this.input.queries.text[position])));
        const total = line.explained.weights.reduce((sum, weight) => sum + weight, 0);
        row.append(name, strip_cell("query"), strip_cell("mean"),
          ...columns.map(() => make("div", "", "", { role: "cell" })),
          make("div", "qk-neuron-figure", `Σ ${figure_text(total)}`, { role: "cell" }));
        row.dataset.line = String(i);
        return row;
      });
      this.head_rows.replaceChildren(names, ...rows);
      rows.forEach((row, i) => {
        const [query, mean] = row.querySelectorAll("canvas");
        const { query_at, mean: means, most_mean } = lines[i];
        paint_strip(query, [{ value_of: query_at, most: most_query }], dimensions, signs);
        paint_strip(mean, [{ value_of: (d) => means[d], most: most_mean }], dimensions, signs);
      });
    }

    /** Say the values of the cell under the pointer. */
    point_at(event) {
      const strip = event.target.closest?.(".qk-neuron-strip");
      const part = strip?.dataset.part;
      if (!part || part === "none" || !this.model) {
        this.hide_card();
        return;
      }
      const box = strip.getBoundingClientRect();
      const { dimensions, lines, texts } = this.model;
      const at = Math.floor(((event.clientX - box.left) / box.width) * dimensions.length);
      const d = dimensions[Math.max(0, Math.min(dimensions.length - 1, at))];
      const row = strip.parentElement;
      const line = part === "product" && event.clientY - box.top > box.height / lines.length
        ? lines.at(-1) : lines[Number(row.dataset.line ?? 0)];
      const position = this.data.queries[lines.indexOf(line)];
      const rows = [[`q of “${visible_text(this.input.queries.text[position])}”`, figure_text(line.query_at(d))]];
      if (row.dataset.key) {
        const key = Number(row.dataset.key);
        const product = line.product_at(key, d);
        rows.push([`k of “${visible_text(texts[key])}”`, figure_text(line.key_at(key, d))], ["q × k", figure_text(product)]);
      } else rows.push(["mean q × k over the keys", figure_text(line.mean[d])]);
      const list = make("dl", "");
      for (const [name, value] of rows) list.append(make("dt", "", name), make("dd", "", value));
      this.show_card(event, make("strong", "", `dimension ${d}`), list);
    }

    exports() {
      return qk_atlas.inspect_exports.of_neurons(this);
    }

    shown() {
      const { about, rotary, queries, rows, place } = this.data ?? {};
      const explained = this.model?.lines.map((line) => line.explained);
      return {
        ...place, query: this.query, queries: queries ?? [], compare: this.options.compare, key: this.options.key,
        dimensions: this.options.dimensions, rotary: rotary ?? null, head_dim: about?.head_dim ?? null,
        n_keys: rows?.[0][0].explained.weights.length ?? 0, n_rows: this.rows.rows.size,
        sums: (explained ?? []).map(({ weights, sink_weight }) => weights.reduce((sum, one) => sum + one, sink_weight)),
        weights: explained?.[0] ? Array.from(explained[0].weights.slice(0, 8)) : [],
        columns: this.model?.columns.map(({ name }) => name) ?? [],
      };
    }
  }

  qk_atlas.neuron_view = { mount: (...of) => mount(NeuronView, ...of) };
})();
