"use strict";
// The page side of the matrix: cell sizes, numbers at the edges, one real link over every cell.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const edge = { left: 32, top: 24 }; // pixels for the layer and head numbers
  const margin = 12; // pixels to the right and below; `.qk-matrix-sheet` has the same
  const readable_side = 40; // below this, scrolling is better than a grid that fits the height
  const scrolled_side_max = 128;
  const side_min = 16; // pixels; where even these do not fit, the view scrolls sideways
  const lettered_side = 28; // pixels; smaller cells have room for the bare number only
  const named_side = 150; // pixels; from here on a cell carries its name
  const drag_least = 4; // pixels; less is a click
  const blocks_max = 4;
  const worth_a_block = 1.15; // how much larger cells have to become

  /**
   * Return the size of the cells: they fill the width; the whole grid fits the height where its
   * cells stay readable, otherwise it scrolls.
   * @param {number} width of the view in pixels
   * @param {number} height of the view in pixels
   * @param {number} n_rows
   * @param {number} n_columns
   * @param {number} [zoom] factor of the side of a cell
   * @returns {{side: number, gap: number, left: number, top: number, width: number,
   *   height: number}} side of a cell, space between cells, space for the numbers, whole grid
   *   without the numbers; pixels
   */
  function grid_layout(width, height, n_rows, n_columns, zoom = 1) {
    const [grid_width, grid_height] = [width - edge.left - margin, height - edge.top - margin];
    const gap = grid_width / n_columns >= readable_side ? 4 : 2;
    const by_width = Math.floor((grid_width + gap) / n_columns) - gap;
    const by_height = Math.floor((grid_height + gap) / n_rows) - gap;
    const bound = by_height >= readable_side ? by_height : scrolled_side_max;
    const unzoomed = Math.max(side_min, Math.min(by_width, bound));
    const side = Math.max(6, Math.round(unzoomed * zoom));
    const length = (count) => count * (side + gap) - gap;
    return { side, gap, ...edge, width: length(n_columns), height: length(n_rows) };
  }

  /** Return how many columns blocks of a grid have together; one between two is for numbers. */
  const columns_of = (n_columns, n_blocks) => n_blocks * (n_columns + 1) - 1;

  /**
   * Return in how many blocks side by side the rows stand, like columns of a newspaper: a tall grid
   * in a wide view would have small cells and leave most of the view empty.
   */
  function blocks_of(width, height, n_rows, n_columns) {
    const fit = (count) => grid_layout(
      width, height, Math.ceil(n_rows / count), columns_of(n_columns, count));
    if (fit(1).height > height - edge.top - margin) return 1; // scrolls, with large cells
    let best = 1;
    for (let count = 2; count <= blocks_max; count += 1) {
      if (fit(count).side >= worth_a_block * fit(best).side) best = count;
    }
    return best;
  }

  /**
   * Place the cells as `figures.arrange` does, a grid in blocks; what is sorted fills the width.
   * @param {object} config of the matrix
   * @param {object} wanted `values` and what else `figures.arrange` takes
   * @param {number} n_blocks from `blocks_of`
   * @returns {object} as there, with `columns`, the true `n_blocks` and, as `steps`, the places
   *   in one block: arrow keys lead from the last layer of a block to the first of the next
   */
  function place_cells({ cells, rows: n_layers, columns: n_heads }, { values, ...how }, n_blocks) {
    const columns = columns_of(n_heads, n_blocks);
    const arrangement = qk_atlas.figures.arrange(cells, values, { columns, ...how });
    const { places, is_grid } = arrangement;
    if (n_blocks === 1 || !is_grid) return { ...arrangement, columns, n_blocks: 1, steps: places };
    const rows = Math.ceil(n_layers / n_blocks);
    const moved = places.map((place) => place && {
      row: place.row % rows, column: place.column + Math.floor(place.row / rows) * (n_heads + 1),
    });
    return { ...arrangement, rows, columns, n_blocks, steps: places, places: moved };
  }

  /**
   * Return how far a grid can be zoomed: out until all of it fits, in until a cell fills the view.
   * @returns {number[]} least and greatest factor
   */
  function zoom_range(width, height, n_rows, n_columns) {
    const { side, gap } = grid_layout(width, height, n_rows, n_columns);
    const fitting = (length, count) => ((length + gap) / count - gap - 0.5) / side;
    const whole = Math.min(fitting(width - edge.left - margin, n_columns),
      fitting(height - edge.top - margin, n_rows));
    const one = (Math.min(width - edge.left, height - edge.top) - margin) / side;
    return [Math.min(1, whole), Math.max(1, one)];
  }

  /** Return the first and the last row (or column) of which something is seen. */
  function rows_in_sight(layout, scrolled, length, n_rows) {
    const pitch = layout.side + layout.gap;
    const first = Math.max(0, Math.floor(scrolled / pitch));
    return { first, last: Math.min(n_rows - 1, Math.floor((scrolled + length) / pitch)) };
  }

  /**
   * Return the cell a key press leads to: the next one that exists in that direction, or -1.
   * @param {({row: number, column: number}|null)[]} places null where a cell is not shown
   * @param {number} index
   * @param {string} pressed
   */
  function next_cell(places, index, pressed) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (pressed === "Home") return places.findIndex(Boolean);
    if (pressed === "End") return places.findLastIndex(Boolean);
    if (!steps[pressed] || !places[index]) return -1;
    const { row, column } = places[index];
    const [down, right] = steps[pressed];
    return places.findIndex(
      (place) => place?.row === row + down && place.column === column + right);
  }

  /** Return the content of the card of a cell: what it is and how far it can be trusted. */
  function card_content({ layer, head }, listed, stand_in) {
    const { make } = qk_atlas.stage;
    const { text_of } = qk_atlas.figures;
    const title = make("strong", "", `L${layer} H${head}`);
    if (!listed) {
      return [title, make("p", "", stand_in ? "not computed yet; PCA is shown" : "not computed yet")];
    }
    const rows = qk_atlas.figures.by_place(listed.quality);
    if (!rows.length) return [title, make("p", "", "not measured yet")];
    const table = make("table", "");
    const names = make("tr", "");
    names.append(...["", "map", "space"].map((words) => make("th", "", words, { scope: "col" })));
    table.append(names, ...rows.map(({ name, map, space }) => {
      const row = make("tr", "");
      const figures = [map, space].map((figure) => (figure === undefined ? "" : text_of(figure)));
      row.append(make("th", "", name, { scope: "row" }), ...figures.map((text) => make("td", "", text)));
      return row;
    }));
    return [title, table];
  }

  /** The links and numbers of a matrix; tells what the user does to `on_open` and `on_point`. */
  class Grid {
    constructor(config, listen) {
      const { make } = qk_atlas.stage;
      this.config = config;
      this.sheet = make("div", "qk-matrix-sheet");
      this.canvas = make("canvas", "qk-matrix-canvas", "", { "aria-hidden": "true" });
      this.links = make("nav", "qk-matrix-links", "", { "aria-label": config.label });
      this.links.append(...config.cells.map((cell, i) => this.make_link(cell, i, config.href)));
      this.numbers = make("div", "qk-matrix-numbers", "", { "aria-hidden": "true" });
      this.sheet.append(this.numbers, this.canvas, this.links);
      this.listen(listen);
    }

    make_link({ layer, head }, index, template) {
      const href = template.replace("{layer}", layer).replace("{head}", head);
      return qk_atlas.stage.make("a", "qk-matrix-link", "", {
        href, "aria-label": `Layer ${layer} head ${head}`, "data-index": String(index),
        "data-name": `L${layer} H${head}`, tabindex: index === 0 ? "0" : "-1", draggable: "false",
      });
    }

    /** Number layers and heads, each block of layers by itself. */
    number({ rows, columns, n_blocks }) {
      const { make } = qk_atlas.stage;
      const { rows: n_layers, columns: n_heads } = this.config;
      const spans = (count, text_of) => Array.from(
        { length: count }, (_, i) => make("span", "", text_of(i)));
      const heads = make("div", "qk-matrix-heads");
      const head_of = (column) => column % (n_heads + 1);
      heads.append(...spans(columns, (i) => (head_of(i) < n_heads ? String(head_of(i)) : "")));
      this.numbers.replaceChildren(heads);
      for (let block = 0; block < n_blocks; block += 1) {
        const layers = make("div", "qk-matrix-layers");
        const first = block * rows;
        layers.append(...spans(Math.min(rows, n_layers - first), (i) => String(first + i)));
        layers.classList.toggle("qk-within", block > 0);
        layers.style.setProperty("--qk-column", block * (n_heads + 1) - 1); // the empty one before
        this.numbers.append(layers);
      }
    }

    /** Put the links where their cells are; see `place_cells`. */
    arrange(arrangement) {
      const { places, steps, is_grid, dimmed, outlined } = arrangement;
      this.places = steps;
      this.number(arrangement);
      this.sheet.classList.toggle("qk-sorted", !is_grid);
      places.forEach((place, i) => {
        const link = this.links.children[i];
        link.hidden = !place;
        if (place) link.style.gridArea = `${place.row + 1} / ${place.column + 1}`;
        link.classList.toggle("qk-dimmed", Boolean(dimmed?.[i]));
        link.classList.toggle("qk-outlined", Boolean(outlined?.[i]));
      });
      const first = this.links.querySelector('[tabindex="0"]');
      if (first?.hidden) this.make_reachable(places.findIndex(Boolean));
    }

    /** Tell of pointing at a cell (null for none), of opening one, and of moving the grid. */
    listen({ on_point, on_open, on_pan, signal }) {
      const index_of = (event) => {
        const link = event.target.closest(".qk-matrix-link");
        return link ? Number(link.dataset.index) : null;
      };
      this.links.addEventListener("pointerover", (event) => on_point(index_of(event)));
      this.links.addEventListener("pointerleave", () => on_point(null));
      this.links.addEventListener("focusin", (event) => on_point(index_of(event)));
      this.links.addEventListener("focusout", () => on_point(null));
      const was_dragged = this.listen_to_drag(on_pan, signal);
      this.links.addEventListener("click", (event) => {
        const index = index_of(event);
        if (was_dragged()) event.preventDefault();
        // With a modifier the link is a link: a new tab or window.
        if (index === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        if (!was_dragged()) on_open(index);
      });
      this.links.addEventListener("keydown", (event) => {
        const next = next_cell(this.places, index_of(event), event.key);
        if (next < 0) return;
        event.preventDefault();
        this.focus(next);
      });
    }

    /** Move the grid with the pointer. @returns {() => boolean} whether the last press did */
    listen_to_drag(on_pan, signal) {
      let last = null;
      let moved = 0;
      this.links.addEventListener("dragstart", (event) => event.preventDefault());
      this.links.addEventListener("pointerdown", (event) => {
        moved = 0;
        if (event.button === 0) last = event;
      });
      addEventListener("pointermove", (event) => {
        if (!last) return;
        const [x, y] = [event.clientX - last.clientX, event.clientY - last.clientY];
        moved += Math.hypot(x, y);
        last = event;
        if (moved >= drag_least) on_pan(x, y);
      }, { signal });
      for (const type of ["pointerup", "pointercancel"]) {
        addEventListener(type, () => { last = null; }, { signal });
      }
      return () => moved >= drag_least;
    }

    /** Move the focus; of all links one can be reached by Tab. */
    focus(index) {
      this.make_reachable(index);
      this.links.children[index].focus();
    }

    make_reachable(index) {
      const before = this.links.querySelector('[tabindex="0"]');
      if (before) before.tabIndex = -1;
      if (this.links.children[index]) this.links.children[index].tabIndex = 0;
    }

    resize(layout) {
      for (const name of ["side", "gap", "left", "top"]) {
        this.sheet.style.setProperty(`--qk-cell-${name}`, `${layout[name]}px`);
      }
      this.sheet.classList.toggle("qk-lettered", layout.side >= lettered_side);
      this.sheet.classList.toggle("qk-named", layout.side >= named_side);
    }

    /** Mark the cells whose map, (n_cells) coordinates or null, is not there yet. */
    mark_pending(maps) {
      maps.forEach((map, i) => {
        const link = this.links.children[i];
        link.classList.toggle("qk-pending", map === null);
        link.title = map === null ? "not computed yet" : "";
      });
    }
  }

  qk_atlas.matrix_grid = {
    grid_layout, blocks_of, place_cells, zoom_range, rows_in_sight, next_cell, card_content, Grid,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.matrix_grid;
})();
