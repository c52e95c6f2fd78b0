"""What the pages cost in a browser, beside a Plotly scattergl version of the matrix.

`python -m benchmarks.browser [--rounds 5] [--sizes 72,144,1024]`: serves synthetic atlases (random
clusters, 10,000 points a head; 2,000 at 1,024 heads), drives Chromium headless over them and prints
medians; writes them to `benchmarks/browser.json`, one key a figure. The peer draws a tenth of the
points of 144 heads as one scattergl trace: with all of them it does not end within minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dash
import plotly
from playwright.sync_api import Browser, Page, sync_playwright

from app.main import create_app
from app.settings import Settings
from benchmarks.serving import listening
from benchmarks.synthetic import make_atlas
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.store import Store

OUT = Path(__file__).parent / "browser.json"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SIZES = {72: (6, 12, 5_000), 144: (12, 12, 5_000), 1024: (32, 32, 1_000)}
PEER_HEADS, PEER_POINTS = 144, 1_000
# At most so much; a run on a busy machine misses some of them.
TARGETS = {
    "matrix_144_ready_ms": 1_500, "matrix_144_first_data_mb": 0.7, "matrix_144_recolour_ms": 50,
    "matrix_144_search_ms": 50, "matrix_144_theme_ms": 50, "matrix_1024_recolour_ms": 150,
    "matrix_1024_search_ms": 150, "matrix_1024_theme_ms": 150, "head_opened_ms": 300,
    "head_hover_ms": 16, "head_lasso_ms": 50, "head_turn_ms": 1_000 / 60, "page_memory_mb": 600,
}  # fmt: skip
WATCH = """(() => {
  const look = () => {
    const state = document.getElementById("matrix-view")?.dataset.state;
    if (state === "partial" || state === "ready") globalThis.first_ms ??= performance.now();
    if (state === "ready") globalThis.ready_ms ??= performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
# Main thread until the pixels are on the canvas, of one change each.
CHANGES = """async () => {
  const view = qk_atlas.views["matrix-view"];
  const timed = (options) => {
    Object.assign(view.options, options);
    const start = performance.now();
    view.draw();
    return performance.now() - start;
  };
  await view.data.load_attribute("position", view.fetching.signal);
  const n_tokens = view.config.n_tokens;
  const hits = [Array.from({ length: Math.ceil(n_tokens / 100) }, (_, i) => i * 100)];
  const found = {
    recolour_ms: timed({ encoding: "position", ramp: "sequential" }),
    search_ms: timed({ hits }),
  };
  view.options.hits = null;
  const url = view.options.lut_url.replace("light", "dark");
  view.lut = await qk_atlas.stage.fetch_array(url, Uint8Array, view.fetching.signal);
  found.theme_ms = timed({});
  return found;
}"""
HEAD = """async () => {
  const start = performance.now();
  document.querySelectorAll(".qk-matrix-link")[1].click();
  await new Promise((done) => {
    const look = () => (document.getElementById("head-view")?.dataset.state === "ready"
      ? done() : requestAnimationFrame(look));
    look();
  });
  const opened_ms = performance.now() - start;
  const view = qk_atlas.views["head-view"];
  await new Promise((done) => { setTimeout(done, 400); });
  const { width, height } = view.size;
  let begin = performance.now();
  const [x, y] = [view.placed.x[7], view.placed.y[7]];
  const index = view.find_at({ x: x / view.ratio, y: y / view.ratio });
  view.hover(index);
  const hover_ms = performance.now() - begin;
  const corners = Array.from({ length: 200 }, (_, i) => [
    width * (0.5 + 0.45 * Math.cos(i / 31.8)), height * (0.5 + 0.45 * Math.sin(i / 31.8))]);
  begin = performance.now();
  const polygon = corners.map((corner) => corner.map((value) => value * view.ratio));
  qk_atlas.find.points_in_polygon(view.placed, polygon, view.sets.all);
  const lasso_ms = performance.now() - begin;
  return { opened_ms, hover_ms, lasso_ms };
}"""
TURN = """async () => {
  const view = qk_atlas.views["head-view"];
  const costs = [];
  for (let i = 0; i < 60; i += 1) {
    const start = performance.now();
    view.move({ ...view.camera, yaw: i / 20 });
    view.draw();
    costs.push(performance.now() - start);
    await new Promise(requestAnimationFrame);
  }
  costs.sort((a, b) => a - b);
  return costs[30];
}"""
PEER = """<!DOCTYPE html><body style="margin:0"><div id="peer"></div>
<script src="/peer.js"></script>
<script>
const n = %d * %d, x = new Float32Array(n), y = new Float32Array(n), side = new Uint8Array(n);
for (let i = 0; i < n; i += 1) {
  const head = i %% %d;
  x[i] = (head %% 12) + 0.9 * Math.random(); y[i] = Math.floor(head / 12) + 0.9 * Math.random();
  side[i] = i & 1;
}
const marker = { size: 2, color: side };
Plotly.newPlot("peer", [{ type: "scattergl", mode: "markers", x, y, marker }],
  { width: 1180, height: 800, showlegend: false })
  .then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    globalThis.ready_ms = performance.now();
  })));
globalThis.recolour = async () => {
  const start = performance.now();
  await Plotly.restyle("peer", { "marker.color": [side.map((one, i) => i %% 5)] });
  return performance.now() - start;
};
</script>"""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the synthetic atlases and the peer; yield the address."""
    store = Store(folder)
    for n_heads, (layers, heads, n_tokens) in SIZES.items():
        make_atlas(store, f"synthetic-{n_heads}", layers=layers, heads=heads, n_tokens=n_tokens)
    service = Service(store, JobTable(store), hub_cache=folder)
    app = create_app(Settings(cache=folder, hub_cache=folder), service, is_ready=lambda: True)
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

    def peer(path: str) -> Callable[..., tuple[bytes, int, dict[str, str]]]:
        page = (PEER % (PEER_HEADS, PEER_POINTS, PEER_HEADS)).encode()
        body = library.read_bytes() if path.endswith(".js") else page
        kind = "text/javascript" if path.endswith(".js") else "text/html"

        def answer(_environ: Any, start: Any) -> list[bytes]:
            start("200 OK", [("Content-Type", kind)])
            return [body]

        return answer  # type: ignore[return-value]

    peers = {path: peer(path) for path in ("/peer", "/peer.js")}

    def route(environ: Any, start: Any) -> Any:
        # Outside the app, because scattergl needs `unsafe-eval`, which the app's policy forbids.
        return peers.get(environ["PATH_INFO"], app.server.wsgi_app)(environ, start)

    with listening(route) as address:
        yield address


def measure_matrix(page: Page, address: str, n_heads: int) -> dict[str, float]:
    """Load a matrix and change its looks."""
    page.goto(f"{address}/?model=synthetic-{n_heads}&corpus=synthetic&method=pca")
    wait(page, "globalThis.ready_ms")
    found = {name: page.evaluate(f"globalThis.{name}") for name in ("first_ms", "ready_ms")}
    sizes = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter(({ name }) => name.includes("/api/") && !name.endsWith("overview.u8"))
            .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""
    )
    changes = page.evaluate(CHANGES)
    return found | changes | {"first_data_mb": sizes / 1e6}


def wait(page: Page, expression: str, timeout_s: float = 120) -> None:
    """Poll: the policy of the pages forbids Playwright's own waiting for functions."""
    for _ in range(int(timeout_s * 20)):
        if page.evaluate(f"Boolean({expression})"):
            return
        page.wait_for_timeout(50)
    raise TimeoutError(f"{expression} did not become true in {timeout_s} s")


def renderer_mb() -> float:
    """Return the resident memory of the largest renderer process of Chromium."""
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                sizes.append(int((process / "statm").read_text().split()[1]) * 4096 / 1e6)
        except (OSError, IndexError):
            continue  # ended meanwhile
    return max(sizes, default=0.0)


def one_round(browser: Browser, address: str, sizes: list[int]) -> dict[str, float]:
    """Measure everything once."""
    found: dict[str, float] = {}
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.add_init_script(WATCH)
    for n_heads in sizes:
        page = context.new_page()
        # Warm: the browser has the scripts, compiled at the second load, and a process for the tab;
        # it has no data of this atlas, but for the first.
        for _ in range(2):
            page.goto(f"{address}/about")
            wait(page, "document.querySelector('.qk-prose')")
        if n_heads == sizes[0]:
            measure_matrix(page, address, n_heads)
        for name, value in measure_matrix(page, address, n_heads).items():
            found[f"matrix_{n_heads}_{name}"] = value
        if n_heads == 144:
            found["page_memory_mb"] = renderer_mb()
            found |= {f"head_{k}": v for k, v in page.evaluate(HEAD).items()}
            page.goto(f"{address}/head?model=synthetic-144&corpus=synthetic&method=pca&dims=3")
            wait(page, "document.getElementById('head-view')?.dataset.state === 'ready'")
            found["head_turn_ms"] = page.evaluate(TURN)
        page.close()
    page = context.new_page()
    page.goto(f"{address}/peer")
    wait(page, "globalThis.ready_ms")
    found["peer_ready_ms"] = page.evaluate("globalThis.ready_ms")
    found["peer_recolour_ms"] = page.evaluate("globalThis.recolour()")
    context.close()
    return found


def main() -> None:
    """Print one JSON object and write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="72,144,1024")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address, \
            sync_playwright() as play:  # fmt: skip
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        rounds = [one_round(browser, address, sizes) for _ in range(options.rounds)]
        versions = {"chromium": browser.version, "dash": dash.__version__,
                    "plotly": version("plotly")}  # fmt: skip
        browser.close()
    medians = {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}
    if 144 in sizes:
        # The peer draws a tenth of our points.
        medians["ready_ratio"] = round(medians["peer_ready_ms"] / medians["matrix_144_ready_ms"], 2)
        medians["recolour_ratio"] = round(
            medians["peer_recolour_ms"] / medians["matrix_144_recolour_ms"], 2
        )
    missed = [name for name, most in TARGETS.items() if medians.get(name, 0) > most]
    result = medians | {"targets": TARGETS, "missed": missed, "load_average": os.getloadavg()[0],
                        "rounds": options.rounds, "versions": versions}  # fmt: skip
    OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
