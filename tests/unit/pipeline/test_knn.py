"""Neighbours are compared with scikit-learn's exact search, and with what must hold by symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pipeline.normalise import unit_rows
from pipeline.projection import knn
from pipeline.projection.knn import balanced_neighbours, nearest_neighbours


def directions(n_points: int, d: int = 16) -> np.ndarray:
    return unit_rows(np.random.default_rng(0).normal(size=(n_points, d)).astype(np.float32))


# Below and above the size from which rows are searched in groups, and one over a group's end.
@pytest.mark.parametrize("n_points", [120, 1023, 1024, 1600])
def test_they_are_the_exact_neighbours(n_points):
    points = directions(n_points)
    found = nearest_neighbours(points)
    search = NearestNeighbors(n_neighbors=90, algorithm="brute").fit(points.astype(np.float64))
    distances, indices = search.kneighbors()
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)
    # Neighbours that differ by less than float32 can tell may change places.
    swapped = found.indices != indices
    assert swapped.mean() < 1e-3
    assert found.indices.dtype == np.int32


def test_blocks_of_rows_make_no_difference(monkeypatch):
    points = directions(1100)
    whole = nearest_neighbours(points)
    monkeypatch.setattr(knn, "BLOCK_SIZE", 1100 * 300)
    blocked = nearest_neighbours(points)
    assert np.array_equal(blocked.indices, whole.indices)
    assert np.array_equal(blocked.distances, whole.distances)


def test_clustered_order_finds_them_too():
    # All near points of a row lie side by side, in neighbouring groups.
    points = np.repeat(directions(20), 100, axis=0)
    points = unit_rows(points + 0.01 * directions(2000))
    found = nearest_neighbours(points)
    assert (found.indices // 100 == np.arange(2000)[:, None] // 100).all()


def test_equal_distances_are_in_order_of_index():
    points = np.repeat(directions(3), 40, axis=0)
    found = nearest_neighbours(points, n_neighbours=39)
    expected = [[j for j in range(40) if j != i] for i in range(40)]
    assert found.indices[:40].tolist() == expected
    assert not found.distances.any()


def test_near_duplicates_are_told_apart():
    # 1e-4 and more apart: their cosine differs from 1 by 5e-9, far less than float32 can hold.
    points = np.repeat(directions(1), 60, axis=0)
    points[:, 0] += 1e-4 * np.random.default_rng(1).permutation(60).astype(np.float32)
    points = unit_rows(points)
    found = nearest_neighbours(points, n_neighbours=3)
    search = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(points.astype(np.float64))
    distances, _ = search.kneighbors()
    np.testing.assert_allclose(found.distances, distances, atol=1e-7)


def test_few_points_have_as_many_neighbours_as_there_are():
    found = nearest_neighbours(directions(4))
    assert found.indices.shape == (4, 3)
    assert all(set(row) == set(range(4)) - {i} for i, row in enumerate(found.indices.tolist()))


def test_rows_of_zeros_have_neighbours():
    points = directions(5)
    points[2] = 0
    found = nearest_neighbours(points)
    np.testing.assert_allclose(found.distances[2], 1, atol=1e-6)


def test_balanced_neighbours_are_the_nearest_of_each_type():
    points = directions(240)
    found = balanced_neighbours(points)
    assert found.n_groups == 2
    similarity = points @ points.T
    np.fill_diagonal(similarity, -2)
    for group, first in ((slice(0, 45), 0), (slice(45, 90), 120)):
        expected = np.sort(similarity[:, first : first + 120], axis=1)[:, :-46:-1]
        chosen = np.take_along_axis(similarity, found.indices[:, group].astype(int), axis=1)
        assert ((found.indices[:, group] - first) // 120 == 0).all()
        np.testing.assert_allclose(chosen, expected, atol=1e-6)
