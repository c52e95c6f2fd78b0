"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
  other_side, pairs_above, reaches, strongest, visible_text, weights_of,
} = require("../../assets/28_attention.js");

// Three tokens under a causal mask: the first sees itself only.
const causal = Float32Array.of(1, 0, 0, 0.75, 0.25, 0, 0.5, 0.02, 0.48);

test("a query reads its row", () => {
  const row = weights_of(causal, 3, { side: "query", position: 1 });
  assert.deepEqual(row, Float32Array.of(0.75, 0.25, 0));
});

test("a key reads its column", () => {
  const column = weights_of(causal, 3, { side: "key", position: 0 });
  assert.deepEqual(column, Float32Array.of(1, 0.75, 0.5));
});

test("changing a row that was read leaves the weights alone", () => {
  weights_of(causal, 3, { side: "query", position: 1 })[0] = 9;
  assert.equal(causal[3], 0.75);
});

test("the other side of a query is a key and back", () => {
  assert.deepEqual(["query", "key"].map(other_side), ["key", "query"]);
});

test("the strongest come largest first, equal ones by position", () => {
  const found = strongest(Float32Array.of(0.25, 0.5, 0.125, 0.5), 3);
  assert.deepEqual(found.map(({ position }) => position), [1, 3, 0]);
});

test("weights of zero are never among the strongest", () => {
  const found = strongest(Float32Array.of(0, 1, 0), 10);
  assert.deepEqual(found, [{ position: 1, weight: 1 }]);
});

test("a weight equal to the threshold is listed although 0.02 is no float32", () => {
  assert.ok(pairs_above(causal, 0.02).pairs.includes(7));
});

test("a masked pair reaches no threshold, not even zero", () => {
  assert.deepEqual([reaches(0, 0), reaches(1e-9, 0)], [false, true]);
});

test("pairs below the threshold are left out, in reading order", () => {
  assert.deepEqual(pairs_above(causal, 0.3).pairs, [0, 3, 6, 8]);
});

test("masked pairs are not counted among the possible lines", () => {
  assert.equal(pairs_above(causal, 0.3).n_pairs, 6);
});

test("the share is what the listed pairs hold of all attention", () => {
  // 1 + 0.75 + 0.5 + 0.48 of 3; float32 rounds 0.48 and 0.02 by less than 1e-8 each
  assert.ok(Math.abs(pairs_above(causal, 0.3).share - 2.73 / 3) < 1e-7);
});

test("at threshold zero all attention is shown", () => {
  const { pairs, n_pairs, share } = pairs_above(causal, 0);
  assert.deepEqual([pairs.length, n_pairs, share], [6, 6, 1]);
});

test("no attention at all is a share of zero, not of NaN", () => {
  assert.equal(pairs_above(new Float32Array(4), 0.02).share, 0);
});

test("ordinary words, also with marks and emoji, are shown as they are", () => {
  for (const text of ["canyon", "##ing", "naïve", "한국", "👩‍🚀", "می‌خواهم", "a  b"]) {
    assert.equal(visible_text(text), text);
  }
});

test("one leading space is dropped and no more", () => {
  assert.deepEqual([" the", "  x"].map(visible_text), ["the", "  x"]);
});

test("line breaks, tabs and control characters become symbols", () => {
  assert.equal(visible_text("a\n\t\r\0\x7f"), "a↵⇥␍␀␡");
});

test("marks that turn the direction of writing become their code", () => {
  assert.equal(visible_text("x\u202ey\u2066"), "x⟨U+202E⟩y⟨U+2066⟩");
});

test("a joiner at an edge joins nothing and becomes its code", () => {
  assert.equal(visible_text("\u200d"), "⟨U+200D⟩");
});

test("no token is shown blank", () => {
  for (const text of ["", " ", "   ", "\u00a0", "\u200b", "\ud800", "\u2028"]) {
    assert.match(visible_text(text), /[^\s\p{Cf}\p{Cs}]/u);
  }
});

test("spaces alone keep their number", () => {
  assert.equal(visible_text("   "), "␣␣␣");
});
