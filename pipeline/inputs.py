"""Turns a corpus into what a model receives, and into the table of its tokens or patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.images import array_to_png, png_to_array
from pipeline.models import LoadedModel, pixels, seen
from pipeline.records import Corpus, TokenTable
from pipeline.sampling import choose_sequences
from pipeline.specs import MAX_TOKENS

# Longer texts are cut: the weights of one 1,024-token sequence are 4 MB a head.
MAX_SEQUENCE_TOKENS = 1024
MAX_SPECIAL_PATCHES = 16
# Bytes of one layer's attention weights in one batch.
BATCH_BYTES = 64 * 2**20
BATCH_SEQUENCES = 64


@dataclass(frozen=True)
class ModelInputs:
    """The sequences of a corpus, ready for one model.

    Parameters
    ----------
    table : every token or patch.
    chosen : (n_sequences,) int64, which sequences of the corpus these are.
    features : for text, one dict of (length,) int64 arrays a sequence; empty for images.
    pad_token_id : filler of shorter sequences in a batch; the attention mask hides it.
    images : for images, the corpus files (PNG); empty for text.
    n_truncated : texts that were cut to the length the model allows.
    """

    table: TokenTable
    chosen: NDArray[np.int64]
    features: tuple[dict[str, NDArray[np.int64]], ...] = ()
    pad_token_id: int = 0
    images: tuple[bytes, ...] = ()
    n_truncated: int = 0

    def batch(self, loaded: LoadedModel, sequences: Sequence[int]) -> dict[str, Any]:
        """Return the arguments of one forward pass: tensors padded on the right, on the CPU."""
        if self.images:
            arrays = [png_to_array(self.images[i]) for i in sequences]
            return {"pixel_values": torch.from_numpy(pixels(loaded, arrays))}
        rows = [self.features[i] for i in sequences]
        longest = max(row["input_ids"].size for row in rows)
        fill = {"input_ids": self.pad_token_id}
        return {
            name: torch.from_numpy(np.stack([
                np.pad(row[name], (0, longest - row[name].size), constant_values=fill.get(name, 0))
                for row in rows
            ]))
            for name in rows[0]
        }  # fmt: skip


def prepare_inputs(loaded: LoadedModel, corpus: Corpus, *, seed: int) -> ModelInputs:
    """Tokenise texts, or lay the patch grid over images.

    Parameters
    ----------
    loaded : the model with its tokeniser or image processor.
    corpus : texts or images; more than `MAX_TOKENS` tokens are reduced to a seeded sample.
    seed : of that sample.

    Raises
    ------
    InputError
        if the model cannot read this kind of corpus.
    """
    reader = loaded.tokenizer if corpus.modality == "text" else loaded.image_processor
    if reader is None:
        wanted = "images" if corpus.modality == "text" else "texts"
        raise InputError(
            f"corpus {corpus.name!r} holds {corpus.modality}s, but model {loaded.source.name!r} "
            f"expects {wanted}; choose a corpus of {wanted} or another model"
        )
    if corpus.modality == "text":
        return _text_inputs(loaded, corpus, seed)
    return _image_inputs(loaded, corpus, seed)


def plan_batches(lengths: NDArray[np.int64], *, n_heads: int) -> list[list[int]]:
    """Group sequences of near length, longest first, under a budget of attention weights.

    Parameters
    ----------
    lengths : (n_sequences,) int64 tokens.
    n_heads : heads of one layer.
    """
    batches: list[list[int]] = []
    longest = 0
    for sequence in np.argsort(-lengths, kind="stable").tolist():
        fits = BATCH_BYTES // (4 * n_heads * max(longest, 1) ** 2)
        if not batches or len(batches[-1]) >= min(max(fits, 1), BATCH_SEQUENCES):
            batches.append([])
            longest = int(lengths[sequence])
        batches[-1].append(sequence)
    return batches


def seen_images(loaded: LoadedModel, inputs: ModelInputs, start: int, end: int) -> list[bytes]:
    """Return images `start` to `end` as the model saw them, as PNG."""
    sequences = range(len(inputs.images))[start:end]
    values = inputs.batch(loaded, sequences)["pixel_values"].numpy()
    return [array_to_png(image) for image in seen(loaded, values)]


def longest_text(loaded: LoadedModel) -> int:
    """Return how many tokens of a text are used: what the model and its tokeniser allow."""
    config = loaded.model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or MAX_SEQUENCE_TOKENS
    return int(min(loaded.tokenizer.model_max_length, positions, MAX_SEQUENCE_TOKENS))


def _text_inputs(loaded: LoadedModel, corpus: Corpus, seed: int) -> ModelInputs:
    tokenizer = loaded.tokenizer
    longest = longest_text(loaded)
    pairs = corpus.text_pairs or ("",) * corpus.n_sequences
    encodings = [
        tokenizer(
            *((text, pair) if pair else (text,)),
            truncation=True,
            max_length=longest,
            return_special_tokens_mask=True,
            return_overflowing_tokens=False,
        )
        for text, pair in zip(corpus.texts, pairs, strict=True)
    ]
    lengths = np.array([len(e["input_ids"]) for e in encodings], dtype=np.int64)
    chosen = choose_sequences(lengths, max_tokens=MAX_TOKENS, seed=seed)
    kept = [encodings[i] for i in chosen]
    token_id = np.concatenate([e["input_ids"] for e in kept]).astype(np.int64)
    segment = [s or 0 for e in kept for s in e.sequence_ids(0)]
    nowhere = np.full(token_id.size, -1, dtype=np.int64)
    table = TokenTable(
        token_text=_token_texts(tokenizer, token_id),
        token_id=token_id,
        sequence_index=np.repeat(np.arange(chosen.size), lengths[chosen]),
        token_index=np.concatenate([np.arange(n) for n in lengths[chosen]]),
        segment=np.array(segment, dtype=np.int64),
        is_special=np.concatenate([e["special_tokens_mask"] for e in kept]).astype(bool),
        row=nowhere,
        column=nowhere,
    )
    names = [n for n in tokenizer.model_input_names if n in kept[0]]
    features = tuple({n: np.array(e[n], dtype=np.int64) for n in names} for e in kept)
    return ModelInputs(
        table,
        chosen,
        features,
        pad_token_id=tokenizer.pad_token_id or 0,
        n_truncated=sum(bool(e.encodings[0].overflowing) for e in kept),
    )


def _token_texts(tokenizer: Any, token_ids: NDArray[np.int64]) -> tuple[str, ...]:
    """Return what each token says: word pieces keep `##`, byte-level pieces their space."""
    text = {}
    for token_id in np.unique(token_ids).tolist():
        piece = tokenizer.convert_ids_to_tokens(token_id)
        if piece.startswith("\u2581"):  # SentencePiece marks a space with a block
            piece = " " + piece[1:]
        elif "\u0120" in piece or "\u010a" in piece or not piece.isascii():  # byte-level alphabet
            piece = tokenizer.decode([token_id])
        text[token_id] = piece
    return tuple(text[i] for i in token_ids.tolist())


def _image_inputs(loaded: LoadedModel, corpus: Corpus, seed: int) -> ModelInputs:
    first = torch.from_numpy(pixels(loaded, [png_to_array(corpus.images[0])]))
    rows, columns, specials = patch_layout(loaded, first.shape[2], first.shape[3])
    n = rows * columns + len(specials)
    lengths = np.full(corpus.n_sequences, n, dtype=np.int64)
    chosen = choose_sequences(lengths, max_tokens=MAX_TOKENS, seed=seed)
    place = np.indices((rows, columns)).reshape(2, -1)
    one_row, one_column = (np.concatenate([[-1] * len(specials), axis]) for axis in place)
    patch_texts = [f"patch {r},{c}" for r, c in place.T]
    times = chosen.size
    table = TokenTable(
        token_text=tuple(specials + patch_texts) * times,
        token_id=np.full(n * times, -1, dtype=np.int64),
        sequence_index=np.repeat(np.arange(times), n),
        token_index=np.tile(np.arange(n), times),
        segment=np.zeros(n * times, dtype=np.int64),
        is_special=np.tile(one_row < 0, times),
        row=np.tile(one_row, times),
        column=np.tile(one_column, times),
        grid=(rows, columns),
    )
    return ModelInputs(table, chosen, images=tuple(corpus.images[i] for i in chosen))


def patch_layout(loaded: LoadedModel, height: int, width: int) -> tuple[int, int, list[str]]:
    """Return rows, columns and the names of the special tokens in front of the patches.

    The number of special tokens (class, distillation, registers) is counted in the model's own
    embedding of one blank image, never assumed.

    Raises
    ------
    InputError
        if patches and special tokens do not add up to what the model embeds.
    """
    tower = vision_tower(loaded.model)
    config = tower.config
    size = getattr(config, "patch_size", None)
    if not isinstance(size, int):
        raise InputError(
            f"model {loaded.source.name!r} has patch_size {size!r} in its configuration, expected "
            "a whole number: only models with one square patch grid can be shown"
        )
    rows, columns = height // size, width // size
    with torch.inference_mode():
        blank = torch.zeros(1, 3, height, width, device=loaded.model.device)
        embedded = tower(pixel_values=blank).last_hidden_state.shape[1]
    n_special = embedded - rows * columns
    if not 0 <= n_special <= MAX_SPECIAL_PATCHES:
        raise InputError(
            f"model {loaded.source.name!r} makes {embedded} tokens of a {height}x{width} image, "
            f"expected {rows}x{columns} patches and a few special tokens"
        )
    names = ["[CLS]", *(f"[REG{i}]" for i in range(1, n_special))]
    if getattr(config, "model_type", "") == "deit" and n_special == 2:
        names[1] = "[DIST]"
    return rows, columns, names[:n_special]


def vision_tower(model: Any) -> Any:
    """Return the part of a model that reads images: the model itself unless it has two towers."""
    return getattr(model, "vision_model", model)


def text_tower(model: Any) -> Any:
    """Return the part of a model that reads one text: a text tower, an encoder, or the model."""
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    return getattr(model, "text_model", model)
