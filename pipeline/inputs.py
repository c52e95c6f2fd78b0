"""The sequences of a corpus as one model receives them, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.capture import AttentionCall
from pipeline.images import png_to_array
from pipeline.layers import Batch, refuse_shape
from pipeline.models import LoadedModel, pixels
from pipeline.records import TokenTable

# Bytes of one layer's attention weights in one batch.
BATCH_BYTES = 64 * 2**20
BATCH_SEQUENCES = 64

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class ModelInputs:
    """The sequences of a corpus, ready for one model.

    Parameters
    ----------
    table : every token or patch.
    chosen : (n_sequences,) int64, which sequences of the corpus these are.
    features : for text, one dict of (length,) int64 arrays a sequence; for sound, of float32
        arrays that are all alike; empty for images.
    pad_token_id : filler of shorter sequences in a batch; the attention mask hides it.
    images : for images, the corpus files (PNG); empty for text.
    texts, processor : of images in texts, what each is shown with, and transformers' processor of
        the model, which makes all that it receives.
    inside : beginning of the names of the modules whose attention is meant; "" for all.
    n_truncated : texts that were cut to the length the model allows.
    part : "self", or of a model of several parts "encoder", "decoder" or "cross".
    query_tokens, key_tokens : int64 numbers of the tokens that ask and that are attended to; None
        for all.
    """

    table: TokenTable
    chosen: Int64
    features: tuple[dict[str, NDArray[Any]], ...] = ()
    pad_token_id: int = 0
    images: tuple[bytes, ...] = ()
    n_truncated: int = 0
    part: str = "self"
    query_tokens: Int64 | None = None
    key_tokens: Int64 | None = None
    texts: tuple[str, ...] = ()
    processor: Any = None
    inside: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether what is run reads nothing but these tokens, so that every call is about them."""
        return self.part == "self" or bool(self.images and self.part == "encoder")

    @property
    def query_lengths(self) -> Int64:
        """(n_sequences,) int64 queries of each sequence."""
        return self._lengths(self.query_tokens)

    @property
    def key_lengths(self) -> Int64:
        """(n_sequences,) int64 keys of each sequence."""
        return self._lengths(self.key_tokens)

    def _lengths(self, tokens: Int64 | None) -> Int64:
        sequence = self.table.sequence_index
        sequence = sequence if tokens is None else sequence[tokens]
        return np.bincount(sequence, minlength=self.chosen.size).astype(np.int64)

    def is_meant(self, call: AttentionCall, batch: Batch) -> bool:
        """Tell whether a call is attention of these tokens, not of another part of the model.

        Raises
        ------
        CaptureError
            if it is not, though what is run reads nothing else.
        """
        if batch.fits(call):
            return True
        if self.is_alone:
            refuse_shape(call, batch)
        return False

    def tower(self, loaded: LoadedModel) -> Any:
        """Return what is run: the tower that reads the corpus, or all for a decoder."""
        if self.part in ("decoder", "cross"):
            return loaded.model
        return vision_tower(loaded.model) if self.images else text_tower(loaded.model)

    def batch(self, loaded: LoadedModel, sequences: Sequence[int]) -> dict[str, Any]:
        """Return the arguments of one forward pass: tensors padded on the right, on the CPU."""
        if self.processor is not None:
            pictures = [[Image.fromarray(png_to_array(self.images[i]))] for i in sequences]
            texts = [self.texts[i] for i in sequences]
            return processed(self.processor, texts, pictures)
        if self.images:
            arrays = [png_to_array(self.images[i]) for i in sequences]
            return {"pixel_values": torch.from_numpy(pixels(loaded, arrays))}
        rows = [self.features[i] for i in sequences]
        widths = {name: max(row[name].shape[-1] for row in rows) for name in rows[0]}
        if widths.get("input_ids") == widths.get("decoder_input_ids"):
            # Parts of the model are told apart by their shapes.
            widths |= {name: width + 1 for name, width in widths.items() if "decoder" not in name}
        return {name: self._padded(name, rows, width) for name, width in widths.items()}

    def _padded(self, name: str, rows: list[dict[str, NDArray[Any]]], width: int) -> torch.Tensor:
        fill = self.pad_token_id if name.endswith("input_ids") else 0
        arrays = [row[name] for row in rows]
        if arrays[0].ndim == 1:
            arrays = [np.pad(x, (0, width - x.size), constant_values=fill) for x in arrays]
        return torch.from_numpy(np.stack(arrays))

    def geometry(
        self, features: dict[str, Any], sequences: list[int], device: torch.device
    ) -> Batch:
        """Describe the queries and keys of a batch that `batch` made."""
        lengths = [torch.from_numpy(x[sequences]) for x in (self.query_lengths, self.key_lengths)]
        widths = [int(x.max()) for x in lengths]
        if "decoder_input_ids" in features:
            widths = [features["decoder_input_ids"].shape[1]] * 2
            if self.part == "cross":
                widths[1] = features["input_ids"].shape[1]
        return Batch(
            sequences, lengths[0], lengths[1], widths[0], widths[1], device, self.inside
        )  # fmt: skip


def processed(
    processor: Any, texts: list[str], pictures: list[list[Image.Image]]
) -> dict[str, Any]:
    """Return what a model receives of images in texts: tensors padded on the right, on the CPU."""
    made = processor(text=texts, images=pictures, padding=True, return_tensors="np")
    return {
        name: torch.from_numpy(np.asarray(values)) for name, values in made.items()
        if name != "labels"  # for training only
    }  # fmt: skip


def longest_first(lengths: Int64) -> Int64:
    """Return the numbers of sequences in the order in which they are run."""
    return np.argsort(-lengths, kind="stable")


def plan_batches(lengths: Int64, *, n_heads: int, done: Sequence[int] = ()) -> list[list[int]]:
    """Group sequences of near length, longest first, under a budget of attention weights.

    Parameters
    ----------
    lengths : (n_sequences,) int64 tokens.
    n_heads : heads of one layer.
    done : sequences that are left out.
    """
    batches: list[list[int]] = []
    longest = 0
    for sequence in longest_first(lengths).tolist():
        if sequence in done:
            continue
        fits = BATCH_BYTES // (4 * n_heads * max(longest, 1) ** 2)
        if not batches or len(batches[-1]) >= min(max(fits, 1), BATCH_SEQUENCES):
            batches.append([])
            longest = int(lengths[sequence])
        batches[-1].append(sequence)
    return batches


def vision_tower(model: Any) -> Any:
    """Return the part of a model that reads images: the model itself unless it has two towers.

    Of a decoder that is shown images (LLaVA) it is the encoder of the images.
    """
    return getattr(model, "vision_model", None) or getattr(model, "vision_tower", None) or model


def text_tower(model: Any) -> Any:
    """Return the part of a model that reads one text: a text tower, an encoder, or the model."""
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    return getattr(model, "text_model", model)
