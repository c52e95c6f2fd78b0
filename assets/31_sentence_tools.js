"use strict";
// The controls of the sentence view: weighting, pair, threshold, what is hidden, numbers, export.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const thresholds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
  const weighting_help = {
    attention: "the attention weights themselves",
    value: "weights times the norm of each key's value vector, each row divided by its sum",
    transformed: "weights times the norm of each key's value after the output projection of the "
      + "head (Kobayashi et al. 2020), each row divided by its sum",
  };
  const filter_help = {
    start: "hide the special token at the beginning, as query and as key",
    separators: "hide all other special tokens, as queries and as keys",
    first: "hide whatever comes first, as query and as key",
    punctuation: "hide tokens of punctuation marks alone, as queries and as keys",
    patches: "hide all patches of the image: what words attend to among words",
    words: "hide all words: what patches attend to among patches",
  };

  const { filters, filter_name, pairs } = qk_atlas.weighting;
  const { weighting_names } = qk_atlas.bipartite;
  const { make } = qk_atlas.stage;

  function labelled(text, control, title) {
    const label = make("label", "qk-tool", text, { title });
    label.append(control);
    return label;
  }

  function menu(options, on_change) {
    const select = make("select", "qk-select");
    select.append(...options.map(([value, text]) => make("option", "", text, { value })));
    select.addEventListener("change", () => on_change(select.value));
    return select;
  }

  function button_of(text, title, on_click) {
    const button = make("button", "qk-button", text, { type: "button", title });
    button.addEventListener("click", on_click);
    return button;
  }

  /** The controls of one view; `refresh` makes them say what the view shows. */
  class SentenceTools {
    constructor(view) {
      this.view = view;
      const first = make("div", "qk-tool-row");
      first.append(this.make_weighting(), this.make_threshold());
      if (view.config.is_pair) first.append(this.make_pair());
      const last = make("div", "qk-tool-row");
      this.numbers = button_of("numbers", "the strongest weights as a table",
        () => view.set({ numbers: !view.options.numbers }));
      this.reset = button_of("show all", "show every hidden token again", () => view.show_all());
      last.append(this.numbers, this.reset);
      if (!view.config.is_mean) {
        this.clear = button_of("clear selection", "let the chosen token go (Escape)",
          () => view.pick(view.picked));
        last.append(this.clear);
      }
      this.exports = make("span", "qk-bar-menu");
      qk_atlas.export_menu?.fill(this.exports, view.config.exports ?? []);
      last.append(this.exports);
      view.tools.append(first, this.make_boxes(), last);
    }

    make_weighting() {
      const { config } = this.view;
      this.weighting = menu(Object.entries(weighting_names),
        (weighting) => this.view.choose({ weighting }));
      const is_known = { attention: true, value: config.has_values, transformed: config.has_transformed };
      for (const option of this.weighting.options) {
        option.disabled = !is_known[option.value];
        if (option.disabled) option.text += " (not known)";
      }
      return labelled("weight", this.weighting, "");
    }

    make_threshold() {
      const label = make("label", "qk-tool qk-threshold", "lines ≥",
        { title: "weights below are not drawn" });
      this.slider = make("input", "", "", {
        type: "range", min: "0", max: String(thresholds.length - 1), step: "1",
      });
      this.slider.addEventListener("input", () => {
        this.view.set({ threshold: thresholds[this.slider.valueAsNumber] });
      });
      this.slider_text = make("output", "");
      label.append(this.slider, this.slider_text);
      return label;
    }

    make_pair() {
      this.pair = menu(Object.keys(pairs).map((pair) => [pair, pair]),
        (pair) => this.view.choose({ pair }));
      return labelled("pair", this.pair, "which text asks which: A is the first, B the second");
    }

    make_boxes() {
      const { view } = this;
      const group = make("fieldset", "qk-tool-row qk-hide");
      group.append(make("legend", "", "hide"));
      this.boxes = filters.map((filter) => {
        const name = view.config.filter_names?.[filter] ?? filter_name(filter, view.config.sides);
        const box = make("input", "", "", { type: "checkbox", "data-filter": filter });
        box.addEventListener("change", () => view.turn_filter(filter, box.checked));
        const label = make("label", "qk-tool", "", { title: filter_help[filter] });
        label.append(box, name ?? "");
        label.hidden = name === null;
        group.append(label);
        return [filter, box];
      });
      return group;
    }

    refresh() {
      const { view } = this;
      const { threshold, numbers, pair, filters: chosen } = view.options;
      // Hovering comes here with every frame and changes none of these.
      const wanted = [threshold, numbers, view.n_reckoned, view.weighting, pair, ...chosen,
        view.picked ? 1 : 0].join();
      if (wanted === this.shown) return;
      this.shown = wanted;
      this.slider.value = String(thresholds.findLastIndex((step) => step <= threshold));
      this.slider.setAttribute("aria-valuetext", String(threshold));
      this.slider_text.textContent = String(threshold);
      this.numbers.setAttribute("aria-pressed", String(numbers));
      this.weighting.value = view.weighting;
      this.weighting.title = weighting_help[view.weighting];
      if (this.pair) this.pair.value = pair;
      for (const [filter, box] of this.boxes) box.checked = chosen.has(filter);
      const { query, key } = view.hidden;
      this.reset.disabled = chosen.size === 0 && !query.includes(true) && !key.includes(true);
      if (this.clear) this.clear.disabled = !view.picked;
    }
  }

  qk_atlas.sentence_tools = { SentenceTools };
})();
