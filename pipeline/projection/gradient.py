"""The gradient of t-SNE: compiled loops over one row a coordinate.

A map has a = n_components - 1 degrees of freedom (3-D has more room, and needs lighter tails). With
w_ij = 1 / (1 + |y_i - y_j|^2 / a) and s_ij = w_ij^((a + 1) / 2), the gradient is

    (2 a + 2) / a * (sum_j p_ij w_ij (y_i - y_j)  -  sum_j s_ij w_ij (y_i - y_j) / Z)

with Z = sum_k sum_l!=k s_kl. The first sum is the attraction along the neighbour graph, the second
the repulsion of all pairs. In 2-D this is van der Maaten and Hinton (2008), equation 5, in general
van der Maaten (2009), "Learning a parametric embedding by preserving local structure". Each loop is
written out for 2-D and for 3-D, so that the inner one compiles to SIMD instructions; all is
float32, but for sums over rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.projection.grid import GridRepulsion

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

ZERO, HALF, ONE, THREE, FOUR = (np.float32(value) for value in (0, 0.5, 1, 3, 4))


def gradient(
    positions: Float32, affinities: csr_array, *, grid: GridRepulsion | None = None
) -> Float32:
    """Return the gradient of t-SNE's objective.

    Parameters
    ----------
    positions : (2 or 3, n_points) float32, C order.
    affinities : (n_points, n_points) float32, symmetric: p_ij. Exaggerate by multiplying them.
    grid : of this map, through which points repel where that is quicker; None: all pairs, exactly.

    Returns
    -------
    (2 or 3, n_points) float32.

    Cost
    ----
    Without a grid time grows with the square of `n_points`, with one as `n_points` and the area or
    volume of the map do; memory never grows with the square.
    """
    flat = positions.shape[0] == 2
    forces = np.zeros_like(positions)
    if grid is not None and grid.pays(positions):
        total = grid.repel(positions, forces)
    else:
        # Each pair is computed once and counts for both of its points.
        total = 2 * (_repel_pairs_2d if flat else _repel_pairs_3d)(positions, forces)
    forces /= np.float32(total)
    attract = _attract_2d if flat else _attract_3d
    attract(affinities.indptr, affinities.indices, affinities.data, positions, forces)
    return forces


@njit(cache=True, fastmath=True, error_model="numpy")
def _repel_pairs_2d(positions: Float32, forces: Float32) -> np.float64:
    """Add sum_j s_ij w_ij (y_i - y_j) to `forces`; return the sum of s over pairs."""
    total = np.float64(0)
    for i in range(positions.shape[1] - 1):
        xi, yi = positions[0, i], positions[1, i]
        x, y = positions[0, i + 1 :], positions[1, i + 1 :]
        force_x, force_y = forces[0, i + 1 :], forces[1, i + 1 :]
        row, row_x, row_y = ZERO, ZERO, ZERO
        for j in range(x.size):
            dx, dy = xi - x[j], yi - y[j]
            w = ONE / (ONE + dx * dx + dy * dy)
            push_x, push_y = w * w * dx, w * w * dy
            row += w
            row_x += push_x
            row_y += push_y
            force_x[j] -= push_x
            force_y[j] -= push_y
        forces[0, i] += row_x
        forces[1, i] += row_y
        total += row
    return total


@njit(cache=True, fastmath=True, error_model="numpy")
def _repel_pairs_3d(positions: Float32, forces: Float32) -> np.float64:
    total = np.float64(0)
    for i in range(positions.shape[1] - 1):
        xi, yi, zi = positions[0, i], positions[1, i], positions[2, i]
        x, y, z = positions[0, i + 1 :], positions[1, i + 1 :], positions[2, i + 1 :]
        force_x, force_y, force_z = forces[0, i + 1 :], forces[1, i + 1 :], forces[2, i + 1 :]
        row, row_x, row_y, row_z = ZERO, ZERO, ZERO, ZERO
        for j in range(x.size):
            dx, dy, dz = xi - x[j], yi - y[j], zi - z[j]
            root = ONE / np.sqrt(ONE + HALF * (dx * dx + dy * dy + dz * dz))
            w = root * root
            share = w * root
            push_x, push_y, push_z = share * w * dx, share * w * dy, share * w * dz
            row += share
            row_x += push_x
            row_y += push_y
            row_z += push_z
            force_x[j] -= push_x
            force_y[j] -= push_y
            force_z[j] -= push_z
        forces[0, i] += row_x
        forces[1, i] += row_y
        forces[2, i] += row_z
        total += row
    return total


@njit(cache=True, fastmath=True, error_model="numpy")
def _attract_2d(
    offset: Int32, neighbours: Int32, affinity: Float32, positions: Float32, forces: Float32
) -> None:
    """Turn repulsion into the gradient: (2 a + 2) / a * (attraction - forces)."""
    x, y = positions[0], positions[1]
    for i in range(x.size):
        pull_x, pull_y = ZERO, ZERO
        for edge in range(offset[i], offset[i + 1]):
            j = neighbours[edge]
            dx, dy = x[i] - x[j], y[i] - y[j]
            pull = affinity[edge] / (ONE + dx * dx + dy * dy)
            pull_x += pull * dx
            pull_y += pull * dy
        forces[0, i] = FOUR * (pull_x - forces[0, i])
        forces[1, i] = FOUR * (pull_y - forces[1, i])


@njit(cache=True, fastmath=True, error_model="numpy")
def _attract_3d(
    offset: Int32, neighbours: Int32, affinity: Float32, positions: Float32, forces: Float32
) -> None:
    x, y, z = positions[0], positions[1], positions[2]
    for i in range(x.size):
        pull_x, pull_y, pull_z = ZERO, ZERO, ZERO
        for edge in range(offset[i], offset[i + 1]):
            j = neighbours[edge]
            dx, dy, dz = x[i] - x[j], y[i] - y[j], z[i] - z[j]
            pull = affinity[edge] / (ONE + HALF * (dx * dx + dy * dy + dz * dz))
            pull_x += pull * dx
            pull_y += pull * dy
            pull_z += pull * dz
        forces[0, i] = THREE * (pull_x - forces[0, i])
        forces[1, i] = THREE * (pull_y - forces[1, i])
        forces[2, i] = THREE * (pull_z - forces[2, i])
