"""Reads what a build has stored: vectors, tokens, maps and attention of one atlas. NumPy only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.attention import attention_weights
from pipeline.errors import InputError
from pipeline.normalise import Normalisation, normalise, unit_rows
from pipeline.objects import ObjectRef
from pipeline.records import HeadVectors, LayerRecord, TokenTable
from pipeline.specs import head_key
from pipeline.store import Store

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

STRONG = 0.01

# Rows of the stored token table, in this order.
TOKEN_COLUMNS = (
    "token_id", "sequence_index", "token_index", "segment", "is_special", "row", "column",
)  # fmt: skip


def token_objects(table: TokenTable, store: Store) -> dict[str, Any]:
    """Publish a token table; `Capture.tokens` reads it back."""
    columns = np.stack([getattr(table, name).astype(np.int64) for name in TOKEN_COLUMNS])
    text = json.dumps({"text": table.token_text, "grid": table.grid}).encode()
    return {
        "tokens": store.put_array(columns).to_json(),
        "token_text": store.put_bytes(text, ".json").to_json(),
    }


@dataclass(frozen=True)
class Capture:
    """One stored capture: everything that was taken from the model for one corpus.

    Parameters
    ----------
    record : the stored record (kind "capture").
    store : where its objects are.
    """

    record: dict[str, Any]
    store: Store

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """Attention-bearing modules in order of the forward pass."""
        return tuple(LayerRecord.from_json(row) for row in self.record["layers"])

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Every (layer, head), layer by layer."""
        return tuple((i, h) for i, layer in enumerate(self.layers) for h in range(layer.n_heads))

    def cell(self, layer: int, head: int) -> int:
        """Return the place of a head in `cells`.

        Raises
        ------
        InputError
            if there is no such head.
        """
        if not 0 <= layer < len(self.layers):
            raise InputError(f"layer: found {layer}, expected 0 to {len(self.layers) - 1}")
        n_heads = self.layers[layer].n_heads
        if not 0 <= head < n_heads:
            raise InputError(f"head: found {head}, expected 0 to {n_heads - 1} in layer {layer}")
        return sum(record.n_heads for record in self.layers[:layer]) + head

    @cached_property
    def tokens(self) -> TokenTable:
        """Every token of the capture."""
        objects = self.record["objects"]
        text = json.loads(self.store.read_bytes(ObjectRef.from_json(objects["token_text"])))
        columns = dict(zip(TOKEN_COLUMNS, self._array(objects["tokens"]), strict=True))
        return TokenTable(
            token_text=tuple(text["text"]),
            grid=tuple(text["grid"]) if text["grid"] else None,
            is_special=columns.pop("is_special").astype(bool),
            **columns,
        )

    @cached_property
    def n_tokens(self) -> int:
        """Number of tokens; a head has twice as many points."""
        return int(self.record["n_tokens"])

    def draw_order(self) -> NDArray[np.uint32]:
        """(n_points,) uint32: draw index -> point."""
        return self._array(self.record["objects"]["order"])

    def norms(self) -> Float32:
        """(n_cells, n_points) float32 raw norms."""
        return self._array(self.record["objects"]["norms"])

    def vectors(self, layer: int, head: int) -> HeadVectors:
        """Return raw queries and keys of one head."""
        self.cell(layer, head)
        objects = self.record["objects"]
        queries = self._array(objects["queries"][layer])[head]
        keys = self._array(objects["keys"][layer])[self.layers[layer].key_head(head)]
        return HeadVectors(np.asarray(queries), np.asarray(keys))

    def additive(self, layer: int, head: int) -> Float32 | None:
        """(longest, longest) float32 mask and bias by position, or None for none."""
        row = self.record["objects"]["additive"][layer]
        if row is None:
            return None
        array = self._array(row)
        return np.asarray(array[head if array.shape[0] > 1 else 0])

    def reachable(self, layer: int, head: int) -> NDArray[np.bool_] | None:
        """(longest, longest) bool by position, row = query; None when every key is reachable."""
        additive = self.additive(layer, head)
        if additive is None or not np.isneginf(additive).any():
            return None
        return additive > -np.inf

    def attention(self, sequence: int, layer: int, head: int) -> Float32:
        """Return the (n, n) float32 attention weights of one sequence, row = query.

        Raises
        ------
        InputError
            if the sequence or head does not exist.
        """
        offset = self.tokens.sequence_offset
        if not 0 <= sequence < offset.size - 1:
            raise InputError(f"sequence: found {sequence}, expected 0 to {offset.size - 2}")
        start, end = offset[sequence : sequence + 2]
        vectors = self.vectors(layer, head)
        additive = self.additive(layer, head)
        sinks = self.record["objects"]["sinks"][layer]
        return attention_weights(
            vectors.queries[start:end],
            vectors.keys[start:end],
            self.layers[layer],
            additive=None if additive is None else additive[: end - start, : end - start],
            sink=None if sinks is None else float(self._array(sinks)[head]),
        )

    def strong_pairs(self, layer: int, head: int) -> tuple[Int64, Int64, Float32]:
        """Return every (query, key) pair of one sequence whose attention is above 0.01.

        Returns
        -------
        query, key : (n_pairs,) int64 token numbers.
        weights : (n_pairs,) float32 attention.
        """
        offset = self.tokens.sequence_offset
        pairs, weights = [], []
        for sequence, start in enumerate(offset[:-1]):
            found = self.attention(sequence, layer, head)
            strong = np.nonzero(found > STRONG)
            pairs.append(np.stack(strong) + start)
            weights.append(found[strong])
        query, key = np.concatenate(pairs, axis=1)
        return query, key, np.concatenate(weights)

    def image(self, sequence: int) -> bytes:
        """Return the PNG of one image as the model saw it."""
        images = self.record["objects"]["images"]
        if not 0 <= sequence < len(images):
            raise InputError(f"image: found {sequence}, expected 0 to {len(images) - 1}")
        return self.store.read_bytes(ObjectRef.from_json(images[sequence]))

    def _array(self, row: dict[str, Any]) -> NDArray[Any]:
        return self.store.open_array(ObjectRef.from_json(row))


