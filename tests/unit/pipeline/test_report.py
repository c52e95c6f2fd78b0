"""What is said of one head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.atlas import read_atlas, read_cells, read_coordinates
from pipeline.errors import InputError
from pipeline.report import judge, report_head
from pipeline.store import Store


def test_a_report_is_of_the_vectors_of_the_head(tiny_store: Store, tiny_atlas: dict[str, Any]):
    atlas = read_atlas(tiny_store, tiny_atlas["atlas"])
    found = report_head(atlas, 1, 2, None)
    assert found.dot.shape == found.space_distance.shape
    assert found.map_distance is None
    assert found.scale == pytest.approx(tiny_atlas["scale"][1][2])
    assert found.curve.shape == found.scales.shape
    assert np.array_equal(
        np.concatenate([found.query_norms, found.key_norms]), atlas.capture.norms()[6]
    )


def test_distances_on_the_map_are_of_the_same_pairs(tiny_store: Store, tiny_atlas: dict[str, Any]):
    atlas = read_atlas(tiny_store, tiny_atlas["atlas"])
    maps = [r for r in tiny_store.records("map") if r["atlas"] == atlas.key]
    [record] = [r for r in maps if (r["method"], r["dims"]) == ("pca", 2)]
    [cell] = read_cells(tiny_store, record["key"], [(0, 1)])
    assert cell is not None
    coordinates = np.asarray(read_coordinates(tiny_store, cell))
    found = report_head(atlas, 0, 1, coordinates)
    assert found.map_distance is not None
    assert found.map_rho == pytest.approx(cell["quality"]["spearman"], abs=1e-6)
    assert found.space_rho == pytest.approx(cell["quality"]["space_spearman"], abs=1e-6)


def test_a_head_that_is_not_there_is_refused(tiny_store: Store, tiny_atlas: dict[str, Any]):
    with pytest.raises(InputError, match="head: found 9"):
        report_head(read_atlas(tiny_store, tiny_atlas["atlas"]), 0, 9, None)


@pytest.mark.parametrize(
    ("quality", "level"),
    [
        ({"space_per_query_rho": -0.99}, "good"),
        ({"space_per_query_rho": -0.5}, "bad"),
        ({"per_query_rho": -0.4}, "doubtful"),
        ({"trustworthiness_at_10": 0.8}, "bad"),
        ({"trustworthiness_at_10": 0.99}, "good"),
    ],
)
def test_figures_are_judged_in_words(quality: dict[str, float], level: str):
    [(found, words)] = judge(quality)
    assert found == level
    assert f"{next(iter(quality.values())):.2f}" in words


def test_what_is_not_measured_is_not_judged():
    assert judge({}) == []
