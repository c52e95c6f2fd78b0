"use strict";
// What one head has to show: its points, their tokens and, for images, the patches as pictures.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const fetches_max = 4;
  const picture_pixels_max = 16 * 2 ** 20; // of all patches together: 64 MiB
  const norm_classes = 4;

  /**
   * Return the words around a token as running text.
   * @param {{text: string[], sequence: number[]}} tokens
   * @param {number} token
   * @param {number} reach tokens shown on each side
   * @returns {{before: string, marked: string, after: string}} with an ellipsis where it is cut
   */
  function snippet(tokens, token, reach) {
    const is_same = (other) => tokens.sequence[other] === tokens.sequence[token];
    const around = (from, to) => {
      const pieces = [];
      for (let i = from; i < to; i += 1) if (is_same(i)) pieces.push(i);
      return pieces;
    };
    const before = around(token - reach, token);
    const after = around(token + 1, token + 1 + reach);
    const is_spaced = [...before, token, ...after].some((i) => tokens.text[i].startsWith(" "));
    const join = (pieces) => pieces.map((i) => {
      const text = tokens.text[i];
      if (is_spaced) return text;
      return text.startsWith("##") ? text.slice(2) : ` ${text}`;
    }).join("");
    const [, space, marked] = /^(\s*)(.*)$/su.exec(join([token]));
    return {
      before: (is_same(token - reach - 1) ? "…" : "") + join(before) + space,
      marked,
      after: join(after) + (is_same(token + 1 + reach) ? " …" : ""),
    };
  }

  /** Return the size class of every norm (n_points) uint8, 0 for the smallest of its side. */
  function norm_classes_of(norms) {
    return norms.map((norm) => ((norm & 127) * norm_classes) >> 7);
  }

  /** Return the side in pixels at which all patches can be kept as pictures. */
  function picture_side(wanted, n_patches) {
    return Math.max(1, Math.min(wanted, Math.floor(Math.sqrt(picture_pixels_max / n_patches))));
  }

  /** The data of a head as far as it is here; per-point arrays are in draw order. */
  class HeadData {
    constructor(config) {
      this.config = config;
      this.images = new Map(); // sequence -> ImageBitmap
    }

    get is_image() {
      return this.config.modality === "image";
    }

    /** Fetch the points; then, for images, all pictures. `changed` is called when more is here. */
    async load(signal, changed) {
      const { capture_url, projection_url, layer, head, n_tokens } = this.config;
      const { fetch_array, fetch_json } = qk_atlas.stage;
      const [coordinates, order, attributes, norms, tokens] = await Promise.all([
        fetch_array(`${projection_url}/head/${layer}/${head}.u16`, Uint16Array, signal),
        fetch_array(`${capture_url}/order.u32`, Uint32Array, signal),
        fetch_array(`${capture_url}/attributes.u8`, Uint8Array, signal),
        fetch_array(`${capture_url}/head/${layer}/${head}/norms.u8`, Uint8Array, signal),
        fetch_json(`${capture_url}/tokens.json`, signal),
      ]);
      Object.assign(this, { order, attributes, norms, tokens, coordinates });
      this.sizes = norm_classes_of(norms);
      this.index_of = qk_atlas.find.draw_index_of(order);
      this.first_of = tokens.sequences.map(() => n_tokens);
      tokens.sequence.forEach((sequence, token) => {
        this.first_of[sequence] = Math.min(this.first_of[sequence], token);
      });
      changed();
      if (this.is_image) await this.load_images(signal, changed);
    }

    async load_images(signal, changed) {
      const missing = [...this.tokens.sequences.keys()].filter((s) => !this.images.has(s));
      await qk_atlas.stage.in_turn(missing, fetches_max, async (sequence) => {
        const url = `${this.config.capture_url}/image/${sequence}.png`;
        const response = await qk_atlas.stage.fetch_checked(url, { signal });
        this.images.set(sequence, await createImageBitmap(await response.blob()));
        changed();
      });
    }

    get is_whole() {
      return !this.is_image || this.images.size === this.tokens.sequences.length;
    }

    /** Return the draw index of the query or key of a token. */
    point_of({ token, side }) {
      return this.index_of[side === "key" ? token + this.config.n_tokens : token];
    }

    /** Return what a point is. */
    meaning_of(index) {
      const { n_tokens } = this.config;
      const point = this.order[index];
      const token = point % n_tokens;
      const side = point < n_tokens ? "query" : "key";
      const { sequence, position } = this.tokens;
      return { point, token, side, sequence: sequence[token], position: position[token] };
    }

    /** Return the patch of a token in its image: pixels, or null where there is none. */
    patch_of(token) {
      const { grid, row, column, sequence } = this.tokens;
      const image = this.images.get(sequence[token]);
      if (!image || row[token] < 0) return null;
      const [width, height] = [image.width / grid[1], image.height / grid[0]];
      return { image, x: column[token] * width, y: row[token] * height, width, height };
    }

    /**
     * Cut all patches that are here into small pictures.
     * @param {number} side in pixels; smaller ones are made where all would need too much memory
     * @returns {{side: number, pictures: Uint32Array, picture_of: Int32Array}} for `draw_pictures`
     */
    cut_pictures(side) {
      const { n_tokens } = this.config;
      const kept = picture_side(side, n_tokens);
      const pictures = new Uint32Array(n_tokens * kept * kept);
      const is_cut = new Uint8Array(n_tokens);
      for (const sequence of this.images.keys()) this.cut_image(sequence, kept, pictures, is_cut);
      const picture_of = Int32Array.from(this.order, (point) => {
        const token = point % n_tokens;
        return is_cut[token] ? token : -1;
      });
      return { side: kept, pictures, picture_of };
    }

    cut_image(sequence, side, pictures, is_cut) {
      const [rows, columns] = this.tokens.grid;
      const small = new OffscreenCanvas(columns * side, rows * side);
      const context = small.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      context.drawImage(this.images.get(sequence), 0, 0, small.width, small.height);
      const { data } = context.getImageData(0, 0, small.width, small.height);
      const pixels = new Uint32Array(data.buffer);
      const first = this.first_of[sequence];
      for (let token = first; this.tokens.sequence[token] === sequence; token += 1) {
        if (this.tokens.row[token] < 0) continue;
        is_cut[token] = 1;
        for (let row = 0; row < side; row += 1) {
          const from = (this.tokens.row[token] * side + row) * small.width
            + this.tokens.column[token] * side;
          pictures.set(pixels.subarray(from, from + side), (token * side + row) * side);
        }
      }
    }
  }

  qk_atlas.head_data = { snippet, norm_classes, norm_classes_of, picture_side, HeadData };
  if (typeof module !== "undefined") module.exports = qk_atlas.head_data;
})();
