"""Principal components of the joint embedding, of one head or of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.projection.guidance import Guidance
from pipeline.projection.knn import Neighbours

Float32 = NDArray[np.float32]


def project_pca(
    points: Float32,
    neighbours: Neighbours | None = None,
    *,
    n_components: int,
    seed: int = 0,
    guidance: Guidance | None = None,
) -> Float32:
    """Project points on their first principal components.

    Each axis is flipped so that its largest loading is positive, so that a map looks the same
    after a rebuild.

    Parameters
    ----------
    points : (..., n_points, d) float32; leading axes (heads) are projected one by one.
    n_components : 2 or 3; axes beyond d are zero.
    neighbours, seed, guidance : not used; they belong to the signature that all methods share.

    Returns
    -------
    (..., n_points, n_components) float32, centred.
    """
    del neighbours, seed, guidance
    centred = points - points.mean(axis=-2, keepdims=True)
    covariance = np.matmul(centred.swapaxes(-1, -2), centred, dtype=np.float64)
    _, vectors = np.linalg.eigh(covariance)
    axes = vectors[..., ::-1][..., :n_components]
    largest = np.abs(axes).argmax(axis=-2)[..., None, :]
    axes = axes * np.sign(np.take_along_axis(axes, largest, axis=-2))
    coordinates = np.matmul(centred, axes.astype(np.float32))
    missing = n_components - coordinates.shape[-1]
    padding = [(0, 0)] * (coordinates.ndim - 1) + [(0, missing)]
    return np.ascontiguousarray(np.pad(coordinates, padding), dtype=np.float32)
