"""What the sentence view costs in a browser: minilm on sequences of 128 tokens, a real atlas.

`python -m benchmarks.sentence [--rounds 5]`: builds the atlas where it is missing, serves it, and
measures in Chromium headless, medians: from the click on a point of another sentence to its lines
in the panel and on the map; from the click on the arrow to the next head until map, lines and panel
are there; frames while the pointer goes over the tokens, here and there in one column, then in the
other. Targets: 150 ms, 200 ms, 16.7 ms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.atlases import open_store
from benchmarks.browser import FLAGS, wait
from benchmarks.results import conditions, write_result
from benchmarks.serving import serving
from pipeline.corpora import load_corpus
from pipeline.specs import AtlasSpec

N_SEQUENCES = 40
N_TOKENS = 128
LOOK_MS = 600  # what somebody looks before the next click
WARM = 2  # sentences and heads before the ones that count

# Both wait frame by frame until everything shows what was asked for.
OPEN = """async (sequence) => {
  const map = qk_atlas.views["head-view"];
  const token = map.data.tokens.sequence.indexOf(sequence) + 7;
  const index = map.data.point_of({ token, side: "query" });
  const start = performance.now();
  map.find_at = () => index; // the point itself: others may cover it
  map.pick_at({ x: 0, y: 0 });
  delete map.find_at;
  await new Promise((done) => {
    const look = () => {
      const panel = qk_atlas.views["sentence-view"];
      const is_there = panel?.config.weights_url?.includes(`/attention/${sequence}/`)
        && panel.lines?.pairs.length > 0 && map.line_ends?.length > 0
        && map.options.sequence === sequence;
      if (is_there) done();
      else requestAnimationFrame(look);
    };
    look();
  });
  return performance.now() - start;
}"""
SWITCH = """async () => {
  const button = document.querySelector('.qk-arrow[data-direction="right"]:enabled')
    ?? document.querySelector('.qk-arrow[data-direction="down"]');
  const before = qk_atlas.views["head-view"];
  const start = performance.now();
  button.click();
  await new Promise((done) => {
    const look = () => {
      const map = qk_atlas.views["head-view"];
      const panel = qk_atlas.views["sentence-view"];
      const { layer, head } = map?.config ?? {};
      const is_there = map && map !== before && map.element.dataset.state === "ready"
        && map.line_ends?.length > 0 && panel?.lines?.pairs.length > 0
        && panel.config.weights_url.endsWith(`/${layer}/${head}.f32`);
      if (is_there) done();
      else requestAnimationFrame(look);
    };
    look();
  });
  return performance.now() - start;
}"""
HOVER = """async () => {
  const panel = qk_atlas.views["sentence-view"];
  const gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 120; i += 1) {
    panel.hover({ side: i < 60 ? "query" : "key", position: (i * 7) % panel.counts.query });
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  panel.hover(null);
  gaps.sort((a, b) => a - b);
  return { hover_p50_ms: gaps[60], hover_p95_ms: gaps[114] };
}"""


def write_corpus(path: Path) -> Path:
    """Write texts that minilm reads as 128 tokens or a few less."""
    words = " ".join(load_corpus("sentences").texts).replace("-", " ").split()
    # Longer texts are cut to what the model reads, so each is about as long as wanted.
    n_words = N_TOKENS - 20
    starts = [(31 * i) % (len(words) - n_words) for i in range(N_SEQUENCES)]
    path.write_text("\n".join(" ".join(words[s : s + n_words]) for s in starts), encoding="utf-8")
    return path


@contextmanager
def serve() -> Iterator[str]:
    """Build what is missing and serve it; yield the address of a head."""
    store = open_store()
    # Always the same name: an atlas is found by it.
    corpus = write_corpus(Path(tempfile.gettempdir()) / "qkatlas-128-tokens.txt")
    spec = AtlasSpec("minilm", str(corpus), methods=("pca",), dims=(2,))
    with serving(spec, store) as address:
        yield f"{address}/head?model=minilm&corpus={corpus}&method=pca&layer=2"


def measure(page: Page, address: str, rounds: int) -> dict[str, Any]:
    """Open sentences, change heads, and point at tokens."""
    page.goto(address)
    wait(page, "document.getElementById('head-view')?.dataset.state === 'ready'")
    opened, switched = [], []
    for i in range(rounds + WARM):
        opened.append(page.evaluate(OPEN, 3 * i + 1))
        page.wait_for_timeout(LOOK_MS)
    n_tokens = page.evaluate("qk_atlas.views['sentence-view'].counts.query")
    for _ in range(rounds + WARM):
        switched.append(page.evaluate(SWITCH))
        page.wait_for_timeout(LOOK_MS)
    opened, switched = opened[WARM:], switched[WARM:]
    return {
        "n_tokens": n_tokens,
        "open_ms": statistics.median(opened), "open_all_ms": opened,
        "switch_ms": statistics.median(switched), "switch_all_ms": switched,
        **page.evaluate(HOVER),
    }  # fmt: skip


def main() -> None:
    """Print the medians and keep them beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with serve() as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        found = measure(page, address, options.rounds)
        browser.close()
    result = found | {"rounds": options.rounds, "conditions": conditions()}
    write_result("sentence", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
