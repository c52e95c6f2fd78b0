"""t-SNE against independent answers: scikit-learn's affinities, the gradient by its formula."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.manifold._t_sne import _joint_probabilities_nn

from pipeline.normalise import unit_rows
from pipeline.projection import METHODS
from pipeline.projection.gradient import gradient
from pipeline.projection.knn import balanced_neighbours, nearest_neighbours
from pipeline.projection.tsne import joint_affinities


def directions(n_points: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(0).normal(size=(n_points, 8)).astype(np.float32))


def map_bytes(n_points: int) -> bytes:
    points = directions(n_points)
    neighbours = nearest_neighbours(points)
    return METHODS["tsne"](points, neighbours, n_components=2, seed=3).tobytes()


def gradient_by_formula(positions: np.ndarray, affinities: np.ndarray) -> np.ndarray:
    """Van der Maaten and Hinton (2008), equation 5, for any degrees of freedom, in float64."""
    y = positions.astype(np.float64)
    freedom = y.shape[0] - 1
    difference = y[:, :, None] - y[:, None, :]
    w = 1 / (1 + (difference**2).sum(axis=0) / freedom)
    share = w ** ((freedom + 1) / 2)
    np.fill_diagonal(share, 0)
    slope = (difference * ((affinities - share / share.sum()) * w)).sum(axis=2)
    return (2 * freedom + 2) / freedom * slope


def divergence(positions: np.ndarray, affinities: np.ndarray) -> float:
    """Kullback-Leibler divergence of the map's neighbours from the affinities, in float64."""
    y = positions.astype(np.float64)
    freedom = y.shape[0] - 1
    squared = ((y[:, :, None] - y[:, None, :]) ** 2).sum(axis=0)
    share = (1 + squared / freedom) ** (-(freedom + 1) / 2)
    np.fill_diagonal(share, 0)
    p, q = affinities[affinities > 0], share[affinities > 0] / share.sum()
    return float((p * np.log(p / q)).sum())


@pytest.fixture(scope="module")
def affinities() -> csr_array:
    return joint_affinities(nearest_neighbours(directions(130)))


@pytest.fixture(scope="module", params=[2, 3])
def positions(request) -> np.ndarray:
    return 5 * np.random.default_rng(1).normal(size=(request.param, 130)).astype(np.float32)


@pytest.mark.parametrize(("n_points", "perplexity"), [(300, 30.0), (20, 19 / 3)])
def test_affinities_are_those_of_scikit_learn(n_points, perplexity):
    neighbours = nearest_neighbours(directions(n_points))
    offset = np.arange(n_points + 1) * neighbours.indices.shape[1]
    squared = neighbours.distances.ravel() ** 2
    graph = csr_array((squared, neighbours.indices.ravel(), offset), shape=(n_points, n_points))
    expected = _joint_probabilities_nn(graph, perplexity, 0).toarray()
    # The greatest of 300 points is 1e-3; 6e-11 measured.
    np.testing.assert_allclose(joint_affinities(neighbours).toarray(), expected, atol=1e-8)


def test_affinities_are_symmetric_and_sum_to_one(affinities):
    dense = affinities.toarray()
    assert dense.dtype == np.float32
    assert np.array_equal(dense, dense.T)
    assert dense.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_balanced_affinities_are_half_of_each_type():
    points = directions(400)
    points[:200, 0] += 5
    dense = joint_affinities(balanced_neighbours(unit_rows(points))).toarray()
    assert np.array_equal(dense, dense.T)
    own_type = dense[:200, :200].sum() + dense[200:, 200:].sum()
    assert own_type == pytest.approx(0.5, abs=1e-5)


def test_equal_neighbours_share_the_affinity():
    points = np.repeat(directions(2), 100, axis=0)
    dense = joint_affinities(nearest_neighbours(points)).toarray()
    assert np.isfinite(dense).all()
    assert not dense[:100, 100:].any()


def test_the_gradient_is_that_of_the_formula(affinities, positions):
    expected = gradient_by_formula(positions, affinities.toarray())
    found = gradient(positions, affinities)
    # float32 sums of 130 terms: 3e-7 and 4e-7 of the greatest measured.
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_formula_is_the_slope_of_the_divergence(affinities, positions):
    dense = affinities.toarray().astype(np.float64)
    step = np.zeros(positions.shape)
    step[0, 7] = 1e-4
    rise = divergence(positions + step, dense) - divergence(positions - step, dense)
    slope = gradient_by_formula(positions, dense / dense.sum())[0, 7]
    assert rise / 2e-4 == pytest.approx(slope, rel=1e-4)


def test_sampling_all_points_is_the_full_gradient(affinities, positions):
    sources = np.random.default_rng(2).permutation(130)
    expected = gradient(positions, affinities)
    found = gradient(positions, affinities, sources=sources)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_sampled_repulsion_is_right_on_average(affinities, positions):
    rng = np.random.default_rng(3)
    attraction = affinities * np.float32(0)
    expected = gradient(positions, attraction)
    found = np.mean(
        [
            gradient(positions, attraction, sources=rng.choice(130, 40, replace=False))
            for _ in range(400)
        ],
        axis=0,
    )
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    # 0.05 and 0.06 measured; of a single sample 0.9 and 1.1.
    assert error < 0.1


def test_a_spawned_process_makes_the_same_map():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = pool.submit(map_bytes, 150).result()
    assert there == map_bytes(150)


def test_another_seed_makes_another_map():
    points = directions(1200)
    neighbours = nearest_neighbours(points)
    first, second = (METHODS["tsne"](points, neighbours, n_components=2, seed=s) for s in (0, 1))
    assert not np.array_equal(first, second)
