"""How far distances can be trusted: in the joint embedding of a head, and on each of its maps.

Space distances are cosine, map distances Euclidean. Points are queries first, then keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.sampling import QueryRows

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

N_NEIGHBOURS = 10
# Points of each type whose neighbours are compared; the standard error of a share is then < 0.023.
N_SAMPLED = 500
N_NEAREST_KEYS = 3


def spearman(first: Float64, second: Float64) -> float:
    """Return Spearman's rank correlation of two (n,) arrays; 0 where one of them is constant."""
    ranks = rankdata(np.stack([first, second]), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / spread) if spread > 0 else 0.0


def per_query_rho(dot: Float64, distance: Float64, reachable: NDArray[np.bool_]) -> float:
    """Return the mean over queries of the rank correlation of dot product and distance.

    Parameters
    ----------
    dot, distance : (n, longest), one row a query.
    reachable : (n, longest) bool, which entries count.

    Returns
    -------
    -1 (the nearest key has the greatest weight, and so on) .. 1; 0 where there is no row.
    """
    if dot.shape[0] == 0:
        return 0.0
    counts = reachable.sum(axis=1, keepdims=True)
    ranks = []
    for values in (dot, distance):
        order = np.where(reachable, values, np.inf).argsort(axis=1).argsort(axis=1)
        ranks.append(np.where(reachable, order - (counts - 1) / 2, 0))
    spread = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return float(((ranks[0] * ranks[1]).sum(axis=1) / spread).mean())


def top_key_share(dot: Float64, distance: Float64, reachable: NDArray[np.bool_]) -> float:
    """Return the share of queries whose strongest key is among the 3 nearest of its sequence.

    Parameters
    ----------
    dot, distance : (n, longest), one row a query.
    reachable : (n, longest) bool, which entries count.
    """
    if dot.shape[0] == 0:
        return 0.0
    strongest = np.where(reachable, dot, -np.inf).argmax(axis=1)[:, None]
    nearer = distance < np.take_along_axis(distance, strongest, axis=1)
    return float(((nearer & reachable).sum(axis=1) < N_NEAREST_KEYS).mean())


def distance_dot_correlation(
    points: Float32,
    dots: Float32,
    pairs: tuple[Int64, Int64],
    rows: QueryRows,
    *,
    cosine: bool,
    n_queries: int | None = None,
) -> dict[str, float]:
    """Correlate distance with dot product over same-sequence pairs.

    Parameters
    ----------
    points : (n_points, d) float32; rows of length 1 when `cosine`.
    dots : (n_points, head_dim) float32 normalised queries, then keys: their dot products.
    pairs : query and key numbers of the pooled sample.
    rows : sampled queries.
    cosine : whether distance is 1 - a.b of `points` instead of Euclidean.
    n_queries : how many points are queries; None for half of them.

    Returns
    -------
    `spearman` over all pairs together, `per_query_rho` and `top_key_share`.
    """
    n = points.shape[0] // 2 if n_queries is None else n_queries

    def distance(query: Int64, key: Int64) -> Float64:
        a, b = points[query], points[n + key]
        if cosine:
            return 1 - inner(a, b)
        distances: Float64 = np.linalg.norm(a - b, axis=-1).astype(np.float64)
        return distances

    def dot(query: Int64, key: Int64) -> Float64:
        return inner(dots[query], dots[n + key])

    grid = rows.query_index[:, None], rows.key_index
    by_query = dot(*grid), distance(*grid), rows.reachable
    return {
        "spearman": spearman(dot(*pairs), distance(*pairs)),
        "per_query_rho": per_query_rho(*by_query),
        "top_key_share": top_key_share(*by_query),
    }


@dataclass(frozen=True)
class Neighbourhoods:
    """Sampled points of a head with their distances to all others in the space.

    Parameters
    ----------
    sampled : (n,) int64 point numbers, as many queries as keys.
    distance : (n, n_points) float32 squared Euclidean distance of unit rows, own point infinite.
    nearest : (n, 10) int64 nearest points in the space.
    n_queries : how many points are queries; they come first.
    """

    sampled: Int64
    distance: Float32
    nearest: Int64
    n_queries: int


def sample_neighbourhoods(
    unit_points: Float32, *, seed: int, n_queries: int | None = None
) -> Neighbourhoods:
    """Find the true nearest points of a seeded sample.

    Parameters
    ----------
    unit_points : (n_points, d) float32, rows of length 1.
    seed : of the sample of at most 500 queries and 500 keys.
    n_queries : how many points are queries; None for half of them.
    """
    n_points = unit_points.shape[0]
    n = n_points // 2 if n_queries is None else n_queries
    rng = np.random.default_rng(seed)
    queries, keys = rng.permutation(n)[:N_SAMPLED], rng.permutation(n_points - n)[:N_SAMPLED] + n
    sampled = np.concatenate([queries, keys])
    distance = _squared_distances(unit_points, sampled)
    return Neighbourhoods(sampled, distance, _nearest(distance), n)


