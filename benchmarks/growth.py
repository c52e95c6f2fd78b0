"""How t-SNE grows with the number of points: all pairs against a grid, to 100,000 points a head.

`python -m benchmarks.growth [--points 1000,3000,10000,30000,100000]`: prints seconds of a step with
and without the grid, the error of the grid's repulsion on a finished map, and, for maps made
through the grid, seconds and quality; of maps of up to `--exact` points also those of all pairs.
`GRID_POINTS` in `pipeline/projection/tsne.py` is set from this. Points are queries and keys of the
middle head of `minilm`, on all sample texts and random words as far as they are needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.atlases import build_vectors, open_store
from benchmarks.results import conditions, write_result
from pipeline.atlas import Atlas
from pipeline.corpora import load_corpus
from pipeline.projection import tsne
from pipeline.projection.gradient import gradient
from pipeline.projection.grid import GridRepulsion
from pipeline.projection.knn import Neighbours, nearest_neighbours
from pipeline.quality import map_neighbours, sample_neighbourhoods
from pipeline.store import Store

Float32 = NDArray[np.float32]
HEAD = (3, 4)


def main() -> None:
    """Measure size by size; print one line each and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--points", default="1000,3000,10000,30000,50000,100000")
    parser.add_argument("--exact", type=int, default=10_000, help="whole maps by all pairs up to")
    options = parser.parse_args()
    sizes = [int(size) for size in options.points.split(",")]
    vectors = _large_atlas(open_store(), max(sizes)).unit_points(*HEAD)
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for n_points in sizes:
            points = _some(vectors, n_points)
            neighbours, knn_s = _clock(lambda points=points: nearest_neighbours(points))
            for dims in (2, 3):
                found = _measure(points, neighbours, dims, exact=n_points <= options.exact)
                rows.append({"n_points": n_points, "dims": dims, "knn_s": knn_s} | found)
                write_result("growth", {"rows": rows, "conditions": conditions()})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)


def _large_atlas(store: Store, n_points: int) -> Atlas:
    """Return an atlas of `minilm` with that many points: sentences put together anew."""
    sentences = load_corpus("sentences").texts
    rng = np.random.default_rng(0)
    words = [sentence.split() for sentence in sentences]
    # A sentence has about 21 tokens; those after the first 250 are two halves of others.
    lines = list(sentences)
    while 15 * len(lines) < n_points // 2:
        one, other = rng.choice(len(words), 2)
        half, rest = words[one], words[other]
        lines.append(" ".join(half[: len(half) // 2] + rest[len(rest) // 2 :]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.txt"
        path.write_text("\n".join(lines))
        return build_vectors(store, "minilm", str(path))


def _some(vectors: Float32, n_points: int) -> Float32:
    """Return queries and keys of the first tokens."""
    n_tokens = vectors.shape[0] // 2
    half = min(n_points // 2, n_tokens)
    return np.concatenate([vectors[:half], vectors[n_tokens : n_tokens + half]])


def _measure(points: Float32, neighbours: Neighbours, dims: int, *, exact: bool) -> dict[str, Any]:
    switch, row = tsne.GRID_POINTS, {}
    try:
        for name, grid_points in (("grid", 0), ("pairs", points.shape[0])):
            if name == "pairs" and not exact:
                continue
            tsne.GRID_POINTS = grid_points
            made, seconds = _clock(
                lambda: tsne.project_tsne(points, neighbours, n_components=dims, seed=0)
            )
            kept = map_neighbours(made, sample_neighbourhoods(points, seed=0))
            row[name] = {
                "map_s": seconds,
                "recall_at_10": kept["recall_at_10"],
                "trustworthiness_at_10": kept["trustworthiness_at_10"],
                "span": float(np.ptp(made, 0).max()),
            }
            if name == "grid":
                row |= _one_step(made, neighbours)
    finally:
        tsne.GRID_POINTS = switch
    return row


def _one_step(coordinates: Float32, neighbours: Neighbours) -> dict[str, float]:
    """Compare a step by all pairs with one through the grid, on a finished map."""
    positions = np.ascontiguousarray(coordinates.T)
    grid = GridRepulsion(positions.shape[0])
    nothing = tsne.joint_affinities(neighbours) * np.float32(0)
    for how in (None, grid):
        gradient(positions, nothing, grid=how)
    pairs, pairs_s = _clock(lambda: gradient(positions, nothing))
    found, grid_s = _clock(lambda: gradient(positions, nothing, grid=grid))
    error = np.sqrt(np.square(found - pairs).sum() / np.square(pairs).sum())
    return {"step_pairs_s": pairs_s, "step_grid_s": grid_s, "repulsion_error": float(error)}


def _clock(call: Any) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
