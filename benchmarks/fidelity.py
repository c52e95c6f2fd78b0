"""Studies how well distance stands for attention, in the space and on the maps, and writes it up.

`python -m benchmarks.fidelity --texts FILE --images FOLDER` builds what is missing of the three
packaged models on the first 100 lines and 10 images, measures every setting of `GRID` on heads
spread over the layers and the settings of `ALL_HEADS` on all of them, and writes
`docs/fidelity.md` with its figures. Every measured map is a line of `--rows`; a run that was
stopped goes on from there. Two hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.atlases import build_vectors, open_store
from benchmarks.fidelity_report import write_report
from pipeline.atlas import Atlas, read_atlas
from pipeline.heads import HeadContext
from pipeline.normalise import Normalisation, choose_normalisation, normalise, unit_rows
from pipeline.quality import (
    distance_dot_correlation,
    map_neighbours,
    mixing,
    sample_neighbourhoods,
)
from pipeline.sampling import N_PAIRS, sample_pairs, sample_query_rows
from pipeline.specs import DEFAULT_GUIDANCE, MapSpec
from pipeline.store import Store

Float32 = NDArray[np.float32]

ROOT = Path(__file__).parent.parent
MODELS = {"minilm": "texts", "smollm2": "texts", "dinov2s": "images"}
LIMITS = {"texts": 100, "images": 10}
SPREAD_HEADS = 9
SCALES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 2.0)
GUIDANCES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
# Measured on heads spread over the layers: (normalisation, map).
GRID = [
    *(("faithful", MapSpec("tsne", 2, guidance=g)) for g in GUIDANCES),
    *(("faithful", MapSpec("tsne", 2, guidance=g, neighbours="balanced")) for g in (0.0, 0.15)),
    *(("faithful", MapSpec("umap", 2, guidance=g)) for g in (0.0, 0.15, 0.3)),
    ("faithful", MapSpec("umap", 2, neighbours="balanced")),
    ("faithful", MapSpec("pca", 2)),
    *((mode, MapSpec("tsne", 2, guidance=g)) for mode in ("paper", "none") for g in (0.0, 0.15)),
]
# Measured on every head: AttentionViz' method and our default.
ALL_HEADS = [("faithful", MapSpec("tsne", 2, guidance=g)) for g in (0.0, DEFAULT_GUIDANCE)]


@dataclass(frozen=True)
class Task:
    """One head under some settings; no settings: the joint embedding itself at every scale."""

    root: Path
    model: str
    atlas: str
    layer: int
    head: int
    settings: tuple[tuple[str, MapSpec], ...]


def main() -> None:
    """Measure what is missing and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("--texts", required=True, metavar="FILE")
    parser.add_argument("--images", required=True, metavar="FOLDER")
    parser.add_argument("--rows", type=Path, default=ROOT / "benchmarks" / "fidelity.jsonl")
    options = parser.parse_args()
    store = open_store()
    tasks = []
    for model, kind in MODELS.items():
        corpus = getattr(options, kind)
        tasks += _tasks(model, build_vectors(store, model, corpus, limit=LIMITS[kind]))
    # The heads spread over the layers first: the report can be written from them.
    tasks.sort(key=lambda task: len(task.settings) == len(ALL_HEADS))
    _measure_missing(tasks, options.rows)
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    write_report(rows, ROOT / "docs")


def _tasks(model: str, atlas: Atlas) -> Iterator[Task]:
    cells = atlas.capture.cells
    places = np.linspace(0, len(cells) - 1, SPREAD_HEADS + 2).round().astype(int)[1:-1]
    spread = {cells[place] for place in places}
    for layer, head in cells:
        settings = [ALL_HEADS, GRID, []] if (layer, head) in spread else [ALL_HEADS]
        for some in settings:
            yield Task(atlas.capture.store.root, model, atlas.key, layer, head, tuple(some))


def _measure_missing(tasks: list[Task], path: Path) -> None:
    known = set()
    if path.exists():
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        known = {(row["model"], row["layer"], row["head"], row["task"]) for row in lines}
    left = [t for t in tasks if (t.model, t.layer, t.head, len(t.settings)) not in known]
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        for rows in tqdm(pool.map(_measure, left), total=len(left)):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()


def _measure(task: Task) -> list[dict[str, Any]]:
    """Measure one head; one thread."""
    with threadpool_limits(1):
        atlas = read_atlas(Store(task.root), task.atlas)
        if task.settings:
            rows = [_measure_map(task, atlas, mode, spec) for mode, spec in task.settings]
        else:
            rows = [_measure_space(task, atlas, scale) for scale in SCALES]
    head = {"model": task.model, "layer": task.layer, "head": task.head}
    return [head | {"task": len(task.settings)} | row for row in rows]


def _measure_map(task: Task, atlas: Atlas, mode: str, spec: MapSpec) -> dict[str, Any]:
    how = atlas.normalisation(task.layer, task.head)
    if mode != "faithful":
        offset = atlas.capture.tokens.sequence_offset
        vectors = atlas.capture.vectors(task.layer, task.head)
        how = choose_normalisation(vectors, offset[:0], offset[:0], mode=mode)
    rows, points = _normalised(task, atlas, how)
    coordinates = HeadContext(atlas, task.layer, task.head, points).project(spec)
    figures = map_neighbours(coordinates, sample_neighbourhoods(points, seed=0))
    figures |= _correlation(atlas, task, coordinates, rows, cosine=False)
    return {"normalisation": mode, "scale": how.scale, "map": asdict(spec), "figures": figures}


def _measure_space(task: Task, atlas: Atlas, scale: float) -> dict[str, Any]:
    vectors = atlas.capture.vectors(task.layer, task.head)
    mean_query, mean_key = (
        rows.mean(axis=0, dtype=np.float64) for rows in (vectors.queries, vectors.keys)
    )
    shift = (scale * mean_query - mean_key / scale).astype(np.float32)
    rows, points = _normalised(task, atlas, Normalisation(scale, shift, np.empty(0)))
    space = sample_neighbourhoods(points, seed=0)
    figures = mixing(space.sampled, space.nearest, space.n_queries)
    figures |= _correlation(atlas, task, points, rows, cosine=True)
    return {"normalisation": "scale", "scale": scale, "map": None, "figures": figures}


def _normalised(task: Task, atlas: Atlas, how: Normalisation) -> tuple[Float32, Float32]:
    """Return queries and keys of a head, then their directions, (n_points, head_dim) each."""
    rows = np.concatenate(normalise(atlas.capture.vectors(task.layer, task.head), how))
    return rows, unit_rows(rows)


def _correlation(
    atlas: Atlas, task: Task, points: Float32, rows: Float32, *, cosine: bool
) -> dict[str, float]:
    offset = atlas.capture.tokens.sequence_offset
    reachable = atlas.capture.reachable(task.layer, task.head)
    pairs = sample_pairs(offset, reachable, n_pairs=N_PAIRS, seed=0)
    queries = sample_query_rows(offset, reachable, seed=0)
    return distance_dot_correlation(points, rows, pairs, queries, cosine=cosine)


if __name__ == "__main__":
    main()
