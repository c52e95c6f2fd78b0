"use strict";
// The matrix page: all heads, and the bar over them.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { session } = qk_atlas;
  const { put, tokens_of } = qk_atlas.detail;

  /** Draw all heads; `state` as `show` in 73_dash.js makes it. */
  function show(state) {
    const { atlas, view, defaults, map, options, scale, norm_scale, progress } = state;
    const pca = atlas.maps[`pca_${view.dims}`];
    const config = {
      rows: atlas.rows, columns: atlas.columns, cells: atlas.cells, n_tokens: atlas.n_tokens,
      n_points: atlas.n_points, dims: view.dims, capture_url: `/api/${atlas.capture}`,
      projection_url: `/api/${map.key}`,
      stand_in_url: pca?.complete && pca.key !== map.key ? `/api/${pca.key}` : null,
      lut_url: options.lut_url, href: session.head_address(view, defaults),
      label: `${atlas.model} on ${atlas.corpus}, all heads`,
    };
    const bar = { cells: atlas.cells, map: map.key, exports: qk_atlas.exports.of_matrix(
      () => qk_atlas.views["matrix-view"], () => qk_atlas.pages.provenance()) };
    put("matrix-bar", "matrix_bar", bar, {}, on_bar_event);
    put("matrix-view", "matrix", config, { ...options, scale, norm_scale, refresh: progress },
      on_matrix_event);
    if (options.hits) {
      tokens_of(atlas).then((sides) => {
        if (sides.query_tokens) qk_atlas.views["matrix-view"]?.set({ sides });
      });
    }
  }

  function on_matrix_event(event) {
    const bar = qk_atlas.views["matrix-bar"];
    if (event.type === "open") qk_atlas.pages.open_head(event);
    if (event.type === "listed") bar?.set({ listed: event.listed });
    if (event.type === "arranged") bar?.set({ n_kept: event.n_kept });
    if (event.type === "zoom") bar?.set({ is_zoomed: event.is_zoomed });
  }

  function on_bar_event(event) {
    const matrix = qk_atlas.views["matrix-view"];
    if (event.type === "arrange") matrix?.arrange(event);
    if (event.type === "reset") matrix?.reset_zoom();
    if (event.type === "show") matrix?.show_cell(event.index);
    if (event.type === "open") matrix?.open(event.index);
  }

  qk_atlas.matrix_page = { show };
})();
