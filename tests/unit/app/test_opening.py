"""What pages start from: the routes that open links and atlases."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from app.callbacks.client import OPENED
from app.view_state import INSPECT_FIELDS, ViewState


def test_a_link_opens_its_atlas_and_says_what_of_it_cannot_be(
    client: FlaskClient, tiny_atlas: dict[str, Any], tiny_corpus: Path
) -> None:
    query = {"model": "tiny/bert", "corpus": str(tiny_corpus), "layer": 1, "head": 3, "dims": 4}
    answer = client.get(f"/api/open?{urlencode(query)}")
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json
    assert found["atlas"]["atlas"] == tiny_atlas["atlas"]
    assert (found["view"]["layer"], found["view"]["head"], found["view"]["dims"]) == (1, 3, 2)
    assert found["view"]["method"] == "pca", "the usual t-SNE maps are not there"
    assert found["notices"] == [
        "The address asks for dims '4', expected one of 2, 3. Shown instead: 2."
    ]
    assert set(found["inspect"]) == set(INSPECT_FIELDS)
    assert found["models"]["tiny/bert"] == "tiny/bert"
    assert found["job"] is None


def test_an_atlas_is_opened_by_names_that_no_link_may_hold(client: FlaskClient) -> None:
    names = {"model": "odd (name), twice", "corpus": "pairs", "guidance": "0.08"}
    found = client.get(f"/api/atlas?{urlencode(names)}").json["atlas"]
    assert found["missing"] == "There is no atlas of odd (name), twice on pairs yet."
    assert found["guidance"] == pytest.approx(0.08)
    assert found["estimate"] == "", "nothing is known of this model"


def test_the_cost_is_told_of_an_atlas_that_can_be_built(client: FlaskClient) -> None:
    found = client.get("/api/atlas?model=gpt2&corpus=pairs").json["atlas"]
    assert "heads with about" in found["estimate"]


@pytest.mark.parametrize("value", ["", "x" * 5000, "\x00", "null", "../.."])
def test_nonsense_opens_the_usual_view(client: FlaskClient, value: str) -> None:
    usual = ViewState()
    names = dict.fromkeys(("normalisation", "guidance", "part"), value)
    for route in ("open", "atlas"):
        found = client.get(f"/api/{route}?{urlencode(names)}").json["atlas"]
        assert (found["normalisation"], found["part"]) == (usual.normalisation, usual.part)
        assert found["guidance"] == usual.guidance


def test_scripts_and_server_agree_on_what_is_opened(client: FlaskClient) -> None:
    with client.get("/assets/70_opening.js") as answer:
        script = answer.text
    block = script[script.index("const outputs = [") : script.index("];")]
    names = block.split("[")[1].replace('"', "").replace(",", " ").split()
    # The four menus come first; the rest are values of the same names.
    words = [component.rpartition("-")[2] for component, _ in OPENED]
    assert len(names) == len(OPENED)
    assert names[4:15] + names[16:18] == words[4:15] + words[16:18]
