"""Seeded choices of sequences, points and pairs."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.sampling import choose_sequences, draw_order, sample_pairs

OFFSET = np.array([0, 7, 12, 30, 31])


def test_all_sequences_are_kept_when_they_fit():
    lengths = np.array([3, 0, 5])
    assert choose_sequences(lengths, max_tokens=8, seed=0).tolist() == [0, 2]


def test_a_sample_fits_and_keeps_the_order():
    lengths = np.full(1000, 7)
    chosen = choose_sequences(lengths, max_tokens=700, seed=1)
    assert chosen.size == 100
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() == choose_sequences(lengths, max_tokens=700, seed=1).tolist()


def test_no_tokens_is_refused():
    with pytest.raises(InputError, match="no tokens"):
        choose_sequences(np.zeros(3, dtype=np.int64), max_tokens=10, seed=0)


def test_one_sequence_above_the_limit_is_refused():
    with pytest.raises(InputError, match="at most 10"):
        choose_sequences(np.array([11]), max_tokens=10, seed=0)


def test_the_draw_order_is_a_permutation_whose_prefix_is_balanced():
    order = draw_order(10_000, seed=0)
    assert np.array_equal(np.sort(order), np.arange(10_000))
    prefix = order[:2000]
    # Three standard errors of 2,000 fair draws are 0.034.
    assert abs((prefix >= 5000).mean() - 0.5) < 0.034
    assert abs(prefix.mean() / 5000 - 1) < 0.04


@pytest.mark.parametrize("n_pairs", [50, 10_000])
def test_pairs_lie_in_one_sequence(n_pairs):
    query, key = sample_pairs(OFFSET, None, n_pairs=n_pairs, seed=0)
    assert query.size == min(n_pairs, 7**2 + 5**2 + 18**2 + 1)
    sequence = [np.searchsorted(OFFSET, x, side="right") for x in (query, key)]
    assert np.array_equal(*sequence)


@pytest.mark.parametrize("n_pairs", [50, 10_000])
def test_unreachable_pairs_are_never_drawn(n_pairs):
    causal = np.tril(np.ones((18, 18), dtype=bool))
    query, key = sample_pairs(OFFSET, causal, n_pairs=n_pairs, seed=0)
    assert query.size == min(n_pairs, 28 + 15 + 171 + 1)
    assert (key <= query).all()
