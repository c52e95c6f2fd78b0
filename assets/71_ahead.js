"use strict";
// What was chosen on a map and is drawn already, before Dash knows. Telling Dash takes a tenth of a
// second, during which nothing could be drawn: the picture comes first.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const patience_ms = 150;

  let untold = null; // {capture, changes: of the view, tells: name -> function, timer}

  /**
   * Note a choice, to tell Dash of it a little later.
   * @param {string} capture of the atlas that it was made in
   * @param {Object<string, string|number|null>} changes of the view
   * @param {string} name of what is told; of several with the same name the last counts
   * @param {() => void} tell_it
   */
  function note(capture, changes, name, tell_it) {
    if (untold && untold.capture !== capture) tell();
    untold ??= { capture, changes: {}, tells: {}, timer: 0 };
    Object.assign(untold.changes, changes);
    untold.tells[name] = tell_it;
    clearTimeout(untold.timer);
    untold.timer = setTimeout(tell, patience_ms);
  }

  /** Tell Dash now. */
  function tell() {
    if (!untold) return;
    const { tells, timer } = untold;
    untold = null;
    clearTimeout(timer);
    for (const tell_it of Object.values(tells)) tell_it();
  }

  /** Return a view as Dash knows it with what it has not been told yet. */
  function over(view, capture) {
    return untold && untold.capture === capture ? { ...view, ...untold.changes } : view;
  }

  // The browser's own arrows may leave a page that Dash was not told of: it notices nothing.
  globalThis.addEventListener?.("popstate", () => {
    if (!untold) return;
    tell();
    qk_atlas.show_again();
  });

  qk_atlas.ahead = { note, tell, over };
  if (typeof module !== "undefined") module.exports = qk_atlas.ahead;
})();
