"""The maps of one head: what a worker process computes, and how it is published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.atlas import Atlas, read_atlas, read_cells, read_coordinates
from pipeline.projection import METHODS, frame, tsne, umap
from pipeline.projection.guidance import Guidance, attention_edges
from pipeline.projection.knn import Neighbours, balanced_neighbours, nearest_neighbours
from pipeline.quality import (
    distance_dot_correlation,
    map_neighbours,
    mixing,
    sample_neighbourhoods,
)
from pipeline.sampling import N_PAIRS, sample_pairs, sample_query_rows
from pipeline.specs import MapSpec, head_key
from pipeline.store import Store


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


def compute_head(task: HeadTask) -> None:
    """Project one head under every missing method and measure the maps. Runs in a worker."""
    store = Store(task.root)
    atlas = read_atlas(store, task.atlas)
    points = atlas.unit_points(task.layer, task.head)
    dots = np.concatenate(atlas.normalised(task.layer, task.head))
    capture = atlas.capture
    offset, key_offset, n_queries = capture.query_offset, capture.key_offset, capture.n_queries
    reachable = capture.reachable(task.layer, task.head)
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
            cell = new_cell(store, task.layer, task.head, coordinates)
        coordinates = np.asarray(read_coordinates(store, cell))
        cell["quality"] = (
            map_neighbours(coordinates, space)
            | distance_dot_correlation(
                coordinates, dots, pairs, rows, cosine=False, n_queries=n_queries
            )
            | {f"space_{name}": value for name, value in in_space.items()}
        )
        put_head(store, map_set.key, cell)


class HeadContext:
    """What the maps of one head share: neighbours and attention edges, made when first needed."""

    def __init__(self, atlas: Atlas, layer: int, head: int, points: NDArray[np.float32]) -> None:
        self._atlas, self._layer, self._head = atlas, layer, head
        self._points = points
        self._neighbours = cache(self._find_neighbours)
        self._graph = cache(self._make_graph)

    def project(self, spec: MapSpec) -> NDArray[np.float32]:
        """Compute one map."""
        return METHODS[spec.method](
            self._points,
            self._neighbours(spec.neighbours),
            n_components=spec.dims,
            seed=spec.seed,
            guidance=self._guidance(spec.guidance),
        )

    def prepare(self, spec: MapSpec) -> tuple[NDArray[np.float32], csr_array]:
        """Return the first positions and the graph of a t-SNE or UMAP map, to be laid out."""
        room = {"tsne": tsne, "umap": umap}[spec.method]
        graph = self._graph(spec.method, spec.neighbours, spec.guidance)
        return room.first_positions(self._points, spec.dims), graph

    def _make_graph(self, method: str, neighbours: str, share: float) -> csr_array:
        room = {"tsne": tsne, "umap": umap}[method]
        return room.graph(self._neighbours(neighbours), self._guidance(share))

    def _guidance(self, share: float) -> Guidance | None:
        return Guidance(share, self._edges) if share else None

    def _find_neighbours(self, kind: str) -> Neighbours:
        if kind == "balanced":
            return balanced_neighbours(self._points, n_queries=self._atlas.capture.n_queries)
        return nearest_neighbours(self._points)

    @cached_property
    def _edges(self) -> csr_array:
        capture = self._atlas.capture
        query, key, weights = capture.strong_pairs(self._layer, self._head)
        return attention_edges(
            query, capture.n_queries + key, weights, n_points=self._points.shape[0]
        )


def new_cell(
    store: Store, layer: int, head: int, coordinates: NDArray[np.float32]
) -> dict[str, Any]:
    """Store the coordinates of a head; return its cell, which has no quality figures yet."""
    return {
        "layer": layer, "head": head, "index": None, "frame": frame(coordinates), "quality": None,
        "coordinates": store.put_array(coordinates).to_json(),
    }  # fmt: skip


def put_head(store: Store, map_set: str, cell: dict[str, Any]) -> None:
    """Publish a cell as part of the map set of that key."""
    key = head_key(map_set, cell["layer"], cell["head"])
    objects = {"coordinates": cell["coordinates"]}
    store.put_record(key, {"kind": "head", "cell": cell, "objects": objects})
