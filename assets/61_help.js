"use strict";
// The list of keys and gestures, in a dialog over the page.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const keys = {
    matrix: {
      "arrow keys, Home, End": "move from head to head", Enter: "open the head",
      "wheel, + and -": "zoom", drag: "move the grid", 0: "whole grid again",
      "middle click": "open the head in a new tab",
    },
    head: {
      "arrow keys": "neighbour heads; on a 3-D map: turn it", "wheel, + and -": "zoom",
      drag: "move or turn the map", "Shift and drag": "lasso",
      "Shift and arrow keys": "move a 2-D map", "0 or double click": "whole map again",
      "click on a point": "its sequence", Escape: "let the chosen token go",
    },
    "sentence and aggregate": {
      "point at a token": "its weights alone; its point on the map",
      "click on a token, Space": "hide it, or show it again; rows are taken anew over the keys left",
      "click on its number, Enter": "ring it on the map, or let it go",
      "arrow keys, Home, End": "from token to token", Escape: "let the chosen token go",
    },
    inspect: {
      "click, or i, on a head's number": "show or hide it; double click or i: it alone, again: all",
      "arrow keys, Enter": "from picture to picture, at large", "click on a token": "keep its lines; its query",
      "Shift and click, or c, on a query": "compare with it", "click on a row": "choose its key",
    },
    everywhere: { "?": "this list", Tab: "from control to control" },
  };

  function make_group([place, rows]) {
    const { make } = qk_atlas.stage;
    const group = make("div", "");
    const list = make("dl", "");
    for (const [key, does] of Object.entries(rows)) {
      list.append(make("dt", "", key), make("dd", "", does));
    }
    group.append(make("h3", "", place), list);
    return group;
  }

  function open() {
    const { make } = qk_atlas.stage;
    if (document.querySelector(".qk-help")) return;
    const dialog = make("dialog", "qk-help", "", { "aria-label": "keys and gestures" });
    const groups = make("div", "qk-help-groups");
    groups.append(...Object.entries(keys).map(make_group));
    const close = make("button", "qk-button", "close", { type: "button" });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    dialog.append(make("h2", "", "Keys and gestures"), groups, close);
    document.body.append(dialog);
    dialog.showModal();
  }

  qk_atlas.help = { open };
})();
