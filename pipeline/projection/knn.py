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
    """

    indices: Int32
    distances: Float32


def nearest_neighbours(points: Float32, *, n_neighbours: int = N_NEIGHBOURS) -> Neighbours:
    """Find the nearest points of every point, exactly.

    Similarities come from a matrix product, block by block; the few points of each row that may be
    among the nearest are measured again from differences, which near duplicates need.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1, so that Euclidean neighbours are cosine ones.
        At least 2 points.
    n_neighbours : fewer are returned when there are not so many other points.

    Returns
    -------
    Neighbours; equally near points are in order of their index.

    Cost
    ----
    Time grows with the square of `n_points`, memory does not: 16 MiB for a block.
    """
    n_points = points.shape[0]
    k = min(n_neighbours, n_points - 1)
    points = np.ascontiguousarray(points)
    indices = np.empty((n_points, k), dtype=np.int32)
    distances = np.empty((n_points, k), dtype=np.float32)
    n_rows = min(n_points, max(1, BLOCK_SIZE // n_points))
    block = np.empty((n_rows, n_points), dtype=np.float32)
    for start in range(0, n_points, n_rows):
        rows = slice(start, min(start + n_rows, n_points))
        similarities = np.matmul(points[rows], points.T, out=block[: rows.stop - start])
        _select(similarities, points, start, indices[rows], distances[rows])
    return Neighbours(indices, distances)


@njit(cache=True, fastmath=True, error_model="numpy")
def _select(
    similarities: Float32, points: Float32, start: int, indices: Int32, distances: Float32
) -> None:
    """Fill `indices` and `distances` for the points from `start` on; spoils `similarities`."""
    n_rows, k = indices.shape
    for row in range(n_rows):
        values = similarities[row]
        point = start + row
        values[point] = -2  # below any cosine: the point is not its own neighbour
        candidates = np.flatnonzero(values >= _bound(values, k) - ROUNDING)
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


@njit(cache=True, error_model="numpy")
def smallest(values: Float32, k: int) -> NDArray[np.int64]:
    """Return where the k smallest of each row are, smallest first.

    Parameters
    ----------
    values : (n_rows, n) float32 without NaN, n at least k.

    Returns
    -------
    (n_rows, k) int64; of equal values the first.
    """
    found = np.empty((values.shape[0], k), dtype=np.int64)
    least = np.empty(k, dtype=np.float32)
    for row in range(values.shape[0]):
        least[:] = np.inf
        found[row] = -1
        for j in range(values.shape[1]):
            value = values[row, j]
            if value < least[k - 1] or found[row, k - 1] < 0:
                place = k - 1
                while place > 0 and (value < least[place - 1] or found[row, place - 1] < 0):
                    least[place], found[row, place] = least[place - 1], found[row, place - 1]
                    place -= 1
                least[place], found[row, place] = value, j
    return found


@njit(cache=True, fastmath=True, error_model="numpy")
def count_below(values: Float32, bounds: Float32) -> NDArray[np.int64]:
    """Count the values of each row below each of its bounds.

    Parameters
    ----------
    values : (n_rows, n) float32.
    bounds : (n_rows, k) float32.

    Returns
    -------
    (n_rows, k) int64.
    """
    counts = np.empty(bounds.shape, dtype=np.int64)
    for row in range(bounds.shape[0]):
        for j in range(bounds.shape[1]):
            bound, count = bounds[row, j], np.int32(0)
            for i in range(values.shape[1]):
                count += np.int32(values[row, i] < bound)
            counts[row, j] = count
    return counts
