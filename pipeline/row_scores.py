"""What heads do in one sequence, in a few numbers; arrays only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Columns of `head_scores`, in this order.
SCORES = (
    "entropy", "distance", "previous", "next", "same", "first", "strongest_query",
    "strongest_key", "strongest",
)  # fmt: skip


def head_scores(weights: Float32, *, is_cross: bool = False) -> Float32:
    """Say in a few numbers what each head of a layer does in one sequence.

    Entropy in bits of the row's distribution over keys, distance `|query - key|` weighted by
    attention, and shares of attention that go to the token before, the one after, itself and the
    first one; each the mean over the queries that have such a key. Rows that a sink shortened are
    brought back to sum 1 first.

    Parameters
    ----------
    weights : (n_heads, n_queries, n_keys) float32.
    is_cross : whether queries and keys are of different texts; then places do not compare, and
        what needs them is NaN.

    Returns
    -------
    (n_heads, 9) float32, columns as in `SCORES`; the strongest pair is the first of equal ones,
    of queries that reach more than one key: a causal model's first token reaches itself alone.
    """
    n_heads, n_queries, n_keys = weights.shape
    total = weights.sum(axis=2, keepdims=True, dtype=np.float64)
    share = np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    scores = np.full((n_heads, len(SCORES)), np.nan)
    scores[:, 0] = -(share * logs).sum(axis=2).mean(axis=1)
    if not is_cross:
        away = np.arange(n_keys)[None, :] - np.arange(n_queries)[:, None]
        scores[:, 1] = (share * np.abs(away)).sum(axis=2).mean(axis=1)
        for column, step in ((2, -1), (3, 1), (4, 0)):
            there = away == step
            if there.any():
                scores[:, column] = share[:, there].mean(axis=1)
    scores[:, 5] = share[:, :, 0].mean(axis=1)
    has_choice = (weights > 0).sum(axis=2, keepdims=True) > 1
    free = np.where(has_choice, weights, 0) if has_choice.any() else weights
    flat = free.reshape(n_heads, -1)
    strongest = flat.argmax(axis=1)
    scores[:, 6], scores[:, 7] = np.divmod(strongest, n_keys)
    scores[:, 8] = flat[np.arange(n_heads), strongest]
    return scores.astype(np.float32)
