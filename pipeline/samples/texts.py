"""Builds the sample corpora that are texts, from the files beside this one; reads no user files."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np

from pipeline.records import Corpus
from pipeline.samples import CorpusInfo

SHORTEST_PERIOD = 8
LONGEST_PERIOD = 25


def build_sentences(info: CorpusInfo) -> Corpus:
    """Return the sentences of sentences.txt, one a line."""
    texts = _read_lines("sentences.txt")
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        texts=tuple(texts),
        labels=_number("sentence", len(texts)),
    )


def build_pairs(info: CorpusInfo) -> Corpus:
    """Return the premises and hypotheses of pairs.tsv, with columns `label` and `phenomenon`."""
    rows = list(csv.DictReader(_read_lines("pairs.tsv"), delimiter="\t"))
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        texts=tuple(row["premise"] for row in rows),
        text_pairs=tuple(row["hypothesis"] for row in rows),
        labels=_number("pair", len(rows)),
        columns={name: tuple(row[name] for row in rows) for name in ("label", "phenomenon")},
    )


def build_repeats(info: CorpusInfo) -> Corpus:
    """Return lists of distinct random words, each repeated in the same order.

    The words are those of words.txt: each is one token for BERT and for SmolLM2, with and without
    a space before it, so that a period in words is a period in tokens. Every fourth list stands
    three times in its text, the others twice. Seeded: the same on every call.

    Returns
    -------
    A corpus with the columns `period` (words in the list, 8 to 25) and `copies` (2 or 3).

    Source
    ------
    Olsson et al. 2022, "In-context Learning and Induction Heads": repeated random tokens.
    """
    words = _read_lines("words.txt")
    generator = np.random.default_rng(2022)
    texts, periods, copies = [], [], []
    for number in range(info.n_sequences):
        period = SHORTEST_PERIOD + number % (LONGEST_PERIOD - SHORTEST_PERIOD + 1)
        n_copies = 3 if number % 4 == 3 else 2
        drawn = generator.choice(words, size=period, replace=False).tolist()
        texts.append(" ".join(drawn * n_copies))
        periods.append(float(period))
        copies.append(float(n_copies))
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        texts=tuple(texts),
        labels=_number("list", len(texts)),
        columns={"period": tuple(periods), "copies": tuple(copies)},
    )


def _number(word: str, n_sequences: int) -> tuple[str, ...]:
    return tuple(f"{word} {number}" for number in range(1, n_sequences + 1))


def _read_lines(file_name: str) -> list[str]:
    return files(__package__).joinpath(file_name).read_text("utf-8").splitlines()
