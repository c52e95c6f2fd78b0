"""UMAP's graph of shared neighbours: what McInnes et al. (2018) say of it must hold."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.normalise import unit_rows
from pipeline.projection import umap
from pipeline.projection.knn import balanced_neighbours, nearest_neighbours


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return unit_rows(np.random.default_rng(0).normal(size=(90, 8)).astype(np.float32))


def test_the_graph_joins_each_point_with_its_14_nearest(points):
    neighbours = nearest_neighbours(points)
    edges = umap.fuzzy_graph(neighbours).toarray() > 0
    expected = np.zeros((90, 90), dtype=bool)
    np.put_along_axis(expected, neighbours.indices[:, :14].astype(np.int64), True, axis=1)
    assert np.array_equal(edges, expected | expected.T)


def test_the_balanced_graph_joins_each_point_with_7_of_each_type(points):
    neighbours = balanced_neighbours(points)
    graph = umap.fuzzy_graph(neighbours).toarray()
    used = np.hstack([neighbours.indices[:, :7], neighbours.indices[:, 44:51]]).astype(np.int64)
    expected = np.zeros((90, 90), dtype=bool)
    np.put_along_axis(expected, used, True, axis=1)
    assert np.array_equal(graph > 0, expected | expected.T)
    assert 0 <= graph.min() <= graph.max() <= 1 + 1e-6


def test_each_point_is_sure_of_its_nearest(points):
    neighbours = nearest_neighbours(points)
    graph = umap.fuzzy_graph(neighbours).toarray()
    np.testing.assert_allclose(graph[np.arange(90), neighbours.indices[:, 0]], 1, atol=1e-6)


def test_another_seed_makes_another_map(points):
    neighbours = nearest_neighbours(points)
    first, second = (
        umap.project_umap(points, neighbours, n_components=2, seed=seed) for seed in (0, 1)
    )
    assert not np.array_equal(first, second)
