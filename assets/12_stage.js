"use strict";
// What the point views share: loading, one redraw a frame, colours of the page, card, registry.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  qk_atlas.views ??= {};

  const canvas_side_max = 8192;
  const brought_along = (url) => qk_atlas.inline?.bytes_of(qk_atlas.inline.table, url) ?? null;

  /**
   * Make an element; text only ever becomes text.
   * @param {string} tag
   * @param {string} class_name
   * @param {string} [text]
   * @param {Object<string, string>} [attributes]
   */
  function make(tag, class_name, text = "", attributes = {}) {
    const element = document.createElement(tag);
    element.className = class_name;
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  /** Fetch and check the answer; the error says which address and what was wrong. */
  async function fetch_checked(url, options) {
    let response;
    try {
      response = await fetch(url, options);
    } catch (error) {
      if (options.signal.aborted) throw error;
      throw new Error("the server could not be reached");
    }
    if (response.ok) return response;
    const error = new Error(`the server answered ${response.status} to ${url}`);
    error.status = response.status;
    throw error;
  }

  /** Fetch a binary route as an array of the given type (Uint8Array, Uint16Array, ...). */
  async function fetch_array(url, type, signal) {
    const brought = brought_along(url);
    if (brought) return new type(brought);
    const response = await fetch_checked(url, { signal });
    return new type(await response.arrayBuffer());
  }

  /** Fetch a JSON route; asks the server whether a stored copy is still good. */
  async function fetch_json(url, signal) {
    const brought = brought_along(url);
    if (brought) return JSON.parse(new TextDecoder().decode(brought));
    return (await fetch_checked(url, { signal, cache: "no-cache" })).json();
  }

  const remembered = new Map(); // address -> promise of what is there

  /** Fetch what never changes once for as long as the page is open; who gets it must not write it. */
  function remember(url, ask) {
    if (!remembered.has(url)) {
      const found = ask(new AbortController().signal);
      found.catch(() => remembered.delete(url));
      remembered.set(url, found);
    }
    return remembered.get(url);
  }

  const remember_json = (url) => remember(url, (signal) => fetch_json(url, signal));
  const remember_array = (url, type) => remember(url, (signal) => fetch_array(url, type, signal));

  /** Run `work` on every item, at most `limit` at once; the first failure ends it. */
  async function in_turn(items, limit, work) {
    const waiting = items[Symbol.iterator]();
    let is_open = true;
    const runner = async () => {
      for (const item of waiting) {
        if (!is_open) return;
        await work(item);
      }
    };
    try {
      await Promise.all(Array.from({ length: limit }, runner));
    } finally {
      is_open = false;
    }
  }

  /** Return the colours of the theme as CSS text: surface, text, text_2, hairline, ... */
  function read_colours(element) {
    const style = getComputedStyle(element);
    const names = ["surface", "text", "text-2", "hairline", "query", "key", "select"];
    return Object.fromEntries(names.map((name) => (
      [name.replace("-", "_"), style.getPropertyValue(`--qk-${name}`).trim()]
    )));
  }

  /**
   * Give a canvas the size of its box in device pixels.
   * @returns {number} device pixels for one CSS pixel
   */
  function fit_canvas(canvas, width, height) {
    const ratio = Math.min(devicePixelRatio, canvas_side_max / Math.max(width, height, 1));
    const size = [width, height].map((side) => Math.max(1, Math.round(side * ratio)));
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    return ratio;
  }

  /** Return the frame of a canvas (see 10_points.js); the last one where it still fits. */
  function frame_of(canvas, last, is_deep) {
    const { width, height } = canvas;
    if (last?.width === width && last.height === height) return last;
    const image = new ImageData(width, height);
    const depths = is_deep ? new Float32Array(width * height) : null;
    return { image, pixels: new Uint32Array(image.data.buffer), depths, width, height };
  }

  /**
   * A mounted point view. Subclasses give `build`, `load(signal)`, `draw` and `shown`; they draw
   * only when `lut` is there and `has_picture` says so.
   */
  class PointView {
    constructor(element, config, on_event, options) {
      this.element = element;
      this.config = config;
      this.on_event = on_event;
      this.options = {
        encoding: "type", ramp: "type", hits: null, lut_url: config.lut_url, ...options,
      };
      this.lut = null;
      this.frame_request = 0;
      this.fetching = new AbortController();
      this.body = make("div", "qk-points-body");
      this.message = make("div", "qk-points-message", "", { role: "alert" });
      this.card = make("div", "qk-points-card", "", { role: "tooltip", id: `${element.id}-card` });
      this.card.hidden = true;
      element.classList.add("qk-points");
      element.replaceChildren(this.body, this.card, this.message);
      this.build();
      this.observe();
      qk_atlas.views[element.id] = this;
      this.start();
    }

    /** Redraw when the size or the pixel ratio changes; leave when the page drops the element. */
    observe() {
      this.observer = new ResizeObserver(() => {
        if (this.element.isConnected) this.redraw();
        else this.destroy();
      });
      this.observer.observe(this.element);
      const { signal } = this.fetching;
      const watch_ratio = () => {
        matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", () => {
          this.redraw();
          watch_ratio();
        }, { once: true, signal });
      };
      watch_ratio();
    }

    /** Show a state, in words where there is no picture. */
    enter(state, text = "") {
      this.element.dataset.state = state;
      this.message.textContent = text;
    }

    /** Load what is missing and draw; a call during a load makes it look once more. */
    async start() {
      this.is_wanted = true;
      if (this.is_loading) return;
      this.is_loading = true;
      if (!this.has_picture) this.enter("loading");
      try {
        while (this.is_wanted) {
          this.is_wanted = false;
          await Promise.all([this.load_lut(), this.load(this.fetching.signal)]);
        }
        this.redraw();
      } catch (error) {
        this.fail(error);
      }
      this.is_loading = false;
    }

    /** Fetch the colours; of several wanted in a row the last one counts. */
    async load_lut() {
      const url = this.options.lut_url;
      if (url === this.lut_shown) return;
      const lut = await remember_array(url, Uint8Array);
      if (url !== this.options.lut_url) return;
      this.lut = lut;
      this.lut_shown = url;
      this.redraw();
    }

    fail(error) {
      if (this.fetching.signal.aborted) return;
      const reason = error.message || error.name;
      this.enter("error", `The map could not be loaded: ${reason}. `
        + "Check that the dashboard is still running, then try again.");
      const retry = make("button", "qk-button", "Try again", { type: "button" });
      retry.addEventListener("click", () => {
        this.enter("loading");
        this.start();
      });
      this.message.append(retry);
    }

    /** Merge options and draw once, on the next animation frame. */
    set(options) {
      const changed = Object.keys(options).filter((name) => options[name] !== this.options[name]);
      Object.assign(this.options, options);
      if (changed.includes("lut_url")) this.load_lut().catch((error) => this.fail(error));
      this.redraw(changed);
    }

    /** Draw on the next animation frame; `changed` names the options that changed, if only those. */
    redraw() {
      if (this.fetching.signal.aborted) return; // destroyed; the element may have a new view
      cancelAnimationFrame(this.frame_request);
      this.frame_request = requestAnimationFrame(() => {
        if (!this.has_picture || !this.lut || this.element.dataset.state === "error") return;
        this.draw();
        this.element.dataset.state = this.picture_state;
      });
    }

    /** Show the card beside a box inside the view, where it fits. */
    show_card(box, ...content) {
      this.card.replaceChildren(...content);
      this.card.hidden = false;
      const view = this.element.getBoundingClientRect();
      const { offsetWidth, offsetHeight } = this.card;
      const right = box.right + 8;
      const left = right + offsetWidth <= view.width ? right : box.left - offsetWidth - 8;
      const top = Math.min(box.top, view.height - offsetHeight - 4);
      this.card.style.left = `${Math.max(4, left)}px`;
      this.card.style.top = `${Math.max(4, top)}px`;
    }

    state() {
      const state = this.element.dataset.state;
      return { state, ready: state === "ready", encoding: this.options.encoding, ...this.shown() };
    }

    destroy() {
      this.fetching.abort();
      this.observer.disconnect();
      cancelAnimationFrame(this.frame_request);
      this.element.classList.remove("qk-points");
      delete this.element.dataset.state;
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  /** Mount a view in the place of the one that was there. */
  function mount(View, element, config, on_event) {
    qk_atlas.views[element.id]?.destroy();
    return new View(element, config, on_event);
  }

  qk_atlas.stage = {
    make, fetch_array, fetch_checked, fetch_json, remember_array, remember_json, in_turn, read_colours, fit_canvas, frame_of,
    PointView, mount,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.stage;
})();
