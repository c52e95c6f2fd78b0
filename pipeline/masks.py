"""Masks and position biases of a batch, kept once by position instead of once a sequence."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def with_infinity(additive: Tensor) -> Tensor:
    """Return float32 with -inf where the model holds the lowest value of its dtype."""
    lowest = torch.finfo(additive.dtype).min / 2
    return additive.float().masked_fill(additive <= lowest, -torch.inf)


def by_position(additive: Tensor | None, longest: int) -> Tensor | None:
    """Take mask and bias of the first, longest sequence; None when they are zero everywhere."""
    if additive is None:
        return None
    square = with_infinity(additive)[0].expand(-1, longest, -1)[:, :longest, :longest]
    return square.clone() if square.any() else None


def for_batch(additive: Tensor | None, padding: Tensor) -> Tensor | None:
    """Crop the mask by position to a batch, and make padded keys unreachable."""
    n = padding.shape[1]
    if additive is None:
        if not padding.any():
            return None
        additive = torch.zeros(1, n, n, device=padding.device)
    return additive[None, :, :n, :n].masked_fill(padding[:, None, None, :], -torch.inf)


def same_additive(found: Tensor | None, expected: Tensor | None, padding: Tensor) -> bool:
    """Compare mask and bias of real queries and keys; what is padded does not matter."""
    n = padding.shape[1]
    zero = torch.zeros(1, 1, n, n, device=padding.device)
    both = [zero if found is None else with_infinity(found), zero if expected is None else expected]
    ignored = padding[:, None, None, :] | padding[:, None, :, None]
    return bool((torch.isclose(both[0], both[1], rtol=0, atol=1e-6) | ignored).all())
