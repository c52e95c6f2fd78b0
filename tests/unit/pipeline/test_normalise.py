"""Scale and translation of one head."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.normalise import (
    CORRELATION_SLACK,
    SCALES,
    Normalisation,
    choose_normalisation,
    normalise,
    unit_rows,
)
from pipeline.records import HeadVectors

N_TOKENS, HEAD_DIM = 60, 8


@pytest.fixture
def vectors() -> HeadVectors:
    rng = np.random.default_rng(5)
    queries = rng.normal(1.0, 1.0, (N_TOKENS, HEAD_DIM)).astype(np.float32)
    keys = rng.normal(-2.0, 0.5, (N_TOKENS, HEAD_DIM)).astype(np.float32)
    return HeadVectors(queries, keys)


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    query, key = np.indices((N_TOKENS, N_TOKENS)).reshape(2, -1)
    return query, key


def test_three_tokens_by_hand():
    queries = np.array([[1, 0], [3, 0], [2, 3]], dtype=np.float32)
    keys = np.array([[0, 2], [2, 2], [4, 2]], dtype=np.float32)
    how = Normalisation(2.0, np.array([3.0, 1.0], dtype=np.float32), np.empty(0))
    a, b = normalise(HeadVectors(queries, keys), how)
    assert a.tolist() == [[2, 0], [6, 0], [4, 6]]
    assert b.tolist() == [[3, 2], [4, 2], [5, 2]]


@pytest.mark.parametrize("mode", ["faithful", "paper"])
def test_both_clouds_share_one_centre(vectors, pairs, mode):
    how = choose_normalisation(vectors, *pairs, mode=mode)
    a, b = normalise(vectors, how)
    np.testing.assert_allclose(a.mean(axis=0), b.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("mode", ["faithful", "paper", "none"])
def test_attention_is_unchanged(vectors, pairs, mode):
    def softmax(queries, keys):
        logits = queries.astype(np.float64) @ keys.astype(np.float64).T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    how = choose_normalisation(vectors, *pairs, mode=mode)
    expected = softmax(vectors.queries, vectors.keys)
    # float32 vectors with logits of about 60: measured 2e-5.
    np.testing.assert_allclose(softmax(*normalise(vectors, how)), expected, atol=1e-4)


def test_none_leaves_the_vectors_as_they_are(vectors, pairs):
    a, b = normalise(vectors, choose_normalisation(vectors, *pairs, mode="none"))
    assert np.array_equal(a, vectors.queries)
    assert np.array_equal(b, vectors.keys)


def test_paper_has_scale_one(vectors, pairs):
    assert choose_normalisation(vectors, *pairs, mode="paper").scale == 1.0


def test_faithful_takes_the_largest_scale_near_the_best_correlation(vectors, pairs):
    how = choose_normalisation(vectors, *pairs, mode="faithful")
    allowed = how.curve.min() + CORRELATION_SLACK
    last = np.searchsorted(SCALES, how.scale, side="right") - 1
    assert how.curve[last] <= allowed
    assert (how.curve[last + 1 :] > allowed).all()


def test_the_stored_curve_is_the_weighted_correlation_itself(vectors, pairs):
    how = choose_normalisation(vectors, *pairs, mode="faithful")
    place = 17
    scale = SCALES[place]
    translation = scale * vectors.queries.mean(axis=0) - vectors.keys.mean(axis=0) / scale
    a, b = normalise(vectors, Normalisation(scale, translation, np.empty(0)))
    dot = np.einsum("nd,nd->n", a[pairs[0]], b[pairs[1]])
    distance = 1 - np.einsum("nd,nd->n", unit_rows(a)[pairs[0]], unit_rows(b)[pairs[1]])
    covariance = np.cov(dot, distance, aweights=1 / (distance + 0.1))
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert how.curve[place] == pytest.approx(expected, abs=1e-4)


def test_rows_of_zeros_stay_zero():
    assert unit_rows(np.zeros((2, 3), dtype=np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_equal_vectors_do_not_break_the_choice(pairs):
    same = np.ones((N_TOKENS, HEAD_DIM), dtype=np.float32)
    how = choose_normalisation(HeadVectors(same, same), *pairs, mode="faithful")
    assert np.isfinite(how.scale)
