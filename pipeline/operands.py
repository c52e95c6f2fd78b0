"""Tells what the operands of a product are: queries and keys, or attention weights and values."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.capture import AttentionCall

Tensor = torch.Tensor


def values_of(
    call: AttentionCall, weights: Tensor, product: tuple[Any, Tensor, Tensor]
) -> Tensor | None:
    """Return (1, n_value_heads, key_length, value_dim) where weights are multiplied by values.

    Parameters
    ----------
    call : one sequence, with the weights as (1, n_heads, query_length, key_length).
    weights : the same, shaped as the softmax gave them.
    product : the first argument (the equation of an einsum) and both operands.
    """
    equation, first, second = product
    n_heads, n_queries, n_keys = call.weights.shape[1:]
    is_weights = first.numel() == weights.numel() and first.shape[-2:] == (n_queries, n_keys)
    if not is_weights or not torch.equal(first.reshape(call.weights.shape), call.weights):
        return None
    if isinstance(equation, str):
        operand = _values_of_einsum(equation, second)
    else:
        operand = second if second.shape[-2] == n_keys else None
    if operand is None:
        return None
    value = operand.reshape(-1, *operand.shape[-2:])
    return stored_once(value)[None] if value.shape[0] in (1, n_heads) else None


def of_einsum(equation: Any, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the operands of `ibnd,jbnd->bnij` and its like as (..., i, d) and (..., j, d)."""
    if not isinstance(equation, str) or "." in equation:
        return None
    inputs, _, output = equation.replace(" ", "").partition("->")
    left, _, right = inputs.partition(",")
    summed = [x for x in left if x in right and x not in output]
    if len(output) < 3 or len(summed) != 1 or len({*left, *right}) != len(output) + 1:
        return None
    shared, row, column = output[:-2], output[-2], output[-1]
    operands = []
    for labels, own, tensor in ((left, row, first), (right, column, second)):
        wanted = [*shared, own, summed[0]]
        if sorted(labels) != sorted(wanted):
            return None
        operands.append(tensor.permute([labels.index(x) for x in wanted]))
    return operands[0], operands[1]


def _values_of_einsum(equation: str, values: Tensor) -> Tensor | None:
    """Return the second operand of `bnij,jbnd->ibnd` and its like as (..., j, d)."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    left, _, right = inputs.partition(",")
    own = [x for x in right if x not in left and x in output]
    wanted = [*left[:-2], left[-1:], *own]
    if "." in equation or len(own) != 1 or sorted(right) != sorted(wanted):
        return None
    return values.permute([right.index(x) for x in wanted])


def stored_once(key: Tensor) -> Tensor:
    """Drop the copies of key heads that a model repeats for its query heads."""
    n_heads = key.shape[0]
    for groups in range(n_heads, 1, -1):
        if n_heads % groups == 0:
            grouped = key.view(n_heads // groups, groups, *key.shape[1:])
            if torch.equal(grouped, grouped[:, :1].expand_as(grouped)):
                return grouped[:, 0]
    return key
