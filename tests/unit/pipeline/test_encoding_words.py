"""What colours say of tokens in words, the same that their legends say."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.encoding_words import encoding_words, is_told
from pipeline.encodings import encode, list_encodings
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


def test_whoever_has_words_of_its_own_says_something(capture: Any):
    for name in list_encodings(capture):
        if is_told(capture, name):
            assert all(encoding_words(capture, name)), name
            encode(capture, name)
