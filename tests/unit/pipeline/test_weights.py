"""What query and key weights have in common, by hand and on a tiny atlas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.atlas import read_atlas
from pipeline.errors import InputError
from pipeline.jobs import JobTable
from pipeline.store import Store
from pipeline.weight_stage import run_weights
from pipeline.weights import (
    Weights,
    compare_weights,
    read_weights,
    weights_key,
)

HEADS, KEY_HEADS, DIM, WIDTH = 4, 2, 3, 7


@pytest.fixture
def sides() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    shapes = (HEADS, DIM, WIDTH), (KEY_HEADS, DIM, WIDTH)
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)  # type: ignore[return-value]


def test_correlations_are_those_of_numpy_with_shared_key_heads(sides: tuple[Any, Any]):
    queries, keys = sides
    found = compare_weights(queries, keys)
    for head in range(HEADS):
        key = keys[head // 2]
        expected = np.corrcoef(queries[head].ravel(), key.ravel())[0, 1]
        assert found.correlation[head] == pytest.approx(expected, abs=1e-9)
        rows = [np.corrcoef(queries[head, d], key[d])[0, 1] for d in range(DIM)]
        assert found.by_dimension[head] == pytest.approx(rows, abs=1e-9)


def test_symmetry_is_that_of_the_whole_matrix(sides: tuple[Any, Any]):
    queries, keys = sides
    found = compare_weights(queries, keys)
    for head in range(HEADS):
        whole = queries[head].astype(np.float64).T @ keys[head // 2]
        expected = (whole * whole.T).sum() / (whole**2).sum()
        assert found.symmetry[head] == pytest.approx(expected, abs=1e-6)


def test_symmetry_is_one_for_equal_and_minus_one_for_opposed_directions():
    query = np.array([[[1, 0], [0, 1]]], np.float32)
    turned = np.array([[[0, 1], [-1, 0]]], np.float32)
    assert compare_weights(query, query).symmetry == pytest.approx(1)
    assert compare_weights(query, turned).symmetry == pytest.approx(-1)


def test_symmetry_does_not_depend_on_the_basis_of_the_head(sides: tuple[Any, Any]):
    queries, keys = sides
    basis = np.random.default_rng(1).standard_normal((DIM, DIM))
    other = basis @ queries[:2], np.linalg.inv(basis).T @ keys
    before = compare_weights(queries[:2], keys)
    after = compare_weights(*(side.astype(np.float32) for side in other))
    assert after.symmetry == pytest.approx(before.symmetry, abs=1e-5)
    assert not np.allclose(after.correlation, before.correlation, atol=0.05)


def test_sampled_entries_stand_at_the_same_places(sides: tuple[Any, Any]):
    queries, keys = sides
    sampled = compare_weights(queries, keys).sampled[3]
    pairs = set(zip(queries[3].ravel(), keys[1].ravel(), strict=True))
    assert {tuple(pair) for pair in sampled} == pairs


@pytest.fixture(scope="module")
def looked_at(tiny_store: Store, tiny_atlas: dict[str, Any], hub_cache: Any) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.weight_stage.hub_cache", lambda: hub_cache)
        run_weights({"atlas": tiny_atlas["atlas"]}, tiny_store, lambda _: None)
    return tiny_store


def test_the_weights_of_an_atlas_are_those_of_its_model(
    looked_at: Store, tiny_atlas: dict[str, Any], hub_cache: Any
):
    from tests.unit.pipeline.tiny_models import load_tiny

    capture = read_atlas(looked_at, tiny_atlas["atlas"]).capture
    found = read_weights(capture, 1, 2)
    assert found is not None
    attention = load_tiny("tiny/bert", hub_cache).model.encoder.layer[1].attention.self
    weights = [side.weight.detach().numpy()[16:24] for side in (attention.query, attention.key)]
    expected = np.corrcoef(weights[0].ravel(), weights[1].ravel())[0, 1]
    assert found.correlation == pytest.approx(expected, abs=1e-6)
    assert found.all_heads[1, 2] == found.correlation
    assert found.query_module == "encoder.layer.1.attention.self.query"
    assert found.n_entries == weights[0].size


def test_a_head_that_is_not_there_is_refused(looked_at: Store, tiny_atlas: dict[str, Any]):
    capture = read_atlas(looked_at, tiny_atlas["atlas"]).capture
    with pytest.raises(InputError, match="head: found 9"):
        read_weights(capture, 0, 9)


def test_a_model_nobody_has_looked_at_is_asked_for_once(
    tmp_path: Any, tiny_atlas: dict[str, Any], tiny_store: Store
):
    weights = Weights(tiny_store, JobTable(Store(tmp_path)))
    first = weights.start(tiny_atlas["atlas"], owner="a")
    second = weights.start(tiny_atlas["atlas"], owner="b")
    assert first.id == second.id
    last = weights.last(tiny_atlas["atlas"])
    assert last is not None
    assert last.owners == ("a", "b")
    assert weights.last("0" * 64) is None


def test_the_key_changes_with_files_part_and_modality(
    tiny_store: Store, tiny_atlas: dict[str, Any]
):
    record = read_atlas(tiny_store, tiny_atlas["atlas"]).capture.record
    keys = {
        weights_key(record | change)
        for change in (
            {}, {"part": "cross"}, {"corpus": {"modality": "image"}},
            {"model": {"files": {"model.safetensors": "0" * 64}}},
        )
    }  # fmt: skip
    assert len(keys) == 4
