"""Computes the maps of all heads of an atlas: PCA at once, the others head by head in workers."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from pipeline.atlas import Atlas, read_atlas, read_cells, read_coordinates
from pipeline.errors import JobError
from pipeline.projection import METHODS, frame
from pipeline.projection.guidance import Guidance, attention_edges
from pipeline.projection.knn import Neighbours, balanced_neighbours, nearest_neighbours
from pipeline.projection.pca import project_pca
from pipeline.quality import (
    distance_dot_correlation,
    map_neighbours,
    mixing,
    sample_neighbourhoods,
)
from pipeline.records import Progress
from pipeline.sampling import N_PAIRS, sample_pairs, sample_query_rows
from pipeline.specs import MapSpec, head_key
from pipeline.store import Store

PR_SET_PDEATHSIG = 1  # of prctl(2)

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class MapSet:
    """The maps of all heads of an atlas under one description.

    Parameters
    ----------
    key : of its record.
    spec : method, dimension and what shapes it.
    """

    key: str
    spec: MapSpec


@dataclass(frozen=True)
class HeadTask:
    """What one worker process does at a time: the maps of one head that are still missing."""

    root: Path
    atlas: str
    layer: int
    head: int
    map_sets: tuple[MapSet, ...]


def open_map_set(atlas: Atlas, map_set: MapSet) -> None:
    """Note in the store that a map set is being made, so that its finished heads can be read."""
    store = atlas.capture.store
    if store.get_record(map_set.key) is None:
        store.put_record(map_set.key, _map_record(atlas, map_set, cells=None))


def project_pca_sets(atlas: Atlas, map_sets: list[MapSet], *, report: Report) -> None:
    """Compute the PCA maps of all heads, layer by layer, and publish them without quality yet."""
    store, capture = atlas.capture.store, atlas.capture
    todo = [m for m in map_sets if not is_complete(store, m)]
    if not todo:
        return
    cells: dict[MapSet, list[dict[str, Any]]] = {m: [] for m in todo}
    for layer, record in enumerate(capture.layers):
        points = np.stack([atlas.unit_points(layer, h) for h in range(record.n_heads)])
        coordinates = project_pca(points, n_components=max(m.spec.dims for m in todo))
        for map_set in todo:
            kept = np.ascontiguousarray(coordinates[..., : map_set.spec.dims])
            ref = store.put_array(kept).to_json()
            cells[map_set] += [
                {"layer": layer, "head": h, "coordinates": ref, "index": h,
                 "frame": frame(kept[h]), "quality": None}
                for h in range(record.n_heads)
            ]  # fmt: skip
        report(Progress("pca", layer + 1, len(capture.layers)))
    for map_set in todo:
        store.put_record(map_set.key, _map_record(atlas, map_set, cells=cells[map_set]))


def finish_heads(atlas: Atlas, map_sets: list[MapSet], *, n_workers: int, report: Report) -> None:
    """Compute every missing map and quality figure, head by head, in spawned processes.

    Each finished head is published at once. When all heads of a map set are there, its record is
    completed.

    Parameters
    ----------
    report : told after each head, and asked twice a second whether to go on (`Cancelled`).

    Raises
    ------
    JobError
        if a worker process dies.
    """
    store, cells = atlas.capture.store, atlas.capture.cells
    stored = [read_cells(store, map_set.key, cells) for map_set in map_sets]
    tasks = []
    for (layer, head), *found in zip(cells, *stored, strict=True):
        missing = [m for m, cell in zip(map_sets, found, strict=True) if not _is_measured(cell)]
        if missing:
            tasks.append(HeadTask(store.root, atlas.key, layer, head, tuple(missing)))
    n_cells = len(cells)

    def tell(n_left: int) -> None:
        report(Progress("maps", n_cells - n_left, n_cells))

    tell(len(tasks))
    if tasks:
        _run(tasks, n_workers=min(n_workers, len(tasks)), tell=tell)
    for map_set in map_sets:
        _complete(atlas, map_set)


def is_complete(store: Store, map_set: MapSet) -> bool:
    """Tell whether the coordinates of all heads are there."""
    record = store.get_record(map_set.key)
    return record is not None and bool(record["cells"])


def qualities(store: Store, map_set: MapSet) -> list[dict[str, float]] | None:
    """Return the quality figures of each head in cell order; None until all are there."""
    record = store.get_record(map_set.key)
    if record is None or not record["cells"] or not record["cells"][0]["quality"]:
        return None
    return [cell["quality"] for cell in record["cells"]]


def compute_head(task: HeadTask) -> None:
    """Project one head under every missing method and measure the maps. Runs in a worker."""
    store = Store(task.root)
    atlas = read_atlas(store, task.atlas)
    points = atlas.unit_points(task.layer, task.head)
    dots = np.concatenate(atlas.normalised(task.layer, task.head))
    offset, key_offset = atlas.capture.query_offset, atlas.capture.key_offset
    n_queries = atlas.capture.n_queries
    reachable = atlas.capture.reachable(task.layer, task.head)
    rows = sample_query_rows(offset, reachable, seed=0, key_offset=key_offset)
    pairs = sample_pairs(offset, reachable, n_pairs=N_PAIRS, seed=0, key_offset=key_offset)
    space = sample_neighbourhoods(points, seed=0, n_queries=n_queries)
    in_space = mixing(space.sampled, space.nearest, n_queries) | distance_dot_correlation(
        points, dots, pairs, rows, cosine=True, n_queries=n_queries
    )
    place = [(task.layer, task.head)]
    cells = [cell for m in task.map_sets for cell in read_cells(store, m.key, place)]
    context = HeadContext(atlas, task.layer, task.head, points)
    for map_set, cell in zip(task.map_sets, cells, strict=True):
        if cell is None:
            coordinates = context.project(map_set.spec)
            cell = {
                "layer": task.layer, "head": task.head, "index": None,
                "coordinates": store.put_array(coordinates).to_json(),
                "frame": frame(coordinates),
            }  # fmt: skip
        coordinates = np.asarray(read_coordinates(store, cell))
        cell["quality"] = (
            map_neighbours(coordinates, space)
            | distance_dot_correlation(
                coordinates, dots, pairs, rows, cosine=False, n_queries=n_queries
            )
            | {f"space_{name}": value for name, value in in_space.items()}
        )
        key = head_key(map_set.key, task.layer, task.head)
        objects = {"coordinates": cell["coordinates"]}
        store.put_record(key, {"kind": "head", "cell": cell, "objects": objects})


class HeadContext:
    """What the maps of one head share: neighbours and attention edges, made when first needed."""

    def __init__(self, atlas: Atlas, layer: int, head: int, points: NDArray[np.float32]) -> None:
        self._atlas, self._layer, self._head = atlas, layer, head
        self._points = points
        self._neighbours = cache(self._find_neighbours)

    def project(self, spec: MapSpec) -> NDArray[np.float32]:
        """Compute one map."""
        return METHODS[spec.method](
            self._points,
            self._neighbours(spec.neighbours),
            n_components=spec.dims,
            seed=spec.seed,
            guidance=Guidance(spec.guidance, self._edges) if spec.guidance else None,
        )

    def _find_neighbours(self, kind: str) -> Neighbours:
        find = balanced_neighbours if kind == "balanced" else nearest_neighbours
        return find(self._points)

    @cached_property
    def _edges(self) -> csr_array:
        capture = self._atlas.capture
        query, key, weights = capture.strong_pairs(self._layer, self._head)
        return attention_edges(
            query, capture.n_queries + key, weights, n_points=self._points.shape[0]
        )


def _is_measured(cell: dict[str, Any] | None) -> bool:
    return cell is not None and cell["quality"] is not None


def _complete(atlas: Atlas, map_set: MapSet) -> None:
    """Write the record of a map set whose heads are all there."""
    store = atlas.capture.store
    if qualities(store, map_set) is not None:
        return
    cells = [cell for cell in read_cells(store, map_set.key, atlas.capture.cells) if cell]
    if len(cells) < len(atlas.capture.cells) or not all(map(_is_measured, cells)):
        raise JobError(f"some heads of {map_set.spec.name} are missing; build the atlas again")
    store.put_record(map_set.key, _map_record(atlas, map_set, cells=cells))


def _map_record(
    atlas: Atlas, map_set: MapSet, *, cells: list[dict[str, Any]] | None
) -> dict[str, Any]:
    return {
        "kind": "map", "key": map_set.key, "atlas": atlas.key, "capture": atlas.record["capture"],
        **asdict(map_set.spec), "cells": cells,
        "objects": {"coordinates": [cell["coordinates"] for cell in cells or []]},
    }  # fmt: skip


def _run(tasks: list[HeadTask], *, n_workers: int, tell: Callable[[int], None]) -> None:
    with _pool(n_workers) as pool:
        waiting = {pool.submit(compute_head, task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            tell(len(waiting))


@contextmanager
def _pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give spawned one-thread processes; none is left when the block is left by an error."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_one_thread)
    try:
        yield pool
        pool.shutdown()
    except BrokenProcessPool as error:
        raise JobError(
            "a projection process ended unexpectedly, probably out of memory; what is finished is "
            "kept. Close other programs and build again"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _one_thread() -> None:
    """Threads inside a head scale badly; one process a core does not."""
    # Linux ends the process with its parent: killed for memory, that cannot do it itself.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    threadpool_limits(1)
    os.nice(5)  # the page stays quick while heads are computed
