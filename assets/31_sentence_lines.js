"use strict";
// The lines of the sentence view: all of them, and the curves of one token over them.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const faint = 0.1; // lines below this weight are drawn as hairlines

  const { pairs_above, reaches } = qk_atlas.attention;
  const { count_text, curve, row_height } = qk_atlas.bipartite;
  const { fit_canvas } = qk_atlas.stage;

  /** Draw all lines; hovering never comes here, it only fades the canvas. */
  function draw_lines(view) {
    const { threshold, theme } = view.options;
    const width = view.width = view.between.clientWidth;
    const wanted = [threshold, theme, width, devicePixelRatio].join();
    if (wanted === view.drawn) return;
    view.drawn = wanted;
    view.lines = pairs_above(view.shares, threshold);
    const context = clear(view, view.canvas);
    view.line_colour = getComputedStyle(view.canvas).color; // not asked for at each hover
    context.strokeStyle = view.line_colour;
    for (const pair of view.lines.pairs) {
      // Chromium draws hairlines five times faster, and lines this faint look the same.
      context.lineWidth = view.shares[pair] < faint ? 1 : 1.5;
      const ends = [Math.floor(pair / view.counts.key), pair % view.counts.key];
      stroke(view, context, ends, Math.min(view.shares[pair], 1));
    }
    const { pairs, n_pairs, share } = view.lines;
    view.note.textContent = count_text(pairs.length, n_pairs, threshold, share);
  }

  /** Draw the curves of one token. */
  function draw_curves(view, place, values) {
    const { threshold } = view.options;
    const context = clear(view, view.curves);
    Object.assign(context, { strokeStyle: view.line_colour, lineWidth: 1.5 });
    const shown = Array.from(values.keys()).filter((at) => reaches(values[at], threshold));
    for (const position of shown) {
      const ends = [place.position, position];
      if (place.side === "key") ends.reverse();
      // Alone, even the weakest of the lines that count as shown has to be seen.
      stroke(view, context, ends, Math.min(0.2 + 0.8 * values[position], 1));
    }
    view.n_curves = shown.length;
  }

  /** Give a canvas the size of the space between the columns, empty; asks for no layout. */
  function clear(view, canvas) {
    const [width, height] = [view.width, Math.max(...Object.values(view.counts)) * row_height];
    const ratio = fit_canvas(canvas, width, height);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  function stroke(view, context, [query, key], opacity) {
    const [x, y, ...rest] = curve(query, key, view.width);
    context.globalAlpha = opacity;
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(...rest);
    context.stroke();
  }

  /** Take all lines away until those of another sentence are there. */
  function forget(view) {
    if (!view.width) return;
    for (const canvas of [view.canvas, view.curves]) clear(view, canvas);
  }

  qk_atlas.sentence_lines = { draw_lines, draw_curves, forget };
})();
