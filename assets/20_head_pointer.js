"use strict";
// What the pointer means on the map of a head: the point below it, its card, its true neighbours,
// picking and selecting. The map itself: 21_head.js.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { stage, find, head_overlay } = qk_atlas;

  const reach = 12; // CSS pixels from the pointer to the point it means
  const patience_ms = 80; // before the true neighbours of a point are asked for

  /** A view of points with `data`, `placed`, `sets`, `ratio` and `extent`; see 21_head.js. */
  class PointerView extends stage.PointView {
    /** Return the draw index of the point that is meant by a place in CSS pixels, or -1. */
    find_at({ x, y }) {
      if (!this.sets) return -1;
      const within = { reach: reach * this.ratio, radius: this.extent * this.ratio };
      const at = [x * this.ratio, y * this.ratio];
      return find.nearest_point(this.placed, ...at, within, this.sets.all);
    }

    /** Live points lie on top of the others and are few: they are looked for first. */
    point_at(place) {
      const live = place && this.live_placed
        ? qk_atlas.head_live.nearest(this.live_placed, place, this.radius + 5) : -1;
      this.hover(place && live < 0 ? this.find_at(place) : -1);
      this.hover_live(live);
    }

    /** Note the live point below the pointer, show its card and tell. */
    hover_live(index) {
      if (index === this.hovered_live) return;
      this.hovered_live = index;
      this.redraw([]);
      const { live } = this.options;
      if (index < 0) {
        if (this.hovered < 0) this.card.hidden = true;
        this.on_event({ type: "hover_live", token: null, side: null });
        return;
      }
      const [x, y] = [this.live_placed.x[index], this.live_placed.y[index]];
      const { side, text, lines } = qk_atlas.head_live.card_lines(live, index);
      const title = stage.make("strong", `qk-card-title qk-of-${side}`, qk_atlas.attention.visible_text(text));
      this.show_card({ left: x - 8, right: x + 8, top: y + 8 }, title, ...lines.map((line) => stage.make("p", "", line)));
      this.on_event({ type: "hover_live", ...qk_atlas.head_live.meaning_of(live, index) });
    }

    /** Note the point below the pointer, show its card and tell; nothing when it is the same. */
    hover(index) {
      if (index === this.hovered) return;
      this.hovered = index;
      this.card.hidden = index < 0;
      if (index >= 0) this.show_point_card(index);
      if (index >= 0) this.load_words(index);
      const { token, side } = index < 0 ? { token: null, side: null } : this.data.meaning_of(index);
      this.on_event({ type: "hover", token, side });
      this.near = null;
      clearTimeout(this.near_request);
      if (index >= 0 && this.options.neighbours) {
        this.near_request = setTimeout(() => this.show_near(index), patience_ms);
      }
      this.redraw([]);
    }

    /** Fetch what the colours say of each token, once, and tell it in the card. */
    async load_words(index) {
      const { encoding } = this.options;
      const had = this.data.words;
      await this.data.load_words(encoding, this.fetching.signal).catch(() => null);
      if (this.data.words !== had && this.hovered === index) this.show_point_card(index);
    }

    /** Ring the nearest points in the space and those on the map, and tell how many are both. */
    async show_near(index) {
      const near = await this.data.load_near(index, this.fetching.signal).catch(() => null);
      if (!near || this.hovered !== index) return;
      this.near = near;
      this.show_point_card(index);
      this.redraw([]);
    }

    show_point_card(index) {
      const { placed, ratio } = this;
      const [x, y] = [placed.x[index] / ratio, placed.y[index] / ratio];
      const box = { left: x - 8, right: x + 8, top: y + 8 };
      const { encoding, encoding_name } = this.options;
      const said = this.data.words_of(encoding, this.data.meaning_of(index).token);
      const value = said ? [`${encoding_name}: ${said}`] : [];
      const more = [...value, ...head_overlay.near_lines(this.near)];
      this.show_card(box, ...head_overlay.card_content(this.data, index, more));
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

    /** Select the points inside an outline in CSS pixels and tell; none lets the selection go. */
    select_in(corners) {
      const polygon = corners.map((corner) => corner.map((value) => value * this.ratio));
      const found = find.points_in_polygon(this.placed, polygon, this.sets.all);
      const points = Array.from(found, (index) => this.data.order[index]);
      this.on_event({ type: "select", points: points.length ? points : null });
    }
  }

  qk_atlas.head_pointer = { PointerView };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_pointer;
})();
