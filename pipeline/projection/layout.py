"""The layout of UMAP's fuzzy graph: each point moves by the mean of what would be drawn for it.

umap-learn draws edges, and for each edge five other points, and moves the points of each draw
before the next. Here an epoch adds up, for one point after the other, what all its edges pull, each
by its weight, and what a sample of the points pushes, in proportion to its edges: the mean of those
draws (McInnes et al. 2018, section 3.2). It takes a third of the time and keeps more neighbours,
because nothing is left to chance: see `benchmarks/projection.py`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

# Points that push in an epoch, and how many umap-learn draws for each edge that it draws.
N_SOURCES = 24
NEGATIVES = 5
# As in umap-learn: no pair moves a point farther, and none nearer than that pushes more.
MAX_STEP = np.float32(4)
NEAR = np.float32(0.001)
SMALL = np.float32(1e-12)
ZERO, ONE, TWO = (np.float32(value) for value in (0, 1, 2))


def lay_out(
    start: Float32, graph: csr_array, *, n_epochs: int, a: float, b: float, seed: int
) -> Float32:
    """Move points until those that share heavy edges are near.

    Parameters
    ----------
    start : (n_points, 2 or 3) float32.
    graph : (n_points, n_points) float32, symmetric, weights of 0 .. 1.
    n_epochs : each moves every point once, the later the less.
    a, b : of the curve 1 / (1 + a d^2b) that weights are compared with.
    seed : of the points that push.

    Returns
    -------
    (n_points, 2 or 3) float32.

    Cost
    ----
    Time grows with the number of edges and points.
    """
    n_points, n_components = start.shape
    weights = (graph.data / graph.data.max()).astype(np.float32)
    # As many as are drawn in an epoch, for each of the points that push.
    rows = np.repeat(np.arange(n_points), np.diff(graph.indptr))
    drawn = np.bincount(rows, weights, n_points).astype(np.float32)
    drawn *= np.float32(NEGATIVES / N_SOURCES)
    positions = np.zeros((n_points, 3), dtype=np.float32)
    positions[:, :n_components] = start
    rng = np.random.default_rng(seed)
    for epoch in range(n_epochs):
        sources = positions[rng.integers(n_points, size=N_SOURCES)]
        alpha = np.float32(1 - epoch / n_epochs)
        _epoch(
            graph.indptr, graph.indices, weights, drawn, positions, sources,
            np.float32(a), np.float32(b), alpha,
        )  # fmt: skip
    return np.ascontiguousarray(positions[:, :n_components])


@njit(cache=True, fastmath=True, error_model="numpy")
def _epoch(
    offset: Int32,
    neighbours: Int32,
    weights: Float32,
    drawn: Float32,
    positions: Float32,
    sources: Float32,
    a: np.float32,
    b: np.float32,
    alpha: np.float32,
) -> None:
    """Move one point after the other, in place; a map in 2-D has a third axis of zeros."""
    for i in range(positions.shape[0]):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        step_x, step_y, step_z, stiffness = ZERO, ZERO, ZERO, SMALL
        for edge in range(offset[i], offset[i + 1]):
            j = neighbours[edge]
            dx, dy, dz = x - positions[j, 0], y - positions[j, 1], z - positions[j, 2]
            squared = max(dx * dx + dy * dy + dz * dz, SMALL)
            power = squared ** (b - ONE)
            slope = -TWO * a * b * power / (ONE + a * power * squared)
            # An edge is in the graph in both directions, and each moves both of its points.
            pull = TWO * weights[edge]
            stiffness -= pull * slope
            step_x += pull * _clip(slope * dx)
            step_y += pull * _clip(slope * dy)
            step_z += pull * _clip(slope * dz)
        push = drawn[i]
        for j in range(sources.shape[0]):
            dx, dy, dz = x - sources[j, 0], y - sources[j, 1], z - sources[j, 2]
            squared = dx * dx + dy * dy + dz * dz
            slope = TWO * b / ((NEAR + squared) * (ONE + a * squared**b))
            step_x += push * _clip(slope * dx)
            step_y += push * _clip(slope * dy)
            step_z += push * _clip(slope * dz)
        # Beyond twice the way to where its edges balance a point would swing wider and wider.
        rate = alpha * min(ONE, TWO / stiffness)
        positions[i, 0] = x + rate * step_x
        positions[i, 1] = y + rate * step_y
        positions[i, 2] = z + rate * step_z


@njit(cache=True, fastmath=True, error_model="numpy", inline="always")
def _clip(value: np.float32) -> np.float32:
    return min(max(value, -MAX_STEP), MAX_STEP)
