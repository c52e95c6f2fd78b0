"""Sample corpora that come with QK Atlas: their texts, and the code that draws their pictures."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.records import Modality


@dataclass(frozen=True)
class CorpusInfo:
    """What a sample corpus is, before it is loaded.

    Parameters
    ----------
    name : what `load_corpus` takes.
    title : what a menu shows.
    modality : "text" or "image".
    n_sequences : number of texts, pairs or images.
    description : a sentence or two: what is in it, and what it is good for.
    source, licence : where it is from and under what terms it may be used.
    """

    name: str
    title: str
    modality: Modality
    n_sequences: int
    description: str
    source: str
    licence: str
