"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const points = require("../../assets/10_points.js");
const pictures = require("../../assets/13_pictures.js");
const find = require("../../assets/11_find.js");

const white = 0xffffffff;
const [red, blue] = [0xff0000ff, 0xffff0000];

function make_frame(width, height, is_deep = false) {
  const size = width * height;
  const frame = {
    pixels: new Uint32Array(size), depths: is_deep ? new Float32Array(size) : null, width, height,
  };
  points.clear(frame, white);
  return frame;
}

function placed_at(places) {
  const placed = points.make_placed(places.length);
  placed.count = places.length;
  placed.x.set(places.map(([x]) => x));
  placed.y.set(places.map(([, y]) => y));
  placed.depth.set(places.map(([, , depth = 0]) => depth));
  return placed;
}

/** Return a table whose value 0 is red and 1 is blue. */
function two_colours() {
  return Uint32Array.from({ length: 256 }, (_, i) => (i === 0 ? red : blue));
}

function places_of(placed) {
  return Array.from({ length: placed.count }, (_, i) => [placed.x[i], placed.y[i]]);
}

function paint_of(values, radius, opacity = 1) {
  const stamps = points.disc_stamps([radius], opacity, false);
  return { values: Uint8Array.from(values), table: two_colours(), stamps, sizes: null };
}

test("a colour is packed as the bytes red, green, blue, opaque", () => {
  const bytes = new Uint8Array(Uint32Array.of(points.parse_colour("#0172B3")).buffer);
  assert.deepEqual([...bytes], [0x01, 0x72, 0xb3, 0xff]);
});

test("blending at both ends gives the ground and the colour exactly", () => {
  assert.equal(points.blend(0xff123456, 0xfffedcba, 0), 0xff123456);
  assert.equal(points.blend(0xff123456, 0xfffedcba, 256), 0xfffedcba);
});

test("blending half and half gives the middle of each channel", () => {
  assert.equal(points.blend(0xff000000, 0xff6480c8, 128), 0xff324064);
});

test("the table takes the row of its ramp", () => {
  const lut = new Uint8Array(5 * 256 * 4);
  lut.set([10, 20, 30, 255], (2 * 256 + 7) * 4);
  assert.equal(points.colour_table(lut, "discrete", white, 1, false)[7], 0xff1e140a);
});

test("a dimmed table keeps 18 % of the colour over the ground", () => {
  const table = points.colour_table(new Uint8Array(5120), "type", white, 0.18, false);
  assert.equal(table[0] & 0xff, Math.round(255 * (1 - 46 / 256))); // 46 / 256 is 18 %
});

test("farther shades are nearer to the ground", () => {
  const table = points.colour_table(new Uint8Array(5120), "type", white, 1, true);
  const shades = Array.from({ length: 8 }, (_, shade) => table[shade * 256] & 0xff);
  assert.equal(shades[0], 0);
  assert.deepEqual(shades, [...shades].sort((a, b) => a - b));
  assert.equal(new Set(shades).size, 8);
});

test("an unknown ramp is refused and the known ones are named", () => {
  assert.throws(() => points.colour_table(new Uint8Array(5120), "hue", white, 1, false),
    /hue.*type, sequential, discrete, cyclic, picture/);
});

test("a 2-D map fills its square, y upwards, in 8 and in 16 bits alike", () => {
  const view = { x: 50, y: 50, scale: 100 };
  const placed = points.make_placed(2);
  points.place_flat(Uint8Array.of(0, 0, 255, 255), view, placed);
  assert.deepEqual(places_of(placed), [[0, 100], [100, 0]]);
  points.place_flat(Uint16Array.of(0, 0, 65535, 65535), view, placed);
  assert.deepEqual(places_of(placed), [[0, 100], [100, 0]]);
});

test("a 3-D map seen from the front keeps right, up and near", () => {
  const placed = points.make_placed(3);
  const view = { x: 0, y: 0, scale: 300, yaw: 0, pitch: 0 };
  points.place_turned(Uint8Array.of(255, 127, 127, 127, 255, 127, 127, 127, 255), view, placed);
  assert.ok(placed.x[0] > 140 && Math.abs(placed.y[0]) < 2);
  assert.ok(placed.y[1] < -140 && Math.abs(placed.x[1]) < 2);
  assert.ok(placed.depth[2] < placed.depth[0] && placed.shade[2] < placed.shade[0]);
});

test("a quarter turn brings the right side to the back", () => {
  const placed = points.make_placed(1);
  const view = { x: 0, y: 0, scale: 1, yaw: Math.PI / 2, pitch: 0 };
  points.place_turned(Uint16Array.of(65535, 32768, 32768), view, placed);
  assert.ok(Math.abs(placed.depth[0] - 0.5) < 1e-3);
  assert.ok(Math.abs(placed.x[0]) < 1e-3);
});

