"""Atlases made of random clusters, as large as wanted: to measure the browser, not the engine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pipeline.projection import frame
from pipeline.records import LayerRecord, TokenTable
from pipeline.sampling import draw_order
from pipeline.specs import digest
from pipeline.store import Store
from pipeline.token_files import token_objects

HEAD_DIM = 4
TOKENS_PER_SEQUENCE = 20


def make_atlas(store: Store, name: str, *, layers: int, heads: int, n_tokens: int) -> None:
    """Write an atlas called `name` on the corpus "synthetic", with PCA maps in 2-D and 3-D."""
    keys = {part: digest({"synthetic": name, "part": part}) for part in ("capture", "atlas")}
    rng = np.random.default_rng(0)
    objects = _capture_objects(store, rng, layers, heads, n_tokens)
    n_sequences = n_tokens // TOKENS_PER_SEQUENCE
    record = LayerRecord("attention", heads, heads, HEAD_DIM, 0.5, None,
                         error_max=(0.0,) * heads, error_mean_tv=(0.0,) * heads)  # fmt: skip
    corpus = {"name": "synthetic", "columns": {}, "left_out": [], "modality": "text",
              "n_sequences": n_sequences, "sha256": "0" * 64,
              "labels": [f"sequence {i}" for i in range(n_sequences)]}  # fmt: skip
    store.put_record(keys["capture"], {
        "kind": "capture", "key": keys["capture"], "corpus": corpus,
        "model": {"name": name, "revision": "none", "files": {}},
        "n_tokens": n_tokens, "n_queries": n_tokens, "n_keys": n_tokens, "part": "self",
        "rotary": "after", "layers": [record.to_json()] * layers,
        "reconstruction_error_max": 0.0, "seconds": {}, "objects": objects,
    })  # fmt: skip
    zeros = store.put_array(np.zeros((heads, HEAD_DIM), dtype=np.float32)).to_json()
    curves = store.put_array(np.zeros((layers * heads, 0))).to_json()
    store.put_record(keys["atlas"], {
        "kind": "atlas", "key": keys["atlas"], "capture": keys["capture"], "model": name,
        "corpus": "synthetic", "normalisation": "faithful", "seed": 0, "created_s": time.time(),
        "part": "self", "rotary": "after",
        "scale": [[1.0] * heads] * layers, "seconds": {},
        "objects": {"translations": [zeros] * layers, "curves": curves},
    })  # fmt: skip
    for dims in (2, 3):
        _put_maps(store, rng, keys, layers, heads, n_tokens, dims)


def _capture_objects(
    store: Store, rng: np.random.Generator, layers: int, heads: int, n_tokens: int
) -> dict[str, Any]:
    place = np.arange(n_tokens)
    words = np.array([f"word{i}" for i in range(400)])
    none = np.full(n_tokens, -1)
    table = TokenTable(
        tuple(words[rng.integers(0, 400, n_tokens)]), place % 400, place // TOKENS_PER_SEQUENCE,
        place % TOKENS_PER_SEQUENCE, none * 0, np.zeros(n_tokens, dtype=bool), none, none,
    )  # fmt: skip
    vectors = rng.standard_normal((heads, n_tokens, HEAD_DIM)).astype(np.float32)
    vector_object = store.put_array(vectors).to_json()
    norms = rng.uniform(1, 9, (layers * heads, 2 * n_tokens)).astype(np.float32)
    return token_objects(table, store) | {
        "order": store.put_array(draw_order(2 * n_tokens, seed=0)).to_json(),
        "norms": store.put_array(norms).to_json(),
        "queries": [vector_object] * layers, "keys": [vector_object] * layers,
        "additive": [None] * layers, "additive_rows": [None] * layers, "sinks": [None] * layers,
        "value_norms": [None] * layers, "query_tokens": None, "key_tokens": None, "images": [],
    }  # fmt: skip


def _put_maps(
    store: Store, rng: np.random.Generator, keys: dict[str, str], layers: int, heads: int,
    n_tokens: int, dims: int,
) -> None:  # fmt: skip
    cells, refs = [], []
    for layer in range(layers):
        centres = rng.uniform(-5, 5, (heads, 12, dims))
        which = rng.integers(0, 12, 2 * n_tokens)
        noise = rng.standard_normal((heads, 2 * n_tokens, dims)) * 0.5
        points = (centres[:, which] + noise).astype(np.float32)
        ref = store.put_array(points).to_json()
        refs.append(ref)
        cells += [
            {"layer": layer, "head": head, "index": head, "coordinates": ref,
             "frame": frame(points[head]), "quality": {"per_query_rho": float(rng.uniform(-1, 0))}}
            for head in range(heads)
        ]  # fmt: skip
    key = digest(keys | {"dims": dims})
    store.put_record(key, {
        "kind": "map", "key": key, "atlas": keys["atlas"], "capture": keys["capture"],
        "method": "pca", "dims": dims, "seed": 0, "guidance": 0.0, "neighbours": "plain",
        "cells": cells,
        "objects": {"coordinates": refs},
    })  # fmt: skip
