"use strict";

const assert = require("node:assert");
const test = require("node:test");
const inline = require("../../assets/11_inline.js");
const stage = require("../../assets/12_stage.js");
const exports_of = require("../../assets/39_inspect_exports.js");

const table = {
  "/api/a/x.f32": Buffer.from(Float32Array.of(1.5, -2).buffer).toString("base64"),
  "/api/b/x.f32": "@/api/a/x.f32",
  "/api/a/y.json": Buffer.from(JSON.stringify({ text: "é </script>" })).toString("base64"),
};

test("without a table the server is asked", () => {
  assert.strictEqual(inline.bytes_of(null, "/api/a/x.f32"), null);
});

test("what was brought along is not fetched", async () => {
  globalThis.qk_atlas.inline.table = table;
  try {
    assert.deepStrictEqual(await stage.fetch_array("/api/a/x.f32", Float32Array), Float32Array.of(1.5, -2));
    assert.deepStrictEqual(await stage.fetch_array("/api/b/x.f32", Float32Array), Float32Array.of(1.5, -2));
    assert.deepStrictEqual(await stage.fetch_json("/api/a/y.json"), { text: "é </script>" });
    await assert.rejects(stage.fetch_array("/api/a/z.f32", Float32Array), /this file does not hold it/);
    await assert.rejects(stage.fetch_array("constructor", Float32Array), /this file does not hold it/);
  } finally {
    globalThis.qk_atlas.inline.table = null;
  }
});

test("the file of a view shows what the view shows", () => {
  const config = { capture_url: "/api/aa", compared_url: "/api/bb", sequence: 3 };
  assert.strictEqual(
    exports_of.file_address({ config, options: { layer: 2, head: 5 } }, "neuron_view"),
    "/export/aa/neuron_view.html?sequence=3&layer=2&head=5&compared=bb");
  assert.strictEqual(
    exports_of.file_address({ config: { ...config, compared_url: null }, options: {} }, "model_view"),
    "/export/aa/model_view.html?sequence=3&layer=0&head=0");
});
