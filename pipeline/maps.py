"""Computes the maps of all heads of an atlas: PCA at once, the others head by head in workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, read_cells
from pipeline.errors import JobError
from pipeline.heads import HeadTask, MapSet, compute_head, new_cell, put_head
from pipeline.processes import spawned
from pipeline.projection import frame
from pipeline.projection.pca import project_pca
from pipeline.records import Progress
from pipeline.specs import MapSpec
from pipeline.store import Store
from pipeline.wanted import preferred_heads

Report = Callable[[Progress], None]


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


def finish_heads(
    atlas: Atlas, map_sets: list[MapSet], *, n_workers: int, device: str = "cpu", report: Report
) -> None:
    """Compute every missing map and quality figure in spawned processes, wanted heads first.

    Each finished map is published at once; when all heads of a map set are there, its record is
    completed. Heads that `prefer_heads` names come first; of others, 2-D t-SNE of every head comes
    before 2-D UMAP of any, and that before 3-D.

    Parameters
    ----------
    device : "cuda" lays maps out on the GPU, as far as it can.
    report : told after each round of a head, and asked twice a second whether to go on
        (`Cancelled`).

    Raises
    ------
    JobError
        if a worker process dies.
    """
    if device == "cuda":
        with spawned(n_workers) as pool:
            _use_gpu(atlas, map_sets, pool, report)
    tasks = missing_tasks(atlas, map_sets)
    n_all = len(atlas.capture.cells) * len({_round(m) for m in map_sets})
    if tasks:
        _run(atlas, tasks, n_workers=n_workers, n_all=n_all, report=report)
    report(Progress("maps", n_all, n_all))
    for map_set in map_sets:
        _complete(atlas, map_set)


def missing_tasks(atlas: Atlas, map_sets: list[MapSet]) -> list[HeadTask]:
    """Return what is still to be done, round by round: every head's first map before any second.

    PCA maps are there already and are measured in the first round.
    """
    store, cells = atlas.capture.store, atlas.capture.cells
    stored = {m: read_cells(store, m.key, cells) for m in map_sets}
    tasks = []
    for turn in sorted({_round(m) for m in map_sets}):
        chosen = [m for m in map_sets if _round(m) == turn]
        for place, (layer, head) in enumerate(cells):
            missing = tuple(m for m in chosen if not _is_measured(stored[m][place]))
            if missing:
                tasks.append(HeadTask(store.root, atlas.key, layer, head, missing))
    return tasks


def take_next(tasks: list[HeadTask], wanted: list[tuple[int, int]]) -> HeadTask:
    """Remove and return the task that is wanted most: the first of a wanted head, else the first.

    Among tasks of wanted heads, as among others, the first round of each comes before the second
    of any.

    Parameters
    ----------
    tasks : in order of rounds; not empty.
    wanted : (layer, head), the most wanted first.
    """
    rank = {place: i for i, place in enumerate(wanted)}
    urgent = [t for t in tasks if (t.layer, t.head) in rank]
    task = min(
        urgent, key=lambda t: (_round(t.map_sets[0]), rank[t.layer, t.head]), default=tasks[0]
    )
    tasks.remove(task)
    return task


def _round(map_set: MapSet) -> int:
    """PCA and 2-D t-SNE first, then 2-D UMAP, then 3-D."""
    spec = map_set.spec
    if spec.method == "pca":
        return 0
    return 2 if spec.dims == 3 else ("tsne", "umap").index(spec.method)


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


def _run(
    atlas: Atlas, tasks: list[HeadTask], *, n_workers: int, n_all: int, report: Report
) -> None:
    """Do all tasks; one more than can run is handed over, so that wishes are heard at once."""
    with spawned(min(n_workers, len(tasks))) as pool:
        running: set[Future[None]] = set()
        while tasks or running:
            report(Progress("maps", n_all - len(tasks) - len(running), n_all))
            while tasks and len(running) <= n_workers:
                running.add(pool.submit(compute_head, take_next(tasks, preferred_heads(atlas))))
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()


def _use_gpu(
    atlas: Atlas, map_sets: list[MapSet], pool: ProcessPoolExecutor, report: Report
) -> None:
    """Lay out on the GPU the maps that are missing, and publish them without quality figures."""
    from pipeline.gpu_maps import project_on_gpu  # torch takes seconds

    store = atlas.capture.store
    layouts = {m.spec: m for m in sorted(map_sets, key=_round) if m.spec.method != "pca"}
    cells = dict.fromkeys([*preferred_heads(atlas), *atlas.capture.cells])
    heads = [
        place
        for place in cells
        if any(None in read_cells(store, map_set.key, [place]) for map_set in layouts.values())
    ]
    n_done = 0

    def publish(place: tuple[int, int], spec: MapSpec, coordinates: NDArray[np.float32]) -> None:
        nonlocal n_done
        put_head(store, layouts[spec].key, new_cell(store, *place, coordinates))
        n_done += 1
        report(Progress("gpu", n_done, len(heads) * len(layouts)))

    project_on_gpu(atlas, heads, list(layouts), pool=pool, publish=publish)
