"use strict";
// What stands beside the map: which panel shows it, with what; the image of the picked point. The
// sentence: 71_sentence.js.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { stage, session } = qk_atlas;
  const set_props = (id, props) => globalThis.dash_clientside.set_props(id, props);

  const panel_kinds = { text: ["sentence-view", "bipartite"], image: ["image-view", "image_panel"] };

  let asked = { url: "", weights: null }; // the weights that were asked for last

  const tokens_of = (atlas) => stage.remember_json(qk_atlas.image_config.tokens_url(atlas));

  /** Mount a view unless it shows this already, or can turn to it; then set its options. */
  function put(id, kind, config, options, on_event) {
    const element = document.getElementById(id);
    if (!element) return;
    const { lut_url, href, exports, arriving, ...identity } = config;
    const { title, subtitle, weights_url, values_url, image_url, provenance, ...lasting } = identity;
    const [shows, keeps] = [identity, lasting].map((part) => JSON.stringify(part));
    const view = qk_atlas.views[id];
    if (!view || element.dataset.shows !== shows) {
      if (view?.turn_to && element.dataset.keeps === keeps) view.turn_to(config, on_event);
      else qk_atlas[kind].mount(element, config, on_event);
      Object.assign(element.dataset, { shows, keeps });
    }
    qk_atlas.views[id].set(options);
  }

  /** Return a promise of attention weights; asked for twice in a row, they are fetched once. */
  function weights_of(url) {
    if (asked.url !== url) {
      const weights = stage.fetch_array(url, Float32Array, new AbortController().signal);
      asked = { url, weights };
      weights.catch(() => { // the view tells, if it still wants them
        if (asked.url === url) asked = { url: "", weights: null };
      });
    }
    return asked.weights;
  }

  /**
   * Show the image of the picked point beside the map, and its attention lines on it.
   * @param {object} state see `show` in 73_dash.js
   * @param {() => boolean} is_current whether this is still what the page shows
   */
  async function show_image(state, is_current) {
    const { atlas, view, show } = state;
    const { sequence, layer, head } = view;
    const weights_url = `/api/${atlas.capture}/attention/${sequence}/${layer}/${head}.f32`;
    const weights = sequence === null ? null : image_weights(weights_url);
    const tokens = await tokens_of(atlas);
    if (!is_current()) return;
    const sides = session.sides_of(tokens, sequence);
    const first = sides.query[0] ?? 0;
    const { length } = sides.query;
    const place = view.token === null ? null : { side: view.side, position: view.token };
    put_panel(state, tokens, { first, length, weights_url, weights, place });
    if (!length) return;
    const picked = place && { token: first + place.position, side: place.side };
    qk_atlas.views["head-view"]?.set({ picked });
    const lines = show.includes("lines") ? session.attention_lines(await weights, sides) : null;
    if (is_current()) qk_atlas.views["head-view"]?.set({ lines });
  }

  /** Return a promise of the weights of an image, asked for once for panel and map. */
  function image_weights(url) {
    const shown = qk_atlas.views["image-view"];
    if (shown?.config.weights_url === url && shown.weights) return Promise.resolve(shown.weights);
    return weights_of(url);
  }

  function put_panel({ atlas, view, theme }, tokens, { first, length, weights_url, weights, place }) {
    const [id, kind] = panel_kinds.image;
    const { label } = tokens.sequences[view.sequence] ?? {};
    const config = {
      title: "Image view",
      subtitle: `L${view.layer} H${view.head}${label ? ` · ${label}` : ""}`,
      tokens: Array.from({ length }, (_, position) => ({
        text: tokens.text[first + position], special: tokens.special[first + position] === 1,
        row: tokens.row[first + position], column: tokens.column[first + position],
        ...(tokens.label && { label: tokens.label[first + position] }),
      })),
      weights_url, arriving: weights, grid: tokens.grid,
      ...(atlas.modality === "image" && qk_atlas.image_config.of(atlas, view, label)),
    };
    put(id, kind, config, { picked: place, theme, ...qk_atlas.image_look.options_of(view) },
      (event) => on_panel_event(event, view.sequence, first));
    qk_atlas.kind.offer(qk_atlas.views[id], atlas, () => qk_atlas.pages.draw_again());
  }

  function on_panel_event({ type, side, position, ...event }, sequence, first) {
    if (type === "look") {
      qk_atlas.image_look.choose(event);
      return;
    }
    if (type === "pick") {
      qk_atlas.pages.pick({ sequence, position, side });
      return;
    }
    const hover_tokens = position === null ? [] : [{ token: first + position, side }];
    qk_atlas.views["head-view"]?.set({ hover_tokens });
  }

  qk_atlas.detail = { panel_kinds, set_props, put, tokens_of, weights_of, show_image };
})();
