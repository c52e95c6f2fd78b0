"""What colours say of tokens in words, the same that their legends say."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.encoding_words import encoding_words
from pipeline.encodings import list_encodings
from tests.unit.pipeline.test_encodings import capture_of, image_capture


@pytest.fixture
def capture() -> Any:
    return capture_of(
        ["May", "##be", "may", ","], [0, 0, 1, 1], topic=["spring", "x"], n=[2.0, 7.5]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("token_length", ["3 characters", "2 characters", "3 characters", "1 character"]),
        ("sequence_length", ["2 tokens"] * 4),
        ("token_frequency", ["2 times", "1 time", "2 times", "1 time"]),
        ("punctuation", ["word", "word", "word", "punctuation"]),
        ("field_0", ["spring", "spring", "x", "x"]),
        ("field_1", ["2", "2", "7.5", "7.5"]),
        ("position", [""] * 4),
    ],
)
def test_values_are_told_in_words(capture: Any, name: str, expected: list[str]):
    assert encoding_words(capture, name) == expected


def test_hue_and_brightness_of_patches_have_words_and_special_tokens_none():
    capture = image_capture()
    assert encoding_words(capture, "hue") == ["", "red", "green", "", ""]
    assert encoding_words(capture, "brightness")[3] == "100%"


def test_all_say_something_but_those_that_the_card_of_a_point_tells_anyway(capture: Any):
    names = set(list_encodings(capture)) - {"type", "position", "position_mod_5", "norm"}
    assert len(names) > 5
    for name in names:
        assert all(encoding_words(capture, name)), name
