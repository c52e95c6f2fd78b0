"""Places new queries and keys on a map that is there already. NumPy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, read_coordinates
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.map_view import MapView
from pipeline.normalise import normalise, unit_rows

Float32 = NDArray[np.float32]

N_NEIGHBOURS = 10
# Cosine distance below which a point counts as the same one: rounding of single precision.
SAME = 1e-6
# Similarities of so many new points to all others are in memory at once.
ROWS_AT_A_TIME = 64


def place_by_axes(points: Float32, coordinates: Float32, new: Float32) -> Float32:
    """Place new points on a map of principal components, exactly as its own.

    A coordinate of such a map is y = (x - mean) . v with v an eigenvector of the covariance, so
    v = sum_i (x_i - mean) y_i / sum_i y_i^2: the map's own axes, whatever their signs.

    Parameters
    ----------
    points : (n_points, d) float32, from which the map was made.
    coordinates : (n_points, n_components) float32, the map.
    new : (n_new, d) float32.

    Returns
    -------
    (n_new, n_components) float32; a point of the map lands on itself, to 1e-5 of its span.
    """
    mean = points.mean(axis=0)
    lengths = (coordinates.astype(np.float64) ** 2).sum(axis=0)
    axes = ((points - mean).T @ coordinates) / np.where(lengths > 0, lengths, 1)
    placed: Float32 = ((new - mean) @ axes).astype(np.float32)
    return placed


def place_by_neighbours(points: Float32, coordinates: Float32, new: Float32) -> Float32:
    """Place new points on any map, at the mean of their 10 nearest, the nearest counting most.

    Weights are 1 / cosine distance, so that a point which is there already lands on itself. This
    is an approximation: t-SNE and UMAP have no rule for new points. How far it is off is measured
    in docs/fidelity.md.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1.
    coordinates : (n_points, n_components) float32, the map.
    new : (n_new, d) float32, rows of length 1.

    Returns
    -------
    (n_new, n_components) float32, inside the hull of the map.

    Cost
    ----
    n_new * n_points * d products.
    """
    placed = np.empty((len(new), coordinates.shape[1]), dtype=np.float32)
    k = min(N_NEIGHBOURS, len(points))
    for start in range(0, len(new), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        closeness = new[rows] @ points.T
        nearest = np.argpartition(-closeness, k - 1, axis=1)[:, :k]
        distance = 1 - np.take_along_axis(closeness, nearest, axis=1)
        weights = 1 / np.maximum(distance, SAME).astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        placed[rows] = np.einsum("nk,nkc->nc", weights, coordinates[nearest])
    return placed


class Placements:
    """Where the queries and keys of live inputs lie on the maps of an atlas.

    Parameters
    ----------
    open_map, open_atlas, open_capture : return these by their keys; raise `InputError`.
    unit_points : (atlas key, layer, head) -> (n_points, head_dim) float32 of the atlas.
    """

    def __init__(
        self, *, open_map: Callable[[str], MapView], open_atlas: Callable[[str], Atlas],
        open_capture: Callable[[str], Capture],
        unit_points: Callable[[str, int, int], Float32],
    ) -> None:  # fmt: skip
        self._open_map = open_map
        self._open_atlas = open_atlas
        self._open_capture = open_capture
        self._unit_points = unit_points

    def placed(self, map_key: str, layer: int, head: int, capture_key: str) -> Float32:
        """Place the points of a capture on the map of a head.

        Returns
        -------
        (n_points, dims) float32, queries and then keys, in shares of the map's frame: 0 and 1 are
        its edges, and what the map has never seen may lie outside.

        Raises
        ------
        InputError
            if the map of this head is not there yet, or the capture is of another model.
        """
        view = self._open_map(map_key)
        cell = view.cells[view.capture.cell(layer, head)]
        if cell is None:
            raise InputError("this head is not computed yet; its map appears when it is")
        atlas = self._open_atlas(view.record["atlas"])
        capture = self._open_capture(capture_key)
        _check_same_model(atlas.capture, capture)
        how = atlas.normalisation(layer, head)
        new = unit_rows(np.concatenate(normalise(capture.vectors(layer, head), how)))
        points = self._unit_points(atlas.key, layer, head)
        coordinates = np.asarray(read_coordinates(view.capture.store, cell))
        place = place_by_axes if view.record["method"] == "pca" else place_by_neighbours
        placed = place(points, coordinates, new)
        frame = cell["frame"]
        shares = (placed - np.array(frame["origin"], dtype=np.float32)) / frame["span"]
        return np.asarray(shares, dtype=np.float32)


def _check_same_model(mapped: Capture, given: Capture) -> None:
    """Refuse vectors of another model, part or state: they have no place on the map."""
    for name, found, expected in (
        ("model", given.record["model"]["files"], mapped.record["model"]["files"]),
        ("part", given.record["part"], mapped.record["part"]),
        ("rotary", given.record["rotary"], mapped.record["rotary"]),
    ):
        if found != expected:
            raise InputError(
                f"{name}: this input was run with another one than the map was made from; run it "
                "again for this atlas"
            )
