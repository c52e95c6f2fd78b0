"use strict";
// What is drawn before Dash knows: told once, a little later, and not to another atlas.

const { test } = require("node:test");
const assert = require("node:assert/strict");

const ahead = require("../../assets/71_ahead.js");

function listen(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told = [];
  const note = (capture, changes, name, data) => (
    ahead.note(capture, changes, name, () => told.push([name, data])));
  return { told, note };
}

test("choices in a row are told once, the last of each store", (context) => {
  const { told, note } = listen(context);
  note("a", { layer: 1, head: 2 }, "place", "L1 H2");
  note("a", { layer: 1, head: 3 }, "place", "L1 H3");
  note("a", { sequence: 7 }, "picked", { sequence: 7 });
  const view = { layer: 0, head: 0, sequence: null, dims: 2 };
  assert.deepEqual(ahead.over(view, "a"), { layer: 1, head: 3, sequence: 7, dims: 2 });
  assert.deepEqual(told, []);
  context.mock.timers.runAll();
  assert.deepEqual(told, [["place", "L1 H3"], ["picked", { sequence: 7 }]]);
  assert.deepEqual(ahead.over(view, "a"), view);
});

test("a choice in one atlas says nothing of another, and is told before the next", (context) => {
  const { told, note } = listen(context);
  note("a", { head: 3 }, "place", "H3");
  assert.deepEqual(ahead.over({ head: 0 }, "b"), { head: 0 });
  note("b", { head: 1 }, "place", "H1");
  assert.deepEqual(told, [["place", "H3"]]);
  ahead.tell();
  assert.deepEqual(told, [["place", "H3"], ["place", "H1"]]);
  context.mock.timers.runAll();
  assert.equal(told.length, 2);
});

test("with nothing to tell a view is as it is, also of an atlas that is not there", () => {
  assert.deepEqual(ahead.over({ head: 0 }, undefined), { head: 0 });
});
