"""What the model view costs in a browser: 12 x 12 heads on a sequence of 128 tokens.

`python -m benchmarks.model_view [--rounds 5]`: makes a BERT of 12 layers with 12 heads (narrow,
random weights: neither changes what the page has to fetch and draw) with the tokenizer of minilm,
captures sequences of 128 tokens, serves them, and measures in Chromium headless, medians: from
navigation until all thumbnails in sight are drawn, in a tab that has loaded the dashboard before,
each time another sequence; megabytes of data over the wire. Targets: 1.5 s, 3 MB. BertViz writes a
page of about 107 MB for the same.
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

from playwright.sync_api import Page, sync_playwright
from transformers import AutoTokenizer, BertConfig, BertModel

from benchmarks.atlases import open_store
from benchmarks.browser import FLAGS, wait
from benchmarks.results import conditions, write_result
from benchmarks.sentence import write_corpus
from benchmarks.serving import serving
from pipeline.build import _prepare, hub_cache
from pipeline.specs import AtlasSpec
from pipeline.store import Store

WATCH = """(() => {
  const is_seen = ({ element }) => {
    const { top, bottom } = element.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const look = () => {
    const rows = globalThis.qk_atlas?.views["inspect-model-view"]?.rows?.filter(is_seen) ?? [];
    if (rows.length && rows.every(({ element }) => "painted" in element.dataset)) {
      globalThis.ready_ms = performance.now();
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
DATA_MB = """() => performance.getEntriesByType("resource")
  .filter(({ name }) => name.includes("/api/"))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1e6"""


def make_model(folder: Path) -> Path:
    """Save a narrow BERT of 12 x 12 heads with the tokenizer of minilm."""
    minilm = _prepare(AtlasSpec("minilm", "sentences"), open_store(), hub_cache(), lambda _: None)
    tokenizer = AutoTokenizer.from_pretrained(minilm.source.folder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=192, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=192,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Build the atlas and serve it; yield the address of its model view."""
    model, corpus = make_model(folder / "bert"), write_corpus(folder / "texts.txt")
    store = Store(folder / "cache")
    spec = AtlasSpec(str(model), str(corpus), limit=12, methods=("pca",), dims=(2,))
    with serving(spec, store) as address:
        yield f"{address}/inspect/model?model={model}&corpus={corpus}"


def measure(page: Page, address: str, sequence: int) -> dict[str, float]:
    """Load the page once."""
    page.goto(f"{address}&sequence={sequence}")
    wait(page, "globalThis.ready_ms")
    state = page.evaluate("qk_atlas.views['inspect-model-view'].state()")
    if state["n_cells"] != 144:
        raise RuntimeError(f"found {state['n_cells']} thumbnails, expected 144")
    return {"ready_ms": page.evaluate("ready_ms"), "data_mb": page.evaluate(DATA_MB)}


def main() -> None:
    """Print the medians and keep them beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address, \
            sync_playwright() as play:  # fmt: skip
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.add_init_script(WATCH)
        measure(page, address, 0)
        measure(page, address, 1)
        rounds = [measure(page, address, 2 + i) for i in range(options.rounds)]
        browser.close()
    result = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    result |= {"rounds": options.rounds, "conditions": conditions()}
    write_result("model_view", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
