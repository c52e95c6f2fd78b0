"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

require("../../assets/34_inspect_data.js");
const {
  explain_row, figure_columns, figure_text, full_colour, full_products, key_words, mean_products,
  order_dimensions, products, rotary_words, subtract_rows,
} = require("../../assets/36_neuron_data.js");
const { HeadSource, block_of, line_of } = require("../../assets/36_neuron_load.js");

const query = Float32Array.of(1, 2);
const keys = Float32Array.of(1, 0, 0, 1, 3, -1); // dots 1, 2, 1
const plain = { scaling: 0.5, softcap: null, sink: null };
const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

test("a weight is the softmax of the scaled sum of products", () => {
  const { dots, scaled, weights } = explain_row({ query, keys, additive: null }, plain);
  assert.deepEqual([...dots], [1, 2, 1]);
  assert.deepEqual([...scaled], [0.5, 1, 0.5]);
  const total = 2 * Math.exp(0.5) + Math.exp(1);
  close(weights[1], Math.exp(1) / total);
  close(weights.reduce((a, b) => a + b), 1);
});

test("a soft cap bends the scaled product before anything is added", () => {
  const { capped, logits } = explain_row(
    { query, keys, additive: Float32Array.of(0.25, 0, 0) }, { ...plain, softcap: 2 });
  close(capped[1], 2 * Math.tanh(0.5));
  close(logits[0], 2 * Math.tanh(0.25) + 0.25);
});

test("an unreachable key has no weight", () => {
  const { weights, logits } = explain_row({ query, keys, additive: Float32Array.of(0, -Infinity, 0) }, plain);
  assert.equal(logits[1], -Infinity);
  assert.deepEqual([...weights], [0.5, 0, 0.5]);
});

test("a sink takes its share", () => {
  const { weights, sink_weight } = explain_row({ query, keys, additive: null }, { ...plain, sink: 1 });
  close(sink_weight, weights[1]);
  close(weights.reduce((a, b) => a + b) + sink_weight, 1);
});

test("large logits do not overflow", () => {
  const { weights } = explain_row({ query, keys, additive: null }, { ...plain, scaling: 1e5 });
  assert.deepEqual([...weights], [0, 1, 0]);
});

test("products of the dimensions sum to the dot product", () => {
  assert.deepEqual([...products(query, keys, 2)], [3, -2]);
  assert.deepEqual([...mean_products(query, keys, Float32Array.of(0, -Infinity, 0))], [2, -1]);
});

test("a few outlying values do not take the colour from all others", () => {
  const values = Float32Array.from({ length: 101 }, (_, i) => (i === 7 ? -1000 : i / 100));
  assert.ok(full_colour(values) <= 1);
  assert.equal(full_products(query, keys), 2);
  assert.ok(full_colour([0, 0]) > 0);
});

test("a line of one capture shows it, a line of two what changed", () => {
  const side = (factor) => {
    const own = { query: query.map((v) => v * factor), keys };
    return { ...own, additive: null, explained: explain_row({ ...own, additive: null }, plain), shown: own };
  };
  const one = line_of([side(1)]);
  assert.deepEqual([one.query_at(1), one.key_at(2, 0), one.product_at(2, 1)], [2, 3, -2]);
  const two = line_of([side(3), side(1)]);
  assert.deepEqual([two.query_at(1), two.key_at(2, 0), two.product_at(2, 1)], [4, 0, -4]);
  assert.deepEqual([...two.explained.dots], [2, 4, 2]);
  close(two.explained.weights.reduce((a, b) => a + b), 0);
});

test("dimensions are sorted by what they give the chosen pair, or by their size overall", () => {
  assert.deepEqual(order_dimensions("index", query, keys, 1), [0, 1]);
  assert.deepEqual(order_dimensions("pair", query, keys, 1), [1, 0]);
  assert.deepEqual(order_dimensions("pair", query, keys, 2), [0, 1]);
  assert.deepEqual(order_dimensions("overall", query, Float32Array.of(1, 0, 0, 9), 0), [1, 0]);
});

test("a difference of rows has no change where both cannot be reached", () => {
  const row = (additive) => explain_row({ query, keys, additive }, plain);
  const change = subtract_rows(row(Float32Array.of(0, -Infinity, 0)), row(Float32Array.of(1, -Infinity, 0)));
  assert.equal(change.logits[1], 0);
  assert.equal(change.additive[0], -1);
  assert.ok(change.weights[0] < 0 && change.weights[2] > 0);
  assert.equal(change.capped, null);
});

test("keys that several heads share are said to be shared", () => {
  const about = { n_heads: 9, n_kv_heads: 3, key_head: 1, heads_of_key_head: [3, 4, 5] };
  assert.equal(key_words(about, 4), "keys of key head 1, shared with heads 3, 5");
  assert.equal(key_words(about, 3), "keys of key head 1, shared with heads 4–5");
  assert.equal(key_words({ ...about, n_kv_heads: 9 }, 3), "");
});

test("what was rotated is said", () => {
  assert.match(rotary_words({ has_rotary: true, rotary: ["after"] }, "after"), /after rotation.*--rotary before/);
  assert.match(rotary_words({ has_rotary: true, rotary: ["after", "before"] }, "before"), /not the logits/);
  assert.equal(rotary_words({ has_rotary: false, rotary: ["after"] }, "after"), "no rotary embedding");
});

test("a head has only the columns of terms that it has", () => {
  const names = (about) => figure_columns({ ...plain, has_terms: false, mask: "none", bias: "none", ...about })
    .map(({ name }) => name);
  assert.deepEqual(names({}), ["q · k", "× 0.5"]);
  assert.deepEqual(names({ softcap: 50, has_terms: true, mask: "causal" }),
    ["q · k", "× 0.5", "cap 50", "+ mask", "logit"]);
  assert.deepEqual(names({ has_terms: true, bias: "relative" }).slice(2), ["+ bias", "logit"]);
});

test("figures have a true minus and fit", () => {
  assert.deepEqual([-Infinity, -1.23456, 328.04, -0.0001].map(figure_text), ["−∞", "−1.235", "328.0", "0.000"]);
});

test("short inputs are fetched whole, long ones by the rows that are looked at", () => {
  assert.deepEqual(block_of(70, 200), [0, 200]);
  assert.deepEqual(block_of(70, 300), [64, 128]);
  assert.deepEqual(block_of(299, 300), [256, 300]);
});

test("a file holds all rows of a long input under one address", () => {
  globalThis.qk_atlas.inline = { table: {} };
  assert.deepEqual(block_of(299, 300), [0, 300]);
  delete globalThis.qk_atlas.inline;
});

test("of a long input one row asks for its block and for the keys alone", async () => {
  const asked = [];
  const once = async (url) => {
    asked.push(url);
    return url.includes("rows=keys") ? keys : new Float32Array(64 * 2).fill(1);
  };
  const about = { ...plain, head_dim: 2, has_terms: false };
  const source = new HeadSource(once, { capture_url: "/api/C", sequence: 7, layer: 1, head: 2, n_queries: 300, about });
  const { explained } = await source.row(70, "after");
  assert.deepEqual(asked.sort(), ["/api/C/neuron/7/1/2.f32?rows=64-128", "/api/C/neuron/7/1/2.f32?rows=keys"]);
  assert.deepEqual([...explained.dots], [1, 1, 2]);
});
