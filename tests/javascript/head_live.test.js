"use strict";

const assert = require("node:assert");
const test = require("node:test");
const points = require("../../assets/10_points.js");
globalThis.qk_atlas.attention = require("../../assets/28_attention.js");
globalThis.qk_atlas.head_overlay = require("../../assets/17_head_overlay.js");
const live = require("../../assets/19_head_live.js");
const find = require("../../assets/11_find.js");

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

const input = {
  n_queries: 2, query_tokens: null, key_tokens: null, text: [" cat", "\n"], position: [0, 1],
};
const placed = { x: [10, 50, 30, 500], y: [20, 60, 40, 20], count: 4 };
const room = { width: 200, height: 100 };

test("live points in sight want labels in the order of the text, the hovered one first", () => {
  const texts = (hovered) => live.labels_of(input, placed, room, { gap: 9, hovered }).wanted
    .map(({ x, text }) => `${x} ${text}`);
  assert.deepEqual(texts(-1), ["10 0:cat", "30 0:cat", "50 1:↵"]);
  assert.deepEqual(texts(1), ["50 1:↵", "10 0:cat", "30 0:cat"]);
});

test("labels of live points come first, and no other label covers a live point", () => {
  const { wanted, blocked } = live.labels_of(input, placed, room, { gap: 9, hovered: -1 });
  const others = Array.from({ length: 60 }, (_, i) => ({ x: (i * 37) % 200, y: (i * 23) % 100, width: 30 }));
  const anchors = [...wanted.map((one) => ({ ...one, width: 30 })), ...others];
  const found = find.place_labels(anchors, { ...room, line: 16, gap: 4, blocked }, Infinity);
  assert.deepEqual(found.slice(0, 3).map(({ index }) => index), [0, 1, 2]);
  assert.ok(found.length > 6);
  for (const { x, y } of found) {
    for (const box of blocked) {
      assert.ok(x + 30 <= box.left || x >= box.right || y + 16 <= box.top || y >= box.bottom);
    }
  }
});

test("a drawing has live points as rings with their middle", () => {
  const colours = { query: "q", key: "k", surface: "s" };
  const found = live.circles_of(input, placed, { radius: 5, colours });
  assert.deepEqual(found.slice(0, 3).map(({ radius, colour }) => [radius, colour]), [[6, "q"], [4, "s"], [1.5, "q"]]);
  assert.equal(found.length, 12);
});
