"""Runs a model over its inputs and streams queries and keys of every layer to disk, verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.capture import AttentionCall, attention_weights, check_call, recording
from pipeline.errors import CaptureError
from pipeline.inputs import ModelInputs, plan_batches, text_tower, vision_tower
from pipeline.masks import by_position, for_batch, same_additive
from pipeline.models import LoadedModel
from pipeline.objects import ArrayWriter, ObjectRef
from pipeline.records import LayerRecord, Progress
from pipeline.store import Store

# float32 against the model's own weights; 0 was seen on most families, 1e-6 on the rest.
TOLERANCE = 1e-5
# Relative to the norm of the last hidden state; other attention kernels sum in another order.
HIDDEN_STATE_TOLERANCE = 1e-4

Tensor = torch.Tensor
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class CapturedLayer:
    """One layer on disk.

    Parameters
    ----------
    record : what was seen, with the error of the rebuilt weights.
    queries : (n_heads, n_tokens, head_dim) float32.
    keys : (n_kv_heads, n_tokens, head_dim) float32.
    additive : (1 or n_heads, longest, longest) float32 by position, -inf where a query cannot
        reach a key; None when it reaches all and there is no bias.
    sinks : (n_heads,) float32 logits, or None.
    norms : (n_heads, 2 * n_tokens) float32 norms of queries, then of each head's keys.
    """

    record: LayerRecord
    queries: ObjectRef
    keys: ObjectRef
    additive: ObjectRef | None
    sinks: ObjectRef | None
    norms: NDArray[np.float32]


@dataclass
class _Layer:
    """A layer while it is being written."""

    call: AttentionCall
    queries: ArrayWriter
    keys: ArrayWriter
    additive: Tensor | None
    norms: NDArray[np.float32]
    error_max: NDArray[np.float64] = field(init=False)
    variation_sum: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.error_max = np.zeros(self.norms.shape[0])
        self.variation_sum = np.zeros(self.norms.shape[0])


class Extraction:
    """Writes the calls of every batch of one model to files sized before the first one.

    Parameters
    ----------
    inputs : sequences to run; the longest come first, so that the mask and bias by position of the
        first batch holds those of all others.
    store : where the files are published.
    n_layers : how many layers are expected; only to tell early that they do not fit on the disk.
    """

    def __init__(self, inputs: ModelInputs, store: Store, *, n_layers: int) -> None:
        self._inputs = inputs
        self._n_layers = n_layers
        self._store = store
        self._offset = inputs.table.sequence_offset
        self._layers: dict[str, _Layer] = {}
        self._batch: list[int] = []
        self._files = ExitStack()

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()  # removes what was not published

    def start_batch(self, sequences: Sequence[int]) -> None:
        """Tell which sequences the next calls belong to."""
        self._batch = list(sequences)

    def write(self, call: AttentionCall) -> None:
        """Verify one call and write its rows.

        Raises
        ------
        CaptureError
            if the call is not one token-by-token attention over the batch, holds values that are
            not finite, or cannot be rebuilt.
        """
        lengths = torch.tensor(np.diff(self._offset)[self._batch], device=call.query.device)
        check_call(call, int(lengths.max()), len(self._batch))
        padding = torch.arange(call.key.shape[2], device=lengths.device) >= lengths[:, None]
        if call.module not in self._layers:
            self._layers[call.module] = self._open_layer(call, int(lengths[0]))
        layer = self._layers[call.module]
        additive = for_batch(layer.additive, padding)
        if not same_additive(call.additive, additive, padding):
            raise CaptureError(
                f"the mask or bias of {call.module} is not the same for each position of all "
                "sequences; expected one rule by position, so its attention cannot be rebuilt"
            )
        self._verify(layer, call, additive, padding)
        self._write_rows(layer, call)

    def _open_layer(self, call: AttentionCall, longest: int) -> _Layer:
        n = self._inputs.table.n_tokens
        (n_heads, head_dim), n_kv_heads = call.query.shape[1::2], call.key.shape[1]
        if not self._layers:  # the first of layers that are mostly alike
            layer_bytes = 4 * (n_heads + n_kv_heads) * n * head_dim
            self._store.require_space(self._n_layers * layer_bytes)
        return _Layer(
            call=_without_tensors(call),
            queries=self._open_file((n_heads, n, head_dim)),
            keys=self._open_file((n_kv_heads, n, head_dim)),
            additive=by_position(call.additive, longest),
            norms=np.zeros((n_heads, 2 * n), dtype=np.float32),
        )

    def _open_file(self, shape: tuple[int, int, int]) -> ArrayWriter:
        return self._files.enter_context(self._store.new_array(shape, np.float32))

    def _verify(
        self, layer: _Layer, call: AttentionCall, additive: Tensor | None, padding: Tensor
    ) -> None:
        rebuilt = attention_weights(call, additive)
        difference = (rebuilt - call.weights.float()).abs() * ~padding[:, None, :, None]
        error = difference.amax(dim=(0, 2, 3)).double().cpu().numpy()
        if not (error <= TOLERANCE).all():
            head = int(np.argmax(np.nan_to_num(error, nan=np.inf)))
            raise CaptureError(
                f"attention of {call.module}, head {head}, rebuilt from its queries and keys "
                f"differs by {error[head]:.2g} from the model's own, expected at most "
                f"{TOLERANCE:g}; this model cannot be shown truthfully"
            )
        layer.error_max = np.maximum(layer.error_max, error)
        layer.variation_sum += difference.sum(dim=(0, 2, 3)).double().cpu().numpy() / 2

    def _write_rows(self, layer: _Layer, call: AttentionCall) -> None:
        query, key = call.query.float().cpu(), call.key.float().cpu()
        groups = query.shape[1] // key.shape[1]
        n = self._inputs.table.n_tokens
        for place, sequence in enumerate(self._batch):
            start, end = self._offset[sequence : sequence + 2]
            rows_q = query[place, :, : end - start].numpy()
            rows_k = key[place, :, : end - start].numpy()
            layer.queries.array[:, start:end] = rows_q
            layer.keys.array[:, start:end] = rows_k
            layer.norms[:, start:end] = np.linalg.norm(rows_q, axis=2)
            norms_k = np.linalg.norm(rows_k, axis=2)
            layer.norms[:, n + start : n + end] = np.repeat(norms_k, groups, axis=0)

    def publish(self) -> list[CapturedLayer]:
        """Publish all files and return the layers in order of their first call."""
        return [self._publish_layer(layer) for layer in self._layers.values()]

    def _publish_layer(self, layer: _Layer) -> CapturedLayer:
        store, call = self._store, layer.call
        n_heads, n_tokens, head_dim = layer.queries.array.shape
        record = LayerRecord(
            module=call.module,
            n_heads=n_heads,
            n_kv_heads=layer.keys.array.shape[0],
            head_dim=head_dim,
            scaling=call.scaling,
            softcap=call.softcap,
            error_max=tuple(layer.error_max.tolist()),
            error_mean_tv=tuple((layer.variation_sum / n_tokens).tolist()),
        )
        return CapturedLayer(
            record=record,
            queries=layer.queries.publish(),
            keys=layer.keys.publish(),
            additive=_put(store, layer.additive),
            sinks=_put(store, call.sinks),
            norms=layer.norms,
        )


def extract(
    loaded: LoadedModel, inputs: ModelInputs, store: Store, *, report: Report
) -> tuple[list[CapturedLayer], float]:
    """Capture queries and keys of every layer of a model for all sequences.

    One layer of one batch is in memory at a time. Batches hold sequences of equal or near length;
    padding is dropped.

    Parameters
    ----------
    loaded : model in evaluation mode.
    inputs : its sequences.
    store : where the files go.
    report : told after each batch; may raise `Cancelled`.

    Returns
    -------
    layers : in order of the forward pass.
    hidden_state_difference : of the first batch's last hidden state to that of the model with its
        default attention, relative to its norm.

    Raises
    ------
    CaptureError
        if nothing is captured, fewer layers than the model has, or a check fails.
    """
    tower = vision_tower(loaded.model) if inputs.images else text_tower(loaded.model)
    n_heads = getattr(tower.config, "num_attention_heads", None) or 16
    batches = plan_batches(np.diff(inputs.table.sequence_offset), n_heads=n_heads)
    first = inputs.batch(loaded, batches[0])
    expected = forward(tower, first)
    hidden = []
    n_done = 0
    n_layers = expected_layers(tower)
    with Extraction(inputs, store, n_layers=n_layers) as extraction:
        with recording(tower, extraction.write):
            for sequences in batches:
                extraction.start_batch(sequences)
                hidden.append(forward(tower, inputs.batch(loaded, sequences)))
                del hidden[1:]  # only the first batch is compared
                n_done += len(sequences)
                report(Progress("capture", n_done, len(inputs.chosen)))
        difference = _hidden_state_difference(hidden[0], expected, first.get("attention_mask"))
        layers = extraction.publish()
    if len(layers) < n_layers:
        raise CaptureError(
            f"{len(layers)} of {n_layers} attention layers of {type(tower).__name__} called "
            "transformers' attention interface, expected all; families with attention code of "
            "their own cannot be shown"
        )
    return layers, difference


def forward(tower: Any, features: dict[str, Tensor]) -> Tensor:
    """Run one forward pass without gradients; return the last hidden state."""
    arguments: dict[str, Any] = {k: v.to(tower.device) for k, v in features.items()}
    if getattr(tower.config, "use_cache", False):
        arguments["use_cache"] = False
    with torch.inference_mode():
        hidden: Tensor = tower(**arguments).last_hidden_state
    return hidden


def _hidden_state_difference(found: Tensor, expected: Tensor, mask: Tensor | None) -> float:
    kept = slice(None) if mask is None else mask.to(found.device).bool()
    error = float((found[kept] - expected[kept]).norm() / expected[kept].norm())
    if not error <= HIDDEN_STATE_TOLERANCE:
        raise CaptureError(
            f"the last hidden state under capture differs by {error:.2g} (relative) from "
            f"the model's own, expected at most {HIDDEN_STATE_TOLERANCE:g}"
        )
    return error


def expected_layers(tower: Any) -> int:
    """Return how many layers of a model have attention, by its configuration."""
    kinds = getattr(tower.config, "layer_types", None)
    if kinds:
        return sum("linear" not in kind and "mamba" not in kind for kind in kinds)
    return getattr(tower.config, "num_hidden_layers", None) or 1


def _without_tensors(call: AttentionCall) -> AttentionCall:
    """Keep the facts of a call, and the sinks, which are weights of the model."""
    empty = torch.empty(0)
    sinks = None if call.sinks is None else call.sinks.detach().float().cpu()
    return AttentionCall(
        call.module, empty, empty, call.scaling, call.softcap, None, sinks, empty
    )  # fmt: skip


def _put(store: Store, tensor: Tensor | None) -> ObjectRef | None:
    return None if tensor is None else store.put_array(tensor.float().cpu().numpy())
