"""Which heads order patches by what: computed once for an atlas of images, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.atlas import Atlas
from pipeline.captured import Capture
from pipeline.ordering import Asked, Order, Property
from pipeline.patches import angles, brightness, hue, mean_colours
from pipeline.records import Progress
from pipeline.specs import SCHEMA, STAGE_VERSIONS, digest
from pipeline.store import Store

Report = Callable[[Progress], None]
Float64 = NDArray[np.float64]


def order_key(atlas: str) -> str:
    """Name the orders of an atlas."""
    version = STAGE_VERSIONS["order"]
    return digest({"schema": SCHEMA, "stage": "order", "version": version, "atlas": atlas})


def has_orders(capture: Capture) -> bool:
    """Tell whether there is anything to order: patches."""
    return capture.record["corpus"]["modality"] == "image" and capture.query_tokens is None


def order_stage(atlas: Atlas, report: Report) -> None:
    """Measure by what each head orders patches, unless that is stored already."""
    store, capture = atlas.capture.store, atlas.capture
    if not has_orders(capture) or store.get_record(order_key(atlas.key)) is not None:
        return
    tokens = capture.tokens
    asked = Asked(
        tokens.sequence_index, tokens.row, tokens.column, tokens.grid or (1, 1),
        properties_of(capture), seed=int(atlas.record["seed"]),
    )  # fmt: skip
    cells = []
    for place, (layer, head) in enumerate(capture.cells):
        report(Progress("order", place, len(capture.cells)))
        sides = np.split(atlas.unit_points(layer, head), [capture.n_queries])
        # One thread: see `stages.atlas_stage`.
        with threadpool_limits(1, user_api="blas"):
            queries, keys = (asked.measure(side) for side in sides)
        cells.append({name: _row(queries[name], keys[name]) for name in asked.names})
    record = {"kind": "order", "atlas": atlas.key, "properties": asked.names, "cells": cells}
    store.put_record(order_key(atlas.key), record | {"objects": {}})


def read_orders(store: Store, atlas_key: str) -> list[dict[str, float]] | None:
    """Return for each head in cell order `order_<property>` -> 0 .. 1; None if not measured.

    The figure of a head is the mean of those of its queries and its keys.
    """
    record = store.get_record(order_key(atlas_key))
    if record is None:
        return None
    return [
        {f"order_{name}": (row["queries"] + row["keys"]) / 2 for name, row in cell.items()}
        for cell in record["cells"]
    ]


def properties_of(capture: Capture) -> list[Property]:
    """Return what patches of a capture may be ordered by.

    Hue, brightness and angle are those of the pixels that the model saw; the frequency is the
    column of that name, which the sample corpus `waves` has.
    """
    tokens = capture.tokens
    colours = mean_colours(capture)
    place = np.stack([tokens.row, tokens.column], axis=1).astype(np.float64)
    place[tokens.row < 0] = np.nan
    found = [
        Property("hue", hue(colours)[:, None], period=1.0),
        Property("brightness", brightness(colours)[:, None]),
        Property("angle", angles(capture)[:, None], period=1.0),
        Property("row", place[:, :1]),
        Property("column", place[:, 1:]),
        Property("neighbour_patches", place, within=True),
    ]
    frequency = _frequency(capture)
    return found if frequency is None else [*found, Property("frequency", frequency[:, None])]


def _frequency(capture: Capture) -> Float64 | None:
    """Return the (n_tokens,) logarithm of the frequency of each token's image, or None."""
    column = capture.record["corpus"].get("columns", {}).get("frequency")
    if column is None or not all(isinstance(x, (int, float)) and x > 0 for x in column):
        return None
    octaves: Float64 = np.log2(np.array(column, dtype=np.float64))[capture.tokens.sequence_index]
    octaves[capture.tokens.row < 0] = np.nan
    return octaves


def _row(queries: Order, keys: Order) -> dict[str, Any]:
    return {
        "queries": queries.figure, "keys": keys.figure,
        "scores": [queries.score, keys.score], "spreads": [queries.spread, keys.spread],
    }  # fmt: skip
