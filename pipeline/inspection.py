"""What the inspect pages ask of one sequence of a capture: tokens, weights, vectors, added terms.

Only the rows of that sequence are read; files stay mapped. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.attention import attention_weights
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.objects import ObjectRef
from pipeline.records import HeadVectors, LayerRecord
from pipeline.row_scores import head_scores
from pipeline.specs import ROTARY

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

PREVIEW_TOKENS = 24


class Inspection:
    """Answers about single sequences.

    Parameters
    ----------
    capture_of : opens a capture by its key.
    """

    def __init__(self, capture_of: Callable[[str], Capture]) -> None:
        self._capture_of = capture_of

    def sequences(self, key: str) -> list[dict[str, Any]]:
        """Return label, first words (of texts) and length of every sequence of a capture."""
        tokens = self._capture_of(key).tokens
        labels = self._capture_of(key).record["corpus"]["labels"]
        offset = tokens.sequence_offset
        is_no_word = tokens.is_special | (tokens.row >= 0)
        return [
            {
                "label": label,
                "words": preview(tokens.token_text, is_no_word, start, end),
                "length": int(end - start),
            }
            for label, start, end in zip(labels, offset, offset[1:], strict=False)
        ]

    def sequence(self, key: str, sequence: int) -> dict[str, Any]:
        """Return tokens of both sides of a sequence and what its layers are, as plain JSON.

        Raises
        ------
        InputError
            if there is no such capture or sequence.
        """
        capture = self._capture_of(key)
        queries, keys = rows_of(capture, sequence)
        return {
            "label": capture.record["corpus"]["labels"][sequence],
            "modality": capture.record["corpus"]["modality"],
            "rotary": capture.record["rotary"],
            "queries": _side(capture, capture.query_tokens, queries),
            "keys": _side(capture, capture.key_tokens, keys),
            "is_cross": capture.query_tokens is not None,
            "layers": [_layer_json(layer) for layer in capture.layers],
        }

    def weights(self, key: str, sequence: int, layer: int) -> Float32:
        """Return (n_heads, n_queries, n_keys) float32 attention weights of one layer."""
        return layer_weights(self._capture_of(key), sequence, layer)

    def scores(self, weights: Float32, *, is_cross: bool) -> Float32:
        """Say in a few numbers what the heads of a layer do; see `head_scores`."""
        return head_scores(weights, is_cross=is_cross)

    def vectors(
        self, key: str, sequence: int, layer: int, head: int, *, rotary: str
    ) -> HeadVectors:
        """Return queries and keys of a sequence and head; see `head_vectors`."""
        return head_vectors(self._capture_of(key), sequence, layer, head, rotary=rotary)

    def additive(self, key: str, sequence: int, layer: int, head: int) -> Float32 | None:
        """Return (n_queries, n_keys) float32 mask and bias of a sequence, or None for none."""
        return head_additive(self._capture_of(key), sequence, layer, head)

    def head(self, key: str, layer: int, head: int) -> dict[str, Any]:
        """Return what shapes the logits of one head beside its vectors, as plain JSON."""
        capture = self._capture_of(key)
        capture.cell(layer, head)
        record = capture.layers[layer]
        key_head = record.key_head(head)
        heads = [other for other in range(record.n_heads) if record.key_head(other) == key_head]
        both = capture.record["rotary"] == ROTARY[1]
        return {
            **_layer_json(record),
            "sink": sink_of(capture, layer, head),
            "key_head": key_head,
            "heads_of_key_head": heads,
            "rotary": list(ROTARY) if both else [ROTARY[0]],
            "has_terms": head_additive(capture, 0, layer, head) is not None,
        }


def rows_of(capture: Capture, sequence: int) -> tuple[slice, slice]:
    """Return where the queries and the keys of a sequence lie.

    Raises
    ------
    InputError
        if there is no such sequence.
    """
    n_sequences = capture.query_offset.size - 1
    if not 0 <= sequence < n_sequences:
        raise InputError(f"sequence: found {sequence}, expected 0 to {n_sequences - 1}")
    queries, keys = (
        slice(int(offset[sequence]), int(offset[sequence + 1]))
        for offset in (capture.query_offset, capture.key_offset)
    )
    return queries, keys


def head_vectors(
    capture: Capture, sequence: int, layer: int, head: int, *, rotary: str = ROTARY[0]
) -> HeadVectors:
    """Return raw queries (n_queries, head_dim) and keys (n_keys, head_dim) of one sequence.

    Parameters
    ----------
    rotary : "after": as the softmax received them; "before": before the rotary embedding, which
        only captures hold that were made so.

    Raises
    ------
    InputError
        if there is no such sequence or head, or the capture does not hold these vectors.
    """
    rows = rows_of(capture, sequence)
    capture.cell(layer, head)
    held = capture.record["rotary"]
    if rotary not in ROTARY or (rotary == ROTARY[1] and held != ROTARY[1]):
        raise InputError(
            f"rotary: found {rotary!r}; this capture holds vectors {held} rotation only. "
            "Build the atlas with --rotary before to see both"
        )
    queries, keys = _vectors(capture, rows, layer, rotary)
    return HeadVectors(
        np.array(queries[head]), np.array(keys[capture.layers[layer].key_head(head)])
    )


def head_additive(capture: Capture, sequence: int, layer: int, head: int) -> Float32 | None:
    """Return (n_queries, n_keys) float32 mask and bias of one sequence, None where there are none.

    Unreachable pairs are -inf.

    Raises
    ------
    InputError
        if there is no such sequence or head.
    """
    capture.cell(layer, head)
    additive = _additive(capture, sequence, layer)
    return None if additive is None else np.array(additive[head if len(additive) > 1 else 0])


def sink_of(capture: Capture, layer: int, head: int) -> float | None:
    """Return the logit of a head's sink column, None where there is none."""
    row = capture.record["objects"]["sinks"][layer]
    return None if row is None else float(_array(capture, row)[head])