@dataclass(frozen=True)
class Atlas:
    """One stored atlas: a capture under one normalisation, with the maps made so far.

    Parameters
    ----------
    record : the stored record (kind "atlas").
    capture : what it was made from.
    """

    record: dict[str, Any]
    capture: Capture

    @property
    def key(self) -> str:
        """Id of the atlas, 64 hex digits."""
        return str(self.record["key"])

    def normalisation(self, layer: int, head: int) -> Normalisation:
        """Return scale, translation and curve of one head."""
        cell = self.capture.cell(layer, head)
        objects = self.record["objects"]
        array = self.capture.store.open_array
        return Normalisation(
            scale=float(self.record["scale"][layer][head]),
            translation=array(ObjectRef.from_json(objects["translations"][layer]))[head],
            curve=array(ObjectRef.from_json(objects["curves"]))[cell],
        )

    def normalised(self, layer: int, head: int) -> tuple[Float32, Float32]:
        """Return normalised queries and keys, (n_tokens, head_dim) float32 each."""
        return normalise(self.capture.vectors(layer, head), self.normalisation(layer, head))

    def unit_points(self, layer: int, head: int) -> Float32:
        """(n_points, head_dim) float32: directions of queries, then keys; what is projected."""
        return unit_rows(np.concatenate(self.normalised(layer, head)))


def read_capture(store: Store, key: str) -> Capture | None:
    """Open a stored capture; None if it is not there."""
    record = store.get_record(key)
    return Capture(record, store) if record and record["kind"] == "capture" else None


def read_atlas(store: Store, key: str) -> Atlas:
    """Open a stored atlas.

    Raises
    ------
    InputError
        if it is not in the store.
    """
    record = store.get_record(key)
    is_atlas = record is not None and record["kind"] == "atlas"
    capture = read_capture(store, record["capture"]) if record and is_atlas else None
    if record is None or capture is None:
        raise InputError(
            f"atlas {key!r} is not in the cache; build it with `python -m pipeline build`, which "
            "prints its id"
        )
    return Atlas(record, capture)


def read_cells(
    store: Store, map_set: str, cells: Iterable[tuple[int, int]]
) -> list[dict[str, Any] | None]:
    """Return what is known of the maps of some heads.

    Parameters
    ----------
    map_set : key of the map set, complete or still being made.
    cells : (layer, head) of each.

    Returns
    -------
    For each `{layer, head, coordinates, index, frame, quality}`, or None when it is not computed
    yet. `index` is the head's place in a file that holds a whole layer, None in a file of its own;
    `quality` is None until it is measured.
    """
    record = store.get_record(map_set)
    known = {(c["layer"], c["head"]): c for c in (record or {}).get("cells") or []}
    found = []
    for layer, head in cells:
        cell = known.get((layer, head))
        if cell is None or cell["quality"] is None:
            own = store.get_record(head_key(map_set, layer, head))
            cell = own["cell"] if own else cell
        found.append(cell)
    return found


def read_coordinates(store: Store, cell: dict[str, Any]) -> Float32:
    """Return the (n_points, dims) float32 coordinates that a cell of a map set names."""
    array = store.open_array(ObjectRef.from_json(cell["coordinates"]))
    return array if cell["index"] is None else array[cell["index"]]
