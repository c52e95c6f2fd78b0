"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");

const {
  allows, difference, has_segments, isolated, lines_of, pair_mask, parse_pins, parse_ranges,
  pins_text, ranges_text, scores_of, sign_of, sort_cells, toggled,
} = require("../../assets/34_inspect_data.js");

test("ranges are read with blanks, dashes and overlaps", () => {
  assert.deepEqual(parse_ranges("0-3, 7", 12), [0, 1, 2, 3, 7]);
  assert.deepEqual(parse_ranges(" 2 – 4,3 ", 12), [2, 3, 4]);
});

test("no range names all, and what is not there is left out", () => {
  assert.deepEqual(parse_ranges("", 3), [0, 1, 2]);
  assert.deepEqual(parse_ranges("1-99", 3), [1, 2]);
});

test("ranges that cannot be read or name nothing are refused", () => {
  for (const text of ["x", "1-", "-1", "1,,2", "9", "3-1", "1 2"]) assert.equal(parse_ranges(text, 3), null, text);
});

test("ranges are written as they are read", () => {
  for (const text of ["0-3,7", "1", "0,2,4-5"]) assert.equal(ranges_text(parse_ranges(text, 9), 9), text);
  assert.equal(ranges_text([0, 1, 2], 3), "");
});

const layers = [{ n_heads: 4 }, { n_heads: 4 }, { n_heads: 2 }];

test("pinned layers keep their heads", () => {
  const pins = parse_pins("1:0-2;2", layers);
  assert.deepEqual(pins, [{ layer: 1, heads: [0, 1, 2] }, { layer: 2, heads: [0, 1] }]);
  assert.equal(pins_text(pins, layers), "1:0-2;2");
});

test("layers that are not there are not pinned, and never more than three", () => {
  assert.deepEqual(parse_pins("9;1:0", layers), [{ layer: 1, heads: [0] }]);
  assert.equal(parse_pins("0;1;2;0", layers).length, 3);
});

test("pairs are filtered by the segments of query and key", () => {
  const shown = (pairs) => [[0, 0], [1, 1], [0, 1], [1, 0]].map(([q, k]) => allows(pairs, q, k));
  assert.deepEqual(shown("all"), [true, true, true, true]);
  assert.deepEqual(shown("aa"), [true, false, false, false]);
  assert.deepEqual(shown("bb"), [false, true, false, false]);
  assert.deepEqual(shown("ab"), [false, false, true, false]);
  assert.deepEqual(shown("ba"), [false, false, false, true]);
});

test("a mask of pairs has a row a query", () => {
  assert.deepEqual([...pair_mask("ab", { segment: [0, 1] }, { segment: [0, 1, 1] })], [0, 1, 1, 0, 0, 0]);
  assert.equal(pair_mask("all", { segment: [0] }, { segment: [0] }), null);
});

test("only two segments of one input can be filtered", () => {
  const side = (...segment) => ({ segment });
  assert.ok(has_segments({ queries: side(0, 1), keys: side(0, 1), is_cross: false }));
  assert.ok(!has_segments({ queries: side(0, 0), keys: side(0, 0), is_cross: false }));
  assert.ok(!has_segments({ queries: side(1, 1), keys: side(0, 0), is_cross: true }));
});

test("a difference is positive where there is more attention now", () => {
  assert.deepEqual([...difference(Uint8Array.of(255, 0, 9), Uint8Array.of(0, 255, 9))], [255, -255, 0]);
});

const layer = { values: Uint8Array.of(0, 51, 102, 255, 13, 255, 0, 26), n_queries: 2, n_keys: 2 };

test("lines are those of the heads shown that reach the threshold, weakest first", () => {
  const { lines, n_above, n_pairs } = lines_of(layer, [0], { threshold: 0.2, mask: null, most: 9 });
  assert.deepEqual(lines.map(({ query, key, value }) => [query, key, value]),
    [[0, 1, 0.2], [1, 0, 0.4], [1, 1, 1]]);
  assert.deepEqual([n_above, n_pairs], [3, 3]);
});

