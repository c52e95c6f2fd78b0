"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
require("../../assets/12_stage.js");
require("../../assets/28_attention.js");
const { csv_cell, csv_text, caption_of, file_name } = require("../../assets/44_export.js");
const { summarise, rows_of } = require("../../assets/43_selection.js");

test("text that a spreadsheet would run is disarmed, numbers stay numbers", () => {
  for (const text of ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]) {
    assert.ok(csv_cell(text).replace('"', "").startsWith("'"), JSON.stringify(text));
  }
  assert.equal(csv_cell(-1.5), "-1.5");
  assert.equal(csv_cell("may"), "may");
});

test("commas, quotes and line breaks stay inside their cell", () => {
  assert.equal(csv_cell('a "b", c'), '"a ""b"", c"');
  assert.equal(csv_cell("a\nb"), '"a\nb"');
});

test("a table says where it is from", () => {
  const text = csv_text(["token", "n"], [["=x", 2]], { model: "minilm", seed: 0 });
  assert.equal(text, "# model: minilm\r\n# seed: 0\r\ntoken,n\r\n'=x,2\r\n");
});

test("pictures and files are named after what they show", () => {
  const about = { model: "org/name", revision: "0123456789abcdef", corpus: "my.csv", head: "L3 H9",
    method: "t-SNE 2-D", normalisation: "faithful", seed: 0 };
  assert.equal(caption_of(about),
    "QK Atlas · L3 H9 · org/name@01234567 · my.csv · t-SNE 2-D · faithful · seed 0");
  assert.equal(file_name(about, "png"), "org-name-my.csv-L3-H9-t-SNE-2-D.png");
});

const tokens = { text: ["a", "b"], sequences: [{ label: "one" }] };
const points = [
  { point: 0, token: 0, side: "query", sequence: 0, position: 0 },
  { point: 3, token: 1, side: "key", sequence: 0, position: 1 },
  { point: 2, token: 0, side: "key", sequence: 0, position: 0 },
];

test("a selection is counted by type, token, position and sequence", () => {
  const { n, queries, keys, tables } = summarise(points, tokens);
  assert.deepEqual([n, queries, keys], [3, 1, 2]);
  assert.deepEqual(tables.map(({ title, n_kinds }) => [title, n_kinds]),
    [["tokens", 2], ["positions", 2], ["sequences", 1]]);
  assert.deepEqual(tables[0].rows[0], { name: "a", queries: 1, keys: 1 });
});

test("the rows of a selection name point, type, token, label, sequence and position", () => {
  assert.deepEqual(rows_of(points, tokens)[1], [3, "key", "b", "one", 0, 1]);
});
