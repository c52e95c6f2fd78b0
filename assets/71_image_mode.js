"use strict";
// Which of its three modes the image view beside a map is in: part of the address, like the rest of
// the view.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const modes = ["patch", "strongest", "flows"];
  const pages = ["/", "/head"]; // the address of others says nothing of it

  /** Return the mode that the query of an address asks for; the first where it names none. */
  function asked(search) {
    const mode = new URLSearchParams(search).get("image_mode");
    return modes.includes(mode) ? mode : modes[0];
  }

  let mode = asked(globalThis.location?.search ?? "");

  /** Return the mode for an atlas; texts have none. */
  const of = ({ modality }) => (modality === "image" ? mode : modes[0]);

  /** Note what was chosen, and write it into the address. */
  function choose(chosen) {
    if (chosen === mode) return;
    mode = chosen;
    qk_atlas.pages.change({ image_mode: chosen });
  }

  globalThis.addEventListener?.("popstate", () => {
    if (pages.includes(globalThis.location.pathname)) mode = asked(globalThis.location.search);
  });

  qk_atlas.image_mode = { asked, of, choose };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_mode;
})();
