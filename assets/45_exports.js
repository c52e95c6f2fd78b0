"use strict";
// What can be taken along from the matrix and from a head, and in which form.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const css_of = (colour) => `#${[0, 8, 16].map((shift) => (
    ((colour >>> shift) & 255).toString(16).padStart(2, "0"))).join("")}`;

  /** Return a mounted head as `export_menu.save_svg` draws it; patches become discs. */
  function drawing_of(view) {
    const { size, sets, placed, colours, lut, radius } = view;
    const { x, y, depth } = view.placed_css(placed);
    const values = view.values();
    const table = qk_atlas.points.colour_table(lut, view.drawn_as().ramp, view.ground, 1, false);
    const bright = sets.near && new Set(sets.near);
    const found = new Set((sets.terms ?? []).flatMap(({ chosen }) => [...chosen]));
    const is_any = bright || sets.terms;
    const shown = [...sets.all].filter((i) => x[i] >= 0 && y[i] >= 0 && x[i] <= size.width && y[i] <= size.height);
    shown.sort((a, b) => depth[b] - depth[a]);
    const circles = shown.map((i) => {
      const stands_out = bright?.has(i) || found.has(i);
      const opacity = is_any ? (stands_out ? 1 : 0.15) : 0.85;
      return { x: x[i], y: y[i], radius: stands_out ? 1.4 * radius : radius, colour: css_of(table[values[i]]), opacity };
    });
    circles.sort((a, b) => a.opacity - b.opacity);
    if (view.live_placed) {
      circles.push(...qk_atlas.head_live.circles_of(view.options.live, view.live_placed, view.live_look));
    }
    return { ...size, ...colours, circles, lines: view.line_ends ?? [], labels: view.labels ?? [] };
  }

  /** Return head and rows of the table of all points of a mounted head. */
  function table_of({ data, config }) {
    const { rows_of, columns } = qk_atlas.selection;
    const axes = ["x", "y", "z"].slice(0, config.dims);
    const rows = [...data.order.keys()].map((index) => {
      const [row] = rows_of([data.meaning_of(index)], data.tokens);
      const place = axes.map((_, d) => coordinate(data, index * config.dims + d, d));
      return [...row, ...place];
    });
    rows.sort((a, b) => a[0] - b[0]);
    return { columns: [...columns, ...axes], rows };
  }

  /** Return a coordinate of the map, from its 16 bits where its frame is known. */
  function coordinate(data, at, axis) {
    const share = data.coordinates[at] / 65535;
    const value = data.frame ? data.frame.origin[axis] + share * data.frame.span : share;
    return Number(value.toPrecision(6));
  }

  /** Return the texts beside the cells of a matrix that the page shows, and where they begin. */
  function labels_of({ grid, arrangement }) {
    const home = grid.canvas.getBoundingClientRect();
    const at = (element, text, align) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const x = { left: left + 4, center: (left + right) / 2, right }[align] - home.left;
      return { text, align, x, y: (align === "left" ? top + 8 : (top + bottom) / 2) - home.top };
    };
    if (!arrangement.is_grid) {
      return [...grid.links.children].filter((link) => !link.hidden)
        .map((link) => at(link, link.dataset.name, "left"));
    }
    const numbers = (kind, letter, align) => (
      [...grid.numbers.querySelectorAll(`.qk-matrix-${kind} span:not(:empty)`)]
        .map((span) => at(span, letter + span.textContent, align)));
    return [...numbers("heads", "H", "center"), ...numbers("layers", "L", "right")];
  }

  /** Return the part of a matrix in sight as a canvas, with its labels, at twice its size. */
  function picture_of(view) {
    const { canvas } = view.grid;
    const { left, top } = view.layout;
    const picture = document.createElement("canvas");
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [picture.width, picture.height] = [2 * (left + width + 8), 2 * (top + height)];
    const context = picture.getContext("2d");
    context.scale(2, 2);
    context.translate(left, top);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, width, height);
    const { text_2, surface } = qk_atlas.stage.read_colours(view.element);
    Object.assign(context, {
      fillStyle: text_2, strokeStyle: surface, lineWidth: 3, lineJoin: "round",
      font: "11px system-ui, sans-serif", textBaseline: "middle",
    });
    for (const { text, align, x, y } of labels_of(view)) {
      if (y <= -top || y >= height || x <= -left || x >= width) continue;
      context.textAlign = align;
      context.strokeText(text, x, y); // names of sorted heads stand on the points
      context.fillText(text, x, y);
    }
    return picture;
  }

  /** Return the exports of the matrix; `view` gives the mounted one, `about` what it shows. */
  function of_matrix(view, about) {
    const { save_png, save_csv } = qk_atlas.export_menu;
    const table = () => {
      const { data, config } = view();
      const names = qk_atlas.figures.known_figures(data.cells);
      const rows = config.cells.map(({ layer, head }, i) => (
        [layer, head, ...names.map((name) => data.cells[i]?.quality?.[name] ?? "")]));
      save_csv(["layer", "head", ...names], rows, about());
    };
    return [
      { name: "PNG", run: () => save_png(view().element, [picture_of(view())], about()) },
      { name: "CSV of the figures", run: table },
    ];
  }

  /** Return the exports of a head; `href` leads to its vectors. */
  function of_head(view, about, href) {
    const { save_png, save_svg, save_csv } = qk_atlas.export_menu;
    const table = () => {
      const { columns, rows } = table_of(view());
      save_csv(columns, rows, about());
    };
    return [
      { name: "PNG", run: () => save_png(view().element, [view().canvas, view().overlay], about()) },
      { name: "SVG", run: () => save_svg(drawing_of(view()), about()) },
      { name: "CSV of the points", run: table },
      { name: "NPZ of the vectors", run: () => { qk_atlas.export_menu.follow(href()); } },
    ];
  }

  qk_atlas.exports = { drawing_of, table_of, of_matrix, of_head };
  if (typeof module !== "undefined") module.exports = qk_atlas.exports;
})();
