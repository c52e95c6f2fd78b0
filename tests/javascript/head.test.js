"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
require("../../assets/10_points.js");
require("../../assets/11_find.js");
require("../../assets/13_pictures.js");
const { snippet, norm_classes_of, picture_side, HeadData } =
  require("../../assets/16_head_data.js");
const overlay = require("../../assets/17_head_overlay.js");
const input = require("../../assets/18_head_input.js");
require("../../assets/12_stage.js");
require("../../assets/20_head_pointer.js");
const { point_radius, picture_side: wanted_side } = require("../../assets/21_head.js");

function tokens_of(...sequences) {
  return {
    text: sequences.flat(), sequence: sequences.flatMap((words, s) => words.map(() => s)),
    position: sequences.flatMap((words) => [...words.keys()]),
  };
}

test("a snippet joins word pieces and marks one token, without its neighbour's sentence", () => {
  const tokens = tokens_of(["before"], ["[CLS]", "embed", "##ding", "maps", "[SEP]"], ["after"]);
  assert.deepEqual(snippet(tokens, 3, 8),
    { before: " [CLS] embed", marked: "ding", after: " maps [SEP]" });
});

test("a snippet of tokens with their own spaces adds none", () => {
  const tokens = tokens_of(["The", " cat", "s", " sat"]);
  assert.deepEqual(snippet(tokens, 1, 8), { before: "The ", marked: "cat", after: "s sat" });
});

test("a long sentence is cut on both sides, and says so", () => {
  const tokens = tokens_of(["a", "b", "c", "d", "e"]);
  assert.deepEqual(snippet(tokens, 2, 1), { before: "… b ", marked: "c", after: " d …" });
});

test("norms fall into four classes, queries and keys alike", () => {
  assert.deepEqual([...norm_classes_of(Uint8Array.of(0, 31, 32, 127, 128, 255))],
    [0, 0, 1, 3, 0, 3]);
});

test("patches shrink when all together would not fit the memory", () => {
  assert.equal(picture_side(12, 5000), 12);
  assert.ok(picture_side(40, 100_000) ** 2 * 100_000 <= 16 * 2 ** 20);
});

test("a point knows its token, side, sequence and position", () => {
  const data = new HeadData({ n_tokens: 3 });
  const order = Uint32Array.of(5, 1, 0, 2, 4, 3);
  const tokens = { ...tokens_of(["a"], ["b", "c"]), sequences: [{}, {}] };
  data.keep({ order, tokens, norms: new Uint8Array(6), coordinates: new Uint16Array(12) });
  assert.deepEqual(data.meaning_of(0),
    { point: 5, token: 2, side: "key", sequence: 1, position: 1 });
  for (let index = 0; index < 6; index += 1) {
    assert.equal(data.point_of(data.meaning_of(index)), index);
  }
});

test("where not every token has both, points know the tokens that they belong to", () => {
  const data = new HeadData({ n_tokens: 4 });
  const sides = { query_tokens: [2, 3], key_tokens: [0, 1, 2] };
  const tokens = { ...tokens_of(["a", "b", "c", "d"]), sequences: [{}], ...sides };
  const order = Uint32Array.of(4, 0, 2, 1, 3);
  data.keep({ order, tokens, norms: new Uint8Array(5), coordinates: new Uint16Array(10) });
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => data.meaning_of(index).side),
    ["key", "query", "key", "query", "key"]);
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => data.meaning_of(index).token), [2, 2, 0, 3, 1]);
  assert.equal(data.point_of({ token: 3, side: "query" }), 3);
  assert.equal(data.point_of({ token: 3, side: "key" }), undefined);
});

test("a box has four corners, a lasso is the path itself", () => {
  const path = [[1, 2], [5, 1], [4, 7]];
  assert.deepEqual(input.outline("box", path), [[1, 2], [4, 2], [4, 7], [1, 7]]);
  assert.deepEqual(input.outline("lasso", path), path);
});

test("a head grows out of the cell of the matrix that was opened", () => {
  const view = { left: 100, top: 50, width: 800, height: 600 };
  const camera = input.camera_in({ left: 200, top: 110, side: 60 }, view, 0.92);
  assert.ok(Math.abs(camera.zoom * 600 * 0.92 - 60) < 1e-9);
  assert.deepEqual([camera.x, camera.y], [230 - 500, 140 - 350]);
  assert.deepEqual(input.between(camera, input.start, 1), input.start);
});

