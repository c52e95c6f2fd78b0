"use strict";
// Taking a view along: pictures, tables, and the menu that offers them. Every file says where it
// is from.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});
  const { make } = qk_atlas.stage;

  const caption_height = 24; // CSS pixels below a picture
  const svg_space = "http://www.w3.org/2000/svg";

  /** Return a cell of a table; text that a spreadsheet would run as a formula is disarmed. */
  function csv_cell(value) {
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /**
   * Return a table as text; where it is from stands above it, behind `#`.
   * @param {string[]} head
   * @param {(string|number)[][]} rows
   * @param {Object<string, string|number>} provenance
   */
  function csv_text(head, rows, provenance) {
    const about = Object.entries(provenance).map(([name, value]) => `# ${name}: ${value}`);
    const lines = [head, ...rows].map((row) => row.map(csv_cell).join(","));
    return `${[...about, ...lines].join("\r\n")}\r\n`;
  }

  /** Return one line that says where a picture is from. */
  function caption_of(provenance) {
    const { model, revision, corpus, method, normalisation, seed, head, selection } = provenance;
    return ["QK Atlas", head, selection && `selection ${selection.slice(0, 8)}`, `${model}${revision ? `@${String(revision).slice(0, 8)}` : ""}`, corpus,
      method, normalisation, `seed ${seed}`].filter(Boolean).join(" · ");
  }

  /** Return a file name without signs that a file system refuses. */
  function file_name({ model, corpus, head, method }, ending) {
    const parts = [model, corpus, head, method].filter(Boolean).join("-");
    return `${parts.replaceAll(/[^\w.-]+/g, "-")}.${ending}`;
  }

  function save(blob, name) {
    const link = make("a", "", "", { download: name });
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  /** Download what an address of ours gives. */
  function follow(href) {
    make("a", "", "", { href, download: "" }).click();
  }

  function save_csv(head, rows, provenance) {
    const text = csv_text(head, rows, provenance);
    save(new Blob([text], { type: "text/csv" }), file_name(provenance, "csv"));
  }

  /** Save canvases, drawn over each other, with a line below that says where they are from. */
  async function save_png(element, canvases, provenance) {
    const { surface, text_2 } = qk_atlas.stage.read_colours(element);
    // A canvas that is not on the page was painted at twice its size.
    const ratio = canvases[0].clientWidth ? canvases[0].width / canvases[0].clientWidth : 2;
    const picture = make("canvas", "");
    picture.width = canvases[0].width;
    picture.height = canvases[0].height + caption_height * ratio;
    const context = picture.getContext("2d");
    context.fillStyle = surface;
    context.fillRect(0, 0, picture.width, picture.height);
    for (const canvas of canvases) context.drawImage(canvas, 0, 0);
    context.fillStyle = text_2;
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.fillText(caption_of(provenance), 8 * ratio, picture.height - 8 * ratio);
    const blob = await new Promise((done) => { picture.toBlob(done, "image/png"); });
    save(blob, file_name(provenance, "png"));
  }

  function svg_part(tag, attributes, text = "") {
    const element = document.createElementNS(svg_space, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  /**
   * Save a map as a drawing.
   * @param {{width: number, height: number, surface: string, text: string, select: string,
   *   circles: {x: number, y: number, radius: number, colour: string, opacity: number}[],
   *   lines: number[][], labels: {x: number, y: number, text: string, anchor?: string}[],
   *   paths?: {d: string, colour: string, opacity: number, width: number, dash: string}[],
   *   boxes?: {x: number, y: number, width: number, height: number, colour: string,
   *   opacity: number}[]}} drawing
   */
  function save_svg(drawing, provenance) {
    const { width, height, surface, text, select } = drawing;
    const tall = height + caption_height;
    const root = svg_part("svg", { xmlns: svg_space, width, height: tall, viewBox: `0 0 ${width} ${tall}` });
    root.append(svg_part("desc", {}, JSON.stringify(provenance)),
      svg_part("rect", { width, height: tall, fill: surface }));
    const round = (value) => value.toFixed(1);
    for (const { x, y, radius, colour, opacity } of drawing.circles) {
      root.append(svg_part("circle", { cx: round(x), cy: round(y), r: round(radius), fill: colour, opacity }));
    }
    for (const [x1, y1, x2, y2, opacity] of drawing.lines) {
      root.append(svg_part("line", {
        x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), stroke: select,
        "stroke-width": 1.5, opacity: opacity.toFixed(3),
      }));
    }
    for (const { colour, opacity, ...box } of drawing.boxes ?? []) {
      root.append(svg_part("rect", { ...box, fill: colour, opacity: opacity.toFixed(3) }));
    }
    for (const { d, colour, opacity, width: stroke_width, dash } of drawing.paths ?? []) {
      root.append(svg_part("path", {
        d, fill: "none", stroke: colour, opacity: opacity.toFixed(3),
        "stroke-width": stroke_width.toFixed(2), ...(dash ? { "stroke-dasharray": dash } : {}),
      }));
    }
    const font = { "font-family": "system-ui, sans-serif", "font-size": 12, fill: text };
    for (const label of drawing.labels) {
      root.append(svg_part("text", {
        x: round(label.x), y: round(label.y), "text-anchor": label.anchor ?? "start", ...font,
      }, label.text));
    }
    root.append(svg_part("text", { x: 8, y: tall - 8, ...font }, caption_of(provenance)));
    const source = new XMLSerializer().serializeToString(root);
    save(new Blob([source], { type: "image/svg+xml" }), file_name(provenance, "svg"));
  }

  /**
   * Fill a menu of exports.
   * @param {HTMLElement} element
   * @param {{name: string, href?: string, run?: () => void}[]} exports a link or what is done
   */
  function fill(element, exports) {
    const menu = make("details", "qk-menu");
    const list = make("div", "qk-menu-list");
    for (const { name, href, run } of exports) {
      const item = make(href ? "a" : "button", "qk-menu-item", name);
      if (href) {
        item.href = href;
        item.download = "";
      } else {
        item.type = "button";
      }
      item.addEventListener("click", () => {
        menu.open = false;
        run?.();
      });
      list.append(item);
    }
    menu.append(make("summary", "qk-button", "export"), list);
    menu.addEventListener("focusout", (event) => {
      if (!menu.contains(event.relatedTarget)) menu.open = false;
    });
    element.replaceChildren(menu);
  }

  /**
   * Return the export of a view as one file that opens without the server, in a list; none in such
   * a file, which does not offer itself again.
   * @param {() => string} address of the file, see `add_routes` in app/standalone.py
   */
  function whole_file(address) {
    if (qk_atlas.inline?.table) return [];
    const run = () => qk_atlas.stage.make("a", "", "", { download: "", href: address() }).click();
    return [{ name: "HTML file", run }];
  }

  /** Return the address of the file of a view that shows `/api/CAPTURE/attention/0/LAYER/HEAD.f32`. */
  function panel_address(kind, weights_url) {
    const [capture, , sequence, layer, head] = weights_url.replace(".f32", "").split("/").slice(2);
    return `/export/${capture}/${kind}.html?${new URLSearchParams({ sequence, layer, head })}`;
  }

  qk_atlas.export_menu = {
    whole_file, panel_address, csv_cell, csv_text, caption_of, file_name, save, save_csv, save_png, save_svg, svg_part, follow,
    fill,
  };
  if (typeof module !== "undefined") module.exports = qk_atlas.export_menu;
})();
