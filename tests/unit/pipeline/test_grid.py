"""Repulsion through a grid against that of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from pipeline.normalise import unit_rows
from pipeline.projection import grid as grid_room
from pipeline.projection import tsne
from pipeline.projection.gradient import gradient
from pipeline.projection.grid import GridRepulsion
from pipeline.projection.knn import nearest_neighbours
from pipeline.quality import map_neighbours, sample_neighbourhoods

N_POINTS = 3000
NOTHING = csr_array((N_POINTS, N_POINTS), dtype=np.float32)


def clouds(n_components: int, *, span: float) -> np.ndarray:
    """A map of 60 clusters of 50 points."""
    rng = np.random.default_rng(0)
    middles = rng.uniform(-span / 2, span / 2, (n_components, N_POINTS // 50))
    spread = rng.normal(scale=min(1, span / 10), size=(n_components, N_POINTS))
    return (np.repeat(middles, 50, axis=1) + spread).astype(np.float32)


@pytest.fixture
def always(monkeypatch):
    """Use the grid whatever it costs."""
    monkeypatch.setattr(GridRepulsion, "pays", lambda *_: True)


def error(positions: np.ndarray) -> float:
    exact = gradient(positions, NOTHING)
    found = gradient(positions, NOTHING, grid=GridRepulsion(positions.shape[0]))
    return float(np.sqrt(np.square(found - exact).sum() / np.square(exact).sum()))


# Measured 0.001 to 0.006 and 0.005 to 0.03: the nodes are as far apart as half the kernel's width.
@pytest.mark.parametrize(("n_components", "span", "bound"), [
    (2, 1e-3, 0.02), (2, 4, 0.005), (2, 60, 0.02), (2, 150, 0.02),
    (3, 1e-3, 0.05), (3, 4, 0.01), (3, 40, 0.03),
])  # fmt: skip
def test_the_grid_repels_as_all_pairs_do(always, n_components, span, bound):
    assert error(clouds(n_components, span=span)) < bound


def test_a_grid_too_coarse_fails_that_bound(always, monkeypatch):
    monkeypatch.setitem(grid_room.SPACING, 2, 2.0)
    assert error(clouds(2, span=150)) > 0.1


def test_a_map_too_wide_for_memory_gets_a_coarser_grid(always, monkeypatch):
    monkeypatch.setattr(grid_room, "MAX_NODES", 2000)
    grid = GridRepulsion(2)
    gradient(clouds(2, span=150), NOTHING, grid=grid)
    assert grid.n_nodes < 4000


def test_one_grid_serves_a_map_that_grows_and_shrinks(always):
    grid = GridRepulsion(2)
    for span in (10, 90, 20):
        positions = clouds(2, span=span)
        found = gradient(positions, NOTHING, grid=grid)
        fresh = gradient(positions, NOTHING, grid=GridRepulsion(2))
        scale = np.abs(fresh).max()
        np.testing.assert_allclose(found, fresh, atol=0.01 * scale)


def test_the_grid_pays_for_many_points_on_a_small_map_only():
    grid = GridRepulsion(2)
    assert grid.pays(np.ascontiguousarray(np.tile(clouds(2, span=50), 4)))
    assert not grid.pays(clouds(2, span=500))


@pytest.mark.parametrize("dims", [2, 3])
def test_maps_through_the_grid_keep_as_many_neighbours(monkeypatch, dims):
    rng = np.random.default_rng(1)
    centres = np.repeat(rng.normal(size=(40, 16)), 20, axis=0)
    points = unit_rows((centres + 0.5 * rng.normal(size=centres.shape)).astype(np.float32))
    neighbours, space = nearest_neighbours(points), sample_neighbourhoods(points, seed=0)
    recall = {}
    for name, pays in (("grid", True), ("pairs", False)):
        monkeypatch.setattr(tsne, "GRID_POINTS", 0)
        monkeypatch.setattr(GridRepulsion, "pays", lambda *_, pays=pays: pays)
        made = tsne.project_tsne(points, neighbours, n_components=dims, seed=0)
        recall[name] = map_neighbours(made, space)["recall_at_10"]
    # Measured within 0.01 of each other, about 0.6.
    assert recall["grid"] > recall["pairs"] - 0.03
