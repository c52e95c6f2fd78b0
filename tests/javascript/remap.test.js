"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
globalThis.qk_atlas = {};
require("../../assets/10_points.js");
require("../../assets/11_find.js");
require("../../assets/13_pictures.js");
require("../../assets/12_stage.js");
const remap = require("../../assets/46_remap.js");
const { HeadData } = require("../../assets/16_head_data.js");

const signal = new AbortController().signal;

function answers(...list) {
  const asked = [];
  globalThis.fetch = async (url, options) => {
    asked.push({ url, ...options });
    const { status = 200, body } = list.shift();
    return { ok: status === 200, status, json: async () => body, text: async () => body };
  };
  return asked;
}

test("the selected points keep their places in the draw order", () => {
  const order = Uint32Array.of(5, 1, 0, 2, 4, 3);
  assert.deepEqual([...remap.kept_of(order, Uint32Array.of(0, 3, 5))], [0, 2, 5]);
});

test("values are cut to the selected points and keep their type", () => {
  const cut = remap.pick(Uint8Array.of(9, 8, 7, 6), Uint32Array.of(1, 3));
  assert.deepEqual(cut, Uint8Array.of(8, 6));
});

test("a selection is stored as its point numbers", async () => {
  const asked = answers({ body: { selection: "abc" } });
  assert.equal(await remap.keep("A", [7, 9]), "abc");
  assert.equal(asked[0].url, "/api/A/selection");
  assert.equal(asked[0].method, "POST");
  assert.deepEqual(asked[0].body, Uint32Array.of(7, 9));
});

test("a map is waited for until it is made, with words about it", async () => {
  answers({ body: { state: "queued" } }, { body: { state: "running" } },
    { body: { state: "ready", key: "M" } });
  const said = [];
  assert.equal((await remap.ready("/u", signal, (words) => said.push(words))).key, "M");
  assert.equal(said.length, 2);
  assert.match(said[1], /being laid out/);
});

test("a map that fails says why, as does one that the server refuses", async () => {
  answers({ body: { state: "failed", error: "no room" } });
  await assert.rejects(remap.ready("/u", signal, () => {}), /no room/);
  answers({ status: 404, body: "this selection is not in the cache any more\n" });
  await assert.rejects(remap.ready("/u", signal, () => {}), /^Error: this selection is not/);
});

test("a head asks for the map of a selection only when one is shown", () => {
  const view = { layer: 1, head: 2, method: "tsne", dims: 3, guidance: 0.08, selection: null };
  assert.equal(remap.config_of({ atlas: "A" }, view), null);
  const { url } = remap.config_of({ atlas: "A" }, { ...view, selection: "S" });
  assert.equal(url, "/api/A/head/1/2/selection/S/tsne_3?guidance=0.08");
});

test("points that are not shown have no draw index", () => {
  const data = new HeadData({ n_tokens: 3, n_points: 6 });
  const tokens = {
    text: ["a", "b", "c"], sequence: [0, 0, 0], position: [0, 1, 2], sequences: [{}],
  };
  data.kept = Uint32Array.of(0, 2);
  data.attributes.type = Uint8Array.of(1, 0, 1, 0, 1, 0);
  data.keep({
    order: Uint32Array.of(5, 0), tokens, norms: Uint8Array.of(3, 4),
    coordinates: new Uint16Array(4),
  });
  assert.deepEqual(data.indices_of([0, 1, 5]), [1, 0]);
  assert.equal(data.n_points, 2);
  assert.deepEqual([...data.values_of("type")], [1, 1]);
  assert.equal(data.meaning_of(0).token, 2);
});

test("an encoding that is chosen while the points load is fetched too", async () => {
  const data = new HeadData({ n_tokens: 1, n_points: 2, capture_url: "/c", modality: "text" });
  let wanted = "type";
  data.load_points = async () => {
    wanted = "position";
    const tokens = { text: ["a"], sequence: [0], position: [0], sequences: [{}] };
    data.keep({ order: Uint32Array.of(0, 1), norms: new Uint8Array(2), tokens,
      coordinates: new Uint16Array(4) });
  };
  globalThis.fetch = async () => ({ ok: true, arrayBuffer: async () => new ArrayBuffer(2) });
  await data.load(() => wanted, signal, () => {}, () => {});
  assert.equal(data.values_of("position").length, 2);
});
