"""The one table of projection methods. Points are queries first, then keys, rows of length 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.projection.pca import project_pca
from pipeline.projection.tsne import project_tsne
from pipeline.projection.umap import project_umap

# name -> function(points (n_points, d) float32, neighbours, *, n_components, seed,
# guidance), which returns (n_points, n_components) float32. Neighbours are found once for a head;
# PCA takes None as well.
METHODS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "pca": project_pca,
    "umap": project_umap,
    "tsne": project_tsne,
}


def frame(coordinates: NDArray[np.float32]) -> dict[str, Any]:
    """Return the corner and the side of the square or cube that holds a map.

    Returns
    -------
    `origin` : list of floats, one an axis; `span` : one side for all axes, so that a drawing keeps
    the aspect ratio. The map is centred in it.
    """
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    span = float((high - low).max()) or 1.0
    origin = (low + high) / 2 - span / 2
    return {"origin": [float(value) for value in origin], "span": span}
