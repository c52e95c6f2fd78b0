"""What the routes tell of atlases of images."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.callbacks.find import meaning, search
from app.opening import describe
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


def test_patches_are_found_and_coloured_by_their_label_and_the_page_says_where_from(
    client: FlaskClient, service: Service, image_atlas: dict[str, Any]
) -> None:
    atlas = describe(service, "tiny/vit", "gradients", "faithful")
    url = f"/api/{atlas['capture']}"
    labels = client.get(f"{url}/tokens.json?labels={atlas['labels']['fingerprint']}").json["label"]
    hits, count = search(service, "green", "word", atlas["capture"])
    assert hits == [{"term": "green", "tokens": [i for i, x in enumerate(labels) if x == "green"]}]
    assert count == f"{labels.count('green')} tokens"
    assert labels.count("green") > 3
    ramp, words = meaning(service, "label", atlas["capture"], None, common=False)
    assert ramp == "discrete"
    assert "green" in words
    assert words[-1] == "no label"
    colours = client.get(f"{url}/attribute/label.u8")
    assert len(colours.data) == 2 * len(labels)
    assert "immutable" not in colours.headers["Cache-Control"]
    assert atlas["labels"]["source"] == "by construction: the pattern that was drawn there"


def test_texts_have_no_patch_labels(
    client: FlaskClient, service: Service, tiny_atlas: dict[str, Any]
) -> None:
    capture = service.atlas(tiny_atlas["atlas"]).record["capture"]
    assert client.get(f"/api/{capture}/tokens.json").json["label"] is None
    assert "label" not in service.encodings(capture)
    assert client.get(f"/api/{capture}/attribute/label.u8").status_code == 404
