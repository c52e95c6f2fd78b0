"use strict";
// Draws heat and flows over an image, with a pen that writes on a canvas or into a drawing (SVG).

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { arrow_of, look_of, shapes_of } = qk_atlas.image_flows;
  const { opacity_of } = qk_atlas.image_panel;

  const arrow_head = 7; // CSS pixels, less on small patches
  const faint = 0.25; // opacity of flows that are not those of the picked patch

  const lightened = 1.5; // CSS pixels of the surface around a line, so that it shows on any image

  /** A pen for a canvas whose context is in CSS pixels. */
  class CanvasPen {
    constructor(context, colours) {
      Object.assign(this, { context, colours });
    }

    draw(opacity, width, trace, is_filled) {
      const { context, colours } = this;
      for (const [colour, more] of [[colours.surface, lightened], [colours.select, 0]]) {
        context.globalAlpha = opacity;
        context.strokeStyle = colour;
        context.fillStyle = colour;
        context.lineWidth = width + more;
        context.beginPath();
        trace(context);
        if (is_filled) context.fill();
        if (!is_filled || more) context.stroke();
      }
    }

    line([[x1, y1], [x2, y2]], { opacity, width }) {
      this.draw(opacity, width, (path) => {
        path.moveTo(x1, y1);
        path.lineTo(x2, y2);
      });
    }

    shape(corners, { opacity, width }, is_filled) {
      this.draw(opacity, width, (path) => {
        corners.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
        path.closePath();
      }, is_filled);
    }

    circle([x, y], radius, { opacity, width }) {
      this.draw(opacity, width, (path) => path.arc(x, y, radius, 0, 2 * Math.PI));
    }
  }

  /** A pen that collects parts of a drawing: tag and attributes of each. */
  class DrawingPen {
    constructor(colours) {
      this.parts = [];
      this.colours = colours;
    }

    add(tag, attributes, { opacity, width }, is_filled) {
      const { select } = this.colours;
      const paint = is_filled
        ? { fill: select } : { fill: "none", stroke: select, "stroke-width": width.toFixed(2) };
      this.parts.push([tag, { ...attributes, ...paint, opacity: opacity.toFixed(3) }]);
    }

    line([[x1, y1], [x2, y2]], look) {
      this.add("line", { x1: x1.toFixed(1), y1: y1.toFixed(1), x2: x2.toFixed(1), y2: y2.toFixed(1) }, look);
    }

    shape(corners, look, is_filled) {
      const points = corners.map((corner) => corner.map((at) => at.toFixed(1)).join(",")).join(" ");
      this.add("polygon", { points }, look, is_filled);
    }

    circle([x, y], radius, look) {
      this.add("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: radius.toFixed(1) }, look);
    }
  }

  const square_at = ([x, y], half) => [
    [x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half],
  ];
  const triangle_at = ([x, y], half) => [[x, y - half], [x + half, y + half], [x - half, y + half]];

  /**
   * Draw flows.
   * @param {CanvasPen|DrawingPen} pen
   * @param {{query: number, key: number, weight: number}[]} flows
   * @param {{tokens: object[], grid: number[], size: {width: number, height: number},
   *   range: number[], is_wide: boolean, is_faint?: boolean, scale?: number}} how size: of the image
   *   as drawn; is_faint: for flows behind those of the picked patch; scale: of the lines, 1 on a page
   * @returns {Object<string, number>} how many of each kind were drawn
   */
  function draw_flows(pen, flows, how) {
    const { tokens, grid: [rows, columns], size, range, is_wide, is_faint, scale = 1 } = how;
    const step = [size.width / columns, size.height / rows];
    const patch = Math.min(...step);
    const half = 0.22 * patch;
    const counts = { arrow: 0, circle: 0, square: 0, triangle: 0 };
    for (const { kind, from, to, weight } of shapes_of(flows, tokens)) {
      const look = look_of(weight, range, is_wide);
      if (is_faint) look.opacity *= faint;
      look.width *= scale;
      const [start, end] = [from, to].map(([x, y]) => [x * step[0], y * step[1]]);
      counts[kind] += 1;
      if (kind === "circle") pen.circle(start, 0.3 * patch, look);
      else if (kind === "square") pen.shape(square_at(start, half), look, false);
      else if (kind === "triangle") pen.shape(triangle_at(end, half), look, true);
      else {
        const tip = Math.min(arrow_head * scale, 0.6 * patch) + (is_wide ? look.width : 0);
        const { line, head } = arrow_of(start, end, 0.18 * patch, tip);
        pen.line(line, look);
        pen.shape(head, { ...look, width: 0.5 }, true);
      }
    }
    return counts;
  }

  /** Draw heat on a canvas of one pixel a patch; `opaque` as for `opacity_of`. */
  function draw_heat(canvas, values, tokens, opaque) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!values) return;
    context.fillStyle = getComputedStyle(canvas).color;
    tokens.forEach(({ row, column }, position) => {
      if (row < 0) return;
      context.globalAlpha = opacity_of(values[position], opaque);
      context.fillRect(column, row, 1, 1);
    });
  }

  qk_atlas.image_paint = { CanvasPen, DrawingPen, draw_flows, draw_heat };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_paint;
})();
