"use strict";
// What can be taken along from the inspect views: vectors, pictures painted from them, tables.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const margin = 16;
  const title_height = 28;

  /** Paint a drawing (see export_menu.save_svg) on a canvas of twice its size. */
  function paint(drawing) {
    const canvas = document.createElement("canvas");
    const side_max = 16_384; // no browser paints more
    const ratio = Math.min(2, side_max / Math.max(drawing.width, drawing.height));
    canvas.width = drawing.width * ratio;
    canvas.height = drawing.height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    for (const { x, y, width, height, colour, opacity } of drawing.boxes ?? []) {
      context.globalAlpha = opacity;
      context.fillStyle = colour;
      context.fillRect(x, y, width, height);
    }
    for (const { d, colour, opacity, width, dash } of drawing.paths ?? []) {
      context.globalAlpha = opacity;
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.setLineDash(dash ? dash.split(" ").map(Number) : []);
      context.stroke(new Path2D(d));
    }
    context.globalAlpha = 1;
    context.fillStyle = drawing.text;
    context.font = "12px system-ui, sans-serif";
    for (const { x, y, text, anchor } of drawing.labels) {
      context.textAlign = anchor ?? "start";
      context.fillText(text, x, y);
    }
    return canvas;
  }

  /** Return a drawing in the colours of the page. */
  function coloured(element, drawing) {
    const { surface, text, select } = qk_atlas.stage.read_colours(element);
    return { circles: [], lines: [], surface, text, select, ...drawing };
  }

  /** Return the layers of a head view side by side. */
  function drawing_of_lines(view) {
    const drawing = { paths: [], labels: [], width: margin, height: 0 };
    for (const { layer, lines } of view.sheets) {
      const { heads } = lines.options;
      drawing.labels.push({ x: drawing.width, y: 20, text: `Layer ${layer}, heads ${heads.join(", ")}` });
      const { paths, labels } = lines.drawing(drawing.width, title_height);
      drawing.paths.push(...paths);
      drawing.labels.push(...labels);
      drawing.width += lines.sheet.clientWidth + margin;
      drawing.height = Math.max(drawing.height, title_height + lines.height + margin);
    }
    return coloured(view.element, drawing);
  }

  /** Return the address of a view as a file, at the layer and head that it shows. */
  function file_address({ config, options }, kind) {
    const { capture_url, compared_url, sequence } = config;
    const key_of = (url) => url.split("/")[2];
    const query = new URLSearchParams({ sequence, layer: options.layer ?? 0, head: options.head ?? 0 });
    if (compared_url) query.set("compared", key_of(compared_url));
    return `/export/${key_of(capture_url)}/${kind}.html?${query}`;
  }

  const whole_file = (view, kind) => (
    qk_atlas.export_menu.whole_file(() => file_address(view, kind)));

  /** Return SVG and PNG of a drawing. */
  function pictures(view, make_drawing, about) {
    const { save_png, save_svg } = qk_atlas.export_menu;
    return [
      { name: "SVG", run: () => save_svg(make_drawing(), about()) },
      { name: "PNG", run: () => save_png(view.element, [paint(make_drawing())], about()) },
    ];
  }

  /** Return head and rows of the table of all lines of a head view, with exact weights. */
  async function table_of_lines(view) {
    const lines = view.strongest();
    const weights = await view.exact(lines);
    const { queries, keys } = view.input;
    const rows = lines.map(({ layer, head, query, key }, i) => (
      [layer, head, query, queries.text[query], key, keys.text[key], weights[i]]));
    const last = view.is_difference ? "change" : "weight";
    return [["layer", "head", "query", "query_token", "key", "key_token", last], rows];
  }

  /** Return the exports of the head view. */
  function of_lines(view) {
    const about = () => view.provenance(view.wanted().map(({ layer }) => `L${layer}`).join(" "));
    return [
      ...pictures(view, () => drawing_of_lines(view), about),
      {
        name: "CSV of the lines",
        run: async () => qk_atlas.export_menu.save_csv(...await table_of_lines(view), about()),
      },
      ...whole_file(view, "head_lines"),
    ];
  }

  /** Return the thumbnails of a model view as one picture, with their names. */
  function canvas_of_model(view) {
    const { width, height } = view.size;
    const [wide, high] = [width + 8, height + 20];
    const columns = Math.max(...view.rows.map(({ cells }) => cells.length));
    const canvas = document.createElement("canvas");
    canvas.width = 2 * (columns * wide + 8);
    canvas.height = 2 * (view.rows.length * high + 8);
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    context.fillStyle = qk_atlas.stage.read_colours(view.element).text_2;
    context.font = "10px system-ui, sans-serif";
    view.rows.forEach(({ cells, thumbs }, i) => cells.forEach(({ layer, head }, j) => {
      context.fillText(`L${layer} H${head}`, 8 + j * wide, 14 + i * high);
      context.drawImage(thumbs[j].canvas, 8 + j * wide, 18 + i * high, width, height);
    }));
    return canvas;
  }

  /** Return the exports of the model view; rows that were never in sight are painted first. */
  function of_model(view) {
    const { save_csv, save_png } = qk_atlas.export_menu;
    const { score_names } = qk_atlas.inspect_data;
    const picture = async () => {
      await Promise.all(view.rows.map((row) => view.paint(row)));
      save_png(view.element, [canvas_of_model(view)], view.provenance("all heads"));
    };
    const table = async () => {
      const cells = view.rows.flatMap((row) => row.cells);
      const rows = await Promise.all(cells.map(async ({ layer, head }) => {
        const scores = qk_atlas.inspect_data.scores_of(await view.layer_scores(layer), head);
        return [layer, head, ...score_names.map((name) => (Number.isNaN(scores[name]) ? "" : scores[name]))];
      }));
      save_csv(["layer", "head", ...score_names], rows, view.provenance("all heads"));
    };
    return [{ name: "PNG", run: picture }, { name: "CSV of the scores", run: table }, ...whole_file(view, "model_view")];
  }

  /** Return the table of a neuron view as boxes: a row for each query, then one for each key. */
  function drawing_of_neurons(view) {
    const { lines, dimensions, texts, most_key, most_query, signs, columns } = view.model;
    const { visible_text } = qk_atlas.attention;
    const { figure_text } = qk_atlas.neuron_data;
    const [name_width, strip, figure, row] = [110, 340, 62, 20];
    const lefts = [name_width, name_width + strip + margin];
    const drawing = { boxes: [], labels: [], width: lefts[1] + strip + (columns.length + 1) * figure + margin, height: 0 };
    const vector = (left, top, value_of, most) => dimensions.forEach((d, i) => {
      const value = value_of(d);
      drawing.boxes.push({
        x: left + (i * strip) / dimensions.length, y: top + 3, width: strip / dimensions.length - 0.3, height: row - 6,
        colour: value > 0 ? signs.more : signs.less, opacity: Math.min(1, Math.abs(value) / most) ** 0.7,
      });
    });
    const write = (x, top, text, anchor = "end") => drawing.labels.push({ x, y: top + 14, text, anchor });
    const figures = (top, values) => values.forEach((text, i) => write(lefts[1] + strip + (i + 1) * figure, top, text));
    let top = 8;
    figures(top, [...columns.map(({ name }) => name), view.is_difference ? "change" : "weight"]);
    for (const [i, line] of lines.entries()) {
      top += row;
      write(8, top, `q ${visible_text(view.input.queries.text[view.data.queries[i]])}`, "start");
      vector(lefts[0], top, line.query_at, most_query);
      vector(lefts[1], top, (d) => line.mean[d], line.most_mean);
    }
    texts.forEach((text, j) => lines.forEach((line, i) => {
      top += row;
      if (i === 0) {
        write(8, top, visible_text(text), "start");
        vector(lefts[0], top, (d) => line.key_at(j, d), most_key);
      }
      vector(lefts[1], top, (d) => line.product_at(j, d), line.most_product);
      figures(top, [...columns.map(({ field }) => line.explained[field][j]), line.explained.weights[j]].map(figure_text));
    }));
    drawing.height = top + row + margin;
    return coloured(view.element, drawing);
  }

  /** Return head and rows of the table of a neuron view: figures and all products of each pair. */
  function table_of_neurons(view) {
    const { lines, texts, columns } = view.model;
    const dimensions = Array.from({ length: view.data.about.head_dim }, (_, d) => d);
    const names = columns.map(({ field }) => field);
    const head = ["query", "query_token", "key", "key_token", ...names, "weight", ...dimensions.map((d) => `product_${d}`)];
    const rows = lines.flatMap((line, i) => texts.map((text, j) => {
      const query = view.data.queries[i];
      const figures = [...names.map((name) => line.explained[name][j]), line.explained.weights[j]];
      return [query, view.input.queries.text[query], j, text, ...figures, ...dimensions.map((d) => line.product_at(j, d))];
    }));
    return [head, rows];
  }

  /** Return the exports of the neuron view. */
  function of_neurons(view) {
    const about = () => ({ ...view.provenance(`L${view.place.layer} H${view.place.head}`), vectors: view.data.rotary });
    return [
      ...pictures(view, () => drawing_of_neurons(view), about),
      { name: "CSV of the products", run: () => qk_atlas.export_menu.save_csv(...table_of_neurons(view), about()) },
      ...whole_file(view, "neuron_view"),
    ];
  }

  qk_atlas.inspect_exports = {
    file_address, of_model, of_neurons, drawing_of_neurons, table_of_neurons, margin, title_height, paint, coloured, pictures, table_of_lines, of_lines };
  if (typeof module !== "undefined") module.exports = qk_atlas.inspect_exports;
})();
