"""The door from a corpus to what a model receives and the table of its tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pipeline.errors import InputError
from pipeline.image_inputs import image_inputs
from pipeline.image_texts import image_text_inputs, image_token_id
from pipeline.inputs import ModelInputs, text_tower
from pipeline.models import LoadedModel
from pipeline.records import Corpus, TokenTable
from pipeline.survey import forward
from pipeline.text_inputs import source_target_inputs, text_inputs

MIN_TOKENS = 3
N_SOUNDS = 2
SECONDS = 1
SAMPLES_A_SECOND = 16_000


def prepare_inputs(
    loaded: LoadedModel, corpus: Corpus, *, seed: int, part: str | None = None
) -> ModelInputs:
    """Tokenise texts, or lay the patch grid over images.

    Parameters
    ----------
    loaded : the model with its tokeniser or image processor.
    corpus : texts or images; more than `MAX_TOKENS` tokens are reduced to a seeded sample.
    seed : of that sample.
    part : of an encoder-decoder model "encoder" (also for None), "decoder" or "cross"; of a model
        that is shown images in texts the "encoder" of images (also for None) or the "decoder". Its
        texts have one part, the decoder, whichever is asked for.

    Raises
    ------
    InputError
        if the model cannot read this kind of corpus, or has no such part.
    """
    name = loaded.source.name
    if reads_sound(loaded):
        raise InputError(
            f"corpus {corpus.name!r} holds {corpus.modality}s, but model {name!r} expects sound; "
            "an atlas can be built of texts and images only (`verify` works on sound too)"
        )
    _check_part(loaded, part)
    reader = loaded.tokenizer if corpus.modality == "text" else loaded.image_processor
    if reader is None:
        wanted = "images" if corpus.modality == "text" else "texts"
        raise InputError(
            f"corpus {corpus.name!r} holds {corpus.modality}s, but model {name!r} "
            f"expects {wanted}; choose a corpus of {wanted} or another model"
        )
    if corpus.modality != "text":
        if part == "decoder":
            return image_text_inputs(loaded, corpus, seed)
        inputs = image_inputs(loaded, corpus, seed)
        has_parts = image_token_id(loaded) is not None
        return replace(inputs, part="encoder") if has_parts else inputs
    if loaded.model.config.is_encoder_decoder:
        inputs = source_target_inputs(loaded, corpus, seed, part or "encoder")
    else:
        inputs = text_inputs(loaded, corpus, seed)
    n_tokens = inputs.table.n_tokens
    if n_tokens < MIN_TOKENS:
        raise InputError(
            f"corpus {corpus.name!r} has {n_tokens} token{'s' * (n_tokens != 1)}, expected at "
            f"least {MIN_TOKENS}: attention between fewer shows nothing; use longer texts"
        )
    return inputs


def _check_part(loaded: LoadedModel, part: str | None) -> None:
    """Refuse a part that the model has not."""
    if part is None or loaded.model.config.is_encoder_decoder:
        return
    name = loaded.source.name
    if image_token_id(loaded) is None:
        raise InputError(
            f"part: found {part!r}, but model {name!r} is not an encoder-decoder model; "
            "leave the option out"
        )
    if part == "cross":
        raise InputError(
            f"part: found 'cross', but model {name!r} reads images and texts in one sequence; "
            "expected encoder (of images) or decoder (of images in texts)"
        )


def reads_sound(loaded: LoadedModel) -> bool:
    """Tell whether a model takes in sound, by the name of its main input."""
    return loaded.model.main_input_name in ("input_features", "input_values")


def generated_sounds(loaded: LoadedModel, *, seed: int) -> ModelInputs:
    """Make two short noises, to see how the encoder of a sound model attends.

    Their log-mel spectrum, or their samples, are seeded random numbers: no trained meaning, but
    every frame differs. The number of frames is counted in what the model makes of them.
    """
    model = loaded.model
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (SECONDS * SAMPLES_A_SECOND,)
    if model.main_input_name == "input_features":
        config = model.config
        shape = (config.num_mel_bins, 2 * config.max_source_positions)
    sounds = rng.normal(0, 0.5, (N_SOUNDS, *shape)).astype(np.float32)
    tower = text_tower(model)
    values = {model.main_input_name: torch.from_numpy(sounds[:1])}
    n = int(forward(tower, values).shape[1])
    total = n * N_SOUNDS
    nowhere = np.full(total, -1, dtype=np.int64)
    table = TokenTable(
        token_text=tuple(f"frame {i}" for i in range(n)) * N_SOUNDS,
        token_id=nowhere,
        sequence_index=np.repeat(np.arange(N_SOUNDS), n),
        token_index=np.tile(np.arange(n), N_SOUNDS),
        segment=np.zeros(total, dtype=np.int64),
        is_special=np.zeros(total, dtype=bool),
        row=nowhere,
        column=nowhere,
    )
    features = tuple({model.main_input_name: sound} for sound in sounds)
    part = "encoder" if model.config.is_encoder_decoder else "self"
    return ModelInputs(table, np.arange(N_SOUNDS), features, part=part)
