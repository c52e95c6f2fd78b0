"""The list of sample corpora: what each is, and which function builds it. Builds none itself."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.records import Corpus
from pipeline.samples import CorpusInfo, patterns, photos, texts

_OWN_SOURCE = "made for QK Atlas"
_OWN_LICENCE = "the licence of QK Atlas"

SAMPLES: tuple[tuple[CorpusInfo, Callable[[CorpusInfo], Corpus]], ...] = (
    (
        CorpusInfo(
            "sentences",
            "250 English sentences",
            "text",
            250,
            "Sentences of an encyclopaedia on many subjects, with names, dates, numbers, lists, "
            "quotations and repeated words; about 5,200 BERT tokens.",
            _OWN_SOURCE,
            _OWN_LICENCE,
        ),
        texts.build_sentences,
    ),
    (
        CorpusInfo(
            "pairs",
            "60 sentence pairs",
            "text",
            60,
            "Premises and hypotheses: one entailment, one contradiction and one neutral pair for "
            "each of 20 phenomena, from negation to common sense.",
            _OWN_SOURCE,
            _OWN_LICENCE,
        ),
        texts.build_pairs,
    ),
    (
        CorpusInfo(
            "repeats",
            "40 repeated word lists",
            "text",
            40,
            "8 to 25 random words, then the same words again once or twice. Induction heads look "
            "from a word to the one that followed it last time (Olsson et al. 2022).",
            _OWN_SOURCE,
            _OWN_LICENCE,
        ),
        texts.build_repeats,
    ),
    (
        CorpusInfo(
            "gradients",
            "24 colour gradients",
            "image",
            24,
            "Hue or brightness rising along a direction or away from a centre: shows which heads "
            "follow colour, light or place.",
            _OWN_SOURCE,
            _OWN_LICENCE,
        ),
        patterns.build_gradients,
    ),
    (
        CorpusInfo(
            "waves",
            "24 wave patterns",
            "image",
            24,
            "Stripes and concentric circles of 2 to 20 cycles an image: shows which heads follow "
            "frequency or orientation.",
            _OWN_SOURCE,
            _OWN_LICENCE,
        ),
        patterns.build_waves,
    ),
    (
        CorpusInfo(
            "photos",
            "9 photographs",
            "image",
            9,
            "A portrait, a cat, a cup, a rocket, a photographer, coins, an eye, galaxies and a "
            "tissue under the microscope.",
            "sample data in the scikit-image package; each photograph's origin is in its column "
            "`origin`",
            "CC0, public domain or no known copyright restrictions; see the column `licence`",
        ),
        photos.build_photos,
    ),
)
