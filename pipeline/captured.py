"""Reads what a capture has stored: vectors, tokens and attention. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.attention import attention_weights
from pipeline.errors import InputError
from pipeline.objects import ObjectRef
from pipeline.records import HeadVectors, LayerRecord, TokenTable
from pipeline.sampling import PairsBySequence, Reachable
from pipeline.store import Store
from pipeline.token_files import read_tokens

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Attention weights that count as strong.
STRONG = 0.01


@dataclass(frozen=True)
class Capture:
    """One stored capture: everything that was taken from the model for one corpus.

    Parameters
    ----------
    record : the stored record (kind "capture").
    store : where its objects are.
    """

    record: dict[str, Any]
    store: Store

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """Attention-bearing modules in order of the forward pass."""
        return tuple(LayerRecord.from_json(row) for row in self.record["layers"])

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Every (layer, head), layer by layer."""
        return tuple((i, h) for i, layer in enumerate(self.layers) for h in range(layer.n_heads))

    def cell(self, layer: int, head: int) -> int:
        """Return the place of a head in `cells`.

        Raises
        ------
        InputError
            if there is no such head.
        """
        if not 0 <= layer < len(self.layers):
            raise InputError(f"layer: found {layer}, expected 0 to {len(self.layers) - 1}")
        n_heads = self.layers[layer].n_heads
        if not 0 <= head < n_heads:
            raise InputError(f"head: found {head}, expected 0 to {n_heads - 1} in layer {layer}")
        return sum(record.n_heads for record in self.layers[:layer]) + head

    @cached_property
    def tokens(self) -> TokenTable:
        """Every token of the capture."""
        return read_tokens(self.record["objects"], self.store)

    @cached_property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return int(self.record["n_tokens"])

    @property
    def n_queries(self) -> int:
        """Number of queries of a head; its points are queries first, then keys."""
        return int(self.record["n_queries"])

    @property
    def n_points(self) -> int:
        """Number of points of a head."""
        return self.n_queries + int(self.record["n_keys"])

    @cached_property
    def query_tokens(self) -> Int64 | None:
        """(n_queries,) int64 token of each query; None where every token has one."""
        row = self.record["objects"]["query_tokens"]
        return None if row is None else self._array(row)

    @cached_property
    def key_tokens(self) -> Int64 | None:
        """(n_keys,) int64 token of each key; None where every token has one."""
        row = self.record["objects"]["key_tokens"]
        return None if row is None else self._array(row)

    @cached_property
    def point_tokens(self) -> Int64:
        """(n_points,) int64 token of each point."""
        everything = np.arange(self.n_tokens)
        sides = (self.query_tokens, self.key_tokens)
        return np.concatenate([everything if some is None else some for some in sides])

    @cached_property
    def query_offset(self) -> Int64:
        """(n_sequences + 1,) int64: the queries of sequence s are rows offset[s]:offset[s + 1]."""
        return self._offset(self.query_tokens)

    @cached_property
    def key_offset(self) -> Int64:
        """(n_sequences + 1,) int64: the keys of sequence s are rows offset[s]:offset[s + 1]."""
        return self._offset(self.key_tokens)

    def _offset(self, tokens: Int64 | None) -> Int64:
        if tokens is None:
            return self.tokens.sequence_offset
        n_sequences = self.tokens.sequence_offset.size - 1
        lengths = np.bincount(self.tokens.sequence_index[tokens], minlength=n_sequences)
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def draw_order(self) -> NDArray[np.uint32]:
        """(n_points,) uint32: draw index -> point."""
        return self._array(self.record["objects"]["order"])

    def norms(self) -> Float32:
        """(n_cells, n_points) float32 raw norms."""
        return self._array(self.record["objects"]["norms"])

    def vectors(self, layer: int, head: int) -> HeadVectors:
        """Return raw queries and keys of one head, before or after rotation as it was asked for."""
        return self._vectors(layer, head, "")

    def _vectors(self, layer: int, head: int, prefix: str) -> HeadVectors:
        self.cell(layer, head)
        objects = self.record["objects"]
        queries = self._array(objects[f"{prefix}queries"][layer])[head]
        keys = self._array(objects[f"{prefix}keys"][layer])[self.layers[layer].key_head(head)]
        return HeadVectors(np.asarray(queries), np.asarray(keys))

    def additive(self, layer: int, head: int) -> Float32 | None:
        """(longest, longest) float32 mask and bias by position, or None for none."""
        row = self.record["objects"]["additive"][layer]
        if row is None:
            return None
        array = self._array(row)
        return np.asarray(array[head if array.shape[0] > 1 else 0])

    def _additive_rows(self, layer: int, head: int) -> PairsBySequence | None:
        """Return mask and bias of all sequences one after the other, where no rule gives them."""
        row = self.record["objects"]["additive_rows"][layer]
        if row is None:
            return None
        array = self._array(row)
        own = array[head if array.shape[0] > 1 else 0]
        return PairsBySequence(own, self.query_offset, self.key_offset)

    def reachable(self, layer: int, head: int) -> Reachable:
        """Tell who reaches whom, for `sampling.reached`: everybody, by position or by sequence."""
        rows = self._additive_rows(layer, head)
        if rows is not None:
            return rows if np.isneginf(rows.additive).any() else None
        additive = self.additive(layer, head)
        if additive is None or not np.isneginf(additive).any():
            return None
        return additive > -np.inf

    def attention(self, sequence: int, layer: int, head: int) -> Float32:
        """Return the (n_queries, n_keys) float32 attention weights of one sequence.

        Raises
        ------
        InputError
            if the sequence or head does not exist.
        """
        self._check_sequence(sequence)
        return self.head_attention(layer, head)(sequence)

    def head_attention(self, layer: int, head: int) -> Callable[[int], Float32]:
        """Open a head once; the function returns what `attention` does for each sequence."""
        is_other = self.record["rotary"] == "before"
        vectors = self._vectors(layer, head, "softmax_" if is_other else "")
        by_position, by_sequence = self.additive(layer, head), self._additive_rows(layer, head)
        sinks = self.record["objects"]["sinks"][layer]
        sink = None if sinks is None else float(self._array(sinks)[head])

        def weights_of(sequence: int) -> Float32:
            queries = vectors.queries[slice(*self.query_offset[sequence : sequence + 2])]
            keys = vectors.keys[slice(*self.key_offset[sequence : sequence + 2])]
            additive = by_position if by_sequence is None else by_sequence.of_sequence(sequence)
            fitted = None if additive is None else additive[: len(queries), : len(keys)]
            return attention_weights(
                queries, keys, self.layers[layer], additive=fitted, sink=sink
            )  # fmt: skip

        return weights_of

    def head_value_norms(self, layer: int, head: int) -> Float32:
        """Return the norms of the values of a head.

        Returns
        -------
        (2, n_keys) float32: of each key's value, and of the value after the output projection;
        not a number where they are not known (`LayerRecord.no_projection` says why).
        """
        self.cell(layer, head)
        norms = np.full((2, int(self.record["n_keys"])), np.nan, dtype=np.float32)
        rows = self.record["objects"].get("value_norms")  # a capture of before has none
        if rows is not None and rows[layer] is not None:
            found = self._array(rows[layer])
            norms[: found.shape[0]] = found[:, head]
        return norms

    def value_norms(self, sequence: int, layer: int, head: int) -> Float32:
        """Return the (2, n_keys) norms of the values of one sequence; see `head_value_norms`.

        Raises
        ------
        InputError
            if the sequence or head does not exist.
        """
        self._check_sequence(sequence)
        keys = slice(*self.key_offset[sequence : sequence + 2])
        return self.head_value_norms(layer, head)[:, keys]

    @property
    def n_sequences(self) -> int:
        """Number of texts, pairs or images."""
        return self.query_offset.size - 1

    def _check_sequence(self, sequence: int) -> None:
        if not 0 <= sequence < self.n_sequences:
            raise InputError(f"sequence: found {sequence}, expected 0 to {self.n_sequences - 1}")

    def strong_pairs(self, layer: int, head: int) -> tuple[Int64, Int64, Float32]:
        """Return every (query, key) pair of one sequence whose attention is above 0.01.

        Returns
        -------
        query, key : (n_pairs,) int64 rows of queries and keys.
        weights : (n_pairs,) float32 attention.
        """
        starts = np.stack([self.query_offset, self.key_offset], axis=1)[:-1]
        pairs, weights = [], []
        weights_of = self.head_attention(layer, head)
        for sequence, start in enumerate(starts):
            found = weights_of(sequence)
            strong = np.nonzero(found > STRONG)
            pairs.append(np.stack(strong) + start[:, None])
            weights.append(found[strong])
        query, key = np.concatenate(pairs, axis=1)
        return query, key, np.concatenate(weights)

    def image(self, sequence: int) -> bytes:
        """Return the PNG of one image as the model saw it."""
        images = self.record["objects"]["images"]
        if not 0 <= sequence < len(images):
            raise InputError(f"image: found {sequence}, expected 0 to {len(images) - 1}")
        return self.store.read_bytes(ObjectRef.from_json(images[sequence]))

    def _array(self, row: dict[str, Any]) -> NDArray[Any]:
        return self.store.open_array(ObjectRef.from_json(row))


def read_capture(store: Store, key: str) -> Capture | None:
    """Open a stored capture; None if it is not there."""
    record = store.get_record(key)
    return Capture(record, store) if record and record["kind"] == "capture" else None
