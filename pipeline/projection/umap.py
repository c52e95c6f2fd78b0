"""UMAP of one head (McInnes et al. 2018), by umap-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.projection.pca import project_pca

N_NEIGHBORS = 15
MIN_DIST = 0.1


def project_umap(
    points: NDArray[np.float32], *, n_components: int, seed: int
) -> NDArray[np.float32]:
    """Lay out the fuzzy neighbour graph of the points, starting from PCA.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1, so that Euclidean neighbours are cosine ones.
    n_components : 2 or 3.
    seed : of the layout; equal seeds give equal maps on one kind of machine.

    Returns
    -------
    (n_points, n_components) float32.
    """
    umap = _import_umap()
    start = project_pca(points, n_components=n_components)
    start *= 10 / max(float(np.abs(start).max()), 1e-12)
    reducer = umap.UMAP(
        n_neighbors=min(N_NEIGHBORS, points.shape[0] - 1),
        min_dist=MIN_DIST,
        n_components=n_components,
        init=start,
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # Disconnected points are possible (all of a row equal) and are no fault of the user.
        warnings.simplefilter("ignore")
        return np.asarray(reducer.fit_transform(points), dtype=np.float32)


def _import_umap() -> Any:
    """Import umap-learn where it is used: it takes seconds, and only workers need it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # it misses TensorFlow, which we do not
        import umap
    return umap
