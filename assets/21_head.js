"use strict";
// One head at large: all its queries and keys as discs, or as pictures where tokens are patches.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points, find, stage, head_data, head_overlay, head_input, head_paint, head_pointer } =
    qk_atlas;

  const map_share = { 2: 0.92, 3: 0.8 }; // of the shorter side of the view
  const over_points = new Set(["hover_tokens", "lines", "picked"]); // options: points stay as they are

  const clamp = (least, value, most) => Math.min(most, Math.max(least, value));

  /** Return the radius of a disc in CSS pixels: 2.2 at 10,000 points, mildly more when zoomed. */
  function point_radius(n_points, zoom) {
    return Math.min(9, clamp(1.5, 2.2 * (10_000 / n_points) ** 0.25, 5) * zoom ** 0.3);
  }

  /** Return the side of a patch in CSS pixels. */
  function picture_side(zoom) {
    return clamp(10, 12 * zoom ** 0.5, 40);
  }

  qk_atlas.head = { point_radius, picture_side };
  if (typeof module !== "undefined") module.exports = qk_atlas.head;
  if (typeof document === "undefined") return;

  class Head extends head_pointer.PointerView {
    constructor(element, config, on_event) {
      super(element, config, on_event, {
        sequence: null, picked: null, hover_tokens: [], labels: false, size_by_norm: false,
        lines: null, hidden_side: null, hidden_kinds: [], selected: null, tool: "move", pictures: true,
        neighbours: false, norm_range: null, norm_common: null, from: null, live: null,
      });
    }

    build() {
      const { config } = this;
      this.data = new head_data.HeadData(config);
      this.placed = points.make_placed(config.n_points);
      this.camera = head_input.start;
      this.hovered = this.hovered_live = -1;
      this.live_placed = null;
      this.canvas = stage.make("canvas", "qk-head-canvas", "", {
        role: "img", "aria-label": config.label, tabindex: "0",
      });
      this.overlay = stage.make("canvas", "qk-head-overlay", "", { "aria-hidden": "true" });
      this.body.append(this.canvas, this.overlay);
      head_input.listen(this.canvas, {
        dims: config.dims,
        camera: () => this.camera,
        move: (camera) => this.move(camera),
        point: (place) => this.point_at(place),
        pick: (place) => this.pick_at(place),
        tool: () => this.options.tool,
        draw_rubber: (corners) => { this.rubber = corners; this.redraw([]); },
        select: (corners) => this.select_in(corners),
      });
    }

    async load(signal) {
      const tell = (words) => this.enter("pending", words);
      const wanted = () => this.options.encoding;
      await this.data.load(wanted, signal, () => this.redraw(), tell);
      if (this.message.textContent) this.enter("loading");
      if (this.data.made && !this.is_told) this.on_event({ type: "made", ...this.data.made });
      this.is_told = true;
    }

    /** A map that is not there yet is no fault: it is looked for again when more is computed. */
    fail(error) {
      if (error.status !== 404) super.fail(error);
      else this.enter("pending", "This head is not computed yet. Its map appears when it is.");
    }

    get has_picture() {
      return this.data.coordinates !== undefined && this.drawn_as() !== null;
    }

    /** Return the encoding that can be drawn: until the wanted one is here, the one before. */
    drawn_as() {
      const { encoding, ramp } = this.options;
      if (this.data.values_of(encoding)) this.drawn = { encoding, ramp };
      return this.drawn ?? null;
    }

    /** Merge options; the values of another encoding are fetched when they are not here yet. */
    set(options) {
      super.set(options);
      this.data.norm_range = this.options.norm_range;
      this.canvas.dataset.tool = this.options.tool;
      if (this.data.coordinates && !this.data.values_of(this.options.encoding)) this.start();
      if (this.element.dataset.state === "pending" && options.refresh !== this.asked) this.start();
      this.asked = options.refresh ?? this.asked;
    }

    get picture_state() {
      return this.data.is_whole ? "ready" : "partial";
    }

    /** Points are drawn anew unless all that changed lies over them. */
    redraw(changed = null) {
      this.is_stale ||= !changed?.every((name) => over_points.has(name));
      super.redraw(changed);
    }

    move(camera) {
      this.camera = camera;
      this.hover(-1);
      this.redraw();
    }

    draw() {
      const { clientWidth, clientHeight } = this.body;
      this.size = { width: clientWidth, height: clientHeight };
      if (this.options.from) this.grow_from_cell();
      if (this.is_stale) {
        this.colours = stage.read_colours(this.element);
        this.draw_points();
      }
      this.is_stale = false;
      this.draw_overlay();
    }

    /** Let the map grow out of the cell of the matrix that was opened. */
    grow_from_cell() {
      const { from } = this.options;
      this.options.from = null;
      const share = map_share[this.config.dims];
      const begin = head_input.camera_in(from, this.body.getBoundingClientRect(), share);
      head_input.pass(begin, (camera) => this.move(camera), this.fetching.signal);
    }

    draw_points() {
      const { width, height } = this.size;
      const ratio = stage.fit_canvas(this.canvas, width, height);
      this.ratio = ratio;
      this.frame = stage.frame_of(this.canvas, this.frame, this.config.dims === 3);
      this.ground = points.parse_colour(this.colours.surface);
      this.place(ratio);
      this.choose();
      points.clear(this.frame, this.ground);
      if (this.has_pictures) this.cut_pictures(ratio);
      this.draw_sets();
      this.canvas.getContext("2d").putImageData(this.frame.image, 0, 0);
    }

    place(ratio) {
      const { width, height } = this.size;
      const { dims } = this.config;
      const { zoom, x, y, yaw, pitch } = this.camera;
      const scale = Math.min(width, height) * map_share[dims] * zoom * ratio;
      const view = { x: (width / 2 + x) * ratio, y: (height / 2 + y) * ratio, scale, yaw, pitch };
      const place = dims === 3 ? points.place_turned : points.place_flat;
      place(this.data.coordinates, view, this.placed);
      const { live } = this.options;
      const in_css = { ...view, x: view.x / ratio, y: view.y / ratio, scale: scale / ratio };
      this.live_placed = live && qk_atlas.head_live.place(live.shares, in_css, dims);
    }

    choose() {
      this.sets = head_paint.choose(this.data, this.options);
    }

    draw_sets() {
      const { frame, placed, sets, data, lut, ground, ratio, radius } = this;
      const { ramp } = this.drawn_as();
      const look = {
        lut, ground, ramp, ratio, radius, values: this.values(), dims: this.config.dims,
        sizes: this.options.size_by_norm ? data.sizes : null, cut: this.has_pictures ? this.cut : null,
      };
      head_paint.draw({ frame, placed, sets, look });
    }

    /** Whether patches are drawn as small pictures. */
    get has_pictures() {
      return this.data.is_image && this.options.pictures;
    }

    /** Return the values that colour the points, by the encoding that is drawn. */
    values() {
      const { encoding } = this.drawn_as();
      const values = this.data.values_of(encoding);
      const { norm_range, norm_common } = this.options;
      if (encoding !== "norm" || !norm_range || !norm_common) return values;
      return qk_atlas.matrix_cells.on_common_scale(values, norm_range, norm_common);
    }

    get radius() {
      return point_radius(this.data.n_points, this.camera.zoom);
    }

    /** Cut the patches anew when their size has changed or another image has come. */
    cut_pictures(ratio) {
      const side = Math.round(picture_side(this.camera.zoom) * ratio);
      const wanted = `${side} ${this.data.images.size}`;
      if (wanted === this.cut_for) return;
      this.cut_for = wanted;
      this.cut = this.data.cut_pictures(side);
    }

    draw_overlay() {
      const { width, height } = this.size;
      const ratio = stage.fit_canvas(this.overlay, width, height);
      const context = this.overlay.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      const placed = this.placed_css();
      this.line_ends = head_overlay.line_ends(
        this.options.lines ?? [], placed,
        (point) => (this.sets.shown[point.token] ? this.data.point_of(point) : undefined));
      head_overlay.draw_lines(context, this.line_ends, this.colours.select);
      if (this.live_placed) qk_atlas.head_live.draw(context, this.live_placed, this.live_look);
      this.labels = this.draw_labels(context, placed);
      this.draw_rings(context, placed);
      if (this.rubber) head_overlay.draw_rubber(context, this.rubber, this.colours.text);
    }

    get live_look() {
      const { options: { live }, radius, colours, hovered_live: hovered } = this;
      return { live, radius: radius + 3, gap: radius + 7, colours, hovered };
    }

    /** Return the places of the points in CSS pixels. */
    placed_css() {
      return head_overlay.in_css_pixels(this.placed, this.ratio);
    }

    /** Return the distance from the middle of a point to its edge in CSS pixels. */
    get extent() {
      return this.has_pictures ? this.cut.side / this.ratio / 2 + 1 : this.radius;
    }

    /** Draw the labels that find room, those of live points first. */
    draw_labels(context, placed) {
      const { near, terms, all } = this.sets;
      const in_sequence = near !== null && !this.options.selected;
      const { width, height } = this.size;
      const text_of = (index) => this.label_of(index, in_sequence);
      const wanted = !this.options.labels && !in_sequence ? [] : head_overlay.labels_in_sight(
        placed, this.to_label(near ?? terms?.[0]?.chosen ?? all), this.size, text_of);
      const live = this.live_placed ? qk_atlas.head_live.labels_of(
        this.options.live, this.live_placed, this.size, this.live_look) : { wanted: [], blocked: [] };
      const most = live.wanted.length + (in_sequence ? Infinity : head_overlay.labels_most(width, height));
      const room = { width, height, gap: this.extent + 3, most, blocked: live.blocked };
      return head_overlay.draw_labels(context, [...live.wanted, ...wanted], room, this.colours);
    }

    /** The patches of an image are their own labels, and too many for words, unless asked for. */
    to_label(indices) {
      const { data } = this;
      if (this.options.labels || !data.is_image) return indices;
      return indices.filter((index) => data.is_word(data.owners.token[index]));
    }

    label_of(index, with_position) {
      const { token, position } = this.data.meaning_of(index);
      const { text: texts, label } = this.data.tokens;
      const text = qk_atlas.attention.visible_text(label?.[token] || texts[token]);
      return with_position ? `${position}:${text}` : text;
    }

    draw_rings(context, placed) {
      const { picked, hover_tokens } = this.options;
      const { text_2, text, surface, select } = this.colours;
      const draw = (index, radius, colour) => {
        if (!(index >= 0)) return;
        const ring = { colour, halo: surface };
        head_overlay.draw_ring(context, placed.x[index], placed.y[index], radius, ring);
      };
      const radius = this.extent + 3;
      for (const index of this.near?.map ?? []) draw(index, radius, text_2);
      for (const index of this.near?.space ?? []) draw(index, radius + 2, select);
      for (const point of hover_tokens) draw(this.data.point_of(point), radius, text_2);
      if (this.hovered >= 0) draw(this.hovered, radius, text);
      if (picked) draw(this.data.point_of(picked), radius + 2, select);
    }

    shown() {
      const { config, options, sets, camera, frame, labels = [], line_ends = [] } = this;
      return {
        layer: config.layer, head: config.head, n_points: this.data.n_points, picked: options.picked,
        n_shown: sets?.all.length ?? 0, marked: options.hover_tokens.map((point) => this.data.point_of(point)),
        n_highlighted: (sets?.terms ?? []).reduce((sum, { chosen }) => sum + chosen.length, 0),
        n_selected: options.selected?.length ?? 0, near: this.near ?? null, encoding: this.drawn?.encoding ?? null, n_in_sequence: sets?.near?.length ?? 0,
        n_live: this.live_placed?.count ?? 0, hovered_live: this.hovered_live < 0 ? null : this.hovered_live,
        n_labels: labels.length, n_lines: line_ends.length, ...camera, hovered: this.hovered < 0 ? null : this.hovered,
        raster_hash: frame ? find.raster_hash(new Uint8Array(frame.pixels.buffer)) : null,
      };
    }
  }

  qk_atlas.head.mount = (...of) => stage.mount(Head, ...of);
})();
