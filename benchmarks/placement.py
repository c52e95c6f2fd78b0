"""How far off live points are placed: tokens that a map knows, placed as if it did not.

Every fifth sequence is held out: its queries and keys are placed by the points of the others, and
compared with where the map has them. `python -m benchmarks.placement` prints a Markdown table over
all heads of every map of the atlases below `QKATLAS_CACHE`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, read_atlas, read_cells, read_coordinates
from pipeline.placement import place_by_axes, place_by_neighbours
from pipeline.store import Store

HELD_OUT_EVERY = 5
N_NEAR = 10
MAX_HELD_OUT = 400
Float = NDArray[np.float32]


def measure_head(
    points: Float, coordinates: Float, is_held: NDArray[np.bool_], *, method: str, seed: int
) -> dict[str, float]:
    """Place held-out points of one head; return median figures.

    Returns
    -------
    `distance` : from the true place, in shares of the map's span. `kept` : of the 10 nearest points
    in the space, the share that is among the 10 nearest to the placed one on the map; `kept_true` :
    the same of its true place. `random` and `kept_random` : of the places of other points instead.
    """
    rng = np.random.default_rng(seed)
    held = rng.permutation(np.flatnonzero(is_held))[:MAX_HELD_OUT]
    known = np.flatnonzero(~is_held)
    place = place_by_axes if method == "pca" else place_by_neighbours
    placed = place(points[known], _centred(coordinates[known], method), points[held])
    true = coordinates[held] - (coordinates[known].mean(axis=0) if method == "pca" else 0)
    span = float(np.ptp(coordinates, axis=0).max())
    others = true[rng.permutation(len(held))]
    at = _centred(coordinates[known], method)
    space = np.argsort(-(points[held] @ points[known].T), axis=1)[:, :N_NEAR]
    return {
        "distance": _median_distance(placed, true, span),
        "random": _median_distance(others, true, span),
        "kept": _kept(placed, at, space),
        "kept_true": _kept(true, at, space),
        "kept_random": _kept(others, at, space),
    }


def _centred(coordinates: Float, method: str) -> Float:
    """Return a map as its own points alone would have it: principal components are centred."""
    return coordinates - coordinates.mean(axis=0) if method == "pca" else coordinates


def _median_distance(found: Float, true: Float, span: float) -> float:
    return float(np.median(np.linalg.norm(found - true, axis=1)) / span)


def _kept(found: Float, at: Float, space: NDArray[np.int64]) -> float:
    """Return the share of the nearest points of the space that are nearest on the map too."""
    shares = []
    for place, wanted in zip(found, space, strict=True):
        nearest = np.argpartition(((at - place) ** 2).sum(axis=1), N_NEAR)[:N_NEAR]
        shares.append(np.isin(wanted, nearest).mean())
    return float(np.mean(shares))


def measure_map(store: Store, atlas: Atlas, record: dict[str, object]) -> dict[str, float]:
    """Return the mean of each figure over all heads of a map set."""
    capture = atlas.capture
    tokens = capture.tokens.sequence_index[capture.point_tokens]
    is_held = tokens % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    rows = []
    for number, cell in enumerate(read_cells(store, str(record["key"]), capture.cells)):
        if cell is None:
            continue
        points = atlas.unit_points(cell["layer"], cell["head"])
        coordinates = np.asarray(read_coordinates(store, cell))
        rows.append(
            measure_head(points, coordinates, is_held, method=str(record["method"]), seed=number)
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(store: Store) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield (
        "| model | map | off the true place | of another point | neighbours kept | "
        "at its true place | at another's |"
    )
    yield "|---|---|---|---|---|---|---|"
    for record in sorted(store.records("map"), key=lambda r: (r["atlas"], r["method"], r["dims"])):
        if not record["cells"]:
            continue
        atlas = read_atlas(store, record["atlas"])
        found = measure_map(store, atlas, record)
        cells = (
            f"{atlas.record['model']} on {atlas.record['corpus']}",
            f"{record['method']} {record['dims']}-D",
            *(f"{100 * found[name]:.1f} %" for name in ("distance", "random")),
            *(f"{100 * found[name]:.0f} %" for name in ("kept", "kept_true", "kept_random")),
        )
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    import os

    store = Store(Path(os.environ.get("QKATLAS_CACHE") or "cache"))
    for line in table(store):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
