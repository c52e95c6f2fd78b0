"use strict";
// What one head has to show: its points, their tokens and, for images, the patches as pictures.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const fetches_max = 4;
  const picture_pixels_max = 16 * 2 ** 20; // of all patches together: 64 MiB
  const norm_classes = 4;
  const n_near = 10;
  const said_by_card = ["type", "position", "position_mod_5", "norm", "picture", "row", "column"];

  /**
   * Return the words around a token as running text; patches are no words.
   * @param {{text: string[], sequence: number[], row?: number[]}} tokens
   * @param {number} token
   * @param {number} reach tokens shown on each side
   * @returns {{before: string, marked: string, after: string}} with an ellipsis where it is cut
   */
  function snippet(tokens, token, reach) {
    const is_same = (other) => tokens.sequence[other] === tokens.sequence[token];
    const around = (from, to) => {
      const pieces = [];
      for (let i = from; i < to; i += 1) if (is_same(i) && !(tokens.row?.[i] >= 0)) pieces.push(i);
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

  let last_pictures = { capture_url: null }; // all heads of a capture show the same

  /** Return the pictures of a capture, those of the last one as they are: {images, cut}. */
  function pictures_of(capture_url) {
    if (last_pictures.capture_url !== capture_url) {
      last_pictures = { capture_url, images: new Map(), cut: null }; // sequence -> ImageBitmap
    }
    return last_pictures;
  }

  /** The data of a head as far as it is here; per-point arrays are in draw order. */
  class HeadData {
    constructor(config) {
      this.config = config;
      this.pictures = pictures_of(config.capture_url);
      this.attributes = {}; // encoding -> (n_points) uint8
    }

    /** Pictures by sequence, as far as they are here. */
    get images() {
      return this.pictures.images;
    }

    get is_image() {
      return this.config.modality === "image";
    }

    /**
     * Fetch the points; then, for images, all pictures.
     * @param {() => string} wanted encoding, which may become another one meanwhile
     * @param {AbortSignal} signal
     * @param {() => void} changed is called when more is here
     * @param {(words: string) => void} tell what is waited for
     */
    async load(wanted, signal, changed, tell) {
      await Promise.all([
        this.coordinates ?? this.load_points(signal, tell), this.load_attribute(wanted()),
      ]);
      while (!this.values_of(wanted())) await this.load_attribute(wanted());
      changed();
      if (this.is_image) await this.load_images(signal, changed);
    }

    async load_attribute(name) {
      if (name === "norm") return;
      const url = `${this.config.capture_url}/attribute/${name}.u8`;
      this.attributes[name] ??= await qk_atlas.stage.remember_array(url, Uint8Array);
    }

    /** Fetch what an encoding says of every token, unless the card of a point says it anyway. */
    async load_words(name, signal) {
      if (said_by_card.includes(name) || this.words?.name === name) return;
      const url = `${this.config.capture_url}/attribute/${name}.json`;
      this.words = { name, ...await qk_atlas.stage.fetch_json(url, signal) };
    }

    /** Return what an encoding says of a token, "" where it says nothing more. */
    words_of(encoding, token) {
      const { name, words, of_token } = this.words ?? {};
      return name === encoding ? words[of_token[token]] : "";
    }

    /** Return the values that colour the points by an encoding, or null before they are here. */
    values_of(encoding) {
      if (encoding === "norm") return this.norms ?? null;
      const values = this.attributes[encoding];
      if (!values || !this.kept) return values ?? null;
      this.picked_values ??= {};
      return (this.picked_values[encoding] ??= qk_atlas.remap.pick(values, this.kept));
    }

    async load_points(signal, tell) {
      const { capture_url, projection_url, layer, head, selection } = this.config;
      const { fetch_array, remember_array, remember_json } = qk_atlas.stage;
      const made = selection && await qk_atlas.remap.ready(selection.url, signal, tell);
      const map_url = made ? `/api/${made.key}/remap` : `${projection_url}/head/${layer}/${head}`;
      const [coordinates, order, norms, tokens, points] = await Promise.all([
        fetch_array(`${map_url}.u16`, Uint16Array, signal),
        remember_array(`${capture_url}/order.u32`, Uint32Array),
        fetch_array(`${capture_url}/head/${layer}/${head}/norms.u8`, Uint8Array, signal),
        remember_json(this.config.tokens_url ?? `${capture_url}/tokens.json`),
        selection && fetch_array(selection.points_url, Uint32Array, signal),
      ]);
      this.made = made;
      this.kept = points && qk_atlas.remap.kept_of(order, points);
      const own = (values) => (this.kept ? qk_atlas.remap.pick(values, this.kept) : values);
      this.keep({ order: own(order), norms: own(norms), tokens, coordinates });
    }

    /** Points that are shown: all of the head, or those of a selection. */
    get n_points() {
      return this.order?.length ?? this.config.n_points;
    }

    /** Return the draw indices of points by their numbers; those that are not shown are left out. */
    indices_of(points) {
      if (!this.place_of) {
        this.place_of = new Int32Array(this.config.n_points ?? this.order.length).fill(-1);
        this.order.forEach((point, index) => { this.place_of[point] = index; });
      }
      return Array.from(points, (point) => this.place_of[point]).filter((index) => index >= 0);
    }

    /** Keep the arrays of the points and what follows from them. */
    keep({ order, norms, tokens, coordinates }) {
      const { n_tokens } = this.config;
      Object.assign(this, { order, norms, tokens, coordinates });
      this.owners = qk_atlas.find.point_tokens(order, n_tokens, tokens);
      this.sizes = norm_classes_of(norms);
      // Draw index of the query and of the key of each token, -1 where it has none.
      this.index_of = [0, 1].map(() => new Int32Array(n_tokens).fill(-1));
      this.owners.token.forEach((token, index) => {
        this.index_of[this.owners.is_key[index]][token] = index;
      });
      this.first_of = tokens.sequences.map(() => n_tokens);
      tokens.sequence.forEach((sequence, token) => {
        this.first_of[sequence] = Math.min(this.first_of[sequence], token);
      });
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
      const index = this.index_of[side === "key" ? 1 : 0][token];
      return index >= 0 ? index : undefined;
    }

    /**
     * Return the ten points nearest to one in the space, and the ten nearest on the map.
     * @returns {Promise<{space: number[], map: number[]}>} draw indices
     */
    async load_near(index, signal) {
      const { near_url, dims } = this.config;
      const url = `${near_url}/${this.order[index]}.u32`;
      const nearest = await qk_atlas.stage.fetch_array(url, Uint32Array, signal);
      return {
        space: this.indices_of(nearest),
        map: qk_atlas.find.nearest_on_map(this.coordinates, dims, index, n_near),
      };
    }

    /** Return what a point is. */
    meaning_of(index) {
      const point = this.order[index];
      const token = this.owners.token[index];
      const side = this.owners.is_key[index] ? "key" : "query";
      const { sequence, position } = this.tokens;
      return { point, token, side, sequence: sequence[token], position: position[token] };
    }

    /** Whether a token is a word of a text, also one that stands with an image. */
    is_word(token) {
      const { row, special } = this.tokens;
      return !this.is_image || (row[token] < 0 && special[token] === 0);
    }

    /** Return what a token of a sequence that is image and text is: "patches", "words" or "special". */
    kind_of(token) {
      if (this.tokens.row?.[token] >= 0) return "patches";
      return this.tokens.special[token] ? "special" : "words";
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
      const wanted = `${kept} ${this.images.size}`;
      if (this.pictures.cut?.wanted !== wanted) {
        const cut = { pictures: new Uint32Array(n_tokens * kept * kept), is_cut: new Uint8Array(n_tokens) };
        for (const one of this.images.keys()) this.cut_image(one, kept, cut.pictures, cut.is_cut);
        this.pictures.cut = { wanted, ...cut };
      }
      const { pictures, is_cut } = this.pictures.cut;
      const picture_of = Int32Array.from(
        this.owners.token, (token) => (is_cut[token] ? token : -1));
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
