"use strict";
// The rule by which weights are taken anew, also as a property of many random sequences of clicks.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
  filters, filter_name, hidden_tokens, is_of, is_punctuation, pairs, reweighted, segments_of,
  within_pair,
} = require("../../assets/28_weighting.js");

const token = (text, segment = 0) => ({ text, special: /^(\[.*\]|<.*>)$/.test(text), segment });
const sentence = ["[CLS]", "the", "cat", ",", "##s", "[SEP]", "a", ".", "[SEP]"].map((text) => token(text));
const none = (n) => Array(n).fill(false);

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function random_of(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function random_weights(random, n_queries, n_keys, sink = 0) {
  const weights = new Float32Array(n_queries * n_keys);
  for (let query = 0; query < n_queries; query += 1) {
    const row = Array.from({ length: n_keys }, () => random() ** 3);
    const total = row.reduce((a, b) => a + b, 0) / (1 - sink);
    row.forEach((weight, key) => { weights[query * n_keys + key] = weight / total; });
  }
  return weights;
}

test("nothing hidden leaves the weights as they are", () => {
  const weights = random_weights(random_of(1), 4, 5, 0.3);
  const hidden = { query: none(4), key: none(5) };
  assert.deepEqual(reweighted(weights, hidden, { has_sinks: true }), weights);
});

test("a hidden key gives its weight to the keys that are left, in proportion", () => {
  const weights = Float32Array.of(0.5, 0.25, 0.25, 1, 0, 0);
  const found = reweighted(weights, { query: none(2), key: [true, false, false] });
  assert.deepEqual(found, Float32Array.of(0, 0.5, 0.5, 0, 0, 0));
});

test("a hidden query loses its row and changes no other", () => {
  const weights = Float32Array.of(0.5, 0.5, 0.25, 0.75);
  const found = reweighted(weights, { query: [true, false], key: none(2) });
  assert.deepEqual(found, Float32Array.of(0, 0, 0.25, 0.75));
});

test("a sink keeps its part of what is shared out", () => {
  const found = reweighted(Float32Array.of(0.5, 0.25), { query: [false], key: [true, false] }, { has_sinks: true });
  assert.deepEqual(found, Float32Array.of(0, 0.25 / 0.5)); // 0.25 goes to the sink, before and after
});

test("norms of values weigh the keys, and each row is divided by its sum", () => {
  const norms = Float32Array.of(1, 2, 0);
  const found = reweighted(Float32Array.of(0.5, 0.25, 0.25), { query: [false], key: none(3) }, { norms });
  assert.deepEqual(found, Float32Array.of(0.5, 0.5, 0));
});

test("the row of a mean is divided by its sum", () => {
  const found = reweighted(Float32Array.of(0.25, 0.25), { query: [false], key: none(2) }, { is_mean: true });
  assert.deepEqual(found, Float32Array.of(0.5, 0.5));
});

test("whatever is clicked in whatever order, the weights are those of the hidden set", () => {
  const random = random_of(7);
  for (let run = 0; run < 300; run += 1) {
    const [n_queries, n_keys] = [3 + Math.floor(random() * 5), 3 + Math.floor(random() * 5)];
    const sink = run % 3 === 0 ? 0.4 : 0;
    const weights = random_weights(random, n_queries, n_keys, sink);
    const how = { has_sinks: sink > 0, norms: run % 2 ? Float32Array.from({ length: n_keys }, random) : null };
    const tokens = { query: sentence.slice(0, n_queries), key: sentence.slice(0, n_keys) };
    const chosen = new Set(filters.filter(() => random() < 0.3));
    const by_hand = { query: new Map(), key: new Map() };
    const hidden_now = (side) => hidden_tokens(tokens[side], chosen, by_hand[side]);
    const clicks = Math.floor(random() * 20);
    for (let click = 0; click < clicks; click += 1) {
      const side = random() < 0.5 ? "query" : "key";
      const position = Math.floor(random() * tokens[side].length);
      by_hand[side].set(position, !hidden_now(side)[position]);
      reweighted(weights, { query: hidden_now("query"), key: hidden_now("key") }, how);
    }
    const hidden = { query: hidden_now("query"), key: hidden_now("key") };
    const found = reweighted(weights, hidden, how);
    // The same set, hidden at once and without any click before.
    const plain = { query: [...hidden.query], key: [...hidden.key] };
    assert.deepEqual(found, reweighted(weights, plain, how));
    check_rows(found, weights, hidden, how);
  }
});

/** A direct computation: every row over the keys that are left, sink included. */
function check_rows(found, weights, hidden, { norms, has_sinks }) {
  const n_keys = hidden.key.length;
  const is_changed = norms !== null || hidden.key.includes(true);
  hidden.query.forEach((is_hidden, query) => {
    const row = [...weights.subarray(query * n_keys, (query + 1) * n_keys)];
    const parts = row.map((weight, key) => (hidden.key[key] ? 0 : weight * (norms?.[key] ?? 1)));
    const left = parts.reduce((a, b) => a + b, 0);
    const sink = has_sinks && !norms ? 1 - row.reduce((a, b) => a + b, 0) : 0;
    parts.forEach((part, key) => {
      const expected = is_hidden || left + sink <= 0 ? 0 : part / (is_changed ? left + sink : 1);
      assert.ok(Math.abs(found[query * n_keys + key] - expected) < 1e-6);
    });
  });
}

test("hiding and showing again gives back the very same numbers", () => {
  const weights = random_weights(random_of(3), 6, 6);
  const by_hand = new Map([[2, true], [4, true], [2, false], [4, false]]);
  const key = hidden_tokens(sentence.slice(0, 6), new Set(), by_hand);
  assert.deepEqual(reweighted(weights, { query: none(6), key }), weights);
});

test("the filters know their tokens", () => {
  const of = (filter) => sentence.flatMap((one, at) => (is_of(filter, one, at) ? [at] : []));
  assert.deepEqual(filters.map(of), [[0], [5, 8], [0], [3, 7], [], [1, 2, 3, 4, 6, 7]]);
});

test("a click is stronger than a filter, until it is taken back", () => {
  const chosen = new Set(["separators"]);
  assert.deepEqual(hidden_tokens(sentence, chosen, new Map()).flatMap((is, at) => (is ? [at] : [])), [5, 8]);
  assert.deepEqual(hidden_tokens(sentence, chosen, new Map([[5, false], [1, true]]))
    .flatMap((is, at) => (is ? [at] : [])), [1, 8]);
});

test("marks and symbols are punctuation, words and special tokens are not", () => {
  const found = [" ,", "##.", "€", "...", "##", "a.", "[SEP]", ""].filter((text) => is_punctuation(token(text)));
  assert.deepEqual(found, [" ,", "##.", "€", "...", "##"]);
});

test("special tokens belong to the text before them", () => {
  const tokens = [token("[CLS]"), token("a"), token("[SEP]"), token("b", 1), token("[SEP]")];
  assert.deepEqual(segments_of(tokens), [0, 0, 0, 1, 1]);
});

test("the pair filter keeps one block and changes no weight in it", () => {
  const weights = Float32Array.of(0.1, 0.2, 0.3, 0.4);
  const segments = { query: [0, 1], key: [0, 1] };
  const kept = Object.fromEntries(Object.keys(pairs).map(
    (pair) => [pair, [...within_pair(weights, segments, pair)].flatMap((w, at) => (w ? [at] : []))]));
  assert.deepEqual(kept, { all: [0, 1, 2, 3], "A→A": [0], "B→B": [3], "A→B": [1], "B→A": [2] });
});

test("boxes are named after the tokens that they hide, and missing without any", () => {
  const names = filters.map((filter) => filter_name(filter, { query: sentence, key: sentence }));
  assert.deepEqual(names, ["[CLS]", "all [SEP]", "first token", "punctuation", null, null]);
  const plain = [token("a"), token("b")];
  assert.deepEqual(filters.map((filter) => filter_name(filter, { query: plain, key: plain })),
    [null, null, "first token", null, null, null]);
});