test("every corner of the cube has a shade, from any side", () => {
  const corners = Uint8Array.from({ length: 24 }, (_, i) => ((i / 3) >> (i % 3)) & 1 ? 255 : 0);
  const placed = points.make_placed(8);
  for (let angle = 0; angle < 7; angle += 0.1) {
    points.place_turned(corners, { x: 0, y: 0, scale: 1, yaw: angle, pitch: angle / 3 }, placed);
    assert.ok(placed.shade.every((shade) => shade >> 8 <= 7));
  }
});

test("dots colour exactly their squares and stay inside the frame", () => {
  const frame = make_frame(6, 4);
  const placed = placed_at([[1, 1], [5.6, 3.6], [-3, 2], [4, 2]]);
  const paint = { values: Uint8Array.of(0, 0, 0, 1), table: two_colours() };
  points.draw_dots(frame, placed, paint, 2, null);
  const coloured = [...frame.pixels.keys()].filter((at) => frame.pixels[at] !== white);
  assert.deepEqual(coloured, [6 * 0 + 0, 1, 6, 7, 9, 10, 15, 16].sort((a, b) => a - b));
  assert.equal(frame.pixels[7], red);
  assert.equal(frame.pixels[16], blue);
});

test("of chosen points only these are drawn", () => {
  const frame = make_frame(4, 1);
  const paint = { values: Uint8Array.of(0, 1), table: two_colours() };
  points.draw_dots(frame, placed_at([[0.5, 0.5], [2.5, 0.5]]), paint, 1, Uint32Array.of(1));
  assert.deepEqual([...frame.pixels], [white, white, blue, white]);
});

test("nearer points cover farther ones in whatever order they are drawn", () => {
  for (const order of [[0, 1], [1, 0]]) {
    const placed = placed_at([[2.5, 2.5, 0.4], [2.5, 2.5, -0.4]]);
    const dots = make_frame(5, 5, true);
    const paint = paint_of([0, 1], 2);
    points.draw_dots(dots, placed, paint, 1, Uint32Array.from(order));
    const discs = make_frame(5, 5, true);
    points.draw_discs(discs, placed, paint, Uint32Array.from(order));
    assert.deepEqual([dots.pixels[12], discs.pixels[12]], [blue, blue]);
  }
});

test("a stamp covers the area of its disc, evenly on all sides", () => {
  const { side, alpha } = points.disc_stamp(2.5, 1);
  const area = alpha.reduce((sum, cover) => sum + cover, 0) / 256;
  assert.ok(Math.abs(area - Math.PI * 2.5 ** 2) < 0.5);
  assert.deepEqual([...alpha], [...alpha].reverse());
  assert.ok(alpha.some((cover) => cover > 0 && cover < 256));
  assert.equal(alpha.length, side * side);
});

test("stamps of the far shades are smaller", () => {
  const sides = points.disc_stamps([4], 1, true).map(([{ side }]) => side);
  assert.ok(sides[0] > sides[7]);
});

test("a disc over the edge of the frame is cut, not left out and not wrapped", () => {
  const frame = make_frame(5, 5);
  points.draw_discs(frame, placed_at([[0.5, 2.5]]), paint_of([0], 1.5), null);
  assert.equal(frame.pixels[10], red);
  const last_column = [4, 9, 14, 19, 24].map((at) => frame.pixels[at]);
  assert.deepEqual(last_column, Array(5).fill(white));
});

test("the size class chooses the stamp", () => {
  const frame = make_frame(20, 7);
  const stamps = points.disc_stamps([1, 3], 1, false);
  const paint = { ...paint_of([0, 1], 1), stamps, sizes: Uint8Array.of(0, 1) };
  points.draw_discs(frame, placed_at([[4.5, 3.5], [14.5, 3.5]]), paint, null);
  const count = (from, to) => [...frame.pixels.keys()]
    .filter((at) => at % 20 >= from && at % 20 < to && frame.pixels[at] !== white).length;
  assert.ok(count(10, 20) > 3 * count(0, 10));
});

test("a picture stands inside a border in the colour of its encoding", () => {
  const frame = make_frame(6, 6);
  const paint = {
    ...paint_of([1, 1], 1), pictures: Uint32Array.from([1, 2, 3, 4], (one) => 0xff000000 + one),
    picture_of: Int32Array.of(0, -1), side: 2, border: 1, ground: white, alpha: 256,
  };
  pictures.draw_pictures(frame, placed_at([[3, 3], [0, 0]]), paint, null);
  assert.equal(frame.pixels[0], white);
  assert.deepEqual([14, 15, 20, 21].map((at) => frame.pixels[at] & 7), [1, 2, 3, 4]);
  assert.deepEqual([7, 10, 25, 28].map((at) => frame.pixels[at]), Array(4).fill(blue));
  assert.equal(frame.pixels.filter((pixel) => pixel === blue).length, 12);
});

