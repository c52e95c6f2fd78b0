"""Points that somebody has chosen, stored under a name made of what they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.objects import ObjectRef
from pipeline.specs import digest
from pipeline.store import Store

MIN_POINTS = 10

Int64 = NDArray[np.int64]


def put_points(capture: Capture, points: NDArray[np.uint32]) -> str:
    """Store a selection; return its key, the same for the same points of a capture.

    Parameters
    ----------
    points : (n,) uint32 point numbers, in any order.

    Raises
    ------
    InputError
        if there is no such point, or there are fewer than ten.
    """
    chosen = np.unique(points).astype(np.int64)
    if chosen.size < MIN_POINTS:
        raise InputError(
            f"found {chosen.size} selected points, expected at least {MIN_POINTS}: fewer make "
            "no map"
        )
    if chosen[-1] >= capture.n_points:
        raise InputError(f"point: found {chosen[-1]}, expected 0 to {capture.n_points - 1}")
    store, owner = capture.store, capture.record["key"]
    key = selection_key(owner, chosen)
    if store.get_record(key) is None:
        store.put_record(key, {
            "kind": "selection", "key": key, "capture": owner, "n_points": int(chosen.size),
            "objects": {"points": store.put_array(chosen).to_json()},
        })  # fmt: skip
    return key


def selection_key(capture: str, points: Int64) -> str:
    """Name a selection by its capture and the numbers of its points."""
    text = digest({"capture": capture, "points": points.tolist()})
    return digest({"stage": "selection", "content": text})


def read_points(store: Store, selection: str, *, capture: str | None = None) -> Int64:
    """Return the (n,) int64 ascending point numbers of a stored selection.

    Parameters
    ----------
    capture : key of the capture whose points they have to be; None for any.

    Raises
    ------
    InputError
        if it is not in the store, or of another capture.
    """
    record = store.get_record(selection)
    if record is None or record["kind"] != "selection":
        raise InputError(
            "this selection is not in the cache any more; draw it again on the whole map"
        )
    if capture not in (None, record["capture"]):
        raise InputError(
            "this selection is of another corpus or model; draw one on the whole map of this head"
        )
    store.note_use(record)
    points: Int64 = store.open_array(ObjectRef.from_json(record["objects"]["points"]))
    return np.asarray(points)
