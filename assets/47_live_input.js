"use strict";
// The box for an input of one's own: a text, two, or a picture; its tokens, to be masked or replaced.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { make, mount } = qk_atlas.stage;
  const { box_names, edited, file_fault, mask_words, text_fault, told } = qk_atlas.live_data;

  const look_every_ms = 150;

  /** Ask the server; the error is what it says. */
  async function ask(url, options) {
    let response;
    try {
      response = await fetch(url, options);
    } catch (error) {
      if (options?.signal?.aborted) throw error;
      throw new Error("The server could not be reached. Check that the dashboard is still running.");
    }
    if (response.ok) return response.json();
    const words = response.status === 413 ? "this is too large" : (await response.text()).trim();
    throw new Error(words.slice(0, 500) || `the server answered ${response.status}`);
  }

  /** Return what was given for a live capture; the error says that it is gone. */
  async function given_of(capture, signal) {
    const given = await ask(`/api/live/input/${capture}.json`, { signal });
    if (given.missing) throw new Error(given.missing);
    return given;
  }

  /** Return the options of a request with a JSON body. */
  const posted = (body) => ({
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });

  const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

  /**
   * config: {model, part, rotary, modality, atlas, hint}. options: source ({capture, sequence, is_live}),
   * sequence (of the corpus, that can be edited, or null).
   * events: {type: "shown", source: {capture, sequence, model, is_live, compared}}.
   */
  class LiveInput {
    constructor(element, config, on_event) {
      Object.assign(this, { element, config, on_event, options: { source: null, sequence: null }, given: null, job: null });
      this.leaving = new AbortController();
      element.classList.add("qk-live");
      this.build();
      qk_atlas.views[element.id] = this;
      this.draw();
    }

    build() {
      const { modality } = this.config;
      this.form = make("form", "qk-live-form");
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.run();
      });
      if (modality === "image") this.build_drop();
      else this.build_texts();
      this.run_button = make("button", "qk-button", "Run", { type: "submit", "data-kind": "primary" });
      this.cancel_button = make("button", "qk-button", "Cancel", { type: "button" });
      this.cancel_button.addEventListener("click", () => this.cancel());
      this.edit_button = make("button", "qk-button", "Edit this sequence", {
        type: "button", title: "run the model on the shown text alone, then mask or replace its tokens",
      });
      this.edit_button.addEventListener("click", () => this.run_sequence());
      this.status = make("span", "qk-live-status", "", { role: "status" });
      const row = make("div", "qk-live-row");
      row.append(...(modality === "image" ? [] : [this.run_button]), this.cancel_button, this.edit_button, this.status);
      this.error = make("p", "qk-live-error", "", { role: "alert" });
      this.hint = make("p", "qk-live-note", this.config.hint ?? "");
      this.chips = qk_atlas.live_tokens.make_tokens((position, word) => this.edit(position, word));
      this.form.append(row, this.error, this.hint);
      this.element.replaceChildren(this.form, this.chips.element);
    }

    build_texts() {
      const names = box_names(this.config.part);
      const area = (name, rows) => {
        const label = make("label", "qk-live-field");
        const text = make("textarea", "qk-live-text", "", {
          rows: String(rows), spellcheck: "false", placeholder: `type ${name === "text" ? "a text" : `the ${name}`}`,
        });
        label.append(make("span", "qk-label", name), text);
        return { label, text };
      };
      this.first = area(names.text, 3);
      this.second = area(names.pair, 2);
      this.more = make("button", "qk-live-more", "+ second text, for a pair", { type: "button" });
      this.more.addEventListener("click", () => {
        this.show_second(true);
        this.second.text.focus();
      });
      this.form.append(this.first.label, this.second.label, this.more);
      this.show_second(names.is_both);
      this.form.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
      });
      this.form.addEventListener("focusin", () => this.warm(), { once: true });
    }

    show_second(is_shown) {
      this.second.label.hidden = !is_shown;
      this.more.hidden = is_shown;
    }

    build_drop() {
      this.drop = make("label", "qk-live-drop", "Drop a picture here, or choose a file");
      this.file = make("input", "", "", { type: "file", accept: "image/png,image/jpeg,image/webp" });
      this.drop.append(this.file);
      this.file.addEventListener("change", () => {
        this.run_image(this.file.files[0]);
        this.file.value = "";
      });
      this.drop.addEventListener("dragover", (event) => {
        event.preventDefault();
        this.drop.dataset.over = "";
      });
      for (const type of ["dragleave", "drop"]) this.drop.addEventListener(type, () => delete this.drop.dataset.over);
      this.drop.addEventListener("drop", (event) => {
        event.preventDefault();
        this.run_image(event.dataTransfer.files[0]);
      });
      this.form.append(this.drop);
      this.drop.addEventListener("pointerenter", () => this.warm(), { once: true });
    }

    /** Have the model loaded while somebody still types; nothing is lost when that fails. */
    warm() {
      ask("/api/live/warm", posted({ model: this.config.model })).catch(() => {});
    }

    run() {
      if (!this.first || this.job) return;
      const { model, part, rotary } = this.config;
      const text = this.first.text.value;
      const pair = this.second.label.hidden ? "" : this.second.text.value;
      const fault = text_fault(text, pair);
      if (fault) this.fail(fault);
      else this.submit("text", posted({ model, part, rotary, text, pair }));
    }

    run_image(file) {
      if (!file || this.job) return;
      const fault = file_fault(file);
      if (fault) {
        this.fail(fault);
        return;
      }
      const body = new FormData();
      const { model, part } = this.config;
      body.append("model", model);
      if (part) body.append("part", part);
      body.append("image", file);
      this.submit("image", { method: "POST", body });
    }

    run_sequence() {
      const { sequence } = this.options;
      this.submit("sequence", posted({ atlas: this.config.atlas, sequence }));
    }

    /** Mask a token (null), replace it by a word, or take its edit back (undefined); null, null: all. */
    edit(position, word) {
      if (this.job) return;
      const { capture, edits } = this.given;
      const all = position === null ? [] : edited(edits, position, word);
      this.submit("edit", posted({ capture, edits: all }));
    }

    /** Submit an input and follow it to its end. */
    async submit(route, options) {
      const { signal } = this.leaving;
      this.fail("");
      this.job = { state: "queued", position: 0 };
      this.draw();
      try {
        this.job = await ask(`/api/live/${route}`, { ...options, signal });
        while (["queued", "running"].includes(this.job.state)) {
          this.draw();
          await new Promise((done) => { setTimeout(done, look_every_ms); });
          this.job = await ask(`/api/live/job/${this.job.job}.json`, { signal });
        }
        const { capture, state, error } = this.job;
        if (capture) await this.show(capture);
        else this.fail(state === "cancelled" ? "" : error || `This input is ${state}.`);
      } catch (error) {
        if (signal.aborted) return;
        this.fail(error.message);
      }
      this.job = null;
      this.draw();
    }

    async show(capture) {
      const given = await given_of(capture, this.leaving.signal);
      this.take(given);
      this.on_event({ type: "shown", source: qk_atlas.live_input.source_of(given) });
    }

    /** Show what was given: its text in the boxes, its tokens below. */
    take(given) {
      this.given = given;
      if (!this.first || given.text === null) return;
      this.first.text.value = given.text;
      this.second.text.value = given.pair ?? "";
      this.show_second(Boolean(given.pair) || box_names(this.config.part).is_both);
    }

    cancel() {
      if (!this.job?.job) return;
      this.job.is_stopping = true;
      this.draw();
      ask(`/api/live/job/${this.job.job}/cancel`, { method: "POST" }).catch((error) => this.fail(error.message));
    }

    fail(words) {
      this.error.textContent = sentence(words);
    }

    /** Merge options; a live source that another box has run is shown here too. */
    set(options) {
      Object.assign(this.options, options);
      const { source } = this.options;
      if (source?.is_live && this.given?.capture !== source.capture && !this.job) {
        const { signal } = this.leaving;
        given_of(source.capture, signal).then((given) => {
          this.take(given);
          this.draw();
        }, (error) => signal.aborted || this.fail(error.message));
      }
      this.draw();
    }

    draw() {
      const { source } = this.options;
      const is_busy = this.job !== null;
      const is_live = Boolean(source?.is_live);
      this.element.dataset.state = is_busy ? "busy" : "ready";
      this.run_button.disabled = is_busy;
      this.cancel_button.hidden = !this.job?.job;
      this.edit_button.hidden = is_busy || is_live || !this.first || this.options.sequence === null;
      this.hint.hidden = is_live;
      this.status.textContent = is_busy ? told(this.job) : "";
      const shown = is_live && this.given?.capture === source.capture ? this.given : null;
      this.chips.set(shown, { is_busy, words: shown && mask_words(shown.mask, shown.model) });
    }

    state() {
      return {
        state: this.element.dataset.state, status: this.status.textContent, error: this.error.textContent,
        capture: this.given?.capture ?? null, n_tokens: this.given?.tokens.length ?? 0,
        edits: this.given?.edits ?? [],
      };
    }

    destroy() {
      if (qk_atlas.views[this.element.id] !== this) return;
      this.leaving.abort();
      this.element.classList.remove("qk-live");
      delete this.element.dataset.state;
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  /** Return what the views look at when a live input is shown. */
  function source_of({ capture, model, compared }) {
    return { capture, sequence: 0, model, is_live: true, compared: compared ?? null };
  }

  /** Mount a box in the place of the one that was there; what was typed for a text model stays. */
  function mount_box(element, config, on_event) {
    const before = qk_atlas.views[element.id];
    const typed = before?.first && [before.first.text.value, before.second.text.value];
    const box = mount(LiveInput, element, config, on_event);
    if (typed && box.first) [box.first.text.value, box.second.text.value] = typed;
    return box;
  }

  qk_atlas.live_input = { mount: mount_box, source_of, given_of };
})();
