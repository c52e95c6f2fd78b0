"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { colour_picture, line_picture, rgb_of, square_picture, strongest_bins, thumbnail_size } =
  require("../../assets/35_thumbnails.js");

const layer_of = (n_queries, n_keys, values) => ({ n_queries, n_keys, values: Uint8Array.from(values) });
const diagonal = layer_of(3, 3, [255, 0, 0, 0, 255, 0, 0, 0, 255]);

test("short inputs keep a bin for each pair", () => {
  const { bins, rows, columns } = strongest_bins(diagonal, 0, null, 60, 60);
  assert.deepEqual([[...bins], rows, columns], [[255, 0, 0, 0, 255, 0, 0, 0, 255], 3, 3]);
});

test("of long inputs the strongest pair of a bin is kept, with its sign", () => {
  const change = { n_queries: 2, n_keys: 4, values: Int16Array.of(1, -9, 5, 2, 0, 3, 0, 0) };
  assert.deepEqual([...strongest_bins(change, 0, null, 1, 2).bins], [-9, 5]);
});

test("the second head is read behind the first, and masked pairs are not seen", () => {
  const two = layer_of(1, 2, [10, 20, 30, 40]);
  assert.deepEqual([...strongest_bins(two, 1, null, 9, 9).bins], [30, 40]);
  assert.deepEqual([...strongest_bins(two, 1, Uint8Array.of(1, 0), 9, 9).bins], [30, 0]);
});

test("attention to oneself is drawn as level lines through the middle of each token", () => {
  const picture = line_picture(diagonal, 0, null, 4, 9);
  const rows = Array.from({ length: 9 }, (_, y) => [...picture.slice(4 * y, 4 * y + 4)].every((v) => v === 255));
  assert.deepEqual(rows, [false, true, false, false, true, false, false, true, false]);
});

test("a slanting line ends at the row of its key", () => {
  const picture = line_picture(layer_of(3, 3, [0, 0, 255, 0, 0, 0, 0, 0, 0]), 0, null, 7, 9);
  assert.equal(picture[1 * 7], 255);
  assert.equal(picture[7 * 7 + 6], 255);
  assert.equal(picture[1 * 7 + 6], 0);
});

test("where lines cross the stronger one is seen", () => {
  const picture = line_picture(layer_of(3, 3, [0, 0, 100, 0, 0, 0, 200, 0, 0]), 0, null, 7, 9);
  assert.equal(picture[4 * 7 + 3], 200);
});

test("a matrix has queries downwards and keys to the right", () => {
  const picture = square_picture(layer_of(2, 2, [0, 255, 0, 0]), 0, null, 4, 4);
  assert.deepEqual([...picture.slice(0, 4)], [0, 0, 255, 255]);
  assert.deepEqual([...picture.slice(8, 12)], [0, 0, 0, 0]);
});

test("opacity grows with strength, and the sign chooses the colour", () => {
  const pixels = new Uint8ClampedArray(12);
  colour_picture(Int16Array.of(0, 255, -128), pixels, "#0072B2", "#D55E00");
  assert.equal(pixels[3], 0);
  assert.deepEqual([...pixels.slice(4, 8)], [...rgb_of("#0072B2"), 255]);
  assert.deepEqual([...pixels.slice(8, 11)], rgb_of("#D55E00"));
  assert.ok(pixels[11] > 128 && pixels[11] < 255);
});

test("a small change is seen better than a small weight", () => {
  const opacity = (...colours) => {
    const pixels = new Uint8ClampedArray(4);
    colour_picture(Int16Array.of(26), pixels, ...colours);
    return pixels[3];
  };
  assert.ok(opacity("#0072B2", "#D55E00") > 2 * opacity("#8A6A10") * 0.9);
});

test("thumbnails fill the room when all fit, and scroll at a readable height when not", () => {
  const room = { width: 1100, height: 720 };
  for (const [rows, columns] of [[6, 12], [12, 12]]) {
    const { height } = thumbnail_size(room, columns, rows, 4, 30);
    assert.ok(rows * (height + 4) <= room.height && height >= 48, `${rows} rows of ${height}`);
  }
  for (const [rows, columns] of [[30, 9], [32, 32]]) {
    const { width, height } = thumbnail_size(room, columns, rows, 4, 30);
    assert.ok(columns * (width + 4) <= room.width && height >= 0.8 * Math.min(width, 70), `${width} x ${height}`);
  }
});