test("a token marks its query and its key, in draw order", () => {
  const order = Uint32Array.of(3, 0, 5, 2, 1, 4); // 3 tokens: 0 to 2 queries, 3 to 5 keys
  const owners = find.point_tokens(order, 3);
  const mask = find.token_mask(3, [0, 2, 99]);
  assert.deepEqual([...find.points_of_tokens(owners, mask, null)], [0, 1, 2, 3]);
  assert.deepEqual([...find.points_of_tokens(owners, mask, "query")], [0, 2]);
  assert.deepEqual([...find.points_of_tokens(owners, mask, "key")], [1, 3]);
});

test("a lasso holds the points inside it, not those of its box", () => {
  const placed = placed_at([[1, 1], [5, 5], [9, 1], [5, 1]]);
  const triangle = [[0, 0], [10, 0], [5, 4]];
  assert.deepEqual([...find.points_in_polygon(placed, triangle, null)], [3]);
  const box = [[0, 0], [6, 0], [6, 6], [0, 6]];
  assert.deepEqual([...find.points_in_polygon(placed, box, Uint32Array.of(3, 2, 0))], [3, 0]);
});

test("the nearest points on the map come nearest first, without the point itself", () => {
  const coordinates = Uint8Array.of(0, 0, 10, 0, 3, 0, 200, 0, 4, 0);
  assert.deepEqual(find.nearest_on_map(coordinates, 2, 0, 3), [2, 4, 1]);
  assert.deepEqual(find.nearest_on_map(coordinates, 2, 3, 2), [1, 4]);
});

test("marks of terms differ in shape and keep inside their stamp", () => {
  const stamps = [0, 1, 2, 3, 4].map((shape) => points.disc_stamp(4, 1, shape));
  const drawn = stamps.map(({ side, alpha }) => `${side} ${alpha}`);
  assert.equal(new Set(drawn).size, 5);
  for (const { alpha } of stamps) assert.ok(alpha.some((cover) => cover === 256));
});

test("the draw index undoes the draw order", () => {
  const order = Uint32Array.of(3, 0, 2, 1);
  assert.deepEqual([...find.draw_index_of(order)].map((index) => order[index]), [0, 1, 2, 3]);
});

test("points beyond the sample are not counted", () => {
  const indices = Uint32Array.of(1, 4, 9);
  assert.deepEqual([0, 1, 2, 5, 10].map((n) => find.count_below(indices, n)), [0, 0, 1, 2, 3]);
});

test("the nearest point within reach is found, and none beyond", () => {
  const placed = placed_at([[10, 10], [20, 10], [30, 10]]);
  const within = { reach: 12, radius: 1 };
  assert.equal(find.nearest_point(placed, 21, 11, within, null), 1);
  assert.equal(find.nearest_point(placed, 43, 10, within, null), -1);
  assert.equal(find.nearest_point(placed, 21, 11, within, Uint32Array.of(0, 2)), 2);
});

test("of overlapping discs the one in front is found, else the last drawn", () => {
  const within = { reach: 12, radius: 3 };
  assert.equal(find.nearest_point(placed_at([[11, 10, -1], [10, 10, 1]]), 10, 10, within, null), 0);
  assert.equal(find.nearest_point(placed_at([[10, 10], [11, 10]]), 10, 10, within, null), 1);
});

test("labels never overlap, stay in the picture and the most wanted come first", () => {
  const room = { width: 300, height: 200, line: 16, gap: 5 };
  const anchors = Array.from({ length: 200 }, (_, i) => (
    { x: (40 + i * 37) % 300, y: (40 + i * 53) % 200, width: 20 + (i % 5) * 8 }));
  const labels = find.place_labels(anchors, room, 200);
  const boxes = labels.map(({ index, x, y }) => [x, y, x + anchors[index].width, y + room.line]);
  assert.ok(labels.length > 10);
  assert.equal(labels[0].index, 0);
  boxes.forEach(([left, top, right, bottom], i) => {
    assert.ok(left >= 0 && top >= 0 && right <= room.width && bottom <= room.height);
    const is_clear = (other) => other[2] <= left || other[0] >= right
      || other[3] <= top || other[1] >= bottom;
    assert.ok(boxes.every((other, j) => j === i || is_clear(other)));
  });
});

test("no more labels are placed than asked for", () => {
  const anchors = [{ x: 10, y: 20, width: 20 }, { x: 10, y: 80, width: 20 }];
  const room = { width: 100, height: 100, line: 16, gap: 5 };
  assert.equal(find.place_labels(anchors, room, 2).length, 2);
  assert.equal(find.place_labels(anchors, room, 1).length, 1);
});

test("the hash is FNV-1a", () => {
  // Values of the FNV test suite: empty, "a" and "foobar".
  const hashes = ["", "a", "foobar"].map((text) => find.raster_hash(Buffer.from(text)));
  assert.deepEqual(hashes, ["811c9dc5", "e40c292c", "bf9cf968"]);
});
