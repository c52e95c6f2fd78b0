"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { find_sequences } = require("../../assets/38_sequence_chooser.js");

const sequences = [
  { label: "line 1", words: "The quick brown fox" }, { label: "line 2", words: "the cat sat" },
  { label: "photo.png", words: "" },
];

test("a sequence is found by all its words, its label or its number", () => {
  assert.deepEqual(find_sequences(sequences, "THE"), [0, 1]);
  assert.deepEqual(find_sequences(sequences, "cat  the"), [1]);
  assert.deepEqual(find_sequences(sequences, "photo"), [2]);
  assert.deepEqual(find_sequences(sequences, "dog"), []);
  assert.deepEqual(find_sequences(sequences, " "), [0, 1, 2]);
});

test("of many sequences only the first are listed", () => {
  assert.equal(find_sequences(Array(500).fill(sequences[0]), "fox").length, 60);
});
