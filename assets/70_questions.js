"use strict";
// What the server is asked for beside data: a search, the meaning of colours, reports on a head. A
// question that has not changed is not asked again: each answer costs the page some 10 ms.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /** Return a question, or Dash's sign for "as before" where it is the one that was asked. */
  function unless_asked(question, before) {
    const is_asked = JSON.stringify(question) === JSON.stringify(before ?? null);
    return is_asked ? globalThis.dash_clientside.no_update : question;
  }

  /** Return what is searched for, or null. */
  function sought(query, manner, atlas, before) {
    const is_search = query?.trim() && atlas?.capture;
    return unless_asked(is_search ? { query, manner, capture: atlas.capture } : null, before);
  }

  /** Return which colours are to be explained; norms of the head that is shown, else of all. */
  function meant(encoding, palette, theme, norm_scale, atlas, place, pathname, before) {
    if (!encoding) return unless_asked(null, before);
    const is_common = norm_scale === "common";
    const is_of_head = encoding === "norm" && pathname === "/head" && !is_common;
    return unless_asked({
      encoding, palette, theme, is_common, capture: atlas?.capture ?? null,
      head: is_of_head && place ? { layer: place.layer, head: place.head } : null,
      source: encoding === "label" ? atlas?.labels?.source ?? null : null,
    }, before);
  }

  /** Return which panel beside a head is to be filled, and about what; null while none is open. */
  function reported(
    tab, place, atlas, method, dims, palette, theme, made, pathname, before,
  ) {
    const is_open = pathname === "/head" && (tab === "trust" || tab === "vectors");
    if (!is_open || !palette) return unless_asked(null, before);
    const question = { tab, palette, theme };
    if (atlas?.capture && place) {
      const is_trust = tab === "trust";
      Object.assign(question, {
        atlas: atlas.atlas, layer: place.layer, head: place.head,
        selection: place.selection ?? null, made: is_trust ? made : null,
        map: atlas.maps[`${method}_${dims}`]?.key ?? null,
        guidance: method === "pca" ? null : atlas.guidance,
      });
    }
    return unless_asked(question, before);
  }

  qk_atlas.questions = { sought, meant, reported };
  if (typeof module !== "undefined") module.exports = qk_atlas.questions;
})();
