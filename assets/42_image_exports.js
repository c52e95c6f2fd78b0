"use strict";
// What can be taken along from the image view: a picture, a drawing, the weights that are shown.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { make } = qk_atlas.stage;
  const { make_svg } = qk_atlas.panel;
  const { opacity_of } = qk_atlas.image_panel;
  const { CanvasPen, DrawingPen, draw_flows } = qk_atlas.image_paint;

  const picture_width = 896; // pixels of an exported image
  const caption_height = 48;

  /** Return head and rows of the weights that are shown, all of them, by number. */
  function table_of({ mode, tokens, values, told, side }) {
    const place = ({ text, row, column, label }) => (
      row < 0 ? [text, "", "", ""] : [text, row, column, label ?? ""]);
    const of = (name) => [`${name}_token`, `${name}_row`, `${name}_column`, `${name}_label`];
    if (mode !== "patch") {
      const rows = told.map(({ query, key, weight }) => (
        [...place(tokens[query]), ...place(tokens[key]), weight]));
      return { head: [...of("query"), ...of("key"), "weight"], rows };
    }
    const other = side === "query" ? "key" : "query";
    const rows = values ? tokens.map((token, i) => [...place(token), values[i]]) : [];
    return { head: [...of(other), "weight"], rows };
  }

  /** Return width and height of the exported image. */
  function size_of({ naturalWidth, naturalHeight }) {
    return { width: picture_width, height: Math.round((picture_width * naturalHeight) / naturalWidth) };
  }

  /** Return the lines below an exported image. */
  function caption_of(view) {
    const specials = view.values
      ? view.tokens.map(({ text, row }, i) => (row < 0 ? `${text} ${view.values[i].toFixed(3)}` : null))
        .filter(Boolean) : [];
    const about = [view.note.textContent, ...specials].join(" · ");
    return [about, qk_atlas.export_menu.caption_of(view.config.provenance)];
  }

  function look_of(view, size) {
    const { tokens, range } = view;
    const { grid } = view.config;
    const scale = size.width / view.stage.image.clientWidth;
    return { tokens, grid, size, range, scale, is_wide: view.options.mode === "flows" };
  }

  /** Return the image on a canvas, as grey as on the page. */
  function image_canvas({ image }, { width, height }) {
    const canvas = make("canvas", "", "", { width, height });
    const context = canvas.getContext("2d");
    context.filter = getComputedStyle(image).filter;
    context.drawImage(image, 0, 0, width, height);
    return canvas;
  }

  /** Call with x, y, width, height and opacity of each patch that has heat. */
  function each_heat({ values, tokens, opaque, config: { grid: [rows, columns] } }, size, draw) {
    if (!values) return;
    const [width, height] = [size.width / columns, size.height / rows];
    tokens.forEach(({ row, column }, i) => {
      if (row >= 0) draw(column * width, row * height, width, height, opacity_of(values[i], opaque));
    });
  }

  async function save_png(view) {
    const size = size_of(view.stage.image);
    const colours = qk_atlas.stage.read_colours(view.element);
    const canvas = make("canvas", "", "", { width: size.width, height: size.height + caption_height });
    const context = canvas.getContext("2d");
    context.fillStyle = colours.surface;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image_canvas(view.stage, size), 0, 0);
    context.fillStyle = colours.select;
    each_heat(view, size, (x, y, width, height, opacity) => {
      context.globalAlpha = opacity;
      context.fillRect(x, y, width, height);
    });
    draw_flows(new CanvasPen(context, colours), view.told, look_of(view, size));
    context.globalAlpha = 1;
    context.fillStyle = colours.text_2;
    context.font = "13px system-ui, sans-serif";
    caption_of(view).forEach((line, i) => context.fillText(line, 8, size.height + 18 + 18 * i));
    const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
    qk_atlas.export_menu.save(blob, file_name(view, "png"));
  }

  function save_svg(view) {
    const size = size_of(view.stage.image);
    const colours = qk_atlas.stage.read_colours(view.element);
    const tall = size.height + caption_height;
    const root = make_svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", width: size.width, height: tall, viewBox: `0 0 ${size.width} ${tall}`,
    });
    const about = make_svg("desc", {});
    about.textContent = JSON.stringify(view.config.provenance);
    const href = image_canvas(view.stage, size).toDataURL("image/png");
    root.append(about, make_svg("rect", { width: size.width, height: tall, fill: colours.surface }),
      make_svg("image", { ...size, href }));
    each_heat(view, size, (x, y, width, height, opacity) => root.append(make_svg("rect", {
      x: x.toFixed(2), y: y.toFixed(2), width: width.toFixed(2), height: height.toFixed(2),
      fill: colours.select, opacity: opacity.toFixed(4),
    })));
    const pen = new DrawingPen(colours);
    draw_flows(pen, view.told, look_of(view, size));
    root.append(...pen.parts.map(([tag, attributes]) => make_svg(tag, attributes)));
    caption_of(view).forEach((line, i) => {
      const text = make_svg("text", {
        x: 8, y: size.height + 18 + 18 * i, "font-family": "system-ui, sans-serif", "font-size": 13,
        fill: colours.text_2,
      });
      text.textContent = line;
      root.append(text);
    });
    const source = new XMLSerializer().serializeToString(root);
    qk_atlas.export_menu.save(new Blob([source], { type: "image/svg+xml" }), file_name(view, "svg"));
  }

  function file_name({ config: { provenance } }, ending) {
    return qk_atlas.export_menu.file_name(provenance, ending);
  }

  /** Return the exports of a mounted image view; none where it does not know where it is from. */
  function of(view) {
    if (!view.config.provenance) return [];
    const table = () => {
      const { head, rows } = table_of({
        mode: view.options.mode, tokens: view.tokens, values: view.values, told: view.told, side: view.side,
      });
      qk_atlas.export_menu.save_csv(head, rows, { ...view.config.provenance, shown: view.note.textContent });
    };
    return [
      { name: "PNG", run: () => save_png(view) },
      { name: "SVG", run: () => save_svg(view) },
      { name: "CSV of the weights", run: table },
      ...qk_atlas.export_menu.whole_file(
        () => qk_atlas.export_menu.panel_address("image_panel", view.config.weights_url)),
    ];
  }

  qk_atlas.image_exports = { table_of, of };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_exports;
})();
