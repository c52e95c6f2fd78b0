"""Finds the output projection behind each attention module, and measures values through it.

No model family is named: the projection is the linear map that receives the weighted sum of the
values, which is checked number by number on the sequences of the survey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.capture import AttentionCall

# Of the largest number: sums of products in another order, float32.
SAME = 1e-4

Tensor = torch.Tensor


@dataclass(frozen=True)
class Projection:
    """What an attention module does with its weighted values.

    Parameters
    ----------
    module : qualified name of the linear map that receives them; "" where there is none.
    factor : (n_heads, value_dim, value_dim) float32 with `|factor_h v| = |v W_h|`, where `W_h` is
        the part of the linear map that belongs to head h; None where it was not found.
    reason : why it was not found, as the end of "no norm of the transformed value: ...".
    """

    module: str = ""
    factor: Tensor | None = None
    reason: str = ""


class ProjectionFinder:
    """Compares what the modules of a model receive with the weighted values of the last call.

    Parameters
    ----------
    model : whose forward passes are watched.
    """

    def __init__(self, model: Any) -> None:
        self._names = {module: name for name, module in model.named_modules()}
        self._wanted: tuple[AttentionCall, Tensor] | None = None
        self.found: dict[str, Projection] = {}

    def expect(self, call: AttentionCall) -> None:
        """Look out for the projection of a call that was just made."""
        self._wanted = None
        if call.module in self.found:
            return
        mixed = weighted_values(call)
        if mixed is None:
            reason = "its values could not be told from the arithmetic of the model"
            self.found[call.module] = Projection(reason=reason)
            return
        # Stays, unless the weighted values are met again before the next attention.
        reason = (
            "no linear module receives the attention output as it is (a gate or joint in between)"
        )
        self.found[call.module] = Projection(reason=reason)
        self._wanted = call, mixed

    def see(self, module: Any, arguments: tuple[Any, ...], output: Any) -> None:
        """Compare what a module received with what is expected; a forward hook."""
        if self._wanted is None or not arguments or not isinstance(output, Tensor):
            return
        call, mixed = self._wanted
        received = arguments[0]
        if not isinstance(received, Tensor) or not received.is_floating_point():
            return
        if received.numel() != mixed.numel() or received.shape[-1] != mixed.shape[-1]:
            return
        if not _same(received.reshape(mixed.shape), mixed) or torch.equal(output, received):
            return  # something else, or dropout that does nothing
        self._wanted = None
        name = self._names.get(module, type(module).__name__)
        matrix = _matrix_of(module, received, output)
        if matrix is None:
            reason = f"the attention output passes through {name} ({type(module).__name__}) first"
            self.found[call.module] = Projection(reason=reason)
        else:
            factor = projection_factor(matrix, call.query.shape[1])
            self.found[call.module] = Projection(name, factor)


@contextmanager
def finding_projections(model: Any) -> Iterator[ProjectionFinder]:
    """Watch the smallest modules of a model inside the block; tell the finder of each call."""
    finder = ProjectionFinder(model)
    smallest = [module for module in model.modules() if not any(module.children())]
    hooks = [module.register_forward_hook(finder.see) for module in smallest]
    try:
        yield finder
    finally:
        for hook in hooks:
            hook.remove()


def weighted_values(call: AttentionCall) -> Tensor | None:
    """Return the sum of values by weight, heads side by side; None where there are no values.

    Returns
    -------
    (batch * query_length, n_heads * value_dim) float32.
    """
    value = call.value
    n_heads = call.query.shape[1]
    if value is None or n_heads % value.shape[1] or value.shape[2] != call.weights.shape[3]:
        return None
    value = value.float().repeat_interleave(n_heads // value.shape[1], dim=1)
    mixed = call.weights.float() @ value
    sums: Tensor = mixed.transpose(1, 2).reshape(-1, n_heads * value.shape[3])
    return sums


def projection_factor(matrix: Tensor, n_heads: int) -> Tensor:
    """Return a small matrix a head that gives vectors the norms they have after a projection.

    `|v W_h|^2 = v G_h v^T` with the Gram matrix `G_h = W_h W_h^T = L L^T` (Cholesky), so
    `|v W_h| = |L^T v^T|`. Computed in float64, where squaring costs no digit that counts.

    Parameters
    ----------
    matrix : (n_heads * value_dim, d_model), from the left: row vectors are multiplied by it.
    n_heads : query heads; each has its own rows of the matrix, also where heads share values.

    Returns
    -------
    (n_heads, value_dim, value_dim) float32, on the device of the matrix.
    """
    heads = matrix.detach().double().cpu().reshape(n_heads, -1, matrix.shape[1])
    gram = heads @ heads.transpose(1, 2)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    # A head that ignores some directions has no factor by Cholesky; a millionth of its mean size
    # for them is below what float32 tells.
    diagonal += 1e-12 * diagonal.mean(dim=1, keepdim=True) + torch.finfo(gram.dtype).tiny
    factor: Tensor = torch.linalg.cholesky(gram).transpose(1, 2)
    return factor.float().to(matrix.device)


def value_norms(value: Tensor, n_heads: int, factor: Tensor | None) -> Tensor:
    """Measure values, and where the projection is known, values transformed by it.

    `|v_j|` and `|v_j W_h|` (Kobayashi et al. 2020, eq. 3 to 5: `f(x) = v W_h`; the biases of the
    projection are the same for all keys and left out).

    Parameters
    ----------
    value : (batch, n_value_heads, key_length, value_dim).
    n_heads : query heads; head h reads value head `h // (n_heads // n_value_heads)`.
    factor : of a `Projection`, or None.

    Returns
    -------
    (1 or 2, batch, n_heads, key_length) float32, plain norms, then transformed ones.
    """
    value = value.float()
    groups = n_heads // value.shape[1]
    plain: Tensor = torch.linalg.vector_norm(value, dim=-1).repeat_interleave(groups, dim=1)
    if factor is None:
        return plain[None]
    # All sequences of a head in one product: a product a sequence would copy the factor for each.
    by_head = value.transpose(0, 1).flatten(1, 2)
    by_group = factor.reshape(value.shape[1], groups * factor.shape[1], factor.shape[2])
    turned = (by_head @ by_group.transpose(1, 2)).reshape(*by_head.shape[:2], groups, -1)
    norms = torch.linalg.vector_norm(turned, dim=-1)
    transformed = norms.reshape(value.shape[1], value.shape[0], -1, groups).permute(1, 0, 3, 2)
    return torch.stack([plain, transformed.flatten(1, 2)])


def _matrix_of(module: Any, received: Tensor, given: Tensor) -> Tensor | None:
    """Return the (in, out) matrix of a module that is a linear map, whichever way it is stored."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return None
    bias = getattr(module, "bias", None)
    for matrix in (weight.T, weight):
        if matrix.shape == (received.shape[-1], given.shape[-1]):
            rebuilt = received @ matrix if bias is None else received @ matrix + bias
            if _same(rebuilt, given):
                return matrix
    return None


def _same(found: Tensor, expected: Tensor) -> bool:
    """Compare; padded queries that reach no key are not numbers on both sides."""
    size = float(expected.float().nan_to_num().abs().max())
    difference = (found.float() - expected.float()).nan_to_num().abs().max()
    return size > 0 and float(difference) <= SAME * size
