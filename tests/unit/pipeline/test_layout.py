"""The layout of UMAP against umap-learn's own, by the neighbours that it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from pipeline.normalise import unit_rows
from pipeline.projection import umap
from pipeline.projection.knn import nearest_neighbours
from pipeline.projection.layout import lay_out
from pipeline.quality import map_neighbours, sample_neighbourhoods

N_EPOCHS = 200


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Twenty-five overlapping clusters of 20 directions."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(25, 16)), 20, axis=0)
    return unit_rows((centres + 0.7 * rng.normal(size=centres.shape)).astype(np.float32))


def drawn(start: np.ndarray, graph: csr_array, a: float, b: float) -> np.ndarray:
    """What umap-learn makes of the same start and graph."""
    edges = graph.tocoo()
    library = umap._import_umap()
    drawn_every = library.make_epochs_per_sample(edges.data, N_EPOCHS)
    state = np.array([1, 2, 3], dtype=np.int64)
    return library.optimize_layout_euclidean(
        start, start, edges.row, edges.col, N_EPOCHS, start.shape[0], drawn_every, a, b, state,
        move_other=True,
    )  # fmt: skip


@pytest.mark.parametrize("dims", [2, 3])
def test_as_many_neighbours_are_kept_as_by_umap_learn(points, dims):
    graph = csr_array(umap.fuzzy_graph(nearest_neighbours(points)))
    a, b = umap.find_curve()
    start = umap.first_positions(points, dims)
    space = sample_neighbourhoods(points, seed=0)
    ours = lay_out(start, graph, n_epochs=N_EPOCHS, a=a, b=b, seed=0)
    theirs = drawn(start.copy(), graph, a, b)
    mine, other = map_neighbours(ours, space), map_neighbours(theirs, space)
    assert mine["recall_at_10"] > other["recall_at_10"] - 0.02
    assert mine["trustworthiness_at_10"] > other["trustworthiness_at_10"] - 0.01
    assert other["recall_at_10"] > map_neighbours(start, space)["recall_at_10"] + 0.05


def test_what_shares_an_edge_comes_together_and_what_does_not_goes_apart():
    pairs = csr_array(np.kron(np.eye(10), [[0, 1], [1, 0]]).astype(np.float32))
    start = np.random.default_rng(0).uniform(0, 5, (20, 2)).astype(np.float32)
    found = lay_out(start, pairs, n_epochs=200, a=1.577, b=0.895, seed=0)
    distance = np.linalg.norm(found[:, None] - found[None], axis=2)
    joined = pairs.toarray() > 0
    assert distance[joined].max() < 1
    assert np.median(distance[~joined]) > 3


def test_a_point_with_many_edges_does_not_swing():
    hub = np.zeros((200, 200), dtype=np.float32)
    hub[0, 1:] = hub[1:, 0] = 1
    start = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    found = lay_out(start, csr_array(hub), n_epochs=100, a=1.577, b=0.895, seed=0)
    assert np.ptp(found, axis=0).max() < 30


def test_a_point_without_edges_stays():
    nobody = csr_array((np.ones(2, np.float32), ([0, 1], [1, 0])), shape=(3, 3))
    start = np.array([[0, 0], [1, 0], [5, 5]], dtype=np.float32)
    found = lay_out(start, nobody, n_epochs=10, a=1.577, b=0.895, seed=0)
    assert found[2].tolist() == [5, 5]
