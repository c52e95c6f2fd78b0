"use strict";
// Connects the views with Dash: `show` draws what the controls and stores say, and what happens in
// a view goes back to the stores. Nothing large passes through Dash.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { stage, session } = qk_atlas;
  const set_props = (id, props) => globalThis.dash_clientside.set_props(id, props);

  const steps = {
    ArrowLeft: { layer: 0, head: -1 }, ArrowRight: { layer: 0, head: 1 },
    ArrowUp: { layer: -1, head: 0 }, ArrowDown: { layer: 1, head: 0 },
  };
  const views_of = { matrix: ["matrix-view"], head: ["head-view", "head-bar"] };
  const panel_kinds = { text: ["sentence-view", "bipartite"], image: ["image-view", "image_panel"] };

  /** Return which page an address shows: "matrix", "head" or "other". */
  function page_of(pathname) {
    for (const link of document.querySelectorAll(".qk-nav a")) {
      const is_here = new URL(link.href).pathname === pathname;
      if (is_here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    return { "/": "matrix", "/head": "head" }[pathname] ?? "other";
  }

  let now = null; // what is shown; see `show`
  const remembered = new Map(); // address -> promise of its JSON: token tables

  function remember(url) {
    if (!remembered.has(url)) {
      const found = stage.fetch_json(url, new AbortController().signal);
      found.catch(() => remembered.delete(url));
      remembered.set(url, found);
    }
    return remembered.get(url);
  }

  /** Mount a view unless it shows this already; then set its options. */
  function put(id, kind, config, options, on_event) {
    const element = document.getElementById(id);
    if (!element) return;
    const { lut_url, href, ...identity } = config;
    const shows = JSON.stringify(identity);
    if (element.dataset.shows !== shows || !qk_atlas.views[id]) {
      element.dataset.shows = shows;
      qk_atlas[kind].mount(element, config, on_event);
    }
    qk_atlas.views[id].set(options);
  }

  function drop(...names) {
    for (const id of names) qk_atlas.views[id]?.destroy();
  }

  /**
   * Go to another page. The address bar may be ahead of what dcc.Location knows, because `show`
   * rewrites it, so the page is changed as the browser's own arrows do it.
   */
  function go_to(page, view) {
    history.pushState({}, "", session.address(page, view, now.defaults));
    dispatchEvent(new PopStateEvent("popstate", { state: {} }));
  }

  function open_head({ layer, head }) {
    if (now.page === "head") set_props("shell-place", { data: { layer, head } });
    else go_to("/head", { ...now.view, layer, head });
  }

  function show_matrix({ atlas, view, defaults, map, options, scale, progress }) {
    const config = {
      rows: atlas.rows, columns: atlas.columns, cells: atlas.cells, n_points: 2 * atlas.n_tokens,
      dims: view.dims, capture_url: `/api/${atlas.capture}`, projection_url: `/api/${map.key}`,
      lut_url: options.lut_url, href: session.head_address(view, defaults),
      label: `${atlas.model} on ${atlas.corpus}, all heads`,
    };
    put("matrix-view", "matrix", config, { ...options, scale, refresh: progress }, (event) => {
      if (event.type === "open") open_head(event);
    });
  }

  function show_head(state) {
    const { atlas, view, map, options, show } = state;
    const { layer, head, dims } = view;
    const config = {
      layer, head, dims, n_tokens: atlas.n_tokens, n_points: 2 * atlas.n_tokens,
      capture_url: `/api/${atlas.capture}`, projection_url: `/api/${map.key}`,
      lut_url: options.lut_url, modality: atlas.modality,
      label: `Layer ${layer} head ${head} of ${atlas.model} on ${atlas.corpus}, `
        + session.map_name(view.method, dims),
    };
    put("head-view", "head", config, {
      ...options, labels: show.includes("labels"), size_by_norm: show.includes("size_by_norm"),
      sequence: view.sequence, ...(view.sequence === null ? { lines: null, picked: null } : {}),
    }, on_map_event);
    const bar = { layer, head, cells: atlas.cells, map: map.key };
    put("head-bar", "head_bar", bar, {}, (event) => (
      event.type === "open" ? open_head(event) : go_to("/", now.view)
    ));
    show_quality(state);
    show_panel(state).catch((error) => console.warn(error));
  }

  async function show_quality({ map, view, atlas }) {
    const { cells } = await stage.fetch_json(
      `/api/${map.key}/cells.json`, new AbortController().signal);
    const place = atlas.cells.findIndex(
      (cell) => cell.layer === view.layer && cell.head === view.head);
    qk_atlas.views["head-bar"]?.set({ quality: cells[place]?.quality });
  }

  /** Show the sequence of the picked point beside the map, and its attention lines on it. */
  async function show_panel(state) {
    const { atlas, view, show } = state;
    const capture_url = `/api/${atlas.capture}`;
    const tokens = await remember(`${capture_url}/tokens.json`);
    if (now !== state) return;
    const { sequence, layer, head } = view;
    const first = sequence === null ? 0 : tokens.sequence.indexOf(sequence);
    const length = first < 0 || sequence === null ? 0 : tokens.sequences[sequence].length;
    const weights_url = `${capture_url}/attention/${sequence}/${layer}/${head}.f32`;
    const place = view.token === null ? null : { side: view.side, position: view.token };
    put_panel(state, tokens, { first, length, weights_url, place });
    if (!length) return;
    const picked = place && { token: first + place.position, side: place.side };
    qk_atlas.views["head-view"]?.set({ picked });
    const lines = show.includes("lines")
      ? session.attention_lines(
        await stage.fetch_array(weights_url, Float32Array, new AbortController().signal), first)
      : null;
    if (now === state) qk_atlas.views["head-view"]?.set({ lines });
  }

  function put_panel({ atlas, view, theme }, tokens, { first, length, weights_url, place }) {
    const [id, kind] = panel_kinds[atlas.modality];
    const { label } = tokens.sequences[view.sequence] ?? {};
    const config = {
      title: atlas.modality === "image" ? "Image view" : "Sentence view",
      subtitle: `L${view.layer} H${view.head}${label ? ` · ${label}` : ""}`,
      tokens: Array.from({ length }, (_, position) => ({
        text: tokens.text[first + position], special: tokens.special[first + position] === 1,
        row: tokens.row[first + position], column: tokens.column[first + position],
      })),
      weights_url, grid: tokens.grid,
      image_url: `/api/${atlas.capture}/image/${view.sequence}.png`,
    };
    put(id, kind, config, { picked: place, theme }, (event) => on_panel_event(event, first));
  }

  function on_map_event({ type, token, side, sequence, position }) {
    if (type === "pick") {
      set_props("shell-picked", { data: token === null ? null : { sequence, position, side } });
      return;
    }
    const [id] = panel_kinds[now.atlas.modality];
    remember(`/api/${now.atlas.capture}/tokens.json`).then((tokens) => {
      const here = token !== null && tokens.sequence[token] === now.view.sequence;
      const hot = here ? { side, position: tokens.position[token] } : null;
      qk_atlas.views[id]?.set({ hot });
    });
  }

  function on_panel_event({ type, side, position }, first) {
    if (type === "pick") {
      set_props("shell-picked", { data: { sequence: now.view.sequence, position, side } });
      return;
    }
    const hover_tokens = position === null ? [] : [{ token: first + position, side }];
    qk_atlas.views["head-view"]?.set({ hover_tokens });
  }

  /** Return the view as the address tells it. */
  function view_of({ atlas, method, dims, encoding, palette, place, picked }) {
    return {
      model: atlas.model, corpus: atlas.corpus, normalisation: atlas.normalisation,
      method, dims, encoding, palette, layer: place.layer, head: place.head,
      sequence: picked?.sequence ?? null, token: picked?.position ?? null,
      side: picked?.side ?? "query",
    };
  }

  /** Keep a view inside the atlas: a link may name a head or a sequence that is not there. */
  function fit_place(place, atlas) {
    const is_there = atlas.cells?.some((c) => c.layer === place.layer && c.head === place.head);
    return is_there === false ? { layer: 0, head: 0 } : place;
  }

  /**
   * Draw what the controls and stores say.
   * @returns {Array} links to matrix and head, status text, whether something is missing
   */
  function show(
    pathname, atlas, method, dims, encoding, palette, scale, show_list, hits, place, picked,
    progress, theme, _matrix_ready, _head_ready, defaults,
  ) {
    const page = page_of(pathname);
    if (!atlas || !method || !place) {
      return ["/", "/head", "", true, "", "", true];
    }
    const view = view_of({
      atlas, method, dims, encoding, palette, place: fit_place(place, atlas), picked,
    });
    qk_atlas.theme.set_palette(palette);
    now = {
      page, atlas, view, defaults, scale, progress, theme, show: show_list,
      map: atlas.maps?.[`${method}_${dims}`],
      options: { encoding, hits, lut_url: qk_atlas.theme.lut_url(), theme },
    };
    const missing = page === "other" ? "" : session.missing_text(atlas, view);
    for (const [name, views] of Object.entries(views_of)) {
      if (name !== page || missing) drop(...views);
    }
    if (page === "other" || missing) drop("sentence-view", "image-view");
    else draw_page(now);
    if (page !== "other") qk_atlas.url.write(qk_atlas.url.query_of(view, defaults));
    const links = ["/", "/head"].map((path) => session.address(path, view, defaults));
    const status = missing || !atlas.summary
      ? "" : `${atlas.summary} · ${session.map_name(method, dims)}`;
    const title = session.missing_title(atlas);
    return [...links, status, !missing, title, missing, !missing || atlas.building];
  }

  function draw_page(state) {
    const [other] = panel_kinds[state.atlas.modality === "text" ? "image" : "text"];
    drop(other);
    if (state.page === "matrix") show_matrix(state);
    else show_head(state);
  }

  function toggle_theme(n_clicks) {
    return n_clicks ? qk_atlas.theme.toggle() : qk_atlas.theme.current();
  }

  async function copy_link() {
    try {
      await navigator.clipboard.writeText(location.href);
      return "copied";
    } catch {
      return "copy the address bar"; // a page without https may not write the clipboard
    }
  }

  document.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step || now?.page !== "head" || event.ctrlKey || event.metaKey || event.altKey) return;
    const is_busy = event.target.closest?.("input, textarea, select, [role], .qk-panel");
    const turns = now.view.dims === 3 && event.target.closest?.("#head-view");
    if (turns || (is_busy && !event.target.closest("#head-view"))) return;
    const place = session.neighbour(now.atlas.cells, now.view, step);
    if (!place) return;
    event.preventDefault();
    open_head(place);
  });

  globalThis.dash_clientside = Object.assign({}, globalThis.dash_clientside, {
    qk_atlas: { show, page_of, toggle_theme, copy_link },
  });
})();
