"use strict";
// Brings the points of the live input onto the map of the open head, and says how they got there.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { stage } = qk_atlas;

  let asked = ""; // address of what is shown or on its way
  let wanted = null; // what `show` was last called with

  function say(words) {
    const note = document.getElementById("live-placed-note");
    if (note) note.textContent = words;
  }

  /** Return the words that stand in the panel about points on a map. */
  function note_of(n_points, is_exact) {
    const how = is_exact
      ? "PCA places them exactly." : "Their places are approximate: each at the mean of its 10 nearest points.";
    return `${n_points} ringed points on the map, labelled in bold. ${how}`;
  }

  /** Show where the live points lie on the map at hand; no source takes them away. */
  function show(atlas, source, place, map_name) {
    wanted = { atlas, source, place, map_name };
    return draw(wanted);
  }

  /** Show them again, on a map that has just been put in the place of another. */
  function show_again() {
    if (wanted) draw(wanted);
  }

  async function draw({ atlas, source, place: { layer, head }, map_name }) {
    const view = qk_atlas.views["head-view"];
    const map = atlas.maps?.[map_name];
    const url = source && view && map
      ? `/api/${map.key}/head/${layer}/${head}/placed/${source.capture}.f32` : "";
    if (!url) {
      asked = "";
      view?.set({ live: null });
      say("");
      return;
    }
    if (url === asked && view.options.live) return;
    asked = url;
    const { signal } = new AbortController();
    try {
      const [shares, tokens] = await Promise.all([
        stage.fetch_array(url, Float32Array, signal),
        stage.fetch_json(`/api/${source.capture}/tokens.json`, signal),
      ]);
      if (asked !== url) return;
      const current = qk_atlas.views["head-view"];
      const { layer: shown_layer, head: shown_head, dims } = current?.config ?? {};
      if (shown_layer !== layer || shown_head !== head || shares.length % dims) return;
      const is_exact = map_name.startsWith("pca");
      const { text, position, query_tokens, key_tokens } = tokens;
      const n_queries = query_tokens?.length ?? text.length;
      current.set({ live: { shares, n_queries, text, position, query_tokens, key_tokens, is_exact } });
      say(note_of(shares.length / dims, is_exact));
    } catch (error) {
      if (asked !== url) return;
      view.set({ live: null });
      say(error.status === 404 ? "They appear on this map when it is computed."
        : `The points could not be placed: ${error.message}.`);
    }
  }

  qk_atlas.placed = { show, show_again, note_of };
})();
