"use strict";
// The tokens of a live input as chips; the chosen one can be masked, replaced or restored.

(() => {
  const qk_atlas = globalThis.qk_atlas;
  const { make } = qk_atlas.stage;
  const { visible_text } = qk_atlas.attention;

  /**
   * @param {(position: number|null, word: string|null|undefined) => void} on_edit null masks,
   *   undefined restores; (null, null) restores all
   * @returns {{element: HTMLElement, set: Function}}
   */
  function make_tokens(on_edit) {
    const element = make("section", "qk-live-tokens", "", { "aria-label": "tokens of the input" });
    const title = make("h3", "", "Edit and rerun");
    const list = make("div", "qk-live-chips", "", { role: "group", "aria-label": "tokens" });
    const editor = make_editor(on_edit);
    const note = make("p", "qk-live-note");
    const all = make("button", "qk-button", "Back to the original", { type: "button" });
    all.addEventListener("click", () => on_edit(null, null));
    element.append(title, list, editor.element, note);
    title.append(all);
    let chosen = null; // position of the token that is being changed
    let shown = null;

    function make_chip({ text, special, segment, was }, position) {
      const before = was === null ? "" : `, was ${visible_text(was)}`;
      const chip = make("button", `qk-chip${special ? " qk-special" : ""}`, visible_text(text), {
        type: "button", title: `token ${position}${before}`, "data-segment": String(segment),
      });
      if (was !== null) chip.dataset.edited = "";
      chip.addEventListener("click", () => choose(chosen === position ? null : position));
      return chip;
    }

    function choose(position) {
      chosen = position;
      Array.from(list.children).forEach((chip, place) => chip.setAttribute("aria-pressed", String(place === chosen)));
      const token = chosen === null ? null : shown.tokens[chosen];
      editor.set(token && { position: chosen, token, has_mask: shown.mask !== null });
    }

    /** Show the tokens of an input, or nothing for null; while it is busy nothing can be changed. */
    function set(given, { is_busy, words }) {
      element.hidden = !given?.tokens.length;
      for (const control of element.querySelectorAll("button, input")) control.disabled = is_busy;
      if (element.hidden || given === shown) return;
      const is_edit = shown && shown.tokens.length === given.tokens.length;
      const had_focus = list.contains(document.activeElement) || editor.element.contains(document.activeElement);
      shown = given;
      note.textContent = given.compared ? `${words} The views can show the difference to the original.` : words;
      all.hidden = !given.compared;
      list.replaceChildren(...given.tokens.map(make_chip));
      choose(is_edit ? chosen : null);
      if (had_focus && chosen !== null) list.children[chosen].focus();
    }

    return { element, set };
  }

  /** Make the line in which the chosen token is changed. */
  function make_editor(on_edit) {
    const element = make("form", "qk-live-editor");
    const name = make("span", "qk-live-chosen");
    const mask = make("button", "qk-button", "Mask", { type: "button" });
    const word = make("input", "qk-live-word", "", {
      type: "text", maxlength: "100", "aria-label": "replace by", placeholder: "replace by", spellcheck: "false",
    });
    const replace = make("button", "qk-button", "Replace", { type: "submit" });
    const restore = make("button", "qk-button", "Restore", { type: "button" });
    let position = null;
    mask.addEventListener("click", () => on_edit(position, null));
    restore.addEventListener("click", () => on_edit(position, undefined));
    element.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (word.value) on_edit(position, word.value);
    });
    element.append(name, mask, word, replace, restore);

    function set(chosen) {
      element.hidden = chosen === null;
      if (chosen === null) return;
      if (chosen.position !== position) word.value = "";
      position = chosen.position;
      name.textContent = `${position} · ${visible_text(chosen.token.text)}`;
      mask.hidden = !chosen.has_mask;
      restore.hidden = chosen.token.was === null;
    }

    return { element, set };
  }

  qk_atlas.live_tokens = { make_tokens };
})();
