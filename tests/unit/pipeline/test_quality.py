"""Quality figures, against scikit-learn, SciPy and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from pipeline.projection import project_pca
from pipeline.quality import (
    distance_dot_correlation,
    map_neighbours,
    mixing,
    per_query_rho,
    sample_neighbourhoods,
    spearman,
    top_key_share,
)
from pipeline.sampling import sample_query_rows

N_TOKENS = 150


@pytest.fixture
def points() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2 * N_TOKENS, 6)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_spearman_agrees_with_scipy():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 20, 300).astype(float)  # with ties
    second = first + rng.normal(size=300) * 4
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_spearman_of_a_constant_is_zero():
    assert spearman(np.ones(5), np.arange(5.0)) == 0


def test_per_query_rho_agrees_with_scipy_row_by_row():
    rng = np.random.default_rng(2)
    dot, distance = rng.normal(size=(2, 20, 9))
    reachable = np.tril(np.ones((20, 9), dtype=bool), 3)
    kept = reachable.sum(axis=1) >= 3
    expected = [
        spearmanr(d[r], x[r]).statistic
        for d, x, r in zip(dot[kept], distance[kept], reachable[kept], strict=True)
    ]
    found = per_query_rho(dot[kept], distance[kept], reachable[kept])
    assert found == pytest.approx(np.mean(expected))


def test_the_strongest_key_counts_when_fewer_than_three_keys_are_nearer():
    dot = np.array([[9.0, 1, 2, 3, 4]] * 2)
    distance = np.array([[3.0, 1, 2, 4, 5], [4.0, 1, 2, 3, 5]])
    everything = np.ones((2, 5), dtype=bool)
    assert top_key_share(dot, distance, everything) == 0.5
    # The nearest key of the second query cannot be reached and does not count.
    assert top_key_share(dot, distance, everything & ([[1], [1]] & (dot != 1))) == 1


def test_perfect_order_is_minus_one():
    dot = np.array([[3.0, 2.0, 1.0]])
    assert per_query_rho(dot, -dot, np.ones((1, 3), dtype=bool)) == pytest.approx(-1)


def test_trustworthiness_agrees_with_scikit_learn_when_every_point_is_sampled(points):
    coordinates = project_pca(points, n_components=2)
    found = map_neighbours(coordinates, sample_neighbourhoods(points, seed=0))
    expected = trustworthiness(points, coordinates, n_neighbors=10)
    assert found["trustworthiness_at_10"] == pytest.approx(expected, abs=1e-6)


def test_recall_agrees_with_scikit_learn_neighbours(points):
    coordinates = project_pca(points, n_components=2)
    found = map_neighbours(coordinates, sample_neighbourhoods(points, seed=0))
    sides = [
        NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False)
        for x in (points, coordinates)
    ]
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(*sides, strict=True)]
    assert found["recall_at_10"] == pytest.approx(np.mean(shares), abs=1e-6)


def test_a_random_map_scores_badly(points):
    random = np.random.default_rng(3).normal(size=(points.shape[0], 2)).astype(np.float32)
    found = map_neighbours(random, sample_neighbourhoods(points, seed=0))
    assert found["trustworthiness_at_10"] < 0.6
    assert found["recall_at_10"] < 0.1


def test_the_space_itself_is_a_perfect_map(points):
    found = map_neighbours(points, sample_neighbourhoods(points, seed=0))
    assert found["trustworthiness_at_10"] == 1
    assert found["recall_at_10"] == 1


def test_mixing_counts_neighbours_of_the_other_type():
    sampled = np.array([0, 1, 2, 3])  # points 0 and 1 are queries, 2 and 3 keys
    nearest = np.array([[1, 2], [2, 3], [3, 0], [0, 1]])
    assert mixing(sampled, nearest, 2) == {
        "mixing": 0.75,
        "mixing_queries": 0.75,
        "mixing_keys": 0.75,
    }


def test_sampled_queries_see_their_own_sequence_only():
    offset = np.array([0, 4, 10, 13])
    rows = sample_query_rows(offset, None, seed=0)
    assert rows.query_index.size == 13
    for query, keys, kept in zip(*vars(rows).values(), strict=True):
        sequence = np.searchsorted(offset, query, side="right") - 1
        assert keys[kept].tolist() == list(range(offset[sequence], offset[sequence + 1]))


def test_causal_queries_with_fewer_than_three_keys_are_left_out():
    rows = sample_query_rows(np.array([0, 5]), np.tril(np.ones((5, 5), dtype=bool)), seed=0)
    assert sorted(rows.query_index.tolist()) == [2, 3, 4]


def test_cosine_distance_of_equal_norms_follows_the_dot_product(points):
    offset = np.array([0, N_TOKENS])
    rows = sample_query_rows(offset, None, seed=0)
    query, key = np.indices((N_TOKENS, N_TOKENS)).reshape(2, -1)
    found = distance_dot_correlation(points, points, (query, key), rows, cosine=True)
    assert found["spearman"] == pytest.approx(-1)
    assert found["per_query_rho"] == pytest.approx(-1)
