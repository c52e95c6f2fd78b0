"""Mean attention by query position and key position over all sequences of a corpus. NumPy only.

Here, too, the one rule by which weights are taken anew when keys are hidden or values count;
`assets/28_weighting.js` states the same rule for what is hidden in the browser.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.encodings import is_punctuation
from pipeline.errors import InputError
from pipeline.records import TokenTable

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

WEIGHTINGS = ("attention", "value", "transformed")
# What can be left out before the mean is taken: whole kinds of tokens.
FILTERS = ("start", "separators", "first", "punctuation", "patches", "words")


@dataclass(frozen=True)
class Aggregate:
    """Mean attention of one head by position.

    Parameters
    ----------
    means : (n_queries, n_keys) float32, over the sequences that have both positions; 0 where no
        sequence has. Rows need not sum to 1, because the sequences differ in length.
    counts : (n_queries,) int64 sequences that have a query at this position.
    """

    means: Float32
    counts: NDArray[np.int64]


def aggregate(
    capture: Capture,
    layer: int,
    head: int,
    *,
    weighting: str = "attention",
    left_out: Iterable[str] = (),
) -> Aggregate:
    """Average the weights of a head over all sequences, position by position.

    Parameters
    ----------
    weighting : what the weights of each sequence are: "attention", or attention times the norm of
        the "value" or of the "transformed" value; see `reweighted`.
    left_out : of `FILTERS`; these tokens are neither queries nor keys, and every row is taken anew
        over the keys that are left before the mean is taken.

    Raises
    ------
    InputError
        if there is no such head, weighting or filter, if the values were not captured, or if
        positions of this corpus mean nothing (`why_not`).

    Cost
    ----
    Time grows with the pairs of all sequences together, memory with the square of the longest.
    """
    left_out = _checked(weighting, left_out)
    reason = why_not(capture)
    if reason:
        raise InputError(reason)
    norms = _norms(capture, layer, head, weighting)
    hidden = hidden_tokens(capture.tokens, left_out)
    sides = [np.arange(capture.n_tokens) if x is None else x
             for x in (capture.query_tokens, capture.key_tokens)]  # fmt: skip
    shape = tuple(int(np.diff(x).max()) for x in (capture.query_offset, capture.key_offset))
    sums, pairs = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    counts = np.zeros(shape[0], dtype=np.int64)
    weights_of = capture.head_attention(layer, head)
    has_sinks = capture.layers[layer].has_sinks
    for sequence in range(capture.n_sequences):
        rows = slice(*capture.query_offset[sequence : sequence + 2])
        columns = slice(*capture.key_offset[sequence : sequence + 2])
        gone, lost = hidden[sides[0][rows]], hidden[sides[1][columns]]
        weights = reweighted(
            weights_of(sequence),
            norms=None if norms is None else norms[columns],
            hidden_keys=lost,
            has_sinks=has_sinks,
        )
        both = ~gone[:, None] & ~lost[None, :]
        here = slice(gone.size), slice(lost.size)
        sums[here] += np.where(both, weights, 0)
        pairs[here] += both
        counts[: gone.size] += ~gone
    return Aggregate((sums / np.maximum(pairs, 1)).astype(np.float32), counts)


def reweighted(
    weights: Float32, *, norms: Float32 | None, hidden_keys: Bool, has_sinks: bool
) -> NDArray[np.float64]:
    """Take the weights of each query anew: over fewer keys, or by what the values contribute.

    `w_ij = a_ij n_j / (sum over the keys j that are left)`, with `n_j` the norm of the value or 1.
    A sink counts as a key that cannot be hidden: its share stays in the sum. It has no value, so
    with norms it contributes nothing. Nothing hidden and no norms: the weights as they are. A row
    without any weight left is zero.

    Parameters
    ----------
    weights : (n_queries, n_keys) float32 attention.
    norms : (n_keys,) float32, or None.
    hidden_keys : (n_keys,) bool.
    has_sinks : whether rows may sum to less than 1.

    Returns
    -------
    (n_queries, n_keys) float64.
    """
    exact = weights.astype(np.float64)
    if norms is None and not hidden_keys.any():
        return exact
    sink = np.zeros((len(exact), 1))
    if has_sinks and norms is None:
        sink = np.maximum(1 - exact.sum(axis=1, keepdims=True), 0)
    left = np.where(hidden_keys, 0, exact if norms is None else exact * norms)
    total = left.sum(axis=1, keepdims=True) + sink
    shares: NDArray[np.float64] = np.divide(left, total, out=np.zeros_like(left), where=total > 0)
    return shares


def hidden_tokens(tokens: TokenTable, left_out: Iterable[str]) -> Bool:
    """Return (n_tokens,) bool, true for tokens of the kinds that are left out.

    "start": the special token at the beginning of a sequence; "separators": all other special
    ones; "first": whatever comes first; "punctuation": tokens of punctuation marks alone; "patches"
    and "words" where a sequence has both, else none.
    """
    first = tokens.token_index == 0
    is_patch = tokens.row >= 0
    is_word = ~is_patch & ~tokens.is_special
    has_both = bool(is_patch.any() and is_word.any())
    hidden = np.zeros(tokens.n_tokens, dtype=bool)
    for kind in left_out:
        if kind == "start":
            hidden |= first & tokens.is_special
        elif kind == "separators":
            hidden |= ~first & tokens.is_special
        elif kind == "first":
            hidden |= first
        elif kind == "punctuation":
            marks = {text for text in set(tokens.token_text) if is_punctuation(text)}
            hidden |= np.array([text in marks for text in tokens.token_text]) & is_word
        elif kind in ("patches", "words") and has_both:
            hidden |= is_patch if kind == "patches" else is_word
    return hidden


def why_not(capture: Capture) -> str:
    """Say why positions cannot be averaged over; "" when they can."""
    lengths = [np.unique(np.diff(x)).size for x in (capture.query_offset, capture.key_offset)]
    if max(lengths) == 1:
        return ""
    if capture.record["corpus"]["modality"] == "image":
        return _why_not_of_images(capture.tokens)
    is_pair = capture.record["part"] == "self" and bool((capture.tokens.segment == 1).any())
    if is_pair:
        return (
            "These are pairs of texts of different lengths: the second one begins at another "
            "position each time, so a mean by position would mix both texts."
        )
    return ""


def _why_not_of_images(tokens: TokenTable) -> str:
    """Say the same of images whose sequences differ in length: texts of any length may follow."""
    patches = np.flatnonzero(tokens.row >= 0)
    position = tokens.token_index[patches]
    place = np.stack([position, tokens.row[patches], tokens.column[patches]], axis=1)
    n_places = len(np.unique(place, axis=0))
    if n_places == np.unique(position).size == np.unique(place[:, 1:], axis=0).shape[0]:
        return ""
    return (
        "The patches of these images stand at different positions, or are of different number, so "
        "their positions do not match."
    )


def _checked(weighting: str, left_out: Iterable[str]) -> list[str]:
    found = list(left_out)
    for name, values, known in (
        ("weighting", [weighting], WEIGHTINGS),
        ("without", found, FILTERS),
    ):
        for value in values:
            if value not in known:
                raise InputError(f"{name}: found {value!r}, expected one of {', '.join(known)}")
    return found


def _norms(capture: Capture, layer: int, head: int, weighting: str) -> Float32 | None:
    if weighting == WEIGHTINGS[0]:
        capture.cell(layer, head)
        return None
    norms: Float32 = capture.head_value_norms(layer, head)[WEIGHTINGS.index(weighting) - 1]
    if np.isnan(norms).any():
        reason = capture.layers[layer].no_projection or "build this atlas again to have them"
        raise InputError(f"no norms of the {weighting} vectors in layer {layer}: {reason}")
    return norms
