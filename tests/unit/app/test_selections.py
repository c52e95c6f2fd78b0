"""The routes of selections and of the maps of them, asked as the browser asks."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.callbacks.trust import name_of, show_selected
from app.view_state import parse, to_query
from pipeline.atlas import Atlas
from pipeline.reproject import make_remap
from pipeline.service import Service
from pipeline.specs import MapSpec, RemapSpec
from pipeline.store import Store


@pytest.fixture
def atlas(service: Service, tiny_atlas: dict[str, Any]) -> Atlas:
    return service.atlas(tiny_atlas["atlas"])


@pytest.fixture
def points(atlas: Atlas) -> Any:
    n = atlas.capture.n_queries
    return np.concatenate([np.arange(3, 20), n + np.arange(5, 30)]).astype("<u4")


@pytest.fixture
def selection(client: FlaskClient, atlas: Atlas, points: Any) -> str:
    response = client.post(f"/api/{atlas.key}/selection", data=points.tobytes())
    assert response.status_code == 200, response.text
    return str(response.get_json()["selection"])


def ask(client: FlaskClient, atlas: Atlas, selection: str, name: str = "pca_2") -> Any:
    return client.post(f"/api/{atlas.key}/head/1/2/selection/{selection}/{name}")


def test_a_stored_selection_gives_its_points(client, selection, points):
    response = client.get(f"/api/{selection}/selection.u32")
    assert np.array_equal(np.frombuffer(response.data, "<u4"), points)


def test_the_map_of_a_selection_comes_in_draw_order(client, atlas, selection, points):
    found = ask(client, atlas, selection).get_json()
    assert (found["state"], found["n_points"]) == ("ready", points.size)
    data = np.frombuffer(client.get(f"/api/{found['key']}/remap.u16").data, "<u2").reshape(-1, 2)
    frame = found["frame"]
    shown = data / 65535 * frame["span"] + np.array(frame["origin"])
    spec = RemapSpec(atlas.key, 1, 2, selection, MapSpec("pca", 2))
    record = make_remap(spec, atlas.capture.store)
    assert record["key"] == found["key"]
    order = atlas.capture.draw_order()
    kept = [int(np.searchsorted(points, point)) for point in order if point in set(points)]
    with np.load(io.BytesIO(client.get(f"/api/{found['key']}/remap.npz").data)) as arrays:
        assert np.allclose(shown, arrays["coordinates"][kept], atol=frame["span"] / 60_000)
        assert np.array_equal(arrays["points"], points)
        assert arrays["is_key"].sum() == 25
        assert json.loads(str(arrays["provenance"]))["selection"] == selection


def test_other_maps_are_queued_and_asked_for_once(client, service, atlas, selection):
    first = ask(client, atlas, selection, "umap_2").get_json()
    assert first["state"] == "queued"
    assert ask(client, atlas, selection, "umap_2").get_json()["state"] == "queued"
    jobs = [job for job in service.builds._jobs.list() if job.spec.get("selection") == selection]
    assert len(jobs) == 1


@pytest.mark.parametrize("name", ["magic_2", "pca_4", "pca_2?guidance=7"])
def test_maps_of_no_known_kind_are_not_there(client, atlas, selection, name):
    assert ask(client, atlas, selection, name).status_code == 404


def test_a_selection_that_is_gone_says_what_to_do(client, atlas):
    response = ask(client, atlas, "0" * 64)
    assert response.status_code == 404
    assert "draw it again" in response.text


@pytest.mark.parametrize("body", [b"abc", b"", np.arange(5, dtype="<u4").tobytes()])
def test_bodies_that_are_no_selection_are_refused(client, atlas, body):
    response = client.post(f"/api/{atlas.key}/selection", data=body)
    assert response.status_code in (400, 404)


def test_another_site_cannot_store_a_selection(client, atlas, points):
    response = client.post(
        f"/api/{atlas.key}/selection", data=points.tobytes(), headers={"Origin": "http://evil.org"}
    )
    assert response.status_code == 403


def test_the_trust_panel_tells_the_figures_of_the_selection(service, client, atlas, selection):
    found = ask(client, atlas, selection).get_json()
    panel = str(show_selected(service, found["key"]))
    assert "42 selected points" in panel
    value = found["quality"]["trustworthiness_at_10"]
    assert f"{value:.3f}" in panel
    assert "laid out" in str(show_selected(service, None))


def test_figures_have_words() -> None:
    assert name_of("space_per_query_rho") == "rho, per query, in space"
    assert name_of("new_figure") == "new figure"


def test_the_address_holds_a_selection_or_none() -> None:
    state, notices = parse({"selection": "a" * 64})
    assert (state.selection, notices) == ("a" * 64, [])
    assert to_query(state) == f"selection={'a' * 64}"
    state, notices = parse({"selection": "<script>"})
    assert state.selection is None
    assert "64 hex digits" in notices[0]


def test_a_selection_of_another_corpus_is_refused(
    client: FlaskClient, atlas: Atlas, tiny_store: Store
) -> None:
    key = "f" * 64
    points = tiny_store.put_array(np.arange(20)).to_json()
    tiny_store.put_record(key, {"kind": "selection", "key": key, "capture": "0" * 64,
                                "n_points": 20, "objects": {"points": points}})  # fmt: skip
    response = ask(client, atlas, key)
    assert response.status_code == 404
    assert "another corpus" in response.text
