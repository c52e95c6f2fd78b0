"""t-SNE of one head (van der Maaten and Hinton 2008): affinities and gradient descent.

Repulsion is exact, but for the early steps, in which a sample of the points repels. One thread;
equal seeds give equal maps, bit for bit, on one kind of processor.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.projection.gradient import gradient
from pipeline.projection.guidance import Guidance, guided
from pipeline.projection.knn import Neighbours
from pipeline.projection.pca import project_pca

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

PERPLEXITY = 30.0
ENTROPY_ERROR = 1e-5
MAX_BISECTIONS = 100

START_SPREAD = 1e-4
EARLY_STEPS = 100
EXAGGERATION = 12.0
N_SOURCES = 1000
# Full steps of so many points together: large maps get the fewest that settle, small ones more.
STEP_POINTS = 2_000_000
MIN_STEPS, MAX_STEPS = 200, 750
MIN_RATE = 25.0
EARLY_MOMENTUM, LATE_MOMENTUM = np.float32(0.5), np.float32(0.8)
GAIN_RISE, GAIN_FALL, MIN_GAIN = np.float32(0.2), np.float32(0.8), np.float32(0.01)


def project_tsne(
    points: Float32,
    neighbours: Neighbours,
    *,
    n_components: int,
    seed: int,
    guidance: Guidance | None = None,
) -> Float32:
    """Place points so that near neighbours stay near, starting from PCA.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1.
    neighbours : of these points; perplexity is 30, or a third of their number if that is less.
    n_components : 2 or 3.
    seed : of the points that repel in the early steps.
    guidance : attention edges that take a share of the affinities; None for none.

    Returns
    -------
    (n_points, n_components) float32.

    Cost
    ----
    Time grows with the square of `n_points`.
    """
    n_points = points.shape[0]
    affinities = guided(joint_affinities(neighbours), guidance)
    exaggerated = affinities * np.float32(EXAGGERATION)
    positions = _start(points, n_components)
    velocity, gains = np.zeros_like(positions), np.ones_like(positions)
    rate = np.float32(max(n_points / EXAGGERATION, MIN_RATE))
    rng = np.random.default_rng(seed)
    for _ in range(EARLY_STEPS):
        sampled = n_points > N_SOURCES
        sources = rng.choice(n_points, N_SOURCES, replace=False) if sampled else None
        slope = gradient(positions, exaggerated, sources=sources)
        _move(positions, slope, velocity, gains, rate, EARLY_MOMENTUM)
    for _ in range(int(np.clip(STEP_POINTS // n_points, MIN_STEPS, MAX_STEPS))):
        slope = gradient(positions, affinities)
        _move(positions, slope, velocity, gains, rate, LATE_MOMENTUM)
    return np.ascontiguousarray(positions.T)


def joint_affinities(neighbours: Neighbours) -> csr_array:
    """Return p_ij: how likely points i and j are neighbours.

    Each point spreads a Gaussian over its neighbours, as wide as perplexity asks; the two
    directions of a pair are averaged. Groups of neighbours (queries and keys found apart) have a
    Gaussian each, with their part of the perplexity, and count the same.

    Returns
    -------
    (n_points, n_points) float32, symmetric, sums to 1.

    Source
    ------
    Van der Maaten and Hinton (2008), equation 1 and section 3.1; restricted to neighbours as in
    van der Maaten (2014), equation 6.
    """
    n_points, k = neighbours.indices.shape
    n_groups = neighbours.n_groups
    effective_perplexity = min(PERPLEXITY / n_groups, k / n_groups / 3)
    squared = np.square(neighbours.distances, dtype=np.float64)
    grouped = squared.reshape(n_points * n_groups, k // n_groups)
    conditional = _conditional(grouped, np.log(effective_perplexity)) / n_groups
    offset = np.arange(0, conditional.size + 1, k, dtype=np.int32)
    graph = csr_array(
        (conditional.ravel(), neighbours.indices.ravel(), offset), shape=(n_points, n_points)
    )
    return ((graph + graph.T) / (2 * n_points)).astype(np.float32)


@njit(cache=True)
def _conditional(squared: Float64, entropy: float) -> Float64:
    """Find by bisection, row by row, the Gaussian whose entropy (in nats) is as given.

    Parameters
    ----------
    squared : (n_points, n_neighbours) squared distances, ascending.

    Returns
    -------
    Same shape; rows sum to 1. A row that cannot have the entropy comes as near as it can.
    """
    result = np.empty_like(squared)
    for row in range(squared.shape[0]):
        # Measured from the nearest: the same distribution, and its sum cannot underflow.
        distance = squared[row] - squared[row, 0]
        precision, low, high = 1.0, 0.0, np.inf
        for _ in range(MAX_BISECTIONS):
            result[row] = np.exp(-precision * distance)
            total = result[row].sum()
            result[row] /= total
            found = np.log(total) + precision * (result[row] * distance).sum()
            if abs(found - entropy) < ENTROPY_ERROR:
                break
            if found > entropy:
                low = precision
            else:
                high = precision
            precision = 2 * precision if high == np.inf else (low + high) / 2
    return result


def _start(points: Float32, n_components: int) -> Float32:
    """(n_components, n_points) float32 principal components, as wide as a dot."""
    start = project_pca(points, n_components=n_components)
    # Equal points differ by rounding alone, which must not be blown up.
    start *= START_SPREAD / max(float(start[:, 0].std()), 1e-6)
    return np.ascontiguousarray(start.T)


@njit(cache=True, fastmath=True, error_model="numpy")
def _move(
    positions: Float32,
    slope: Float32,
    velocity: Float32,
    gains: Float32,
    rate: np.float32,
    momentum: np.float32,
) -> None:
    """Take one step in place; a coordinate that keeps its direction gains speed (Jacobs 1988)."""
    for axis in range(positions.shape[0]):
        for i in range(positions.shape[1]):
            turned = slope[axis, i] * velocity[axis, i] > 0
            gain = gains[axis, i]
            gain = max(MIN_GAIN, gain * GAIN_FALL if turned else gain + GAIN_RISE)
            gains[axis, i] = gain
            velocity[axis, i] = momentum * velocity[axis, i] - rate * gain * slope[axis, i]
            positions[axis, i] += velocity[axis, i]
