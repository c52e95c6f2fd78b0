"use strict";
// What the image view is told beside tokens and weights.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Return the part of its config that only the image view has.
   * @param {object} atlas as `describe` in callbacks/atlas.py returns it
   * @param {{sequence: number|null, layer: number, head: number}} view
   * @param {string} [label] of the image
   */
  function of(atlas, { sequence, layer, head }, label) {
    return {
      image_url: `/api/${atlas.capture}/image/${sequence}.png`,
      provenance: { ...atlas.provenance, head: `L${layer} H${head} ${label ?? ""}`.trim() },
    };
  }

  qk_atlas.image_config = { of };
  if (typeof module !== "undefined") module.exports = qk_atlas.image_config;
})();
