"""Masks by position where the first sequence is not the longest on both sides."""

from __future__ import annotations

import torch

from pipeline.masks import by_position

LOWEST = torch.finfo(torch.float32).min


def test_a_mask_with_rows_of_longer_sequences_is_cut_to_the_first() -> None:
    additive = torch.zeros(2, 1, 4, 6)  # the second sequence has four queries
    additive[0, :, :, 5:] = LOWEST
    rule = by_position(additive, 3, 6)
    assert rule is not None
    assert rule.shape == (1, 3, 6)
    assert torch.isinf(rule).sum() == 3


def test_one_row_stands_for_all_queries() -> None:
    additive = torch.full((1, 1, 1, 4), LOWEST)
    rule = by_position(additive, 3, 4)
    assert rule is not None
    assert rule.shape == (1, 3, 4)
