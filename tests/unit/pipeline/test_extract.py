"""Capture of whole corpora: batches, padding, refusals. Models are tiny and random."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import extract as extract_module
from pipeline import inputs as inputs_module
from pipeline import layers as layers_module
from pipeline import survey as survey_module
from pipeline.corpora import load_corpus
from pipeline.errors import CaptureError, MemoryShortage, SpaceError
from pipeline.extract import extract
from pipeline.inputs import plan_batches
from pipeline.layer_files import CapturedLayer
from pipeline.models import LoadedModel
from pipeline.records import Progress
from pipeline.store import Store
from pipeline.survey import LastAttention
from pipeline.tokens import prepare_inputs
from tests.unit.pipeline.tiny_models import load_tiny


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def capture(
    loaded: LoadedModel, corpus: Path, store: Store, *, limit: int = 9
) -> list[CapturedLayer]:
    inputs = prepare_inputs(loaded, load_corpus(str(corpus)).first(limit), seed=0)
    layers, _ = extract(loaded, inputs, store, report=lambda _: None)
    return layers


def test_batches_hold_every_sequence_once_longest_first():
    lengths = np.array([5, 9, 2, 9, 7])
    batches = plan_batches(lengths, n_heads=2)
    flat = [sequence for batch in batches for sequence in batch]
    assert sorted(flat) == [0, 1, 2, 3, 4]
    assert lengths[flat].tolist() == [9, 9, 7, 5, 2]


def test_batches_stay_within_the_budget():
    lengths = np.full(100, 512)
    n_heads = 16
    batches = plan_batches(lengths, n_heads=n_heads)
    assert max(map(len, batches)) * n_heads * 512**2 * 4 <= inputs_module.BATCH_BYTES


def test_a_sequence_above_the_budget_still_has_a_batch():
    assert plan_batches(np.array([10_000]), n_heads=64) == [[0]]


@pytest.mark.parametrize("model", ["tiny/bert", "tiny/gpt2"])
def test_batching_and_padding_do_not_change_what_is_captured(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    loaded = load_tiny(model, hub_cache)
    together = capture(loaded, tiny_corpus, store)
    monkeypatch.setattr(inputs_module, "BATCH_SEQUENCES", 1)
    alone = capture(loaded, tiny_corpus, store)
    assert len(together) == 2
    for a, b in zip(together, alone, strict=True):
        # Measured 2e-7: sums in another order.
        np.testing.assert_allclose(
            store.open_array(a.queries), store.open_array(b.queries), atol=1e-5
        )
        np.testing.assert_allclose(store.open_array(a.keys), store.open_array(b.keys), atol=1e-5)


def test_a_causal_mask_is_kept_once_by_position(
    hub_cache: Path, tiny_corpus: Path, store: Store
) -> None:
    layers = capture(load_tiny("tiny/gpt2", hub_cache), tiny_corpus, store)
    assert layers[0].additive is not None
    assert layers[0].additive == layers[1].additive  # equal content is one file
    mask = store.open_array(layers[0].additive)
    assert mask.shape[0] == 1
    assert np.array_equal(np.isneginf(mask[0]), ~np.tri(mask.shape[1], dtype=bool))


def test_an_encoder_keeps_no_mask(hub_cache: Path, tiny_corpus: Path, store: Store) -> None:
    layers = capture(load_tiny("tiny/bert", hub_cache), tiny_corpus, store)
    assert [layer.additive for layer in layers] == [None, None]


def test_norms_are_those_of_the_stored_vectors(
    hub_cache: Path, tiny_corpus: Path, store: Store
) -> None:
    layer = capture(load_tiny("tiny/bert", hub_cache), tiny_corpus, store)[0]
    sides = [np.linalg.norm(store.open_array(ref), axis=2) for ref in (layer.queries, layer.keys)]
    np.testing.assert_allclose(layer.norms, np.concatenate(sides, axis=1), rtol=1e-6)


def test_weights_that_cannot_be_rebuilt_are_refused(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = layers_module.attention_weights

    def wrong_scale(call, additive):
        return honest(replace(call, scaling=call.scaling * 1.1), additive)

    monkeypatch.setattr(layers_module, "attention_weights", wrong_scale)
    with pytest.raises(CaptureError, match="differs by"):
        capture(load_tiny("tiny/bert", hub_cache), tiny_corpus, store)


def test_activations_that_are_not_finite_are_refused_by_layer(
    hub_cache: Path, tiny_corpus: Path, store: Store
) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    loaded.model.encoder.layer[1].attention.self.query.weight.data[0, 0] = torch.nan
    with pytest.raises(CaptureError, match=r"layer\.1\.attention\.self.*not finite"):
        capture(loaded, tiny_corpus, store)


def test_a_refused_capture_leaves_no_file(hub_cache: Path, tiny_corpus: Path, store: Store) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    loaded.model.encoder.layer[1].attention.self.key.weight.data[0, 0] = torch.inf
    with pytest.raises(CaptureError, match="not finite"):
        capture(loaded, tiny_corpus, store)
    assert list((store.root / "tmp").iterdir()) == []


def test_progress_counts_sequences(hub_cache: Path, tiny_corpus: Path, store: Store) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    inputs = prepare_inputs(loaded, load_corpus(str(tiny_corpus)), seed=0)
    seen: list[Progress] = []
    extract(loaded, inputs, store, report=seen.append)
    assert seen[-1] == Progress("capture", 9, 9)


def test_a_capture_that_does_not_fit_on_the_disk_is_refused_at_once(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def no_space(needed_bytes: int) -> None:
        asked.append(needed_bytes)
        raise SpaceError("needs much, free little")

    monkeypatch.setattr(store, "require_space", no_space)
    inputs = prepare_inputs(
        loaded := load_tiny("tiny/bert", hub_cache), load_corpus(str(tiny_corpus)), seed=0
    )
    with pytest.raises(SpaceError):
        extract(loaded, inputs, store, report=lambda _: None)
    # Two layers of four query and four key heads, eight numbers of four bytes each.
    assert asked == [2 * (4 + 4) * inputs.table.n_tokens * 8 * 4]


def raise_above(monkeypatch: pytest.MonkeyPatch, n_sequences: int) -> list[int]:
    """Let memory suffice for so many sequences only; return the sizes of the batches that ran."""
    ran: list[int] = []
    own = extract_module.forward

    def forward(tower: Any, features: dict[str, torch.Tensor]) -> None:
        n = next(iter(features.values())).shape[0]
        with suppress(LastAttention):
            own(tower, features)  # the layers have seen the batch when memory runs out
        if n > n_sequences:
            raise torch.OutOfMemoryError(f"{n} sequences")
        ran.append(n)

    monkeypatch.setattr(extract_module, "forward", forward)
    return ran


def test_a_batch_that_does_not_fit_is_halved_and_changes_nothing(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    whole = capture(loaded, tiny_corpus, store)
    ran = raise_above(monkeypatch, 2)
    halved = capture(loaded, tiny_corpus, store)
    assert sum(ran) == 9 - 1  # what the survey has run is not run again
    assert max(ran) == 2
    for a, b in zip(whole, halved, strict=True):
        for name in ("queries", "keys"):
            arrays = [store.open_array(getattr(layer, name)) for layer in (a, b)]
            # Batches of another size sum in another order: 1e-7 was seen.
            np.testing.assert_allclose(*arrays, atol=1e-5)


@pytest.mark.parametrize("model", ["tiny/bert", "tiny/gpt2"])
def test_what_the_survey_has_caught_is_what_another_run_would_give(
    model: str, hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_tiny(model, hub_cache)
    kept = capture(loaded, tiny_corpus, store)
    monkeypatch.setattr(survey_module, "KEPT_BYTES", 0)
    ran = raise_above(monkeypatch, 99)
    again = capture(loaded, tiny_corpus, store)
    assert sum(ran) == 9
    for a, b in zip(kept, again, strict=True):
        assert a.record.module == b.record.module
        for name in ("queries", "keys", "value_norms"):
            arrays = [store.open_array(getattr(layer, name)) for layer in (a, b)]
            np.testing.assert_allclose(*arrays, atol=1e-5)


def test_nothing_is_run_after_the_last_attention(
    hub_cache: Path, tiny_corpus: Path, store: Store
) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    n_runs = [0, 0]
    for place, layer in enumerate(loaded.model.encoder.layer):

        def count(*_: object, place: int = place) -> None:
            n_runs[place] += 1

        layer.intermediate.register_forward_hook(count)
    capture(loaded, tiny_corpus, store)
    # Twice in the survey, which compares last hidden states, and once more in the first layer.
    assert n_runs == [3, 2]


def test_a_layer_that_is_skipped_for_some_sequences_is_refused(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "BATCH_SEQUENCES", 3)
    loaded = load_tiny("tiny/bert", hub_cache)
    first, own = loaded.model.encoder.layer[0], type(loaded.model.encoder.layer[0]).forward

    def forward(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return hidden if hidden.shape[0] == 3 else own(first, hidden, *args, **kwargs)

    first.forward = forward
    with pytest.raises(CaptureError, match=r"layer\.0.* attended in 3 of 9 sequences"):
        capture(loaded, tiny_corpus, store)
    assert list(store.root.glob("tmp/*")) == []


def test_a_sequence_that_does_not_fit_alone_is_refused(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_above(monkeypatch, 0)
    with pytest.raises(MemoryShortage, match=r"sequence of \d+ tokens"):
        capture(load_tiny("tiny/bert", hub_cache), tiny_corpus, store)
    assert list(store.root.glob("tmp/*")) == []


def test_an_error_that_is_not_about_memory_stays_what_it_is(
    hub_cache: Path, tiny_corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(extract_module, "forward", forward)
    with pytest.raises(RuntimeError, match="shapes"):
        capture(load_tiny("tiny/bert", hub_cache), tiny_corpus, store)
