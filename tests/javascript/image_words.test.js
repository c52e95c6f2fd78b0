"use strict";
// Words in one sequence with an image: which tokens they are, how they are told and labelled.

const test = require("node:test");
const assert = require("node:assert/strict");

globalThis.qk_atlas = {};
globalThis.qk_atlas.attention = require("../../assets/28_attention.js");
globalThis.qk_atlas.image_words = require("../../assets/40_image_words.js");
const { place_name } = require("../../assets/40_image.js");
const { kind_of, is_both } = require("../../assets/71_kind.js");
const { word_pieces } = require("../../assets/30_bipartite.js");
const { snippet, HeadData } = require("../../assets/16_head_data.js");

const { has_words, running_text } = globalThis.qk_atlas.image_words;
const patch = (row, column) => ({ text: `patch ${row},${column}`, row, column, special: false });
const word = (text) => ({ text, row: -1, column: -1, special: false });
const mark = (text) => ({ text, row: -1, column: -1, special: true });
const sequence = [mark("<s>"), word("Look"), patch(0, 0), patch(0, 1), word("\n"), word(" a"), word(" cat")];

test("words stand in their order, the image once where its patches are", () => {
  assert.deepEqual(running_text(sequence), [0, 1, "image", 4, 5, 6]);
  assert.deepEqual(running_text([patch(0, 0), patch(0, 1)]), ["image"]);
});

test("an image alone has no words, whatever special tokens it has", () => {
  assert.equal(has_words([mark("[CLS]"), patch(0, 0)]), false);
  assert.equal(has_words(sequence), true);
});

test("a word is told in quotes, a special token is not", () => {
  assert.equal(place_name(word(" cat")), "“cat”");
  assert.equal(place_name(mark("[CLS]")), "[CLS]");
  assert.equal(place_name({ text: "[CLS]", row: -1, column: -1 }), "[CLS]");
});

test("a patch is no piece of the word beside it", () => {
  const marked = sequence.map((one) => ({ ...one, is_patch: one.row >= 0 }));
  assert.deepEqual(word_pieces(marked), Array(7).fill(false));
  const glued = [{ text: "▦0,1", special: false, is_patch: true }, word("What"), word("ever"), word(" is")];
  assert.deepEqual(word_pieces(glued), [false, true, true, false]);
});

test("the text around a word is told without patches", () => {
  const tokens = {
    text: sequence.map((one) => one.text), row: sequence.map((one) => one.row),
    special: sequence.map((one) => Number(one.special)), sequence: sequence.map(() => 0),
  };
  const { before, marked, after } = snippet(tokens, 5, 5);
  assert.equal(`${before}[${marked}]${after}`, "<s>Look\n [a] cat");
  const data = new HeadData({ modality: "image" });
  data.tokens = tokens;
  assert.deepEqual([0, 1, 2, 6].map((token) => data.is_word(token)), [false, true, false, true]);
});

test("only a decoder of images has a sequence that is image and text", () => {
  assert.equal(is_both({ modality: "image", kind: "decoder" }), true);
  for (const [modality, kind] of [["image", "self"], ["image", "encoder"], ["text", "decoder"]]) {
    assert.equal(is_both({ modality, kind }), false);
    assert.equal(kind_of({ modality, kind }), modality);
  }
});

test("hiding words leaves patches and special tokens, hiding patches the words", () => {
  const { hidden_tokens, filter_name } = require("../../assets/28_weighting.js");
  const hidden = (...filters) => hidden_tokens(sequence, new Set(filters), new Map()).map(Number).join("");
  assert.equal(hidden("words"), "0100111");
  assert.equal(hidden("patches"), "0011000");
  const sides = { query: sequence, key: sequence };
  assert.deepEqual(["patches", "words"].map((one) => filter_name(one, sides)), ["image patches", "words"]);
});

test("where there are no patches, a filter for words hides nothing and is not offered", () => {
  const { hidden_tokens, filter_name } = require("../../assets/28_weighting.js");
  const text = [mark("<s>"), word("Look"), word(" a")];
  assert.deepEqual(hidden_tokens(text, new Set(["words", "patches"]), new Map()), [false, false, false]);
  assert.equal(filter_name("words", { query: text, key: text }), null);
  assert.equal(filter_name("patches", { all: [mark("[CLS]"), patch(0, 0)] }), null);
});

test("a map leaves out points of patches or words, also those searched for, chosen and selected", () => {
  globalThis.qk_atlas.points = {};
  globalThis.qk_atlas.find = require("../../assets/11_find.js");
  const { choose } = require("../../assets/19_head_paint.js");
  const n = sequence.length;
  const data = new HeadData({ modality: "image" });
  data.tokens = {
    row: sequence.map((one) => one.row), special: sequence.map((one) => Number(one.special)),
    sequence: sequence.map(() => 0),
  };
  data.owners = { n_tokens: n, token: sequence.map((_, i) => i), is_key: new Uint8Array(n) };
  data.indices_of = (points) => points;
  const options = { hits: [[1, 2]], sequence: 0, selected: null, hidden_side: null };
  const found = choose(data, { ...options, hidden_kinds: ["words"] });
  assert.deepEqual([[...found.all], [...found.near], [...found.terms[0].chosen]], [[0, 2, 3], [0, 2, 3], [2]]);
  const rest = choose(data, { ...options, selected: [1, 2], hidden_kinds: ["patches"] });
  assert.deepEqual([[...rest.all], [...rest.near]], [[0, 1, 4, 5, 6], [1]]);
  assert.deepEqual([...choose(data, options).all], [0, 1, 2, 3, 4, 5, 6]);
});

test("only the map of image and text is told what to leave out", () => {
  const { hidden_kinds } = require("../../assets/71_kind.js");
  const both = { modality: "image", kind: "decoder" };
  assert.deepEqual(hidden_kinds(both, ["lines", "words"]), ["patches"]);
  assert.deepEqual(hidden_kinds(both, ["patches", "words"]), []);
  assert.deepEqual(hidden_kinds({ modality: "image", kind: "self" }, []), []);
});
