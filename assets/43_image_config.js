"use strict";
// What the image view is told beside tokens and weights.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Return the part of its config that only the image view has.
   * @param {object} atlas as `describe` in app/opening.py returns it
   * @param {{sequence: number|null, layer: number, head: number}} view
   * @param {string} [label] of the image
   */
  function of(atlas, { sequence, layer, head }, label) {
    return {
      image_url: `/api/${atlas.capture}/image/${sequence}.png`,
      label_source: atlas.labels?.source ?? "",
      provenance: { ...atlas.provenance, head: `L${layer} H${head} ${label ?? ""}`.trim() },
    };
  }

  /** Return the address of the tokens of an atlas; another one when its patches are labelled anew. */
  function tokens_url({ capture, labels }) {
    return `/api/${capture}/tokens.json${labels ? `?labels=${labels.fingerprint}` : ""}`;
  }

  qk_atlas.image_config = { of, tokens_url };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_config;
})();
