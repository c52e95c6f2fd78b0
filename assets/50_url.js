"use strict";
// The query of the address: what differs from the default view, in a fixed order. The format and
// the defaults are those of app/view_state.py, where an address is read and checked.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const encode = (value) => encodeURIComponent(String(value)).replaceAll("%2F", "/");

  /**
   * Return the query of a view, without "?".
   * @param {Object<string, string|number|null>} state may lack names; unknown ones are left out
   * @param {Object<string, string|number|null>} defaults every known name, in the order of writing:
   *   `dataclasses.asdict(ViewState())`
   * @returns {string}
   */
  function query_of(state, defaults) {
    return Object.keys(defaults)
      .filter((name) => (state[name] ?? null) !== null)
      .filter((name) => String(state[name]) !== String(defaults[name]))
      .map((name) => `${name}=${encode(state[name])}`)
      .join("&");
  }

  /**
   * Return a query with some values changed.
   * @param {string} query with or without "?"
   * @param {Object<string, string|number|null>} changes null takes a name out
   * @param {Object<string, string|number|null>} defaults as for `query_of`
   * @returns {string}
   */
  function merge(query, changes, defaults) {
    return query_of({ ...Object.fromEntries(new URLSearchParams(query)), ...changes }, defaults);
  }

  /**
   * Show a query in the address: no history entry, and Dash does not lay the page out again, as it
   * would after a change through dcc.Location.
   * @param {string} query without "?"
   */
  function write(query) {
    const { pathname, search, hash } = globalThis.location;
    const wanted = query ? `?${query}` : "";
    // Browsers allow about ten writes a second, so none is spent on what is there already.
    if (wanted === search) return;
    globalThis.history.replaceState(globalThis.history.state, "", pathname + wanted + hash);
  }

  qk_atlas.url = { query_of, merge, write };
  if (typeof module !== "undefined") module.exports = qk_atlas.url;
})();