test("zooming keeps the place below the cursor", () => {
  const camera = { ...input.start, x: 30, y: -10, zoom: 2 };
  const map_at = ({ zoom, x, y }) => [(120 - x) / zoom, (-40 - y) / zoom];
  const zoomed = input.zoomed(camera, 1.7, 120, -40);
  map_at(zoomed).forEach((value, i) => assert.ok(Math.abs(value - map_at(camera)[i]) < 1e-9));
  assert.ok(Math.abs(zoomed.zoom - 3.4) < 1e-9);
});

test("zoom stops at its ends without moving the map", () => {
  const camera = { ...input.start, zoom: 64, x: 5, y: 6 };
  assert.deepEqual(input.zoomed(camera, 2, 100, 100), camera);
});

test("arrow keys turn a 3-D map by 5 degrees, which stops at the poles", () => {
  const right = input.pressed(input.start, { key: "ArrowRight" }, 3);
  assert.ok(Math.abs((right.yaw - input.start.yaw) * 180 / Math.PI - 5) < 1e-9);
  const pole = input.turned(input.start, 0, 9);
  assert.equal(pole.pitch, Math.PI / 2);
});

test("in 2-D plain arrows are left to the page and arrows with Shift move the map", () => {
  assert.equal(input.pressed(input.start, { key: "ArrowLeft" }, 2), null);
  assert.equal(input.pressed(input.start, { key: "ArrowLeft", shiftKey: true }, 2).x, 40);
});

test("key 0 resets, + and - undo each other, other keys mean nothing", () => {
  const camera = input.pressed(input.start, { key: "+" }, 2);
  assert.ok(camera.zoom > 1);
  assert.equal(input.pressed(camera, { key: "-" }, 2).zoom, 1);
  assert.equal(input.pressed(camera, { key: "0" }, 2), input.start);
  assert.equal(input.pressed(camera, { key: "q" }, 2), null);
});

test("a drag moves a 2-D map with the pointer and turns a 3-D map", () => {
  assert.deepEqual(input.dragged(input.start, 7, -3, 2), { ...input.start, x: 7, y: -3 });
  const turned = input.dragged(input.start, 10, 0, 3);
  assert.ok(turned.yaw > input.start.yaw && turned.x === 0);
});

test("discs are 4 to 5 pixels wide at 10,000 points and grow mildly with the zoom", () => {
  const diameters = [1, 8].map((zoom) => 2 * point_radius(10_000, zoom));
  assert.ok(diameters[0] >= 4 && diameters[0] <= 5);
  assert.ok(diameters[1] > diameters[0] && diameters[1] < 3 * diameters[0]);
  assert.ok(point_radius(100_000, 1) < point_radius(10_000, 1));
});

test("patches are 10 to 14 pixels wide before zooming", () => {
  assert.ok(wanted_side(1) >= 10 && wanted_side(1) <= 14);
  assert.ok(wanted_side(8) > wanted_side(1));
});

test("lines join a query with a key; those of unknown tokens are left out", () => {
  const placed = { x: [1, 2], y: [3, 4] };
  const index_of = ({ token, side }) => (token === 0 ? Number(side === "key") : undefined);
  const lines = [{ query_token: 0, key_token: 0, weight: 0.5 },
    { query_token: 0, key_token: 9, weight: 0.5 }];
  assert.deepEqual(overlay.line_ends(lines, placed, index_of), [[1, 3, 2, 4, 0.5]]);
});

test("labels are wanted only for points in sight, in the given order", () => {
  const placed = { count: 3, x: [5, 500, 7], y: [5, 5, 7] };
  const view = { width: 100, height: 100 };
  const wanted = overlay.labels_in_sight(
    placed, Uint32Array.of(2, 1, 0), view, (index) => `token ${index}`);
  assert.deepEqual(wanted.map(({ text }) => text), ["token 2", "token 0"]);
});

test("a long token is cut by whole characters", () => {
  assert.equal(overlay.shortened("attention", 9), "attention");
  assert.equal(overlay.shortened("🙂🙂🙂🙂", 3), "🙂🙂…");
});
