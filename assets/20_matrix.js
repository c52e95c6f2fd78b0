"use strict";
// All heads at once: one small map a head, drawn together on one canvas below real links.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points, find, stage, matrix_data, matrix_grid, matrix_cells } = qk_atlas;

  const fine_side = 256; // device pixels; in larger cells 8 bits of a coordinate would show
  const turn_speed = 0.0006; // radians a millisecond, of a 3-D cell below the pointer
  const wheel_step = 0.0015; // of the logarithm of the zoom, for each pixel of the wheel

  class Matrix extends stage.PointView {
    constructor(element, config, on_event) {
      super(element, config, on_event, { scale: "own", refresh: 0, norm_scale: "own", sides: null });
    }

    build() {
      this.data = new matrix_data.MatrixData(this.config);
      this.placed = points.make_placed(this.config.n_points);
      Object.assign(this, {
        n_cells_drawn: 0, n_blocks: 0, zoom: 1, spin: null, wanted: { values: null },
      });
      this.grid = new matrix_grid.Grid(this.config, {
        signal: this.fetching.signal,
        on_point: (index) => this.point_at(index),
        on_open: (index) => this.open(index),
        on_pan: (x, y) => this.body.scrollBy(-x, -y),
      });
      this.mark_pending();
      this.body.append(this.grid.sheet);
      this.body.addEventListener("scroll", () => this.redraw(), { passive: true });
      this.body.addEventListener("wheel", (event) => this.on_wheel(event), { passive: false });
      this.body.addEventListener("keydown", ({ key }) => {
        const factor = { "+": 1.25, "=": 1.25, "-": 0.8 }[key];
        if (factor) this.zoom_by(factor, null);
        else if (key === "0") this.reset_zoom();
      });
      this.resize();
    }

    /** Open a head; tells where its cell is, so that the head can grow out of it. */
    open(index) {
      const { left, top, width } = this.grid.links.children[index].getBoundingClientRect();
      this.on_event({ type: "open", ...this.config.cells[index], from: { left, top, side: width } });
    }

    mark_pending() { this.grid.mark_pending(this.data.coordinates); }

    resize() {
      const size = [this.body.clientWidth, this.body.clientHeight];
      const n_blocks = matrix_grid.blocks_of(...size, this.config.rows, this.config.columns);
      if (n_blocks !== this.n_blocks) this.place_cells(n_blocks);
      const { rows, columns } = this.arrangement;
      this.layout = matrix_grid.grid_layout(...size, rows, columns, this.zoom);
      this.grid.resize(this.layout);
    }

    place_cells(n_blocks) {
      this.n_blocks = n_blocks;
      this.arrangement = matrix_grid.place_cells(this.config, this.wanted, n_blocks);
      this.grid.arrange(this.arrangement);
    }

    /** Zoom about a place on the page that keeps its cell; null for the middle of the view. */
    zoom_by(factor, place) {
      const { clientWidth, clientHeight } = this.body;
      const { rows, columns } = this.arrangement;
      const [least, most] = matrix_grid.zoom_range(clientWidth, clientHeight, rows, columns);
      const zoom = Math.min(most, Math.max(least, this.zoom * factor));
      if (zoom === this.zoom) return;
      const view = this.body.getBoundingClientRect();
      const { x, y } = place ?? { x: view.left + view.width / 2, y: view.top + view.height / 2 };
      const box_of = () => this.grid.links.getBoundingClientRect();
      const [before, { side, gap }] = [box_of(), this.layout];
      this.zoom = zoom;
      this.resize();
      const after = box_of();
      const growth = (this.layout.side + this.layout.gap) / (side + gap);
      this.body.scrollBy(after.left + (x - before.left) * growth - x,
        after.top + (y - before.top) * growth - y);
      this.card.hidden = true;
      this.tell_zoom();
      this.redraw();
    }

    reset_zoom() {
      this.zoom = 1;
      this.resize();
      this.body.scrollTo(0, 0);
      this.tell_zoom();
      this.redraw();
    }

    tell_zoom() {
      this.on_event({ type: "zoom", is_zoomed: Math.abs(this.zoom - 1) > 1e-6 });
    }

    on_wheel(event) {
      if (event.shiftKey) return; // scrolls, as everywhere
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      this.zoom_by(Math.exp(-event.deltaY * lines * wheel_step), { x: event.clientX, y: event.clientY });
    }

    /** Arrange the cells by a figure; see `figures.arrange`. */
    arrange(wanted) {
      this.wanted = wanted;
      this.place_cells(this.n_blocks);
      this.on_event({ type: "arranged", n_kept: this.arrangement.n_kept });
      this.redraw();
    }

    /** Bring a cell into sight and put the focus on it. */
    show_cell(index, with_focus) {
      const link = this.grid.links.children[index];
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
      this.grid.make_reachable(index);
      if (with_focus) link.focus();
      for (const one of this.grid.links.querySelectorAll(".qk-sought")) one.classList.remove("qk-sought");
      link.classList.add("qk-sought");
    }

    async load(signal) {
      const was_listed = this.data.is_listed;
      await this.data.load(this.options.encoding, signal, () => {
        this.mark_pending();
        this.tell_listed();
        this.redraw();
      });
      if (!was_listed || !this.data.is_whole) this.tell_listed();
    }

    tell_listed() {
      if (this.data.cells === this.listed_told) return;
      this.listed_told = this.data.cells;
      this.on_event({ type: "listed", listed: this.data.cells });
    }

    /** Before the first head is computed the empty grid is the picture. */
    get has_picture() {
      const { coordinates, stand_in, is_listed, complete } = this.data;
      const has_any = stand_in || coordinates.some((one) => one !== null);
      return this.drawn_as() !== null && (has_any || (is_listed && !complete));
    }

    get picture_state() {
      return this.data.is_whole ? "ready" : "partial";
    }

    /** Merge options; `refresh`, any new number, looks for heads that are computed by now. */
    set(options) {
      const { refresh } = this.options;
      super.set(options);
      const { encoding } = this.options;
      if (!this.data.has(encoding) || this.options.refresh !== refresh) this.start();
    }

    /** Return the encoding that can be drawn: until the wanted one is here, the one before. */
    drawn_as() {
      const { encoding, ramp } = this.options;
      if (this.data.has(encoding)) this.drawn = { encoding, ramp };
      return this.drawn ?? null;
    }

    draw() {
      this.resize();
      const { canvas } = this.grid;
      const { layout, options } = this;
      const visible = [Math.min(layout.width, this.body.clientWidth - layout.left),
        Math.min(layout.height, this.body.clientHeight - layout.top)];
      const ratio = stage.fit_canvas(canvas, ...visible);
      this.frame = stage.frame_of(canvas, this.frame, this.config.dims === 3);
      this.ground = points.parse_colour(stage.read_colours(this.element).surface);
      this.look = matrix_cells.make_look({
        lut: this.lut, ground: this.ground, ratio, side: layout.side, ramp: this.drawn_as().ramp,
        is_deep: this.config.dims === 3,
        terms: options.hits && this.data.found_points(options),
      });
      points.clear(this.frame, this.ground);
      this.draw_cells();
      canvas.getContext("2d").putImageData(this.frame.image, 0, 0);
    }

    draw_cells() {
      const { layout, data, arrangement } = this;
      const { canvas } = this.grid;
      const { scrollLeft, scrollTop } = this.body;
      const { rows_in_sight } = matrix_grid;
      const rows = rows_in_sight(layout, scrollTop, canvas.clientHeight, arrangement.rows);
      const columns = rows_in_sight(layout, scrollLeft, canvas.clientWidth, arrangement.columns);
      this.n_cells_drawn = 0;
      this.n_highlighted = 0;
      arrangement.places.forEach((place, i) => {
        if (!place || !data.shown(i) || place.row < rows.first || place.row > rows.last) return;
        if (place.column < columns.first || place.column > columns.last) return;
        this.n_highlighted = this.draw_cell(i, this.box_of(place), matrix_cells.eye);
        this.n_cells_drawn += 1;
        if (layout.side * this.look.ratio > fine_side) this.refine(i);
      });
    }

    box_of({ row, column }) {
      const pitch = this.layout.side + this.layout.gap;
      const { scrollLeft, scrollTop } = this.body;
      const [left, top] = [column * pitch - scrollLeft, row * pitch - scrollTop];
      return { left, top, side: this.layout.side };
    }

    /** Fetch a cell in 16 bits, once. */
    refine(i) {
      const { coordinates } = this.data;
      if (!coordinates[i] || coordinates[i] instanceof Uint16Array || this.fining?.has(i)) return;
      this.fining ??= new Set();
      this.fining.add(i);
      this.data.load_fine(i, this.fetching.signal).then(() => this.redraw())
        .catch(() => {}) // the picture in 8 bits stays
        .finally(() => this.fining.delete(i));
    }

    draw_cell(i, css_box, eye) {
      const { data } = this;
      const is_common = this.options.scale === "common" && data.coordinates[i];
      return matrix_cells.draw_cell(this.frame, this.placed, this.look, {
        coordinates: data.shown(i), dims: this.config.dims, css_box, eye,
        share: is_common ? data.cells[i].span / data.largest_span : null,
        values: this.values_of(i),
        is_faint: this.arrangement.dimmed[i], is_stand_in: !data.coordinates[i],
      });
    }

    /** Return the values that colour the points of a cell; fewer where only a sample is here. */
    values_of(i) {
      const { data } = this;
      const { encoding } = this.drawn_as();
      if (encoding !== "norm") return data.attributes[encoding];
      const norms = data.norms.subarray(i * data.n_norms, (i + 1) * data.n_norms);
      const range = data.cells[i]?.norm_range;
      if (this.options.norm_scale !== "common" || !range) return norms;
      return matrix_cells.on_common_scale(norms, range, matrix_cells.whole_range(data.cells));
    }

    point_at(index) {
      this.turn(index);
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
      this.show_card(box, ...matrix_grid.card_content(
        cell, this.data.cells[index], this.data.stand_in));
      link.setAttribute("aria-describedby", this.card.id);
      this.on_event({ type: "hover", ...cell });
    }

    /** Turn a 3-D cell slowly while it is pointed at; null lets the last one stand again. */
    turn(index) {
      if (this.spin !== null && this.spin.index !== index) this.redraw();
      this.spin = null;
      const is_calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (index === null || this.config.dims !== 3 || is_calm || !this.data.shown(index)) return;
      const spin = { index, start: performance.now(), n_turns: 0 };
      this.spin = spin;
      const step = (now) => {
        if (this.spin !== spin || this.fetching.signal.aborted) return;
        if (this.frame && this.look) this.draw_turned(spin, (now - spin.start) * turn_speed);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }

    draw_turned(spin, angle) {
      const { eye, clear_box } = matrix_cells;
      const box = this.box_of(this.arrangement.places[spin.index]);
      clear_box(this.frame, box, this.look.ratio, this.ground);
      this.draw_cell(spin.index, box, { ...eye, yaw: eye.yaw + angle });
      this.grid.canvas.getContext("2d").putImageData(this.frame.image, 0, 0);
      spin.n_turns += 1;
    }

    shown() {
      const { frame, n_cells_drawn, n_highlighted = 0, zoom, spin, arrangement } = this;
      const raster_hash = frame ? find.raster_hash(new Uint8Array(frame.pixels.buffer)) : null;
      const drawn = this.data.coordinates.find((one) => one !== null);
      const n_points_drawn = drawn ? drawn.length / this.config.dims : 0;
      return {
        encoding: this.drawn?.encoding ?? null, n_cells_drawn, n_points_drawn, n_highlighted,
        zoom, side: this.layout.side, n_blocks: this.n_blocks, n_turns: spin?.n_turns ?? 0, n_kept: arrangement.n_kept,
        n_terms: this.options.hits?.length ?? 0, raster_hash,
      };
    }
  }

  qk_atlas.matrix = { mount: (...of) => stage.mount(Matrix, ...of) };
})();
