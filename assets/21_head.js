"use strict";
// One head at large: all its queries and keys as discs, or as pictures where tokens are patches.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { points, find, stage, head_data, head_overlay, head_input } = qk_atlas;

  const opacity = 0.85;
  const not_found = 0.18; // opacity of what was not searched for
  const not_in_sequence = 0.15;
  const growths = { near: 1.2, found: 1.5 }; // of the discs that stand out
  const reach = 12; // CSS pixels from the pointer to the point it means
  const size_factors = [0.65, 0.95, 1.3, 1.75]; // of the radius, by class of norm
  const map_share = { 2: 0.92, 3: 0.8 }; // of the shorter side of the view

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

  class Head extends stage.PointView {
    constructor(element, config, on_event) {
      super(element, config, on_event, {
        sequence: null, picked: null, hover_tokens: [], labels: false, size_by_norm: false,
        lines: null, hidden_side: null,
      });
    }

    build() {
      const { config } = this;
      this.data = new head_data.HeadData(config);
      this.placed = points.make_placed(config.n_points);
      this.camera = head_input.start;
      this.hovered = -1;
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
      });
    }

    async load(signal) {
      await this.data.load(signal, () => this.redraw());
    }

    get has_picture() {
      return this.data.coordinates !== undefined;
    }

    get picture_state() {
      return this.data.is_whole ? "ready" : "partial";
    }

    move(camera) {
      this.camera = camera;
      this.hover(-1);
      this.redraw();
    }

    draw() {
      const { clientWidth, clientHeight } = this.body;
      this.size = { width: clientWidth, height: clientHeight };
      this.colours = stage.read_colours(this.element);
      this.draw_points();
      this.draw_overlay();
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
      if (this.data.is_image) this.cut_pictures(ratio);
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
    }

    /** Choose what is shown at all, what belongs to the sequence and what was searched for. */
    choose() {
      const { order, tokens } = this.data;
      const { hits, sequence, hidden_side } = this.options;
      const { n_tokens } = this.config;
      const points_of = (mask) => find.points_of_tokens(order, mask, hidden_side);
      const all = points_of(new Uint8Array(n_tokens).fill(1));
      const found = hits && points_of(find.token_mask(n_tokens, hits));
      const near = sequence === null
        ? null : points_of(Uint8Array.from(tokens.sequence, (one) => one === sequence));
      this.sets = { all, found, near };
    }

    draw_sets() {
      const { all, found, near } = this.sets;
      if (!found && !near) {
        this.draw_set(all, { faded: 1, opacity, growth: 1 });
        return;
      }
      const faded = near ? not_in_sequence : not_found;
      this.draw_set(all, { faded, opacity: 1, growth: 1 });
      this.frame.depths?.fill(Infinity); // what was chosen is seen through what was not
      if (near) this.draw_set(near, { faded: 1, opacity: 1, growth: growths.near });
      if (found) this.draw_set(found, { faded: 1, opacity: 1, growth: growths.found });
    }

    /** Draw some points; `faded` is their colour over the ground, `growth` enlarges hits. */
    draw_set(chosen, look) {
      const { data, frame, placed, ground } = this;
      const is_deep = this.config.dims === 3;
      const values = this.values();
      const { encoding, size_by_norm } = this.options;
      const table = points.colour_table(this.lut, encoding, ground, look.faded, is_deep);
      const radius = this.radius * look.growth * this.ratio;
      const radii = (size_by_norm ? size_factors : [1]).map((factor) => factor * radius);
      const stamps = points.disc_stamps(radii, look.opacity, is_deep);
      const paint = { values, table, stamps, sizes: size_by_norm ? data.sizes : null };
      if (!data.is_image) {
        points.draw_discs(frame, placed, paint, chosen);
        return;
      }
      const border = Math.round(this.ratio * (look.growth > 1 ? 2 : 1));
      const alpha = Math.round(256 * look.faded);
      points.draw_pictures(frame, placed, { values, table, border, ground, alpha, ...this.cut },
        chosen);
      const plain = chosen.filter((i) => this.cut.picture_of[i] < 0);
      points.draw_discs(frame, placed, paint, plain);
    }

    /** Return the values that colour the points, by the chosen encoding. */
    values() {
      if (this.options.encoding === "norm") return this.data.norms;
      const row = points.encodings.indexOf(this.options.encoding);
      const { n_points } = this.config;
      return this.data.attributes.subarray(row * n_points, (row + 1) * n_points);
    }

    get radius() {
      return point_radius(this.config.n_points, this.camera.zoom);
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
      const ends = head_overlay.line_ends(
        this.options.lines ?? [], placed, (point) => this.data.point_of(point));
      head_overlay.draw_lines(context, ends, this.colours.select);
      this.n_lines = ends.length;
      this.n_labels = this.draw_labels(context, placed);
      this.draw_rings(context, placed);
    }

    /** Return the places of the points in CSS pixels. */
    placed_css() {
      const { placed, ratio } = this;
      if (ratio === 1) return placed;
      const scaled = (values) => values.map((value) => value / ratio);
      return { ...placed, x: scaled(placed.x), y: scaled(placed.y) };
    }

    /** Return the distance from the middle of a point to its edge in CSS pixels. */
    get extent() {
      return this.data.is_image ? this.cut.side / this.ratio / 2 + 1 : this.radius;
    }

    draw_labels(context, placed) {
      const { near, found, all } = this.sets;
      // The patches of an image are their own labels, and too many for words.
    if (!this.options.labels && (!near || this.data.is_image)) return 0;
      const { width, height } = this.size;
      const text_of = (index) => this.label_of(index, near !== null);
      const wanted = head_overlay.labels_in_sight(
        placed, near ?? found ?? all, this.size, text_of);
      const most = near ? Infinity : head_overlay.labels_most(width, height);
      const gap = this.extent + 3;
      return head_overlay.draw_labels(context, wanted, { width, height, gap, most }, this.colours);
    }

    label_of(index, with_position) {
      const { token, position } = this.data.meaning_of(index);
      const text = qk_atlas.attention.visible_text(this.data.tokens.text[token]);
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
      for (const point of hover_tokens) draw(this.data.point_of(point), radius, text_2);
      if (this.hovered >= 0) draw(this.hovered, radius, text);
      if (picked) draw(this.data.point_of(picked), radius + 2, select);
    }

    /** Return the draw index of the point that is meant by a place in CSS pixels, or -1. */
    find_at({ x, y }) {
      if (!this.sets) return -1;
      const within = { reach: reach * this.ratio, radius: this.extent * this.ratio };
      const at = [x * this.ratio, y * this.ratio];
      return find.nearest_point(this.placed, ...at, within, this.sets.all);
    }

    point_at(place) {
      this.hover(place ? this.find_at(place) : -1);
    }

    /** Note the point below the pointer, show its card and tell; nothing when it is the same. */
    hover(index) {
      if (index === this.hovered) return;
      this.hovered = index;
      this.card.hidden = index < 0;
      if (index >= 0) this.show_point_card(index);
      const { token, side } = index < 0 ? { token: null, side: null } : this.data.meaning_of(index);
      this.on_event({ type: "hover", token, side });
      this.redraw();
    }

    show_point_card(index) {
      const { placed, ratio } = this;
      const [x, y] = [placed.x[index] / ratio, placed.y[index] / ratio];
      const box = { left: x - 8, right: x + 8, top: y + 8 };
      this.show_card(box, ...head_overlay.card_content(this.data, index));
    }

    /** Pick a point, or let it go by a click beside all points, and tell. */
    pick_at(place) {
      const index = this.find_at(place);
      const nothing = { point: null, token: null, side: null, sequence: null, position: null };
      const meaning = index < 0 ? nothing : this.data.meaning_of(index);
      const { token, side } = meaning;
      this.set({ picked: index < 0 ? null : { token, side } });
      this.on_event({ type: "pick", ...meaning });
    }

    shown() {
      const { config, options, sets, camera, frame, n_labels = 0, n_lines = 0 } = this;
      return {
        layer: config.layer, head: config.head, n_points: config.n_points, picked: options.picked,
        n_highlighted: sets?.found?.length ?? 0, n_in_sequence: sets?.near?.length ?? 0,
        n_labels, n_lines, ...camera, hovered: this.hovered < 0 ? null : this.hovered,
        raster_hash: frame ? find.raster_hash(new Uint8Array(frame.pixels.buffer)) : null,
      };
    }
  }

  qk_atlas.head.mount = (...of) => stage.mount(Head, ...of);
})();
