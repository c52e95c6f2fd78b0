"""How well a head orders patches by what they show: hue, brightness, frequency, angle, place.

Measured in the joint embedding, separately among queries and among keys. Definition, choices and
findings: docs/ordering.md. NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

N_NEAREST = 10
N_SHUFFLES = 20
# Whole images are drawn until they hold so many patches, and so many of these are asked.
MAX_PATCHES = 4_000
N_ASKED = 400
# An order counts when it is so many standard deviations above that of shuffled patches.
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Property:
    """One thing that patches can be ordered by.

    Parameters
    ----------
    name : such as "hue".
    values : (n_tokens, d) float64; NaN where a token has none. Distance is Euclidean.
    period : of a value that goes in a circle; None for others.
    within : whether neighbours are looked for in the same image, not in all others.
    """

    name: str
    values: Float64
    period: float | None = None
    within: bool = False


@dataclass(frozen=True)
class Order:
    """How far one side of a head is ordered by one property.

    Parameters
    ----------
    score : 0 as for shuffled patches .. 1 as well as possible; below 0 for worse than shuffled.
    spread : standard deviation of the score of shuffled patches.
    """

    score: float
    spread: float

    @property
    def figure(self) -> float:
        """The score within 0 .. 1, and 0 where it could be chance."""
        return min(max(self.score, 0.0), 1.0) if self.score > SIGNIFICANT * self.spread else 0.0


class Asked:
    """Patches whose neighbours are looked at, the same for every head of a capture.

    Parameters
    ----------
    sequence, row, column : (n_tokens,) int64; row -1 for tokens that are no patches.
    grid : rows and columns.
    properties : what they may be ordered by; a property that has fewer than two different values,
        or none in two images, is dropped.
    seed : of the choice of images and patches, and of the shuffles.
    """

    def __init__(
        self,
        sequence: Int64,
        row: Int64,
        column: Int64,
        grid: tuple[int, int],
        properties: Iterable[Property],
        *,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._grid = grid
        per_image = grid[0] * grid[1]
        n_images = int(sequence.max()) + 1
        chosen = np.sort(rng.permutation(n_images)[: max(MAX_PATCHES // per_image, 2)])
        patches = np.flatnonzero((row >= 0) & np.isin(sequence, chosen))
        # Image by image, row by row: shuffles move whole pictures.
        order = np.lexsort((column[patches], row[patches], sequence[patches]))
        self.tokens: Int64 = patches[order].astype(np.int64)
        self._n_images = self.tokens.size // per_image
        self._image = np.arange(self.tokens.size) // per_image
        self._rng = rng
        # Properties that the same patches have share the patches that are asked, and so neighbours.
        self._turn = rng.permutation(self.tokens.size)
        self._tasks = [task for p in properties if (task := self._prepare(p)) is not None]

    @property
    def names(self) -> list[str]:
        """Names of the properties that are measured."""
        return [task.name for task in self._tasks]

    def measure(self, points: Float32) -> dict[str, Order]:
        """Measure one side of a head.

        Parameters
        ----------
        points : (n_tokens, head_dim) float32 unit rows, one a token.

        Returns
        -------
        name -> order.

        Cost
        ----
        A matrix of 400 x 4,000 products and one selection in it for each pattern of missing values.
        """
        units = points[self.tokens]
        found: dict[bytes, Int64] = {}
        orders = {}
        for task in self._tasks:
            if task.pattern not in found:
                products = units[task.asked] @ units.T
                products[~task.allowed] = -np.inf
                found[task.pattern] = _largest(products, N_NEAREST)
            orders[task.name] = task.order(found[task.pattern])
        return orders

    def _prepare(self, wanted: Property) -> _Task | None:
        """Return what a property needs for every head; None where it cannot be measured."""
        values = wanted.values[self.tokens]
        has_value = ~np.isnan(values.sum(axis=1))
        if not has_value.any() or (self._n_images < 2 and not wanted.within):
            return None
        asked = self._turn[has_value[self._turn]][:N_ASKED]
        same_image = self._image[asked, None] == self._image[None, :]
        allowed = (same_image if wanted.within else ~same_image) & has_value
        allowed[np.arange(asked.size), asked] = False
        enough = allowed.sum(axis=1) >= N_NEAREST
        asked, allowed = asked[enough], allowed[enough]
        if asked.size == 0:
            return None
        distance = _distance(values[asked, None], values[None, :], wanted.period)
        distance[~allowed] = np.inf
        best = float(np.partition(distance, N_NEAREST - 1, axis=1)[:, :N_NEAREST].mean())
        shuffled = np.stack([self._shuffle(values, wanted) for _ in range(N_SHUFFLES)])
        pattern = has_value.tobytes() + bytes([wanted.within])
        task = _Task(
            wanted.name, wanted.period, values, asked, allowed, pattern, best, shuffled
        )  # fmt: skip
        random = self._rng.integers(0, self.tokens.size, (asked.size, N_NEAREST))
        return task if task.chance(random) - best > 1e-9 else None

    def _shuffle(self, values: Float64, wanted: Property) -> Float64:
        """Give every image the values of another one, moved around its edges by a random step.

        What lies together in an image stays together: patches that are alike only because they are
        neighbours do not count as an order. Places within an image are mixed one by one.
        """
        rows, columns = self._grid
        pictures = values.reshape(self._n_images, rows, columns, -1)
        if wanted.within:
            flat = pictures.reshape(self._n_images, rows * columns, -1)
            mixed = [picture[self._rng.permutation(rows * columns)] for picture in flat]
            return np.stack(mixed).reshape(values.shape)
        # Images without any value (grey ones have no hue) keep none: they are not asked either.
        having = np.flatnonzero(~np.isnan(pictures).all(axis=(1, 2, 3)))
        moved = pictures.copy()
        for to, other in zip(having, self._rng.permutation(having), strict=True):
            step = self._rng.integers(0, (rows, columns))
            moved[to] = np.roll(pictures[other], step, axis=(0, 1))
        return moved.reshape(values.shape)


@dataclass(frozen=True)
class _Task:
    """One property, with what does not depend on the head.

    Parameters
    ----------
    values : (n, d) float64 of the chosen patches.
    asked : (n_asked,) int64 rows of them; allowed : (n_asked, n) bool who may be a neighbour.
    pattern : what tells tasks apart whose neighbours may differ.
    best : least possible mean distance of the ten neighbours.
    shuffled : (n_shuffles, n, d) float64.
    """

    name: str
    period: float | None
    values: Float64
    asked: Int64
    allowed: NDArray[np.bool_]
    pattern: bytes
    best: float
    shuffled: Float64

    def order(self, nearest: Int64) -> Order:
        """Return (D0 - D) / (D0 - D*) for the neighbours found, and its spread."""
        found = _mean_distance(self.values, self.asked, nearest, self.period)
        chances = self._chances(nearest)
        scale = float(chances.mean()) - self.best
        if scale <= 0:
            return Order(0.0, 1.0)
        score = (float(chances.mean()) - found) / scale
        return Order(score, float(chances.std(ddof=1)) / scale)

    def chance(self, nearest: Int64) -> float:
        """Return the mean distance of shuffled patches."""
        return float(self._chances(nearest).mean())

    def _chances(self, nearest: Int64) -> Float64:
        return np.array(
            [_mean_distance(v, self.asked, nearest, self.period) for v in self.shuffled]
        )


def _mean_distance(values: Float64, asked: Int64, nearest: Int64, period: float | None) -> float:
    return float(np.nanmean(_distance(values[asked, None], values[nearest], period)))


def _distance(first: Float64, second: Float64, period: float | None) -> Float64:
    """Return the Euclidean distance along the last axis, around the circle where there is one."""
    apart = np.abs(first - second)
    if period is not None:
        apart = np.minimum(apart, period - apart)
    length: Float64 = np.sqrt((apart**2).sum(axis=-1))
    return length


def _largest(products: Float32, k: int) -> Int64:
    return np.argpartition(-products, k - 1, axis=1)[:, :k].astype(np.int64)
