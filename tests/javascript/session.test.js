"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");

require("../../assets/28_attention.js");
require("../../assets/50_url.js");
const session = require("../../assets/70_session.js");

const defaults = { model: "minilm", method: "tsne", dims: 2, layer: 0, head: 0, sequence: null };

test("each query has lines to its two strongest keys, none below 0.05", () => {
  const weights = Float32Array.from([0.5, 0.3, 0.2, 0.96, 0.04, 0, 0.03, 0.03, 0.94]);
  const lines = session.attention_lines(weights, { query: [10, 11, 12], key: [10, 11, 12] });
  assert.deepEqual(
    lines.map(({ query_token, key_token }) => [query_token, key_token]),
    [[10, 10], [10, 11], [11, 10], [12, 12]],
  );
  assert.ok(Math.abs(lines[0].weight - 0.5) < 1e-6);
});

test("lines of cross-attention lead from target tokens to source tokens", () => {
  const lines = session.attention_lines(Float32Array.of(0.9, 0.06, 0.04), { query: [7], key: [3, 4, 5] });
  assert.deepEqual(lines.map(({ query_token, key_token }) => [query_token, key_token]), [[7, 3], [7, 4]]);
});

// Two sequences of cross-attention: source a b, target c; source a, target c d.
const cross = {
  text: ["a", "b", "c", "a", "c", "d"], sequence: [0, 0, 0, 1, 1, 1], position: [0, 1, 0, 0, 0, 1],
  special: [0, 0, 1, 0, 1, 0], query_tokens: [2, 4, 5], key_tokens: [0, 1, 3],
  sequences: [{ length: 3 }, { length: 3 }],
};
const own = { ...cross, position: [0, 1, 2, 0, 1, 2], query_tokens: null, key_tokens: null };

test("the sides of a sequence are its tokens, or those that ask and those that are asked", () => {
  assert.deepEqual(session.sides_of(own, 1), { query: [3, 4, 5], key: [3, 4, 5] });
  assert.deepEqual(session.sides_of(cross, 1), { query: [4, 5], key: [3] });
  assert.deepEqual(session.sides_of(own, null), { query: [], key: [] });
  assert.deepEqual(session.sides_of(own, 9), { query: [], key: [] });
});

test("a position of a mean is named where half of the sequences agree", () => {
  assert.deepEqual(session.usual_tokens(own, null).map(({ text }) => text), ["a", "b", "c"]);
  assert.deepEqual(session.usual_tokens({ ...own, text: ["a", "b", "c", "x", "y", "z"] }, null)
    .map(({ text }) => text), ["a", "b", "c"]);
  const three = { text: ["a", "b", "c"], position: [0, 0, 0], special: [0, 0, 0] };
  assert.deepEqual(session.usual_tokens(three, null), [{ text: "·", special: false }]);
  assert.deepEqual(session.usual_tokens(cross, cross.query_tokens),
    [{ text: "c", special: true }, { text: "d", special: false }]);
});

test("a patch is called by its place, alone and as what stands at a position", () => {
  const images = {
    text: ["patch 0,1", "cat", "patch 0,1"], row: [0, -1, 0], column: [1, -1, 1], position: [0, 1, 0],
    special: [0, 0, 0],
  };
  assert.deepEqual([0, 1].map((token) => session.token_name(images, token)), ["▦0,1", "cat"]);
  assert.deepEqual(session.usual_tokens(images, null).map(({ text }) => text), ["▦0,1", "cat"]);
});

test("neighbours lie in the grid, holes and edges have none", () => {
  const cells = [{ layer: 0, head: 0 }, { layer: 0, head: 1 }, { layer: 2, head: 0 }];
  const from = { layer: 0, head: 0 };
  assert.deepEqual(session.neighbour(cells, from, { layer: 0, head: 1 }), { layer: 0, head: 1 });
  assert.equal(session.neighbour(cells, from, { layer: 1, head: 0 }), null);
  assert.equal(session.neighbour(cells, from, { layer: 0, head: -1 }), null);
});

test("an address names what differs from the default view", () => {
  assert.equal(session.address("/", { ...defaults }, defaults), "/");
  assert.equal(session.address("/head", { ...defaults, layer: 3 }, defaults), "/head?layer=3");
});

test("the address of a head is left open for every cell", () => {
  assert.equal(session.head_address({ ...defaults, layer: 2 }, defaults),
    "/head?layer={layer}&head={head}");
  assert.equal(session.head_address({ ...defaults, method: "pca" }, defaults),
    "/head?method=pca&layer={layer}&head={head}");
});

