"use strict";
// Connects the live input with Dash: both boxes, what is looked at, and the address that reopens it.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { stage } = qk_atlas;
  const { put, set_props } = qk_atlas.detail;
  const boxes = {
    "live-head-box": {
      text: "The model runs on your text; its queries and keys appear as rings on the map, its attention below.",
      image: "The model runs on your picture; its queries and keys appear as rings on the map, its attention below.",
    },
    "inspect-live-box": {},
  };

  let current = null; // the live source, or null

  /** Return the capture that the address asks for, or null. */
  function asked_live() {
    const text = new URLSearchParams(location.search).get("live");
    return text !== null && /^[0-9a-f]{64}$/.test(text) ? text : null;
  }

  /**
   * Open the live input of the address.
   * @returns {Promise<object|null>} what is looked at, or null where it is gone, which is said
   */
  async function open(capture) {
    try {
      return qk_atlas.live_input.source_of(await qk_atlas.live_input.given_of(capture));
    } catch (error) {
      set_props("shell-notices", { children: `The link names a live input: ${error.message}.` });
      return null;
    }
  }

  function on_shown({ source }) {
    set_props("inspect-source", { data: source });
  }

  /** Keep the capture of a live input in the address, and nothing of any other. */
  function write_address() {
    const query = new URLSearchParams(location.search);
    if ((query.get("live") ?? null) === (current?.capture ?? null)) return;
    if (current) query.set("live", current.capture);
    else query.delete("live");
    qk_atlas.url.write(query.toString());
  }

  function show_boxes(atlas, source, picked) {
    const { capture, model, modality, kind, rotary } = atlas;
    const sequences = {
      "live-head-box": picked?.sequence ?? null, "inspect-live-box": source?.sequence ?? null,
    };
    for (const [id, hints] of Object.entries(boxes)) {
      if (!document.getElementById(id)) continue;
      const config = {
        model, modality, part: kind, rotary, atlas: atlas.atlas, capture, hint: hints[modality],
      };
      put(id, "live_input", config, { source, sequence: sequences[id] }, on_shown);
    }
  }

  /** Show the attention of the live input at the head at hand, below the box on the head page. */
  async function show_sentence(atlas, source, place, theme) {
    const id = "live-sentence-view";
    const element = document.getElementById(id);
    if (!element) return;
    if (!source?.is_live || source.model !== atlas.model) {
      qk_atlas.views[id]?.destroy();
      element.hidden = true;
      return;
    }
    const is_image = atlas.modality === "image";
    const { layer, head } = place;
    const of = { capture: source.capture, kind: atlas.kind, sequence: 0, layer, head };
    const config = await (is_image ? image_config(of) : qk_atlas.sentence.config_of(of));
    if (current?.capture !== source.capture) return;
    element.hidden = false;
    const names = { title: "This input", subtitle: `L${layer} H${head}` };
    put(id, is_image ? "image_panel" : "bipartite", { ...config, ...names }, { theme }, () => {});
  }

  /** Return what the image view needs of a live picture. */
  async function image_config({ capture, layer, head }) {
    const url = `/api/${capture}`;
    const tokens = await stage.fetch_json(`${url}/tokens.json`, new AbortController().signal);
    return {
      tokens: tokens.text.map((text, position) => ({
        text, special: tokens.special[position] === 1, row: tokens.row[position], column: tokens.column[position],
      })),
      weights_url: `${url}/attention/0/${layer}/${head}.f32`, grid: tokens.grid,
      image_url: `${url}/image/0.png`, provenance: { input: "live", head: `L${layer} H${head}` },
    };
  }

  /**
   * Show the live input wherever it belongs.
   * @returns {string} the capture of the live input, "" where there is none
   */
  function show_live(atlas, source, place, picked, method, dims, theme, pathname, _progress) {
    current = source?.is_live && source.model === atlas?.model ? source : null;
    if (!atlas?.capture || !place) return "";
    show_boxes(atlas, source, picked);
    if (pathname === "/head" || pathname.startsWith("/inspect/")) write_address();
    show_sentence(atlas, source, place, theme).catch((error) => console.warn(error));
    qk_atlas.placed?.show(atlas, current, place, `${method}_${dims}`);
    return current?.capture ?? "";
  }

  qk_atlas.live = { asked_live, open, capture: () => current?.capture ?? null };
  Object.assign(globalThis.dash_clientside.qk_atlas, { show_live });
})();
