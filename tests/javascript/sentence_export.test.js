"use strict";
// What is drawn and written of a sentence view, with tokens that try to be something else.

const assert = require("node:assert/strict");
const { test } = require("node:test");

require("../../assets/12_stage.js");
require("../../assets/28_attention.js");
require("../../assets/30_bipartite.js");
const { csv_text, caption_of } = require("../../assets/44_export.js");
const { drawing_of, provenance_of, svg_of, table_of } = require("../../assets/33_sentence_export.js");
globalThis.qk_atlas.export_menu ??= { caption_of };

const texts = ["[CLS]", "=1+1", "<script>alert(1)</script>\u0000"];
const tokens = texts.map((text, at) => ({ text, special: at === 0, segment: 0 }));
const view = {
  config: { title: "Sentence view (L1 H2)", subtitle: "line\n7", sides: { query: tokens, key: tokens } },
  weights: Float32Array.of(0.5, 0.5, 0, 0, 1, 0, 0.25, 0.25, 0.5),
  shares: Float32Array.of(0, 1, 0, 0, 1, 0, 0, 0, 0),
  norms_shown: null, counts: { query: 3, key: 3 }, lines: { pairs: [1, 4] },
  hidden: { query: [false, false, true], key: [true, false, false] }, weighting: "attention",
  pair: "all", options: { filters: new Set() },
  note: { textContent: "2 lines" }, note_how: { textContent: "" },
};
const about = { model: "minilm", corpus: "sentences", head: "L1 H2", seed: 0 };

/** Elements as plain objects: what an XML serializer would be given. */
function part(tag, attributes, text = "") {
  const children = [];
  return { tag, attributes, text, children, append: (...more) => children.push(...more) };
}

test("every token is a text of the drawing, readable and never markup", () => {
  const root = svg_of(drawing_of(view), { surface: "#fff", text: "#111", text_2: "#666", query: "#00f", key: "#f00", select: "#fa0" }, about, part);
  const words = root.children.filter(({ tag }) => tag === "text").map(({ text }) => text);
  for (const shown of ["[CLS]", "=1+1", "<script>alert(1)</script>␀"]) {
    assert.equal(words.filter((text) => text === shown).length, 2, shown);
  }
  assert.ok(words.every((text) => !/[\u0000-\u001f]/.test(text)));
  assert.ok(root.children.every(({ tag }) => ["desc", "rect", "path", "text"].includes(tag)));
});

test("lines run from row to row, as opaque as they weigh", () => {
  const { lines } = drawing_of(view);
  assert.equal(lines.length, 2);
  const [[x0, y0], [x1, y1]] = [lines[0].points.slice(0, 2), lines[0].points.slice(-2)];
  assert.ok(x1 > x0);
  assert.equal(y1 - y0, 20);
  assert.equal(lines[0].opacity, 1);
});

test("hidden tokens are struck through, special ones slanted", () => {
  const kinds = drawing_of(view).texts.slice(4).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["special", "plain", "gone", "gone", "plain", "plain"]);
});

test("the table holds the pairs that are left, with their attention", () => {
  const { head, rows } = table_of(view);
  assert.deepEqual(head, ["query_position", "query", "key_position", "key", "weight", "attention"]);
  assert.deepEqual(rows, [[0, "[CLS]", 1, "=1+1", 1, 0.5], [1, "=1+1", 1, "=1+1", 1, 1]]);
  const text = csv_text(head, rows, provenance_of(view, about));
  assert.match(text, /\r\n0,\[CLS\],1,'=1\+1,1,0\.5\r\n/);
});

test("an export says what was hidden and how weights were made", () => {
  const found = provenance_of(view, about);
  assert.deepEqual([found.weighting, found.hidden_queries, found.hidden_keys], ["attention", "2", "0"]);
  assert.equal(found.view, "Sentence view (L1 H2), line↵7");
  assert.equal(found.model, "minilm");
});

test("norms that weigh the keys stand in the table", () => {
  const { head, rows } = table_of({ ...view, norms_shown: Float32Array.of(1, 2, 3) });
  assert.equal(head.at(-1), "value_norm");
  assert.equal(rows[0].at(-1), 2);
});
