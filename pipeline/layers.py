"""One attention layer during capture: who attends to whom, and whether its weights can be rebuilt.

Nothing is stored here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pipeline.capture import AttentionCall, attention_weights, of_sequences
from pipeline.errors import CaptureError
from pipeline.masks import bias_kind, by_position, for_batch, mask_kind, of_tokens, same_additive
from pipeline.output_projections import Projection
from pipeline.records import LayerRecord

# float32 against the model's own weights; 0 was seen on most families, 1e-6 on the rest.
TOLERANCE = 1e-5

Tensor = torch.Tensor


@dataclass(frozen=True)
class Batch:
    """The sequences of one forward pass.

    Parameters
    ----------
    sequences : their numbers.
    query_lengths, key_lengths : (n,) int64 tokens that ask and that are attended to.
    query_width, key_width : the same after padding.
    device : of the model.
    inside : beginning of the names of the modules that read these tokens; "" for all.
    """

    sequences: list[int]
    query_lengths: Tensor
    key_lengths: Tensor
    query_width: int
    key_width: int
    device: torch.device
    inside: str = ""

    @cached_property
    def query_padding(self) -> Tensor:
        """(n, query_width) bool, true where there is no token."""
        return _padding(self.query_lengths.to(self.device), self.query_width)

    @cached_property
    def key_padding(self) -> Tensor:
        """(n, key_width) bool, true where there is no token."""
        return _padding(self.key_lengths.to(self.device), self.key_width)

    def fits(self, call: AttentionCall) -> bool:
        """Tell whether a call is attention of these queries over these keys."""
        n = len(self.sequences)
        if not call.module.startswith(self.inside):
            return False
        return (call.query.shape[0], call.query.shape[2]) == (n, self.query_width) and (
            call.key.shape[0], call.key.shape[2]
        ) == (n, self.key_width)  # fmt: skip


class CheckedLayer:
    """What is known of a layer after each of its calls.

    Parameters
    ----------
    call : its first, which holds the longest sequence first.
    batch : of that call.
    kind : "self", "encoder", "decoder" or "cross".
    has_rotary : whether its queries and keys were rotated.
    projection : what its weighted values are multiplied by.
    """

    def __init__(
        self,
        call: AttentionCall,
        batch: Batch,
        *,
        kind: str,
        has_rotary: bool,
        projection: Projection,
    ) -> None:
        n_queries, n_keys = int(batch.query_lengths[0]), int(batch.key_lengths[0])
        self.rule = by_position(call.additive, n_queries, n_keys)
        self.has_rule = True
        self.sinks = None if call.sinks is None else call.sinks.detach().float().cpu()
        self._facts: dict[str, Any] = {
            "module": call.module,
            "n_heads": call.query.shape[1],
            "n_kv_heads": call.key.shape[1],
            "head_dim": call.query.shape[3],
            "scaling": call.scaling,
            "softcap": call.softcap,
            "kind": kind,
            "has_rotary": has_rotary,
            "has_sinks": call.sinks is not None,
            "value_dim": 0 if call.value is None else call.value.shape[3],
            "projection": projection.module,
            "no_projection": projection.reason,
        }
        self.projection = projection
        self._window = call.window
        self._error_max = np.zeros(call.query.shape[1])
        self._variation_sum = np.zeros(call.query.shape[1])
        self._n_rows = 0

    def check(self, call: AttentionCall, batch: Batch) -> Tensor | None:
        """Verify a call; return the mask and bias from which its weights are rebuilt.

        They are those of the rule by position as long as it holds for every sequence, else the
        call's own. `has_rule` tells which.

        Raises
        ------
        CaptureError
            if queries or keys are not finite, or the weights cannot be rebuilt.
        """
        check_finite(call)
        padding = batch.query_padding, batch.key_padding
        self.has_rule = self.has_rule and same_additive(call.additive, self.rule, *padding)
        additive = (
            for_batch(self.rule, *padding) if self.has_rule else of_tokens(call.additive, *padding)
        )
        weighed = call.weighed
        part = replace(call, query=call.query[weighed], key=call.key[weighed])
        rebuilt = attention_weights(part, of_sequences(additive, weighed))
        # A padded query under a window may reach no key at all: not a number, and of no interest.
        difference = (rebuilt - call.weights.float()).abs_()
        difference.masked_fill_(padding[0][weighed][:, None, :, None], 0)
        error = difference.amax(dim=(0, 2, 3)).double().cpu().numpy()
        if not (error <= TOLERANCE).all():
            head = int(np.argmax(np.nan_to_num(error, nan=np.inf)))
            raise CaptureError(
                f"attention of {call.module}, head {head}, rebuilt from its queries and keys "
                f"differs by {error[head]:.2g} from the model's own, expected at most "
                f"{TOLERANCE:g}; this model cannot be shown truthfully"
            )
        self._error_max = np.maximum(self._error_max, error)
        self._variation_sum += difference.sum(dim=(0, 2, 3)).double().cpu().numpy() / 2
        self._n_rows += int(batch.query_lengths[weighed].sum())
        return additive

    def record(self) -> LayerRecord:
        """Return what was found so far."""
        return LayerRecord(
            **self._facts,
            mask=mask_kind(self.rule, self._window),
            bias=bias_kind(self.rule) if self.has_rule else "by content",
            error_max=tuple(self._error_max.tolist()),
            error_mean_tv=tuple((self._variation_sum / max(self._n_rows, 1)).tolist()),
        )


def refuse_shape(call: AttentionCall, batch: Batch) -> None:
    """Refuse a call that is not one attention of every token over its own sequence."""
    raise CaptureError(
        f"{call.module} attends with queries of shape {tuple(call.query.shape)} and keys of shape "
        f"{tuple(call.key.shape)} for {len(batch.sequences)} sequences of up to "
        f"{batch.query_width} tokens; expected one query and key a token (windowed, pooled and "
        "other attention cannot be shown)"
    )


def check_finite(call: AttentionCall) -> None:
    """Refuse queries, keys and values that are not finite, naming the layer."""
    for name, tensor in (("queries", call.query), ("keys", call.key), ("values", call.value)):
        if tensor is not None and not _is_finite(tensor):
            raise CaptureError(
                f"{call.module} produced {name} that are not finite numbers; expected finite "
                "activations. Check the weights, or use another dtype"
            )


def _is_finite(tensor: Tensor) -> bool:
    """Tell whether all values are finite, by their sum where that is: one pass instead of two."""
    total = tensor.sum(dtype=torch.float32)
    return bool(torch.isfinite(total)) or bool(torch.isfinite(tensor).all())


def _padding(lengths: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=lengths.device) >= lengths[:, None]
