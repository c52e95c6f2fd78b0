"use strict";
// How the image beside a map is looked at: its mode, the least weight that is drawn of all flows, and
// contrast. Part of the address, like the rest of the view; the names there are app/view_state.py's.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const modes = ["patch", "strongest", "flows"];
  const defaults = { image_mode: modes[0], image_least: 0.1, image_contrast: "off" };
  const pages = ["/", "/head"]; // the address of others says nothing of it

  /** Return what the query of an address asks for, the default for all that it does not name. */
  function asked(search) {
    const query = new URLSearchParams(search);
    const [mode, least] = [query.get("image_mode"), Number(query.get("image_least"))];
    return {
      image_mode: modes.includes(mode) ? mode : defaults.image_mode,
      image_least: least >= 0.02 && least <= 0.9 ? least : defaults.image_least,
      image_contrast: query.get("image_contrast") === "on" ? "on" : "off",
    };
  }

  let look = asked(globalThis.location?.search ?? "");

  /** Return the look for an atlas; texts have none. */
  const of = ({ modality }) => (modality === "image" ? look : defaults);

  /** Return the options of the image view for a look. */
  const options_of = ({ image_mode, image_least, image_contrast }) => (
    { mode: image_mode, threshold: image_least, contrast: image_contrast === "on" });

  /** Note which options were chosen, and write them into the address. */
  function choose({ mode, threshold, contrast }) {
    const chosen = {
      image_mode: mode, image_least: threshold, image_contrast: contrast ? "on" : "off",
    };
    if (Object.keys(chosen).every((name) => chosen[name] === look[name])) return;
    look = chosen;
    qk_atlas.pages.change(chosen);
  }

  globalThis.addEventListener?.("popstate", () => {
    if (pages.includes(globalThis.location.pathname)) look = asked(globalThis.location.search);
  });

  qk_atlas.image_look = { asked, of, options_of, choose };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_look;
})();
