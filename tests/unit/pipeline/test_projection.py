"""Maps are judged by the neighbours they keep, with a random layout shown to fail."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from pipeline.normalise import unit_rows
from pipeline.projection import METHODS, frame, project_pca
from pipeline.projection.knn import nearest_neighbours


def project(method: str, points: np.ndarray, dims: int, seed: int = 0) -> np.ndarray:
    return METHODS[method](points, nearest_neighbours(points), n_components=dims, seed=seed)


@pytest.fixture(scope="module")
def clusters() -> np.ndarray:
    """Six clusters of 20 directions."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(6, 8)), 20, axis=0)
    return unit_rows((centres + 0.2 * rng.normal(size=centres.shape)).astype(np.float32))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_near_points_stay_near(clusters, method, dims):
    coordinates = project(method, clusters, dims)
    assert coordinates.shape == (120, dims)
    assert coordinates.dtype == np.float32
    assert coordinates.flags.c_contiguous
    # Measured 0.91 (PCA in 2-D) to 0.99; a random layout has 0.5.
    assert trustworthiness(clusters, coordinates, n_neighbors=10) > 0.85


def test_a_random_layout_fails_that_bound(clusters):
    random = np.random.default_rng(1).normal(size=(120, 2))
    assert trustworthiness(clusters, random, n_neighbors=10) < 0.7


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_maps(clusters, method):
    first, second = (project(method, clusters, 2, seed=4) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_input_is_not_changed(clusters, method):
    before = clusters.copy()
    project(method, clusters, 2)
    assert np.array_equal(clusters, before)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("n_points", [2, 4, 10, 50])
@pytest.mark.parametrize("method", METHODS)
def test_few_points_have_a_map(clusters, method, n_points, dims):
    coordinates = project(method, clusters[:n_points], dims)
    assert coordinates.shape == (n_points, dims)
    assert np.isfinite(coordinates).all()


@pytest.mark.parametrize("method", METHODS)
def test_equal_points_have_a_map(clusters, method):
    assert np.isfinite(project(method, np.repeat(clusters[:1], 200, axis=0), 2)).all()


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_duplicates_do_no_harm(clusters, method):
    points = np.concatenate([clusters, clusters, clusters])
    coordinates = project(method, points, 2)
    assert np.isfinite(coordinates).all()
    # Measured 0.94 and 0.97.
    assert trustworthiness(points, coordinates, n_neighbors=10) > 0.9


def test_importing_the_methods_loads_no_library_of_seconds():
    code = (
        "import sys, pipeline.projection\n"
        "print({'umap', 'sklearn', 'torch', 'pynndescent'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_components_agree_with_scikit_learn_up_to_sign(clusters):
    found = project_pca(clusters, n_components=3)
    expected = PCA(n_components=3).fit_transform(clusters)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_heads_projected_together_are_as_projected_alone(clusters):
    both = project_pca(np.stack([clusters, clusters[::-1]]), n_components=2)
    np.testing.assert_allclose(both[0], project_pca(clusters, n_components=2), atol=1e-6)


def test_the_sign_of_an_axis_does_not_depend_on_the_order_of_the_points(clusters):
    turned = project_pca(clusters[::-1].copy(), n_components=2)[::-1]
    np.testing.assert_allclose(turned, project_pca(clusters, n_components=2), atol=1e-4)


def test_missing_components_are_zero():
    line = np.arange(5, dtype=np.float32)[:, None]
    assert not project_pca(line, n_components=3)[:, 1:].any()


def test_the_frame_is_a_square_around_the_map():
    found = frame(np.array([[0.0, 5.0], [4.0, 7.0]], dtype=np.float32))
    assert found == {"origin": [0.0, 4.0], "span": 4.0}


def test_the_frame_of_one_place_has_a_size():
    assert frame(np.zeros((3, 2), dtype=np.float32))["span"] == 1.0
