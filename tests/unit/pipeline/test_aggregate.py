"""Means by position, and the rule by which weights are taken anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.aggregate import FILTERS, aggregate, hidden_tokens, reweighted, why_not
from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.store import Store
from tests.conftest import build

NOTHING = np.zeros(3, dtype=bool)
WEIGHTS = np.array([[0.5, 0.25, 0.25], [1, 0, 0]], dtype=np.float32)


@pytest.fixture(scope="module")
def capture(tiny_store: Store, tiny_atlas: dict[str, Any]) -> Capture:
    return read_atlas(tiny_store, tiny_atlas["atlas"]).capture


@pytest.fixture(scope="module")
def pairs(tiny_store: Store, hub_cache: Path) -> Capture:
    spec = {"model": "tiny/bert", "corpus": "pairs", "limit": 6, "methods": ("pca",), "dims": (2,)}
    return read_atlas(tiny_store, build(tiny_store, hub_cache, **spec)["atlas"]).capture


def test_nothing_hidden_leaves_the_weights_as_they_are():
    found = reweighted(WEIGHTS, norms=None, hidden_keys=NOTHING, has_sinks=False)
    assert np.array_equal(found, WEIGHTS)


def test_hiding_a_key_shares_its_weight_out_and_empties_rows_that_had_nothing_else():
    hidden = np.array([True, False, False])
    found = reweighted(WEIGHTS, norms=None, hidden_keys=hidden, has_sinks=False)
    assert np.allclose(found, [[0, 0.5, 0.5], [0, 0, 0]])


def test_a_sink_keeps_its_part_of_what_is_shared_out():
    weights = np.array([[0.5, 0.2]], dtype=np.float32)  # 0.3 goes to the sink
    hidden = np.array([True, False])
    found = reweighted(weights, norms=None, hidden_keys=hidden, has_sinks=True)
    assert np.allclose(found, [[0, 0.2 / 0.5]])


def test_norms_of_values_weigh_the_keys():
    norms = np.array([1, 2, 0], dtype=np.float32)
    found = reweighted(WEIGHTS, norms=norms, hidden_keys=NOTHING, has_sinks=False)
    assert np.allclose(found, [[0.5, 0.5, 0], [1, 0, 0]])


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 2**31))
def test_every_row_that_has_keys_left_sums_to_one(hidden, seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(6), size=4).astype(np.float32)
    gone = np.array(hidden)
    found = reweighted(weights, norms=None, hidden_keys=gone, has_sinks=False)
    assert not found[:, gone].any()
    assert np.allclose(found.sum(axis=1), 0 if gone.all() else 1)


def test_means_and_counts_are_those_of_a_loop_over_the_sequences(capture: Capture):
    found = aggregate(capture, 1, 2)
    lengths = np.diff(capture.query_offset)
    assert lengths.min() < lengths.max()
    for row in range(lengths.max()):
        assert found.counts[row] == (lengths > row).sum()
        for column in range(lengths.max()):
            both = [s for s in range(lengths.size) if lengths[s] > max(row, column)]
            weights = [float(capture.attention(s, 1, 2)[row, column]) for s in both]
            assert found.means[row, column] == pytest.approx(np.mean(weights), abs=1e-6)


def test_what_is_left_out_neither_asks_nor_is_asked(capture: Capture):
    found = aggregate(capture, 0, 1, left_out=["start"])
    assert found.counts[0] == 0
    assert not found.means[0].any()
    assert not found.means[:, 0].any()
    expected = []
    for sequence in range(capture.n_sequences):
        weights = capture.attention(sequence, 0, 1)
        expected.append(weights[1, 2] / weights[1, 1:].sum())
    assert found.means[1, 2] == pytest.approx(np.mean(expected), abs=1e-6)


def test_transformed_values_weigh_the_means(capture: Capture):
    found = aggregate(capture, 1, 0, weighting="transformed")
    expected = []
    for sequence in range(capture.n_sequences):
        product = capture.attention(sequence, 1, 0) * capture.value_norms(sequence, 1, 0)[1]
        expected.append(product[1, 0] / product[1].sum())
    assert found.means[1, 0] == pytest.approx(np.mean(expected), rel=1e-5)
    assert not np.allclose(found.means, aggregate(capture, 1, 0).means, atol=1e-4)


def test_kinds_of_tokens_are_told_apart(capture: Capture):
    tokens = capture.tokens
    first, last = tokens.sequence_offset[:-1], tokens.sequence_offset[1:] - 1
    assert np.array_equal(np.flatnonzero(hidden_tokens(tokens, ["start"])), first)
    assert np.array_equal(np.flatnonzero(hidden_tokens(tokens, ["first"])), first)
    assert np.array_equal(np.flatnonzero(hidden_tokens(tokens, ["separators"])), last)
    assert not hidden_tokens(tokens, []).any()


def test_punctuation_is_left_out_by_what_it_says(pairs: Capture):
    hidden = hidden_tokens(pairs.tokens, ["punctuation"])
    said = {text for text, gone in zip(pairs.tokens.token_text, hidden, strict=True) if gone}
    assert "[UNK]" not in said
    assert all(not any(letter.isalnum() for letter in text) for text in said)


def test_pairs_of_different_lengths_have_no_positions_in_common(pairs: Capture):
    assert "pairs of texts of different lengths" in why_not(pairs)
    with pytest.raises(InputError, match="pairs of texts"):
        aggregate(pairs, 0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"weighting": "size"}, "weighting: found 'size'"), ({"left_out": ["x"]}, "without: found")],
)
def test_unknown_options_are_named(capture: Capture, options: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        aggregate(capture, 0, 0, **options)


def test_a_capture_of_before_says_to_build_again(capture: Capture):
    objects = {k: v for k, v in capture.record["objects"].items() if k != "value_norms"}
    layers = [{k: v for k, v in row.items() if k not in ("value_dim", "projection")}
              for row in capture.record["layers"]]  # fmt: skip
    old = Capture(capture.record | {"objects": objects, "layers": layers}, capture.store)
    assert np.isnan(old.value_norms(0, 0, 0)).all()
    with pytest.raises(InputError, match="build this atlas again"):
        aggregate(old, 0, 0, weighting="value")


def test_the_filters_are_those_of_the_browser():
    script = Path(__file__).parents[3] / "assets" / "28_weighting.js"
    names = ", ".join(f'"{name}"' for name in FILTERS)
    assert f"filters = [{names}]" in script.read_text(encoding="utf-8")
