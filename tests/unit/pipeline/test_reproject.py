"""Maps of a selection: those of these points alone, measured among themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.atlas import Atlas, read_atlas
from pipeline.errors import InputError
from pipeline.jobs import JobRecord, JobTable
from pipeline.projection.pca import project_pca
from pipeline.quality import per_query_rho
from pipeline.reproject import make_remap, rows_among, run_reproject
from pipeline.selections import Selections
from pipeline.specs import MapSpec, RemapSpec
from pipeline.store import Store

PLACE = (1, 2)


@pytest.fixture
def atlas(tiny_store: Store, tiny_atlas: dict[str, Any]) -> Atlas:
    return read_atlas(tiny_store, tiny_atlas["atlas"])


@pytest.fixture
def selections(tiny_store: Store, tmp_path: Path) -> Selections:
    return Selections(tiny_store, JobTable(Store(tmp_path)))


def some_points(atlas: Atlas, n: int = 40) -> Any:
    """Return queries and keys of the first sequences."""
    n_queries = atlas.capture.n_queries
    return np.concatenate([np.arange(n // 2), n_queries + np.arange(n // 2)])


def spec_of(atlas: Atlas, selection: str, method: str = "pca", dims: int = 2) -> RemapSpec:
    share = 0.0 if method == "pca" else 0.08
    return RemapSpec(atlas.key, *PLACE, selection, MapSpec(method, dims, 0, share))


def test_a_selection_is_named_by_its_points_in_any_order(atlas: Atlas, selections: Selections):
    points = some_points(atlas).astype(np.uint32)
    key = selections.put(atlas.key, points[::-1])
    assert selections.put(atlas.key, np.repeat(points, 2)) == key
    assert selections.put(atlas.key, points[1:]) != key
    assert selections.points(key).tolist() == sorted(points.tolist())


@pytest.mark.parametrize(
    ("points", "message"),
    [(range(9), "found 9 selected points"), (range(9_990, 10_010), "point: found 10009")],
)
def test_points_that_make_no_map_are_refused(
    atlas: Atlas, selections: Selections, points: range, message: str
):
    with pytest.raises(InputError, match=message):
        selections.put(atlas.key, np.array(points, np.uint32))


def test_pca_of_a_selection_is_there_at_once_and_is_that_of_its_points(
    atlas: Atlas, selections: Selections
):
    points = some_points(atlas)
    spec = spec_of(atlas, selections.put(atlas.key, points))
    record = selections.make(spec, owner="me")
    assert isinstance(record, dict)
    _, coordinates, kept = selections.coordinates(record["key"])
    assert kept.tolist() == points.tolist()
    expected = project_pca(atlas.unit_points(*PLACE)[points], n_components=2)
    assert np.allclose(coordinates, expected)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_other_maps_are_jobs_and_come_out_the_same_each_time(
    atlas: Atlas, selections: Selections, method: str
):
    spec = spec_of(atlas, selections.put(atlas.key, some_points(atlas)), method)
    job = selections.make(spec, owner="me")
    assert isinstance(job, JobRecord)
    store = atlas.capture.store
    run_reproject(dict(job.spec), store, lambda _: None)
    found = selections.make(spec, owner="me")
    assert isinstance(found, dict)
    _, first, _ = selections.coordinates(found["key"])
    store.forget(found["key"])
    _, second, _ = selections.coordinates(make_remap(spec, store)["key"])
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


def test_figures_are_those_among_the_points(atlas: Atlas, selections: Selections):
    points = some_points(atlas)
    record = make_remap(spec_of(atlas, selections.put(atlas.key, points)), atlas.capture.store)
    _, coordinates, _ = selections.coordinates(record["key"])
    rows = rows_among(atlas.capture, PLACE, points)
    assert rows.query_index.size > 5
    n = int((points < atlas.capture.n_queries).sum())
    dots = np.concatenate(atlas.normalised(*PLACE)).astype(np.float64)[points]
    grid = rows.query_index[:, None], n + rows.key_index
    dot = (dots[grid[0]] * dots[grid[1]]).sum(axis=-1)
    distance = np.linalg.norm(coordinates[grid[0]] - coordinates[grid[1]], axis=-1)
    expected = per_query_rho(dot, distance.astype(np.float64), rows.reachable)
    assert record["quality"]["per_query_rho"] == pytest.approx(expected, abs=1e-6)


def test_rows_hold_keys_of_the_same_sequence_only(atlas: Atlas):
    points = some_points(atlas)
    rows = rows_among(atlas.capture, PLACE, points)
    capture = atlas.capture
    of_token = capture.tokens.sequence_index
    queries = points[points < capture.n_queries]
    keys = points[points >= capture.n_queries] - capture.n_queries
    for query, near, is_there in zip(rows.query_index, rows.key_index, rows.reachable, strict=True):
        assert set(of_token[keys[near[is_there]]]) == {of_token[queries[query]]}


@pytest.mark.parametrize("side", ["queries", "keys"])
def test_a_selection_of_one_type_has_no_correlation_and_no_mixing(
    atlas: Atlas, selections: Selections, side: str
):
    first = 0 if side == "queries" else atlas.capture.n_queries
    key = selections.put(atlas.key, np.arange(first, first + 20).astype(np.uint32))
    quality = make_remap(spec_of(atlas, key), atlas.capture.store)["quality"]
    assert "per_query_rho" not in quality
    assert quality["mixing"] == 0
    assert 0 < quality["trustworthiness_at_10"] <= 1


def test_a_spec_survives_the_queue_and_every_field_is_in_its_key(atlas: Atlas):
    spec = spec_of(atlas, "0" * 64, "tsne")
    assert RemapSpec.from_json(spec.to_json()) == spec
    others = [
        replace(spec, layer=0), replace(spec, head=0), replace(spec, selection="1" * 64),
        replace(spec, atlas="2" * 64), replace(spec, map=replace(spec.map, guidance=0.0)),
        replace(spec, map=replace(spec.map, dims=3)),
    ]  # fmt: skip
    assert len({one.key for one in [spec, *others]}) == 7
