"""One attention function for all models: hands out queries and keys exactly as the model uses them.

Nothing is stored here and no model family is named: whatever calls transformers' attention
interface is captured. What does not call it is the business of `fallback`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pipeline.errors import CaptureError
from pipeline.rotation import Rotations

INTERFACE = "qk_atlas"
FUSED = "sdpa"
EVERY = slice(None)
Tensor = torch.Tensor


@dataclass(frozen=True)
class AttentionCall:
    """What one attention module received and computed in one forward pass.

    Parameters
    ----------
    module : qualified name, with `#2`, `#3` ... when a shared module is called again.
    query : (batch, n_heads, query_length, head_dim), after any rotation or normalisation.
    key : (batch, n_kv_heads, key_length, head_dim), not repeated for shared key heads.
    scaling : factor of the dot product.
    softcap : soft cap of the logits, or None.
    additive : mask plus position bias, broadcastable to the weights; unreachable pairs hold the
        lowest value of the dtype. None when every key is reachable and there is no bias.
    sinks : (n_heads,) logits of a sink column, or None.
    weights : (n_weighed, n_heads, query_length, key_length), the model's own attention weights of
        the sequences that were asked for.
    weighed : which sequences of the batch these are.
    window : length of the sliding window that the module passes, or None.
    rotation : of rotary embeddings that were watched: "none", "caught", or "lost" when they are
        not found in query and key.
    unrotated : query and key before a rotation that was caught, shaped as they are.
    value : (batch, n_value_heads, key_length, value_dim), not repeated; None where the fallback
        did not see them.
    """

    module: str
    query: Tensor
    key: Tensor
    scaling: float
    softcap: float | None
    additive: Tensor | None
    sinks: Tensor | None
    weights: Tensor
    window: int | None = None
    rotation: str = "none"
    unrotated: tuple[Tensor, Tensor] | None = None
    value: Tensor | None = None
    weighed: slice = field(default_factory=lambda: EVERY)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors."""
        more = (self.additive, self.value, *(self.unrotated or ()))
        tensors = (self.query, self.key, self.weights, *more)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)


@contextmanager
def recording(
    model: Any,
    on_call: Callable[[AttentionCall], None],
    *,
    rotations: Rotations | None = None,
    weighed: Callable[[], slice] = lambda: EVERY,
) -> Iterator[None]:
    """Call `on_call` for each attention module of every forward pass inside the block.

    The model computes exactly what it computes with plain ("eager") attention, or where weights are
    wanted of some sequences only, with torch's fused attention if that is its own. Leaving the
    block, also by an error, restores the model's own attention; no tensor is kept.

    Parameters
    ----------
    model : a transformers `PreTrainedModel` in evaluation mode.
    on_call : receives each `AttentionCall` in the order of the forward pass.
    rotations : from `catching_rotations`, where vectors before rotation are wanted.
    weighed : tells of which sequences of the batch that runs now the weights are wanted.

    Raises
    ------
    CaptureError
        if the model cannot be switched to another attention function.
    """
    names = {module: name for name, module in model.named_modules()}
    seen: Counter[str] = Counter()

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        wanted = weighed()
        tensors = query, key, value, mask
        if module in fused and wanted != EVERY:
            output, given = ALL_ATTENTION_FUNCTIONS[FUSED](module, *tensors, **kwargs)
            weights = _weights_of(module, tensors, kwargs, wanted)
        else:
            output, given = _forward(module, *tensors, **kwargs)
            weights = given[wanted]
        name = names.get(module, type(module).__name__)
        seen[name] += 1
        rotation, unrotated = rotations.take(query, key) if rotations else ("none", None)
        on_call(AttentionCall(
            module=name if seen[name] == 1 else f"{name}#{seen[name]}",
            query=query, key=key, value=value, weights=weights, weighed=wanted,
            rotation=rotation, unrotated=unrotated, **_settings(module, query, mask, kwargs),
        ))  # fmt: skip
        return output, given

    fused = {module for module in names if _implementation(module) == FUSED}
    hook = model.register_forward_pre_hook(lambda *_: seen.clear())
    try:
        with _in_place_of_its_own(model, attend):
            yield
    finally:
        hook.remove()


