"""Runs a model over its inputs and streams queries and keys of every layer to disk, verified."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.capture import EVERY, AttentionCall
from pipeline.errors import CaptureError, MemoryShortage
from pipeline.inputs import ModelInputs, plan_batches
from pipeline.layer_files import CapturedLayer, LayerFiles
from pipeline.layers import Batch, CheckedLayer
from pipeline.memory import is_out_of_memory
from pipeline.models import LoadedModel
from pipeline.objects import ArrayWriter
from pipeline.output_projections import Projection
from pipeline.records import LayerRecord, Progress
from pipeline.store import Store
from pipeline.survey import ROUTES, LastAttention, Survey, capturing, forward, survey

logger = logging.getLogger(__name__)

# What a capture may hold in memory until it is published; a larger one lies on the disk meanwhile.
IN_MEMORY_BYTES = 512 * 2**20
N_PUBLISHERS = 3
# Queries of a batch whose weights are rebuilt.
ROWS = 256

Tensor = torch.Tensor
Report = Callable[[Progress], None]


class LayerChecks:
    """Verifies the calls of every batch of one model; keeps nothing on disk.

    `batch` is the one whose calls come now; `run` sets it.

    Parameters
    ----------
    inputs : sequences to run; the longest come first, so that the mask and bias by position of the
        first batch holds those of all others.
    survey : of the same model.
    """

    batch: Batch

    def __init__(self, inputs: ModelInputs, survey: Survey) -> None:
        self._inputs = inputs
        self._survey = survey
        self.checked: dict[str, CheckedLayer] = {}
        self._weighed = EVERY
        self._n_batches = 0

    def take(self, call: AttentionCall) -> None:
        """Verify one call, unless it belongs to another part of the model.

        Raises
        ------
        CaptureError
            if the call is not one token-by-token attention over the batch, holds values that are
            not finite, or cannot be rebuilt.
        LastAttention
            if no call of this forward pass comes after it.
        """
        self._take(call)
        if call.module == self._survey.last_module:
            raise LastAttention

    def _take(self, call: AttentionCall) -> None:
        if not self._inputs.is_meant(call, self.batch):
            return
        if call.module not in self.checked:
            self.checked[call.module] = CheckedLayer(
                call,
                self.batch,
                kind=self._inputs.part,
                has_rotary=self._survey.rotation.get(call.module, "none") != "none",
                projection=self._survey.projections.get(call.module, Projection()),
            )
        layer = self.checked[call.module]
        self.keep(layer, call, layer.check(call, self.batch))

    def keep(self, layer: CheckedLayer, call: AttentionCall, additive: Tensor | None) -> None:
        """Do nothing with a call that was verified."""

    def run(
        self, loaded: LoadedModel, *, report: Report, unrotated: bool = False
    ) -> None:  # fmt: skip
        """Run the model over all sequences but those of which the survey has kept what it caught.

        Raises
        ------
        MemoryShortage
            if a single sequence does not fit.
        """
        tower = self._inputs.tower(loaded)
        n_heads = getattr(tower.config, "num_attention_heads", None) or 16
        lengths = np.maximum(self._inputs.query_lengths, self._inputs.key_lengths)
        done = self._survey.batch.sequences if self._survey.calls else []
        batches = plan_batches(lengths, n_heads=n_heads, done=done)
        if self._survey.route != ROUTES[0]:  # heads merged into the batch are told apart one by one
            batches = [[sequence] for batch in batches for sequence in batch]
        n_done = len(done)
        route = self._survey.route
        with capturing(
            tower, self.take, route=route, unrotated=unrotated, weighed=lambda: self._weighed
        ):
            for sequences in batches:
                self._run_batch(loaded, sequences)
                n_done += len(sequences)
                report(Progress("capture", n_done, len(self._inputs.chosen)))
        self.batch = self._survey.batch  # the shortest, therefore last
        for call in self._survey.calls:
            self._take(call)

    def _sequences_to_rebuild(self) -> slice:
        """Choose the sequences whose weights are rebuilt: all of a small batch, else some in turn.

        Rebuilding costs more than the attention itself; that queries, keys and masks are what they
        should be is checked for all of them.
        """
        n_sequences = len(self.batch.sequences)
        n_wanted = max(1, ROWS // self.batch.query_width)
        if n_wanted >= n_sequences:
            return EVERY
        first = self._n_batches % (n_sequences - n_wanted + 1)
        self._n_batches += 1
        return slice(first, first + n_wanted)

    def _run_batch(self, loaded: LoadedModel, sequences: list[int]) -> None:
        """Run the model over some sequences together, in halves where memory does not suffice.

        A batch that failed half-way is run again: its rows are the same and written once more.
        """
        tower = self._inputs.tower(loaded)
        features = self._inputs.batch(loaded, sequences)
        self.batch = self._inputs.geometry(features, sequences, tower.device)
        self._weighed = self._sequences_to_rebuild()
        try:
            with suppress(LastAttention):
                forward(tower, features)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        # Out here the traceback, which holds the tensors of the failed batch, is gone.
        if tower.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(sequences) // 2
        if not half:
            n_tokens = int(self.batch.query_lengths.max())
            raise MemoryShortage(
                f"a sequence of {n_tokens} tokens does not fit into the memory of the "
                f"{tower.device.type} beside the model; use shorter sequences, a smaller model or "
                "another device"
            )
        logger.warning("a batch of %d sequences does not fit into memory; halved", len(sequences))
        self._run_batch(loaded, sequences[:half])
        self._run_batch(loaded, sequences[half:])


class Extraction(LayerChecks):
    """Also writes what was verified to files sized before the first batch.

    Parameters
    ----------
    store : where the files are published.
    unrotated : whether to show vectors before the rotary embedding.
    """

    def __init__(
        self, inputs: ModelInputs, survey: Survey, store: Store, *, unrotated: bool
    ) -> None:
        super().__init__(inputs, survey)
        self._store = store
        self._unrotated = unrotated
        self._offsets = _offset(inputs.query_lengths), _offset(inputs.key_lengths)
        self._written: dict[CheckedLayer, LayerFiles] = {}
        self._open = ExitStack()
        self._in_memory = False

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # removes what was not published

    def keep(self, layer: CheckedLayer, call: AttentionCall, additive: Tensor | None) -> None:
        """Write the rows of a call that was verified."""
        if self._unrotated and call.rotation == "lost":
            raise _no_rotation(f"that of {call.module} cannot be caught")
        if layer not in self._written:
            self._written[layer] = self._new_files(layer, call)
        self._written[layer].write(call, self.batch, additive)

    def publish(self) -> list[CapturedLayer]:
        """Publish all layers; return them in order of their first call.

        Not while the model runs: it keeps every core busy, and checksums beside it took as long.
        """
        with ThreadPoolExecutor(N_PUBLISHERS) as publishers:
            files = self._written.values()
            return list(publishers.map(lambda layer: layer.publish(self._store), files))

    def _new_files(self, layer: CheckedLayer, call: AttentionCall) -> LayerFiles:
        if not self._written:  # the first of layers that are mostly alike
            n_queries, n_keys = (int(offset[-1]) for offset in self._offsets)
            values = call.query.shape[1] * n_queries + call.key.shape[1] * n_keys
            layer_bytes = 4 * call.query.shape[3] * values * (2 if self._unrotated else 1)
            total_bytes = len(self._survey.rotation) * layer_bytes
            self._store.require_space(total_bytes)
            self._in_memory = total_bytes <= IN_MEMORY_BYTES
        return LayerFiles(
            layer, self._open_file, call, self._offsets, unrotated=self._unrotated
        )  # fmt: skip

    def _open_file(self, shape: tuple[int, ...]) -> ArrayWriter:
        return self._open.enter_context(
            self._store.new_array(shape, np.float32, in_memory=self._in_memory)
        )


def extract(
    loaded: LoadedModel,
    inputs: ModelInputs,
    store: Store,
    *,
    report: Report,
    rotary: str = "after",
) -> tuple[list[CapturedLayer], Survey]:
    """Capture queries and keys of every layer of a model for all sequences.

    One layer of one batch is in memory at a time. Batches hold sequences of equal or near length;
    padding is dropped.

    Parameters
    ----------
    loaded : model in evaluation mode.
    inputs : its sequences.
    store : where the files go.
    report : told after each batch; may raise `Cancelled`.
    rotary : show vectors "after" the rotary embedding, or "before" it.

    Returns
    -------
    layers : in order of the forward pass.
    survey : how they were captured.

    Raises
    ------
    CaptureError
        if a layer cannot be captured or rebuilt, or there is no rotary embedding to undo.
    """
    found = survey(loaded, inputs)
    if rotary == "before":
        _require_rotation(found)
    with Extraction(inputs, found, store, unrotated=rotary == "before") as extraction:
        extraction.run(loaded, report=report, unrotated=rotary == "before")
        return extraction.publish(), found


def verify_layers(
    loaded: LoadedModel, inputs: ModelInputs
) -> tuple[list[LayerRecord], Survey]:  # fmt: skip
    """Capture and verify every layer without keeping anything; raise as `extract` does."""
    found = survey(loaded, inputs)
    checks = LayerChecks(inputs, found)
    checks.run(loaded, report=lambda _: None)
    return [layer.record() for layer in checks.checked.values()], found


def _offset(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _require_rotation(found: Survey) -> None:
    """Refuse vectors before a rotation that there is not, or that cannot be caught."""
    lost = [module for module, state in found.rotation.items() if state == "lost"]
    if lost:
        raise _no_rotation(f"that of {lost[0]} cannot be caught")
    if set(found.rotation.values()) == {"none"}:
        raise _no_rotation("this model has none")


def _no_rotation(reason: str) -> CaptureError:
    return CaptureError(
        f"rotary: found 'before', but {reason}; expected a model that applies a rotary embedding "
        "to queries and keys in a function of transformers; use --rotary after"
    )
