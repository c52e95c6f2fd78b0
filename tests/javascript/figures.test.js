"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const figures = require("../../assets/13_figures.js");

const cells = [0, 1].flatMap((layer) => [0, 1].map((head) => ({ layer, head })));
const values = [0.5, 0.9, null, 0.7];
const how = { columns: 2, order: "layer", keep: "least", bound: null, others: "dim" };

test("without a figure every head stands at its layer and number", () => {
  const found = figures.arrange(cells, null, { columns: 2 });
  assert.deepEqual(found.places[3], { row: 1, column: 1 });
  assert.ok(found.is_grid);
  assert.equal(found.n_kept, 4);
});

test("sorted by a figure, the greatest comes first and the unknown last", () => {
  const { places, is_grid, rows } = figures.arrange(cells, values, { ...how, order: "figure" });
  assert.ok(!is_grid);
  assert.equal(rows, 2);
  const order = [1, 3, 0, 2];
  assert.deepEqual(order.map((i) => places[i].row * 2 + places[i].column), [0, 1, 2, 3]);
});

test("heads below the bound are dimmed, hidden, or those above outlined", () => {
  const dim = figures.arrange(cells, values, { ...how, bound: 0.6 });
  assert.deepEqual(dim.dimmed, [true, false, true, false]);
  const hide = figures.arrange(cells, values, { ...how, bound: 0.6, others: "hide", order: "figure" });
  assert.deepEqual(hide.places.map(Boolean), [false, true, false, true]);
  const outline = figures.arrange(cells, values, { ...how, bound: 0.6, others: "outline" });
  assert.deepEqual(outline.outlined, [false, true, false, true]);
  const most = figures.arrange(cells, values, { ...how, bound: 0.6, keep: "most" });
  assert.deepEqual(most.dimmed, [false, true, true, true]);
  assert.equal(most.n_kept, 1);
});

test("figures are those that some head has, with words and a true minus sign", () => {
  const listed = [null, { quality: { spearman: -0.412, mixing: null } }, { quality: { recall_at_10: 1 } }];
  assert.deepEqual(figures.known_figures(listed), ["spearman", "recall_at_10"]);
  assert.deepEqual(figures.values_of(listed, "spearman"), [null, -0.412, null]);
  assert.deepEqual(figures.range_of([null, 3, -1]), [-1, 3]);
  assert.equal(figures.name_of("space_per_query_rho"), "rho in space, per query");
  assert.equal(figures.name_of("space_new_score"), "new score, in space");
  assert.equal(figures.text_of(-0.412), "−0.41");
  assert.equal(figures.text_of(null), "not known");
});

test("a head is found by what people type", () => {
  for (const text of ["L1 H0", "l1h0", "1 0", "1.0", "layer 1 head 0", " 1,0 ", "1"]) {
    assert.equal(figures.cell_named(text, cells), 2, text);
  }
  for (const text of ["", "head", "7 7", "1 0 0"]) assert.equal(figures.cell_named(text, cells), -1, text);
});

test("figures of the map stand beside the same of the space, the rest below", () => {
  const rows = figures.by_place({
    space_per_query_rho: -0.99, per_query_rho: -0.6, recall_at_10: 0.5, mixing_queries: 0.1,
    induction: 0.9,
  });
  assert.deepEqual(rows, [
    { name: "rho, per query", map: -0.6, space: -0.99 },
    { name: "neighbours kept", map: 0.5, space: undefined },
    { name: "induction", map: 0.9, space: undefined },
  ]);
  assert.deepEqual(figures.by_place({}), []);
});
