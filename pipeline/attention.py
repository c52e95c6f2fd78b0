"""Attention weights of one sequence, rebuilt from stored queries and keys; NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.records import LayerRecord

Float32 = NDArray[np.float32]


def attention_weights(
    queries: Float32,
    keys: Float32,
    layer: LayerRecord,
    *,
    additive: Float32 | None = None,
    sink: float | None = None,
) -> Float32:
    """Rebuild the attention weights of one head for one sequence.

    `softmax(f(scaling * q k^T) + additive)`, f the soft cap, over keys and, where the model has
    one, a sink column that is dropped afterwards (Vaswani et al. 2017, eq. 1). Computed in float64.

    Parameters
    ----------
    queries, keys : (n, head_dim) float32, raw.
    layer : scaling and soft cap.
    additive : (n, n) float32 mask and bias, -inf for unreachable keys; None for none.
    sink : logit of the sink column; None for none.

    Returns
    -------
    (n, n) float32, row = query; rows sum to 1, or less with a sink.

    Cost
    ----
    Memory grows with n squared.
    """
    logits = queries.astype(np.float64) @ keys.astype(np.float64).T * layer.scaling
    if layer.softcap is not None:
        logits = layer.softcap * np.tanh(logits / layer.softcap)
    if additive is not None:
        logits = logits + additive
    highest = logits.max(axis=1, keepdims=True)
    if sink is not None:
        highest = np.maximum(highest, sink)
    weights = np.exp(logits - highest)
    total = weights.sum(axis=1, keepdims=True)
    if sink is not None:
        total = total + np.exp(sink - highest)
    shares: Float32 = (weights / total).astype(np.float32)
    return shares
