"""The order in which heads are laid out, and batches of heads as a GPU would lay them out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import gpu_maps, maps
from pipeline.atlas import read_atlas, read_cells
from pipeline.errors import InputError
from pipeline.gpu_maps import project_on_gpu
from pipeline.heads import HeadTask, MapSet
from pipeline.jobs import JobTable
from pipeline.maps import finish_heads, missing_tasks, open_map_set, take_next
from pipeline.service import Service
from pipeline.specs import MapSpec, digest
from pipeline.wanted import prefer_heads, preferred_heads

LAYOUTS = [("umap", 3), ("tsne", 3), ("umap", 2), ("tsne", 2)]


def map_set(method: str, dims: int, *, name: str = "") -> MapSet:
    return MapSet(digest({"of": [name, method, dims]}), MapSpec(method, dims))


@pytest.fixture
def atlas(tiny_store, tiny_atlas):
    return read_atlas(tiny_store, tiny_atlas["atlas"])


def order(tasks: list[HeadTask]) -> list[tuple[str, int]]:
    return [(task.map_sets[0].spec.name, task.head) for task in tasks]


def test_every_head_has_its_first_map_before_any_has_its_second(atlas):
    tasks = missing_tasks(atlas, [map_set(*one) for one in LAYOUTS])
    n_cells = len(atlas.capture.cells)
    rounds = [[m.spec.name for m in task.map_sets] for task in tasks]
    assert rounds[:n_cells] == [["tsne_2d"]] * n_cells
    assert rounds[n_cells : 2 * n_cells] == [["umap_2d"]] * n_cells
    assert rounds[2 * n_cells :] == [["umap_3d", "tsne_3d"]] * n_cells


def test_what_is_wanted_comes_first_and_the_rest_in_order():
    sets = [map_set("tsne", 2), map_set("umap", 2)]
    tasks = [HeadTask(Path(), "", 0, head, (one,)) for one in sets for head in range(3)]
    wanted = [(0, 2), (0, 1)]
    assert order([take_next(tasks, wanted) for _ in range(6)]) == [
        ("tsne_2d", 2), ("tsne_2d", 1), ("umap_2d", 2), ("umap_2d", 1),
        ("tsne_2d", 0), ("umap_2d", 0),
    ]  # fmt: skip
    assert not tasks


def test_a_wish_made_during_a_build_is_heard(atlas, monkeypatch):
    sets = [map_set("tsne", 2, name="heard")]
    open_map_set(atlas, sets[0])
    handed_over = []

    def take(tasks, wanted):
        handed_over.append(wanted)
        task = take_next(tasks, wanted)
        if len(handed_over) == 1:
            prefer_heads(atlas, [atlas.capture.cells[-1]])
        return task

    monkeypatch.setattr(maps, "take_next", take)
    prefer_heads(atlas, [])
    finish_heads(atlas, sets, n_workers=1, report=lambda _: None)
    assert handed_over[0] == []
    assert handed_over[1:] == [[atlas.capture.cells[-1]]] * (len(handed_over) - 1)
    assert len(handed_over) == len(atlas.capture.cells)


def test_the_last_wish_counts(atlas):
    prefer_heads(atlas, [(0, 0), (0, 1)])
    prefer_heads(atlas, [(0, 1), (0, 0), (0, 1)])
    assert preferred_heads(atlas) == [(0, 1), (0, 0)]


def test_nobody_can_want_a_head_that_is_not_there(atlas):
    with pytest.raises(InputError, match="layer: found 99"):
        prefer_heads(atlas, [(99, 0)])


def test_the_service_passes_wishes_on(atlas, tmp_path):
    service = Service(atlas.capture.store, JobTable(atlas.capture.store), hub_cache=tmp_path)
    service.prefer(atlas.key, [(0, 1)])
    assert preferred_heads(atlas) == [(0, 1)]


def test_progress_counts_every_round_of_every_head(atlas):
    sets = [map_set(*one, name="progress") for one in LAYOUTS[2:]]
    for one in sets:
        open_map_set(atlas, one)
    told = []
    finish_heads(atlas, sets, n_workers=2, report=told.append)
    n_cells = len(atlas.capture.cells)
    assert {progress.total for progress in told} == {2 * n_cells}
    assert told[0].done == 0
    assert told[-1].done == 2 * n_cells


def lay_out(atlas, heads, publish):
    maps = [MapSpec("tsne", 2, guidance=0.2), MapSpec("umap", 2)]
    with ThreadPoolExecutor(1) as pool:
        project_on_gpu(atlas, heads, maps, pool=pool, publish=publish, device="cpu")


def test_batches_publish_the_maps_of_all_heads(atlas, monkeypatch):
    monkeypatch.setattr(gpu_maps, "_batch_size", lambda *_: 2)
    heads = list(atlas.capture.cells[:3])
    found = {}
    lay_out(atlas, heads, lambda place, spec, xy: found.update({(place, spec.method): xy}))
    assert set(found) == {(p, m) for p in heads for m in ("tsne", "umap")}
    shape = (2 * atlas.capture.n_tokens, 2)
    assert all(xy.shape == shape and np.isfinite(xy).all() for xy in found.values())


def test_a_batch_that_does_not_fit_is_halved(atlas, monkeypatch):
    sizes = []
    original = gpu_maps.project_tsne_batch

    def small(starts, graphs, *, device):
        sizes.append(len(starts))
        if len(starts) > 1:
            raise torch.OutOfMemoryError("full")
        return original(starts, graphs, device=device)

    monkeypatch.setattr(gpu_maps, "project_tsne_batch", small)
    found = []
    lay_out(atlas, list(atlas.capture.cells[:2]), lambda place, *_: found.append(place))
    assert sizes == [2, 1, 1]
    assert len(found) == 4


def test_a_gpu_that_fails_leaves_the_maps_to_the_processor(atlas, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available")

    monkeypatch.setattr(gpu_maps, "project_tsne_batch", fail)
    sets = [map_set("tsne", 2, name="fails")]
    open_map_set(atlas, sets[0])
    monkeypatch.setattr(gpu_maps, "_batch_size", lambda *_: 2)
    finish_heads(atlas, sets, n_workers=1, device="cuda", report=lambda _: None)
    assert "no kernel image" in caplog.text
    cells = read_cells(atlas.capture.store, sets[0].key, atlas.capture.cells)
    assert all(cell["quality"] for cell in cells)
