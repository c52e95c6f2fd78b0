"""From a corpus to model inputs and the table of tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import text_inputs as inputs_module
from pipeline.corpora import load_corpus
from pipeline.errors import InputError
from pipeline.records import Corpus
from pipeline.text_inputs import longest_text
from pipeline.tokens import prepare_inputs
from tests.unit.pipeline.tiny_models import load_tiny


def texts(*lines: str, pairs: tuple[str, ...] = ()) -> Corpus:
    labels = tuple(f"line {i}" for i in range(len(lines)))
    return Corpus("test", "text", "", "", texts=lines, text_pairs=pairs, labels=labels)


def test_special_tokens_are_kept_and_marked(hub_cache: Path) -> None:
    table = prepare_inputs(load_tiny("tiny/bert", hub_cache), texts("the cat"), seed=0).table
    assert table.token_text[0] == "[CLS]"
    assert table.is_special.tolist() == [True, *[False] * (table.n_tokens - 2), True]
    assert table.token_index.tolist() == list(range(table.n_tokens))


def test_the_second_text_of_a_pair_is_marked(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    table = prepare_inputs(loaded, texts("the cat", pairs=("a dog",)), seed=0).table
    second = [t for t, s in zip(table.token_text, table.segment, strict=True) if s == 1]
    assert "".join(second).replace("##", "") == "adog"


def test_byte_level_tokens_show_their_space(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/gpt2", hub_cache)
    table = prepare_inputs(loaded, texts("the cat sat"), seed=0).table
    assert "".join(table.token_text).strip() == "the cat sat"


def test_long_texts_are_cut_and_counted(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/bert", hub_cache)
    long = "the cat " * 600
    inputs = prepare_inputs(loaded, texts(long, "the cat"), seed=0)
    assert inputs.n_truncated == 1
    assert int(np.diff(inputs.table.sequence_offset)[0]) == longest_text(loaded)


def test_patches_have_rows_columns_and_a_class_token(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/vit", hub_cache)
    table = prepare_inputs(loaded, load_corpus("gradients").first(2), seed=0).table
    assert table.grid == (4, 4)
    assert table.n_tokens == 2 * 17
    assert table.token_text[0] == "[CLS]"
    assert table.row[:6].tolist() == [-1, 0, 0, 0, 0, 1]
    assert table.column[:6].tolist() == [-1, 0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    ("model", "corpus", "expected"),
    [("tiny/bert", "gradients", "expects texts"), ("tiny/vit", "sentences", "expects images")],
)
def test_a_model_refuses_a_corpus_it_cannot_read(
    hub_cache: Path, model: str, corpus: str, expected: str
) -> None:
    loaded = load_tiny(model, hub_cache)
    with pytest.raises(InputError, match=expected):
        prepare_inputs(loaded, load_corpus(corpus), seed=0)


def test_too_many_tokens_become_a_seeded_sample(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "MAX_TOKENS", 40)
    loaded = load_tiny("tiny/bert", hub_cache)
    inputs = prepare_inputs(loaded, texts(*["the cat sat on the mat"] * 30), seed=0)
    assert inputs.table.n_tokens <= 40
    assert len(inputs.chosen) < 30
    assert (np.diff(inputs.chosen) > 0).all()
