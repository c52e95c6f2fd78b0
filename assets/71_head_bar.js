"use strict";
// Title line of a head: its name, how far it can be trusted, its neighbours, and tools.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  // names of the figure, words, bound of "good", bound of "doubtful", whether less is better
  const figures = [
    {
      names: ["per_query_rho"], text: "rho on map", good: -0.5, doubtful: -0.25, less: true,
      help: "Rank correlation of distance on this map and dot product over the keys of each "
        + "query, mean over queries. -1 would be perfect.",
    },
    {
      names: ["space_per_query_rho"], text: "in space", good: -0.95, doubtful: -0.8, less: true,
      help: "The same for the cosine distance of the vectors themselves, before they are laid out.",
    },
    {
      names: ["trustworthiness_at_10"], text: "trust", good: 0.95, doubtful: 0.85, less: false,
      help: "Trustworthiness at 10 neighbours: whether neighbours on the map are neighbours of the "
        + "vectors. 1 would be perfect.",
    },
  ];
  const words = {
    good: "good", doubtful: "doubtful", bad: "weak, do not read distances here",
  };

  /** Return "good", "doubtful" or "bad" for a quality figure. */
  function level_of({ good, doubtful, less }, value) {
    const sign = less ? -1 : 1;
    if (sign * value >= sign * good) return "good";
    return sign * value >= sign * doubtful ? "doubtful" : "bad";
  }

  /** Return a figure with two decimals, without a leading zero: -.43 */
  function short_number(value) {
    return value.toFixed(2).replace(/^(-?)0\./, "$1.");
  }

  qk_atlas.head_bar = { level_of, short_number };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_bar;
  if (typeof document === "undefined") return;

  const { make } = qk_atlas.stage;
  const { neighbour } = qk_atlas.session;
  const steps = {
    left: { layer: 0, head: -1 }, right: { layer: 0, head: 1 },
    up: { layer: -1, head: 0 }, down: { layer: 1, head: 0 },
  };
  const arrows = { left: "←", right: "→", up: "↑", down: "↓" };
  const tools = {
    move: "drag to move or turn the map", box: "drag a box around points",
    lasso: "draw around points; also with Shift held",
  };

  function arrow(direction, place, on_event) {
    const name = place ? `layer ${place.layer} head ${place.head}` : "no head there";
    const button = make("button", "qk-button qk-arrow", arrows[direction], {
      type: "button", "data-direction": direction, "aria-label": name, title: name,
    });
    button.disabled = !place;
    button.addEventListener("click", () => on_event({ type: "open", ...place }));
    return button;
  }

  function pill(figure, value) {
    const level = level_of(figure, value);
    const text = `${figure.text} ${short_number(value)}`;
    const shown = { good: "", doubtful: " doubtful", bad: " weak" }[level];
    return make("span", "qk-pill", text + shown, {
      "data-level": level, title: `${figure.help} Here: ${words[level]}.`,
    });
  }

  class HeadBar {
    constructor(element, config, on_event) {
      this.element = element;
      this.config = config;
      this.on_event = on_event;
      const { cells, layer, head, selection } = config;
      const around = make("span", "qk-arrows");
      around.append(...["left", "up", "down", "right"].map((name) => (
        arrow(name, neighbour(cells, { layer, head }, steps[name]), on_event))));
      this.pills = make("span", "qk-pills");
      const middle = make("span", "qk-head-title");
      middle.append(make("h1", "", `Layer ${layer} Head ${head}`), this.pills);
      const back = make("button", "qk-button", "all heads", { type: "button" });
      back.addEventListener("click", () => on_event({ type: "back" }));
      const menu = make("span", "qk-bar-menu");
      qk_atlas.export_menu.fill(menu, config.exports);
      const crumb = selection ? [this.make_crumb()] : [];
      element.replaceChildren(around, middle, this.make_tools(), ...crumb, back, menu);
      qk_atlas.views[element.id] = this;
    }

    /** What tells that only a selection is shown, and leads back to the whole map. */
    make_crumb() {
      const crumb = make("nav", "qk-crumb", "", { "aria-label": "which points are shown" });
      this.count = make("b", "", "selected points");
      const whole = make("button", "qk-button", "all points", {
        type: "button", title: "show the map of all points of the head again",
      });
      whole.addEventListener("click", () => this.on_event({ type: "whole" }));
      crumb.append(whole, make("span", "", "›", { "aria-hidden": "true" }), this.count);
      return crumb;
    }

    make_tools() {
      this.tools = make("span", "qk-tools", "", { role: "group", "aria-label": "what dragging does" });
      this.tools.append(...Object.entries(tools).map(([tool, title]) => {
        const button = make("button", "qk-button", tool, { type: "button", title, "data-tool": tool });
        button.addEventListener("click", () => this.on_event({ type: "tool", tool }));
        return button;
      }));
      return this.tools;
    }

    /** Show the quality figures of the map ({} while they are not measured), points and the tool. */
    set({ quality, tool, n_selected }) {
      if (n_selected && this.count) {
        this.count.textContent = `${n_selected.toLocaleString("en")} selected points`;
      }
      if (tool) {
        for (const button of this.tools.children) {
          button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
        }
      }
      if (!quality) return;
      const pills = figures.map((figure) => (
        [figure, figure.names.map((name) => quality[name]).find((value) => typeof value === "number")]));
      this.pills.replaceChildren(...pills.filter(([, value]) => value !== undefined)
        .map(([figure, value]) => pill(figure, value)));
    }

    state() {
      return { layer: this.config.layer, head: this.config.head, pills: this.pills.textContent };
    }

    destroy() {
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  qk_atlas.head_bar.mount = (element, config, on_event) => {
    qk_atlas.views[element.id]?.destroy();
    return new HeadBar(element, config, on_event);
  };
})();
