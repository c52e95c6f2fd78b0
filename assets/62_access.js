"use strict";
// Mends what Dash's controls tell assistive technology: its radio buttons and check boxes call
// themselves options of a list, and its dropdowns take the Tab key with a hidden input.

(() => {
  const choices = ".dash-options-list:has(> label input)";
  const in_menu = ".dash-dropdown-content";

  /** Return what a group of choices is about. */
  function name_of(group) {
    const words = group.closest(".qk-field")?.querySelector(".qk-label")
      ?? group.closest("fieldset")?.querySelector("legend");
    return words?.textContent ?? "what the panel shows";
  }

  function mend_group(group) {
    const is_radio = group.querySelector("input").type === "radio";
    group.setAttribute("role", is_radio ? "radiogroup" : "group");
    group.setAttribute("aria-label", name_of(group));
    for (const label of group.querySelectorAll("label:is([role], [aria-selected])")) {
      label.removeAttribute("role");
      label.removeAttribute("aria-selected");
    }
  }

  function mend() {
    for (const group of document.querySelectorAll(`${choices}[role="listbox"]`)) {
      if (!group.closest(in_menu)) mend_group(group);
    }
    for (const label of document.querySelectorAll(`${choices} > label:is([role], [aria-selected])`)) {
      if (!label.closest(in_menu)) mend_group(label.parentElement);
    }
    for (const stop of document.querySelectorAll('.dash-dropdown-focus-target[tabindex="0"]')) {
      const button = stop.parentElement.querySelector("button.dash-dropdown");
      if (!button) continue;
      stop.tabIndex = -1;
      button.tabIndex = 0;
    }
  }

  // At once, before anybody can meet what is not mended yet.
  const observer = new MutationObserver(mend);
  observer.observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["role", "aria-selected"],
  });
})();
