"use strict";

const assert = require("node:assert");
const test = require("node:test");
const points = require("../../assets/10_points.js");
const live = require("../../assets/19_head_live.js");

const view = { x: 100, y: 60, scale: 200, yaw: 0.4, pitch: -0.2 };

test("a live point lies where a point of the map with its coordinates lies", () => {
  for (const [dims, place] of [[2, points.place_flat], [3, points.place_turned]]) {
    const own = Uint16Array.from([0, 65535, 13107, 40000, 20000, 60000].slice(0, 2 * dims));
    const placed = points.make_placed(2);
    place(own, view, placed);
    const found = live.place(Float32Array.from(own, (value) => value / 65535), view, dims);
    for (const axis of ["x", "y"]) {
      assert.strictEqual(found.count, 2);
      placed[axis].forEach((value, i) => assert.ok(Math.abs(value - found[axis][i]) < 1e-3));
    }
  }
});

test("a live point may lie outside the frame", () => {
  const found = live.place(Float32Array.from([1.5, -0.5]), view, 2);
  assert.deepStrictEqual([found.x[0], found.y[0]], [300, 260]);
});

test("the nearest live point within reach is meant", () => {
  const placed = { x: [0, 10, 11], y: [0, 0, 0], count: 3 };
  assert.strictEqual(live.nearest(placed, { x: 10.2, y: 0 }, 5), 1);
  assert.strictEqual(live.nearest(placed, { x: 30, y: 0 }, 5), -1);
});

test("a live point is the query or the key of a token", () => {
  const plain = { n_queries: 3, query_tokens: null, key_tokens: null };
  assert.deepStrictEqual(live.meaning_of(plain, 2), { side: "query", token: 2 });
  assert.deepStrictEqual(live.meaning_of(plain, 4), { side: "key", token: 1 });
  const cross = { n_queries: 2, query_tokens: [3, 4], key_tokens: [0, 1, 2] };
  assert.deepStrictEqual(live.meaning_of(cross, 1), { side: "query", token: 4 });
  assert.deepStrictEqual(live.meaning_of(cross, 2), { side: "key", token: 0 });
});

test("the card says how the point was placed", () => {
  const input = { n_queries: 1, query_tokens: null, key_tokens: null, text: ["cat"], position: [0] };
  assert.match(live.card_lines({ ...input, is_exact: true }, 0).lines[1], /exactly/);
  assert.match(live.card_lines({ ...input, is_exact: false }, 1).lines[1], /approximately/);
});
