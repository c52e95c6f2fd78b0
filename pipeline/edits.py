"""Masks and replaces tokens of one tokenised sequence; all others keep their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import InputError
from pipeline.inputs import ModelInputs
from pipeline.live_specs import Edit
from pipeline.models import LoadedModel
from pipeline.text_inputs import token_texts


@dataclass(frozen=True)
class Mask:
    """What stands in the place of a masked token.

    Parameters
    ----------
    token_id, text : the token.
    is_own : whether the model was trained with it as its mask; else it is its token for unknown
        words, or its end of text, which hides a word without meaning "guess this".
    """

    token_id: int
    text: str
    is_own: bool


def find_mask(loaded: LoadedModel) -> Mask | None:
    """Return what a model's masked tokens become; None where it has no token that would do."""
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        return None
    for name in ("mask_token_id", "unk_token_id", "eos_token_id"):
        token_id = getattr(tokenizer, name, None)
        if isinstance(token_id, int):
            [text] = token_texts(tokenizer, [token_id])
            return Mask(token_id, text, name == "mask_token_id")
    return None


def edit_inputs(loaded: LoadedModel, inputs: ModelInputs, edits: Sequence[Edit]) -> ModelInputs:
    """Return one sequence with some of its tokens masked or replaced.

    Parameters
    ----------
    inputs : exactly one sequence of text.
    edits : (position, replacement) each; None for a mask. Positions count the tokens of the table:
        for cross-attention first those of the source, then those of the target.

    Raises
    ------
    InputError
        if a position does not exist, a replacement is not exactly one token of the model, or there
        is nothing to mask with.
    """
    [features] = inputs.features
    features = {name: values.copy() for name, values in features.items()}
    token_id = inputs.table.token_id.copy()
    for position, word in edits:
        if not 0 <= position < token_id.size:
            raise InputError(
                f"edit: found position {position}, expected 0 to {token_id.size - 1}, the tokens "
                "of this input"
            )
        new = _new_token(loaded, word, inputs.table.token_text[position])
        token_id[position] = new
        name, place = _where(inputs, position)
        features[name][place] = new
    table = replace(
        inputs.table, token_id=token_id, token_text=token_texts(loaded.tokenizer, token_id)
    )
    return replace(inputs, table=table, features=(features,))


def _where(inputs: ModelInputs, position: int) -> tuple[str, int]:
    """Return which input of the model holds a token of the table, and where in it."""
    if inputs.part == "decoder":
        return "decoder_input_ids", position
    if inputs.part == "cross" and inputs.key_tokens is not None:
        n_source = inputs.key_tokens.size
        if position >= n_source:
            return "decoder_input_ids", position - n_source
    return "input_ids", position


def _new_token(loaded: LoadedModel, word: str | None, was: str) -> int:
    """Return the token that a word is, or the mask."""
    if word is None:
        mask = find_mask(loaded)
        if mask is None:
            raise InputError(
                f"model {loaded.source.name!r} has no mask token and none for unknown words; "
                "replace the token by a word instead"
            )
        return mask.token_id
    tokenizer = loaded.tokenizer
    # A word in the middle of a text is another token than at its start, where the family marks it.
    forms = [f" {word.lstrip()}", word] if was.startswith(" ") else [word]
    pieces = [tokenizer(form, add_special_tokens=False)["input_ids"] for form in forms]
    whole = [ids[0] for ids in pieces if len(ids) == 1]
    exact = _in_vocabulary(tokenizer, word)
    found = [*whole, *exact] if was.startswith(" ") else [*exact, *whole]
    if not found:
        raise InputError(
            f"{word!r} is {len(pieces[0])} tokens of this model "
            f"({' '.join(token_texts(tokenizer, pieces[0])[:8])}), expected one, so that all "
            "other tokens keep their positions; choose another word"
        )
    return int(found[0])


def _in_vocabulary(tokenizer: Any, word: str) -> list[int]:
    """Return the token that is spelt exactly so (`##ing`, `[SEP]`), if there is one."""
    token_id = tokenizer.convert_tokens_to_ids(word)
    is_known = isinstance(token_id, int) and token_id != tokenizer.unk_token_id
    return [token_id] if is_known or word == tokenizer.unk_token else []
