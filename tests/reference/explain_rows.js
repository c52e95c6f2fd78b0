"use strict";
// Explains rows of attention as the neuron view does: parts as JSON on stdin, weights on stdout.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const { explain_row } = require(join(__dirname, "../../assets/36_neuron_data.js"));

const { rows, about } = JSON.parse(readFileSync(0, "utf8"));
const answers = rows.map(({ query, keys, additive }) => {
  const terms = additive && Float32Array.from(additive, (value) => value ?? -Infinity); // JSON has no -Infinity
  const row = { query: Float32Array.from(query), keys: Float32Array.from(keys.flat()), additive: terms };
  const { weights, sink_weight } = explain_row(row, about);
  return { weights: Array.from(weights), sink_weight };
});
process.stdout.write(JSON.stringify(answers));