test("the state of an atlas is told in a word", () => {
  const { state_word } = session;
  assert.equal(state_word({ building: true }, undefined), "building");
  assert.equal(state_word({}, undefined), "not built");
  assert.equal(state_word({ capture: "c" }, undefined), "map missing");
  assert.equal(state_word({ capture: "c" }, { complete: false }), "unfinished");
  assert.equal(state_word({ capture: "c" }, { complete: true }), "ready");
});

test("what is missing is said in words", () => {
  const view = { method: "umap", dims: 3 };
  const atlas = { capture: "c", maps: { pca_2: {} } };
  assert.equal(session.missing_text(atlas, view), "UMAP 3-D is not computed for this atlas yet.");
  assert.equal(session.missing_text(atlas, { method: "pca", dims: 2 }), "");
  assert.equal(session.missing_text({ missing: "No atlas." }, view), "No atlas.");
  assert.match(session.missing_text({ missing: "No.", building: true }, view), /being built/);
  assert.equal(session.missing_title({ missing: "No.", building: true }), "Being built");
  assert.equal(session.missing_title({ missing: "No." }), "Nothing to see here yet");
  assert.equal(session.missing_title(atlas), "Not computed yet");
});

test("the status line says what is on screen", () => {
  const atlas = { summary: "72 heads" };
  const view = { method: "tsne", dims: 2, guidance: 0.08 };
  assert.equal(session.status_text(atlas, { rho: -0.43 }, view),
    "72 heads · t-SNE 2-D · guidance 8 % · mean rho \u22120.43");
  assert.equal(session.status_text(atlas, { rho: null }, { ...view, method: "pca" }),
    "72 heads · PCA 2-D");
});

test("every state of an atlas has its word and its reason", () => {
  const view = { method: "tsne", dims: 2 };
  const built = { capture: "C", maps: {} };
  const states = [
    [{ building: true }, null, "building", "Being built", /is being built/],
    [{ missing: "There is none." }, null, "not built", "Nothing to see here yet", /There is none/],
    [{ missing: "none", failed: "no disk" }, null, "failed", "The build failed", /no disk/],
    [built, null, "map missing", "Not computed yet", /t-SNE 2-D is not computed/],
    [{ ...built, maps: { tsne_2: {} } }, { complete: false }, "unfinished", "Not computed yet", /^$/],
    [{ ...built, maps: { tsne_2: {} }, failed: "old" }, { complete: true }, "ready", null, /^$/],
  ];
  for (const [atlas, map, word, title, text] of states) {
    assert.equal(session.state_word(atlas, map), word);
    if (title) assert.equal(session.missing_title(atlas), title);
    assert.match(session.missing_text(atlas, view), text);
  }
});

test("every path has its page", () => {
  const paths = ["/", "/head", "/inspect/model", "/build", "/inspect/none", undefined];
  const pages = paths.map(session.page_of);
  assert.deepEqual(pages, ["matrix", "head", "inspect", "other", "other", "other"]);
});

test("sizes are offered only where norms differ, pictures only of images", () => {
  const by_value = (options) => Object.fromEntries(options.map((one) => [one.value, one]));
  const text = by_value(session.show_options("text", [8.0, 8.05]));
  assert.ok(text.size_by_norm.disabled);
  assert.match(text.size_by_norm.label, /within 1 %/);
  assert.equal(text.pictures, undefined);
  const image = by_value(session.show_options("image", [2, 8]));
  assert.equal(image.size_by_norm.disabled, undefined);
  assert.equal(image.pictures.label, "patches as pictures");
  assert.deepEqual([image.patches, image.words], [undefined, undefined]);
  const both = by_value(session.show_options("image", [2, 8], true));
  assert.deepEqual([both.patches.label, both.words.label], ["points of patches", "points of words"]);
  assert.equal(by_value(session.show_options("text", null)).size_by_norm.disabled, undefined);
  assert.ok(by_value(session.show_options("text", [0, 0])).size_by_norm.disabled);
});

test("what was left out is listed, the first fifty", () => {
  const notes = Array.from({ length: 60 }, (_, i) => `image ${i} is damaged`);
  const { heading, rows } = session.notes_of(notes);
  assert.equal(heading, "60 notes on what was left out");
  assert.deepEqual(rows.slice(49), ["image 49 is damaged", "and 10 more"]);
  assert.equal(session.notes_of(["one"]).heading, "1 note on what was left out");
  assert.equal(session.notes_of([]), null);
  assert.equal(session.notes_of(undefined), null);
});
