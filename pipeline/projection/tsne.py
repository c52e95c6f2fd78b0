"""t-SNE of one head (van der Maaten and Hinton 2008), by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30.0


def project_tsne(
    points: NDArray[np.float32], *, n_components: int, seed: int
) -> NDArray[np.float32]:
    """Place points so that near neighbours stay near, starting from PCA.

    Parameters
    ----------
    points : (n_points, d) float32, rows of length 1, so that Euclidean neighbours are cosine ones.
    n_components : 2 or 3.
    seed : of the optimisation.

    Returns
    -------
    (n_points, n_components) float32.
    """
    from sklearn.manifold import TSNE  # seconds to import, and only workers need it

    effective_perplexity = min(PERPLEXITY, (points.shape[0] - 1) / 3)
    model = TSNE(
        n_components=n_components, perplexity=effective_perplexity, init="pca", random_state=seed
    )
    return np.asarray(model.fit_transform(points), dtype=np.float32)
