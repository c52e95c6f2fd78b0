"""What the image view costs in a browser: from the click to the picture.

`python -m benchmarks.image_view [--cache FOLDER] [--rounds 5]`: opens dinov2s on gradients (257
tokens an image; built first where the cache lacks it), clicks a patch of an image not shown
before, changes mode, and goes to the next head with the panel open. Prints medians and writes them
to `benchmarks/image_view.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import FLAGS, wait
from benchmarks.serving import serving
from pipeline.specs import AtlasSpec
from pipeline.store import Store

OUT = Path(__file__).parent / "image_view.json"
N_IMAGES = 24
# Two animation frames after the view says that it shows what was asked for, it is on the screen.
TIMED = """async ([act, shows]) => {
  const view = () => qk_atlas.views["image-view"];
  const is_done = new Function("state", `return ${shows}`);
  const start = performance.now();
  new Function("view", act)(view());
  await new Promise((done) => {
    const look = () => (view() && is_done(view().state()) ? requestAnimationFrame(done)
      : requestAnimationFrame(look));
    look();
  });
  return performance.now() - start;
}"""


def one_round(page: Page, address: str, number: int) -> dict[str, float]:
    """Measure each step once, on an image and heads of this round's own."""
    sequence, layer = number % N_IMAGES + 1, 1 + number % 10
    page.goto(
        f"{address}/head?model=dinov2s&corpus=gradients&method=pca&layer={layer}&head=1"
        f"&sequence=0&token=100"
    )
    ready = 'document.getElementById("{}")?.dataset.state === "ready"'
    for view in ("head-view", "image-view"):
        wait(page, ready.format(view))

    def timed(act: str, shows: str) -> float:
        return float(page.evaluate(TIMED, [act, f'state.state === "ready" && {shows}']))

    token = 257 * sequence + 90
    pick = (
        'qk_atlas.views["head-view"].on_event({type: "pick", side: "query", '
        f"token: {token}, sequence: {sequence}, position: 90}})"
    )
    return {
        "new_image_ms": timed(pick, "state.picked?.position === 90"),
        "other_patch_ms": timed(
            'view.pick({side: "query", position: 17})', "state.picked?.position === 17"
        ),
        "strongest_ms": timed('view.set({mode: "strongest"})', "state.counts.circle >= 0"),
        "all_flows_ms": timed('view.set({mode: "flows"})', "state.range?.[0] === 0.1"),
        "next_head_ms": timed(
            'document.querySelector("#head-bar [data-direction=right]").click()',
            'document.querySelector("#image-view h2 + span").textContent.includes("H2")',
        ),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    store = Store(options.cache)
    spec = AtlasSpec("dinov2s", "gradients", methods=("pca",), dims=(2,))
    with serving(spec, store) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        # The pages' policy forbids `new Function`, which this measure needs and they do not.
        page = browser.new_context(
            viewport={"width": 1440, "height": 900}, bypass_csp=True
        ).new_page()
        one_round(page, address, 0)  # warm
        rounds = [one_round(page, address, number) for number in range(1, options.rounds + 1)]
        browser.close()
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    OUT.write_text(json.dumps(medians, indent=2))
    for name, value in medians.items():
        print(f"{name:16} {value:7.1f}")


if __name__ == "__main__":
    main()
