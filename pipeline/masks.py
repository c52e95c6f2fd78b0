"""Masks and position biases of a batch: a rule by position where there is one; their names."""

from __future__ import annotations

import torch

Tensor = torch.Tensor
# Biases that are equal by their rule differ by the rounding of sums in another order.
SAME = 1e-5


def with_infinity(additive: Tensor) -> Tensor:
    """Return float32 with -inf where the model holds the lowest value of its dtype."""
    lowest = torch.finfo(additive.dtype).min / 2
    return additive.float().masked_fill(additive <= lowest, -torch.inf)


def by_position(additive: Tensor | None, n_queries: int, n_keys: int) -> Tensor | None:
    """Take mask and bias of the first, longest sequence; None when they are zero everywhere."""
    if additive is None:
        return None
    # Another sequence of the batch may have more queries: of cross-attention, the first is the
    # longest of both sides together only.
    rows = with_infinity(additive)[0][:, :n_queries, :n_keys]
    whole = rows.expand(-1, n_queries, -1)
    return whole.clone() if whole.any() else None


def for_batch(rule: Tensor | None, query_padding: Tensor, key_padding: Tensor) -> Tensor | None:
    """Crop the mask by position to a batch, and make padded keys unreachable.

    Parameters
    ----------
    rule : (1 or n_heads, longest, longest) float32, or None for a mask of zeros.
    query_padding, key_padding : (batch, length) bool, true where there is no token.
    """
    n_queries, n_keys = query_padding.shape[1], key_padding.shape[1]
    if rule is None:
        if not key_padding.any():
            return None
        rule = torch.zeros(1, n_queries, n_keys, device=key_padding.device)
    cropped = _fitted(rule, n_queries, n_keys)[None]
    return cropped.masked_fill(key_padding[:, None, None, :], -torch.inf)


def of_tokens(additive: Tensor | None, query_padding: Tensor, key_padding: Tensor) -> Tensor | None:
    """Return the batch's own mask and bias, padded keys unreachable; None where it has none."""
    shape = (key_padding.shape[0], 1, query_padding.shape[1], key_padding.shape[1])
    if additive is None:
        if not key_padding.any():
            return None
        additive = torch.zeros(shape, device=key_padding.device)
    whole = with_infinity(additive).expand(shape[0], -1, shape[2], shape[3])
    return whole.masked_fill(key_padding[:, None, None, :], -torch.inf)


def same_additive(
    found: Tensor | None, rule: Tensor | None, query_padding: Tensor, key_padding: Tensor
) -> bool:
    """Tell whether a rule by position gives a batch's mask and bias, where it is not padded."""
    if found is None and rule is None:
        return True
    n_queries, n_keys = query_padding.shape[1], key_padding.shape[1]
    longest = [int((~padding).sum(dim=1).max()) for padding in (query_padding, key_padding)]
    if rule is not None and (rule.shape[1] < longest[0] or rule.shape[2] < longest[1]):
        return False
    zero = torch.zeros(1, 1, n_queries, n_keys, device=key_padding.device)
    expected = zero if rule is None else _fitted(rule, n_queries, n_keys)[None]
    own = zero if found is None else with_infinity(found)
    ignored = key_padding[:, None, None, :] | query_padding[:, None, :, None]
    return bool((torch.isclose(own, expected, rtol=SAME, atol=SAME) | ignored).all())


def mask_kind(rule: Tensor | None, window: int | None) -> str:
    """Name who may attend to whom: `none`, `causal`, `sliding window n` or `other`.

    Parameters
    ----------
    rule : (1 or n_heads, n_queries, n_keys) float32 with -inf for unreachable pairs, or None.
    window : length of the sliding window that the module passes; longer than the texts, it
        leaves no trace in the mask.
    """
    if window:
        return f"sliding window {window}"
    if rule is None or not torch.isinf(rule).any():
        return "none"
    reachable = ~torch.isinf(rule).any(dim=0)
    rows, columns = (torch.arange(n, device=rule.device) for n in reachable.shape)
    distance = rows[:, None] - columns[None, :]
    if torch.equal(reachable, distance >= 0):
        return "causal"
    farthest = int(distance[reachable].max())
    if torch.equal(reachable, (distance >= 0) & (distance <= farthest)):
        return f"sliding window {farthest + 1}"
    if torch.equal(reachable, distance.abs() <= farthest):  # half of it on each side
        return f"sliding window {2 * farthest}"
    return "other"


def bias_kind(rule: Tensor | None) -> str:
    """Name what is added to reachable logits: `none`, `ALiBi`, `relative` or `by position`.

    Parameters
    ----------
    rule : as for `mask_kind`. ALiBi is linear in the place of the key, relative a function of the
        distance alone, each up to a number of the query's own.
    """
    if rule is None:
        return "none"
    finite = torch.where(torch.isinf(rule), torch.nan, rule)
    if not finite.nan_to_num().any():
        return "none"
    slope = finite.diff(dim=2)
    for name, change in (("ALiBi", slope.diff(dim=2)), ("relative", _across(slope))):
        if not (change.nan_to_num().abs() > SAME * finite.nan_to_num().abs().max()).any():
            return name
    return "by position"


def _fitted(rule: Tensor, n_queries: int, n_keys: int) -> Tensor:
    """Crop a rule to a batch; where the batch is padded further, fill with zeros."""
    cropped = rule[:, :n_queries, :n_keys]
    missing = (0, n_keys - cropped.shape[2], 0, n_queries - cropped.shape[1])
    return torch.nn.functional.pad(cropped, missing) if any(missing) else cropped


def _across(slope: Tensor) -> Tensor:
    """Return how a slope changes from one query to the next at the same distance."""
    return slope[:, 1:, 1:] - slope[:, :-1, :-1]
