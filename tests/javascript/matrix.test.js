"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const points = require("../../assets/10_points.js");
require("../../assets/11_find.js");
require("../../assets/12_stage.js");
require("../../assets/13_figures.js");
const { prefix_steps, with_prefix, MatrixData } = require("../../assets/14_matrix_data.js");
const grid = require("../../assets/15_matrix_grid.js");
const { inner_box, place_cell, draw_map, on_common_scale, whole_range, draw_cell, make_look } =
  require("../../assets/16_matrix_cells.js");

const cells = [0, 1, 2].flatMap((layer) => [0, 1].map((head) => ({ layer, head })));

/** Serve a synthetic capture of 6 heads with 3,000 points; return the addresses asked for. */
function serve(context, listed) {
  const asked = [];
  const answers = {
    "order.u32": () => new Uint32Array(3000), "type.u8": () => new Uint8Array(3000),
    "norms.u8": (m) => new Uint8Array(6 * m), "overview.u8": (m) => new Uint8Array(12 * m),
    "0.u8": (m) => new Uint8Array(2 * m), "1.u8": (m) => new Uint8Array(2 * m),
  };
  context.mock.method(globalThis, "fetch", async (url) => {
    asked.push(url);
    const [path, m = 3000] = url.split("?m=");
    const content = answers[path.split("/").at(-1)];
    const json = async () => structuredClone(listed);
    return { ok: true, json, arrayBuffer: async () => content(Number(m)).buffer };
  });
  return asked;
}

function make_data() {
  const urls = { capture_url: "/C", projection_url: "/P" };
  return new MatrixData({ cells, n_points: 3000, dims: 2, ...urls });
}

const computed = { origin: [0, 0], span: 2, quality: {} };

test("144 heads begin with 2,000 points each and then take all", () => {
  assert.deepEqual(prefix_steps(144, 10_000, 2), [2000, 0]);
});

test("the first data of any grid stay below 0.6 MB where the routes allow it", () => {
  for (const [n_cells, dims] of [[72, 2], [144, 3], [270, 2], [1024, 2], [576, 3]]) {
    const [first] = prefix_steps(n_cells, 10_000, dims);
    assert.ok(n_cells * first * dims <= 600_000, `${n_cells} cells in ${dims}-D`);
  }
});

test("1,024 heads begin shorter, top up to 2,000 and leave the rest", () => {
  assert.deepEqual(prefix_steps(1024, 10_000, 2), [256, 2000]);
});

test("few points are asked for at once, without a prefix", () => {
  assert.deepEqual(prefix_steps(144, 1500, 2), [0]);
  assert.equal(with_prefix("/P/overview.u8", 0), "/P/overview.u8");
  assert.equal(with_prefix("/P/overview.u8", 256), "/P/overview.u8?m=256");
});

test("a finished map set loads a sample, then all; norms only when wanted", async (t) => {
  const asked = serve(t, { complete: true, cells: cells.map(() => computed) });
  const data = make_data();
  const seen = [];
  await data.load("type", undefined, () => seen.push(data.coordinates[5].length / 2));
  assert.deepEqual(seen, [2000, 3000]);
  assert.ok(data.is_whole);
  assert.ok(asked.every((url) => !url.includes("norms")));
  await data.load("norm", undefined, () => {});
  assert.equal(data.n_norms, 3000);
  assert.equal(asked.filter((url) => url.includes("overview")).length, 2);
});

test("an unfinished map set loads the heads that are ready, each once", async (t) => {
  const listed = { complete: false, cells: cells.map((_, i) => (i < 2 ? computed : null)) };
  const asked = serve(t, listed);
  const data = make_data();
  await data.load("type", undefined, () => {});
  assert.deepEqual(asked.filter((url) => url.includes("head")),
    ["/P/head/0/0.u8?m=2000", "/P/head/0/1.u8?m=2000"]);
  listed.cells[4] = computed;
  await data.load("type", undefined, () => {});
  assert.deepEqual(asked.filter((url) => url.includes("head")).slice(2), ["/P/head/2/0.u8?m=2000"]);
  assert.ok(!data.is_whole);
});

test("12 x 12 heads fit a picture of 792 x 828 in cells of 40 to 64 pixels", () => {
  const layout = grid.grid_layout(792, 828, 12, 12);
  assert.ok(layout.side >= 56 && layout.side <= 64);
  assert.ok(layout.left + layout.width <= 792 && layout.top + layout.height <= 828);
});

test("6 x 12 heads fill the width", () => {
  const layout = grid.grid_layout(1192, 828, 6, 12);
  assert.ok(layout.side > 80);
  assert.ok(layout.left + layout.width > 1192 - 24);
});

