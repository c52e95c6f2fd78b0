"use strict";
// Opens links and atlases: asks the server what an address or a choice shows, and tells Dash what of
// it is new. The link of the page is asked for at once: Dash needs a while before it can.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  // In the order of OPENED in app/callbacks/client.py.
  const outputs = [
    "models", "corpora", "parts", "encodings",
    "model", "corpus", "part", "normalisation", "guidance", "method", "dims", "encoding", "palette",
    "place", "picked", "inspect", "notices", "atlas", "has_no_parts",
  ];

  const ask = (url) => qk_atlas.stage.fetch_json(url, new AbortController().signal);

  /** Return {name: words} as the options of a dropdown. */
  function options_of(words) {
    return Object.entries(words).map(([value, label]) => ({ value, label }));
  }

  /** Return the colourings to choose from; the chosen one stays, also where it has no meaning. */
  function encoding_options(encodings, chosen) {
    const words = Object.fromEntries(
      Object.entries(encodings).map(([name, [label]]) => [name, label]));
    if (chosen) words[chosen] ??= `${chosen.replaceAll("_", " ")} (not in this atlas)`;
    return options_of(words);
  }

  /** Return what an atlas changes in the controls. */
  function of_atlas({ atlas }, encoding) {
    const parts = atlas.parts.length ? atlas.parts : qk_atlas.session.parts;
    return {
      atlas, has_no_parts: !atlas.has_parts,
      parts: options_of(Object.fromEntries(parts.map((part) => [part, part]))),
      ...(atlas.encodings && { encodings: encoding_options(atlas.encodings, encoding) }),
    };
  }

  /** Return what a link changes in the controls and stores. */
  function of_link({ view, inspect, notices, models, corpora }) {
    const { sequence, token, side, layer, head, selection } = view;
    const names = ["model", "corpus", "part", "normalisation", "guidance", "method", "dims",
      "encoding", "palette"];
    return {
      ...Object.fromEntries(names.map((name) => [name, view[name]])), inspect,
      models: options_of(models), corpora: options_of(corpora),
      place: { layer, head, selection },
      picked: sequence === null || token === null ? null : { sequence, position: token, side },
      notices: notices.map((children) => (
        { type: "P", namespace: "dash_html_components", props: { children } })),
    };
  }

  /** Return the values of all outputs; Dash's sign for "as before" where one is not new. */
  function in_order(found, known) {
    const { no_update } = globalThis.dash_clientside;
    return outputs.map((name, i) => {
      const is_new = name in found && JSON.stringify(found[name]) !== JSON.stringify(known[i]);
      return is_new ? found[name] : no_update;
    });
  }

  // The link of the page, until Dash asks for it.
  let first = typeof document === "undefined" ? null
    : { search: location.search, answer: ask(`/api/open${location.search}`) };
  first?.answer.catch(() => {}); // told when Dash asks
  let n_asked = 0;

  function ask_link(search) {
    const is_first = first?.search === search;
    const answer = is_first ? first.answer : ask(`/api/open${search}`);
    first = null;
    return answer;
  }

  /**
   * Open the link of the address, else the atlas that is chosen or has grown.
   * @param {...any} known what the outputs are now
   * @returns {Promise<Array>} what they become
   */
  async function open(
    search, model, corpus, part, normalisation, guidance, _stage, job, ...known
  ) {
    const { callback_context: context, set_props } = globalThis.dash_clientside;
    const has_changed = (name) => context.triggered.some(({ prop_id }) => prop_id === name);
    const is_link = !model || has_changed("shell-location.search");
    const has_grown = has_changed("shell-stage.data");
    n_asked += 1;
    const number = n_asked;
    let found = {};
    try {
      const chosen = new URLSearchParams({ model, corpus, part, normalisation, guidance });
      const answer = await (is_link ? ask_link(search) : ask(`/api/atlas?${chosen}`));
      if (number !== n_asked) return in_order({}, known);
      const encoding = is_link ? answer.view.encoding : known[outputs.indexOf("encoding")];
      found = { ...of_atlas(answer, encoding), ...(is_link && of_link(answer)) };
      // A build that has ended stays in the status line, which says how.
      const is_other = answer.job !== (job ?? null) && (answer.job || !has_grown);
      if (is_other) set_props("shell-job", { data: answer.job });
    } catch (error) {
      set_props("shell-notices", { children: `This view could not be opened: ${error.message}.` });
    }
    return in_order(found, known);
  }

  qk_atlas.opening = { outputs, encoding_options, of_atlas, of_link, in_order, open };
  if (typeof module !== "undefined") module.exports = qk_atlas.opening;
})();
