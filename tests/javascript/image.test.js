"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

require("../../assets/28_attention.js");
const {
  largest_of_patches, moved_patch, opacity_of, patch_at, patch_positions, place_name,
} = require("../../assets/40_image.js");

const grid = [2, 3]; // rows, columns: neither square nor symmetric
const size = { width: 300, height: 100 };
const special = { row: -1, column: -1 };
const patches = [0, 1].flatMap((row) => [0, 1, 2].map((column) => ({ row, column })));

test("a point of the image lies in the patch of its row and column", () => {
  assert.deepEqual(patch_at(250, 40, size, grid), [0, 2]);
  assert.deepEqual(patch_at(20, 80, size, grid), [1, 0]);
});

test("a point on or past an edge belongs to the patch at that edge", () => {
  assert.deepEqual(patch_at(300, 100, size, grid), [1, 2]);
  assert.deepEqual(patch_at(-1, -1, size, grid), [0, 0]);
});

test("patches are found whatever special tokens stand before, between and after", () => {
  const tokens = [special, ...patches.slice(0, 4), special, ...patches.slice(4), special];
  assert.deepEqual([...patch_positions(tokens, grid)], [1, 2, 3, 4, 6, 7]);
});

test("a patch that the sequence lacks has no position", () => {
  assert.deepEqual([...patch_positions(patches.slice(1), grid)], [-1, 0, 1, 2, 3, 4]);
});

test("arrow keys move by one patch", () => {
  const moves = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"];
  const from = { row: 1, column: 1 };
  assert.deepEqual(
    moves.map((key) => moved_patch(from, key, [3, 3])), [[0, 1], [2, 1], [1, 0], [1, 2]],
  );
});

test("arrow keys stay inside the grid", () => {
  assert.deepEqual(moved_patch({ row: 1, column: 2 }, "ArrowRight", grid), [1, 2]);
  assert.deepEqual(moved_patch({ row: 0, column: 0 }, "ArrowUp", grid), [0, 0]);
});

test("from nothing or from a special token an arrow leads to the first patch", () => {
  assert.deepEqual(moved_patch(undefined, "ArrowDown", grid), [0, 0]);
  assert.deepEqual(moved_patch(special, "ArrowDown", grid), [0, 0]);
});

test("other keys are left to the page", () => {
  assert.equal(moved_patch(special, "Tab", grid), null);
});

test("the largest weight of a patch ignores special tokens and missing patches", () => {
  const values = Float32Array.of(0.75, 0.125, 0.25);
  assert.equal(largest_of_patches(values, Int32Array.of(-1, 1, 2)), 0.25);
});

test("raw heat is the weight itself", () => {
  assert.equal(opacity_of(0.25, 1), 0.25);
});

test("heat in contrast is opaque at the largest patch and never more", () => {
  assert.deepEqual([0.25, 0.5, 0.75].map((weight) => opacity_of(weight, 0.5)), [0.5, 1, 1]);
});

test("where no patch has any weight nothing is heated", () => {
  assert.equal(opacity_of(0, 0), 0);
});

test("places are named by row, column and label, special tokens by their text", () => {
  assert.equal(place_name({ text: "", row: 2, column: 5 }), "row 2, column 5");
  assert.equal(place_name({ text: "", row: 2, column: 5, label: "cat" }), "row 2, column 5 (cat)");
  assert.equal(place_name({ ...special, text: "[CLS]" }), "[CLS]");
});
