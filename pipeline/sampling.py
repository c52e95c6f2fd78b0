"""Which sequences, points and pairs to look at; seeded, NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Int64 = NDArray[np.int64]

# Pairs from which the scale of a head is chosen and its pooled correlation is measured.
N_PAIRS = 40_000


def choose_sequences(lengths: Int64, *, max_tokens: int, seed: int) -> Int64:
    """Choose sequences at random until a number of tokens is reached; corpus order is kept.

    Parameters
    ----------
    lengths : (n_sequences,) int64 tokens of each sequence; sequences without tokens are dropped.
    max_tokens : at most so many tokens in all; every sequence is kept when they fit.
    seed : of the random order.

    Returns
    -------
    (n_chosen,) int64, ascending.

    Raises
    ------
    InputError
        if there is no token at all, or not even one sequence fits.
    """
    candidates = np.flatnonzero(lengths)
    if candidates.size == 0:
        raise InputError("the corpus has no tokens; expected at least one non-empty sequence")
    if lengths.sum() <= max_tokens:
        return candidates.astype(np.int64)
    order = np.random.default_rng(seed).permutation(candidates)
    chosen = order[np.cumsum(lengths[order]) <= max_tokens]
    if chosen.size == 0:
        raise InputError(
            f"the shortest choice has {int(lengths[order[0]])} tokens, expected at most "
            f"{max_tokens}; split the sequence"
        )
    return np.sort(chosen).astype(np.int64)


def draw_order(n_points: int, *, seed: int) -> NDArray[np.uint32]:
    """Return one random order of the points: every prefix is a uniform sample of them.

    Returns
    -------
    (n_points,) uint32: `order[draw_index] = point`.
    """
    return np.random.default_rng(seed).permutation(n_points).astype(np.uint32)


def sample_pairs(
    offset: Int64, reachable: NDArray[np.bool_] | None, *, n_pairs: int, seed: int
) -> tuple[Int64, Int64]:
    """Sample (query, key) token pairs of the same sequence, uniformly over reachable pairs.

    Parameters
    ----------
    offset : (n_sequences + 1,) int64 token offsets.
    reachable : (longest, longest) bool by position, row = query; None when all keys are reachable.
    n_pairs : how many to draw, with replacement; all pairs are returned when there are fewer.
    seed : of the draw.

    Returns
    -------
    query, key : (n,) int64 token numbers each.
    """
    lengths = np.diff(offset)
    total = int((lengths**2).sum())
    rng = np.random.default_rng(seed)
    if total <= n_pairs:
        grids = [np.indices((n, n)).reshape(2, -1) for n in lengths]
        sequence = np.repeat(np.arange(lengths.size), lengths**2)
        row, column = np.concatenate(grids, axis=1)
    else:
        # Twice as many as needed, because a causal mask drops about half.
        n_drawn = n_pairs if reachable is None else 2 * n_pairs
        sequence = rng.choice(lengths.size, n_drawn, p=lengths**2 / total)
        row, column = (rng.random((2, n_drawn)) * lengths[sequence]).astype(np.int64)
    if reachable is not None:
        kept = np.flatnonzero(reachable[row, column])[:n_pairs]
        sequence, row, column = sequence[kept], row[kept], column[kept]
    return offset[sequence] + row, offset[sequence] + column
