"use strict";
// What the sentence view and the image view share: frame, loading, one redraw a frame, events.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  qk_atlas.views ??= {};

  const { make, fit_canvas, fetch_array } = qk_atlas.stage;

  /** Make an SVG element with the given attributes. */
  function make_svg(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  /**
   * Fill a table; the first column heads its row, all further ones are figures.
   * @param {HTMLTableElement} table
   * @param {string} caption
   * @param {string[]} headings
   * @param {string[][]} rows
   */
  function fill_table(table, caption, headings, rows) {
    const head = make("tr", "");
    head.append(...headings.map((text) => make("th", "", text, { scope: "col" })));
    const body = rows.map(([name, ...figures]) => {
      const row = make("tr", "");
      row.append(make("th", "", name, { scope: "row", title: name }));
      row.append(...figures.map((figure) => make("td", "", figure)));
      return row;
    });
    table.replaceChildren(make("caption", "", caption), head, ...body);
  }

  /**
   * Return the weights of a config: (n_tokens ** 2) float32, those it has, those that were asked for
   * before the view was there (`arriving`, once), or those of its address.
   */
  async function load_weights(config, signal) {
    const { arriving, weights_url, tokens } = config;
    const n_weights = tokens.length ** 2;
    config.arriving = null;
    const weights = config.weights
      ?? await (arriving ?? fetch_array(weights_url, Float32Array, signal));
    if (weights.length === n_weights) return weights;
    throw new Error(`found ${weights.length} weights, expected ${n_weights}`);
  }

  const is_same_place = (a, b) => a?.side === b?.side && a?.position === b?.position;

  /**
   * A mounted view. A place is `{side: "query"|"key", position}` or null; a position counts the
   * tokens of the sequence. Subclasses give `build`, `load`, `draw`, `shown` and `empty_text`.
   */
  class Panel {
    constructor(element, config, on_event, options) {
      this.element = element;
      this.config = config;
      this.tokens = config.tokens ?? [];
      this.on_event = on_event;
      this.options = { picked: null, hot: null, ...options };
      this.weights = null;
      this.frame = 0;
      this.fetching = new AbortController();
      this.make_frame();
      this.observer = new ResizeObserver(() => {
        if (element.isConnected) this.redraw();
        else this.destroy();
      });
      this.observer.observe(element);
      qk_atlas.views[element.id] = this;
      if (this.tokens.length === 0) {
        this.enter("empty", this.empty_text);
        return;
      }
      this.build();
      this.start();
    }

    make_frame() {
      const head = make("header", "qk-panel-head");
      this.names = [make("h2", ""), make("span", "")];
      head.append(...this.names);
      this.tell_name();
      this.note = make("p", "qk-panel-note", "", { role: "status" });
      this.tools = make("div", "qk-panel-tools");
      this.body = make("div", "qk-panel-body");
      this.message = make("div", "qk-panel-message", "", { role: "alert" });
      this.body.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.picked) this.pick(this.picked);
      });
      this.element.classList.add("qk-panel");
      this.element.replaceChildren(head, this.note, this.tools, this.body, this.message);
    }

    /** Say what the picture is of: what was asked for, as soon as that is there. */
    tell_name() {
      const { title, subtitle } = this.config;
      [title, subtitle].forEach((text, i) => { this.names[i].textContent = text; });
    }

    /** Show other weights of the same tokens, such as those of another head; all else stays. */
    turn_to(config, on_event) {
      this.fetching.abort();
      this.fetching = new AbortController();
      Object.assign(this, { config, on_event });
      if (this.tokens.length) this.start();
      else this.tell_name();
    }

    /** Show a state, in words where there is no picture. */
    enter(state, text = "") {
      this.element.dataset.state = state;
      this.message.textContent = text;
    }

    async start() {
      this.enter("loading");
      const { signal } = this.fetching;
      try {
        this.weights = await this.load(signal);
      } catch (error) {
        if (!signal.aborted) this.fail(error);
        return;
      }
      if (signal.aborted) return;
      this.tell_name();
      this.draw();
      this.enter("ready");
    }

    fail(error) {
      this.tell_name();
      const reason = error.message || error.name;
      const text = `This attention could not be loaded: ${reason}. `
        + "Check that the dashboard is still running, then try again.";
      this.enter("error", text);
      const retry = make("button", "qk-button", "Try again", { type: "button" });
      retry.addEventListener("click", () => this.start());
      this.message.append(retry);
    }

    /** Merge options and draw once, on the next animation frame. */
    set(options) {
      Object.assign(this.options, options);
      this.redraw();
    }

    redraw() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.weights && this.draw());
    }

    /** Return the place if the sequence has it: the map may still speak of another sequence. */
    known(place) {
      return place && place.position < this.tokens.length ? place : null;
    }

    get picked() {
      return this.known(this.options.picked);
    }

    get hot() {
      return this.known(this.options.hot);
    }

    /** Pick a place, or let it go when it is the picked one, and tell. */
    pick(place) {
      const picked = is_same_place(place, this.picked) ? null : place;
      this.set({ picked });
      this.emit("pick", picked);
    }

    /** Note where the pointer or the focus is, and tell when that changed. */
    hover(place) {
      if (is_same_place(place, this.options.hot)) return;
      this.set({ hot: place });
      this.emit("hover", place);
    }

    emit(type, place) {
      this.on_event({ type, side: place?.side ?? null, position: place?.position ?? null });
    }

    state() {
      const { picked, hot } = this;
      const n_tokens = this.tokens.length;
      return { state: this.element.dataset.state, n_tokens, picked, hot, ...this.shown() };
    }

    destroy() {
      // A second call must not take away the view that came after this one.
      if (qk_atlas.views[this.element.id] !== this) return;
      this.fetching.abort();
      this.observer.disconnect();
      cancelAnimationFrame(this.frame);
      this.element.classList.remove("qk-panel");
      delete this.element.dataset.state;
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  /** Mount a view in the place of the one that was there; what the user had chosen stays. */
  function mount(View, element, config, on_event) {
    const before = qk_atlas.views[element.id];
    const kept = before ? before.state() : {};
    before?.destroy();
    return new View(element, config, on_event, kept);
  }

  qk_atlas.panel = { make_svg, fill_table, load_weights, Panel, mount };
})();
