"""Repulsion of all pairs of a t-SNE map through a grid, for maps of many points.

The potential phi(y) = sum_j s(y - y_j) with s(r) = (1 + |r|^2 / a)^(-(a + 1) / 2), see
`gradient.py`, is smooth: its slope is all that repulsion needs, and a grid of nodes HALF as wide
as s carries it. Points hand their charge to the nodes around them with cubic B-splines, one
convolution by FFT gives phi at the nodes, and the same splines, and their slopes, give it back at
the points. Dividing by the splines' own spectrum, once for handing out and once for reading, makes
both an interpolation. The idea of a grid is that of Linderman et al. (2019), "Fast
interpolation-based t-SNE"; splines instead of polynomials need a third of the nodes, and the slope
instead of a convolution for each axis two transforms instead of seven.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Distance of nodes by dimension: half of it, and half of that, while the map is so small that it
# needs no more than so many nodes an axis. The early steps decide where clusters go.
SPACING = {2: 0.4, 3: 0.6}
FINE_NODES = {2: 128, 3: 40}
HALVINGS = 2
# A node costs as much as so many of the n_points^2 pairs: measured in `benchmarks/growth.py`.
PAIRS_A_NODE = {2: 400, 3: 350}
# Splines reach two nodes beyond a point; one more for rounding.
MARGIN = 3
# More nodes than that are not made; a wider map gets a coarser grid.
MAX_NODES = 2**22
GROWTH = 1.05

ZERO, ONE, TWO, THREE, FOUR, SIX = (np.float32(value) for value in (0, 1, 2, 3, 4, 6))


class GridRepulsion:
    """Repulsion of one map; it keeps its grid from step to step while the map fits.

    Parameters
    ----------
    n_components : 2 or 3.
    """

    def __init__(self, n_components: int) -> None:
        self._spacing = 0.0
        self._nodes = np.zeros(n_components, dtype=np.int64)
        self._spectrum = np.empty(0, dtype=np.float32)

    @property
    def n_nodes(self) -> int:
        """How many nodes the grid at hand has."""
        return int(np.prod(self._nodes))

    def pays(self, positions: Float32) -> bool:
        """Tell whether the grid is quicker than all pairs: it grows with the size of the map."""
        n_components, n_points = positions.shape
        needed = _needed(np.ptp(positions, axis=1))[1]
        return bool(np.prod(needed) * PAIRS_A_NODE[n_components] < n_points**2)

    def repel(self, positions: Float32, forces: Float32) -> float:
        """Write sum_j s_ij w_ij (y_i - y_j) to `forces`; return the sum of s over all i != j.

        Parameters
        ----------
        positions, forces : (2 or 3, n_points) float32, C order.
        """
        n_components, n_points = positions.shape
        low, high = positions.min(axis=1), positions.max(axis=1)
        self._fit(high - low)
        # The middle of the map is the middle of the grid: what a point that is alone there would
        # do to itself by interpolation cancels.
        corner = (low + high) / 2 - (self._nodes - 1) / 2 * self._spacing
        scaled = (positions - corner[:, None].astype(np.float32)) / np.float32(self._spacing)
        charge = np.zeros(self._nodes, dtype=np.float32)
        spread, read = (_spread_2d, _read_2d) if n_components == 2 else (_spread_3d, _read_3d)
        spread(scaled, charge)
        total = read(scaled, _convolve(charge, self._spectrum, self._nodes), forces)
        freedom = n_components - 1
        forces *= np.float32(-freedom / (freedom + 1) / self._spacing)
        # Repulsion is mutual: a common force is the grid's.
        forces -= forces.mean(axis=1, keepdims=True)
        return float(total - n_points)  # s = 1 of each point with itself

    def _fit(self, size: Float32) -> None:
        """Make another grid when the map has outgrown the one at hand, or could have a finer."""
        spacing, needed = _needed(size)
        if spacing == self._spacing and (needed <= self._nodes).all():
            return
        # Each axis is as long again, so that the two ends do not meet in the convolution.
        wanted = (needed * GROWTH).astype(np.int64).tolist()
        self._spacing = spacing
        self._nodes = np.array([next_fast_len(2 * n, real=True) // 2 for n in wanted])
        self._spectrum = _kernel_spectrum(self._nodes, spacing)


def _needed(size: Float32) -> tuple[float, NDArray[np.float64]]:
    """Return distance and number of nodes of each axis for a map of some width and height."""
    n_components = size.size
    spacing = SPACING[n_components]
    for _ in range(HALVINGS):
        if size.max() < FINE_NODES[n_components] * spacing / 2:
            spacing /= 2
    needed = np.ceil(size / spacing) + 1 + 2 * MARGIN
    if np.prod(needed, dtype=np.float64) > MAX_NODES:
        spacing = float(size.max()) / MAX_NODES ** (1 / n_components)
        needed = np.ceil(size / spacing) + 1 + 2 * MARGIN
    return spacing, needed


def _kernel_spectrum(nodes: Int64, spacing: float) -> Float32:
    """Transform s on the nodes, and divide by the splines' spectrum twice.

    Returns
    -------
    (2 * nodes[0], ..., nodes[-1] + 1) float32: s is even, so its spectrum is real.
    """
    freedom = nodes.size - 1
    lengths = [2 * int(n) for n in nodes]
    squared = np.zeros((1,) * nodes.size, dtype=np.float32)
    for axis, length in enumerate(lengths):
        place = np.fft.fftfreq(length, 1 / length) * spacing
        squared = squared + _along(place**2 / freedom, axis, nodes.size)
    kernel = (1 + squared) ** np.float32(-(freedom + 1) / 2)
    spectrum = rfft(kernel, axis=-1)
    for axis in range(nodes.size - 1):
        spectrum = fft(spectrum, axis=axis, overwrite_x=True)
    real = np.ascontiguousarray(spectrum.real)
    for axis, length in enumerate(lengths):
        # B-splines have the values 1/6, 4/6, 1/6 at the nodes.
        angle = 2 * np.pi * np.arange(real.shape[axis]) / length
        real /= _along(((2 + np.cos(angle)) / 3) ** 2, axis, nodes.size)
    return real


def _along(values: NDArray[np.float64], axis: int, n_axes: int) -> Float32:
    shape = [1] * n_axes
    shape[axis] = -1
    return values.astype(np.float32).reshape(shape)


def _convolve(charge: Float32, spectrum: Float32, nodes: Int64) -> Float32:
    """Convolve with the kernel of a spectrum; what is zero or not wanted is not transformed."""
    values = rfft(charge, n=2 * int(nodes[-1]), axis=-1)
    others = range(nodes.size - 1)
    for axis in reversed(others):
        values = fft(values, n=2 * int(nodes[axis]), axis=axis)
    values *= spectrum
    for axis in others:
        values = ifft(values, axis=axis, overwrite_x=True)
        values = values[(slice(None),) * axis + (slice(int(nodes[axis])),)]
    potential: Float32 = irfft(values, n=2 * int(nodes[-1]), axis=-1)[..., : int(nodes[-1])]
    return potential


@njit(cache=True, error_model="numpy", inline="always")
def _weights(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Cubic B-spline at the two nodes before and the two after a point; t in 0 .. 1."""
    u = ONE - t
    return (
        u * u * u / SIX,
        (FOUR - THREE * t * t * (TWO - t)) / SIX,
        (FOUR - THREE * u * u * (TWO - u)) / SIX,
        t * t * t / SIX,
    )


