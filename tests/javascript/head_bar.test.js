"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");

const { level_of, short_number } = require("../../assets/71_head_bar.js");

const rho = { good: -0.5, doubtful: -0.25, less: true };
const trust = { good: 0.95, doubtful: 0.85, less: false };

test("a figure is good, doubtful or bad on the side that counts", () => {
  assert.deepEqual([-0.9, -0.5, -0.3, 0.1].map((value) => level_of(rho, value)),
    ["good", "good", "doubtful", "bad"]);
  assert.deepEqual([0.99, 0.9, 0.5].map((value) => level_of(trust, value)),
    ["good", "doubtful", "bad"]);
});

test("figures have two decimals and no leading zero", () => {
  assert.deepEqual([-0.434, 0.98, 1, -1].map(short_number), ["-.43", ".98", "1.00", "-1.00"]);
});
