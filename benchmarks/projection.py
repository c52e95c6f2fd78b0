"""Compares our t-SNE and UMAP with scikit-learn's and umap-learn's defaults on the same heads.

`python -m benchmarks.projection --heads 2` prints a table to stderr and one JSON object to stdout.
Without `--atlas` it builds, or finds, the atlas of `minilm` on `sentences`. Heads are spread over
the layers. Ours run one after the other with one thread; the libraries as they come, with all
cores. Compiling and importing is not timed: both run once on few points before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.atlas import Atlas, read_atlas
from pipeline.build import build_atlas, hub_cache
from pipeline.projection import METHODS
from pipeline.projection.knn import nearest_neighbours
from pipeline.quality import map_neighbours, sample_neighbourhoods
from pipeline.specs import AtlasSpec
from pipeline.store import Store

Float32 = NDArray[np.float32]
MAPS = [("tsne", 2), ("tsne", 3), ("umap", 2), ("umap", 3)]
LIBRARIES = ("numpy", "numba", "scikit-learn", "umap-learn")
WARM_UP_POINTS = 300


def main() -> None:
    """Measure, and print the table and the object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projection", description=__doc__)
    parser.add_argument("--heads", type=int, default=6, help="how many, spread over the layers")
    parser.add_argument("--atlas", metavar="ID", help="default: minilm on sentences")
    options = parser.parse_args()
    store = Store(Path(os.environ.get("QKATLAS_CACHE") or "cache"))
    atlas = read_atlas(store, options.atlas or _build(store))
    cells = atlas.capture.cells
    chosen = np.linspace(0, len(cells) - 1, options.heads + 2).round().astype(int)[1:-1]
    rows = [_measure_head(atlas, *cells[cell]) for cell in chosen]
    print(_table(rows), file=sys.stderr)
    print(json.dumps(_summary(atlas, rows)))


def _build(store: Store) -> str:
    spec = AtlasSpec(model="minilm", corpus="sentences", methods=("pca",), dims=(2,))
    result = build_atlas(spec, store, hub_cache=hub_cache(), report=lambda progress: None)
    return str(result["atlas"])


def _measure_head(atlas: Atlas, layer: int, head: int) -> dict[str, Any]:
    """Make the four maps of one head both ways."""
    points = atlas.unit_points(layer, head)
    space = sample_neighbourhoods(points, seed=0)
    with threadpool_limits(1):
        nearest_neighbours(points[:WARM_UP_POINTS])
        neighbours, knn_s, _ = _clock(lambda: nearest_neighbours(points))
    row: dict[str, Any] = {"layer": layer, "head": head, "knn_s": knn_s, "maps": {}}
    for method, dims in MAPS:

        def ours(some: Float32, method: str = method, dims: int = dims) -> Float32:
            known = neighbours if some is points else nearest_neighbours(some)
            return METHODS[method](some, known, n_components=dims, seed=0)

        def theirs(some: Float32, method: str = method, dims: int = dims) -> Float32:
            return _library_map(some, method, dims)

        with threadpool_limits(1):
            mine = _measure(ours, points, space)
        row["maps"][f"{method}_{dims}d"] = {"ours": mine, "theirs": _measure(theirs, points, space)}
    return row


def _library_map(points: Float32, method: str, dims: int) -> Float32:
    """Run a library with its defaults, t-SNE from PCA as ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "tsne":
            from sklearn.manifold import TSNE

            result = TSNE(n_components=dims, init="pca", random_state=0).fit_transform(points)
        else:
            import umap

            result = umap.UMAP(n_components=dims).fit_transform(points)
    return np.asarray(result, dtype=np.float32)


def _measure(
    project: Callable[[Float32], Float32], points: Float32, space: Any
) -> dict[str, float]:
    project(points[:WARM_UP_POINTS])
    coordinates, wall_s, cpu_s = _clock(lambda: project(points))
    kept = map_neighbours(coordinates, space)
    return {"wall_s": wall_s, "cpu_s": cpu_s} | {
        name: kept[name] for name in ("trustworthiness_at_10", "recall_at_10")
    }


def _clock(call: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def _summary(atlas: Atlas, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the ratio of a head's four maps first: what a user waits for, on all cores.

    Our heads run side by side, one a core, so that a head costs its CPU seconds over the cores.
    """
    n_cores = os.cpu_count() or 1
    speedups, trust, recall = [], [], []
    for row in rows:
        maps = row["maps"].values()
        ours_s = (row["knn_s"] + sum(m["ours"]["cpu_s"] for m in maps)) / n_cores
        speedups.append(sum(m["theirs"]["wall_s"] for m in maps) / ours_s)
        trust += [
            m["ours"]["trustworthiness_at_10"] - m["theirs"]["trustworthiness_at_10"] for m in maps
        ]
        recall += [m["ours"]["recall_at_10"] - m["theirs"]["recall_at_10"] for m in maps]
    return {
        "speedup_median": float(np.median(speedups)),
        "trustworthiness_delta": float(np.mean(trust)),
        "recall_delta": float(np.mean(recall)),
        "atlas": atlas.key,
        "n_points": 2 * atlas.capture.n_tokens,
        "n_cores": n_cores,
        "versions": {name: version(name) for name in LIBRARIES},
        "heads": rows,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "head     map      ours CPU s  theirs s (CPU s)  trust ours theirs  recall ours theirs"
    ]
    for row in rows:
        for name, made in row["maps"].items():
            mine, other = made["ours"], made["theirs"]
            lines.append(
                f"L{row['layer']:<2} H{row['head']:<2}  {name}  {mine['cpu_s']:10.1f}"
                f"  {other['wall_s']:8.1f} ({other['cpu_s']:5.1f})"
                f"      {mine['trustworthiness']:.4f} {other['trustworthiness']:.4f}"
                f"        {mine['recall']:.4f} {other['recall']:.4f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
