"use strict";
// A decoder that is shown images reads image and text in one sequence: which of two panels shows it.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const names = { image: "image", text: "text" };
  const titles = {
    image: "weights over the picture, its words below",
    text: "all tokens of the sequence in two columns, patches by row and column",
  };

  let chosen = "image";

  /** Tell whether a sequence of an atlas is both image and text. */
  const is_both = ({ modality, kind }) => modality === "image" && kind === "decoder";

  /** Return which tokens the map leaves out, by what is ticked in "Show". */
  const hidden_kinds = (atlas, show) => (
    is_both(atlas) ? ["patches", "words"].filter((kind) => !show.includes(kind)) : []);

  /** Return which panel shows the sequences of an atlas: "text" or "image". */
  const kind_of = (atlas) => (is_both(atlas) ? chosen : atlas.modality);

  /** Offer both panels at the top of the one that is shown. */
  function offer(view, atlas, redraw) {
    if (!view || !is_both(atlas) || view.element.querySelector(".qk-kinds")) return;
    const { make } = qk_atlas.stage;
    const group = make("div", "qk-segments qk-kinds", "", { role: "group", "aria-label": "read the sequence" });
    for (const [kind, name] of Object.entries(names)) {
      const button = make("button", "qk-button", name, { type: "button", title: titles[kind] });
      button.setAttribute("aria-pressed", String(kind === chosen));
      button.addEventListener("click", () => {
        if (kind === chosen) return;
        chosen = kind;
        redraw();
      });
      group.append(button);
    }
    view.element.querySelector(".qk-panel-head").append(group);
  }

  qk_atlas.kind = { is_both, hidden_kinds, kind_of, offer };
  if (typeof module !== "undefined") module.exports = qk_atlas.kind;
})();
