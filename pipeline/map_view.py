"""One map set as far as it is computed: what the views draw from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.atlas import read_cells
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.store import Store


@dataclass(frozen=True)
class MapView:
    """One map set, as far as it is computed.

    Parameters
    ----------
    record : of the map set (kind "map").
    capture : what it is made from.
    cells : for each head in cell order its map, or None; see `pipeline.atlas.read_cells`.
    """

    record: dict[str, Any]
    capture: Capture
    cells: tuple[dict[str, Any] | None, ...]

    @property
    def complete(self) -> bool:
        """Whether every head has coordinates."""
        return all(self.cells)

    @property
    def measured(self) -> bool:
        """Whether every head has coordinates and quality figures: nothing will change any more."""
        return all(cell and cell["quality"] for cell in self.cells)


def read_map_view(store: Store, key: str, capture_of: Callable[[str], Capture]) -> MapView:
    """Read a map set with its cells as they are now.

    Parameters
    ----------
    capture_of : opens a capture by its key.

    Raises
    ------
    InputError
        if there is no such map set.
    """
    record = store.get_record(key)
    if record is None or record["kind"] != "map":
        raise InputError(f"map set {key} is not in the cache; build its atlas again")
    capture = capture_of(record["capture"])
    return MapView(record, capture, tuple(read_cells(store, key, capture.cells)))
