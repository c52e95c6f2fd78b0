"use strict";
// The sheet of the sentence view: two columns of rows, what can be done with them, their marks.

(() => {
  const qk_atlas = globalThis.qk_atlas;

  const table_rows = 10;
  const other_sentence = Symbol("another sentence");

  const { format_weight, other_side, strongest, visible_text, weights_of } = qk_atlas.attention;
  const { moved, row_height, word_pieces } = qk_atlas.bipartite;
  const { make } = qk_atlas.stage;
  const { fill_table } = qk_atlas.panel;

  /** Build columns, canvas and curves of a view, and listen to them. */
  function build(view) {
    const { config } = view;
    view.marked = [];
    view.canvas = make("canvas", "qk-lines", "", { "aria-hidden": "true" });
    view.curves = make("canvas", "qk-curves", "", { "aria-hidden": "true" });
    view.between = make("div", "qk-between");
    view.between.append(view.canvas, view.curves);
    view.cells = { query: [], key: [] };
    view.columns = { query: make_column(view, "query"), key: make_column(view, "key") };
    const names = config.side_names ?? { query: "queries", key: "keys" };
    const sheet = make("div", "qk-bipartite");
    sheet.append(
      make("div", "qk-heading qk-of-query", names.query), make("div", "qk-heading"),
      make("div", "qk-heading qk-of-key", names.key),
      view.columns.query, view.between, view.columns.key,
    );
    view.scroll = make("div", "qk-scroll");
    view.scroll.append(sheet);
    listen(view, sheet);
  }

  function make_column(view, side) {
    const column = make("div", `qk-of-${side}`, "", {
      role: "group", "aria-label": side === "query" ? "queries" : "keys",
    });
    view.cells[side] = tokens_of(view, side).map((token) => make_row(view, side, token));
    column.append(...view.cells[side].map(({ row }) => row));
    return column;
  }

  function make_row(view, side, token) {
    const { position } = token;
    const row = make("div", "qk-row", "", { "data-side": side, "data-position": String(position) });
    const button = make("button", "", "", { type: "button", tabindex: "-1" });
    button.append(make("span", "qk-token-text"), make("span", "qk-token-weight"));
    const place = view.config.is_mean
      ? make("span", "qk-place", String(position))
      : make("button", "qk-place", String(position), {
        type: "button", tabindex: "-1", title: `ring ${side} ${position} on the map`,
        "aria-label": `ring ${side} ${position} on the map`,
      });
    row.append(place, button);
    const cell = { row, button, place, shown: "", shade: 0, figure: "", is_hidden: false };
    name_row(view, cell, token);
    return cell;
  }

  /** Let a row stand for a token. */
  function name_row(view, cell, { text, special, is_piece }) {
    const kind = (special ? " qk-special" : "") + (is_piece ? " qk-piece" : "");
    cell.shown = visible_text(text);
    cell.button.className = `qk-token${kind}`;
    cell.button.title = title_of(view, cell.shown, cell.is_hidden);
    cell.button.firstChild.textContent = cell.shown;
    if (cell.figure) cell.button.lastChild.textContent = "";
    if (cell.shade) cell.button.style.setProperty("--qk-shade", 0);
    Object.assign(cell, { shade: 0, figure: "" });
  }

  /** Let the rows stand for the tokens of another sentence. */
  function refill(view) {
    qk_atlas.sentence_lines.forget(view);
    for (const side of ["query", "key"]) {
      const cells = view.cells[side];
      const tokens = tokens_of(view, side);
      for (const { row } of cells.splice(tokens.length)) row.remove();
      cells.forEach((cell, position) => name_row(view, cell, tokens[position]));
      const more = tokens.slice(cells.length).map((token) => make_row(view, side, token));
      cells.push(...more);
      view.columns[side].append(...more.map(({ row }) => row));
    }
    view.marked = view.marked.filter(({ row }) => row.isConnected);
    view.revealed = other_sentence; // scrolling now would lay the page out twice
  }

  function tokens_of({ config }, side) {
    const pieces = config.is_mean ? [] : word_pieces(config.sides[side]);
    return config.sides[side].map((token, position) => (
      { ...token, position, is_piece: pieces[position] }));
  }

  function title_of({ config }, shown, is_hidden) {
    const ring = config.is_mean ? "" : "; its number or Enter: ring on the map";
    return `${shown} — click or Space: ${is_hidden ? "show" : "hide"}${ring}`;
  }

  function place_of(event) {
    const row = event.target.closest(".qk-row");
    return row && { side: row.dataset.side, position: Number(row.dataset.position) };
  }

  function listen(view, sheet) {
    sheet.addEventListener("pointerover", (event) => view.hover(place_of(event)));
    sheet.addEventListener("pointerleave", () => view.hover(null));
    sheet.addEventListener("focusin", (event) => view.hover(place_of(event)));
    sheet.addEventListener("focusout", (event) => {
      if (!sheet.contains(event.relatedTarget)) view.hover(null);
    });
    sheet.addEventListener("click", (event) => {
      const place = place_of(event);
      if (event.target.closest(".qk-token")) view.toggle(place);
      else if (event.target.closest("button.qk-place")) view.pick(place);
    });
    sheet.addEventListener("keydown", (event) => {
      const place = place_of(event);
      if (!place) return;
      if (event.key === "Enter" && !view.config.is_mean) {
        event.preventDefault(); // else the button would be clicked, and the token hidden
        view.pick(place);
        return;
      }
      const next = moved(place, event.key, view.counts);
      if (!next) return;
      event.preventDefault();
      cell_at(view, next).button.focus();
    });
  }

  function cell_at(view, { side, position }) {
    return view.cells[side][position];
  }

  /** Strike hidden tokens through; they stay where they are, to be shown again. */
  function mark_hidden(view, hidden) {
    for (const side of ["query", "key"]) {
      view.cells[side].forEach((cell, position) => {
        const is_hidden = hidden[side][position];
        if (is_hidden === cell.is_hidden) return;
        cell.is_hidden = is_hidden;
        cell.row.classList.toggle("qk-gone", is_hidden);
        cell.button.setAttribute("aria-pressed", String(is_hidden));
        cell.button.title = title_of(view, cell.shown, is_hidden);
      });
    }
  }

  /** Mark the hot and the picked token; one of all tokens can be reached by Tab. */
  function mark_places(view) {
    const { hot, picked } = view;
    for (const { row, button, place } of view.marked) {
      row.classList.remove("qk-hot", "qk-picked");
      place.removeAttribute("aria-pressed");
      button.tabIndex = -1;
    }
    const stop = cell_at(view, hot ?? picked ?? { side: "query", position: 0 });
    stop.button.tabIndex = 0;
    view.marked = [stop];
    if (hot) stop.row.classList.add("qk-hot");
    reveal(view, picked);
    if (!picked) return;
    const cell = cell_at(view, picked);
    cell.row.classList.add("qk-picked");
    cell.place.setAttribute("aria-pressed", "true");
    view.marked.push(cell);
  }

  /** Scroll to a newly picked token: the map may pick one that is out of sight. */
  function reveal(view, picked) {
    if (view.revealed === picked) return;
    if (view.revealed === other_sentence && !picked) view.scroll.scrollTop = 0;
    view.revealed = picked;
    if (!picked) return;
    const top = picked.position * row_height;
    const { scrollTop, clientHeight } = view.scroll;
    const is_seen = top >= scrollTop && top + 2 * row_height <= scrollTop + clientHeight;
    if (!is_seen) view.scroll.scrollTop = top - clientHeight / 2;
  }

  /** Say at each row of a mean how many sequences are behind it. */
  function tell_counts(view) {
    const most = Math.max(...view.n_sequences, 1);
    view.cells.query.forEach(({ row, button }, position) => {
      const n = view.n_sequences[position];
      const behind = `${n} of ${most} sequences have a query at position ${position}`;
      let text = button.querySelector(".qk-token-count");
      if (!text) {
        text = make("span", "qk-token-count");
        button.lastChild.before(text);
      }
      text.textContent = `n=${n}`;
      row.title = behind;
    });
  }

  /** Fill the table of numbers for a place; null: say how to get one. */
  function fill_numbers(view, place, values) {
    const { numbers } = view.options;
    view.table.hidden = !numbers;
    if (!numbers) return;
    if (!place) {
      fill_table(view.table, "Point at a token to see its numbers.", [], []);
      return;
    }
    const other = other_side(place.side);
    const { sides } = view.config;
    const own = weights_of(view.weights, view.counts.key, place);
    const is_own = view.how === "";
    const rows = strongest(values, table_rows).map(({ position, weight }) => [
      visible_text(sides[other][position].text), String(position), format_weight(weight),
      ...(is_own ? [] : [format_weight(own[position])]),
    ]);
    const name = visible_text(sides[place.side][place.position].text);
    const caption = `${place.side} ${place.position} “${name}”: strongest of its `
      + (other === "key" ? "keys" : "queries");
    const before = view.config.is_mean ? "mean" : "attention";
    const headings = [other, "position", "weight", ...(is_own ? [] : [before])];
    fill_table(view.table, caption, headings, rows);
  }

  qk_atlas.sentence_sheet = { build, refill, mark_hidden, mark_places, tell_counts, fill_numbers };
})();
