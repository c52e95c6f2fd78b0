"""Compares our t-SNE and UMAP with scikit-learn's and umap-learn's defaults on the same heads.

`python -m benchmarks.projection [--heads 6]`: heads are spread over the three models and their
layers. Ours run as in a build, one head a core at a time in processes of one thread; the libraries
as they come, with all cores. Compiling and importing is not timed. The libraries take minutes a
head: each of their maps is kept in the results when it is done, and a run that was stopped goes on
from there; `--fresh` forgets them. Ours are measured in every run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.atlases import MODELS, open_atlas, open_store
from benchmarks.results import conditions, read_result, write_result
from pipeline.atlas import Atlas
from pipeline.projection import METHODS
from pipeline.projection.knn import nearest_neighbours
from pipeline.quality import map_neighbours, sample_neighbourhoods

Float32 = NDArray[np.float32]
MAPS = [("tsne", 2), ("umap", 2), ("umap", 3), ("tsne", 3)]
WARM_UP_POINTS = 300
# Above 4,096 points umap-learn finds neighbours by code of its own, which is compiled on first use.
LIBRARY_WARM_UP_POINTS = 4200
LIBRARY_KEY = "projection_libraries"
N_CORES = os.cpu_count() or 1


def main() -> None:
    """Measure head by head; print the table and the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projection", description=__doc__)
    parser.add_argument("--heads", type=int, default=6, help="how many, spread over the models")
    parser.add_argument("--fresh", action="store_true", help="forget what the libraries took")
    options = parser.parse_args()
    store = open_store()
    atlases = {model: open_atlas(store, model) for model in MODELS}
    if options.fresh:
        write_result(LIBRARY_KEY, {})
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(N_CORES, get_context("spawn"), _start_process) as pool:
        for model, layer, head in choose_heads(atlases, options.heads):
            theirs = _libraries(atlases[model], layer, head)
            rows.append({"model": model} | _measure_head(pool, atlases[model], layer, head, theirs))
            write_result("projection", _summary(rows))
            print(_lines(rows[-1]), file=sys.stderr, flush=True)
    found = read_result("projection")
    print(json.dumps({name: value for name, value in found.items() if name != "heads"}))


def choose_heads(atlases: dict[str, Atlas], n_heads: int) -> list[tuple[str, int, int]]:
    """Return (model, layer, head), one model after the other, spread over the layers of each."""
    chosen = []
    for place, (model, atlas) in enumerate(atlases.items()):
        cells = atlas.capture.cells
        count = len(range(place, n_heads, len(atlases)))
        inner = np.linspace(0, len(cells) - 1, count + 2).round().astype(int)[1:-1]
        chosen.append([(model, *cells[cell]) for cell in inner])
    longest = max(map(len, chosen))
    return [column[i] for i in range(longest) for column in chosen if i < len(column)]


def _start_process() -> None:
    """Run with one thread, compiled and imported."""
    threadpool_limits(1)
    points = np.random.default_rng(0).normal(size=(WARM_UP_POINTS, 8)).astype(np.float32)
    our_maps(points / np.linalg.norm(points, axis=1, keepdims=True))


def our_maps(points: Float32) -> tuple[dict[tuple[str, int], Float32], dict[str, float]]:
    """Make the four maps of a head as a build does; return them and the CPU seconds of each."""
    neighbours, cpu_s = _clock(time.process_time, lambda: nearest_neighbours(points))
    maps, seconds = {}, {"knn": cpu_s}
    for method, dims in MAPS:

        def project(method: str = method, dims: int = dims) -> Float32:
            return METHODS[method](points, neighbours, n_components=dims, seed=0)

        made, seconds[f"{method}_{dims}d"] = _clock(time.process_time, project)
        maps[method, dims] = made
    return maps, seconds


