"""By what heads order patches is measured once for an atlas of images, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atlas import read_atlas
from pipeline.build import find_built
from pipeline.orders import order_key, order_stage, properties_of, read_orders
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.conftest import build


def test_every_head_of_an_image_atlas_has_figures_within_0_and_1(
    tiny_store: Store, image_atlas: dict[str, Any]
) -> None:
    orders = read_orders(tiny_store, image_atlas["atlas"])
    assert orders is not None
    assert len(orders) == 8
    for head in orders:
        assert {"order_hue", "order_row", "order_neighbour_patches"} <= head.keys()
        assert "order_frequency" not in head  # gradients have none
        assert all(0 <= figure <= 1 for figure in head.values())


def test_an_atlas_of_texts_has_no_orders(tiny_store: Store, tiny_atlas: dict[str, Any]) -> None:
    assert read_orders(tiny_store, tiny_atlas["atlas"]) is None


def test_the_frequency_of_waves_is_that_of_their_column(tiny_store: Store, hub_cache: Path) -> None:
    found = build(tiny_store, hub_cache, model="tiny/vit", corpus="waves", limit=6,
                  methods=("pca",), dims=(2,))  # fmt: skip
    capture = read_atlas(tiny_store, found["atlas"]).capture
    [frequency] = [p for p in properties_of(capture) if p.name == "frequency"]
    column = np.array(capture.record["corpus"]["columns"]["frequency"])
    is_patch = capture.tokens.row >= 0
    assert np.isnan(frequency.values[~is_patch]).all()
    expected = np.log2(column)[capture.tokens.sequence_index[is_patch]]
    assert np.array_equal(frequency.values[is_patch, 0], expected)


def test_an_atlas_without_orders_is_not_complete_and_a_second_build_adds_them(
    tiny_store: Store, hub_cache: Path, image_atlas: dict[str, Any]
) -> None:
    key = image_atlas["atlas"]
    before = tiny_store.get_record(order_key(key))
    tiny_store.forget(order_key(key))
    spec = AtlasSpec("tiny/vit", "gradients", limit=8, methods=("pca",), dims=(2,))
    assert find_built(spec, tiny_store, hub_cache=hub_cache) is None
    order_stage(read_atlas(tiny_store, key), lambda _: None)
    assert tiny_store.get_record(order_key(key)) == before
    assert find_built(spec, tiny_store, hub_cache=hub_cache) is not None
