"""Exact nearest neighbours of the points of one head: found once, shared by t-SNE and UMAP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

N_NEIGHBOURS = 90
# Similarities computed at a time: 16 MiB stay in the processor's cache until they are searched.
BLOCK_SIZE = 2**22
# A row is searched in this many interleaved groups.
N_GROUPS = 512
# Of products of unit rows in float32; what is closer to the last neighbour is measured again.
ROUNDING = np.float32(1e-6)


@dataclass(frozen=True)
class Neighbours:
    """The nearest points of each point, nearest first, without the point itself.

    Parameters
    ----------
    indices : (n_points, n_neighbours) int32.
    distances : (n_points, n_neighbours) float32 Euclidean distance of unit rows, 0 .. 2.
    n_groups : the columns are so many groups of equal width, each sorted by itself: 1, or 2 when
        the nearest queries and the nearest keys were found apart.
    """

    indices: Int32
    distances: Float32
    n_groups: int = 1


def balanced_neighbours(points: Float32) -> Neighbours:
    """Find as many nearest queries as nearest keys of every point.

    A small scale c leaves queries and keys in clouds of their own, so that plain neighbours are
    all of a point's own type, and no map of them can say where a query is among its keys.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1, queries first; as many queries as keys.

    Returns
    -------
    Neighbours in two groups of 45: queries, then keys.
    """
    half = points.shape[0] // 2
    queries, keys = slice(0, half), slice(half, points.shape[0])
    found = [
        nearest_neighbours(points, n_neighbours=N_NEIGHBOURS // 2, among=among)
        for among in (queries, keys)
    ]
    return Neighbours(
        np.hstack([one.indices for one in found]),
        np.hstack([one.distances for one in found]),
        n_groups=2,
    )


def nearest_neighbours(
    points: Float32, *, n_neighbours: int = N_NEIGHBOURS, among: slice | None = None
) -> Neighbours:
    """Find the nearest points of every point, exactly.

    Similarities come from a matrix product, block by block; the few points of each row that may be
    among the nearest are measured again from differences, which near duplicates need.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1, so that Euclidean neighbours are cosine ones.
        At least 2 points.
    n_neighbours : fewer are returned when there are not so many other points.
    among : the points that may be neighbours; None for all.

    Returns
    -------
    Neighbours; equally near points are in order of their index.

    Cost
    ----
    Time grows with the square of `n_points`, memory does not: 16 MiB for a block.
    """
    n_points = points.shape[0]
    points = np.ascontiguousarray(points)
    first, end, _ = (among or slice(None)).indices(n_points)
    k = min(n_neighbours, end - first - 1)
    indices = np.empty((n_points, k), dtype=np.int32)
    distances = np.empty((n_points, k), dtype=np.float32)
    n_rows = min(n_points, max(1, BLOCK_SIZE // (end - first)))
    block = np.empty((n_rows, end - first), dtype=np.float32)
    for start in range(0, n_points, n_rows):
        rows = slice(start, min(start + n_rows, n_points))
        similarities = np.matmul(points[rows], points[first:end].T, out=block[: rows.stop - start])
        _select(similarities, points, start, first, indices[rows], distances[rows])
    return Neighbours(indices, distances)


@njit(cache=True, fastmath=True, error_model="numpy")
def _select(
    similarities: Float32,
    points: Float32,
    start: int,
    first: int,
    indices: Int32,
    distances: Float32,
) -> None:
    """Fill `indices` and `distances` for the points from `start` on; spoils `similarities`.

    Column 0 of `similarities` is point `first`.
    """
    n_rows, k = indices.shape
    for row in range(n_rows):
        values = similarities[row]
        point = start + row
        if first <= point < first + values.size:
            values[point - first] = -2  # below any cosine: the point is not its own neighbour
        candidates = np.flatnonzero(values >= _bound(values, k) - ROUNDING) + first
        measured = _squared_distances(points, point, candidates)
        order = np.argsort(measured, kind="mergesort")[:k]
        indices[row] = candidates[order]
        distances[row] = np.sqrt(measured[order])


@njit(cache=True, fastmath=True, error_model="numpy")
def _bound(values: Float32, k: int) -> np.float32:
    """Return a number that at least k values reach, and few more than k.

    It is the k-th largest of the maxima of interleaved groups: cheaper than the k-th largest of
    all, and close to it since the nearest points are spread over the groups.
    """
    if values.size < 2 * N_GROUPS:
        largest: np.float32 = np.partition(values, values.size - k)[values.size - k]
        return largest
    maxima = values[:N_GROUPS].copy()
    for first in range(N_GROUPS, values.size, N_GROUPS):
        group = values[first : first + N_GROUPS]
        for i in range(group.size):
            maxima[i] = max(maxima[i], group[i])
    reached: np.float32 = np.partition(maxima, N_GROUPS - k)[N_GROUPS - k]
    return reached


@njit(cache=True, fastmath=True, error_model="numpy")
def _squared_distances(points: Float32, point: int, others: NDArray[np.int64]) -> Float32:
    result = np.empty(others.size, dtype=np.float32)
    for i in range(others.size):
        total = np.float32(0)
        for axis in range(points.shape[1]):
            difference = points[point, axis] - points[others[i], axis]
            total += difference * difference
        result[i] = total
    return result
