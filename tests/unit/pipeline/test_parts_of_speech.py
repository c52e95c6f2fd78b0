"""Parts of speech with the real tagger, on words cut up as tokenizers do."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.encodings import encode, list_encodings
from pipeline.errors import InputError
from pipeline.parts_of_speech import CLASSES, class_of, parts_of_speech, words_of
from pipeline.records import TokenTable


def table_of(text: list[str], special: tuple[str, ...] = ("[CLS]", "[SEP]")) -> TokenTable:
    n = len(text)
    none = np.full(n, -1)
    is_special = np.array([one in special for one in text])
    return TokenTable(tuple(text), none, none * 0, np.arange(n), none * 0, is_special, none, none)


def words(text: list[str], *, is_spaced: bool) -> list[str]:
    found = words_of(table_of(text), range(len(text)), is_spaced=is_spaced)
    return [word for word, _ in found]


def classes(text: list[str]) -> list[str]:
    return [CLASSES[number] for number in parts_of_speech(table_of(text))]


def test_pieces_marked_by_signs_make_up_words():
    text = ["[CLS]", "walk", "##ing", "home", "-", "##", ".", "[SEP]"]
    assert words(text, is_spaced=False) == ["walking", "home", "-", "##", "."]


def test_pieces_without_a_space_make_up_words():
    text = ["The", " P", "udding", " Lane", ",", " it", "'", "s"]
    assert words(text, is_spaced=True) == ["The", "Pudding", "Lane", ",", "it", "'s"]


def test_every_piece_is_what_its_word_is():
    text = ["[CLS]", "she", "slow", "##ly", "walks", "home", ",", "[SEP]"]
    noun, verb, manner, function, other = CLASSES
    assert classes(text) == [other, function, manner, manner, verb, noun, other, other]


def test_a_sentence_is_tagged_as_by_hand():
    text = "the great fire of london began in 1666 , quite suddenly , in a small bakery ."
    noun, verb, manner, function, other = CLASSES
    assert classes(text.split()) == [
        function, manner, noun, function, noun, verb, function, other, other, manner, manner, other,
        function, function, manner, noun, other,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("NNP-PERS", 0), ("PRP$", 3), ("VBZ", 1), ("WRB", 3), ("RBR", 2), (".", 4), ("CD", 4)],
)
def test_tags_of_the_treebank_have_a_class(tag: str, expected: int):
    assert class_of(tag) == expected


def test_without_the_package_it_is_not_offered(monkeypatch: pytest.MonkeyPatch):
    table = table_of(["a", "walk"])
    capture = SimpleNamespace(tokens=table, n_tokens=2, record={"corpus": {}})
    assert list_encodings(capture)["part_of_speech"] == ("part of speech", "discrete")
    monkeypatch.setitem(sys.modules, "textblob", None)  # as if it were not installed
    assert "part_of_speech" not in list_encodings(capture)
    with pytest.raises(InputError, match="encoding"):
        encode(capture, "part_of_speech")
