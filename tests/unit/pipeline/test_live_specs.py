"""What may be typed, dropped and edited, and how it is named."""

import dataclasses

import pytest

from pipeline.errors import InputError
from pipeline.live_specs import MAX_CHARACTERS, LiveSpec, LiveText, live_key
from pipeline.objects import ObjectRef

SPEC = LiveSpec("minilm", ObjectRef("a" * 64, 10, ".json"))


def test_a_document_comes_back_as_it_was():
    text = LiveText("a b </script>\u202e", "c", ((4, None), (2, "dog")))
    found = LiveText.from_bytes(text.to_bytes())
    assert found == dataclasses.replace(text, edits=((2, "dog"), (4, None)))


def test_half_a_surrogate_pair_is_replaced():
    assert LiveText.from_bytes(LiveText("a \ud800").to_bytes()).text == "a ?"


def test_equal_inputs_have_equal_documents_whatever_the_order_of_edits():
    one = LiveText("a b c", None, ((1, None), (0, "x"))).to_bytes()
    assert one == LiveText("a b c", None, ((0, "x"), (1, None))).to_bytes()
    assert one != LiveText("a b c", None, ((0, "x"),)).to_bytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("",), "found none"),
        ((" \n",), "found none"),
        (("x" * (MAX_CHARACTERS + 1),), "found 20,001 characters, expected at most 20,000"),
        (("a", "x" * (MAX_CHARACTERS + 1)), "second text: found 20,001 characters"),
        ((5,), "found .*int.*, expected at most"),
        (("a", None, ((0, None), (0, "b"))), "edited twice"),
        (("a", None, ((-1, None),)), "expected a position and a word"),
        (("a", None, ((True, None),)), "expected a position and a word"),
        (("a", None, ((0,),)), "expected a position and a word"),
        (("a", None, ((0, ""),)), "replacement of 1 to 100 characters"),
        (("a", None, ((0, 3),)), "replacement of 1 to 100 characters"),
        (("a", None, tuple((i, None) for i in range(1001))), "found 1001, expected at most"),
    ],
)
def test_what_is_no_input_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        LiveText(*values)


def test_a_text_at_the_limit_is_taken():
    assert len(LiveText("x" * MAX_CHARACTERS).text) == MAX_CHARACTERS


def test_a_part_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="part: found 'middle'"):
        dataclasses.replace(SPEC, part="middle")


def test_a_spec_comes_back_as_it_was():
    assert LiveSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"input": ObjectRef("b" * 64, 10, ".json")},
        {"part": "decoder"},
        {"rotary": "before"},
    ],
)
def test_the_key_covers_what_shapes_the_answer(change):
    files = {"model.safetensors": "0" * 64}
    own = live_key(SPEC, files)
    assert own != live_key(dataclasses.replace(SPEC, **change), files)
    assert own != live_key(SPEC, {"model.safetensors": "1" * 64})
    assert own == live_key(dataclasses.replace(SPEC, part="self"), dict(files))
