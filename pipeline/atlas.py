"""Reads what a build has stored of one atlas: its normalised vectors and its maps. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture, read_capture
from pipeline.errors import InputError
from pipeline.normalise import Normalisation, normalise, unit_rows
from pipeline.objects import ObjectRef
from pipeline.specs import head_key
from pipeline.store import Store

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


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
        """Return normalised queries and keys, (n, head_dim) float32 each."""
        return normalise(self.capture.vectors(layer, head), self.normalisation(layer, head))

    def unit_points(self, layer: int, head: int) -> Float32:
        """(n_points, head_dim) float32: directions of queries, then keys; what is projected."""
        return unit_rows(np.concatenate(self.normalised(layer, head)))


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
