"""Tokenises texts: one or two in a sequence, or source and target of an encoder-decoder model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs import ModelInputs
from pipeline.models import LoadedModel
from pipeline.records import Corpus, TokenTable
from pipeline.sampling import choose_sequences
from pipeline.specs import MAX_TOKENS

# Longer texts are cut: the weights of one 1,024-token sequence are 4 MB a head.
MAX_SEQUENCE_TOKENS = 1024

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class _Row:
    """One tokenised sequence."""

    ids: Int64
    segment: Int64
    is_special: NDArray[np.bool_]
    features: dict[str, Int64]
    was_cut: bool


def longest_text(loaded: LoadedModel) -> int:
    """Return how many tokens of a text are used: what the model and its tokeniser allow."""
    config = loaded.model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or MAX_SEQUENCE_TOKENS
    if positions < 1:  # XLNet has no limit and says so by -1
        positions = MAX_SEQUENCE_TOKENS
    for module in loaded.model.modules():
        # RoBERTa and its kin count positions from behind the number of their filler.
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == positions:
            positions -= 0 if module.padding_idx is None else module.padding_idx + 1
            break
    return int(min(loaded.tokenizer.model_max_length, positions, MAX_SEQUENCE_TOKENS))


def text_inputs(loaded: LoadedModel, corpus: Corpus, seed: int) -> ModelInputs:
    """Return texts, or pairs of texts in one sequence, with the table of their tokens."""
    pairs = corpus.text_pairs or ("",) * corpus.n_sequences
    rows = [
        _tokenise(loaded, *((text, pair) if pair else (text,)))
        for text, pair in zip(corpus.texts, pairs, strict=True)
    ]
    chosen = _choose(rows, seed)
    kept = [rows[i] for i in chosen]
    return ModelInputs(
        _table(loaded.tokenizer, [[row] for row in kept]),
        chosen,
        tuple(row.features for row in kept),
        pad_token_id=loaded.tokenizer.pad_token_id or 0,
        n_truncated=sum(row.was_cut for row in kept),
    )


def source_target_inputs(
    loaded: LoadedModel, corpus: Corpus, seed: int, part: str
) -> ModelInputs:  # fmt: skip
    """Return source and target texts of an encoder-decoder model.

    The source is the text, the target the second text of its pair, or the same text where there
    is none. The decoder reads the target shifted right, as in training.

    Parameters
    ----------
    part : "encoder", "decoder" or "cross": whose tokens are in the table. For "cross", source
        tokens (segment 0) and then target tokens (segment 1) of each sequence, each counted
        from 0.
    """
    pairs = corpus.text_pairs or ("",) * corpus.n_sequences
    # One token less: sources are padded once more where they are as long as the targets.
    sources = [_tokenise(loaded, text, spare=1) for text in corpus.texts]
    targets = [
        _for_decoder(loaded, _tokenise(loaded, pair or text, is_target=True))
        for text, pair in zip(corpus.texts, pairs, strict=True)
    ]
    sides = {"encoder": [sources], "decoder": [targets], "cross": [sources, targets]}[part]
    n_tokens = [sum(row.ids.size for row in rows) for rows in zip(*sides, strict=True)]
    chosen = choose_sequences(np.array(n_tokens, dtype=np.int64), max_tokens=MAX_TOKENS, seed=seed)
    table = _table(loaded.tokenizer, [[side[i] for side in sides] for i in chosen])
    features = [
        sources[i].features
        | ({} if part == "encoder" else {f"decoder_{k}": v for k, v in targets[i].features.items()})
        for i in chosen
    ]
    cut = [sum(side[i].was_cut for side in sides) > 0 for i in chosen]
    is_target = table.segment == 1
    return ModelInputs(
        table,
        chosen,
        tuple(features),
        pad_token_id=loaded.tokenizer.pad_token_id or 0,
        n_truncated=sum(cut),
        part=part,
        query_tokens=np.flatnonzero(is_target) if part == "cross" else None,
        key_tokens=np.flatnonzero(~is_target) if part == "cross" else None,
    )


def _choose(rows: list[_Row], seed: int) -> Int64:
    lengths = np.array([row.ids.size for row in rows], dtype=np.int64)
    return choose_sequences(lengths, max_tokens=MAX_TOKENS, seed=seed)


def _tokenise(
    loaded: LoadedModel, *texts: str, is_target: bool = False, spare: int = 0
) -> _Row:  # fmt: skip
    tokenizer, longest = loaded.tokenizer, longest_text(loaded) - spare
    arguments: dict[str, Any] = {"text_target": texts[0]} if is_target else {"text": texts[0]}
    if len(texts) > 1:
        arguments["text_pair"] = texts[1]
    encoding = tokenizer(
        **arguments, truncation=True, max_length=longest, return_special_tokens_mask=True,
        return_overflowing_tokens=False,
    )  # fmt: skip
    ids = np.array(encoding["input_ids"], dtype=np.int64)
    if encoding.encodings:
        was_cut = bool(encoding.encodings[0].overflowing)
        segment = [s or 0 for s in encoding.sequence_ids(0)]
    else:  # a tokeniser in Python does not say what it left out
        was_cut = ids.size == longest and len(tokenizer(**arguments)["input_ids"]) > longest
        segment = encoding.get("token_type_ids") or [0] * ids.size
    return _Row(
        ids,
        np.array(segment, dtype=np.int64),
        np.array(encoding["special_tokens_mask"], dtype=bool),
        {
            name: np.array(encoding[name], dtype=np.int64)
            for name in tokenizer.model_input_names
            if name in encoding
        },
        was_cut,
    )


def _for_decoder(loaded: LoadedModel, row: _Row) -> _Row:
    """Shift a target to the right: the start token first, the end left out."""
    config, end = loaded.model.config, loaded.tokenizer.eos_token_id
    start = getattr(config, "decoder_start_token_id", None)
    start = getattr(config, "bos_token_id", None) if start is None else start
    if start is None:
        raise InputError(
            f"model {loaded.source.name!r} names no decoder_start_token_id in its configuration; "
            "expected one, or --part encoder"
        )
    kept = row.ids.size - int(row.ids.size > 1 and row.ids[-1] == end)
    kept = min(kept, longest_text(loaded) - 1)
    ids = np.concatenate([[start], row.ids[:kept]]).astype(np.int64)
    return _Row(
        ids,
        np.ones_like(ids),
        np.concatenate([[True], row.is_special[:kept]]),
        {"input_ids": ids, "attention_mask": np.ones_like(ids)},
        row.was_cut or row.ids.size > kept + 1,
    )


def _table(tokenizer: Any, sequences: list[list[_Row]]) -> TokenTable:
    """Return the tokens of all sequences; a decoder alone keeps segment 0 as all others."""
    rows = [row for sequence in sequences for row in sequence]
    is_cross = len(sequences[0]) > 1
    token_id = np.concatenate([row.ids for row in rows])
    segment = np.concatenate([row.segment for row in rows])
    is_decoder = not is_cross and bool((segment == 1).all())
    nowhere = np.full(token_id.size, -1, dtype=np.int64)
    lengths = [sum(row.ids.size for row in sequence) for sequence in sequences]
    return TokenTable(
        token_text=token_texts(tokenizer, token_id),
        token_id=token_id,
        sequence_index=np.repeat(np.arange(len(sequences)), lengths),
        token_index=np.concatenate([np.arange(row.ids.size) for row in rows]),
        segment=np.zeros_like(segment) if is_decoder else segment,
        is_special=np.concatenate([row.is_special for row in rows]),
        row=nowhere,
        column=nowhere,
    )


def token_texts(tokenizer: Any, token_ids: Sequence[int] | Int64) -> tuple[str, ...]:
    """Return what each token says: word pieces keep `##`, byte-level pieces their space."""
    text = {}
    for token_id in np.unique(token_ids).tolist():
        piece = tokenizer.convert_ids_to_tokens(token_id)
        if piece.startswith("\u2581"):  # SentencePiece marks a space with a block
            piece = " " + piece[1:]
        elif "\u0120" in piece or "\u010a" in piece or not piece.isascii():  # byte-level alphabet
            piece = tokenizer.decode([token_id])
        text[token_id] = piece
    return tuple(text[int(i)] for i in token_ids)
