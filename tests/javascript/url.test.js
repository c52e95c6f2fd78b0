"use strict";

const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");

const { query_of, merge, write } = require("../../assets/50_url.js");

// As dataclasses.asdict(ViewState()) gives them.
const defaults = {
  model: "minilm", corpus: "sentences", normalisation: "faithful", guidance: 0.08, method: "tsne", dims: 2,
  layer: 0, head: 0, encoding: "type", palette: "default", sequence: null, token: null,
  side: "query", layers: "", heads: "", pinned: "", pairs: "all", sort: "grid", drawn: "lines",
  dimensions: "index", rotary: "after", compare: null,
  live: null, selection: null, image_mode: "patch", image_least: 0.1, image_contrast: "off",
};

let written = [];

beforeEach(() => {
  written = [];
  globalThis.location = { pathname: "/head", search: "?layer=3", hash: "#map" };
  globalThis.history = { state: { key: 1 }, replaceState: (...of) => written.push(of) };
});

// The same pairs stand in tests/unit/app/test_view_state.py.
const pairs = [
  [{ layer: 3, head: 9 }, "layer=3&head=9"],
  [{ head: 9, layer: 3, model: "org/name-v1.0" }, "model=org/name-v1.0&layer=3&head=9"],
  [{ model: "org/a@b", corpus: "/data/my texts.csv" },
    "model=org/a%40b&corpus=/data/my%20texts.csv"],
  [{ corpus: "~/é+ü:x" }, "corpus=~/%C3%A9%2B%C3%BC%3Ax"],
  [{ layers: "0-3,7", pairs: "ab" }, "layers=0-3%2C7&pairs=ab"],
  [{ sequence: 0, token: 4, side: "key" }, "sequence=0&token=4&side=key"],
  [{ dims: 3, palette: "classic" }, "dims=3&palette=classic"],
  [{ guidance: 0.3, dims: 3 }, "guidance=0.3&dims=3"],
  [{ guidance: 0 }, "guidance=0"],
  [{ token: 4, sequence: 1, image_mode: "flows" }, "sequence=1&token=4&image_mode=flows"],
  [{ image_least: 0.25, image_contrast: "on" }, "image_least=0.25&image_contrast=on"],
];

for (const [changes, query] of pairs) {
  test(`only what differs is written, in a fixed order: ${query}`, () => {
    assert.equal(query_of({ ...defaults, ...changes }, defaults), query);
    assert.equal(query_of(changes, defaults), query);
  });

  test(`a query read and written again is the same: ${query}`, () => {
    assert.equal(merge(query, {}, defaults), query);
    assert.equal(merge(`?${query}`, {}, defaults), query);
  });
}

test("the default view has an empty query", () => {
  assert.equal(query_of(defaults, defaults), "");
});

test("a default given as text is left out like one given as a number", () => {
  assert.equal(merge("dims=2&layer=0&head=1", {}, defaults), "head=1");
});

test("merging changes some values and keeps the others", () => {
  assert.equal(merge("?layer=3&head=9&sequence=7&token=2", { head: 4 }, defaults),
    "layer=3&head=4&sequence=7&token=2");
});

test("null takes a name out, and so does the default", () => {
  const query = "layer=3&sequence=7&token=2";
  assert.equal(merge(query, { sequence: null, token: null, layer: 0 }, defaults), "");
});

test("zero is a value and not a missing one", () => {
  assert.equal(merge("", { sequence: 0, token: 0 }, defaults), "sequence=0&token=0");
});

test("names that are not part of a view are dropped, also inherited ones", () => {
  assert.equal(merge("?text=secret&layer=1", { toString: 1, sid: 2 }, defaults), "layer=1");
});

test("writing replaces the query and keeps path, anchor and history state", () => {
  write("layer=4");
  assert.deepEqual(written, [[{ key: 1 }, "", "/head?layer=4#map"]]);
});

test("writing the default view leaves no question mark", () => {
  write("");
  assert.deepEqual(written, [[{ key: 1 }, "", "/head#map"]]);
});

test("writing what is there already costs no history call", () => {
  write("layer=3");
  assert.deepEqual(written, []);
});

test("the look of the image view is read from the address and written when it is chosen", () => {
  const file = require.resolve("../../assets/71_image_look.js");
  const listeners = {};
  const changed = [];
  globalThis.addEventListener = (type, listener) => { listeners[type] = listener; };
  globalThis.location.search = "?layer=3&image_mode=strongest&image_contrast=on";
  globalThis.qk_atlas.pages = { change: (changes) => changed.push(changes) };
  delete require.cache[file];
  const { of, options_of, choose, asked } = require(file);
  const image = { modality: "image" };
  const untouched = { image_mode: "patch", image_least: 0.1, image_contrast: "off" };
  assert.deepEqual(of({ modality: "text" }), untouched);
  assert.deepEqual(options_of(of(image)), { mode: "strongest", threshold: 0.1, contrast: true });
  choose({ mode: "strongest", threshold: 0.1, contrast: true });
  choose({ mode: "flows", threshold: 0.25, contrast: false });
  const chosen = { image_mode: "flows", image_least: 0.25, image_contrast: "off" };
  assert.deepEqual(changed, [chosen]);
  Object.assign(globalThis.location, { pathname: "/inspect/heads", search: "" });
  listeners.popstate();
  assert.deepEqual(of(image), chosen); // other pages leave it
  globalThis.location.pathname = "/head";
  listeners.popstate();
  assert.deepEqual(of(image), untouched);
  for (const search of ["image_mode=__proto__", "image_least=0.01", "image_least=x", "image_least=1"]) {
    assert.deepEqual(asked(`?${search}`), untouched);
  }
});
