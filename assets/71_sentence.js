"use strict";
// The sentence of the picked point beside the map, its lines on the map, and means by position.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { stage, session, detail } = qk_atlas;

  const sentence_id = "sentence-view";
  const mean_id = "aggregate-view";
  const cross_names = { query: "decoder (queries)", key: "encoder (keys)" };

  let shown = null; // what the sentence view was last put there for

  const layers_of = (atlas) => stage.remember_json(`/api/${atlas.capture}/layers.json`);
  const named = (make_one) => ({ query: make_one("query"), key: make_one("key") });

  /** Return what all views of a head have in common; `kind` as in `LayerRecord`. */
  function common_config({ kind, layer }, facts) {
    return { ...facts[layer], side_names: kind === "cross" ? cross_names : null };
  }

  /**
   * Show the sentence of the picked point beside the map, and its attention lines on it.
   * @param {object} state see `show` in 73_dash.js
   * @param {() => boolean} is_current whether this is still what the page shows
   * @param {() => object} about where the head is from, for exports
   */
  async function show(state, is_current, about) {
    const { atlas, view } = state;
    const { sequence, layer, head } = view;
    const { weights_url } = addresses({ ...atlas, sequence, layer, head });
    const arriving = sequence === null || shows_already(weights_url)
      ? null : detail.weights_of(weights_url);
    const [tokens, facts] = await Promise.all([detail.tokens_of(atlas), layers_of(atlas)]);
    if (!is_current()) return;
    const sides = session.sides_of(tokens, sequence);
    const place = view.token === null ? null : { side: view.side, position: view.token };
    const config = {
      ...sentence_config({ ...atlas, sequence, layer, head }, { tokens, sides, facts }),
      title: `Sentence view (L${layer} H${head})`, arriving, exports: exports_of(sentence_id, about),
    };
    detail.put(sentence_id, "bipartite", config, { picked: place, theme: state.theme },
      (event) => on_event(event, sequence, sides));
    qk_atlas.kind.offer(qk_atlas.views[sentence_id], atlas, () => qk_atlas.pages.draw_again());
    shown = { state, sides };
    if (!sides.query.length) return;
    const token = place && sides[place.side][place.position];
    if (token !== undefined) {
      qk_atlas.views["head-view"]?.set({ picked: place && { token, side: place.side } });
    }
    draw_lines_on_map();
  }

  const shows_already = (url) => qk_atlas.views[sentence_id]?.config.weights_url === url;

  /** Return the addresses of one head's attention over a sequence. */
  function addresses({ capture, sequence, layer, head }) {
    const place = `${sequence}/${layer}/${head}.f32`;
    const url = `/api/${capture}`;
    return { weights_url: `${url}/attention/${place}`, values_url: `${url}/values/${place}` };
  }

  /**
   * Return what the sentence view needs of a sequence.
   * @param {{capture: string, kind: string, sequence: number, layer: number, head: number}} of
   * @param {object} found tokens and facts as the data routes give them, and `session.sides_of` both
   */
  function sentence_config(of, { tokens, sides, facts }) {
    const { label } = tokens.sequences[of.sequence] ?? {};
    const of_side = named((side) => sides[side].map((token) => ({
      text: qk_atlas.session.token_name(tokens, token), special: tokens.special[token] === 1,
      segment: tokens.segment[token], is_patch: tokens.row?.[token] >= 0,
    })));
    return {
      ...common_config(of, facts), ...addresses(of), sides: of_side, tokens: of_side.query,
      subtitle: label ?? "", sequence: `${of.capture} ${of.sequence}`,
      is_pair: of.kind === "self" && of_side.query.some(({ segment }) => segment === 1),
    };
  }

  /** Return the same for a capture that is not that of an atlas, such as a live input. */
  async function config_of(of) {
    const [tokens, facts] = await Promise.all([detail.tokens_of(of), layers_of(of)]);
    const sides = session.sides_of(tokens, of.sequence);
    return sentence_config(of, { tokens, sides, facts });
  }

  /** Draw the lines that the sentence view shows on the map; none before they are there. */
  function draw_lines_on_map() {
    const { state, sides } = shown;
    const { shares } = qk_atlas.views[sentence_id] ?? {};
    const is_whole = shares?.length === sides.query.length * sides.key.length;
    const lines = state.show.includes("lines") && is_whole
      ? session.attention_lines(shares, sides) : null;
    qk_atlas.views["head-view"]?.set({ lines });
  }

  function on_event({ type, side, position }, sequence, sides) {
    if (type === "weights") {
      if (shown) draw_lines_on_map();
    } else if (type === "pick") {
      qk_atlas.pages.pick({ sequence, position, side });
    } else {
      const hover_tokens = position === null ? [] : [{ token: sides[side][position], side }];
      qk_atlas.views["head-view"]?.set({ hover_tokens });
    }
  }

  /** Show mean attention by position over all sequences; see `show`. */
  async function show_mean(state, is_current, about) {
    const { atlas, view } = state;
    const [tokens, facts] = await Promise.all([detail.tokens_of(atlas), layers_of(atlas)]);
    if (!is_current()) return;
    const sides = atlas.no_aggregate ? { query: [], key: [] }
      : named((side) => session.usual_tokens(tokens, tokens[`${side}_tokens`]));
    const n_sequences = tokens.sequences.length;
    const what = atlas.modality === "image" ? "images" : "sequences";
    const config = {
      ...common_config({ ...atlas, ...view }, facts), sides, tokens: sides.query, is_mean: true, is_pair: false,
      title: `Aggregate view (L${view.layer} H${view.head})`,
      subtitle: `${n_sequences} ${what}, by position`,
      sequence: atlas.capture, empty_text: atlas.no_aggregate || undefined,
      weights_url: `/api/${atlas.capture}/aggregate/${view.layer}/${view.head}.f32`,
      filter_names: filter_names(tokens), exports: exports_of(mean_id, about),
    };
    detail.put(mean_id, "bipartite", config, { theme: state.theme }, () => {});
  }

  /** Name the boxes by all tokens of the corpus: a mean has no tokens of its own. */
  function filter_names(tokens) {
    const { filters, filter_name } = qk_atlas.weighting;
    const all = tokens.text.map((text, token) => ({
      text, special: tokens.special[token] === 1, row: tokens.row?.[token], position: tokens.position[token],
    }));
    return Object.fromEntries(filters.map((filter) => [filter, filter_name(filter, { all })]));
  }

  function exports_of(id, about) {
    return qk_atlas.sentence_export.exports_of(() => qk_atlas.views[id], about, id === mean_id);
  }

  qk_atlas.sentence = { show, show_mean, config_of };
})();
