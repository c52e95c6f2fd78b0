"use strict";
// What is said of a live input and how its edits add up. Pure functions.

(() => {
  const qk_atlas = (globalThis.qk_atlas ??= {});

  const characters_max = 20_000;
  const image_bytes_max = 8 * 2 ** 20;
  const stages = { prepare: "preparing the model", load: "loading the model", capture: "running the model" };

  /**
   * Return how a job stands in words.
   * @param {{state: string, position: number|null, stage: string, message: string}} job
   */
  function told(job) {
    if (job.is_stopping && job.state === "running") return "stopping";
    if (job.state === "queued") {
      return job.position ? `waiting, ${job.position} before it` : "waiting for the worker";
    }
    if (job.state === "running") return job.stage === "prepare" && job.message
      ? job.message : stages[job.stage] ?? "starting";
    return { done: "", cancelled: "cancelled" }[job.state] ?? "";
  }

  /** Return why a text cannot be run, or "". */
  function text_fault(text, pair) {
    if (!text.trim()) return "Type a text first.";
    for (const one of [text, pair]) {
      if (one.length > characters_max) {
        return `This text has ${one.length.toLocaleString("en")} characters, at most `
          + `${characters_max.toLocaleString("en")} are allowed.`;
      }
    }
    return "";
  }

  /** Return why a file cannot be run, or "". */
  function file_fault({ size }) {
    if (size <= image_bytes_max) return "";
    return `This file has ${(size / 2 ** 20).toFixed(1)} MB, at most ${image_bytes_max / 2 ** 20} MB are allowed.`;
  }

  /**
   * Return all edits of an input after one more.
   * @param {[number, string|null][]} edits
   * @param {number} position
   * @param {string|null|undefined} word null masks, undefined takes the edit back
   */
  function edited(edits, position, word) {
    const others = edits.filter(([place]) => place !== position);
    return word === undefined ? others : [...others, [position, word]].sort((a, b) => a[0] - b[0]);
  }

  /** Return what masked tokens of a model become, in words. */
  function mask_words(mask, model) {
    if (!mask) return `${model} has no token that could stand for a masked one; replace tokens by words.`;
    return mask.is_own
      ? `A masked token becomes ${mask.text}, the mask that ${model} was trained with.`
      : `${model} has no mask token: ${mask.text} stands in the place of a masked one.`;
  }

  /** Return the names of the two text boxes of a model, the second null where there is one only. */
  function box_names(part) {
    return part && part !== "self"
      ? { text: "source", pair: "target", is_both: true }
      : { text: "text", pair: "second text", is_both: false };
  }

  qk_atlas.live_data = { told, text_fault, file_fault, edited, mask_words, box_names };
  if (typeof module !== "undefined") module.exports = qk_atlas.live_data;
})();
