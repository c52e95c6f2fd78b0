"use strict";
// The image with what lies over it: heat, flows, the patch grid, frames. Tells which patch is
// meant by the pointer, a click or an arrow key.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { make, fit_canvas, read_colours } = qk_atlas.stage;
  const { make_svg } = qk_atlas.panel;
  const { moved_patch, patch_at, patch_positions } = qk_atlas.image_panel;
  const { CanvasPen, draw_flows } = qk_atlas.image_paint;

  function grid_lines([rows, columns]) {
    const lines = [];
    for (let row = 1; row < rows; row += 1) lines.push(`M0 ${row}H${columns}`);
    for (let column = 1; column < columns; column += 1) lines.push(`M${column} 0V${rows}`);
    const svg = make_svg("svg", {
      class: "qk-grid", viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none",
    });
    svg.append(make_svg("path", { d: lines.join("") }));
    return svg;
  }

  class ImageStage {
    /**
     * @param {{grid: number[], tokens: object[]}} config
     * @param {{on_point: (position: number) => void, on_leave: () => void,
     *   on_pick: (position: number) => void, picked: () => number|undefined}} handlers positions
     *   are places in the sequence, -1 where the sequence has no such patch
     */
    constructor({ grid, tokens }, handlers) {
      Object.assign(this, { grid, tokens, handlers });
      const [rows, columns] = grid;
      this.positions = patch_positions(tokens, grid);
      this.image = make("img", "qk-image", "", { alt: "the image as the model saw it" });
      this.heat = make("canvas", "qk-heat", "", { width: columns, height: rows });
      this.rest = make("canvas", "qk-flows");
      this.chosen = make("canvas", "qk-flows");
      this.frames = { hot: make("div", "qk-patch-frame qk-faint"), picked: make("div", "qk-patch-frame") };
      this.element = make("div", "qk-stage", "", {
        role: "application", tabindex: "0",
        "aria-label": `Image of ${rows} by ${columns} patches; arrow keys move the picked patch`,
      });
      this.element.append(this.image, this.heat, this.rest, this.chosen, grid_lines(grid),
        this.frames.hot, this.frames.picked);
      this.listen();
    }

    listen() {
      const { element, handlers } = this;
      element.addEventListener("pointermove", (event) => handlers.on_point(this.meant_by(event)));
      element.addEventListener("pointerleave", () => handlers.on_leave());
      element.addEventListener("click", (event) => handlers.on_pick(this.meant_by(event)));
      element.addEventListener("keydown", (event) => {
        const patch = moved_patch(this.tokens[handlers.picked()], event.key, this.grid);
        if (!patch) return;
        event.preventDefault();
        const position = this.position_of(patch);
        if (position !== handlers.picked()) handlers.on_pick(position);
      });
    }

    position_of([row, column]) {
      return this.positions[row * this.grid[1] + column];
    }

    meant_by({ clientX, clientY }) {
      const box = this.element.getBoundingClientRect();
      return this.position_of(patch_at(clientX - box.left, clientY - box.top, box, this.grid));
    }

    /** Show an image when it is here whole; until then the one before stays. */
    async load(url) {
      if (this.image.getAttribute("src") === url) return;
      const arriving = make("img", "");
      arriving.src = url;
      await arriving.decode().catch(() => {
        throw new Error("the image did not arrive");
      });
      this.image.src = url;
      await this.image.decode();
    }

    /** Frame a patch in the colour of its side; nothing for a special token or no place. */
    draw_frame(name, place) {
      const frame = this.frames[name];
      const token = place && this.tokens[place.position];
      frame.hidden = !token || token.row < 0;
      if (frame.hidden) return;
      const [rows, columns] = this.grid;
      frame.classList.toggle("qk-of-query", place.side === "query");
      frame.classList.toggle("qk-of-key", place.side === "key");
      frame.style.top = `${(100 * token.row) / rows}%`;
      frame.style.left = `${(100 * token.column) / columns}%`;
      frame.style.width = `${100 / columns}%`;
      frame.style.height = `${100 / rows}%`;
    }

    /**
     * Draw flows on one of both canvases.
     * @param {"rest"|"chosen"} name rest: behind; chosen: in front
     * @param {object[]} flows none clears the canvas
     * @param {{range: number[], is_wide: boolean, is_faint?: boolean}} look
     * @returns {Object<string, number>} how many shapes of each kind
     */
    draw_flows(name, flows, look) {
      const { clientWidth: width, clientHeight: height } = this.image;
      const canvas = this[name];
      const ratio = fit_canvas(canvas, width, height);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      const pen = new CanvasPen(context, read_colours(this.element));
      const { tokens, grid } = this;
      return draw_flows(pen, flows, { tokens, grid, size: { width, height }, ...look });
    }
  }

  qk_atlas.image_stage = { ImageStage };
})();