test("of too many lines the strongest are drawn, and all are counted", () => {
  const { lines, n_above } = lines_of(layer, [0, 1], { threshold: 0.05, mask: null, most: 2 });
  assert.deepEqual(lines.map(({ head, value }) => [head, value]), [[0, 1], [1, 1]]);
  assert.equal(n_above, 6);
});

test("a mask leaves pairs out of lines and counts", () => {
  const { lines, n_pairs } = lines_of(layer, [0], { threshold: 0, mask: Uint8Array.of(1, 0, 0, 1), most: 9 });
  assert.deepEqual(lines.map(({ query, key }) => [query, key]), [[1, 1]]);
  assert.equal(n_pairs, 1);
});

test("lines of a difference keep their sign", () => {
  const change = { values: Int16Array.of(-255, 51, 0, 0), n_queries: 2, n_keys: 2 };
  const { lines } = lines_of(change, [0], { threshold: 0.1, mask: null, most: 9 });
  assert.deepEqual(lines.map(({ value }) => value), [0.2, -1]);
});

test("a head is shown or hidden, and the last one stays", () => {
  assert.deepEqual(toggled([0, 2], 1), [0, 1, 2]);
  assert.deepEqual(toggled([0, 1], 1), [0]);
  assert.deepEqual(toggled([1], 1), [1]);
});

test("two clicks and a double click leave one head alone, and once more brings all back", () => {
  const double_click = (shown, head) => isolated(toggled(toggled(shown, head), head), head, 4);
  const alone = double_click([0, 1, 2, 3], 2);
  assert.deepEqual(alone, [2]);
  assert.deepEqual(double_click(alone, 2), [0, 1, 2, 3]);
  assert.deepEqual(double_click(alone, 1), [1]);
});

test("cells are sorted by a score, those without one last", () => {
  const cells = [0, 1, 2, 3].map((head) => ({ layer: 0, head }));
  const scores = [0.1, NaN, 0.5, 0.1];
  assert.deepEqual(sort_cells(cells, ({ head }) => scores[head]).map(({ head }) => head), [2, 0, 3, 1]);
});

test("scores of a head are found by name", () => {
  const scores = Float32Array.from({ length: 18 }, (_, i) => i);
  const found = scores_of(scores, 1);
  assert.deepEqual([found.entropy, found.strongest_query, found.strongest], [9, 15, 17]);
});

// Linear RGB as eyes without one kind of cone see it (Viénot et al. 1999).
const views = {
  usual: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  deutan: [[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]],
  protan: [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.004, -0.004, 1]],
};

function seen(hex, view) {
  const linear = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const [r, g, b] = views[view].map((row) => row.reduce((sum, part, i) => sum + part * linear[i], 0));
  const f = (t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const [x, y, z] = [0.4124 * r + 0.3576 * g + 0.1805 * b, 0.2126 * r + 0.7152 * g + 0.0722 * b,
    0.0193 * r + 0.1192 * g + 0.9505 * b].map((v, i) => f(v / [0.9505, 1, 1.089][i]));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

test("no two of sixteen heads look alike: colour, for all common eyes, or dashes differ", () => {
  const css = readFileSync(join(__dirname, "../../assets/37_inspect.css"), "utf8");
  const colours = [...css.matchAll(/--qk-head-(\d+): (#[0-9A-F]{6})/g)].map(([, i, hex]) => [Number(i), hex]);
  assert.equal(colours.length, 32);
  for (const theme of [colours.slice(0, 16), colours.slice(16)]) {
    assert.equal(new Set(theme.map(([, hex]) => hex)).size, 16);
    for (const view of Object.keys(views)) {
      for (const [i, a] of theme) {
        for (const [j, b] of theme.slice(i + 1)) {
          const apart = Math.hypot(...seen(a, view).map((v, n) => v - seen(b, view)[n]));
          const same_dash = sign_of(i).dash === sign_of(j).dash;
          if (same_dash) assert.ok(apart > 19, `${view}: ${i} ${a} and ${j} ${b} are ${apart.toFixed(1)} apart`);
        }
      }
    }
  }
});

test("heads that share a colour differ in their dashes", () => {
  assert.equal(sign_of(1).colour, sign_of(17).colour);
  assert.notDeepEqual(sign_of(1).dash, sign_of(17).dash);
});
