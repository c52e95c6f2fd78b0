"""Which sequences, points and pairs to look at; seeded, NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Int64 = NDArray[np.int64]

# Pairs from which the scale of a head is chosen and its pooled correlation is measured.
N_PAIRS = 40_000
N_SAMPLED_QUERIES = 512
MIN_KEYS = 3


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


@dataclass(frozen=True)
class PairsBySequence:
    """Who reaches whom where no rule by position says it.

    Parameters
    ----------
    additive : (n_pairs,) float32, -inf for pairs that are not reachable, sequence by sequence and
        each query by query.
    query_offset, key_offset : (n_sequences + 1,) int64 rows of each sequence.
    """

    additive: NDArray[np.float32]
    query_offset: Int64
    key_offset: Int64

    def of_sequence(self, sequence: int) -> NDArray[np.float32]:
        """Return the (n_queries, n_keys) additive term of one sequence."""
        shape = [int(np.diff(x)[sequence]) for x in (self.query_offset, self.key_offset)]
        start = int(self._start[sequence])
        return np.asarray(self.additive[start : start + shape[0] * shape[1]]).reshape(shape)

    def reached(self, sequence: Int64, row: Int64, column: Int64) -> NDArray[np.bool_]:
        """Look pairs up; what lies outside of its sequence gives any value."""
        n_keys = np.diff(self.key_offset)
        place = self._start[sequence] + row * n_keys[sequence] + column
        found: NDArray[np.bool_] = self.additive[np.minimum(place, self._start[-1] - 1)] > -np.inf
        return found

    @property
    def _start(self) -> Int64:
        pairs = np.diff(self.query_offset) * np.diff(self.key_offset)
        return np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64)


Reachable = NDArray[np.bool_] | PairsBySequence | None


def reached(
    reachable: Reachable, sequence: Int64, row: Int64, column: Int64
) -> NDArray[np.bool_] | np.bool_:
    """Tell for each query (row) and key (column) of a sequence whether it is reachable.

    Parameters
    ----------
    reachable : (longest, longest) bool by position, row = query; pairs by sequence; None when all
        keys are reachable.
    sequence, row, column : int64 of shapes that broadcast together.
    """
    if reachable is None:
        return np.True_
    if isinstance(reachable, PairsBySequence):
        return reachable.reached(sequence, row, column)
    found: NDArray[np.bool_] = reachable[row, column]
    return found


def sample_pairs(
    offset: Int64,
    reachable: Reachable,
    *,
    n_pairs: int,
    seed: int,
    key_offset: Int64 | None = None,
) -> tuple[Int64, Int64]:
    """Sample (query, key) pairs of the same sequence, uniformly over reachable pairs.

    Parameters
    ----------
    offset : (n_sequences + 1,) int64 rows of the queries of each sequence.
    reachable : as for `reached`.
    n_pairs : how many to draw, with replacement; all pairs are returned when there are fewer.
    seed : of the draw.
    key_offset : the same of the keys; None when they are the tokens that ask.

    Returns
    -------
    query, key : (n,) int64 rows of queries and keys each.
    """
    key_offset = offset if key_offset is None else key_offset
    lengths, widths = np.diff(offset), np.diff(key_offset)
    total = int((lengths * widths).sum())
    rng = np.random.default_rng(seed)
    if total <= n_pairs:
        grids = [np.indices(shape).reshape(2, -1) for shape in zip(lengths, widths, strict=True)]
        sequence = np.repeat(np.arange(lengths.size), lengths * widths)
        row, column = np.concatenate(grids, axis=1)
    else:
        # Twice as many as needed, because a causal mask drops about half.
        n_drawn = n_pairs if reachable is None else 2 * n_pairs
        sequence = rng.choice(lengths.size, n_drawn, p=lengths * widths / total)
        sizes = np.stack([lengths[sequence], widths[sequence]])
        row, column = (rng.random((2, n_drawn)) * sizes).astype(np.int64)
    if reachable is not None:
        kept = np.flatnonzero(reached(reachable, sequence, row, column))[:n_pairs]
        sequence, row, column = sequence[kept], row[kept], column[kept]
    return offset[sequence] + row, key_offset[sequence] + column


@dataclass(frozen=True)
class QueryRows:
    """Sampled queries, each with all keys of its sequence that it can reach.

    Parameters
    ----------
    query_index : (n,) int64 token numbers.
    key_index : (n, longest) int64 token numbers; what is not reachable is filled with any number.
    reachable : (n, longest) bool.
    """

    query_index: Int64
    key_index: Int64
    reachable: NDArray[np.bool_]


def sample_query_rows(
    offset: Int64, reachable: Reachable, *, seed: int, key_offset: Int64 | None = None
) -> QueryRows:
    """Sample queries that reach at least three keys.

    Parameters
    ----------
    offset : (n_sequences + 1,) int64 rows of the queries of each sequence.
    reachable : as for `sampling.reached`.
    seed : of the sample of at most 512 queries.
    key_offset : the same of the keys; None when they are the tokens that ask.
    """
    key_offset = offset if key_offset is None else key_offset
    lengths, widths = np.diff(offset), np.diff(key_offset)
    sequence = np.repeat(np.arange(lengths.size), lengths)
    position = np.arange(offset[-1]) - offset[sequence]
    order = np.random.default_rng(seed).permutation(offset[-1])
    chosen = order[: 4 * N_SAMPLED_QUERIES]
    places = np.arange(int(widths.max()))
    kept = places[None, :] < widths[sequence[chosen], None]
    kept &= reached(reachable, sequence[chosen, None], position[chosen, None], places)
    enough = np.flatnonzero(kept.sum(axis=1) >= MIN_KEYS)[:N_SAMPLED_QUERIES]
    first = key_offset[sequence[chosen[enough]]]
    keys = np.minimum(first[:, None] + places, key_offset[-1] - 1)
    return QueryRows(chosen[enough], keys, kept[enough])
