"""Guided maps: attention edges take their share, and bring a query to the key it attends to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from pipeline.normalise import unit_rows
from pipeline.projection import METHODS
from pipeline.projection.guidance import Guidance, attention_edges, guided
from pipeline.projection.knn import nearest_neighbours

N_TOKENS = 150


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Queries in one cloud, keys in another."""
    rows = np.random.default_rng(0).normal(size=(2 * N_TOKENS, 8)).astype(np.float32)
    rows[:N_TOKENS, 0] += 6
    rows[N_TOKENS:, 0] -= 6
    return unit_rows(rows)


@pytest.fixture(scope="module")
def edges() -> csr_array:
    """Query i attends to key i + 1."""
    query = np.arange(N_TOKENS - 1)
    weights = np.ones(query.size, dtype=np.float32)
    return attention_edges(query, N_TOKENS + query + 1, weights, n_points=2 * N_TOKENS)


@pytest.fixture(scope="module")
def graph(points) -> csr_array:
    near = csr_array((points @ points.T > 0.9).astype(np.float32))
    return near / np.float32(near.sum())


def test_edges_are_symmetric_and_sum_to_one(edges):
    assert (edges != edges.T).nnz == 0
    assert edges.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert edges[3, N_TOKENS + 4] > 0


def test_guidance_takes_its_share_and_keeps_the_sum(graph, edges):
    mixed = guided(graph * np.float32(5), Guidance(0.3, edges))
    assert mixed.sum(dtype=np.float64) == pytest.approx(5, rel=1e-5)
    of_edges = mixed.toarray()[edges.toarray() > 0].sum(dtype=np.float64)
    assert of_edges == pytest.approx(1.5, rel=1e-5)  # no two of them are near each other
    assert mixed.dtype == np.float32


@pytest.mark.parametrize("guidance", [None, 0.0])
def test_no_guidance_leaves_the_graph_as_it_is(graph, edges, guidance):
    assert guided(graph, guidance if guidance is None else Guidance(guidance, edges)) is graph


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_a_query_comes_to_the_key_it_attends_to(points, edges, method, dims):
    neighbours = nearest_neighbours(points)

    def share_of_nearest_keys(guidance: Guidance | None) -> float:
        found = METHODS[method](points, neighbours, n_components=dims, seed=0, guidance=guidance)
        queries, keys = found[: N_TOKENS - 1], found[N_TOKENS:]
        distance = np.linalg.norm(queries[:, None] - keys[None], axis=2)
        nearest = distance.argsort(axis=1)[:, :10]
        return float((nearest == np.arange(1, N_TOKENS)[:, None]).any(axis=1).mean())

    # Measured 0.06 to 0.09 without, 0.43 and more with guidance; 10 of 150 keys is 0.07.
    assert share_of_nearest_keys(None) < 0.2
    assert share_of_nearest_keys(Guidance(0.2, edges)) > 0.3
