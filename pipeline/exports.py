"""What can be taken away as .npz files: one head, or the attention of one sequence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, read_atlas, read_cells, read_coordinates
from pipeline.errors import InputError
from pipeline.specs import DEFAULT_GUIDANCE
from pipeline.store import Store


def head_arrays(store: Store, atlas_key: str, layer: int, head: int) -> dict[str, Any]:
    """Return vectors, tokens, maps and provenance of one head of an atlas.

    Raises
    ------
    InputError
        if there is no such atlas or head.
    """
    atlas = read_atlas(store, atlas_key)
    vectors = atlas.capture.vectors(layer, head)
    queries, keys = atlas.normalised(layer, head)
    tokens = atlas.capture.tokens
    arrays = {
        "queries": vectors.queries,
        "keys": vectors.keys,
        "normalised_queries": queries,
        "normalised_keys": keys,
        "token_text": np.array(tokens.token_text),
        "sequence_index": tokens.sequence_index,
        "token_index": tokens.token_index,
        "query_tokens": _all_or(atlas.capture.query_tokens, tokens.n_tokens),
        "key_tokens": _all_or(atlas.capture.key_tokens, tokens.n_tokens),
    }
    map_sets = [record for record in store.records("map") if record["atlas"] == atlas.key]
    # Of maps with several guidances, those of the default are exported: they come last.
    for map_set in sorted(map_sets, key=lambda record: record["guidance"] == DEFAULT_GUIDANCE):
        [cell] = read_cells(store, map_set["key"], [(layer, head)])
        if cell is not None:
            name = f"{map_set['method']}_{map_set['dims']}d"
            arrays[name] = np.asarray(read_coordinates(store, cell))
    return arrays | {"provenance": _provenance(atlas, layer=layer, head=head)}


def _provenance(atlas: Atlas, **place: int) -> NDArray[Any]:
    """Return where arrays are from, as JSON text."""
    names = ("model", "corpus", "normalisation", "seed", "part", "rotary")
    facts = {name: atlas.record[name] for name in names} | {
        "atlas": atlas.key,
        "revision": atlas.capture.record["model"]["revision"],
    }
    return np.array(json.dumps(facts | place))


def attention_arrays(
    store: Store, atlas_key: str, sequence: int, layer: int, head: int
) -> dict[str, Any]:
    """Return the weights of one head for one sequence with the texts of its rows and columns."""
    atlas = read_atlas(store, atlas_key)
    capture = atlas.capture
    weights = capture.attention(sequence, layer, head)
    text = np.array(capture.tokens.token_text)
    n_tokens = capture.n_tokens
    query, key = (
        text[_all_or(tokens, n_tokens)[slice(*offset[sequence : sequence + 2])]]
        for tokens, offset in (
            (capture.query_tokens, capture.query_offset), (capture.key_tokens, capture.key_offset)
        )
    )  # fmt: skip
    arrays = {"weights": weights, "query_text": query, "key_text": key}
    arrays["provenance"] = _provenance(atlas, layer=layer, head=head, sequence=sequence)
    return arrays | ({} if capture.query_tokens is not None else {"token_text": key})


def _all_or(tokens: NDArray[np.int64] | None, n_tokens: int) -> NDArray[np.int64]:
    return np.arange(n_tokens) if tokens is None else tokens


def save_arrays(out: Path, arrays: dict[str, Any]) -> None:
    """Write a .npz under exactly the given name, whole or not at all."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"--out {out}: {error.strerror}; expected a file name in a folder that can be written"
        ) from error