test("a tall grid stands in blocks where that makes its cells larger", () => {
  assert.equal(grid.blocks_of(1150, 780, 6, 12), 1);
  assert.equal(grid.blocks_of(1150, 780, 12, 12), 1);
  assert.equal(grid.blocks_of(1150, 780, 12, 6), 2);
  assert.equal(grid.blocks_of(1150, 780, 30, 9), 1); // scrolls anyway
  assert.equal(grid.blocks_of(500, 780, 12, 6), 1); // a narrow view
});

test("in blocks, the layers go on beside the first ones and arrow keys go on with them", () => {
  const cells = Array.from({ length: 10 }, (_, i) => ({ layer: i >> 1, head: i % 2 }));
  const config = { cells, rows: 5, columns: 2 };
  const { places, steps, rows, columns } = grid.place_cells(config, { values: null }, 2);
  assert.deepEqual([rows, columns], [3, 5]);
  assert.deepEqual(places[5], { row: 2, column: 1 }); // L2 H1
  assert.deepEqual(places[6], { row: 0, column: 3 }); // L3 H0, after the empty column
  assert.equal(grid.next_cell(steps, 4, "ArrowDown"), 6);
  const values = cells.map((_, i) => i);
  const sorted = grid.place_cells(config, { values, order: "figure", bound: null }, 2);
  assert.deepEqual([sorted.n_blocks, sorted.columns], [1, 5]);
  assert.deepEqual(sorted.places[4], { row: 1, column: 0 });
});

test("30 x 9 heads keep large cells and scroll", () => {
  const layout = grid.grid_layout(1192, 828, 30, 9);
  assert.ok(layout.side >= 96);
  assert.ok(layout.height > 828);
});

test("32 x 32 heads neither scroll sideways nor down", () => {
  const layout = grid.grid_layout(792, 828, 32, 32);
  assert.ok(layout.left + layout.width <= 792 && layout.top + layout.height <= 828);
});

test("only rows in sight are drawn", () => {
  const layout = grid.grid_layout(1192, 828, 30, 9);
  const pitch = layout.side + layout.gap;
  assert.deepEqual(grid.rows_in_sight(layout, 0, 3 * pitch - 1, 30), { first: 0, last: 2 });
  assert.deepEqual(grid.rows_in_sight(layout, 28 * pitch, 800, 30), { first: 28, last: 29 });
});

test("arrows lead to the neighbour that exists", () => {
  const places = cells.map(({ layer, head }) => ({ row: layer, column: head }));
  assert.equal(grid.next_cell(places, 0, "ArrowRight"), 1);
  assert.equal(grid.next_cell(places, 1, "ArrowRight"), -1);
  assert.equal(grid.next_cell(places, 1, "ArrowDown"), 3);
  assert.equal(grid.next_cell(places, 0, "ArrowUp"), -1);
  assert.equal(grid.next_cell(places, 3, "End"), 5);
  assert.equal(grid.next_cell(places, 3, "a"), -1);
  places[5] = null; // not shown
  assert.equal(grid.next_cell(places, 3, "End"), 4);
  assert.equal(grid.next_cell(places, 3, "ArrowDown"), -1);
});

test("a grid zooms out until all of it fits and in until a cell fills the view", () => {
  const [least, most] = grid.zoom_range(1192, 828, 30, 9);
  assert.ok(least < 0.3);
  assert.ok(grid.grid_layout(1192, 828, 30, 9, least).height <= 828);
  const { side } = grid.grid_layout(1192, 828, 30, 9, most);
  assert.ok(side > 700 && side <= 804);
});

test("norms on a common scale can be compared between heads", () => {
  const norms = Uint8Array.of(0, 126, 128, 254);
  assert.deepEqual([...on_common_scale(norms, [2, 6], [2, 10])], [0, 63, 128, 191]);
  const listed = [{ norm_range: [2, 6] }, null, { norm_range: [3, 10] }];
  assert.deepEqual(whole_range(listed), [2, 10]);
});

