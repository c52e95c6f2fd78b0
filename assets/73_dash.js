"use strict";
// Connects the views with Dash: `show` draws what the controls and stores say.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { session, stage, pages } = qk_atlas;

  const steps = {
    ArrowLeft: { layer: 0, head: -1 }, ArrowRight: { layer: 0, head: 1 },
    ArrowUp: { layer: -1, head: 0 }, ArrowDown: { layer: 1, head: 0 },
  };

  let now = null; // what is shown; see `show`
  let told = null; // what Dash said last

  /** Turn to the page of a path. @returns {string} "matrix", "head", "inspect" or "other" */
  function page_of(pathname) {
    for (const link of document.querySelectorAll(".qk-nav a")) {
      const is_here = new URL(link.href).pathname === pathname;
      if (is_here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    pages.turn_page(pathname);
    return session.page_of(pathname);
  }

  /** Show what was left out of the atlas as a list that opens. */
  function show_left_out(atlas) {
    const element = document.getElementById("shell-left-out");
    const notes = session.notes_of(atlas.left_out);
    const shows = JSON.stringify(notes);
    if (element.dataset.shows === shows) return;
    element.dataset.shows = shows;
    element.replaceChildren();
    if (!notes) return;
    const details = stage.make("details", "qk-left-out");
    const list = stage.make("ul", "");
    list.append(...notes.rows.map((note) => stage.make("li", "", note)));
    details.append(stage.make("summary", "", notes.heading), list);
    element.append(details);
  }

  /** Return the view as the address tells it. */
  function view_of({ atlas, method, dims, encoding, palette, place, picked }) {
    return {
      model: atlas.model, corpus: atlas.corpus, normalisation: atlas.normalisation,
      part: atlas.part, guidance: atlas.guidance, method, dims, encoding, palette,
      layer: place.layer, head: place.head, selection: place.selection ?? null,
      sequence: picked?.sequence ?? null, token: picked?.position ?? null,
      side: picked?.side ?? "query", live: qk_atlas.live.capture(),
      ...qk_atlas.image_look.of(atlas),
    };
  }

  /** Keep a view inside the atlas: a link may name a head or a sequence that is not there. */
  function fit_place(place, atlas) {
    const is_there = atlas.cells?.some((c) => c.layer === place.layer && c.head === place.head);
    return is_there === false ? { layer: 0, head: 0 } : place;
  }

  /** Return an encoding that the atlas has, with the ramp of its colours. */
  function colouring(atlas, encoding) {
    const known = atlas.encodings?.[encoding] ? encoding : "type";
    const [encoding_name, ramp] = atlas.encodings?.[known] ?? ["query or key", "type"];
    return { encoding: known, encoding_name, ramp };
  }

  /**
   * Draw what the controls and stores say.
   * @returns {Array} links to matrix and head, status text, then of what is missing: whether its
   *   message is hidden, title, text, cost, whether it cannot be built; how the atlas stands
   */
  function show(
    _pathname, atlas, method, dims, encoding, palette, scale, norm_scale, show_list, hits, place,
    picked, progress, theme, defaults,
  ) {
    told = [...arguments];
    const page = page_of(location.pathname); // which may be ahead of Dash
    if (!atlas || !method || !place) {
      return ["/", "/head", "", true, "", "", "", true, ""];
    }
    const view = qk_atlas.ahead.over(view_of({
      atlas, method, dims, encoding, palette, place: fit_place(place, atlas), picked,
    }), atlas.capture);
    qk_atlas.theme.set_palette(palette);
    const atlas_is = atlas.capture ? "there" : "missing";
    Object.assign(document.getElementById("shell-frame").dataset, { encoding, atlas: atlas_is });
    const terms = hits?.length ? hits.map(({ tokens }) => tokens) : null;
    const has_maps = page === "matrix" || page === "head";
    const needs = page === "inspect" && !atlas.capture;
    const missing = has_maps || needs ? session.missing_text(atlas, view) : "";
    now = {
      page, atlas, view, defaults, scale, norm_scale, progress, theme, missing, show: show_list,
      map: atlas.maps?.[`${method}_${dims}`],
      options: {
        ...colouring(atlas, encoding), hits: terms, lut_url: qk_atlas.theme.lut_url(), theme,
      },
    };
    pages.draw(now);
    show_left_out(atlas);
    if (has_maps) qk_atlas.url.write(qk_atlas.url.query_of(view, defaults));
    const links = [session.address("/", { ...view, selection: null }, defaults),
      session.address("/head", view, defaults)];
    const status = missing || !atlas.summary
      ? "" : has_maps ? session.status_text(atlas, now.map, view) : atlas.summary;
    const title = session.missing_title(atlas);
    const absent = [!missing, title, missing, atlas.estimate ?? "", !missing || atlas.building];
    return [...links, status, ...absent, session.state_word(atlas, has_maps ? now.map : { complete: true })];
  }

  /** Draw what Dash said last, at the address as it is now. */
  qk_atlas.show_again = () => told && show(...told);

  function toggle_theme(n_clicks) {
    return n_clicks ? qk_atlas.theme.toggle() : qk_atlas.theme.current();
  }

  async function copy_link() {
    qk_atlas.ahead.tell();
    try {
      await navigator.clipboard.writeText(location.href);
      return "copied";
    } catch {
      return "copy the address bar"; // a page without https may not write the clipboard
    }
  }

  /** Open the list of keys. */
  function toggle_help(n_clicks) {
    if (n_clicks) qk_atlas.help.open();
    return n_clicks;
  }

  function tab_of(value) {
    pages.turn_to(value);
    return value;
  }

  document.addEventListener("keydown", (event) => {
    const typed = event.target.closest?.("input, textarea, select");
    if (event.key === "?" && !typed) qk_atlas.help.open();
    const step = steps[event.key];
    if (!step || !now || session.page_of(location.pathname) !== "head" || event.ctrlKey || event.metaKey || event.altKey) return;
    const is_busy = event.target.closest?.("input, textarea, select, [role], .qk-panel");
    const turns = now.view.dims === 3 && event.target.closest?.("#head-view");
    if (turns || (is_busy && !event.target.closest("#head-view"))) return;
    const place = session.neighbour(now.atlas.cells, pages.place(), step);
    if (!place) return;
    event.preventDefault();
    pages.open_head(place);
  });

  globalThis.dash_clientside = Object.assign({}, globalThis.dash_clientside, {
    qk_atlas: {
      open: qk_atlas.opening.open, ...qk_atlas.questions,
      show, page_of, toggle_theme, copy_link, toggle_help, tab_of,
    },
  });
})();
