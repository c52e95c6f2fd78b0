"use strict";
// What the three inspect views share: frame, loading of one input, weights of a layer, tools, card.
// They need a config and data addresses, nothing of the dashboard.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  qk_atlas.views ??= {};

  const { fetch_array, fetch_json, make } = qk_atlas.stage;
  const { difference } = qk_atlas.inspect_data;

  /** Make a labelled list to choose from. */
  function make_select(label, options, on_change) {
    const field = make("label", "qk-tool", label);
    const select = make("select", "qk-select");
    for (const [value, text] of Object.entries(options)) {
      select.append(make("option", "", text, { value }));
    }
    select.addEventListener("change", () => on_change(select.value));
    field.append(select);
    return { field, select };
  }

  /** Make a button of the bar. */
  function make_button(text, title, on_click) {
    const button = make("button", "qk-button", text, { type: "button", title });
    button.addEventListener("click", on_click);
    return button;
  }

  /** Make a labelled slider over fixed steps. */
  function make_slider(label, steps, on_change) {
    const field = make("label", "qk-tool", label);
    const slider = make("input", "", "", { type: "range", min: "0", max: `${steps.length - 1}`, step: "1" });
    const output = make("output", "qk-bound");
    slider.addEventListener("input", () => on_change(steps[slider.valueAsNumber]));
    field.append(slider, output);
    const show = (value) => {
      slider.value = String(steps.findLastIndex((step) => step <= value));
      slider.setAttribute("aria-valuetext", String(value));
      output.textContent = String(value);
    };
    return { field, show };
  }

  /**
   * A mounted view of one sequence.
   *
   * config: {capture_url, compared_url: string|null (another capture with the same tokens; then
   * differences are drawn), sequence, title, provenance, links: {map} (an address with `{layer}` and
   * `{head}`; may be missing)}.
   * Subclasses give `build`, `load`, `draw`, `shown` and `exports`.
   */
  class InspectView {
    constructor(element, config, on_event, options) {
      this.element = element;
      this.config = config;
      this.on_event = on_event;
      this.options = options;
      this.fetched = new Map(); // address -> promise
      this.frame = 0;
      this.fetching = new AbortController();
      this.bar = make("div", "qk-bar qk-inspect-bar");
      this.note = make("p", "qk-inspect-note", "", { role: "status" });
      this.body = make("div", "qk-inspect-body");
      this.card = make("div", "qk-card", "", { role: "tooltip", id: `${element.id}-card` });
      this.card.hidden = true;
      this.message = make("div", "qk-inspect-message", "", { role: "alert" });
      element.classList.add("qk-inspect");
      element.replaceChildren(this.bar, this.body, this.note, this.message, this.card);
      this.observer = new ResizeObserver(() => {
        if (element.isConnected) this.redraw();
        else this.destroy();
      });
      this.observer.observe(element);
      qk_atlas.views[element.id] = this;
      this.start();
    }

    get is_difference() {
      return Boolean(this.config.compared_url);
    }

    get signal() {
      return this.fetching.signal;
    }

    enter(state, ...words) {
      this.element.dataset.state = state;
      this.message.replaceChildren(...words);
    }

    /** Load what the options ask for; a call during a load makes it look once more. */
    async start() {
      this.is_stale = true;
      if (this.is_loading) return;
      this.is_loading = true;
      this.enter("loading");
      try {
        if (!this.input) {
          this.input = await this.load_input();
          if (this.signal.aborted) return;
          this.build();
        }
        this.is_ready = false;
        while (this.is_stale) {
          this.is_stale = false;
          await this.load();
          if (this.signal.aborted) return;
        }
        this.enter("ready");
        this.is_ready = true;
        this.draw();
      } catch (error) {
        if (!this.signal.aborted) this.fail(error);
      }
      this.is_loading = false;
    }

    /** Fetch the tokens of the input; a compared one must have as many. */
    async load_input() {
      const urls = [this.config.capture_url, this.config.compared_url].filter(Boolean);
      const [now, before] = await Promise.all(
        urls.map((url) => fetch_json(`${url}/sequence/${this.config.sequence}.json`, this.signal)));
      const length = ({ queries, keys }) => `${queries.text.length} × ${keys.text.length}`;
      if (before && length(now) !== length(before)) {
        throw new Error(`two inputs of ${length(now)} and ${length(before)} tokens cannot be subtracted`);
      }
      return now;
    }

    fail(error) {
      const words = make("p", "");
      if (error.status === 404) {
        words.textContent = `There is no sequence ${this.config.sequence} here. Choose one from the list.`;
        this.enter("error", words);
        return;
      }
      words.textContent = `This attention could not be loaded: ${error.message || error.name}. `
        + "Check that the dashboard is still running, then try again.";
      this.enter("error", words, make_button("Try again", "load once more", () => {
        this.fetched.clear();
        this.start();
      }));
    }

    /** Fetch once. */
    once(url, type) {
      if (!this.fetched.has(url)) {
        const found = fetch_array(url, type, this.signal);
        found.catch(() => this.fetched.delete(url));
        this.fetched.set(url, found);
      }
      return this.fetched.get(url);
    }

    /**
     * Return all heads of a layer in 255ths, or how they changed.
     * @returns {Promise<{values: Uint8Array|Int16Array, n_queries: number, n_keys: number}>}
     */
    async layer_weights(layer) {
      const { capture_url, compared_url, sequence } = this.config;
      const address = `weights/${sequence}/${layer}.u8`;
      const [now, before] = await Promise.all([capture_url, compared_url].filter(Boolean)
        .map((url) => this.once(`${url}/${address}`, Uint8Array)));
      const [n_queries, n_keys] = [this.input.queries.text.length, this.input.keys.text.length];
      return { values: before ? difference(now, before) : now, n_queries, n_keys };
    }

    /** Return the scores of all heads of a layer; see `score_names`. */
    layer_scores(layer) {
      const { capture_url, sequence } = this.config;
      return this.once(`${capture_url}/weights/${sequence}/${layer}/scores.f32`, Float32Array);
    }

    /** Return (n_queries * n_keys) exact weights of one head, or how they changed. */
    async head_weights(layer, head) {
      const { capture_url, compared_url, sequence } = this.config;
      const [now, before] = await Promise.all([capture_url, compared_url].filter(Boolean)
        .map((url) => this.once(`${url}/attention/${sequence}/${layer}/${head}.f32`, Float32Array)));
      return before ? now.map((weight, i) => weight - before[i]) : now;
    }

    /** Make the link to the map of a head; nothing where there are no maps. */
    map_link(layer, head) {
      const { map } = this.config.links ?? {};
      if (!map) return null;
      const link = make("a", "qk-button", `open L${layer} H${head} on its map`, {
        href: map.replace("{layer}", layer).replace("{head}", head),
      });
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.emit("open_map", { layer, head });
      });
      return link;
    }

    /** Make what the colours of a difference mean, for `scale.show`; nothing where none is drawn. */
    difference_legend(look) {
      this.scale = this.is_difference ? new qk_atlas.change_scale.ChangeScale(look) : null;
      return this.scale ? [this.scale.element] : [];
    }

    provenance(head) {
      const { provenance, sequence } = this.config;
      return { ...provenance, sequence, ...(head ? { head } : {}) };
    }

    make_exports() {
      const holder = make("span", "");
      qk_atlas.export_menu.fill(holder, this.exports());
      return holder;
    }

    /** Show the card beside the pointer, where it fits. */
    show_card({ clientX, clientY }, ...content) {
      this.card.replaceChildren(...content);
      this.card.hidden = false;
      const view = this.element.getBoundingClientRect();
      const { offsetWidth, offsetHeight } = this.card;
      const right = clientX - view.left + 14;
      const left = right + offsetWidth < view.width ? right : right - offsetWidth - 28;
      const top = Math.min(clientY - view.top + 14, view.height - offsetHeight - 4);
      this.card.style.left = `${Math.max(4, left)}px`;
      this.card.style.top = `${Math.max(4, top)}px`;
    }

    hide_card() {
      this.card.hidden = true;
    }

    emit(type, more = {}) {
      this.on_event({ type, ...more });
    }

    /** Take a choice of the user, draw it, and tell. */
    choose(changes) {
      this.set(changes);
      this.emit("change", { changes });
    }

    /** Merge options and draw once, on the next animation frame. */
    set(options) {
      Object.assign(this.options, options);
      this.redraw();
    }

    redraw() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.is_ready && !this.signal.aborted && this.draw());
    }

    state() {
      const state = this.element.dataset.state;
      const sides = this.input && [this.input.queries.text.length, this.input.keys.text.length];
      return {
        state, ready: state === "ready", n_tokens: sides ?? null, sequence: this.config.sequence,
        is_difference: this.is_difference, changes: this.scale?.range ?? null, ...(this.input ? this.shown() : {}),
      };
    }

    destroy() {
      if (qk_atlas.views[this.element.id] !== this) return;
      this.fetching.abort();
      this.observer.disconnect();
      cancelAnimationFrame(this.frame);
      this.element.classList.remove("qk-inspect");
      delete this.element.dataset.state;
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  qk_atlas.inspect = { InspectView, make_select, make_button, make_slider };
})();
