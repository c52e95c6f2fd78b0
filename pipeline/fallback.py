"""Catches attention of models that do not use the attention interface, from their arithmetic.

A product of two tensors that ends in a softmax is an attention module: its operands are queries and
keys. What the model adds in between (masks, position biases, further content terms) is kept as one
additive term; what the weights are multiplied by next are the values. One sequence at a time, so
that heads merged into the batch are told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from pipeline.capture import AttentionCall
from pipeline.operands import of_einsum, stored_once, values_of
from pipeline.rotation import Rotations

Tensor = torch.Tensor

PRODUCTS = {"matmul", "__matmul__", "bmm", "baddbmm", "einsum"}
TIMES = {"mul", "mul_", "multiply", "__mul__", "__imul__", "__rmul__"}
DIVIDED = {"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"}
# What may stand between product and softmax without making it another product.
CARRIERS = {
    "add", "add_", "__add__", "__iadd__", "__radd__", "sub", "sub_", "__sub__", "__isub__",
    "masked_fill", "masked_fill_", "where", "clamp", "max", "maximum",
    "view", "reshape", "transpose", "permute", "contiguous", "unsqueeze", "squeeze", "expand",
    "to", "float", "type", "type_as",
}  # fmt: skip
# Masks that are not the lowest value of the dtype: XLNet's is -65500 or -1e30.
HIDDEN = -1e4
# Rounding of scores from which the product is subtracted again.
NOISE = 4e-6


@dataclass(frozen=True)
class _Product:
    """Operands of a product, in the order of its result."""

    query: Tensor  # (n_heads, query_length, head_dim)
    key: Tensor  # (n_kv_heads, key_length, head_dim)
    modules: tuple[str, ...]  # inside of which it ran, outermost first


@dataclass(frozen=True)
class _Trace:
    """Where a tensor comes from: `factor` times a product, or times an earlier tensor."""

    tensor: Tensor  # held, so that its id stays its own
    factor: float
    product: _Product | None


@contextmanager
def intercepting(
    model: Any, on_call: Callable[[AttentionCall], None], *, rotations: Rotations | None = None
) -> Iterator[None]:
    """Call `on_call` for each product and softmax of every forward pass inside the block.

    The model computes exactly what it computes with plain ("eager") attention. One sequence a
    forward pass, without padding.

    Parameters
    ----------
    model, on_call, rotations : as for `capture.recording`.
    """
    watcher = _Watcher(model, on_call, rotations)
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")
    hooks = [
        register_module_forward_pre_hook(watcher.enter),
        register_module_forward_hook(watcher.leave, always_call=True),
    ]
    try:
        with watcher:
            yield
    finally:
        for hook in hooks:
            hook.remove()
        model.set_attn_implementation(own)


class _Watcher(TorchFunctionMode):
    """Sees every function of torch that the model calls."""

    def __init__(
        self, model: Any, on_call: Callable[[AttentionCall], None], rotations: Rotations | None
    ) -> None:
        super().__init__()
        self._model = model
        self._names = {module: name for name, module in model.named_modules()}
        self._on_call = on_call
        self._rotations = rotations
        self._traces: dict[int, _Trace] = {}
        self._inside: list[str] = []
        self._seen: Counter[str] = Counter()
        self._waiting: tuple[AttentionCall, Tensor] | None = None  # for its values

    def enter(self, module: Any, _: Any) -> None:
        """Note that a module begins."""
        if module is self._model:
            self._seen.clear()
            self._traces.clear()
            self._inside.clear()
            self._waiting = None
        if module in self._names:
            self._inside.append(self._names[module])

    def leave(self, module: Any, *_: Any) -> None:
        """Note that a module ends."""
        if module in self._names and self._inside:
            self._inside.pop()
        if module is self._model:
            self._hand_out(None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch and note what its result is."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        if name in PRODUCTS:
            self._note_product(name, args, kwargs, result)
        elif name in TIMES or name in DIVIDED:
            self._note_scaling(name, args, result)
        elif name in CARRIERS:
            source = self._source(args)
            if source:
                self._note(result, source.factor, source.product)
        elif name == "softmax":
            self._note_softmax(args, kwargs, result)
        return result

    def _note(self, tensor: Tensor, factor: float, product: _Product | None) -> None:
        self._traces[id(tensor)] = _Trace(tensor, factor, product)

    def _source(self, args: tuple[Any, ...]) -> _Trace | None:
        """Return what is known of the first argument that comes from a product, or of the first."""
        known = [self._traces[id(x)] for x in args if id(x) in self._traces]
        return next((trace for trace in known if trace.product), known[0] if known else None)

    def _note_scaling(self, name: str, args: tuple[Any, ...], result: Tensor) -> None:
        numbers = [x for x in args[:2] if not isinstance(x, Tensor) or x.numel() == 1]
        if len(numbers) != 1 or (numbers[0] is args[0] and name in DIVIDED):
            return
        number = float(numbers[0])
        factor = number if name in TIMES else 1 / number if number else 0.0
        source = self._source(args)
        if factor:
            known = source.factor if source else 1.0
            self._note(result, factor * known, source.product if source else None)

    def _note_product(self, name: str, args: Any, kwargs: Any, result: Tensor) -> None:
        if name == "baddbmm":
            args = (*args[1:], *(kwargs[k] for k in ("batch1", "batch2") if k in kwargs))
        first, second = args[-2:] if len(args) >= 2 else (None, None)
        if not isinstance(first, Tensor) or not isinstance(second, Tensor):
            return
        if self._waiting is not None:
            call, weights = self._waiting
            value = values_of(call, weights, (args[0], first, second))
            if value is not None:
                self._hand_out(value)
                return
        if name == "einsum":
            operands = of_einsum(args[0], first, second)
        else:
            has_heads = min(first.ndim, second.ndim) > 2
            operands = (first, second.transpose(-1, -2)) if has_heads else None
        if operands is None:
            return
        factors = self._factor(first), self._factor(second)  # of operands scaled beforehand
        query, key = (
            (operand / factor).reshape(-1, *operand.shape[-2:])
            for operand, factor in zip(operands, factors, strict=True)
        )
        if query.shape[0] % key.shape[0] == 0:
            product = _Product(query, stored_once(key), tuple(self._inside))
            scale = float(kwargs.get("alpha", 1)) if name == "baddbmm" else 1.0
            self._note(result, scale * factors[0] * factors[1], product)

    def _factor(self, operand: Tensor) -> float:
        trace = self._traces.get(id(operand))
        return trace.factor if trace and trace.product is None else 1.0

    def _note_softmax(self, args: Any, kwargs: Any, weights: Tensor) -> None:
        trace = self._traces.get(id(args[0])) if args else None
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if trace is None or trace.product is None or dim not in (-1, weights.ndim - 1):
            return
        query, key = trace.product.query, trace.product.key
        shape = (1, query.shape[0], query.shape[1], key.shape[1])
        if weights.numel() != torch.Size(shape).numel() or weights.shape[-2:] != shape[-2:]:
            return
        name = [a for a, b in zip(trace.product.modules, self._inside, strict=False) if a == b][-1]
        self._seen[name] += 1
        call = AttentionCall(
            module=name if self._seen[name] == 1 else f"{name}#{self._seen[name]}",
            query=query[None],
            key=key[None],
            scaling=trace.factor,
            softcap=None,
            additive=None,
            sinks=None,
            weights=weights.reshape(shape),
        )
        take = self._rotations.take if self._rotations else lambda *_: ("none", None)
        rotation, unrotated = take(call.query, call.key)
        rest = _rest(call, args[0].reshape(shape))
        self._traces.clear()
        self._hand_out(None)
        call = replace(call, additive=rest, rotation=rotation, unrotated=unrotated)
        self._waiting = call, weights

    def _hand_out(self, value: Tensor | None) -> None:
        """Pass on the call that waits, with its values where they were seen."""
        if self._waiting is None:
            return
        call, _ = self._waiting
        self._waiting = None
        self._on_call(replace(call, value=value))


def _rest(call: AttentionCall, scores: Tensor) -> Tensor | None:
    """Return what was added to the product, one head of it where all heads have the same."""
    groups = call.query.shape[1] // call.key.shape[1]
    keys = call.key.float().repeat_interleave(groups, dim=1)
    logits = call.query.float() @ keys.transpose(2, 3) * call.scaling
    rest = scores.float() - logits
    hidden = (call.weights == 0) & (rest < HIDDEN)
    # A number for all keys of a query leaves its softmax as it is. Taken out, a bias that counts
    # from the end of the sequence (MPT) is the same by position in all sequences.
    rest = rest - rest[..., :1].masked_fill(hidden[..., :1], 0)
    size = torch.where(hidden, 0, scores.float().abs() + logits.abs()) + 1
    rest = torch.where(rest.abs() <= NOISE * size, 0, rest)
    rest = rest.masked_fill(hidden, torch.finfo(torch.float32).min)
    if not rest.any():
        return None
    same = (rest - rest[:, :1]).abs() <= NOISE * size
    return rest[:, :1] if same.all() else rest
