"""Lays the patch grid of a model over images."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.errors import InputError
from pipeline.images import array_to_png, png_to_array
from pipeline.inputs import ModelInputs, vision_tower
from pipeline.models import LoadedModel, pixels, seen
from pipeline.records import Corpus, TokenTable
from pipeline.sampling import choose_sequences
from pipeline.specs import MAX_TOKENS

MAX_SPECIAL_PATCHES = 16


def image_inputs(loaded: LoadedModel, corpus: Corpus, seed: int) -> ModelInputs:
    """Return images with the table of their patches, special tokens first.

    Raises
    ------
    InputError
        if the model does not have one square patch grid.
    """
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
    size = patch_side(loaded)
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


def patch_side(loaded: LoadedModel) -> int:
    """Return the side of a patch in pixels.

    Raises
    ------
    InputError
        if the model does not have one square patch grid.
    """
    size = getattr(vision_tower(loaded.model).config, "patch_size", None)
    if not isinstance(size, int):
        raise InputError(
            f"model {loaded.source.name!r} has patch_size {size!r} in its configuration, expected "
            "a whole number: only models with one square patch grid can be shown"
        )
    return size


def seen_images(loaded: LoadedModel, inputs: ModelInputs, start: int, end: int) -> list[bytes]:
    """Return images `start` to `end` as the model saw them, as PNG.

    Where the patches do not fill the picture, what is beyond them at the right and at the bottom is
    left out: the model does not see it.
    """
    sequences = range(len(inputs.images))[start:end]
    values = inputs.batch(loaded, sequences)["pixel_values"].numpy()
    values = values.reshape(len(values), *values.shape[-3:])
    side = patch_side(loaded)
    height, width = (length // side * side for length in values.shape[-2:])
    return [array_to_png(image[:height, :width]) for image in seen(loaded, values)]
