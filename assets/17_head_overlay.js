"use strict";
// What lies over the points of a head: attention lines, rings, labels, and the card of a point.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const font = "12px system-ui, sans-serif";
  const line_height = 16; // pixels
  const text_drop = 4; // pixels from the middle of a line to the foot of its letters
  const label_area = 5000; // square pixels of the view for each label, so that it stays readable
  const candidates_max = 1000; // points tried for labels in one redraw
  const letters_max = 24;
  const snippet_reach = 8; // tokens on each side
  const patch_side = 96; // pixels of the enlarged patch

  /** Return a text cut to a length, by whole characters. */
  function shortened(text, length) {
    const letters = Array.from(text);
    return letters.length <= length ? text : `${letters.slice(0, length - 1).join("")}…`;
  }

  /**
   * Return the ends of the attention lines in pixels; lines to points that are not there are
   * left out.
   * @param {{query_token: number, key_token: number, weight: number}[]} lines
   * @param {object} placed see 10_points.js
   * @param {(point: {token: number, side: string}) => number} index_of draw index or undefined
   * @returns {number[][]} (n_lines, 5) x and y of the query, x and y of the key, weight
   */
  function line_ends(lines, placed, index_of) {
    return lines.map(({ query_token, key_token, weight }) => {
      const from = index_of({ token: query_token, side: "query" });
      const to = index_of({ token: key_token, side: "key" });
      return [placed.x[from], placed.y[from], placed.x[to], placed.y[to], weight];
    }).filter((ends) => ends.every(Number.isFinite));
  }

  function draw_lines(context, ends, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    for (const [x, y, to_x, to_y, weight] of ends) {
      context.globalAlpha = weight;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(to_x, to_y);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** Draw the line of a lasso or the edge of a box, closed. */
  function draw_rubber(context, corners, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(x, y);
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }

  /** Draw a ring of 2 pixels with a halo, so that it shows over points of any colour. */
  function draw_ring(context, x, y, radius, { colour, halo }) {
    for (const [width, style] of [[4, halo], [2, colour]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /**
   * Draw the labels that find room.
   * @param {CanvasRenderingContext2D} context
   * @param {{x: number, y: number, text: string, gap?: number, is_strong?: boolean}[]} wanted the most
   *   wanted first
   * @param {{width: number, height: number, gap: number, most: number, blocked?: object[]}} room
   * @param {{text: string, surface: string}} colours
   * @returns {{x: number, y: number, text: string}[]} the labels drawn, and where their text is
   */
  function draw_labels(context, wanted, room, colours) {
    const font_of = ({ is_strong }) => (is_strong ? `600 ${font}` : font);
    const width_of = (label) => {
      context.font = font_of(label);
      return context.measureText(label.text).width + 2;
    };
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4; // 2 pixels of halo on each side
    const anchors = wanted.map((label) => (
      { x: label.x, y: label.y, gap: label.gap ?? room.gap, width: width_of(label) }));
    const placed = qk_atlas.find.place_labels(anchors, { ...room, line: line_height }, room.most);
    for (const { index, x, y } of placed) {
      const { text } = wanted[index];
      context.font = font_of(wanted[index]);
      context.strokeStyle = colours.surface;
      context.strokeText(text, x, y + line_height / 2);
      context.fillStyle = colours.text;
      context.fillText(text, x, y + line_height / 2);
    }
    return placed.map(({ index, x, y }) => (
      { x, y: y + line_height / 2 + text_drop, text: wanted[index].text }));
  }

  /**
   * Return the labels that are wanted for the points in sight, in the order of `chosen`.
   * @param {object} placed see 10_points.js, in CSS pixels
   * @param {Uint32Array|null} chosen draw indices
   * @param {{width: number, height: number}} view
   * @param {(index: number) => string} text_of
   */
  function labels_in_sight(placed, chosen, view, text_of) {
    const wanted = [];
    const count = chosen ? chosen.length : placed.count;
    for (let n = 0; n < count && wanted.length < candidates_max; n += 1) {
      const i = chosen ? chosen[n] : n;
      const [x, y] = [placed.x[i], placed.y[i]];
      if (x < 0 || y < 0 || x > view.width || y > view.height) continue;
      wanted.push({ x, y, text: shortened(text_of(i), letters_max) });
    }
    return wanted;
  }

  /** Return how many labels a view of this size shows at most. */
  function labels_most(width, height) {
    return Math.ceil((width * height) / label_area);
  }

  /** Draw the patch of a token enlarged, or return null where it has none. */
  function make_patch(patch) {
    if (!patch) return null;
    const { image, x, y, width, height } = patch;
    const canvas = qk_atlas.stage.make("canvas", "qk-card-patch", "", { "aria-hidden": "true" });
    const zoom = patch_side / Math.max(width, height);
    [canvas.width, canvas.height] = [Math.round(width * zoom), Math.round(height * zoom)];
    const context = canvas.getContext("2d");
    context.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  /**
   * Return the content of the card of a point.
   * @param {object} data HeadData
   * @param {number} index draw index
   * @param {string[]} more further lines
   */
  function card_content(data, index, more = []) {
    const { make } = qk_atlas.stage;
    const { visible_text } = qk_atlas.attention;
    const { token, side, sequence, position } = data.meaning_of(index);
    const { tokens } = data;
    const { label, length } = tokens.sequences[sequence];
    const title = make("strong", `qk-card-title qk-of-${side}`, visible_text(tokens.text[token]));
    const lines = [`${side} · position ${position} of ${length}`, label, norm_text(data, index),
      ...more];
    if (tokens.row?.[token] >= 0) {
      const what = tokens.label?.[token] ? `${tokens.label[token]} · ` : "";
      lines.splice(1, 0, `${what}row ${tokens.row[token]}, column ${tokens.column[token]}`);
    }
    const content = [make_patch(data.is_image ? data.patch_of(token) : null), title,
      ...lines.map((line) => make("p", "", line)), data.is_word(token) ? sentence(tokens, token) : null];
    return content.filter((part) => part !== null);
  }

  /** Return what the true neighbours of a point say; see `HeadData.load_near`. */
  function near_lines(near) {
    if (!near) return [];
    const kept = near.space.filter((index) => near.map.includes(index)).length;
    return [`${kept} of its ${near.space.length} nearest in the space are among its `
      + `${near.map.length} nearest here`];
  }

  /** Return the places of points in CSS pixels. */
  function in_css_pixels(placed, ratio) {
    if (ratio === 1) return placed;
    const scaled = (values) => values.map((value) => value / ratio);
    return { ...placed, x: scaled(placed.x), y: scaled(placed.y) };
  }

  /** Return the norm of a point in words: its value where the range of the head is known. */
  function norm_text({ norms, norm_range }, index) {
    const share = (norms[index] & 127) / 126;
    if (!norm_range) return `norm ${share.toFixed(2)} (0 smallest, 1 largest of this head)`;
    return `norm ${(norm_range[0] + share * (norm_range[1] - norm_range[0])).toPrecision(3)}`;
  }

  /** Return the words around a token, with the token marked. */
  function sentence(tokens, token) {
    const { make } = qk_atlas.stage;
    const { snippet } = qk_atlas.head_data;
    const { before, marked, after } = snippet(tokens, token, snippet_reach);
    const text = make("p", "qk-card-sentence");
    text.append(before, make("mark", "", marked), after);
    return text;
  }

  qk_atlas.head_overlay = {
    shortened, line_ends, draw_lines, draw_rubber, draw_ring, draw_labels, labels_in_sight, labels_most,
    card_content, near_lines, in_css_pixels,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_overlay;
})();
