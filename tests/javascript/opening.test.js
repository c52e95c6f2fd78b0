"use strict";
// What a link and an atlas change in the controls, and when the server is asked again.

const { test } = require("node:test");
const assert = require("node:assert/strict");

globalThis.qk_atlas = {
  session: require("../../assets/70_session.js"),
  stage: { fetch_json: (url) => asked(url) },
};
const opening = require("../../assets/70_opening.js");
const questions = require("../../assets/70_questions.js");

const no_update = Symbol("no update");
const props = [];
globalThis.dash_clientside = {
  no_update, set_props: (id, values) => props.push([id, values]), callback_context: { triggered: [] },
};
const view = {
  model: "m", corpus: "c", part: "encoder", normalisation: "faithful", guidance: 0.08, method: "pca",
  dims: 2, encoding: "type", palette: "default", layer: 1, head: 2, selection: null,
  sequence: 3, token: null, side: "query",
};
const atlas = { capture: "C", has_parts: false, parts: [], encodings: { type: ["query or key", "type"] } };
const link = {
  view, inspect: { sort: "grid" }, notices: ["odd"], models: { m: "m (text)" }, corpora: { c: "c" },
  atlas, job: null,
};
let asked = async () => link;

const by_name = (values) => Object.fromEntries(
  opening.outputs.map((name, i) => [name, values[i]]).filter(([, value]) => value !== no_update));
const names = ["m", "c", "encoder", "faithful", 0.08];
const nothing = opening.outputs.map(() => undefined);

test("the chosen colouring stays in the menu", () => {
  const found = opening.encoding_options({ type: ["query or key", "type"] }, "row_mean");
  assert.deepEqual(found.map(({ value }) => value), ["type", "row_mean"]);
  assert.equal(found[1].label, "row mean (not in this atlas)");
});

test("a link sets everything once, and nothing when it is opened again", async () => {
  const urls = [];
  asked = async (url) => { urls.push(url); return link; };
  const first = await opening.open("?x=1", null, null, null, null, null, "", null, ...nothing);
  assert.deepEqual(urls, ["/api/open?x=1"]);
  const found = by_name(first);
  assert.deepEqual(Object.keys(found).sort(), [...opening.outputs].sort());
  assert.deepEqual(found.place, { layer: 1, head: 2, selection: null });
  assert.equal(found.picked, null, "a sequence without a token");
  assert.equal(found.notices[0].props.children, "odd");
  assert.deepEqual(found.parts.map(({ value }) => value), ["encoder", "decoder", "cross"]);
  globalThis.dash_clientside.callback_context = { triggered: [{ prop_id: "shell-location.search" }] };
  const again = await opening.open("?x=1", ...names, "", null, ...first);
  assert.deepEqual(by_name(again), {});
});

test("a choice asks for its atlas alone and follows its build", async () => {
  const urls = [];
  asked = async (url) => { urls.push(url); return { atlas: { ...atlas, capture: "D" }, job: "J" }; };
  globalThis.dash_clientside.callback_context = { triggered: [{ prop_id: "shell-model.value" }] };
  props.length = 0;
  const known = opening.outputs.map((name) => (name === "encoding" ? "row" : undefined));
  const found = by_name(await opening.open("", "a b", ...names.slice(1), "", null, ...known));
  assert.deepEqual(urls,
    ["/api/atlas?model=a+b&corpus=c&part=encoder&normalisation=faithful&guidance=0.08"]);
  assert.deepEqual(Object.keys(found).sort(), ["atlas", "encodings", "has_no_parts", "parts"]);
  assert.equal(found.encodings[1].value, "row");
  assert.deepEqual(props, [["shell-job", { data: "J" }]]);
});

test("a build that has ended stays in the status line", async () => {
  asked = async () => ({ atlas, job: null });
  props.length = 0;
  const context = (prop_id) => ({ triggered: [{ prop_id }] });
  globalThis.dash_clientside.callback_context = context("shell-stage.data");
  await opening.open("", ...names, "J done", "J", ...nothing);
  assert.deepEqual(props, []);
  globalThis.dash_clientside.callback_context = context("shell-corpus.value");
  await opening.open("", ...names, "J done", "J", ...nothing);
  assert.deepEqual(props, [["shell-job", { data: null }]]);
});

test("of two openings the older one says nothing", async () => {
  const answers = [];
  asked = () => new Promise((done) => { answers.push(done); });
  const older = opening.open("", ...names, "", null, ...nothing);
  const newer = opening.open("", ...names, "1", null, ...nothing);
  answers[1]({ atlas, job: null });
  answers[0]({ atlas: { ...atlas, capture: "old" }, job: "old" });
  props.length = 0;
  assert.deepEqual(by_name(await older), {});
  assert.equal(by_name(await newer).atlas.capture, "C");
  assert.deepEqual(props, []);
});

test("a server that is gone is said in words, and the page stays", async () => {
  asked = async () => { throw new Error("the server could not be reached"); };
  props.length = 0;
  assert.deepEqual(by_name(await opening.open("", ...names, "", null, ...nothing)), {});
  assert.deepEqual(props, [["shell-notices", {
    children: "This view could not be opened: the server could not be reached.",
  }]]);
});

test("a question that has not changed is not asked again", () => {
  const first = questions.sought("may", "word", { capture: "C" }, undefined);
  assert.deepEqual(first, { query: "may", manner: "word", capture: "C" });
  assert.equal(questions.sought("may", "word", { capture: "C" }, first), no_update);
  assert.equal(questions.sought("  ", "word", { capture: "C" }, first), null);
  assert.equal(questions.sought(null, "word", null, undefined), no_update);
});

test("the norms of a head are explained anew for each head, a colour only once", () => {
  const here = { layer: 1, head: 2, selection: null };
  const of = (encoding, scale, place, path, before) => (
    questions.meant(encoding, "default", "light", scale, { capture: "C" }, place, path, before));
  const type = of("type", "own", here, "/head");
  assert.equal(of("type", "own", { layer: 5, head: 5 }, "/head", type), no_update);
  const norm = of("norm", "own", here, "/head");
  assert.deepEqual(norm.head, { layer: 1, head: 2 });
  assert.notEqual(of("norm", "own", { layer: 5, head: 5 }, "/head", norm), no_update);
  assert.equal(of("norm", "common", here, "/head").head, null);
  assert.equal(of("norm", "own", here, "/").head, null);
});

test("reports are asked for only while their panel is open", () => {
  const known = { capture: "C", atlas: "A", guidance: 0.08, maps: { pca_2: { key: "P" } } };
  const of = (tab, path, before) => questions.reported(
    tab, { layer: 1, head: 2 }, known, "pca", 2, "default", "light", null, path, before);
  assert.equal(of("sequence", "/head"), no_update);
  assert.equal(of("trust", "/"), no_update);
  const trust = of("trust", "/head");
  assert.deepEqual([trust.atlas, trust.map, trust.guidance], ["A", "P", null]);
  assert.equal(of("trust", "/head", trust), no_update);
  assert.equal(of("sequence", "/head", trust), null);
});