def mixing(sampled: Int64, nearest: Int64, n_queries: int) -> dict[str, float]:
    """Return the mean share of the nearest points that are of the other type, for each type.

    Returns
    -------
    `mixing_queries`, `mixing_keys` and their mean `mixing` : 0 (apart) .. 0.5 (fully mixed) .. 1;
    0 for a type that has no points.
    """
    is_key = sampled >= n_queries
    other = ((nearest >= n_queries) != is_key[:, None]).mean(axis=1)
    queries, keys = (float(other[side].mean()) if side.any() else 0.0 for side in (~is_key, is_key))
    return {"mixing": (queries + keys) / 2, "mixing_queries": queries, "mixing_keys": keys}


def map_neighbours(coordinates: Float32, space: Neighbourhoods) -> dict[str, float]:
    """Compare neighbours on a map with those in the space.

    Parameters
    ----------
    coordinates : (n_points, 2 or 3) float32.
    space : the sampled truth.

    Returns
    -------
    `trustworthiness_at_10` (Venna and Kaski 2001), `recall_at_10` : 0 .. 1, and `mixing*`.
    """
    n = coordinates.shape[0]
    k = space.nearest.shape[1]
    nearest = _nearest_on_map(np.ascontiguousarray(coordinates.T), space.sampled, k)
    found = np.take_along_axis(space.distance, nearest, axis=1)
    rank = _count_below(space.distance, found) + 1
    excess = np.maximum(rank - k, 0).sum() / space.sampled.size
    farthest = np.take_along_axis(space.distance, space.nearest, axis=1).max(axis=1)
    worst = k * (2 * n - 3 * k - 1) / 2
    return {
        "trustworthiness_at_10": float(1 - excess / worst) if worst > 0 else 1.0,
        # Ties count as neighbours: what is no farther than the tenth nearest is one of the nearest.
        "recall_at_10": float((found <= farthest[:, None]).mean()),
        **mixing(space.sampled, nearest, space.n_queries),
    }


def inner(first: Float32, second: Float32) -> Float64:
    """Return dot products along the last axis, summed in float64."""
    product: Float64 = np.einsum("...d,...d->...", first, second, dtype=np.float64)
    return product


def _squared_distances(points: Float32, sampled: Int64) -> Float32:
    """(n_sampled, n_points) float32; the point itself is infinitely far."""
    centred = points - points.mean(axis=0)
    square = (centred**2).sum(axis=1)
    distance: Float32 = centred[sampled] @ centred.T
    distance *= -2
    distance += square
    distance += square[sampled, None]
    distance[np.arange(sampled.size), sampled] = np.inf
    return distance


def _nearest(distance: Float32) -> Int64:
    k = min(N_NEIGHBOURS, distance.shape[1] - 1)
    return np.argpartition(distance, k - 1, axis=1)[:, :k].astype(np.int64)


@njit(cache=True)
def _nearest_on_map(axes: Float32, sampled: Int64, k: int) -> Int64:
    """Return the k nearest points of each sampled point, (n_sampled, k), nearest first.

    `axes` is (n_components, n_points), so that distances compile to SIMD instructions.
    """
    nearest = np.empty((sampled.size, k), dtype=np.int64)
    squared = np.empty(axes.shape[1], dtype=np.float32)
    for row in range(sampled.size):
        point = sampled[row]
        squared[:] = 0
        for axis in axes:
            for i in range(axis.size):
                squared[i] += (axis[i] - axis[point]) ** 2
        squared[point] = np.inf
        _keep_smallest(squared, nearest[row])
    return nearest


@njit(cache=True)
def _keep_smallest(values: Float32, kept: Int64) -> None:
    """Fill `kept` with the places of the smallest values, in order; the first of equals wins."""
    n = 0
    for i in range(values.size):
        if n == kept.size and values[i] >= values[kept[n - 1]]:
            continue
        if n < kept.size:
            n += 1
        place = n - 1
        while place > 0 and values[kept[place - 1]] > values[i]:
            kept[place] = kept[place - 1]
            place -= 1
        kept[place] = i


@njit(cache=True)
def _count_below(values: Float32, bounds: Float32) -> Int64:
    """Return for each bound of a row how many values of that row are below it; the same shape."""
    counts = np.zeros(bounds.shape, dtype=np.int64)
    for row in range(bounds.shape[0]):
        for i in range(bounds.shape[1]):
            bound, below = bounds[row, i], 0
            for value in values[row]:
                below += value < bound
            counts[row, i] = below
    return counts
