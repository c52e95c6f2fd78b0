"""Publishes the map of one head in a file of its own; see `pipeline.atlas.read_cells`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.projection import frame
from pipeline.specs import head_key
from pipeline.store import Store


def new_cell(
    store: Store, layer: int, head: int, coordinates: NDArray[np.float32]
) -> dict[str, Any]:
    """Store the coordinates of a head; return its cell, which has no quality figures yet."""
    return {
        "layer": layer, "head": head, "index": None, "frame": frame(coordinates), "quality": None,
        "coordinates": store.put_array(coordinates).to_json(),
    }  # fmt: skip


def put_head(store: Store, map_set: str, cell: dict[str, Any]) -> None:
    """Publish a cell as part of the map set of that key."""
    key = head_key(map_set, cell["layer"], cell["head"])
    objects = {"coordinates": cell["coordinates"]}
    store.put_record(key, {"kind": "head", "cell": cell, "objects": objects})
