"use strict";
// Maps of selected points alone: asks the server for them, and cuts per-point arrays to them.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const poll_ms = 600;
  const waiting = "These points wait to be laid out by themselves.";
  const running = "These points are being laid out by themselves.";

  /** Send a POST request; what the server refuses becomes an error with its words. */
  async function post(url, body, signal) {
    const response = await fetch(url, { method: "POST", body, signal });
    if (response.ok) return response.json();
    throw new Error((await response.text()).trim() || `the server answered ${response.status}`);
  }

  /**
   * Store a selection.
   * @param {string} atlas key
   * @param {Uint32Array} points point numbers
   * @returns {Promise<string>} its key
   */
  async function keep(atlas, points) {
    return (await post(`/api/${atlas}/selection`, Uint32Array.from(points))).selection;
  }

  const pause = (signal) => new Promise((done, stop) => {
    const timer = setTimeout(done, poll_ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      stop(signal.reason);
    }, { once: true });
  });

  /**
   * Wait until a map of a selection is made.
   * @param {string} url asks for the map and tells how it stands
   * @param {AbortSignal} signal
   * @param {(words: string) => void} tell what is being waited for
   * @returns {Promise<{key: string, n_points: number, frame: object, quality: object}>}
   */
  async function ready(url, signal, tell) {
    for (;;) {
      const found = await post(url, null, signal);
      if (found.state === "ready") return found;
      if (found.state !== "queued" && found.state !== "running") {
        throw new Error(found.error || `laying them out was ${found.state}`);
      }
      tell(found.state === "queued" ? waiting : running);
      await pause(signal);
    }
  }

  /**
   * Return where the selected points are in the draw order of all points.
   * @param {Uint32Array} order (n_points) draw index -> point
   * @param {Uint32Array} points
   * @returns {Uint32Array} ascending draw indices
   */
  function kept_of(order, points) {
    const wanted = new Set(points);
    return Uint32Array.from([...order.keys()].filter((index) => wanted.has(order[index])));
  }

  /** Return the values of the kept points, in the type they have. */
  function pick(values, kept) {
    return Object.getPrototypeOf(values).constructor.from(kept, (index) => values[index]);
  }

  /** Return what a head needs to show a selection alone, or null for the whole map. */
  function config_of(atlas, view) {
    if (!view.selection) return null;
    const { layer, head, selection, method, dims, guidance } = view;
    const place = `/api/${atlas.atlas}/head/${layer}/${head}/selection/${selection}`;
    return {
      key: selection, points_url: `/api/${selection}/selection.u32`,
      url: `${place}/${method}_${dims}?guidance=${guidance}`,
    };
  }

  qk_atlas.remap = { keep, ready, kept_of, pick, config_of };
  if (typeof module !== "undefined") module.exports = qk_atlas.remap;
})();
