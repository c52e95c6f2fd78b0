"""One sequence at a time: the rows that are read, the scores of heads, the words of a chooser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.inspection import Inspection, head_vectors, layer_weights, preview
from pipeline.row_scores import SCORES, head_scores
from pipeline.store import Store
from tests.conftest import build


@pytest.fixture
def capture(tiny_store: Store, tiny_atlas: dict[str, Any]) -> Capture:
    return read_atlas(tiny_store, tiny_atlas["atlas"]).capture


def scores_of(*rows: list[float], is_cross: bool = False) -> dict[str, float]:
    weights = np.array([rows], dtype=np.float32)
    return dict(zip(SCORES, head_scores(weights, is_cross=is_cross)[0].tolist(), strict=True))


def test_all_heads_of_a_layer_are_those_of_the_capture(capture: Capture) -> None:
    weights = layer_weights(capture, 4, 1)
    alone = np.stack([capture.attention(4, 1, head) for head in range(len(weights))])
    assert np.array_equal(weights, alone)


def test_vectors_are_the_rows_of_the_sequence(capture: Capture) -> None:
    found = head_vectors(capture, 2, 1, 3)
    rows = slice(*capture.query_offset[2:4])
    assert np.array_equal(found.queries, capture.vectors(1, 3).queries[rows])
    assert np.array_equal(found.keys, capture.vectors(1, 3).keys[rows])


def test_vectors_before_rotation_are_refused_where_there_are_none(capture: Capture) -> None:
    with pytest.raises(InputError, match="holds vectors after rotation only"):
        head_vectors(capture, 0, 0, 0, rotary="before")


@pytest.mark.parametrize("place", [(9, 0, 0), (-1, 0, 0), (0, 2, 0), (0, 0, 4)])
def test_what_is_not_there_is_named(capture: Capture, place: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"(sequence|layer|head): found -?\d, expected 0 to \d"):
        head_vectors(capture, *place)


def test_a_sequence_tells_its_tokens_and_segments(capture: Capture) -> None:
    found = Inspection(lambda _: capture).sequence("key", 1)
    assert len(found["queries"]["text"]) == np.diff(capture.query_offset)[1]
    assert found["queries"] == found["keys"]
    assert set(found["queries"]["segment"]) == {0}
    assert not found["is_cross"]


def test_special_tokens_end_the_text_before_them(
    tiny_store: Store, hub_cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("text,text_pair\nthe cat sat,the hill\n")
    built = build(tiny_store, hub_cache, model="tiny/bert", corpus=str(path), methods=("pca",))
    pair = read_atlas(tiny_store, built["atlas"]).capture
    found = Inspection(lambda _: pair).sequence("key", 0)["queries"]
    ends = [i for i, special in enumerate(found["special"]) if special]
    assert [found["segment"][i] for i in ends] == [0, 0, 1]
    assert found["segment"] == sorted(found["segment"])


def test_sequences_are_listed_with_their_words(capture: Capture) -> None:
    listed = Inspection(lambda _: capture).sequences("key")
    assert len(listed) == 9
    assert listed[0]["words"].startswith("the")
    assert "[CLS]" not in listed[0]["words"]


def test_a_uniform_row_has_the_logarithm_of_its_length_as_entropy() -> None:
    assert scores_of([0.25] * 4)["entropy"] == pytest.approx(2)


def test_a_row_that_a_sink_shortened_counts_like_a_whole_one() -> None:
    assert scores_of([0.1, 0.1])["entropy"] == pytest.approx(1)


def test_distance_is_weighted_by_attention() -> None:
    assert scores_of([0, 0, 1], [0, 1, 0], [0.5, 0, 0.5])["distance"] == pytest.approx(1)


def test_shares_count_only_queries_that_have_such_a_key() -> None:
    found = scores_of([1, 0, 0], [1, 0, 0], [0, 1, 0])
    assert (found["previous"], found["next"], found["same"]) == pytest.approx((1, 0, 1 / 3))
    assert found["first"] == pytest.approx(2 / 3)


def test_the_strongest_pair_is_named() -> None:
    found = scores_of([0.2, 0.8], [0.1, 0.9])
    assert (found["strongest_query"], found["strongest_key"]) == (1, 1)
    assert found["strongest"] == pytest.approx(0.9)


def test_a_query_that_reaches_one_key_alone_makes_no_strongest_pair() -> None:
    found = scores_of([1, 0, 0], [0.4, 0.6, 0], [0.2, 0.1, 0.7])
    assert (found["strongest_query"], found["strongest_key"]) == (2, 2)
    assert scores_of([1])["strongest"] == 1


def test_places_of_two_texts_are_not_compared() -> None:
    found = scores_of([0.5, 0.5, 0], is_cross=True)
    assert np.isnan([found["distance"], found["previous"], found["same"]]).all()
    assert found["entropy"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("[CLS]", "the", "can", "##yon", "."), "the canyon ."),
        (("<s>", "The", " can", "yon", "."), "The canyon."),
        (("[CLS]", *["a"] * 30), "a " * 23 + "a …"),
    ],
)
def test_words_read_as_they_were_written(texts: tuple[str, ...], words: str) -> None:
    special = np.array([text in ("[CLS]", "<s>") for text in texts])
    assert preview(texts, special, 0, len(texts)) == words