def layer_weights(capture: Capture, sequence: int, layer: int) -> Float32:
    """Return the weights of all heads of a layer for one sequence.

    Returns
    -------
    (n_heads, n_queries, n_keys) float32, row = query.

    Raises
    ------
    InputError
        if there is no such sequence or layer.

    Cost
    ----
    Memory grows with the square of the length.
    """
    capture.cell(layer, 0)
    record = capture.layers[layer]
    queries, keys = _vectors(capture, rows_of(capture, sequence), layer, ROTARY[0])
    additive = _additive(capture, sequence, layer)
    sinks = capture.record["objects"]["sinks"][layer]
    logits = None if sinks is None else _array(capture, sinks)
    return np.stack([
        attention_weights(
            queries[head],
            keys[record.key_head(head)],
            record,
            additive=None if additive is None else additive[head if len(additive) > 1 else 0],
            sink=None if logits is None else float(logits[head]),
        )
        for head in range(record.n_heads)
    ])  # fmt: skip


def preview(texts: tuple[str, ...], special: NDArray[np.bool_], start: int, end: int) -> str:
    """Return the first words of a sequence as a person would write them."""
    kept = [texts[i] for i in range(start, end) if not special[i]]
    shown = kept[:PREVIEW_TOKENS]
    is_spaced = any(text.startswith(" ") for text in shown)
    words = ""
    for text in shown:
        if text.startswith("##"):
            words += text[2:]
        else:
            words += text if is_spaced or not words else f" {text}"
    return words.strip() + (" …" if len(kept) > PREVIEW_TOKENS else "")


def _side(capture: Capture, tokens: Int64 | None, rows: slice) -> dict[str, Any]:
    """Return texts, marks and places of the tokens that are queries (or keys) of a sequence."""
    table = capture.tokens
    chosen = np.arange(rows.start, rows.stop) if tokens is None else np.asarray(tokens[rows])
    return {
        "text": [table.token_text[token] for token in chosen],
        "special": table.is_special[chosen].astype(int).tolist(),
        "patch": (table.row[chosen] >= 0).astype(int).tolist(),
        "segment": _segments(table.segment[chosen], table.is_special[chosen]),
        "position": table.token_index[chosen].tolist(),
    }


def _vectors(
    capture: Capture, rows: tuple[slice, slice], layer: int, rotary: str
) -> tuple[Float32, Float32]:
    """Map (n_heads, n_queries, head_dim) queries and (n_kv_heads, n_keys, head_dim) keys."""
    prefix = "softmax_" if rotary != capture.record["rotary"] else ""
    objects = capture.record["objects"]
    queries, keys = (
        _array(capture, objects[f"{prefix}{side}"][layer])[:, part]
        for side, part in zip(("queries", "keys"), rows, strict=True)
    )
    return queries, keys


def _additive(capture: Capture, sequence: int, layer: int) -> Float32 | None:
    """Map (1 or n_heads, n_queries, n_keys) mask and bias of a sequence, None for none."""
    queries, keys = rows_of(capture, sequence)
    n_queries, n_keys = queries.stop - queries.start, keys.stop - keys.start
    objects = capture.record["objects"]
    if objects["additive_rows"][layer] is not None:
        rows = _array(capture, objects["additive_rows"][layer])
        lengths = np.diff(capture.query_offset) * np.diff(capture.key_offset)
        start = int(lengths[:sequence].sum())
        own = rows[:, start : start + n_queries * n_keys]
        return own.reshape(len(rows), n_queries, n_keys)
    if objects["additive"][layer] is None:
        return None
    return _array(capture, objects["additive"][layer])[:, :n_queries, :n_keys]


def _segments(segment: Int64, special: NDArray[np.bool_]) -> list[int]:
    """Return the segment of each token; a special one, which has none, ends the text before it."""
    places = np.where(special, 0, np.arange(segment.size))
    found: list[int] = segment[np.maximum.accumulate(places)].tolist()
    return found


def _layer_json(layer: LayerRecord) -> dict[str, Any]:
    """Return a layer without the errors of its heads, which are shown elsewhere."""
    row = asdict(layer)
    for name in ("error_max", "error_mean_tv"):
        del row[name]
    return row


def _array(capture: Capture, row: dict[str, Any]) -> NDArray[Any]:
    return capture.store.open_array(ObjectRef.from_json(row))
