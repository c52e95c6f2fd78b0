"""Lets a map know a share of the real attention: edges between queries and keys of one sequence.

Neighbours in the joint embedding say which points look alike; on a 2-D map hardly anything is left
of how the keys of *one* query are ordered. A few edges along the model's own attention bring that
back and cost few neighbours (measured in docs/fidelity.md). Share 0 is AttentionViz' method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Guidance:
    """Attention edges and the weight they have in a map.

    Parameters
    ----------
    share : 0 .. 0.5 of all affinity that comes from the edges; the neighbours keep the rest.
    edges : (n_points, n_points) float32, symmetric, sums to 1.
    """

    share: float
    edges: csr_array


def attention_edges(
    query_points: Int64, key_points: Int64, weights: NDArray[np.float32], *, n_points: int
) -> csr_array:
    """Return the graph of some (query, key) pairs.

    Parameters
    ----------
    query_points, key_points : (n_edges,) int64 point numbers, each pair once.
    weights : (n_edges,) float32, 0 or more, not all 0.
    n_points : queries and keys together.

    Returns
    -------
    (n_points, n_points) float32, symmetric, sums to 1.
    """
    edges = coo_array((weights, (query_points, key_points)), shape=(n_points, n_points)).tocsr()
    both = edges + edges.T
    return (both / both.sum(dtype=np.float64)).astype(np.float32)


def guided(graph: csr_array, guidance: Guidance | None) -> csr_array:
    """Replace a share of a symmetric graph by attention edges; its sum stays the same.

    Parameters
    ----------
    graph : (n_points, n_points) float32 t-SNE affinities or UMAP's fuzzy union.
    guidance : None leaves the graph as it is.
    """
    if guidance is None or guidance.share == 0:
        return graph
    total = graph.sum(dtype=np.float64) * guidance.share
    mixed = graph * (1 - guidance.share) + guidance.edges * total
    return mixed.tocsr().astype(np.float32)
