"""What the routes tell of atlases of images."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from pipeline.orders import order_key, read_orders
from pipeline.service import Service
from pipeline.store import Store


@pytest.fixture
def map_key(service: Service, image_atlas: dict[str, Any]) -> str:
    return str(service.map_sets(image_atlas["atlas"])["pca", 2]["key"])


def test_the_cells_tell_by_what_each_head_orders_patches(
    client: FlaskClient, map_key: str, tiny_store: Store, image_atlas: dict[str, Any]
) -> None:
    response = client.get(f"/api/{map_key}/cells.json")
    orders = read_orders(tiny_store, image_atlas["atlas"])
    assert orders is not None
    cells = response.json["cells"]
    assert len(cells) == len(orders) == 8
    for cell, order in zip(cells, orders, strict=True):
        assert cell["quality"].items() >= order.items()
    assert "immutable" in response.headers["Cache-Control"]


def test_cells_whose_orders_are_still_to_come_are_not_kept(
    client: FlaskClient, map_key: str, tiny_store: Store, image_atlas: dict[str, Any]
) -> None:
    key = order_key(image_atlas["atlas"])
    record = tiny_store.get_record(key)
    assert record is not None
    tiny_store.forget(key)
    assert client.get(f"/api/{map_key}/cells.json").headers["Cache-Control"] == "no-store"
    tiny_store.put_record(key, record)
