"""Gives a decoder that is shown images its pictures inside a text, and says which tokens they are.

Everything the model receives is made by its own processor; here it is only read off the result
which token stands for which patch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import InputError, ModelError
from pipeline.image_inputs import patch_layout, patch_side
from pipeline.images import png_to_array
from pipeline.inputs import Int64, ModelInputs, processed
from pipeline.models import LoadedModel, read_processor
from pipeline.records import CAPTION, Corpus, TokenTable
from pipeline.sampling import choose_sequences
from pipeline.specs import MAX_TOKENS
from pipeline.text_inputs import longest_text, token_texts

# Asked of every image that comes without a caption.
PROMPT = "What is in this picture?"

ELSE = "`verify` tells which other parts of this model can be shown"


def image_token_id(loaded: LoadedModel) -> int | None:
    """Return the token that stands for a piece of an image in a text; None for other models."""
    config = loaded.model.config
    names = ("image_token_id", "image_token_index")
    found = next((getattr(config, name) for name in names if hasattr(config, name)), None)
    has_both = loaded.tokenizer is not None and loaded.image_processor is not None
    return found if has_both and isinstance(found, int) else None


def image_text_inputs(loaded: LoadedModel, corpus: Corpus, seed: int) -> ModelInputs:
    """Return each image within its text, with the table of image tokens and text tokens.

    The text is the image, a line break and the caption of the image, or `PROMPT` where the corpus
    has none; a caption that names the image token itself is taken as it is. No chat template is
    used.

    Parameters
    ----------
    loaded : a model that has an image token, with tokeniser and image processor.
    corpus : images; more than `MAX_TOKENS` tokens are reduced to a seeded sample.
    seed : of that sample.

    Raises
    ------
    InputError
        if the folder of the model has no processor for images in texts, if a text is too long, or
        if image tokens are not one square grid over the picture.
    """
    try:
        processor = read_processor(loaded)
    except ModelError as error:
        raise InputError(f"{error}; {ELSE}") from error
    texts = _texts(processor, corpus)
    reader = _Reader(loaded, processor)
    rows = [
        reader.read(text, png, label)
        for text, png, label in zip(texts, corpus.images, corpus.labels, strict=True)
    ]
    lengths = np.array([ids.size for ids, _ in rows], dtype=np.int64)
    chosen = choose_sequences(lengths, max_tokens=MAX_TOKENS, seed=seed)
    return ModelInputs(
        _table(loaded, [rows[i] for i in chosen], reader.grid, reader.names),
        chosen,
        pad_token_id=loaded.tokenizer.pad_token_id or 0,
        images=tuple(corpus.images[i] for i in chosen),
        part="decoder",
        texts=tuple(texts[i] for i in chosen),
        processor=processor,
        inside=_name_of_decoder(loaded),
    )


class _Reader:
    """Reads images in texts one by one; all must have the same grid.

    `grid` and `names`, of the special tokens among those of an image, are known after the first.
    """

    grid: tuple[int, int] | None = None
    names: tuple[str, ...] = ()

    def __init__(self, loaded: LoadedModel, processor: Any) -> None:
        self._loaded, self._processor = loaded, processor
        self._longest = longest_text(loaded)
        self._token = image_token_id(loaded)

    def read(self, text: str, png: bytes, label: str) -> tuple[Int64, Int64]:
        """Return the ids of one sequence, and the places in it of its image tokens."""
        name = self._loaded.source.name
        try:
            made = processed(self._processor, [text], [[Image.fromarray(png_to_array(png))]])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise InputError(
                f"the processor of model {name!r} does not take image {label!r} with its text: "
                f"{error}; {ELSE}"
            ) from error
        ids = made["input_ids"][0].numpy().astype(np.int64)
        if ids.size > self._longest:
            raise InputError(
                f"image {label!r} and its text are {ids.size:,} tokens, expected at most "
                f"{self._longest:,} for model {name!r}: shorten its caption"
            )
        places = np.flatnonzero(ids == self._token)
        layout = self._layout(tuple(made["pixel_values"].shape), places.size)
        if self.grid is None:
            self.grid, self.names = layout
        elif layout != (self.grid, self.names):
            raise InputError(
                f"image {label!r} has {layout[0]} patches and the first image {self.grid}; "
                f"expected one grid for all: give images of one size, or another model; {ELSE}"
            )
        return ids, places

    def _layout(
        self, shape: tuple[int, ...], n_found: int
    ) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return rows and columns of the image tokens, and the names of special ones before them.

        An image token stands for one patch of the image encoder, or for a square of them where
        the model joins neighbours; they come row by row.
        """
        loaded = self._loaded
        is_picture = len(shape) >= 4 and shape[-3] == 3 and math.prod(shape[:-3]) == 1
        if not is_picture:
            raise InputError(
                f"the processor of model {loaded.source.name!r} makes pixels of shape {shape} of "
                f"one image, expected one whole picture (1, 3, height, width); {ELSE}"
            )
        side = patch_side(loaded)
        rows, columns = shape[-2] // side, shape[-1] // side
        names: tuple[str, ...] = ()
        if getattr(loaded.model.config, "vision_feature_select_strategy", "") == "full":
            names = tuple(patch_layout(loaded, *shape[-2:])[2])
        n_patches = max(n_found - len(names), 1)
        joined = math.isqrt(rows * columns // n_patches) or 1
        grid = rows // joined, columns // joined
        is_whole = (rows % joined, columns % joined) == (0, 0)
        if not is_whole or grid[0] * grid[1] + len(names) != n_found:
            raise InputError(
                f"model {loaded.source.name!r} has {n_found} image tokens for an image of {rows} x "
                f"{columns} patches, expected {rows * columns + len(names)}, or one for each "
                "square of patches: which token is which patch is not known. Tiles and rows that "
                f"end in a token of their own are not supported; {ELSE}"
            )
        return grid, names


def _texts(processor: Any, corpus: Corpus) -> list[str]:
    """Return what each image is shown with."""
    # Where the picture itself lies between two marks, the first one calls for it (Gemma 3).
    mark = getattr(processor, "boi_token", None) or processor.image_token
    captions = corpus.columns.get(CAPTION) or ("",) * corpus.n_sequences
    texts = [str(caption) or PROMPT for caption in captions]
    return [text if mark in text else f"{mark}\n{text}" for text in texts]


def _table(
    loaded: LoadedModel,
    sequences: list[tuple[Int64, Int64]],
    grid: tuple[int, int] | None,
    names: tuple[str, ...],
) -> TokenTable:
    rows, columns = grid or (0, 0)
    before = np.full(len(names), -1, dtype=np.int64)
    row, column = (
        np.concatenate([before, axis]) for axis in np.indices((rows, columns)).reshape(2, -1)
    )
    words = np.array([*names, *(f"patch {r},{c}" for r, c in np.ndindex(rows, columns))])
    lengths = [ids.size for ids, _ in sequences]
    token_id = np.concatenate([ids for ids, _ in sequences])
    starts = np.cumsum([0, *lengths[:-1]])
    images = np.concatenate(
        [start + places for start, (_, places) in zip(starts, sequences, strict=True)]
    )
    of_table = np.full((2, token_id.size), -1, dtype=np.int64)
    of_table[:, images] = np.tile([row, column], len(sequences))
    text = np.array(token_texts(loaded.tokenizer, token_id), dtype=object)
    text[images] = np.tile(words, len(sequences))
    is_special = np.isin(token_id, _special_ids(loaded.tokenizer))
    is_special[images] = np.tile(row < 0, len(sequences))
    token_id[images] = -1
    return TokenTable(
        token_text=tuple(map(str, text)),
        token_id=token_id,
        sequence_index=np.repeat(np.arange(len(sequences)), lengths),
        token_index=np.concatenate([np.arange(length) for length in lengths]),
        segment=np.zeros(token_id.size, dtype=np.int64),
        is_special=is_special,
        row=of_table[0],
        column=of_table[1],
        grid=grid,
    )


def _special_ids(tokenizer: Any) -> list[int]:
    """Return the tokens that are no text, also marks around images, which have no role by name."""
    added = tokenizer.added_tokens_decoder.items()
    return [*tokenizer.all_special_ids, *(number for number, token in added if token.special)]


def _name_of_decoder(loaded: LoadedModel) -> str:
    """Return the beginning of the names of all modules that read the tokens."""
    decoder = loaded.model.get_decoder()
    name = next(name for name, module in loaded.model.named_modules() if module is decoder)
    return f"{name}." if name else ""
