"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

require("../../assets/40_image.js");
const {
  arrivals, arrow_of, flows_at, look_of, shapes_of, share_of, strong_flows, strongest_keys,
} = require("../../assets/40_image_flows.js");
const { DrawingPen, draw_flows } = require("../../assets/41_image_paint.js");

// A special token, then the patches of a grid of 1 x 3.
const tokens = [-1, 0, 1, 2].map((column) => ({ row: column < 0 ? -1 : 0, column, text: `t${column}` }));
const weights = Float32Array.from([
  0.25, 0.50, 0.25, 0.00, // the special token
  0.50, 0.25, 0.25, 0.00, // strongest: the special token
  0.10, 0.20, 0.60, 0.10, // strongest: itself
  0.30, 0.10, 0.20, 0.40, // itself
]);

test("every patch has one strongest key, the first of equals, and special tokens none", () => {
  assert.deepEqual(strongest_keys(weights, tokens).map(({ query, key }) => [query, key]),
    [[1, 0], [2, 2], [3, 3]]);
});

test("a strongest key below 0.05 is left out, one of 0.05 is not", () => {
  const even = [0.04, 0.05].map((most) => {
    const flat = new Float32Array(16).fill(0.03);
    flat[5] = most;
    return strongest_keys(flat, tokens).length;
  });
  assert.deepEqual(even, [0, 1]);
});

test("all flows are those that reach the threshold, special tokens too", () => {
  const flows = strong_flows(weights, 4, 0.4);
  assert.deepEqual(flows.map(({ query, key }) => [query, key]), [[0, 1], [1, 0], [2, 2], [3, 3]]);
  const all = strong_flows(weights, 4, 0.1);
  assert.equal(all.length, 14); // 0.1 as float32 reaches 0.1; zeros never do
});

test("flows of a picked query leave it, those of a picked key arrive at it", () => {
  const flows = strong_flows(weights, 4, 0.25);
  assert.deepEqual(flows_at(flows, { side: "query", position: 3 }).map(({ key }) => key), [0, 3]);
  assert.deepEqual(flows_at(flows, { side: "key", position: 0 }).map(({ query }) => query), [0, 1, 3]);
  assert.equal(flows_at(flows, null), flows);
});

test("the share is of all attention, and arrivals are counted for each key", () => {
  const flows = strongest_keys(weights, tokens);
  assert.ok(Math.abs(share_of(flows, 3) - 0.5) < 1e-6);
  assert.deepEqual([...arrivals(flows, 4)], [1, 0, 1, 1]);
});

test("arrow, circle, square and triangle say where a flow goes, the faintest first", () => {
  const flows = [
    { query: 1, key: 2, weight: 0.9 }, { query: 2, key: 2, weight: 0.1 },
    { query: 3, key: 0, weight: 0.5 }, { query: 0, key: 1, weight: 0.3 }, { query: 0, key: 0, weight: 1 },
  ];
  const shapes = shapes_of(flows, tokens);
  assert.deepEqual(shapes.map(({ kind }) => kind), ["circle", "triangle", "square", "arrow"]);
  assert.deepEqual([shapes[3].from, shapes[3].to], [[0.5, 0.5], [1.5, 0.5]]);
  assert.deepEqual(shapes[1].to, [0.5, 0.5]); // the triangle stands on the patch that is attended to
  assert.deepEqual(shapes[2].from, [2.5, 0.5]); // the square on the patch that attends
});

test("opacity and width grow from the least to the greatest weight", () => {
  const looks = [0.1, 0.3, 0.5].map((weight) => look_of(weight, [0.1, 0.5], true));
  assert.deepEqual(looks.map(({ width }) => width), [1, 2.5, 4]);
  assert.ok(looks[0].opacity < looks[1].opacity && looks[1].opacity < looks[2].opacity);
  assert.equal(look_of(0.2, [0.2, 0.2], false).opacity, 1);
});

test("an arrow points at its key and keeps off both middles", () => {
  const { line, head } = arrow_of([0, 0], [10, 0], 1, 3);
  assert.deepEqual(line, [[1, 0], [6, 0]]);
  assert.deepEqual(head[0], [9, 0]);
  assert.equal(head[1][0], 6);
});

test("a drawing has one shape for each flow and tells how many of each kind", () => {
  const pen = new DrawingPen({ select: "#E6A700" });
  const counts = draw_flows(pen, strong_flows(weights, 4, 0.2), {
    tokens, grid: [1, 3], size: { width: 300, height: 100 }, range: [0.2, 0.6], is_wide: true,
  });
  assert.deepEqual(counts, { arrow: 3, circle: 3, square: 2, triangle: 2 });
  const tags = pen.parts.map(([tag]) => tag);
  assert.equal(tags.filter((tag) => tag === "circle").length, 3);
  assert.equal(tags.filter((tag) => tag === "line").length, 3);
  assert.equal(tags.filter((tag) => tag === "polygon").length, 3 + 2 + 2);
});