@njit(cache=True, error_model="numpy", inline="always")
def _slopes(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Slopes of `_weights`."""
    u = ONE - t
    return (
        -u * u / TWO,
        t * (THREE * t - FOUR) / TWO,
        u * (FOUR - THREE * u) / TWO,
        t * t / TWO,
    )


@njit(cache=True, error_model="numpy")
def _spread_2d(scaled: Float32, charge: Float32) -> None:
    for i in range(scaled.shape[1]):
        row, column = int(scaled[0, i]), int(scaled[1, i])
        across = _weights(scaled[1, i] - np.float32(column))
        for a, weight in enumerate(_weights(scaled[0, i] - np.float32(row))):
            line = charge[row - 1 + a]
            for b, other in enumerate(across):
                line[column - 1 + b] += weight * other


@njit(cache=True, fastmath=True, error_model="numpy")
def _read_2d(scaled: Float32, potential: Float32, forces: Float32) -> np.float64:
    """Write the slope of the potential at the points to `forces`; return its sum."""
    total = np.float64(0)
    for i in range(scaled.shape[1]):
        row, column = int(scaled[0, i]), int(scaled[1, i])
        t, u = scaled[0, i] - np.float32(row), scaled[1, i] - np.float32(column)
        down, down_slope, across, across_slope = _weights(t), _slopes(t), _weights(u), _slopes(u)
        value, slope_x, slope_y = ZERO, ZERO, ZERO
        for a in range(4):
            line = potential[row - 1 + a]
            here, here_slope = ZERO, ZERO
            for b in range(4):
                here += across[b] * line[column - 1 + b]
                here_slope += across_slope[b] * line[column - 1 + b]
            value += down[a] * here
            slope_x += down_slope[a] * here
            slope_y += down[a] * here_slope
        forces[0, i] = slope_x
        forces[1, i] = slope_y
        total += value
    return total


@njit(cache=True, error_model="numpy")
def _spread_3d(scaled: Float32, charge: Float32) -> None:
    for i in range(scaled.shape[1]):
        row, column, depth = int(scaled[0, i]), int(scaled[1, i]), int(scaled[2, i])
        across = _weights(scaled[1, i] - np.float32(column))
        inwards = _weights(scaled[2, i] - np.float32(depth))
        for a, weight in enumerate(_weights(scaled[0, i] - np.float32(row))):
            for b, other in enumerate(across):
                line = charge[row - 1 + a, column - 1 + b]
                share = weight * other
                for c, third in enumerate(inwards):
                    line[depth - 1 + c] += share * third


@njit(cache=True, fastmath=True, error_model="numpy")
def _read_3d(scaled: Float32, potential: Float32, forces: Float32) -> np.float64:
    total = np.float64(0)
    for i in range(scaled.shape[1]):
        row, column, depth = int(scaled[0, i]), int(scaled[1, i]), int(scaled[2, i])
        t, u = scaled[0, i] - np.float32(row), scaled[1, i] - np.float32(column)
        v = scaled[2, i] - np.float32(depth)
        down, down_slope, across, across_slope = _weights(t), _slopes(t), _weights(u), _slopes(u)
        inwards, inwards_slope = _weights(v), _slopes(v)
        value, slope_x, slope_y, slope_z = ZERO, ZERO, ZERO, ZERO
        for a in range(4):
            plane, plane_y, plane_z = ZERO, ZERO, ZERO
            for b in range(4):
                line = potential[row - 1 + a, column - 1 + b]
                here, here_slope = ZERO, ZERO
                for c in range(4):
                    here += inwards[c] * line[depth - 1 + c]
                    here_slope += inwards_slope[c] * line[depth - 1 + c]
                plane += across[b] * here
                plane_y += across_slope[b] * here
                plane_z += across[b] * here_slope
            value += down[a] * plane
            slope_x += down_slope[a] * plane
            slope_y += down[a] * plane_y
            slope_z += down[a] * plane_z
        forces[0, i] = slope_x
        forces[1, i] = slope_y
        forces[2, i] = slope_z
        total += value
    return total
