"""Frozen records that travel between rooms; each checks its own shapes. No files, no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Modality = Literal["text", "image"]
Int64 = NDArray[np.int64]

# Column of a corpus of images that says what each is shown with to a model of images in texts.
CAPTION = "caption"


@dataclass(frozen=True)
class LabelMaps:
    """What stands where in the images of a corpus.

    Parameters
    ----------
    maps : for each image a PNG of its size whose 16-bit grey values are class numbers; b"" where
        an image has none.
    names : class number -> name; number 0 is `bg` where nothing else is said.
    source : where they are from, in words for the page.
    notes : a sentence for each map that was left out: which one and why.
    """

    maps: tuple[bytes, ...]
    names: Mapping[int, str]
    source: str
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of maps and names."""
        names = sorted((number, name) for number, name in self.names.items())
        digest = hashlib.sha256(repr(names).encode())
        for one in self.maps:
            digest.update(len(one).to_bytes(8, "little") + one)
        return digest.hexdigest()


@dataclass(frozen=True)
class Corpus:
    """Texts, text pairs or images to analyse, in a fixed order.

    Parameters
    ----------
    name : short name of a sample corpus, or the file name of the user's own.
    modality : "text" or "image".
    source, licence : where it is from and under what terms it may be used.
    texts : one string a sequence; empty for images.
    text_pairs : second segments, one for each text (an empty string: none); empty when no
        sequence is a pair.
    images : each a PNG file in RGB with all metadata dropped, as bytes; empty for texts.
    labels : a short name of each sequence (file name, line number, pattern), same length.
    columns : further columns of the user's file or of a generator: name -> one value a sequence.
    left_out : a sentence for each input that was skipped: which one and why.
    label_maps : of images, where there are any.
    """

    name: str
    modality: Modality
    source: str
    licence: str
    texts: tuple[str, ...] = ()
    text_pairs: tuple[str, ...] = ()
    images: tuple[bytes, ...] = ()
    labels: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    label_maps: LabelMaps | None = None

    def __post_init__(self) -> None:
        n = self.n_sequences
        if n == 0:
            raise InputError(
                f"corpus {self.name!r} has no {self.modality}s; expected at least one "
                "non-empty line, row or image file"
            )
        lengths = {"labels": len(self.labels)} | {k: len(v) for k, v in self.columns.items()}
        if self.text_pairs:
            lengths["text_pairs"] = len(self.text_pairs)
        if self.label_maps is not None:
            lengths["label maps"] = len(self.label_maps.maps)
        for name, length in lengths.items():
            if length != n:
                raise InputError(f"corpus {self.name!r}: {length} {name} for {n} sequences")

    @property
    def n_sequences(self) -> int:
        """Number of texts, pairs or images."""
        return len(self.texts) if self.modality == "text" else len(self.images)

    @property
    def sha256(self) -> str:
        """Digest of everything the model will see, independent of name and labels."""
        digest = hashlib.sha256(self.modality.encode())
        pairs = self.text_pairs or ("",) * len(self.texts)
        parts = [p.encode() for both in zip(self.texts, pairs, strict=True) for p in both]
        captions = self.columns.get(CAPTION, ()) if self.modality == "image" else ()
        for part in (*parts, *self.images, *(str(text).encode() for text in captions)):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def first(self, n_sequences: int) -> Corpus:
        """Return the corpus cut to its first sequences, order kept."""
        kept = {
            name: getattr(self, name)[:n_sequences]
            for name in ("texts", "text_pairs", "images", "labels")
        }
        columns = {name: values[:n_sequences] for name, values in self.columns.items()}
        labels = self.label_maps and replace(
            self.label_maps, maps=self.label_maps.maps[:n_sequences]
        )
        return Corpus(
            self.name, self.modality, self.source, self.licence, **kept,
            columns=columns, left_out=self.left_out, label_maps=labels,
        )  # fmt: skip


