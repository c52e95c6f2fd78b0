"""The token table of a capture, in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.objects import ObjectRef
from pipeline.records import TokenTable
from pipeline.store import Store

# Rows of the stored token table, in this order.
TOKEN_COLUMNS = (
    "token_id", "sequence_index", "token_index", "segment", "is_special", "row", "column",
)  # fmt: skip


def token_objects(table: TokenTable, store: Store) -> dict[str, Any]:
    """Publish a token table; `read_tokens` reads it back."""
    columns = np.stack([getattr(table, name).astype(np.int64) for name in TOKEN_COLUMNS])
    text = json.dumps({"text": table.token_text, "grid": table.grid}).encode()
    return {
        "tokens": store.put_array(columns).to_json(),
        "token_text": store.put_bytes(text, ".json").to_json(),
    }


def read_tokens(objects: Mapping[str, Any], store: Store) -> TokenTable:
    """Read the token table that a record's objects name."""
    text = json.loads(store.read_bytes(ObjectRef.from_json(objects["token_text"])))
    rows = store.open_array(ObjectRef.from_json(objects["tokens"]))
    columns = dict(zip(TOKEN_COLUMNS, rows, strict=True))
    return TokenTable(
        token_text=tuple(text["text"]),
        grid=tuple(text["grid"]) if text["grid"] else None,
        is_special=columns.pop("is_special").astype(bool),
        **columns,
    )