def _measure_head(
    pool: ProcessPoolExecutor, atlas: Atlas, layer: int, head: int, theirs: dict[str, Any]
) -> dict[str, Any]:
    points = atlas.unit_points(layer, head)
    list(pool.map(our_maps, [points[:WARM_UP_POINTS]] * N_CORES))
    copies, wall_s = _clock(time.perf_counter, lambda: list(pool.map(our_maps, [points] * N_CORES)))
    maps, cpu_s = copies[0]
    kept, quality_s = _clock(time.process_time, lambda: _quality(points, maps))
    ours = {"head_s": wall_s / N_CORES, "cpu_s": cpu_s, "quality": kept}
    return {
        "layer": layer, "head": head, "n_points": points.shape[0], "atlas": atlas.key,
        "ours": ours, "theirs": theirs,
        "speedup": sum(one["wall_s"] for one in theirs.values()) / ours["head_s"],
        # Of CPU seconds: what a busy machine disturbs least.
        "cpu_ratio": sum(one["cpu_s"] for one in theirs.values()) / sum(cpu_s.values()),
        "quality_share": quality_s / sum(cpu_s.values()),
    }  # fmt: skip


def _libraries(atlas: Atlas, layer: int, head: int) -> dict[str, Any]:
    """Return what the libraries take for each map and how good it is; kept map by map."""
    name = f"{atlas.key} L{layer} H{head}"
    points = atlas.unit_points(layer, head)
    for method, dims in MAPS:
        known = read_result(LIBRARY_KEY)
        made = known.setdefault(name, {})
        if f"{method}_{dims}d" not in made:
            _library_map(points[:LIBRARY_WARM_UP_POINTS], method, dims)
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            coordinates = _library_map(points, method, dims)
            made[f"{method}_{dims}d"] = {
                "wall_s": time.perf_counter() - began_s,
                "cpu_s": time.process_time() - began_cpu_s,
                "quality": _quality(points, {(method, dims): coordinates})[f"{method}_{dims}d"],
                "load_average": os.getloadavg()[0],
            }
            write_result(LIBRARY_KEY, known)
    found: dict[str, Any] = read_result(LIBRARY_KEY)[name]
    return found


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


def _quality(points: Float32, maps: dict[tuple[str, int], Float32]) -> dict[str, dict[str, float]]:
    """Return the neighbours that each map keeps, at the cost that a build has for them."""
    with threadpool_limits(1):
        space = sample_neighbourhoods(points, seed=0)
        return {
            f"{method}_{dims}d": map_neighbours(coordinates, space)
            for (method, dims), coordinates in maps.items()
        }


def _clock(now: Callable[[], float], call: Callable[[], Any]) -> tuple[Any, float]:
    start = now()
    result = call()
    return result, now() - start


def _difference(rows: list[dict[str, Any]], figure: str) -> float:
    """Mean of ours minus theirs over heads and maps."""
    names = [f"{method}_{dims}d" for method, dims in MAPS]
    return float(
        np.mean(
            [
                row["ours"]["quality"][name][figure] - row["theirs"][name]["quality"][figure]
                for row in rows
                for name in names
            ]
        )
    )


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratio of a head's four maps, what a user waits for on all cores, and quality."""
    return {
        "speedup_median": float(np.median([row["speedup"] for row in rows])),
        "cpu_ratio_median": float(np.median([row["cpu_ratio"] for row in rows])),
        "trustworthiness_delta": _difference(rows, "trustworthiness_at_10"),
        "recall_delta": _difference(rows, "recall_at_10"),
        "quality_share": float(np.mean([row["quality_share"] for row in rows])),
        "n_heads": len(rows),
        "conditions": conditions(),
        "heads": rows,
    }


def _lines(row: dict[str, Any]) -> str:
    head = f"{row['model']} L{row['layer']} H{row['head']}"
    ours, theirs = row["ours"], row["theirs"]
    lines = [f"{head}: {ours['head_s']:.1f} s a head, {row['speedup']:.1f} times as fast"]
    for name, one in theirs.items():
        mine, other, theirs_s = ours["quality"][name], one["quality"], one["wall_s"]
        lines.append(
            f"  {name}  ours {ours['cpu_s'][name]:5.1f} CPU s, theirs {theirs_s:6.1f} s;"
            f" trust {mine['trustworthiness_at_10']:.4f} {other['trustworthiness_at_10']:.4f};"
            f" recall {mine['recall_at_10']:.4f} {other['recall_at_10']:.4f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
