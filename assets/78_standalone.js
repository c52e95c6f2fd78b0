"use strict";
// Shows one view in a page that brings everything along: an export, or the output of a notebook.

(() => {
  const block = globalThis.document?.getElementById("qk-standalone-data");
  if (!block) return;
  const qk_atlas = globalThis.qk_atlas;
  const { kind, config, options, table } = JSON.parse(block.textContent);
  const element = document.getElementById("qk-standalone");
  qk_atlas.inline.table = table;

  /** Follow what is chosen in the view; there is no other page to tell. */
  function on_event({ type, changes, layer, head, position, side }) {
    const view = qk_atlas.views[element.id];
    if (type === "change") view.set(changes);
    if (type === "layer" || type === "place") view.set({ layer, head: head ?? 0 });
    if (type === "pick" && kind !== "bipartite" && kind !== "image_panel") {
      view.set({ picked: position === null ? null : { position, side } });
    }
  }

  qk_atlas[kind].mount(element, config, on_event);
  qk_atlas.views[element.id].set({ ...options, theme: qk_atlas.theme.current() });
})();
