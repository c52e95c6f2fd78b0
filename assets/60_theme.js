"use strict";
// Light or dark, and which palette: attributes of <html> that app.css answers to, and a message to
// every view. Runs when it is loaded, in <head> too, so that no page flashes in the wrong theme.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  qk_atlas.views ??= {};

  const storage_key = "qk-atlas-theme";
  const root = globalThis.document.documentElement;
  const prefers_dark = globalThis.matchMedia("(prefers-color-scheme: dark)");

  /** Return the theme the user once chose, or null; a browser may forbid to look. */
  function remembered_theme() {
    try {
      const theme = globalThis.localStorage.getItem(storage_key);
      return theme === "light" || theme === "dark" ? theme : null;
    } catch {
      return null;
    }
  }

  function remember_theme(theme) {
    try {
      globalThis.localStorage.setItem(storage_key, theme);
    } catch {
      // A browser that forbids it forgets the choice with the page; nothing else is lost.
    }
  }

  /** Return "light" or "dark". */
  function current() {
    return root.dataset.bsTheme;
  }

  /** Return the address of the colour tables (app/api.py) for the theme and palette shown. */
  function lut_url() {
    return `/api/lut/${root.dataset.qkPalette ?? "default"}/${current()}.u8`;
  }

  function notify_views() {
    for (const view of Object.values(qk_atlas.views)) {
      view.set({ theme: current(), lut_url: lut_url() });
    }
  }

  /** Show the theme that a file was made with, else that the user chose, else that of the system. */
  function follow() {
    root.dataset.bsTheme = root.dataset.theme ?? remembered_theme() ?? (prefers_dark.matches ? "dark" : "light");
    notify_views();
  }

  /** Change between light and dark and remember it. @returns {string} the theme now shown */
  function toggle() {
    root.dataset.bsTheme = current() === "dark" ? "light" : "dark";
    remember_theme(current());
    notify_views();
    return current();
  }

  /** Show a palette of app/theme.py; which one is part of the view, so nothing is remembered. */
  function set_palette(palette) {
    root.dataset.qkPalette = palette;
    notify_views();
  }

  follow();
  prefers_dark.addEventListener("change", follow);

  qk_atlas.theme = { current, lut_url, toggle, set_palette };
  if (typeof module !== "undefined") module.exports = qk_atlas.theme;
})();
