"use strict";
// Connects the inspect views with Dash: which input is looked at, what the address says, and the
// legend beside it.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { session, stage } = qk_atlas;
  const { set_props } = qk_atlas.detail;

  const pages = {
    "/inspect/model": { id: "inspect-model-view", kind: "model_view", name: "Model" },
    "/inspect/heads": { id: "inspect-lines-view", kind: "head_lines", name: "Heads" },
    "/inspect/neurons": { id: "inspect-neuron-view", kind: "neuron_view", name: "Neurons" },
  };

  let now = null;

  /** Return the number of the sequence that the address asks for, or null. */
  function asked_sequence() {
    const text = new URLSearchParams(location.search).get("sequence");
    return text !== null && /^\d{1,7}$/.test(text) ? Number(text) : null;
  }

  let corpus = null; // of the source; another one begins at its first sequence

  /** Return what is looked at: a sequence of the atlas, unless a live input of its model stays. */
  async function source_of(atlas, _search, source) {
    const { no_update } = globalThis.dash_clientside;
    if (!atlas?.capture) return no_update;
    const live = qk_atlas.live.asked_live();
    if (live && source?.capture !== live) {
      const found = await qk_atlas.live.open(live);
      if (found) return found;
    }
    const asked = asked_sequence();
    if (source?.is_live && source.model === atlas.model && asked === null) return no_update;
    const is_other = corpus !== null && corpus !== atlas.corpus;
    corpus = atlas.corpus;
    const sequence = is_other ? 0 : asked ?? 0;
    if (source && !source.is_live && source.capture === atlas.capture && source.sequence === sequence) {
      return no_update;
    }
    return { capture: atlas.capture, sequence, model: atlas.model, is_live: false };
  }

  /** Mount a view unless it shows this input already; then set its options. */
  function put(id, kind, config, options) {
    const element = document.getElementById(id);
    if (!element || !qk_atlas[kind]) return;
    const shows = [config.capture_url, config.compared_url, config.sequence].join();
    const view = qk_atlas.views[id];
    if (view && element.dataset.shows === shows) Object.assign(view.config, config);
    else {
      element.dataset.shows = shows;
      qk_atlas[kind].mount(element, config, on_view_event);
    }
    qk_atlas.views[id].set(options);
  }

  function on_view_event(event) {
    const { source, inspect, view, atlas } = now;
    if (event.type === "change") {
      const known = Object.entries(event.changes).filter(([name]) => name in inspect);
      // At once: the next choice may come before Dash has passed this one on.
      now.inspect = { ...inspect, ...Object.fromEntries(known) };
      if (known.length) set_props("inspect-options", { data: now.inspect });
    }
    if (event.type === "layer" || event.type === "place") {
      const { layer, head = view.head } = event;
      const fits = atlas.cells.some((cell) => cell.layer === layer && cell.head === head);
      set_props("shell-place", { data: { layer, head: fits ? head : 0 } });
    }
    if (event.type === "pick" && !source.is_live) {
      const { position, side } = event;
      const data = position === null ? null : { sequence: source.sequence, position, side };
      set_props("shell-picked", { data });
    }
    if (event.type === "open_map") qk_atlas.pages.go_to("/head", { ...view, ...place_of(event) });
    if (event.type === "open") {
      const page = `/inspect/${event.view}`;
      qk_atlas.pages.go_to(page, { ...view, heads: String(event.head), pinned: "", ...place_of(event) });
    }
  }

  const place_of = ({ layer, head }) => ({ layer, head });

  function on_choice({ sequence }) {
    const { atlas, picked } = now;
    if (picked) set_props("shell-picked", { data: null });
    set_props("inspect-source", { data: { capture: atlas.capture, sequence, model: atlas.model, is_live: false } });
  }

  /** Return the view as the address tells it; a live input has no address. */
  function view_of({ atlas, method, dims, encoding, palette, place, picked, source, inspect, is_here }) {
    const is_there = atlas.cells.some((c) => c.layer === place.layer && c.head === place.head);
    const sequence = source.is_live ? null : source.sequence;
    const chosen = picked && (!is_here || picked.sequence === sequence) ? picked : null;
    return {
      model: atlas.model, corpus: atlas.corpus, normalisation: atlas.normalisation,
      guidance: atlas.guidance, method, dims, encoding, palette,
      ...(is_there ? place_of(place) : { layer: 0, head: 0 }),
      sequence: chosen?.sequence ?? sequence, token: chosen?.position ?? null, side: chosen?.side ?? "query",
      ...inspect, live: source.is_live ? source.capture : null, ...qk_atlas.image_look.of(atlas),
    };
  }

  function options_of(view, theme, is_live) {
    const picked = view.token === null ? null : { side: view.side, position: view.token };
    const { layer, head } = view;
    return { ...now.inspect, layer, head, theme, ...(is_live ? {} : { picked }) };
  }

  function draw_legend(kind, hrefs, is_difference) {
    const legend = document.getElementById("inspect-legend");
    const shows = [kind, is_difference, ...hrefs].join();
    if (!legend || legend.dataset.shows === shows) return;
    legend.dataset.shows = shows;
    const tabs = stage.make("nav", "qk-inspect-tabs", "", { "aria-label": "views of this input" });
    Object.entries(pages).forEach(([page, { name, kind: own }], i) => {
      const tab = stage.make("a", "", name, { href: hrefs[i], ...(own === kind ? { "aria-current": "page" } : {}) });
      tab.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        qk_atlas.pages.go_to(page, now.view);
      });
      tabs.append(tab);
    });
    const rows = qk_atlas.meanings.meanings_of(kind, is_difference).map(([sign, words, of_signs]) => {
      const row = stage.make("p", `qk-meaning qk-meaning-${sign}`, words);
      if (of_signs) row.append(signs(of_signs));
      return row;
    });
    legend.replaceChildren(tabs, ...rows);
  }

  function signs([more, less]) {
    const legend = stage.make("span", "qk-signs");
    legend.append(stage.make("span", "qk-sign-more", more), stage.make("span", "qk-sign-less", less));
    return legend;
  }

  /**
   * Draw the inspect page of an address, if it is one.
   * @returns {string[]} addresses of model, head and neuron view, and of the sentence beside a map
   */
  function show_inspect(
    pathname, source, inspect, atlas, method, dims, encoding, palette, place, picked, theme,
    defaults,
  ) {
    qk_atlas.pages.turn_page(location.pathname);
    const here = pages[pathname];
    const plain = [...Object.keys(pages), "/inspect/heads"];
    for (const { id } of Object.values(pages)) if (id !== here?.id) qk_atlas.views[id]?.destroy();
    document.getElementById("shell-inspect-menu")?.toggleAttribute("data-here", Boolean(here));
    if (!here) qk_atlas.views["inspect-chooser"]?.destroy();
    if (!atlas?.capture || !source || !inspect || !place || !method) return plain;
    const view = view_of({
      atlas, method, dims, encoding, palette, place, picked, source, inspect, is_here: Boolean(here),
    });
    now = { source, inspect, view, atlas, picked };
    const links = Object.keys(pages).map((page) => session.address(page, view, defaults));
    if (!here) return [...links, links[1]];
    qk_atlas.url.write(qk_atlas.url.query_of(view, defaults));
    const { method: _, ...provenance } = atlas.provenance;
    put(here.id, here.kind, {
      capture_url: `/api/${source.capture}`, sequence: source.sequence,
      compared_url: source.compared ? `/api/${source.compared}` : null,
      links: { map: session.head_address(view, defaults), heads: true, neurons: true }, provenance,
    }, options_of(view, theme, source.is_live));
    const chooser = document.getElementById("inspect-chooser");
    if (chooser && qk_atlas.views["inspect-chooser"]?.config.capture_url !== `/api/${atlas.capture}`) {
      const has_images = atlas.modality === "image";
      qk_atlas.sequence_chooser.mount(chooser, { capture_url: `/api/${atlas.capture}`, has_images }, on_choice);
    }
    qk_atlas.views["inspect-chooser"]?.set({ sequence: source.is_live ? -1 : source.sequence });
    draw_legend(here.kind, links, Boolean(source.compared));
    return [...links, links[1]];
  }

  // The menu closes when a page is chosen in it or the focus leaves it.
  document.addEventListener("click", (event) => {
    const menu = document.getElementById("shell-inspect-menu");
    if (menu?.open && (!menu.contains(event.target) || event.target.closest("a"))) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = document.getElementById("shell-inspect-menu");
    if (event.key !== "Escape" || !menu?.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  Object.assign(globalThis.dash_clientside.qk_atlas, { source_of, show_inspect });
})();
