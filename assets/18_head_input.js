"use strict";
// Moving a map with pointer, wheel and keys. A camera is {zoom, x, y, yaw, pitch}: x and y move
// the map from the middle of the view, in CSS pixels (2-D); the angles in radians turn it (3-D).

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const start = { zoom: 1, x: 0, y: 0, yaw: 0.6, pitch: 0.35 };
  const zoom_range = [0.5, 64];
  const key_turn = Math.PI / 36; // 5 degrees
  const key_zoom = 1.25;
  const key_pan = 40; // pixels
  const drag_turn = 0.008; // radians a pixel
  const passage_ms = 160; // a cell of the matrix grows into its head
  const drag_least = 4; // pixels; less is a click

  /** Zoom about a place that keeps its pixel: x and y from the middle of the view. */
  function zoomed(camera, factor, x, y) {
    const [least, most] = zoom_range;
    const zoom = Math.min(most, Math.max(least, camera.zoom * factor));
    const change = zoom / camera.zoom;
    return { ...camera, zoom, x: x + (camera.x - x) * change, y: y + (camera.y - y) * change };
  }

  /** Turn by angles in radians; the pitch stops at the poles. */
  function turned(camera, yaw, pitch) {
    const steepest = Math.PI / 2;
    const held = Math.min(steepest, Math.max(-steepest, camera.pitch + pitch));
    return { ...camera, yaw: camera.yaw + yaw, pitch: held };
  }

  function panned(camera, x, y) {
    return { ...camera, x: camera.x + x, y: camera.y + y };
  }

  /** Return the camera a share of the way from one to another. */
  function between(from, to, share) {
    return Object.fromEntries(Object.keys(to).map((name) => (
      [name, from[name] + share * (to[name] - from[name])])));
  }

  /**
   * Return the camera that shows a 2-D or 3-D map as large as a square on the page.
   * @param {{left: number, top: number, side: number}} square on the page
   * @param {{left: number, top: number, width: number, height: number}} view on the page
   * @param {number} share of the shorter side of the view that a map takes
   */
  function camera_in({ left, top, side }, view, share) {
    return {
      ...start, zoom: side / (Math.min(view.width, view.height) * share),
      x: left + side / 2 - view.left - view.width / 2,
      y: top + side / 2 - view.top - view.height / 2,
    };
  }

  /** Move a camera smoothly from somewhere to the start; at once where motion is not wanted. */
  function pass(from, move, signal) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const begun = performance.now();
    const step = (now) => {
      if (signal.aborted) return;
      const share = Math.min(1, Math.max(0, (now - begun) / passage_ms));
      move(between(from, start, 1 - (1 - share) ** 3));
      if (share < 1) requestAnimationFrame(step);
    };
    step(begun);
  }

  /** Return the camera after a drag by so many pixels: 2-D maps move, 3-D maps turn. */
  function dragged(camera, x, y, dims) {
    return dims === 3 ? turned(camera, x * drag_turn, y * drag_turn) : panned(camera, x, y);
  }

  /**
   * Return the camera after a key press, or null when the key means nothing here. Arrows turn a
   * 3-D map; with Shift they move a 2-D map (without, they are free for the page).
   * @param {{key: string, shiftKey: boolean}} event
   */
  function pressed(camera, event, dims) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "0") return start;
    if (event.key === "+" || event.key === "=") return zoomed(camera, key_zoom, 0, 0);
    if (event.key === "-") return zoomed(camera, 1 / key_zoom, 0, 0);
    const [x, y] = arrows[event.key] ?? [0, 0];
    if (!x && !y) return null;
    if (dims === 3) return turned(camera, x * key_turn, y * key_turn);
    return event.shiftKey ? panned(camera, -x * key_pan, -y * key_pan) : null;
  }

  /**
   * Return the outline that a drag with a tool has drawn so far.
   * @param {"box"|"lasso"} tool
   * @param {number[][]} path (n, 2) where the pointer has been
   * @returns {number[][]} corners
   */
  function outline(tool, path) {
    if (tool === "lasso") return path;
    const [[left, top], [right, bottom]] = [path[0], path.at(-1)];
    return [[left, top], [right, top], [right, bottom], [left, bottom]];
  }

  /**
   * Listen to the canvas of a head.
   * @param {HTMLCanvasElement} canvas
   * @param {{dims: number, camera: () => object, tool: () => "move"|"box"|"lasso",
   *   move: (camera: object) => void, point: (place: {x: number, y: number}|null) => void,
   *   pick: (place: object) => void, draw_rubber: (corners: number[][]|null) => void,
   *   select: (corners: number[][]) => void}} view places are CSS pixels in the canvas, null when
   *   the pointer has left; with Shift a drag is a lasso whatever the tool
   */
  function listen(canvas, view) {
    let drag = null;
    const place_of = (event) => ({ x: event.offsetX, y: event.offsetY });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      const from = place_of(event);
      const tool = event.shiftKey ? "lasso" : view.tool();
      drag = { from, camera: view.camera(), is_click: true, tool, path: [[from.x, from.y]] };
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = place_of(event);
      if (!drag) {
        view.point(place);
        return;
      }
      const [x, y] = [place.x - drag.from.x, place.y - drag.from.y];
      drag.is_click &&= Math.hypot(x, y) < drag_least;
      if (drag.is_click) return;
      if (drag.tool === "move") {
        view.move(dragged(drag.camera, x, y, view.dims));
        return;
      }
      drag.path.push([place.x, place.y]);
      view.draw_rubber(outline(drag.tool, drag.path));
    });
    const end = (event) => {
      if (drag?.is_click && event.type === "pointerup") view.pick(place_of(event));
      if (drag && drag.tool !== "move" && !drag.is_click) {
        view.draw_rubber(null);
        if (event.type === "pointerup") view.select(outline(drag.tool, drag.path));
      }
      drag = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => view.point(null));
    listen_to_zoom(canvas, view);
  }

  function listen_to_zoom(canvas, view) {
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const factor = Math.exp(-event.deltaY * lines * 0.0015);
      const x = event.offsetX - canvas.clientWidth / 2;
      const y = event.offsetY - canvas.clientHeight / 2;
      view.move(view.dims === 3 ? zoomed(view.camera(), factor, 0, 0)
        : zoomed(view.camera(), factor, x, y));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => view.move(start));
    canvas.addEventListener("keydown", (event) => {
      const camera = event.ctrlKey || event.metaKey || event.altKey
        ? null : pressed(view.camera(), event, view.dims);
      if (!camera) return;
      event.preventDefault();
      event.stopPropagation(); // on the page around, arrows go to the neighbour heads
      view.move(camera);
    });
  }

  qk_atlas.head_input = { start, zoomed, turned, between, camera_in, pass, dragged, pressed, outline, listen };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_input;
})();