@dataclass(frozen=True)
class TokenTable:
    """Every token (or image patch) of a capture, in corpus order; padding is never in it.

    Parameters
    ----------
    token_text : what each token says; `patch 3,7` for a patch, `[CLS]` for a special one.
    token_id : (n_tokens,) int64, number in the vocabulary; -1 for patches.
    sequence_index : (n_tokens,) int64, ascending.
    token_index : (n_tokens,) int64, place in its sequence, from 0.
    segment : (n_tokens,) int64, 0, or 1 for the second text of a pair.
    is_special : (n_tokens,) bool.
    row, column : (n_tokens,) int64 place in the patch grid; -1 where there is none.
    grid : (rows, columns) of the patch grid, or None for text.
    """

    token_text: tuple[str, ...]
    token_id: Int64
    sequence_index: Int64
    token_index: Int64
    segment: Int64
    is_special: NDArray[np.bool_]
    row: Int64
    column: Int64
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        n = len(self.token_text)
        for name in ("token_id", "sequence_index", "token_index", "segment", "is_special",
                     "row", "column"):  # fmt: skip
            array = getattr(self, name)
            if array.shape != (n,):
                raise InputError(f"TokenTable.{name} has shape {array.shape}, expected ({n},)")
        if n and (np.diff(self.sequence_index) < 0).any():
            raise InputError("TokenTable.sequence_index must ascend: tokens stay in corpus order")

    @property
    def n_tokens(self) -> int:
        """Number of tokens of all sequences together."""
        return len(self.token_text)

    @property
    def sequence_offset(self) -> Int64:
        """(n_sequences + 1,) int64: sequence s is rows offset[s]:offset[s + 1]."""
        lengths = np.bincount(self.sequence_index)
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@dataclass(frozen=True)
class LayerRecord:
    """One attention-bearing module, as it was seen in the forward pass.

    Parameters
    ----------
    module : qualified name in the model, with `#2` for the second call of a shared module.
    n_heads, n_kv_heads, head_dim : query heads, key heads, width of one query or key.
    scaling : factor of the dot product as the model passes it.
    softcap : logits are `softcap * tanh(logits / softcap)` before the mask; None for none.
    error_max, error_mean_tv : per head, over the sequences of small batches and some of each larger
        one: greatest absolute difference and mean total variation distance between the weights
        rebuilt from the captured vectors and the model's own.
    kind : "self", or of an encoder-decoder model "encoder", "decoder" or "cross".
    mask : "none", "causal", "sliding window n" or "other"; padding is never kept.
    bias : "none", "ALiBi", "relative", "by position", or "by content" where it differs between
        sequences (as the position terms of DeBERTa, which are products of their own).
    has_rotary, has_sinks : whether queries and keys were rotated; whether a sink takes weight.
    value_dim : width of a value; 0 where values were not found.
    projection : module that the weighted values are multiplied by; "" where it was not found.
    no_projection : why it was not found; "" where it was.
    """

    module: str
    n_heads: int
    n_kv_heads: int
    head_dim: int
    scaling: float
    softcap: float | None
    error_max: tuple[float, ...]
    error_mean_tv: tuple[float, ...]
    kind: str = "self"
    mask: str = "none"
    bias: str = "none"
    has_rotary: bool = False
    has_sinks: bool = False
    value_dim: int = 0
    projection: str = ""
    no_projection: str = ""

    def key_head(self, head: int) -> int:
        """Return the key head that a query head reads (grouped-query attention)."""
        return head // (self.n_heads // self.n_kv_heads)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LayerRecord:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**values)


@dataclass(frozen=True)
class HeadVectors:
    """Queries and keys of one head, raw, as the softmax received them.

    Parameters
    ----------
    queries, keys : (n_tokens, head_dim) float32; keys are those of the head's key head.
    """

    queries: NDArray[np.float32]
    keys: NDArray[np.float32]

    def __post_init__(self) -> None:
        q, k = self.queries, self.keys
        if q.ndim != 2 or k.ndim != 2 or q.shape[1] != k.shape[1]:
            raise InputError(
                f"HeadVectors: queries {q.shape} and keys {k.shape}; expected two matrices of "
                "shape (n_tokens, head_dim) with the same head_dim"
            )
        for name, array in (("queries", q), ("keys", k)):
            if not np.isfinite(array).all():
                raise InputError(f"HeadVectors.{name}: found values that are not finite")


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` steps of a named stage."""

    stage: str
    done: int
    total: int
    message: str = ""
