"use strict";
// Chooses one sequence of a corpus: a box that searches while one types, its list, and two arrows.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const shown_max = 60;

  /**
   * Return the sequences that hold all words of a search, in their order.
   * @param {{label: string, words: string}[]} sequences
   * @param {string} text number, label or words, in any case
   * @returns {number[]} at most `shown_max`
   */
  function find_sequences(sequences, text) {
    const terms = text.toLowerCase().split(/\s+/u).filter(Boolean);
    const found = [];
    for (let i = 0; i < sequences.length && found.length < shown_max; i += 1) {
      const { label, words } = sequences[i];
      const all = `${i} ${label} ${words}`.toLowerCase();
      if (terms.every((term) => all.includes(term))) found.push(i);
    }
    return found;
  }

  qk_atlas.sequence_chooser = { find_sequences };
  if (typeof module !== "undefined") module.exports = qk_atlas.sequence_chooser;
  if (typeof document === "undefined") return;

  const { fetch_json, make, mount } = qk_atlas.stage;
  const { visible_text } = qk_atlas.attention;

  /**
   * config: {capture_url, has_images}. options: sequence. events: {type: "choose", sequence}.
   */
  class SequenceChooser {
    constructor(element, config, on_event) {
      Object.assign(this, { element, config, on_event, options: { sequence: 0 }, sequences: [], at: -1 });
      this.fetching = new AbortController();
      const list_id = `${element.id}-list`;
      this.input = make("input", "qk-chooser-input", "", {
        type: "search", role: "combobox", "aria-expanded": "false", "aria-controls": list_id,
        "aria-autocomplete": "list", "aria-label": "find a sequence", autocomplete: "off",
        placeholder: "find a sequence", maxlength: "200",
      });
      this.list = make("ul", "qk-chooser-list", "", { role: "listbox", id: list_id, "aria-label": "sequences" });
      this.list.hidden = true;
      const arrow = (text, name, step) => {
        const button = make("button", "qk-button qk-arrow", text, { type: "button", "aria-label": name, title: name });
        button.addEventListener("click", () => this.choose(this.options.sequence + step));
        return button;
      };
      this.previous = arrow("←", "previous sequence", -1);
      this.next = arrow("→", "next sequence", 1);
      this.count = make("span", "qk-chooser-count");
      this.words = make("p", "qk-chooser-words");
      this.picture = make("img", "qk-chooser-picture", "", { alt: "the image as the model saw it" });
      this.picture.hidden = true;
      const row = make("div", "qk-chooser-row");
      row.append(this.previous, this.count, this.next);
      element.classList.add("qk-chooser");
      element.replaceChildren(this.input, this.list, row, this.picture, this.words);
      this.listen();
      qk_atlas.views[element.id] = this;
      this.load();
    }

    async load() {
      try {
        this.sequences = await fetch_json(`${this.config.capture_url}/sequences.json`, this.fetching.signal);
        this.draw();
      } catch (error) {
        if (!this.fetching.signal.aborted) this.words.textContent = `The list could not be loaded: ${error.message}.`;
      }
    }

    listen() {
      const { input, list } = this;
      input.addEventListener("input", () => this.open());
      input.addEventListener("focus", () => this.open());
      input.addEventListener("blur", () => this.close());
      input.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
          event.preventDefault();
          if (list.hidden) this.open();
          this.mark(Math.max(0, Math.min(this.found.length - 1, this.at + step)));
        }
        if (event.key === "Enter" && !list.hidden && this.found.length) this.choose(this.found[Math.max(0, this.at)]);
        if (event.key === "Escape") this.close();
      });
      // Before the box loses the focus, else the list is gone when the click arrives.
      list.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        const option = event.target.closest("li[data-sequence]");
        if (option) this.choose(Number(option.dataset.sequence));
      });
    }

    open() {
      this.found = find_sequences(this.sequences, this.input.value);
      this.list.replaceChildren(...this.found.map((i) => {
        const { words, length, label } = this.sequences[i];
        const option = make("li", "", "", { role: "option", id: `${this.list.id}-${i}`, "data-sequence": i, "aria-selected": "false" });
        option.append(make("span", "qk-chooser-number", String(i)),
          make("span", "qk-chooser-text", visible_text(words || label)), make("span", "qk-chooser-number", String(length)));
        return option;
      }));
      if (!this.found.length) this.list.append(make("li", "qk-chooser-none", "no sequence holds these words"));
      this.list.hidden = false;
      this.input.setAttribute("aria-expanded", "true");
      this.mark(this.input.value ? 0 : this.found.indexOf(this.options.sequence));
    }

    mark(at) {
      this.list.children[this.at]?.setAttribute("aria-selected", "false");
      this.at = at;
      const option = this.found.length ? this.list.children[at] : null;
      if (!option) {
        this.input.removeAttribute("aria-activedescendant");
        return;
      }
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    }

    close() {
      this.list.hidden = true;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
      this.input.value = "";
    }

    choose(sequence) {
      if (!this.sequences[sequence]) return;
      this.close();
      this.set({ sequence });
      this.on_event({ type: "choose", sequence });
    }

    set(options) {
      Object.assign(this.options, options);
      this.draw();
    }

    draw() {
      const { sequence } = this.options;
      const n = this.sequences.length;
      const one = this.sequences[sequence];
      this.previous.disabled = !n || sequence <= 0;
      this.next.disabled = !n || sequence >= n - 1;
      this.count.textContent = one ? `sequence ${sequence} of 0–${n - 1}` : "";
      this.words.textContent = one ? visible_text(one.words || one.label) : "";
      const image = this.config.has_images && one ? `${this.config.capture_url}/image/${sequence}.png` : "";
      this.picture.hidden = !image;
      if (image && this.picture.getAttribute("src") !== image) this.picture.src = image;
      this.words.title = one ? `${one.label}, ${one.length} tokens` : "";
    }

    state() {
      return { sequence: this.options.sequence, n_sequences: this.sequences.length, found: this.found ?? [] };
    }

    destroy() {
      this.fetching.abort();
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  qk_atlas.sequence_chooser.mount = (...of) => mount(SequenceChooser, ...of);
})();
