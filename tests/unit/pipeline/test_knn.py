"""Neighbours are compared with scikit-learn's exact search, and with what must hold by symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pipeline.normalise import unit_rows
from pipeline.projection import knn
from pipeline.projection.knn import count_below, nearest_neighbours, smallest


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


def test_the_smallest_come_in_order_and_of_equal_ones_the_first():
    values = np.random.default_rng(0).integers(0, 30, (50, 200)).astype(np.float32)
    values[:, 7] = np.inf
    expected = np.argsort(values, axis=1, kind="stable")[:, :10]
    assert np.array_equal(smallest(values, 10), expected)


def test_rows_of_infinities_have_smallest_too():
    assert smallest(np.full((2, 5), np.inf, dtype=np.float32), 3).tolist() == [[0, 1, 2]] * 2


def test_values_below_a_bound_are_counted():
    rng = np.random.default_rng(1)
    values, bounds = (rng.normal(size=(20, n)).astype(np.float32) for n in (300, 4))
    expected = (values[:, None] < bounds[:, :, None]).sum(axis=2)
    assert np.array_equal(count_below(values, bounds), expected)