test("hits of two terms have different marks, other points are dimmed", () => {
  const lut = new Uint8Array(5 * 1024).fill(200);
  lut.set([255, 0, 0, 255], 2 * 1024); // discrete 0: first term, query
  lut.set([0, 255, 0, 255], 2 * 1024 + 4 * 6); // discrete 6: second term, key
  const owners = { n_tokens: 2, token: Uint32Array.of(0, 1, 0, 1), is_key: Uint8Array.of(0, 0, 1, 1) };
  const { term_points } = globalThis.qk_atlas.find;
  const terms = term_points(owners, [[0], [1]], null);
  assert.deepEqual(terms.map(({ chosen }) => [...chosen]), [[0, 2], [1, 3]]);
  const look = make_look({
    lut, ground: 0xffffffff, ratio: 1, side: 40, ramp: "type", is_deep: false, terms,
  });
  const pixels = new Uint32Array(40 * 40).fill(0xffffffff);
  const frame = { pixels, depths: null, width: 40, height: 40 };
  const n_hits = draw_cell(frame, points.make_placed(4), look, {
    coordinates: Uint8Array.of(0, 0, 255, 0, 0, 255, 255, 255), dims: 2,
    css_box: { left: 0, top: 0, side: 40 }, share: null, values: new Uint8Array(4),
    is_faint: false, is_stand_in: false,
  });
  assert.equal(n_hits, 4);
  assert.ok(pixels.includes(0xff0000ff)); // query of the first term
  assert.ok(pixels.includes(0xff00ff00)); // key of the second
});

test("every corner of a 3-D map stays in its cell, on either scale", () => {
  const corners = Uint8Array.from(
    { length: 24 }, (_, i) => 255 * ((Math.floor(i / 3) >> (i % 3)) & 1));
  const placed = points.make_placed(8);
  for (const share of [null, 1]) {
    place_cell(corners, 3, { left: 100, top: 200, side: 60 }, share, placed);
    assert.ok(placed.x.every((x) => x > 99.99 && x < 160.01));
    assert.ok(placed.y.every((y) => y > 199.99 && y < 260.01));
  }
});

test("alone, a 3-D map fills its cell in one direction, and its aspect is kept", () => {
  const flat = Uint8Array.of(100, 100, 127, 140, 100, 127, 120, 110, 127);
  const [own, common] = [null, 1].map((share) => {
    const placed = points.make_placed(3);
    place_cell(flat, 3, { left: 0, top: 0, side: 60 }, share, placed);
    return placed;
  });
  const [left, right] = [Math.min(...own.x), Math.max(...own.x)];
  assert.ok(Math.abs(left) < 0.01 && Math.abs(right - 60) < 0.01);
  const slope = ({ x, y }) => (y[2] - y[0]) / (x[2] - x[0]);
  assert.ok(Math.abs(slope(own) - slope(common)) < 0.01);
});

test("on a common scale the map of half the span is drawn half as large, in the middle", () => {
  const placed = points.make_placed(2);
  place_cell(Uint8Array.of(0, 0, 255, 255), 2, { left: 0, top: 0, side: 64 }, 0.5, placed);
  assert.deepEqual([...placed.x, ...placed.y], [16, 48, 48, 16]);
});

test("the largest mark at the rim of a map stays in its cell", () => {
  const box = inner_box({ left: 10, top: 20, side: 60 }, 2, 6);
  assert.deepEqual(box, { left: 23, top: 43, side: 114 });
});

test("the points of a search are found once, and anew for another search", () => {
  const data = new MatrixData({ cells: [{}], n_points: 6, n_tokens: 3, dims: 2 });
  data.order = Uint32Array.of(5, 1, 0, 2, 4, 3);
  const hits = [[1]];
  const first = data.found_points({ hits, sides: null });
  assert.deepEqual([...first[0].chosen], [1, 4]);
  assert.equal(data.found_points({ hits, sides: null }), first);
  assert.deepEqual([...data.found_points({ hits: [[0]], sides: null })[0].chosen], [2, 5]);
});

test("a map in 8 bits has the pixels that placing its points one by one gives", () => {
  const n = 3000;
  const random = (top, seed) => Uint8Array.from({ length: n }, (_, i) => (i * seed + (i >> 3)) % top);
  const coordinates = new Uint8Array(2 * n);
  random(256, 97).forEach((value, i) => { coordinates[2 * i] = value; });
  random(256, 61).forEach((value, i) => { coordinates[2 * i + 1] = value; });
  const values = random(255, 7);
  const table = Uint32Array.from({ length: 256 }, (_, i) => 0xff000000 + i);
  const frame_of = () => (
    { pixels: new Uint32Array(90 * 80), depths: null, width: 90, height: 80 });
  for (const side of [1, 2, 3]) {
    for (const view of [{ x: 45.5, y: 39.5, scale: 71 }, { x: 30, y: 30, scale: 13.7 }]) {
      const [quick, slow] = [frame_of(), frame_of()];
      assert.ok(draw_map(quick, coordinates, view, { values, table }, side));
      const placed = points.make_placed(n);
      points.place_flat(coordinates, view, placed);
      points.draw_dots(slow, placed, { values, table }, side, null);
      assert.deepEqual(quick.pixels, slow.pixels);
    }
  }
  const beyond = { x: 10, y: 39, scale: 71 };
  assert.equal(draw_map(frame_of(), coordinates, beyond, { values, table }, 1), false);
});
