"use strict";
// Puts the views of a page where they belong and passes on what happens in them. Nothing large
// passes through Dash.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { ahead, stage, session, export_menu, detail, sentence } = qk_atlas;
  const { panel_kinds, put, set_props, tokens_of } = detail;

  let now = null; // what is shown; see `show` in 73_dash.js
  let selected = { capture: null, points: null }; // point numbers, the same for all heads
  let passage = null; // the cell of the matrix out of which the next head grows
  let tool = "move";
  let measured = { key: null, cells: null }; // the map that was last seen complete
  let tab = "sequence"; // of the detail panel
  let offered = { capture: null, text: "" }; // what can be shown on a head, as Dash was told

  function drop(...names) {
    for (const id of names) qk_atlas.views[id]?.destroy();
  }

  /** Show the container of the views that a path has, and no other. */
  function turn_page(pathname) {
    for (const one of document.querySelectorAll(".qk-fill[data-path]")) {
      one.hidden = one.dataset.path !== pathname;
    }
    document.getElementById("shell-frame").dataset.page = session.page_of(pathname);
  }

  /**
   * Go to another page. The address bar may be ahead of what dcc.Location knows, because `show`
   * rewrites it, so the page is changed as the browser's own arrows do it. Maps are drawn before.
   */
  function go_to(pathname, view) {
    ahead.tell();
    history.pushState({}, "", session.address(pathname, view, now.defaults));
    const tell = () => dispatchEvent(new PopStateEvent("popstate", { state: {} }));
    const page = session.page_of(pathname);
    if (!views_of[page]) return tell();
    const { layer, head, selection = null } = view;
    ahead.note(now.atlas.capture, { layer, head, selection }, "page", tell);
    turn_page(pathname);
    const missing = session.missing_text(now.atlas, view);
    return draw({ ...now, page, view: { ...now.view, ...view }, missing });
  }

  function open_head({ layer, head, from }) {
    passage = from ?? null;
    const { selection } = now.view;
    if (now.page !== "head") return go_to("/head", { ...now.view, layer, head });
    return show_ahead({ layer, head }, "shell-place", { layer, head, selection });
  }

  /** Show at once what was chosen; the address and the rest of the page follow. */
  function show_ahead(changes, store, data) {
    ahead.note(now.atlas.capture, changes, store, () => {
      qk_atlas.url.write(qk_atlas.url.query_of(now.view, now.defaults));
      set_props(store, { data });
    });
    draw({ ...now, view: { ...now.view, ...changes } });
  }

  /** Draw another view of the same page, and write it into the address. */
  function change(changes) {
    draw({ ...now, view: { ...now.view, ...changes } });
    qk_atlas.url.write(qk_atlas.url.query_of(now.view, now.defaults));
  }

  /** Choose a token of a sequence, `{sequence, position, side}`, or none. */
  function pick(place) {
    const { sequence = null, position = null, side } = place ?? {};
    show_ahead({ sequence, token: position, side: side ?? "query" }, "shell-picked", place);
    if (place && tab !== "sequence") set_props("detail-tab", { value: "sequence" });
  }

  /** Return what an export says about where it is from. */
  function provenance_of({ atlas, view }, head) {
    const method = session.map_name(view.method, view.dims);
    const { selection } = view;
    return { ...atlas.provenance, method, ...(head && { head }), ...(selection && { selection }) };
  }

  function show_head(state) {
    const { atlas, view, map, options, show, progress } = state;
    const { layer, head, dims } = view;
    const config = {
      layer, head, dims, n_tokens: atlas.n_tokens, n_points: atlas.n_points,
      capture_url: `/api/${atlas.capture}`, projection_url: `/api/${map.key}`,
      tokens_url: qk_atlas.image_config.tokens_url(atlas),
      near_url: `/api/${atlas.atlas}/head/${layer}/${head}/near`,
      selection: qk_atlas.remap.config_of(atlas, view),
      lut_url: options.lut_url, modality: atlas.modality,
      label: `Layer ${layer} head ${head} of ${atlas.model} on ${atlas.corpus}, `
        + session.map_name(view.method, dims),
    };
    if (selected.capture !== atlas.capture) selected = { capture: atlas.capture, points: null };
    const shown = Object.fromEntries(["labels", "size_by_norm", "pictures", "neighbours"].map(
      (name) => [name, show.includes(name)]));
    put("head-view", "head", config, {
      ...options, ...shown, hidden_kinds: qk_atlas.kind.hidden_kinds(atlas, show),
      sequence: view.sequence, tool, selected: selected.points, refresh: progress,
      ...(passage ? { from: passage } : {}),
      ...(view.sequence === null ? { lines: null, picked: null } : {}),
    }, on_map_event);
    passage = null;
    const bar = {
      layer, head, cells: atlas.cells, map: map.key, selection: view.selection,
      exports: head_exports(state),
    };
    put("head-bar", "head_bar", bar, { tool }, on_head_bar_event);
    qk_atlas.placed.show_again();
    offer(atlas, null);
    show_quality(state);
    show_selection();
    const show_sequence = qk_atlas.kind.kind_of(atlas) === "image" ? detail.show_image : sentence.show;
    show_sequence(state, () => now === state, about_of).catch((error) => console.warn(error));
    show_mean();
  }

  /** Return where a panel of the head that is shown is from. */
  function about_of() {
    return provenance_of(now, `L${now.view.layer} H${now.view.head}`);
  }

  /** Show the means by position while their tab is open. */
  function show_mean() {
    if (now?.page !== "head" || now.missing || tab !== "aggregate") return;
    const state = now;
    sentence.show_mean(state, () => now === state, about_of).catch((error) => console.warn(error));
  }

  /** Note which tab of the detail panel is open. */
  function turn_to(name) {
    tab = name;
    show_mean();
  }

  function head_exports({ atlas, view: { layer, head }, map }) {
    const href = () => {
      const made = qk_atlas.views["head-view"]?.data.made;
      return made ? `/api/${made.key}/remap.npz`
        : `/api/${atlas.atlas}/head/${layer}/${head}/vectors.npz`;
    };
    return qk_atlas.exports.of_head(() => qk_atlas.views["head-view"],
      () => provenance_of(now, `L${layer} H${head}`), href);
  }

  function on_head_bar_event(event) {
    if (event.type === "open") open_head(event);
    if (event.type === "back") go_to("/", { ...now.view, selection: null });
    if (event.type === "whole") show_selected(null);
    if (event.type === "tool") {
      tool = event.tool;
      qk_atlas.views["head-view"]?.set({ tool });
      qk_atlas.views["head-bar"]?.set({ tool });
    }
  }

  /** Return the cells of a map, fetched again until all are measured. */
  async function cells_of({ key }) {
    if (measured.key === key) return measured.cells;
    const { cells } = await stage.fetch_json(
      `/api/${key}/cells.json`, new AbortController().signal);
    if (cells.every((cell) => cell && Object.keys(cell.quality).length)) measured = { key, cells };
    return cells;
  }

  /** Show how far the head can be trusted, and norms by their real values. */
  async function show_quality({ map, view, atlas, norm_scale }) {
    const cells = await cells_of(map);
    const cell = cells[atlas.cells.findIndex(
      (one) => one.layer === view.layer && one.head === view.head)];
    const head = qk_atlas.views["head-view"];
    if (!cell || head?.config.layer !== view.layer || head.config.head !== view.head) return;
    offer(atlas, cell.norm_range);
    if (!head.config.selection) {
      qk_atlas.views["head-bar"]?.set({ quality: cell.quality });
      head.data.frame = cell;
    }
    const is_common = norm_scale === "common" && cells.every(Boolean);
    head.set({
      norm_range: cell.norm_range,
      norm_common: is_common ? qk_atlas.matrix_cells.whole_range(cells) : null,
    });
  }

  /** Offer what can be shown on a head. */
  function offer(atlas, norm_range) {
    const options = session.show_options(atlas.modality, norm_range, qk_atlas.kind.is_both(atlas));
    const text = JSON.stringify(options);
    const { capture } = atlas;
    // Until the norms of the next head are known, what was said of the one before stays.
    if (norm_range === null && offered.capture === capture) return;
    if (offered.text !== text) set_props("controls-show", { options });
    offered = { capture, text };
  }

  /** Select points of the map (their numbers) or none. */
  function select(points) {
    selected.points = points;
    qk_atlas.views["head-view"]?.set({ selected: points });
    show_selection();
    if (points) set_props("detail-tab", { value: "selection" });
  }

  /** Show the map of a stored selection, or the whole map for null. */
  function show_selected(selection) {
    const { layer, head } = now.view;
    selected.points = null;
    ahead.tell();
    set_props("shell-place", { data: { layer, head, selection } });
  }

  async function show_selection() {
    const element = document.getElementById("selection-view");
    if (!element) return;
    put("selection-view", "selection", {}, {}, on_selection_event);
    const tokens = await tokens_of(now.atlas);
    const head = qk_atlas.views["head-view"];
    if (!head?.data.order) return;
    const points = selected.points
      && head.data.indices_of(selected.points).map((index) => head.data.meaning_of(index));
    qk_atlas.views["selection-view"]?.set({ points, tokens });
  }

  function on_selection_event({ type }) {
    if (type === "clear") select(null);
    if (type === "reproject") {
      qk_atlas.remap.keep(now.atlas.atlas, selected.points).then(show_selected)
        .catch((error) => set_props("shell-notices", { children: error.message }));
    }
    if (type === "csv") {
      const { points } = qk_atlas.views["selection-view"];
      const { data } = qk_atlas.views["head-view"];
      const { layer, head } = now.view;
      export_menu.save_csv(qk_atlas.selection.columns, qk_atlas.selection.rows_of(points, data.tokens),
        provenance_of(now, `L${layer} H${head} selection`));
    }
  }

  function on_map_event({ type, token, side, sequence, position, points, ...made }) {
    if (type === "select") return select(points);
    if (type === "made") {
      qk_atlas.views["head-view"].data.frame = made.frame;
      qk_atlas.views["head-bar"]?.set({ quality: made.quality, n_selected: made.n_points });
      set_props("shell-made", { data: made.key });
      show_selection();
      return;
    }
    if (type === "pick") return pick(token === null ? null : { sequence, position, side });
    if (type === "hover_live") {
      const hot = token === null ? null : { side, position: token };
      qk_atlas.views["live-sentence-view"]?.set({ hot });
      return;
    }
    const [id] = panel_kinds[qk_atlas.kind.kind_of(now.atlas)];
    tokens_of(now.atlas).then((tokens) => {
      const here = token !== null && tokens.sequence[token] === now.view.sequence;
      const hot = here ? { side, position: tokens.position[token] } : null;
      qk_atlas.views[id]?.set({ hot });
    });
  }

  /** Tell whether two states show the same place of the same map. */
  function is_same(before, after) {
    const place = (state) => JSON.stringify(
      [state?.page, state?.missing, state?.atlas.capture, state?.map?.key, state?.view]);
    return before !== null && place(before) === place(after);
  }

  const views_of = { matrix: ["matrix-view", "matrix-bar"], head: ["head-view", "head-bar"] };

  /** Show the views of a page; `state` as `show` in 73_dash.js makes it. */
  function draw(wanted) {
    // What is on its way for the same view goes on.
    const state = is_same(now, wanted) ? Object.assign(now, wanted) : wanted;
    now = state;
    const { page, missing, atlas } = state;
    for (const [name, views] of Object.entries(views_of)) {
      if (name !== page || missing) drop(...views);
    }
    if (!views_of[page] || missing) {
      drop("sentence-view", "aggregate-view", "image-view", "selection-view");
      return;
    }
    const [other] = panel_kinds[qk_atlas.kind.kind_of(atlas) === "text" ? "image" : "text"];
    drop(other);
    if (page === "matrix") qk_atlas.matrix_page.show(state);
    else show_head(state);
  }

  const place = () => now.view;
  const provenance = () => provenance_of(now);
  const draw_again = () => now && draw(now);
  qk_atlas.pages = {
    place, provenance, draw, draw_again, change, turn_page, go_to, open_head, pick, turn_to,
  };
})();
