"""What the colour of a point can stand for, on captures of tiny models and by hand."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.encodings import MIDDLE_GREY, N_CLASSES, encode, list_encodings
from pipeline.errors import InputError
from pipeline.records import TokenTable


def capture_of(text: list[str], sequence: list[int], **columns: list[Any]) -> Any:
    """Return as much of a capture as encodings read."""
    n = len(text)
    index = np.array(sequence)
    place = np.concatenate([np.arange((index == s).sum()) for s in range(index.max() + 1)])
    none = np.full(n, -1)
    table = TokenTable(tuple(text), none, index, place, none * 0, np.zeros(n, bool), none, none)
    return SimpleNamespace(tokens=table, n_tokens=n, record={"corpus": {"columns": columns}})


def image_capture() -> Any:
    """Return a capture of one image: a special token, then 2 x 2 patches."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :4] = (255, 0, 0)
    pixels[:4, 4:] = (0, 255, 0)
    pixels[4:, :4] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    row, column = np.array([-1, 0, 0, 1, 1]), np.array([-1, 0, 1, 0, 1])
    zeros = np.zeros(5, np.int64)
    table = TokenTable(("[CLS]", *"abcd"), zeros, zeros, np.arange(5), zeros,
                       np.array([1, 0, 0, 0, 0], bool), row, column, (2, 2))  # fmt: skip
    return SimpleNamespace(tokens=table, n_tokens=5, record={"corpus": {}},
                           image=lambda _: file.getvalue())  # fmt: skip


def test_positions_run_from_the_first_to_the_last_of_each_sequence():
    found = encode(capture_of(list("abcde"), [0, 0, 0, 1, 1]), "position")
    assert found.values.tolist() == [0, 0.5, 1, 0, 1]


def test_words_numbers_and_punctuation_are_told_apart():
    found = encode(capture_of(["may", "##.", " ,", "12", "c3"], [0] * 5), "punctuation")
    assert [found.legend[int(i)] for i in found.values] == [
        "word", "punctuation", "punctuation", "number", "word",
    ]  # fmt: skip


def test_frequency_is_counted_over_the_corpus_in_any_case_on_a_log_scale():
    found = encode(capture_of(["a", " A", "a", "a", "b"], [0, 0, 1, 1, 1]), "token_frequency")
    assert found.values.tolist() == [1, 1, 1, 1, 0]
    assert found.legend == ("1 time", "2 times", "4 times")


def test_lengths_are_of_bare_tokens_and_of_sequences():
    capture = capture_of(["##ab", "abcd", " x"], [0, 0, 1])
    assert encode(capture, "token_length").values.argsort().tolist() == [2, 0, 1]
    assert encode(capture, "sequence_length").values.tolist() == [1, 1, 0]


def test_columns_of_the_users_file_are_classes_or_amounts():
    capture = capture_of(list("abcd"), [0, 0, 1, 2], topic=["x", "y", "x"], year=[1.0, 2.0, 3.0])
    assert list_encodings(capture)["field_0"] == ("topic", "discrete")
    topic = encode(capture, "field_0")
    assert (topic.legend, topic.values.tolist()) == (("x", "y"), [0, 0, 1, 0])
    assert encode(capture, "field_1").values.tolist() == pytest.approx([0, 0, 0.5, 1], abs=0.01)


def test_rare_classes_share_the_last_colour():
    names = [f"topic {i}" for i in range(9)]
    found = encode(capture_of(["w"] * 9, list(range(9)), topic=names), "field_0")
    assert found.legend[-1] == "all others"
    assert len(found.legend) == N_CLASSES
    assert found.values.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4]


def test_patches_have_the_colours_of_the_image_and_special_tokens_none():
    capture = image_capture()
    hue, light = encode(capture, "hue").values, encode(capture, "brightness").values
    assert hue[1:3].tolist() == pytest.approx([0, 1 / 3])
    assert np.isnan(hue[[0, 3, 4]]).all()
    assert np.isnan(light[0])
    assert light[[3, 4]].tolist() == pytest.approx([1, 0])
    picture = encode(capture, "picture").values
    assert picture.tolist() == [MIDDLE_GREY, 7 << 5, 7 << 2, 255, 0]


def test_rows_and_columns_come_from_the_grid():
    capture = image_capture()
    assert encode(capture, "row").values[1:].tolist() == [0, 0, 1, 1]
    assert encode(capture, "column").values[1:].tolist() == [0, 1, 0, 1]
    assert "position" not in list_encodings(capture)


@pytest.mark.parametrize("name", ["norm", "row", "field_0", "colour"])
def test_what_a_capture_lacks_is_refused_and_the_known_listed(name):
    with pytest.raises(InputError, match="token_frequency"):
        encode(capture_of(["a"], [0]), name)
