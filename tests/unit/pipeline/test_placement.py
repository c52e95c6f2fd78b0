"""New points on a map that is there already."""

import dataclasses

import numpy as np
import pytest

from pipeline import live_runner
from pipeline.errors import InputError
from pipeline.jobs import JobTable
from pipeline.live_runner import LiveRunner
from pipeline.live_specs import LiveText
from pipeline.placement import place_by_axes, place_by_neighbours
from pipeline.projection import METHODS
from pipeline.projection.pca import project_pca
from pipeline.service import Service


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def points():
    return unit(np.random.default_rng(0).normal(size=(300, 8)) * np.arange(1, 9))


@pytest.mark.parametrize("n_components", [2, 3])
def test_a_point_of_a_pca_map_lands_on_itself(points, n_components):
    coordinates = project_pca(points, n_components=n_components)
    placed = place_by_axes(points, coordinates, points)
    # Single precision: 4e-7 was seen on a map as wide as 1.9.
    np.testing.assert_allclose(placed, coordinates, atol=1e-5)


def test_a_new_point_lies_where_the_axes_of_the_map_say(points):
    coordinates = project_pca(points, n_components=2)
    new = unit(np.random.default_rng(1).normal(size=(5, 8)))
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    expected = (new - points.mean(axis=0)) @ axes[:2].T
    placed = place_by_axes(points, coordinates, new)
    np.testing.assert_allclose(np.abs(placed), np.abs(expected), atol=1e-5)


def test_an_axis_that_a_map_does_not_have_stays_empty():
    line = unit(np.random.default_rng(0).normal(size=(20, 2)))
    coordinates = project_pca(line, n_components=3)
    placed = place_by_axes(line, coordinates, line[:4])
    assert (placed[:, 2] == 0).all()


def test_a_point_that_is_there_lands_on_itself_on_any_map(points):
    coordinates = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    placed = place_by_neighbours(points, coordinates, points[:20])
    # The weights of nine neighbours at a cosine distance above 0.01 against one at 1e-6.
    np.testing.assert_allclose(placed, coordinates[:20], atol=0.02)


def test_a_new_point_lies_among_its_neighbours(points):
    coordinates = METHODS["pca"](points, n_components=2)
    new = unit(points[:40] + np.random.default_rng(3).normal(scale=0.02, size=(40, 8)))
    placed = place_by_neighbours(points, coordinates, new)
    off = np.linalg.norm(placed - coordinates[:40], axis=1)
    others = np.linalg.norm(placed - coordinates[40:80], axis=1)
    assert np.median(off) < 0.2 * np.median(others)


def test_many_points_are_placed_as_one_by_one(points):
    coordinates = np.random.default_rng(4).normal(size=(300, 3)).astype(np.float32)
    whole = place_by_neighbours(points, coordinates, points[:150])
    single = np.concatenate([
        place_by_neighbours(points, coordinates, points[i : i + 1]) for i in range(150)
    ])  # fmt: skip
    np.testing.assert_allclose(whole, single, atol=1e-4)


def test_a_map_of_fewer_points_than_neighbours_has_places_too(points):
    placed = place_by_neighbours(points[:4], np.ones((4, 2), dtype=np.float32), points[5:7])
    np.testing.assert_allclose(placed, 1)


class TestOfALiveInput:
    @pytest.fixture
    def service(self, tiny_store, tiny_atlas, hub_cache, monkeypatch):
        monkeypatch.setattr(live_runner, "hub_cache", lambda: hub_cache)
        self.store, self.atlas = tiny_store, tiny_atlas["atlas"]
        return Service(tiny_store, JobTable(tiny_store), hub_cache=hub_cache)

    def run(self, service, model, text):
        spec = service.live.spec_of(model, LiveText(text))
        return LiveRunner()(spec.to_json(), self.store, lambda _: None)["capture"]

    @pytest.mark.parametrize("method", ["pca", "tsne"])
    def test_a_sentence_of_the_corpus_lies_where_the_map_has_it(self, service, tiny_corpus, method):
        atlas = service.atlas(self.atlas)
        text = tiny_corpus.read_text().splitlines()[2]
        capture = self.run(service, "tiny/bert", text)
        rows = np.arange(*atlas.capture.query_offset[2:4])
        points = np.concatenate([rows, atlas.capture.n_queries + rows])
        for record in service.map_sets(atlas.key).values():
            view = service.map_view(record["key"])
            # As if another method had made it: then by neighbours, which any map has.
            service.placements._open_map = lambda _, view=view: dataclasses.replace(
                view, record=view.record | {"method": method}
            )
            placed = service.placements.placed(record["key"], 1, 2, capture)
            cell = view.cells[atlas.capture.cell(1, 2)]
            own = np.asarray(service.coordinates(cell))[points]
            expected = (own - np.array(cell["frame"]["origin"])) / cell["frame"]["span"]
            assert placed.shape == expected.shape
            # In a batch of other sequences the model rounds otherwise: 1e-7 of each vector.
            np.testing.assert_allclose(placed, expected, atol=1e-4 if method == "pca" else 0.05)

    def test_an_input_of_another_model_has_no_place(self, service):
        maps = service.map_sets(self.atlas)
        other = self.run(service, "tiny/gpt2", "the cat sat on the mat")
        with pytest.raises(InputError, match="model: this input was run with another one"):
            service.placements.placed(maps["pca", 2]["key"], 0, 0, other)
