"use strict";
// Answers of the data routes that a page brings along: a file that is opened without a server.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  /**
   * Return the bytes of an address that the page brought along.
   * @param {Object<string, string>|null|undefined} table address -> bytes in base64, or "@" and the
   *   address that has the same: heads share masks and keys
   * @param {string} url
   * @returns {ArrayBuffer|null} null where the page brought nothing along: ask the server
   */
  function bytes_of(table, url) {
    if (!table) return null;
    if (!Object.hasOwn(table, url)) {
      throw new Error("this file does not hold it; open the view in the dashboard, or export it anew");
    }
    const found = table[url].startsWith("@") ? table[table[url].slice(1)] : table[url];
    return Uint8Array.from(atob(found), (character) => character.charCodeAt(0)).buffer;
  }

  qk_atlas.inline = { table: null, bytes_of };
  if (typeof module !== "undefined") module.exports = qk_atlas.inline;
})();
