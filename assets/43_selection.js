"use strict";
// The points inside a box or a lasso: how many, of which tokens, positions and sequences.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const n_listed = 12;
  const least_points = 10; // fewer make no map; pipeline/selections.py has the same

  /**
   * Count selected points.
   * @param {{token: number, side: string, sequence: number, position: number}[]} points
   * @param {{text: string[], sequences: {label: string}[]}} tokens
   * @returns {{n: number, queries: number, keys: number, tables: {title: string, n_kinds: number,
   *   rows: {name: string, queries: number, keys: number}[]}[]}} the most frequent first
   */
  function summarise(points, tokens) {
    const kinds = {
      tokens: (point) => qk_atlas.attention.visible_text(tokens.text[point.token]),
      positions: (point) => String(point.position),
      sequences: (point) => tokens.sequences[point.sequence].label,
    };
    const tables = Object.entries(kinds).map(([title, name_of]) => {
      const counts = new Map();
      for (const point of points) {
        const name = name_of(point);
        if (!counts.has(name)) counts.set(name, { name, queries: 0, keys: 0 });
        counts.get(name)[point.side === "key" ? "keys" : "queries"] += 1;
      }
      const rows = [...counts.values()];
      rows.sort((a, b) => b.queries + b.keys - a.queries - a.keys);
      return { title, n_kinds: rows.length, rows: rows.slice(0, n_listed) };
    });
    const keys = points.filter(({ side }) => side === "key").length;
    return { n: points.length, queries: points.length - keys, keys, tables };
  }

  /** Return selected points as the rows of a table. */
  function rows_of(points, tokens) {
    return points.map(({ point, token, side, sequence, position }) => [
      point, side, tokens.text[token], tokens.sequences[sequence].label, sequence, position,
    ]);
  }

  const columns = ["point", "type", "token", "label", "sequence", "position"];

  qk_atlas.selection = { summarise, rows_of, columns };
  if (typeof module !== "undefined") module.exports = qk_atlas.selection;
  if (typeof document === "undefined") return;

  const { make } = qk_atlas.stage;

  const how_to = "Choose box or lasso above the map and draw around some points, or hold Shift and "
    + "draw. What is inside is counted here.";

  class Selection {
    constructor(element, config, on_event) {
      this.element = element;
      this.on_event = on_event;
      this.points = [];
      qk_atlas.views[element.id] = this;
      this.draw(null);
    }

    /**
     * Show a selection.
     * @param {{points: object[]|null, tokens: object}} options see `summarise`; null for none
     */
    set({ points, tokens }) {
      if (points === undefined) return;
      this.points = points ?? [];
      this.summary = points && summarise(points, tokens);
      this.draw(this.summary);
    }

    draw(summary) {
      const title = make("header", "qk-panel-head");
      title.append(make("h2", "", "Selection"));
      if (!summary) {
        this.element.replaceChildren(title, make("p", "qk-panel-note", how_to));
        return;
      }
      const words = `${summary.n.toLocaleString("en")} points: `
        + `${summary.queries.toLocaleString("en")} queries, ${summary.keys.toLocaleString("en")} keys`;
      this.element.replaceChildren(title, make("p", "qk-selection-count", words, { role: "status" }),
        this.buttons(), ...summary.tables.map((table) => this.table(table)));
    }

    buttons() {
      const tools = make("div", "qk-panel-tools");
      const names = { reproject: "re-project", csv: "export CSV", clear: "clear" };
      for (const [type, words] of Object.entries(names)) {
        const button = make("button", "qk-button", words, { type: "button" });
        if (type === "reproject") {
          button.title = "lay these points out by themselves, in a map of their own";
          button.disabled = this.points.length < least_points;
        }
        button.addEventListener("click", () => this.on_event({ type }));
        tools.append(button);
      }
      return tools;
    }

    table({ title, n_kinds, rows }) {
      const table = make("table", "qk-counts");
      const shown = n_kinds > rows.length ? `${rows.length} of ${n_kinds} ${title}` : title;
      qk_atlas.panel.fill_table(table, shown, [title.slice(0, -1), "queries", "keys"],
        rows.map(({ name, queries, keys }) => [name, String(queries), String(keys)]));
      return table;
    }

    state() {
      const { n = 0, queries = 0, keys = 0 } = this.summary ?? {};
      return { n, queries, keys };
    }

    destroy() {
      this.element.replaceChildren();
      delete qk_atlas.views[this.element.id];
    }
  }

  qk_atlas.selection.mount = (element, config, on_event) => {
    qk_atlas.views[element.id]?.destroy();
    return new Selection(element, config, on_event);
  };
})();
