"use strict";
// What stands around the image: the choice of mode and side, boxes of special tokens, the legend.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { format_weight, visible_text } = qk_atlas.attention;
  const { opacity_of, place_name } = qk_atlas.image_panel;
  const { make } = qk_atlas.stage;
  const { make_svg } = qk_atlas.panel;

  const mode_names = { patch: "one patch", strongest: "strongest", flows: "all flows" };
  const mode_titles = {
    patch: "heat: how the picked patch attends, or who attends to it",
    strongest: "an arrow from each patch to the key it attends to most; nothing below 0.05",
    flows: "every weight above the slider",
  };
  const threshold_range = { min: "0.02", max: "0.9", step: "0.01" };
  const defaults = {
    side: "query", mode: "patch", threshold: 0.1, contrast: false, grid_shown: false, all_rows: false,
  };
  const glyphs = {
    arrow: [["path", { d: "M1 8H11" }], ["path", { d: "M10 5L15 8L10 11Z", class: "qk-filled" }]],
    circle: [["circle", { cx: 8, cy: 8, r: 4.5 }]],
    square: [["rect", { x: 4, y: 4, width: 8, height: 8 }]],
    triangle: [["path", { d: "M8 3L13 12H3Z", class: "qk-filled" }]],
  };
  const glyph_words = {
    arrow: "to another patch", circle: "to itself", square: "to a special token",
    triangle: "from a special token",
  };
  const words_too = { square: "to a word", triangle: "from a word" };

  /** Return what the user has chosen in the tools, with defaults for what is not said. */
  function chosen(kept) {
    return Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, kept[name] ?? value]));
  }

  /** Say what is shown. */
  function note_of({ mode, threshold, side, token, of_any }) {
    if (mode === "patch" && !token) return `Click ${of_any} to see where it attends.`;
    const name = token && place_name(token);
    const does = side === "query" ? "what it attends to" : "who attends to it";
    if (mode === "patch") return `${side} at ${name}: ${does}`;
    const flows = mode === "flows"
      ? `Every weight of at least ${threshold.toFixed(2)}`
      : "The strongest key of each patch";
    return token ? `${flows}; ${side} at ${name} stands out` : `${flows}.`;
  }

  function toggle(text, title, on_click) {
    const button = make("button", "qk-button", text, { type: "button", title });
    button.addEventListener("click", on_click);
    return button;
  }

  function segments(label, buttons) {
    const group = make("div", "qk-segments", "", { role: "group", "aria-label": label });
    group.append(...buttons);
    return group;
  }

  /** Mode, side, contrast, grid, threshold and exports. */
  class Tools {
    constructor(options, { on_set, on_chosen, on_turn, exports }) {
      const choose = (changes) => {
        on_set(changes);
        on_chosen();
      };
      this.modes = Object.fromEntries(Object.entries(mode_names).map(([mode, name]) => (
        [mode, toggle(name, mode_titles[mode], () => choose({ mode }))])));
      this.sides = {
        query: toggle("as query", "what a patch attends to", () => on_turn("query")),
        key: toggle("as key", "who attends to a patch", () => on_turn("key")),
      };
      this.contrast = toggle("contrast", "divide all weights by the largest patch",
        () => choose({ contrast: !this.now.contrast }));
      this.grid = toggle("grid", "draw the edges of the patches",
        () => on_set({ grid_shown: !this.now.grid_shown }));
      this.slider = make("input", "", "", {
        type: "range", ...threshold_range, "aria-label": "least weight that is drawn",
      });
      this.slider.addEventListener("input", () => on_set({ threshold: Number(this.slider.value) }));
      this.slider.addEventListener("change", on_chosen); // let go: an address is not written all the way
      this.bound = make("output", "");
      this.threshold = make("label", "qk-threshold", "at least ");
      this.threshold.append(this.slider, this.bound);
      const menu = make("span", "qk-bar-menu");
      if (exports.length) qk_atlas.export_menu?.fill(menu, exports);
      this.element = make("div", "qk-image-tools");
      this.element.append(
        segments("what is drawn", Object.values(this.modes)), menu,
        segments("side", Object.values(this.sides)), this.contrast, this.grid, this.threshold);
      this.show(options);
    }

    show(options) {
      this.now = options;
      const press = (button, is_pressed) => button.setAttribute("aria-pressed", String(is_pressed));
      for (const [mode, button] of Object.entries(this.modes)) press(button, mode === options.mode);
      for (const [side, button] of Object.entries(this.sides)) press(button, side === options.side);
      press(this.contrast, options.contrast);
      press(this.grid, options.grid_shown);
      this.contrast.hidden = options.mode !== "patch";
      this.threshold.hidden = options.mode !== "flows";
      this.slider.value = String(options.threshold);
      this.bound.textContent = options.threshold.toFixed(2);
    }
  }

  /** Special tokens as boxes beside the image; they are clicked like patches. */
  class Boxes {
    constructor(tokens, handlers) {
      this.element = make("div", "qk-specials");
      this.boxes = new Map();
      tokens.forEach(({ text, row }, position) => {
        if (row >= 0) return;
        const name = visible_text(text);
        const box = make("button", "qk-special-box", "", { type: "button", title: name });
        box.append(make("span", "qk-swatch"), make("span", "qk-name", name), make("span", ""));
        qk_atlas.image_words.listen(box, position, handlers);
        this.boxes.set(position, box);
        this.element.append(box);
      });
    }

    draw({ side, picked, hot, heat_of, text_of }) {
      for (const [position, box] of this.boxes) {
        box.style.setProperty("--qk-heat", String(heat_of(position)));
        box.lastChild.textContent = text_of(position);
        box.setAttribute("aria-pressed", String(picked?.position === position));
        const is_hot = hot?.position === position ? " qk-hot" : "";
        box.className = `qk-special-box qk-of-${side}${is_hot}`;
      }
    }
  }

  function glyph_of(kind, words) {
    const svg = make_svg("svg", { viewBox: "0 0 16 16", class: "qk-glyph", "aria-hidden": "true" });
    svg.append(...glyphs[kind].map(([tag, attributes]) => make_svg(tag, attributes)));
    const entry = make("span", "qk-glyph-entry", "");
    entry.append(svg, make("span", "", words));
    return entry;
  }

  /** What opacity, width and shapes stand for, with numbers. */
  class Legend {
    constructor(has_words) {
      const words = has_words ? { ...glyph_words, ...words_too } : glyph_words;
      this.least = make("span", "", "0");
      this.end = make("span", "");
      this.mark = make("span", "qk-bar-mark");
      this.words = make("div", "qk-bar-text");
      this.ramp = make("span", "qk-ramp");
      this.ramp.append(this.mark);
      this.entries = Object.keys(glyphs).map((kind) => [kind, glyph_of(kind, words[kind])]);
      this.shapes = make("div", "qk-glyphs");
      this.shapes.append(...this.entries.map(([, entry]) => entry));
      this.element = make("div", "qk-colour-bar");
      this.element.append(this.least, this.ramp, this.end, this.words, this.shapes);
    }

    draw(about) {
      const { mode, is_shown } = about;
      const has_flows = mode !== "patch";
      this.element.hidden = !is_shown;
      this.shapes.hidden = !has_flows;
      this.mark.hidden = has_flows;
      this.ramp.classList.toggle("qk-ramp-wide", mode === "flows");
      for (const [kind, entry] of this.entries) entry.hidden = kind === "triangle" && mode !== "flows";
      if (has_flows) this.draw_flows(about);
      else this.draw_heat(about);
    }

    draw_heat({ contrast, largest, opaque }) {
      const text = format_weight(largest);
      const advice = largest < 0.1 ? ", faint: try contrast" : "";
      this.least.textContent = "0";
      this.end.textContent = contrast ? `≥ ${text}` : "1";
      this.mark.style.left = `${opacity_of(largest, opaque) * 100}%`;
      this.words.textContent = contrast
        ? `contrast: all weights divided by the largest patch, ${text}`
        : `opacity = weight; largest patch ${text}${advice}`;
    }

    draw_flows({ mode, range, n_flows, n_rows, share, n_left_out, is_picked, strongest }) {
      this.least.textContent = format_weight(range[0]);
      this.end.textContent = n_flows ? format_weight(range[1]) : "";
      const grows = mode === "flows" ? "opacity and width grow" : "opacity grows";
      const percent = `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
      const count = n_flows.toLocaleString("en");
      const cut = n_left_out ? `; the ${n_left_out.toLocaleString("en")} faintest are not drawn` : "";
      if (!n_flows) {
        this.words.textContent = is_picked ? "nothing here reaches that weight"
          : `nothing reaches that weight; the strongest of all is ${format_weight(strongest)}`;
      } else if (mode === "strongest") {
        this.words.textContent = is_picked ? `${grows} with the weight; ${count} shown for the picked patch`
          : `${grows} with the weight; ${count} of ${n_rows} patches, holding ${percent} of their attention`;
      } else {
        this.words.textContent = is_picked ? `${grows} with the weight; ${count} at the picked patch${cut}`
          : `${grows} with the weight; ${count} flows hold ${percent} of all attention${cut}`;
      }
    }
  }

  qk_atlas.image_tools = { chosen, note_of, Tools, Boxes, Legend };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_tools;
})();
