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
  const quality_names = { spearman: "distance against dot product, rho" };

  /**
   * Return the size of the cells: they fill the width; the whole grid fits the height where its
   * cells stay readable, otherwise it scrolls.
   * @param {number} width of the view in pixels
   * @param {number} height of the view in pixels
   * @param {number} n_rows
   * @param {number} n_columns
   * @returns {{side: number, gap: number, left: number, top: number, width: number,
   *   height: number}} side of a cell, space between cells, space for the numbers, whole grid
   *   without the numbers; pixels
   */
  function grid_layout(width, height, n_rows, n_columns) {
    const [grid_width, grid_height] = [width - edge.left - margin, height - edge.top - margin];
    const gap = grid_width / n_columns >= readable_side ? 4 : 2;
    const by_width = Math.floor((grid_width + gap) / n_columns) - gap;
    const by_height = Math.floor((grid_height + gap) / n_rows) - gap;
    const bound = by_height >= readable_side ? by_height : scrolled_side_max;
    const side = Math.max(side_min, Math.min(by_width, bound));
    const length = (count) => count * (side + gap) - gap;
    return { side, gap, ...edge, width: length(n_columns), height: length(n_rows) };
  }

  /** Return the first and the last row of which something is seen. */
  function rows_in_sight(layout, scroll_top, height, n_rows) {
    const pitch = layout.side + layout.gap;
    const first = Math.max(0, Math.floor(scroll_top / pitch));
    return { first, last: Math.min(n_rows - 1, Math.floor((scroll_top + height) / pitch)) };
  }

  /** Return the cell a key press leads to: the next one that exists in that direction, or -1. */
  function next_cell(cells, index, pressed) {
    const { layer, head } = cells[index];
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (pressed === "Home") return 0;
    if (pressed === "End") return cells.length - 1;
    if (!steps[pressed]) return -1;
    const [down, right] = steps[pressed];
    return cells.findIndex((cell) => cell.layer === layer + down && cell.head === head + right);
  }

  /**
   * Return the lines of the card of a cell.
   * @param {object|null} quality figures by name, null where the map is not computed yet
   * @returns {string[][]} (n_lines, 2) name and figure
   */
  function quality_lines(quality) {
    return Object.entries(quality ?? {}).map(([key, figure]) => {
      const name = quality_names[key] ?? key.replaceAll("_", " ");
      const is_known = typeof figure === "number";
      return [name, is_known ? figure.toFixed(2).replace("-", "−") : "not known"];
    });
  }

  /** Return the content of the card of a cell. */
  function card_content({ layer, head }, listed) {
    const { make } = qk_atlas.stage;
    const title = make("strong", "", `L${layer} H${head}`);
    if (!listed) return [title, make("p", "", "not computed yet")];
    const table = make("table", "");
    for (const [name, figure] of quality_lines(listed.quality)) {
      const row = make("tr", "");
      row.append(make("th", "", name, { scope: "row" }), make("td", "", figure));
      table.append(row);
    }
    return [title, table];
  }

  /** The links and numbers of a matrix; tells what the user does to `on_open` and `on_point`. */
  class Grid {
    constructor(config, listen) {
      const { make } = qk_atlas.stage;
      this.cells = config.cells;
      this.sheet = make("div", "qk-matrix-sheet");
      this.canvas = make("canvas", "qk-matrix-canvas", "", { "aria-hidden": "true" });
      this.links = make("nav", "qk-matrix-links", "", { "aria-label": config.label });
      this.links.append(...this.cells.map((cell, i) => this.make_link(cell, i, config.href)));
      this.sheet.append(this.make_numbers("layer", config.rows),
        this.make_numbers("head", config.columns), this.canvas, this.links);
      this.listen(listen);
    }

    make_link({ layer, head }, index, template) {
      const href = template.replace("{layer}", layer).replace("{head}", head);
      const link = qk_atlas.stage.make("a", "qk-matrix-link", "", {
        href, "aria-label": `Layer ${layer} head ${head}`, "data-index": String(index),
        tabindex: index === 0 ? "0" : "-1",
      });
      link.style.gridArea = `${layer + 1} / ${head + 1}`;
      return link;
    }

    make_numbers(kind, count) {
      const { make } = qk_atlas.stage;
      const numbers = make("div", `qk-matrix-${kind}s`, "", { "aria-hidden": "true" });
      numbers.append(...Array.from({ length: count }, (_, i) => make("span", "", String(i))));
      return numbers;
    }

    /** Tell of pointing at a cell (null for none) and of opening one. */
    listen({ on_point, on_open }) {
      const index_of = (event) => {
        const link = event.target.closest(".qk-matrix-link");
        return link ? Number(link.dataset.index) : null;
      };
      this.links.addEventListener("pointerover", (event) => on_point(index_of(event)));
      this.links.addEventListener("pointerleave", () => on_point(null));
      this.links.addEventListener("focusin", (event) => on_point(index_of(event)));
      this.links.addEventListener("focusout", () => on_point(null));
      this.links.addEventListener("click", (event) => {
        const index = index_of(event);
        // With a modifier the link is a link: a new tab or window.
        if (index === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        on_open(index);
      });
      this.links.addEventListener("keydown", (event) => {
        const next = next_cell(this.cells, index_of(event), event.key);
        if (next < 0) return;
        event.preventDefault();
        this.focus(next);
      });
    }

    /** Move the focus; of all links one can be reached by Tab. */
    focus(index) {
      this.links.querySelector('[tabindex="0"]').tabIndex = -1;
      const link = this.links.children[index];
      link.tabIndex = 0;
      link.focus();
    }

    resize(layout) {
      for (const name of ["side", "gap", "left", "top"]) {
        this.sheet.style.setProperty(`--qk-cell-${name}`, `${layout[name]}px`);
      }
      this.sheet.classList.toggle("qk-lettered", layout.side >= lettered_side);
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
    grid_layout, rows_in_sight, next_cell, quality_lines, card_content, Grid,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.matrix_grid;
})();
