"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { count_text, curve, how_text, moved, word_pieces } = require("../../assets/30_bipartite.js");

const words = (...texts) => texts.map((text) => ({ text, special: /^\[.*\]$/.test(text) }));

test("a curve runs from the middle of the query's row to the middle of the key's row", () => {
  const [x0, y0, , , , , x1, y1] = curve(0, 3, 100);
  assert.deepEqual([x0, y0, x1, y1], [0, 10, 100, 70]);
});

test("a curve leaves and arrives level, bending in the middle", () => {
  assert.deepEqual(curve(0, 3, 100).slice(2, 6), [50, 10, 50, 70]);
});

test("a token attending to itself is a straight line", () => {
  assert.deepEqual(curve(2, 2, 80).filter((_, i) => i % 2 === 1), [50, 50, 50, 50]);
});

test("pieces marked ## belong with the token before them", () => {
  const tokens = words("[CLS]", "can", "##yon", "walls", "[SEP]");
  assert.deepEqual(word_pieces(tokens), [false, true, true, false, false]);
});

test("where words begin with a space, letters without one continue a word", () => {
  const tokens = words("The", " can", "yon", " is", " deep", ".");
  assert.deepEqual(word_pieces(tokens), [false, true, true, false, false, false]);
});

test("where no word begins with a space, whole words stay apart", () => {
  assert.deepEqual(word_pieces(words("the", "canyon", "is")), [false, false, false]);
});

test("a token of spaces alone does not make words continue each other", () => {
  assert.deepEqual(word_pieces(words("the", "   ", "is", "a")), [false, false, false, false]);
});

test("a word does not continue a special token", () => {
  const tokens = [{ text: "bos", special: true }, ...words("The", " can")];
  assert.deepEqual(word_pieces(tokens), [false, false, false]);
});

const counts = { query: 5, key: 3 };

test("arrows up and down stay inside the sequence", () => {
  const [first, last] = [{ side: "query", position: 0 }, { side: "query", position: 4 }];
  assert.deepEqual(moved(first, "ArrowUp", counts), first);
  assert.deepEqual(moved(last, "ArrowDown", counts), last);
  assert.deepEqual(moved(first, "ArrowDown", counts), { side: "query", position: 1 });
});

test("arrows left and right choose the column, at the last token where it is shorter", () => {
  const place = { side: "key", position: 2 };
  assert.deepEqual(moved(place, "ArrowLeft", counts), { side: "query", position: 2 });
  assert.deepEqual(moved(place, "ArrowRight", counts), place);
  assert.deepEqual(moved({ side: "query", position: 4 }, "ArrowRight", counts), { side: "key", position: 2 });
});

test("Home and End lead to the first and the last token of a side", () => {
  const found = ["query", "key"].map((side) => (
    ["Home", "End"].map((key) => moved({ side, position: 1 }, key, counts).position)));
  assert.deepEqual(found, [[0, 4], [0, 2]]);
});

test("other keys are left to the page", () => {
  assert.equal(moved({ side: "query", position: 2 }, "Tab", counts), null);
});

const plain = { weighting: "attention", hidden: { query: 0, key: 0 }, is_mean: false, has_sinks: false, pair: "all" };

test("attention as it is needs no words", () => {
  assert.equal(how_text(plain), "");
});

test("what was hidden and what rows are divided by is said", () => {
  assert.equal(how_text({ ...plain, weighting: "value", hidden: { query: 1, key: 2 } }),
    "attention × ‖v‖, each row divided by its sum; 1 query and 2 keys hidden: rows are taken anew "
    + "over the keys that are left.");
  assert.equal(how_text({ ...plain, hidden: { query: 2, key: 0 } }), "2 queries hidden.");
});

test("sinks, means and pairs are explained", () => {
  assert.match(how_text({ ...plain, has_sinks: true }), /the rest goes to the sink, which stays/);
  assert.match(how_text({ ...plain, has_sinks: true, weighting: "value" }), /adds nothing/);
  assert.match(how_text({ ...plain, is_mean: true }), /mean over the sequences/);
  assert.match(how_text({ ...plain, pair: "A→B" }), /only A→B is shown, its weights unchanged/);
});

test("the count names threshold, lines and their share", () => {
  assert.equal(
    count_text(1234, 16384, 0.02, 0.93),
    "lines ≥ 0.02 shown: 1,234 of 16,384, holding 93 % of the attention",
  );
});

test("the share is 100 % only when nothing is missing", () => {
  assert.match(count_text(9, 10, 0.02, 0.9999), /holding 99 %/);
  assert.match(count_text(10, 10, 0.02, 1), /holding 100 %/);
});