@contextmanager
def _in_place_of_its_own(model: Any, attend: Callable[..., Any]) -> Iterator[None]:
    """Let a model attend by another function inside the block."""
    own = model.config._attn_implementation
    # Without a mask function of the same name transformers passes no mask and loses causality.
    ALL_ATTENTION_FUNCTIONS[INTERFACE] = attend
    AttentionMaskInterface.register(INTERFACE, eager_mask)
    try:
        model.set_attn_implementation(INTERFACE)
        if model.config._attn_implementation != INTERFACE:
            raise CaptureError(
                f"{type(model).__name__} does not use transformers' attention interface, so its "
                "queries and keys cannot be taken there; expected a model class that supports "
                "`attn_implementation`"
            )
        yield
    finally:
        model.set_attn_implementation(own)
        ALL_ATTENTION_FUNCTIONS.pop(INTERFACE)


def attention_weights(call: AttentionCall, additive: Tensor | None) -> Tensor:
    """Rebuild the attention weights of a call from what is kept of it, in float32.

    `softmax(f(scaling * q k^T) + additive)` with f the soft cap, over keys and, where the model
    has one, a sink column that is dropped afterwards.

    Parameters
    ----------
    call : the captured tensors.
    additive : float32, broadcastable to (batch, n_heads, query_length, key_length), with -inf for
        unreachable pairs; or None.

    Returns
    -------
    (batch, n_heads, query_length, key_length) float32; each row sums to 1, or less with a sink.

    Cost
    ----
    Memory grows with query_length * key_length.
    """
    query, key = call.query.float(), call.key.float()
    groups = query.shape[1] // key.shape[1]
    logits = torch.matmul(query, key.repeat_interleave(groups, dim=1).transpose(2, 3))
    logits = logits * call.scaling
    if call.softcap is not None:
        logits = call.softcap * torch.tanh(logits / call.softcap)
    if additive is not None:
        logits = logits + additive
    if call.sinks is None:
        return torch.softmax(logits, dim=-1)
    sinks = call.sinks.float().reshape(1, -1, 1, 1).expand(*logits.shape[:3], 1)
    return torch.softmax(torch.cat([logits, sinks], dim=-1), dim=-1)[..., :-1]


def of_sequences(value: Any, wanted: slice) -> Any:
    """Take some sequences of a tensor that has one row a sequence; give back what has not."""
    has_rows = isinstance(value, Tensor) and value.ndim > 1 and value.shape[0] > 1
    return value[wanted] if has_rows else value


def _weights_of(
    module: Any, tensors: tuple[Tensor | None, ...], kwargs: dict[str, Any], wanted: slice
) -> Tensor:
    """Return the plain attention weights of some sequences of a batch."""
    query, key, value, mask = (of_sequences(tensor, wanted) for tensor in tensors)
    some = {name: of_sequences(given, wanted) for name, given in kwargs.items()}
    return _forward(module, query, key, value, mask, **some)[1]


def _implementation(module: Any) -> str | None:
    return getattr(getattr(module, "config", None), "_attn_implementation", None)


def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Run the plain attention of the file that defines the module, arguments unchanged."""
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if eager is None:
        raise CaptureError(
            f"{type(module).__module__} has no eager_attention_forward, so the attention of "
            f"{type(module).__name__} cannot be verified; it is refused"
        )
    output, weights = eager(module, query, key, value, mask, **kwargs)
    return output, weights


def _settings(
    module: Any, query: Tensor, mask: Tensor | None, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return what else shapes the weights, as the model passes it."""
    return {
        "scaling": _scaling(query, kwargs),
        "softcap": kwargs.get("softcap"),
        "additive": _additive(mask, kwargs.get("position_bias")),
        "sinks": _sinks(module, kwargs),
        "window": kwargs.get("sliding_window"),
    }


def _scaling(query: Tensor, kwargs: dict[str, Any]) -> float:
    scaling = kwargs.get("scaling")
    return float(scaling) if scaling is not None else float(query.shape[-1]) ** -0.5


def _sinks(module: Any, kwargs: dict[str, Any]) -> Tensor | None:
    sinks = kwargs.get("s_aux")
    sinks = getattr(module, "sinks", None) if sinks is None else sinks
    return None if sinks is None else sinks.detach()


def _additive(mask: Tensor | None, bias: Tensor | None) -> Tensor | None:
    if mask is None or bias is None:
        return mask if bias is None else bias
    return mask + bias
