"use strict";
// A sentence view as a drawing and as a table. What is drawn is what the view shows.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const margin = 16;
  const column = 220; // pixels of a column of tokens
  const between = 240;
  const above = 72; // title, words, headings
  const letters_most = 28;
  const caption_height = 24;

  const shortened = (text) => {
    const letters = [...text];
    return letters.length > letters_most ? `${letters.slice(0, letters_most - 1).join("")}…` : text;
  };

  /**
   * Return what is to be drawn: lines and words with their places, in pixels.
   * @param {object} view a mounted sentence view
   * @returns {{width: number, height: number, lines: {points: number[], opacity: number}[],
   *   texts: {x: number, y: number, text: string, anchor: "start"|"end", kind: string}[]}}
   */
  function drawing_of({ config, shares, lines, counts, hidden, note, note_how }) {
    const { row_height, curve } = qk_atlas.bipartite;
    const { visible_text } = qk_atlas.attention;
    const width = 2 * (margin + column) + between;
    const height = above + Math.max(counts.query, counts.key) * row_height + margin;
    const left = margin + column;
    const names = config.side_names ?? { query: "queries", key: "keys" };
    const texts = [
      { x: margin, y: 20, text: `${config.title} · ${visible_text(config.subtitle)}`, kind: "title" },
      { x: margin, y: 38, text: [note.textContent, note_how.textContent].filter(Boolean).join(" · "), kind: "quiet" },
      { x: left - 8, y: above - 12, text: names.query, anchor: "end", kind: "query" },
      { x: left + between + 8, y: above - 12, text: names.key, anchor: "start", kind: "key" },
    ];
    for (const side of ["query", "key"]) {
      config.sides[side].forEach((token, position) => {
        const is_query = side === "query";
        texts.push({
          x: is_query ? left - 8 : left + between + 8, y: above + position * row_height + 14,
          text: shortened(visible_text(token.text)), anchor: is_query ? "end" : "start",
          kind: hidden[side][position] ? "gone" : token.special ? "special" : "plain",
        });
      });
    }
    const moved = (points) => points.map((value, at) => value + (at % 2 ? above : left));
    const drawn = lines.pairs.map((pair) => ({
      points: moved(curve(Math.floor(pair / counts.key), pair % counts.key, between)),
      opacity: Math.min(shares[pair], 1),
    }));
    return { width, height, lines: drawn, texts };
  }

  /** Return colours and fonts of each kind of words. */
  function looks_of({ text, text_2, query, key }) {
    const plain = { fill: text, size: 13, style: "normal", weight: "400", line: "none" };
    return {
      plain, title: { ...plain, size: 15, weight: "600" },
      quiet: { ...plain, fill: text_2, size: 12 },
      special: { ...plain, fill: text_2, style: "italic" },
      gone: { ...plain, fill: text_2, line: "line-through" },
      query: { ...plain, fill: query, size: 12 }, key: { ...plain, fill: key, size: 12 },
    };
  }

  /**
   * Return a drawing as SVG.
   * @param {(tag: string, attributes: object, text?: string) => Element} part makes an element
   */
  function svg_of(drawing, colours, provenance, part) {
    const { width, height } = drawing;
    const tall = height + caption_height;
    const looks = looks_of(colours);
    const root = part("svg", {
      xmlns: "http://www.w3.org/2000/svg", width, height: tall, viewBox: `0 0 ${width} ${tall}`,
    });
    root.append(part("desc", {}, JSON.stringify(provenance)),
      part("rect", { width, height: tall, fill: colours.surface }));
    for (const { points, opacity } of drawing.lines) {
      const [x, y, ...rest] = points.map((value) => Number(value.toFixed(1)));
      root.append(part("path", {
        d: `M${x} ${y}C${rest.join(" ")}`, fill: "none", stroke: colours.select,
        "stroke-width": 1.5, opacity: opacity.toFixed(3),
      }));
    }
    const caption = { x: 8, y: tall - 8, text: qk_atlas.export_menu.caption_of(provenance), kind: "quiet" };
    for (const { x, y, text, anchor = "start", kind } of [...drawing.texts, caption]) {
      const { fill, size, style, weight, line } = looks[kind];
      root.append(part("text", {
        x, y, fill, "font-family": "system-ui, sans-serif", "font-size": size,
        "font-style": style, "font-weight": weight, "text-anchor": anchor,
        "text-decoration": line, "xml:space": "preserve",
      }, text));
    }
    return root;
  }

  /** Paint an SVG drawing on a canvas, twice as large, and return it. */
  async function canvas_of(source, width, height) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
    await image.decode();
    const canvas = qk_atlas.stage.make("canvas", "");
    [canvas.width, canvas.height] = [2 * width, 2 * height];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  /**
   * Return head and rows of the table of every pair that is left.
   * @param {object} view a mounted sentence view
   */
  function table_of({ config, weights, shares, norms_shown, counts }) {
    const { sides, is_mean } = config;
    const head = ["query_position", "query", "key_position", "key", "weight",
      is_mean ? "mean_attention" : "attention", ...(norms_shown ? ["value_norm"] : [])];
    const rows = [];
    shares.forEach((share, place) => {
      if (share === 0) return;
      const [query, key] = [Math.floor(place / counts.key), place % counts.key];
      rows.push([query, sides.query[query].text, key, sides.key[key].text, share, weights[place],
        ...(norms_shown ? [norms_shown[key]] : [])]);
    });
    return { head, rows };
  }

  /** Return what an export says about where it is from and how its weights were made. */
  function provenance_of({ config, weighting, pair, hidden, options }, about) {
    const positions = (flags) => flags.flatMap((is, at) => (is ? [at] : [])).join(" ") || "none";
    return {
      ...about, view: `${config.title}, ${qk_atlas.attention.visible_text(config.subtitle)}`,
      weighting, hidden_queries: positions(hidden.query), hidden_keys: positions(hidden.key),
      ...(config.is_mean ? { left_out: [...options.filters].sort().join(" ") || "nothing" } : {}),
      ...(config.is_pair ? { pair } : {}),
    };
  }

  /** Return the exports of a sentence view; `view` gives the mounted one, `about` where it is from. */
  function exports_of(view, about, is_mean = false) {
    const { file_name, panel_address, save, save_csv, svg_part, whole_file } = qk_atlas.export_menu;
    const from = () => provenance_of(view(), about());
    const draw = () => svg_of(drawing_of(view()), qk_atlas.stage.read_colours(view().element), from(), svg_part);
    const source_of = (root) => new XMLSerializer().serializeToString(root);
    return [
      { name: "PNG", run: async () => {
        const root = draw();
        const size = ["width", "height"].map((side) => Number(root.getAttribute(side)));
        const canvas = await canvas_of(source_of(root), ...size);
        canvas.toBlob((blob) => save(blob, file_name(from(), "png")), "image/png");
      } },
      { name: "SVG", run: () => save(new Blob([source_of(draw())], { type: "image/svg+xml" }), file_name(from(), "svg")) },
      { name: "CSV of the weights", run: () => {
        const { head, rows } = table_of(view());
        save_csv(head, rows, from());
      } },
      ...(is_mean ? [] : whole_file(() => panel_address("bipartite", view().config.weights_url))),
    ];
  }

  qk_atlas.sentence_export = { drawing_of, svg_of, table_of, provenance_of, exports_of };
  if (typeof module !== "undefined") module.exports = qk_atlas.sentence_export;
})();
