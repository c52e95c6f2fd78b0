"use strict";
// One head of the model view at large: its tokens and lines in a dialog; and what a card says of it.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { make } = qk_atlas.stage;
  const { make_button, make_slider } = qk_atlas.inspect;
  const { scores_of } = qk_atlas.inspect_data;
  const { format_weight, visible_text } = qk_atlas.attention;

  const thresholds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
  const percent = (share) => `${Math.round(100 * share)} %`;

  /** Return what the scores of a head say: [name, value][]. */
  function score_rows({ queries, keys, is_cross }, scores) {
    const tokens = [queries.text[scores.strongest_query], keys.text[scores.strongest_key]].map(visible_text);
    const places = is_cross ? [] : [
      ["mean distance", `${scores.distance.toFixed(1)} tokens`], ["to the token before", percent(scores.previous)],
      ["to the token after", percent(scores.next)], ["to itself", percent(scores.same)],
    ];
    return [
      ["entropy", `${scores.entropy.toFixed(2)} bits`], ...places.filter(([, text]) => !text.startsWith("NaN")),
      ["to the first token", percent(scores.first)],
      ["strongest", `${tokens.join(" → ")} ${format_weight(scores.strongest)}`],
    ];
  }

  function list_of(rows) {
    const list = make("dl", "");
    for (const [name, value] of rows) list.append(make("dt", "", name), make("dd", "", value));
    return list;
  }

  /** Return the content of the card of a head. */
  function card_rows(input, { layer, head }, scores) {
    return [make("strong", "", `L${layer} H${head}`), list_of(score_rows(input, scores))];
  }

  function ways_on(view, layer, head, leave) {
    const links = view.config.links ?? {};
    const to = (name, text) => links[name] && make_button(text, "", () => {
      leave();
      view.emit("open", { view: name, layer, head });
    });
    return [to("heads", "with other heads"), to("neurons", "neurons"), view.map_link(layer, head)].filter(Boolean);
  }

  /** Open a head of a model view with its tokens; Escape closes it. */
  function open_head(view, layer, head) {
    view.large?.remove();
    const dialog = make("dialog", "qk-large", "", { "aria-label": `layer ${layer} head ${head}`, "data-head": `L${layer} H${head}` });
    view.large = dialog;
    const bar = make("div", "qk-bar");
    const title = make("h2", "qk-inspect-title", `L${layer} H${head}`);
    const close = make_button("close", "", () => dialog.close());
    const body = make("div", "qk-large-body");
    const sheet = make("div", "qk-large-lines");
    const side = make("aside", "qk-large-side");
    body.append(sheet, side);
    const place = { hot: null, picked: null };
    const lines = new qk_atlas.token_lines.TokenLines(sheet, view.input, (type, at) => {
      if (type === "hover") place.hot = at;
      else place.picked = place.picked?.side === at.side && place.picked.position === at.position ? null : at;
      lines.set({ place: place.hot ?? place.picked, picked: place.picked });
    });
    const slider = make_slider("threshold", thresholds, (threshold) => {
      slider.show(threshold);
      lines.set({ threshold });
    });
    slider.show(0.02);
    bar.append(title, slider.field, make("span", "qk-spring"), ...ways_on(view, layer, head, () => dialog.close()), close);
    dialog.append(bar, body);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    view.element.append(dialog);
    dialog.showModal();
    fill(view, { layer, head, lines, side }).catch((error) => {
      side.replaceChildren(make("p", "", `This head could not be loaded: ${error.message}.`));
    });
  }

  async function fill(view, { layer, head, lines, side }) {
    const [weights, scores] = await Promise.all([view.layer_weights(layer), view.layer_scores(layer)]);
    const { pairs, theme } = view.options;
    lines.set({
      layer: weights, heads: [head], threshold: 0.02, pairs, theme, is_single: true, is_difference: view.is_difference,
    });
    const scale = view.is_difference ? new qk_atlas.change_scale.ChangeScale() : null;
    scale?.show(lines.changes);
    const { n_heads, n_kv_heads } = view.input.layers[layer];
    const group = n_heads / n_kv_heads;
    const shared = group > 1 ? [["key head", String(Math.floor(head / group))]] : [];
    const about = scale ? [scale.element, make("p", "", "Lines: now minus before the edit. Figures: now.")] : [];
    side.replaceChildren(...about, list_of([...score_rows(view.input, scores_of(scores, head)), ...shared]));
  }

  qk_atlas.model_large = { card_rows, open_head, score_rows };
  if (typeof module !== "undefined") module.exports = qk_atlas.model_large;
})();
