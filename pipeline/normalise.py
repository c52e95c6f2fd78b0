"""Centres keys and scales queries and keys of one head so that distance can stand for attention.

With queries q, keys k, their means mq and mk, and c > 0:

    a_i = c q_i        b_j = k_j / c + t        t = c mq - mk / c

Then a_i . b_j = q_i . (k_j - mk) + c^2 q_i . mq: every query's logits move by a number of its own,
so its softmax is unchanged, while both clouds share one centre (Yeh et al. 2023, section 4.2).
Arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.records import HeadVectors

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

SCALES = np.geomspace(0.1, 5.0, 21)
# The correlation has no inner optimum: it keeps rising as c falls, while queries and keys drift
# apart. So the largest c is taken that loses at most this much of the best correlation.
CORRELATION_SLACK = 0.005


@dataclass(frozen=True)
class Normalisation:
    """How one head was normalised.

    Parameters
    ----------
    scale : c; queries are multiplied and keys divided by it.
    translation : (head_dim,) float32, added to the scaled keys.
    curve : (n_scales,) float64 weighted correlation of dot product and cosine distance at
        `SCALES`; lower is better. Empty where c is not chosen by it.
    """

    scale: float
    translation: Float32
    curve: Float64


def normalise(vectors: HeadVectors, how: Normalisation) -> tuple[Float32, Float32]:
    """Return scaled queries and scaled, translated keys.

    Returns
    -------
    queries, keys : (n_tokens, head_dim) float32 each.
    """
    queries = vectors.queries * np.float32(how.scale)
    keys = vectors.keys / np.float32(how.scale) + how.translation
    return queries, keys


def unit_rows(rows: Float32) -> Float32:
    """Return rows of length 1; rows of zeros stay zero. Cosine distance is Euclidean on them."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)


def choose_normalisation(
    vectors: HeadVectors, query_index: Int64, key_index: Int64, *, mode: str
) -> Normalisation:
    """Choose c and the translation of one head.

    Parameters
    ----------
    vectors : raw queries and keys.
    query_index, key_index : (n_pairs,) token numbers of reachable pairs of the same sequence.
    mode : "faithful": the largest c in [0.1, 5] whose weighted correlation is within 0.005 of
        the best; "paper": c = 1, as AttentionViz' published generator does; "none": raw vectors.
    """
    width = vectors.queries.shape[1]
    if mode == "none":
        return Normalisation(1.0, np.zeros(width, dtype=np.float32), np.empty(0))
    mean_query = vectors.queries.mean(axis=0, dtype=np.float64)
    mean_key = vectors.keys.mean(axis=0, dtype=np.float64)
    scale, curve = 1.0, np.empty(0)
    if mode == "faithful":
        terms = _PairTerms(vectors, mean_query, mean_key, query_index, key_index)
        curve = np.array([terms.correlation(c) for c in SCALES])
        scale = _largest_good_scale(terms, curve)
    translation = (scale * mean_query - mean_key / scale).astype(np.float32)
    return Normalisation(scale, translation, curve)


class _PairTerms:
    """Dot products and norms of sampled pairs, from which any c is evaluated without vectors."""

    def __init__(
        self,
        vectors: HeadVectors,
        mean_query: Float64,
        mean_key: Float64,
        query_index: Int64,
        key_index: Int64,
    ) -> None:
        queries = vectors.queries.astype(np.float64)
        centred = vectors.keys.astype(np.float64) - mean_key
        # Single precision from here on: the correlation changes by less than 1e-6, and is had in
        # half the time.
        dot = np.einsum("pd,pd->p", queries[query_index], centred[key_index])
        self.dot = dot.astype(np.float32)
        self.query_mean = (queries @ mean_query).astype(np.float32)[query_index]
        self.query_norm = np.linalg.norm(queries, axis=1).astype(np.float32)[query_index]
        self.key_mean = (centred @ mean_query).astype(np.float32)[key_index]
        self.key_square = (centred**2).sum(axis=1).astype(np.float32)[key_index]
        self.mean_square = float(mean_query @ mean_query)

    def correlation(self, scale: float) -> float:
        """Return the Pearson correlation of a.b and cosine distance D, weighted by 1/(D + 0.1).

        Near pairs count most. AttentionViz (section 4.2) gives the criterion without a formula;
        the weight is ours.
        """
        square = float(scale) ** 2  # of NumPy it would make all double again
        dot = self.dot + square * self.query_mean
        norm = self.key_square + 2 * square * self.key_mean + square**2 * self.mean_square
        lengths = self.query_norm * np.sqrt(np.maximum(norm, 0))
        distance = 1 - np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0)
        weight = 1 / (distance + 0.1)
        weight /= weight.sum()
        dot = dot - weight @ dot
        distance = distance - weight @ distance
        spread = np.sqrt((weight @ dot**2) * (weight @ distance**2))
        return float(weight @ (dot * distance) / spread) if spread > 0 else 0.0


def _largest_good_scale(terms: _PairTerms, curve: Float64) -> float:
    allowed = curve.min() + CORRELATION_SLACK
    good = int(np.flatnonzero(curve <= allowed)[-1])
    if good == len(SCALES) - 1:
        return float(SCALES[good])
    low, high = float(SCALES[good]), float(SCALES[good + 1])
    for _ in range(8):  # to a tenth of a per mille of the grid step
        middle = (low * high) ** 0.5
        low, high = (middle, high) if terms.correlation(middle) <= allowed else (low, middle)
    return low
