"""UMAP of one head (McInnes et al. 2018): umap-learn's graph and layout on shared neighbours."""

from __future__ import annotations

import warnings
from functools import reduce
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.projection.guidance import Guidance, guided
from pipeline.projection.knn import Neighbours
from pipeline.projection.pca import project_pca

# umap-learn counts the point itself as its first neighbour.
N_NEIGHBORS = 15
MIN_DIST = 0.1
SPREAD = 1.0
# Epochs of this many points together: large maps get the fewest that settle, small ones the most.
EPOCH_POINTS = 1_000_000
MIN_EPOCHS, MAX_EPOCHS = 200, 500


def project_umap(
    points: NDArray[np.float32],
    neighbours: Neighbours,
    *,
    n_components: int,
    seed: int,
    guidance: Guidance | None = None,
) -> NDArray[np.float32]:
    """Lay out the fuzzy graph of the nearest 14 neighbours, starting from PCA.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1.
    neighbours : of these points; only the first 14 are used.
    n_components : 2 or 3.
    seed : of the layout; equal seeds give equal maps on one kind of machine.
    guidance : attention edges that take a share of the graph; None for none.

    Returns
    -------
    (n_points, n_components) float32.
    """
    umap = _import_umap()
    n_points = points.shape[0]
    n_epochs = int(np.clip(EPOCH_POINTS // n_points, MIN_EPOCHS, MAX_EPOCHS))
    graph = guided(fuzzy_graph(neighbours), guidance).tocoo()
    # An edge this weak would not be drawn once in all epochs.
    graph.data[graph.data < graph.data.max() / n_epochs] = 0
    graph.eliminate_zeros()
    start = _start(points, n_components)
    a, b = umap.find_ab_params(SPREAD, MIN_DIST)
    rng_state = np.random.default_rng(seed).integers(-(2**31), 2**31, size=3, dtype=np.int64)
    layout = umap.optimize_layout_euclidean(
        start, start, graph.row, graph.col, n_epochs, n_points,
        umap.make_epochs_per_sample(graph.data, n_epochs), a, b, rng_state,
        move_other=True,
    )  # fmt: skip
    return np.asarray(layout, dtype=np.float32)


def fuzzy_graph(neighbours: Neighbours) -> csr_array:
    """Return UMAP's fuzzy union of the neighbourhoods of all points.

    Groups of neighbours (queries and keys found apart) give half of the 14 neighbours each.

    Returns
    -------
    (n_points, n_points) float32, symmetric, 0 .. 1.
    """
    n_points, k = neighbours.indices.shape
    width = k // neighbours.n_groups
    used = min((N_NEIGHBORS - 1) // neighbours.n_groups, width)
    itself = np.arange(n_points, dtype=np.int32)[:, None]
    graphs = []
    for start in range(0, k, width):
        others = slice(start, start + used)
        indices = np.hstack([itself, neighbours.indices[:, others]])
        distances = np.pad(neighbours.distances[:, others], ((0, 0), (1, 0)))
        graph, _, _ = _import_umap().fuzzy_simplicial_set(
            # Of the points themselves only the number counts when neighbours are given.
            indices,
            indices.shape[1],
            None,
            "euclidean",
            knn_indices=indices,
            knn_dists=distances,
        )
        graphs.append(csr_array(graph))
    # Probabilistic union, as UMAP joins the two directions of a pair (section 3.1).
    return reduce(lambda one, other: one + other - one.multiply(other), graphs)


def _start(points: NDArray[np.float32], n_components: int) -> NDArray[np.float32]:
    """Scale principal components to 0 .. 10 on each axis, as umap-learn does."""
    start = project_pca(points, n_components=n_components)
    start -= start.min(axis=0)
    # Equal points differ by rounding alone, which must not be blown up.
    start *= 10 / np.maximum(start.max(axis=0), 1e-6)
    return start


def _import_umap() -> ModuleType:
    """Import umap-learn where it is used: it takes seconds, and only workers need it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # it misses TensorFlow, which we do not
        import umap.umap_
    module: ModuleType = umap.umap_
    return module
