"use strict";
// The line above the matrix: go to a head, and sort, dim, hide or outline heads by a figure. What
// is chosen here outlives the matrix, so that it is there again after a look at one head.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { make } = qk_atlas.stage;
  const { figures } = qk_atlas;

  const steps = 100; // of the slider
  const chosen = { figure: "", order: "layer", keep: "least", share: null, others: "dim" };
  const wordings = {
    order: { layer: "by layer", figure: "by figure" },
    keep: { least: "at least", most: "at most" },
    others: { dim: "dim the others", hide: "hide the others", outline: "outline these" },
  };

  function select(label, options, value, on_change) {
    const element = make("select", "qk-select", "", { "aria-label": label, title: label });
    element.append(...Object.entries(options).map(([name, words]) => {
      const option = make("option", "", words);
      option.value = name;
      return option;
    }));
    element.value = value;
    element.addEventListener("change", () => on_change(element.value));
    return element;
  }

  class MatrixBar {
    constructor(element, config, on_event) {
      this.element = element;
      this.config = config;
      this.on_event = on_event;
      this.listed = [];
      this.find = make("input", "qk-go-to", "", {
        type: "search", placeholder: "go to L3 H9", "aria-label": "go to a head, such as L3 H9",
        autocomplete: "off", spellcheck: "false",
      });
      this.find.addEventListener("input", () => this.go_to(false));
      this.find.addEventListener("keydown", (event) => {
        if (event.key === "Enter") this.go_to(true);
      });
      this.slider = make("input", "", "", {
        type: "range", min: "0", max: String(steps), "aria-label": "bound of the figure",
      });
      this.slider.addEventListener("input", () => this.choose("share", this.slider.value / steps));
      this.bound = make("output", "qk-bound");
      this.reset = make("button", "qk-button", "reset zoom", { type: "button" });
      this.reset.hidden = true;
      this.reset.addEventListener("click", () => on_event({ type: "reset" }));
      this.menu = make("span", "qk-bar-menu");
      qk_atlas.export_menu?.fill(this.menu, config.exports ?? []);
      this.build();
      qk_atlas.views[element.id] = this;
    }

    build() {
      const names = Object.fromEntries(figures.known_figures(this.listed)
        .map((name) => [name, figures.name_of(name)]));
      const figure = select("figure of the heads", { "": "all heads alike", ...names },
        chosen.figure in names ? chosen.figure : "", (value) => this.choose("figure", value));
      const rest = ["order", "keep", "others"].map((name) => (
        select(name, wordings[name], chosen[name], (value) => this.choose(name, value))));
      const [order, keep, others] = rest;
      const tools = make("span", "qk-bar-tools");
      tools.append(order, keep, this.slider, this.bound, others);
      tools.hidden = !chosen.figure;
      this.count = make("span", "qk-bar-count", "", { role: "status" });
      this.element.replaceChildren(this.find, figure, tools, this.count,
        make("span", "qk-spring"), this.reset, this.menu);
      this.show_bound();
    }

    /** Note a choice and tell the matrix. */
    choose(name, value) {
      chosen[name] = value;
      if (name === "figure") {
        chosen.share = null;
        this.build();
      }
      this.show_bound();
      this.tell();
    }

    get values() {
      return chosen.figure ? figures.values_of(this.listed, chosen.figure) : null;
    }

    show_bound() {
      const [least, most] = figures.range_of(this.values ?? []);
      this.limit = chosen.share === null ? null : least + chosen.share * (most - least);
      this.slider.value = String((chosen.share ?? (chosen.keep === "least" ? 0 : 1)) * steps);
      this.bound.textContent = this.limit === null ? "any" : figures.text_of(this.limit);
    }

    tell() {
      const { values } = this;
      const known = values?.some((value) => value !== null) ? values : null;
      const { order, keep, others } = chosen;
      this.on_event({ type: "arrange", values: known, order, keep, others, bound: this.limit });
    }

    go_to(is_final) {
      const index = figures.cell_named(this.find.value, this.config.cells);
      this.find.classList.toggle("qk-not-found", this.find.value.trim() !== "" && index < 0);
      if (index >= 0) this.on_event({ type: is_final ? "open" : "show", index });
    }

    /** Take what is known of the heads, how many are kept, and whether the grid is zoomed. */
    set({ listed, n_kept, is_zoomed }) {
      if (listed) {
        this.listed = listed;
        this.build();
        this.tell();
      }
      if (n_kept !== undefined) {
        const { length } = this.config.cells;
        this.count.textContent = n_kept < length ? `${n_kept} of ${length} heads` : "";
      }
      if (is_zoomed !== undefined) this.reset.hidden = !is_zoomed;
    }

    state() {
      return { ...chosen, bound: this.limit, figures: figures.known_figures(this.listed) };
    }

    destroy() {
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  qk_atlas.matrix_bar = {
    mount(element, config, on_event) {
      qk_atlas.views[element.id]?.destroy();
      return new MatrixBar(element, config, on_event);
    },
  };
})();
