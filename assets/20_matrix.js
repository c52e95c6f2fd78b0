"use strict";
// All heads at once: one small map a head, drawn together on one canvas below real links.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points, find, stage, matrix_data, matrix_grid } = qk_atlas;

  const dimmed = 0.18; // opacity of what was not searched for
  const large_side = 128; // CSS pixels; from here on a point is 2 pixels wide
  const eye = { yaw: 0.6, pitch: 0.35 }; // radians, 3-D maps are seen from here
  const cube_share = 0.59; // of the cell, so that every corner of a cube seen like this is in it

  /** Return a cell in device pixels, without the rim that a mark of some pixels needs. */
  function inner_box({ left, top, side }, ratio, mark) {
    const rim = mark / 2;
    const [x, y, length] = [left, top, side].map((value) => Math.round(value * ratio));
    return { left: x + rim, top: y + rim, side: length - mark };
  }

  /**
   * Place the points of a cell.
   * @param {Uint8Array} coordinates (n * dims)
   * @param {number} dims
   * @param {{left: number, top: number, side: number}} box where their middles go, in pixels
   * @param {number|null} share of the largest span, 0 to 1, where all cells have a common scale;
   *   null where this map fills its cell
   * @param {object} placed is filled
   */
  function place_cell(coordinates, dims, box, share, placed) {
    const [x, y] = [box.left + box.side / 2, box.top + box.side / 2];
    if (dims === 2) {
      points.place_flat(coordinates, { x, y, scale: box.side * (share ?? 1) }, placed);
      return;
    }
    const scale = box.side * cube_share * (share ?? 1);
    points.place_turned(coordinates, { x, y, scale, ...eye }, placed);
    if (share === null) points.fit_square(placed, box);
  }

  qk_atlas.matrix = { inner_box, place_cell };
  if (typeof module !== "undefined") module.exports = qk_atlas.matrix;
  if (typeof document === "undefined") return;

  class Matrix extends stage.PointView {
    constructor(element, config, on_event) {
      super(element, config, on_event, { scale: "own", refresh: 0 });
    }

    build() {
      this.data = new matrix_data.MatrixData(this.config);
      this.placed = points.make_placed(this.config.n_points);
      this.n_cells_drawn = 0;
      this.grid = new matrix_grid.Grid(this.config, {
        on_point: (index) => this.point_at(index),
        on_open: (index) => this.on_event({ type: "open", ...this.config.cells[index] }),
      });
      this.grid.mark_pending(this.data.coordinates);
      this.body.append(this.grid.sheet);
      this.body.addEventListener("scroll", () => this.redraw(), { passive: true });
      this.resize();
    }

    resize() {
      const { rows, columns } = this.config;
      const { clientWidth, clientHeight } = this.body;
      this.layout = matrix_grid.grid_layout(clientWidth, clientHeight, rows, columns);
      this.grid.resize(this.layout);
    }

    async load(signal) {
      await this.data.load(this.options.encoding === "norm", signal, () => {
        this.grid.mark_pending(this.data.coordinates);
        this.redraw();
      });
    }

    /** Before the first head is computed the empty grid is the picture. */
    get has_picture() {
      const { coordinates, is_listed, complete } = this.data;
      return coordinates.some((one) => one !== null) || (is_listed && !complete);
    }

    get picture_state() {
      return this.data.is_whole ? "ready" : "partial";
    }

    /** Merge options; `refresh`, any new number, looks for heads that are computed by now. */
    set(options) {
      const { refresh } = this.options;
      super.set(options);
      const lacks_norms = this.options.encoding === "norm" && !this.data.norms;
      if (lacks_norms || this.options.refresh !== refresh) this.start();
    }

    /** The encoding that can be drawn: norms are fetched when they are first asked for. */
    get encoding() {
      const { encoding } = this.options;
      return encoding === "norm" && !this.data.norms ? "type" : encoding;
    }

    draw() {
      this.resize();
      const { canvas } = this.grid;
      const { layout, options, data } = this;
      const visible = Math.min(layout.height, this.body.clientHeight - layout.top);
      const ratio = stage.fit_canvas(canvas, layout.width, visible);
      this.frame = stage.frame_of(canvas, this.frame, this.config.dims === 3);
      const ground = points.parse_colour(stage.read_colours(this.element).surface);
      const mask = options.hits && find.token_mask(this.config.n_points / 2, options.hits);
      const hits = mask && find.points_of_tokens(data.order, mask, null);
      this.look = { hits, ratio, ...this.make_marks(ground, ratio) };
      points.clear(this.frame, ground);
      this.draw_cells();
      canvas.getContext("2d").putImageData(this.frame.image, 0, 0);
    }

    /** Return size and colours of the marks, full and dimmed, and the larger marks of hits. */
    make_marks(ground, ratio) {
      const is_deep = this.config.dims === 3;
      const side = Math.max(1, Math.round(ratio * (this.layout.side < large_side ? 1 : 2)));
      const hit_side = side + 2;
      const [full, rest] = [1, dimmed].map((opacity) => (
        points.colour_table(this.lut, this.encoding, ground, opacity, is_deep)));
      return { side, hit_side, full, rest, stamps: points.disc_stamps([hit_side / 2], 1, is_deep) };
    }

    draw_cells() {
      const { layout, config, data } = this;
      const { scrollTop } = this.body;
      const height = this.grid.canvas.clientHeight;
      const { first, last } = matrix_grid.rows_in_sight(layout, scrollTop, height, config.rows);
      const pitch = layout.side + layout.gap;
      this.n_cells_drawn = 0;
      this.n_highlighted = 0;
      config.cells.forEach(({ layer, head }, i) => {
        if (layer < first || layer > last || !data.coordinates[i]) return;
        const top = layer * pitch - scrollTop;
        this.draw_cell(i, { left: head * pitch, top, side: layout.side });
        this.n_cells_drawn += 1;
      });
    }

    draw_cell(i, css_box) {
      const { data, placed } = this;
      const { dims } = this.config;
      const { ratio, hits, side, hit_side, full, rest, stamps } = this.look;
      const box = inner_box(css_box, ratio, hit_side);
      const share = this.options.scale === "common" ? data.cells[i].span / data.largest_span : null;
      place_cell(data.coordinates[i], dims, box, share, placed);
      const values = this.values_of(i);
      placed.count = Math.min(placed.count, values.length);
      points.draw_dots(this.frame, placed, { values, table: hits ? rest : full }, side, null);
      if (!hits) return;
      const shown = hits.subarray(0, find.count_below(hits, placed.count));
      points.draw_discs(this.frame, placed, { values, table: full, stamps, sizes: null }, shown);
      this.n_highlighted = shown.length;
    }

    /** Return the values that colour the points of a cell; fewer where only a sample is here. */
    values_of(i) {
      const { data, encoding } = this;
      if (encoding === "norm") return data.norms.subarray(i * data.n_norms, (i + 1) * data.n_norms);
      const row = points.encodings.indexOf(encoding);
      const { n_points } = this.config;
      return data.attributes.subarray(row * n_points, (row + 1) * n_points);
    }

    point_at(index) {
      if (index === null) {
        this.card.hidden = true;
        this.on_event({ type: "hover", layer: null, head: null });
        return;
      }
      const cell = this.config.cells[index];
      const view = this.element.getBoundingClientRect();
      const link = this.grid.links.children[index];
      const { left, right, top } = link.getBoundingClientRect();
      const box = { left: left - view.left, right: right - view.left, top: top - view.top };
      this.show_card(box, ...matrix_grid.card_content(cell, this.data.cells[index]));
      link.setAttribute("aria-describedby", this.card.id);
      this.on_event({ type: "hover", ...cell });
    }

    shown() {
      const { frame, n_cells_drawn, n_highlighted = 0 } = this;
      const raster_hash = frame ? find.raster_hash(new Uint8Array(frame.pixels.buffer)) : null;
      const drawn = this.data.coordinates.find((one) => one !== null);
      const n_points_drawn = drawn ? drawn.length / this.config.dims : 0;
      return { encoding: this.encoding, n_cells_drawn, n_points_drawn, n_highlighted, raster_hash };
    }
  }

  qk_atlas.matrix.mount = (...of) => stage.mount(Matrix, ...of);
})();
