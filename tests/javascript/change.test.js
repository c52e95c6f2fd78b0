"use strict";
// What the legend says where an edit is compared with the input before it.

const assert = require("node:assert/strict");
const { test } = require("node:test");

globalThis.qk_atlas = {};
const scale = require("../../assets/34_change_scale.js");
const { meanings_of } = require("../../assets/73_meanings.js");
globalThis.qk_atlas.neuron_data = require("../../assets/36_neuron_data.js");
const { line_of } = require("../../assets/36_neuron_load.js");

test("the range of changes has a side for less and one for more, zero where there is none", () => {
  assert.deepEqual(scale.range_of([0.2, -0.1, 0.4]), [-0.1, 0.4]);
  assert.deepEqual(scale.range_of([0.2, 0.4]), [0, 0.4]);
  assert.deepEqual(scale.joined([[-0.3, 0.1], [0, 0.2]]), [-0.3, 0.2]);
});

test("only the pairs of the heads that are shown count", () => {
  const layer = { values: Int16Array.of(-51, 255, 0, 0, 102, -255, 0, 0), n_queries: 2, n_keys: 2 };
  assert.deepEqual(scale.range_of_heads(layer, [0], null), [-0.2, 1]);
  assert.deepEqual(scale.range_of_heads(layer, [0, 1], null), [-1, 1]);
  assert.deepEqual(scale.range_of_heads(layer, [0, 1], Uint8Array.of(1, 0, 1, 1)), [-0.2, 0.4]);
});

test("changes are told with their sign, none as none", () => {
  assert.deepEqual([0.12, -0.0312, 0.0004, 0].map(scale.signed), ["+0.120", "−0.031", "0", "0"]);
  assert.deepEqual([[-0.0001, 0.0004], [0, 0.001]].map(scale.is_none), [true, false]);
});

test("the window shows the part of the scale from -1 to 1 that is there", () => {
  for (const [least, greatest] of [[-1, 1], [-0.5, 0], [-0.25, 0.5]]) {
    const { left, width } = scale.window_on([least, greatest]);
    const at = (change) => left + (width * (1 + change)) / 2; // where a change lies in the window
    assert.ok(Math.abs(at(least)) < 1e-12 && Math.abs(at(greatest) - 1) < 1e-12);
  }
});

test("the legend of a difference never speaks of weights as they are", () => {
  for (const kind of ["model_view", "head_lines", "neuron_view"]) {
    const [plain, change] = [false, true].map((is) => JSON.stringify(meanings_of(kind, is)));
    assert.match(change, /than before the edit/);
    assert.doesNotMatch(plain, /before/);
    assert.doesNotMatch(change, /as strong as its weight|one colour and dash pattern|"positive"/);
    assert.equal(meanings_of(kind, true)[0][2].length, 2);
  }
});

test("changes of vectors have their full colour by themselves, not by the size of the vectors", () => {
  const n_keys = 100;
  const row = (bump) => {
    const query = Float32Array.of(10, 10);
    const keys = new Float32Array(2 * n_keys).fill(10);
    keys[6] += bump; // one key of a hundred has changed
    const figures = Object.fromEntries(["dots", "scaled", "logits", "weights"].map((name) => [name, new Float64Array(n_keys)]));
    return { query, keys, additive: null, shown: { query, keys }, explained: { ...figures, sink_weight: 0 } };
  };
  const line = line_of([row(0.5), row(0)]);
  assert.equal(line.most_key, 0.5);
  assert.equal(line.most_product, 5);
  assert.ok(line.most_query < 1e-9); // none has changed
  assert.equal(line_of([row(0)]).most_key, 10);
});
