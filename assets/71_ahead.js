"use strict";
// What was chosen on a map and is drawn already, before Dash knows. Telling Dash takes a tenth of a
// second, during which nothing could be drawn: the picture comes first.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const patience_ms = 150;

  let untold = null; // {capture, changes: of the view, stores: id -> data, timer}

  /**
   * Note a choice, to tell Dash of it a little later.
   * @param {string} capture of the atlas that it was made in
   * @param {Object<string, string|number|null>} changes of the view
   * @param {string} id of the store that Dash keeps it in
   * @param {object|null} data for that store
   */
  function note(capture, changes, id, data) {
    if (untold && untold.capture !== capture) tell();
    untold ??= { capture, changes: {}, stores: {}, timer: 0 };
    Object.assign(untold.changes, changes);
    untold.stores[id] = data;
    clearTimeout(untold.timer);
    untold.timer = setTimeout(tell, patience_ms);
  }

  /** Tell Dash now. */
  function tell() {
    if (!untold) return;
    const { stores, timer } = untold;
    untold = null;
    clearTimeout(timer);
    for (const [id, data] of Object.entries(stores)) qk_atlas.detail.set_props(id, { data });
  }

  /** Return a view as Dash knows it with what it has not been told yet. */
  function over(view, capture) {
    return untold && untold.capture === capture ? { ...view, ...untold.changes } : view;
  }

  qk_atlas.ahead = { note, tell, over };
  if (typeof module !== "undefined") module.exports = qk_atlas.ahead;
})();
