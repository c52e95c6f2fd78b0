"""Lays out a selection of the points of one head by themselves, and measures the new map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, read_atlas
from pipeline.captured import Capture
from pipeline.projection import METHODS, frame
from pipeline.projection.guidance import Guidance, attention_edges
from pipeline.projection.knn import nearest_neighbours
from pipeline.quality import (
    distance_dot_correlation,
    map_neighbours,
    mixing,
    sample_neighbourhoods,
)
from pipeline.records import Progress
from pipeline.sampling import MIN_KEYS, N_PAIRS, N_SAMPLED_QUERIES, QueryRows, reached
from pipeline.selection_files import read_points
from pipeline.specs import MapSpec, RemapSpec
from pipeline.store import Store

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Report = Callable[[Progress], None]


def run_reproject(spec: dict[str, Any], store: Store, report: Report) -> dict[str, Any]:
    """Make a map from plain JSON; what a worker runs for a job."""
    report(Progress("reproject", 0, 1, "laying out the selected points"))
    return {"remap": make_remap(RemapSpec.from_json(spec), store)["key"]}


def make_remap(spec: RemapSpec, store: Store) -> dict[str, Any]:
    """Return the record of the map of a selection; compute it when it is not there.

    Raises
    ------
    InputError
        if the atlas, the head or the selection is not in the store.
    """
    stored = store.get_record(spec.key)
    if stored is not None:
        return stored
    atlas = read_atlas(store, spec.atlas)
    points = read_points(store, spec.selection)
    coordinates = project_points(atlas, (spec.layer, spec.head), points, spec.map)
    record = {
        "kind": "remap", "key": spec.key, "capture": atlas.record["capture"], **spec.to_json(),
        "n_points": int(points.size), "frame": frame(coordinates),
        "quality": measure(atlas, (spec.layer, spec.head), points, coordinates),
        "objects": {
            "coordinates": store.put_array(coordinates).to_json(),
            "points": store.put_array(points).to_json(),
        },
    }  # fmt: skip
    return store.put_record(spec.key, record)


def project_points(atlas: Atlas, place: tuple[int, int], points: Int64, spec: MapSpec) -> Float32:
    """Return the (n, dims) float32 map of some points of a head, as if there were no others.

    Parameters
    ----------
    place : layer and head.
    points : (n,) int64 ascending point numbers.
    """
    chosen = np.ascontiguousarray(atlas.unit_points(*place)[points])
    neighbours = None if spec.method == "pca" else nearest_neighbours(chosen)
    guidance = _guidance(atlas, place, points, spec.guidance) if neighbours else None
    return METHODS[spec.method](
        chosen, neighbours, n_components=spec.dims, seed=spec.seed, guidance=guidance
    )


def _guidance(atlas: Atlas, place: tuple[int, int], points: Int64, share: float) -> Guidance | None:
    """Return attention among the points; None where there is none or none is wanted."""
    if not share:
        return None
    capture = atlas.capture
    query, key, weights = capture.strong_pairs(*place)
    place_of = np.full(capture.n_points, -1)
    place_of[points] = np.arange(points.size)
    ends = place_of[query], place_of[capture.n_queries + key]
    kept = (ends[0] >= 0) & (ends[1] >= 0)
    if not kept.any():
        return None
    edges = attention_edges(ends[0][kept], ends[1][kept], weights[kept], n_points=points.size)
    return Guidance(share, edges)


def measure(
    atlas: Atlas, place: tuple[int, int], points: Int64, coordinates: Float32
) -> dict[str, float]:
    """Return the quality figures of a map of some points, among these points alone.

    Correlations are missing where no query has three of its keys in the selection; mixing is 0
    where all points are of one type.
    """
    n_queries = int((points < atlas.capture.n_queries).sum())
    chosen = atlas.unit_points(*place)[points]
    space = sample_neighbourhoods(chosen, seed=0, n_queries=n_queries)
    found = map_neighbours(coordinates, space)
    in_space = mixing(space.sampled, space.nearest, n_queries)
    rows = rows_among(atlas.capture, place, points)
    if rows.query_index.size:
        dots = np.concatenate(atlas.normalised(*place))[points]
        query = np.repeat(rows.query_index, rows.reachable.sum(axis=1))
        pairs = query[:N_PAIRS], rows.key_index[rows.reachable][:N_PAIRS]
        sides: dict[str, Any] = {"dots": dots, "pairs": pairs, "rows": rows, "n_queries": n_queries}
        found |= distance_dot_correlation(coordinates, cosine=False, **sides)
        in_space |= distance_dot_correlation(chosen, cosine=True, **sides)
    return found | {f"space_{name}": value for name, value in in_space.items()}


def rows_among(capture: Capture, place: tuple[int, int], points: Int64) -> QueryRows:
    """Return queries of a selection with the keys of it that they reach, three at least.

    Numbers count within the selection: queries among its queries, keys among its keys.
    """
    queries = points[points < capture.n_queries]
    keys = points[points >= capture.n_queries] - capture.n_queries
    of_query = np.searchsorted(capture.query_offset, queries, side="right") - 1
    of_key = np.searchsorted(capture.key_offset, keys, side="right") - 1
    reachable = capture.reachable(*place)
    chosen, kept = [], []
    for number in np.random.default_rng(0).permutation(queries.size):
        sequence = of_query[number]
        first, end = np.searchsorted(of_key, [sequence, sequence + 1])
        near = np.arange(first, end)
        row = queries[number] - capture.query_offset[sequence]
        column = keys[near] - capture.key_offset[sequence]
        is_reached = np.broadcast_to(reached(reachable, sequence, row, column), near.shape)
        if is_reached.sum() >= MIN_KEYS:
            chosen.append(number)
            kept.append(near[is_reached])
        if len(chosen) == N_SAMPLED_QUERIES:
            break
    longest = max(map(len, kept), default=0)
    key_index = np.zeros((len(kept), longest), dtype=np.int64)
    is_there = np.zeros(key_index.shape, dtype=bool)
    for i, near in enumerate(kept):
        key_index[i, : near.size], is_there[i, : near.size] = near, True
    return QueryRows(np.array(chosen, dtype=np.int64), key_index, is_there)
