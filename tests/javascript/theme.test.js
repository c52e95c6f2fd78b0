"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const file = require.resolve("../../assets/60_theme.js");

/** Load the script into a page of its own. */
function load({ stored = {}, dark = false, storage_works = true, made_with } = {}) {
  const forbid = () => {
    throw new DOMException("not allowed", "SecurityError");
  };
  const listeners = [];
  const media = { matches: dark, addEventListener: (_, listener) => listeners.push(listener) };
  const calls = [];
  globalThis.document = { documentElement: { dataset: made_with ? { theme: made_with } : {} } };
  globalThis.matchMedia = () => media;
  globalThis.localStorage = storage_works
    ? { getItem: (key) => stored[key] ?? null, setItem: (key, value) => { stored[key] = value; } }
    : { getItem: forbid, setItem: forbid };
  globalThis.qk_atlas = { views: { matrix: { set: (options) => calls.push(options) } } };
  delete require.cache[file];
  const theme = require(file);
  const change_system = (matches) => {
    media.matches = matches;
    listeners.forEach((listener) => listener());
  };
  return { theme, stored, calls, change_system, root: globalThis.document.documentElement };
}

for (const [dark, expected] of [[true, "dark"], [false, "light"]]) {
  test(`the first visit follows the system: ${expected}`, () => {
    const { root, stored } = load({ dark });
    assert.equal(root.dataset.bsTheme, expected);
    assert.deepEqual(stored, {});
  });
}

test("a file that was made with a theme keeps it", () => {
  const { root, change_system } = load({ dark: false, stored: { "qk-atlas-theme": "light" }, made_with: "dark" });
  assert.equal(root.dataset.bsTheme, "dark");
  change_system(false);
  assert.equal(root.dataset.bsTheme, "dark");
});

test("a choice is remembered and wins over the system", () => {
  const { theme, stored } = load({ dark: true });
  assert.equal(theme.toggle(), "light");
  assert.equal(load({ stored, dark: true }).root.dataset.bsTheme, "light");
});

test("toggling twice comes back", () => {
  const { theme } = load();
  assert.deepEqual([theme.toggle(), theme.toggle()], ["dark", "light"]);
  assert.equal(theme.current(), "light");
});

test("a stored value that is no theme counts as none", () => {
  const { root } = load({ stored: { "qk-atlas-theme": "<b>" }, dark: true });
  assert.equal(root.dataset.bsTheme, "dark");
});

test("a browser without storage still has themes", () => {
  const { theme } = load({ storage_works: false, dark: true });
  assert.equal(theme.toggle(), "light");
});

test("a change of the system is followed until the user chooses", () => {
  const { theme, change_system } = load();
  change_system(true);
  assert.equal(theme.current(), "dark");
  theme.toggle();
  change_system(false);
  change_system(true);
  assert.equal(theme.current(), "light");
});

test("every view hears of a new theme and of a new palette", () => {
  const { theme, calls } = load();
  calls.length = 0;
  theme.toggle();
  theme.set_palette("classic");
  assert.deepEqual(calls, [
    { theme: "dark", lut_url: "/api/lut/default/dark.u8" },
    { theme: "dark", lut_url: "/api/lut/classic/dark.u8" },
  ]);
});

test("the palette is an attribute that the style sheet can answer to", () => {
  const { theme, root } = load();
  assert.equal(theme.lut_url(), "/api/lut/default/light.u8");
  theme.set_palette("classic");
  assert.equal(root.dataset.qkPalette, "classic");
});
