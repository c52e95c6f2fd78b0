"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { count_text, curve, moved, word_pieces } = require("../../assets/30_bipartite.js");

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

test("arrows up and down stay inside the sequence", () => {
  const first = { side: "key", position: 0 };
  const last = { side: "key", position: 4 };
  assert.deepEqual(moved(first, "ArrowUp", 5), first);
  assert.deepEqual(moved(last, "ArrowDown", 5), last);
  assert.deepEqual(moved(first, "ArrowDown", 5), { side: "key", position: 1 });
});

test("arrows left and right choose the column of queries or of keys", () => {
  const place = { side: "key", position: 2 };
  assert.deepEqual(moved(place, "ArrowLeft", 5), { side: "query", position: 2 });
  assert.deepEqual(moved(place, "ArrowRight", 5), place);
});

test("Home and End lead to the first and the last token", () => {
  const place = { side: "query", position: 2 };
  assert.deepEqual(["Home", "End"].map((key) => moved(place, key, 5).position), [0, 4]);
});

test("other keys are left to the page", () => {
  assert.equal(moved({ side: "query", position: 2 }, "Tab", 5), null);
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
