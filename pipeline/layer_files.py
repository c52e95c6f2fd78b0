"""One layer of a capture on disk: vectors, norms, mask and bias, written batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.capture import AttentionCall
from pipeline.errors import CaptureError
from pipeline.layers import Batch, CheckedLayer
from pipeline.objects import ArrayWriter, ObjectRef
from pipeline.output_projections import value_norms
from pipeline.records import LayerRecord
from pipeline.store import Store

Tensor = torch.Tensor
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Open = Callable[[tuple[int, ...]], ArrayWriter]


@dataclass(frozen=True)
class CapturedLayer:
    """One layer on disk.

    Parameters
    ----------
    record : what was seen, with the error of the rebuilt weights.
    queries : (n_heads, n_queries, head_dim) float32, what the maps show.
    keys : (n_kv_heads, n_keys, head_dim) float32.
    softmax_queries, softmax_keys : the same as the softmax received them, where that is not what
        the maps show (vectors before rotation); else None.
    additive : (1 or n_heads, longest, longest) float32 by position, -inf where a query cannot
        reach a key; None when it reaches all and there is no bias.
    additive_rows : (1 or n_heads, n_pairs) float32, the same one sequence after the other, each
        query by query; None where `additive` says it for every sequence.
    sinks : (n_heads,) float32 logits, or None.
    norms : (n_heads, n_queries + n_keys) float32 norms of queries, then of each head's keys.
    value_norms : (1 or 2, n_heads, n_keys) float32 norm of the value of each key, then of the value
        after the output projection where that was found; None where there are no values.
    """

    record: LayerRecord
    queries: ObjectRef
    keys: ObjectRef
    softmax_queries: ObjectRef | None
    softmax_keys: ObjectRef | None
    additive: ObjectRef | None
    additive_rows: ObjectRef | None
    sinks: ObjectRef | None
    norms: NDArray[np.float32]
    value_norms: ObjectRef | None


class LayerFiles:
    """A layer while it is being written.

    Parameters
    ----------
    checked : the same layer while it is being verified.
    open_file : opens an array file of a shape, float32.
    call : the first call.
    query_offset, key_offset : (n_sequences + 1,) rows of each sequence.
    unrotated : whether the maps show vectors before the rotary embedding.
    """

    def __init__(
        self,
        checked: CheckedLayer,
        open_file: Open,
        call: AttentionCall,
        offsets: tuple[Int64, Int64],
        *,
        unrotated: bool,
    ) -> None:
        self.checked = checked
        self._open_file = open_file
        self._query_offset, self._key_offset = offsets
        self._is_written = np.zeros(self._query_offset.size - 1, dtype=bool)
        pairs = np.diff(self._query_offset) * np.diff(self._key_offset)
        self._pair_offset = np.concatenate([[0], np.cumsum(pairs)])
        (n_heads, head_dim), n_kv_heads = call.query.shape[1::2], call.key.shape[1]
        n_queries, n_keys = int(self._query_offset[-1]), int(self._key_offset[-1])
        shapes = (n_heads, n_queries, head_dim), (n_kv_heads, n_keys, head_dim)
        self._unrotated = unrotated
        self._files = [open_file(shape) for shape in shapes * (2 if unrotated else 1)]
        self._rows: ArrayWriter | None = None
        self._values: ArrayWriter | None = None
        if call.value is not None and n_heads % call.value.shape[1] == 0:
            n_kinds = 1 if checked.projection.factor is None else 2
            self._values = open_file((n_kinds, n_heads, n_keys))

    def write(self, call: AttentionCall, batch: Batch, additive: Tensor | None) -> None:
        """Write the rows of one batch, as `additive` was checked."""
        if not self.checked.has_rule:
            self._write_additive(additive, batch)
        received = call.query, call.key
        shown = call.unrotated or received if self._unrotated else received
        for place, file in enumerate(self._files):
            offset = self._key_offset if place % 2 else self._query_offset
            _write_vectors(file, (*shown, *received)[place], batch, offset)
        self._write_value_norms(call, batch)
        self._is_written[batch.sequences] = True

    def publish(self, store: Store) -> CapturedLayer:
        """Publish all files.

        Raises
        ------
        CaptureError
            if the layer did not attend in every sequence.
        """
        record = self.checked.record()
        if not self._is_written.all():
            raise CaptureError(
                f"{record.module} attended in {self._is_written.sum()} of "
                f"{self._is_written.size} sequences; expected every layer to attend in each (a "
                "model that skips layers cannot be shown)"
            )
        norms = _norms(self._files[0].array, self._files[1].array)
        queries, keys, *softmax = [file.publish() for file in self._files]
        rule = self.checked.rule if self.checked.has_rule else None
        return CapturedLayer(
            record=record,
            queries=queries,
            keys=keys,
            softmax_queries=softmax[0] if softmax else None,
            softmax_keys=softmax[1] if softmax else None,
            additive=_put(store, rule),
            additive_rows=self._rows.publish() if self._rows else None,
            sinks=_put(store, self.checked.sinks),
            norms=norms,
            value_norms=self._values.publish() if self._values else None,
        )

    def _write_value_norms(self, call: AttentionCall, batch: Batch) -> None:
        if self._values is None:
            return
        if call.value is None:
            raise CaptureError(
                f"{call.module} gave no values after it had given some; expected them in every call"
            )
        n_heads = call.query.shape[1]
        norms = value_norms(call.value, n_heads, self.checked.projection.factor).cpu().numpy()
        rows = np.asarray(self._values.array)
        for place, sequence in enumerate(batch.sequences):
            start, end = self._key_offset[sequence : sequence + 2]
            rows[:, :, start:end] = norms[:, place, :, : end - start]

    def _write_additive(self, additive: Tensor | None, batch: Batch) -> None:
        n_heads = 1 if additive is None else additive.shape[1]
        if self._rows is None:
            self._rows = self._open_file((n_heads, int(self._pair_offset[-1])))
            # Until now the rule by position held.
            for sequence in range(self._pair_offset.size - 1):
                self._write_pairs(self._rows.array, self.checked.rule, sequence)
        if n_heads not in (1, self._rows.array.shape[0]):
            raise CaptureError(
                f"a layer adds biases of {n_heads} heads after {self._rows.array.shape[0]}; "
                "expected the same number for all sequences"
            )
        for place, sequence in enumerate(batch.sequences):
            pairs = None if additive is None else additive[place]
            self._write_pairs(self._rows.array, pairs, sequence)

    def _write_pairs(
        self, rows: NDArray[np.float32], additive: Tensor | None, sequence: int
    ) -> None:
        """Write mask and bias of one sequence, the longer ones of the rule as far as it goes."""
        start, end = self._pair_offset[sequence : sequence + 2]
        n_queries = int(np.diff(self._query_offset[sequence : sequence + 2])[0])
        n_keys = int(np.diff(self._key_offset[sequence : sequence + 2])[0])
        if additive is None:
            rows[:, start:end] = 0
            return
        part = additive[:, :n_queries, :n_keys].cpu().numpy()
        if part.shape[1:] == (n_queries, n_keys):
            rows[:, start:end] = part.reshape(part.shape[0], -1)


def _write_vectors(file: ArrayWriter, tensor: Tensor, batch: Batch, offset: Int64) -> None:
    array = tensor.float().cpu().numpy()
    rows = np.asarray(file.array)  # slices of a memory map are slow to make
    for place, sequence in enumerate(batch.sequences):
        start, end = offset[sequence : sequence + 2]
        rows[:, start:end] = array[place, :, : end - start]


def _norms(queries: Float32, keys: Float32) -> Float32:
    """Return the norms of the vectors that the maps show, head by head: queries, then keys."""
    group = queries.shape[0] // keys.shape[0]
    lengths = [
        [np.sqrt(np.einsum("nd,nd->n", rows, rows)) for rows in side] for side in (queries, keys)
    ]
    heads = range(queries.shape[0])
    return np.stack([np.concatenate([lengths[0][i], lengths[1][i // group]]) for i in heads])


def _put(store: Store, tensor: Tensor | None) -> ObjectRef | None:
    return None if tensor is None else store.put_array(tensor.float().cpu().numpy())
