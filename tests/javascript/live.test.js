"use strict";

const assert = require("node:assert");
const test = require("node:test");
const data = require("../../assets/46_live_data.js");

test("a job that waits says how many come before it", () => {
  assert.strictEqual(data.told({ state: "queued", position: 2 }), "waiting, 2 before it");
  assert.strictEqual(data.told({ state: "queued", position: 0 }), "waiting for the worker");
});

test("a job that runs says what it does, and that it stops", () => {
  const job = { state: "running", stage: "load", message: "x" };
  assert.strictEqual(data.told(job), "loading the model");
  assert.strictEqual(data.told({ ...job, is_stopping: true }), "stopping");
  assert.strictEqual(data.told({ ...job, stage: "prepare", message: "Converting it" }), "Converting it");
  assert.strictEqual(data.told({ state: "failed" }), "");
});

test("a text that cannot be run is refused with its length", () => {
  assert.strictEqual(data.text_fault("a", ""), "");
  assert.match(data.text_fault(" \n", ""), /Type a text/);
  assert.match(data.text_fault("x".repeat(20_001), ""), /20,001 characters, at most 20,000/);
  assert.match(data.text_fault("a", "x".repeat(20_001)), /20,001/);
});

test("a file that is too large is refused with its size", () => {
  assert.strictEqual(data.file_fault({ size: 8 * 2 ** 20 }), "");
  assert.match(data.file_fault({ size: 9 * 2 ** 20 }), /9\.0 MB, at most 8 MB/);
});

test("edits add up, one a position, and can be taken back", () => {
  const once = data.edited([], 3, null);
  const twice = data.edited(once, 1, "dog");
  assert.deepStrictEqual(twice, [[1, "dog"], [3, null]]);
  assert.deepStrictEqual(data.edited(twice, 3, "cat"), [[1, "dog"], [3, "cat"]]);
  assert.deepStrictEqual(data.edited(twice, 3, undefined), [[1, "dog"]]);
  assert.deepStrictEqual(once, [[3, null]]);
});

test("it is said what a masked token becomes", () => {
  assert.match(data.mask_words({ text: "[MASK]", is_own: true }, "minilm"), /trained with/);
  assert.match(data.mask_words({ text: "<s>", is_own: false }, "m"), /no mask token: <s> stands/);
  assert.match(data.mask_words(null, "m"), /replace tokens by words/);
});

test("an encoder-decoder model has a source and a target", () => {
  assert.deepStrictEqual(data.box_names("cross"), { text: "source", pair: "target", is_both: true });
  assert.strictEqual(data.box_names("self").is_both, false);
  assert.strictEqual(data.box_names(null).pair, "second text");
});
