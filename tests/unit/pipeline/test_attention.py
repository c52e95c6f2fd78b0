"""Attention weights rebuilt with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.attention import attention_weights
from pipeline.records import LayerRecord


def layer(*, scaling: float = 0.5, softcap: float | None = None) -> LayerRecord:
    return LayerRecord("attention", 1, 1, 2, scaling, softcap, (0.0,), (0.0,))


def random_vectors(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(2, n, 4)).astype(np.float32))


def test_two_tokens_by_hand():
    queries = np.array([[2.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    keys = np.array([[np.log(3.0), 0.0], [0.0, 1.0]], dtype=np.float32)
    expected = [[0.75, 0.25], [0.5, 0.5]]
    np.testing.assert_allclose(attention_weights(queries, keys, layer()), expected, atol=1e-6)


@given(n=st.integers(1, 30), seed=st.integers(0, 2**20))
def test_rows_sum_to_one_under_a_causal_mask(n, seed):
    mask = np.where(np.tri(n, dtype=bool), 0, -np.inf).astype(np.float32)
    weights = attention_weights(*random_vectors(n, seed), layer(), additive=mask)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert not np.triu(weights, 1).any()


def test_soft_cap_bias_and_sink_agree_with_torch():
    queries, keys = random_vectors(7, 3)
    bias = np.random.default_rng(1).normal(size=(7, 7)).astype(np.float32)
    found = attention_weights(queries, keys, layer(softcap=0.7), additive=bias, sink=0.4)
    logits = torch.from_numpy(queries).double() @ torch.from_numpy(keys).double().T * 0.5
    logits = 0.7 * torch.tanh(logits / 0.7) + torch.from_numpy(bias)
    logits = torch.cat([logits, torch.full((7, 1), 0.4, dtype=torch.float64)], dim=1)
    expected = torch.softmax(logits, dim=1)[:, :-1]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_huge_logits_do_not_overflow():
    queries, keys = random_vectors(5, 0)
    weights = attention_weights(1e4 * queries, 1e4 * keys, layer(), sink=1e9)
    assert np.isfinite(weights).all()
    assert weights.max() == pytest.approx(0)
