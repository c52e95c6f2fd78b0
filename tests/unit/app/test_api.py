"""The binary routes, read back as the browser reads them."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.api.captures import encoding_bytes, norm_bytes
from app.api.maps import shorten
from app.theme import lookup_table
from app.view_state import ENCODINGS
from pipeline.atlas import Atlas, read_cells, read_coordinates
from pipeline.encodings import Encoding
from pipeline.service import Service
from pipeline.store import Store


@pytest.fixture
def atlas(service: Service, tiny_atlas: dict[str, Any]) -> Atlas:
    return service.atlas(tiny_atlas["atlas"])


@pytest.fixture
def capture_url(atlas: Atlas) -> str:
    return f"/api/{atlas.record['capture']}"


@pytest.fixture
def map_key(service: Service, atlas: Atlas) -> str:
    return str(service.map_sets(atlas.key)["pca", 3]["key"])


def fetch(client: FlaskClient, url: str, dtype: str = "u1") -> np.ndarray:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return np.frombuffer(response.data, dtype=np.dtype(dtype))


def test_the_order_is_a_permutation_of_all_points(client, capture_url, atlas):
    order = fetch(client, f"{capture_url}/order.u32", "<u4")
    assert np.array_equal(np.sort(order), np.arange(2 * atlas.capture.n_tokens))


def test_attributes_tell_side_and_position_in_draw_order(client, capture_url, atlas):
    n = atlas.capture.n_tokens
    order = fetch(client, f"{capture_url}/order.u32", "<u4")
    side, position, modulo = (
        fetch(client, f"{capture_url}/attribute/{name}.u8")
        for name in ("type", "position", "position_mod_5")
    )
    assert np.array_equal(side, order >= n)
    token_index = atlas.capture.tokens.token_index[order % n]
    assert np.array_equal(modulo, token_index % 5 + 5 * side)
    assert (position[(token_index == 0) & (side == 0)] == 0).all()
    assert position[side == 1].min() == 128
    assert position.max() == 254


def test_every_encoding_of_the_menu_can_be_fetched(client, capture_url, atlas, service):
    names = service.encodings(atlas.record["capture"])
    assert names.keys() < set(ENCODINGS)
    for name in names.keys() - {"norm"}:
        assert (
            fetch(client, f"{capture_url}/attribute/{name}.u8").size == 2 * atlas.capture.n_tokens
        )


def test_points_without_a_value_get_the_last_value_of_their_side(atlas):
    values = np.full(atlas.capture.n_tokens, np.nan)
    found = encoding_bytes(Encoding("sequential", values), atlas.capture)
    assert set(found.tolist()) == {127, 255}


def test_the_nearest_points_are_those_of_the_space(client, atlas):
    points = atlas.unit_points(1, 2)
    found = fetch(client, f"/api/{atlas.key}/head/1/2/near/7.u32", "<u4")
    distance = np.linalg.norm(points - points[7], axis=1)
    distance[7] = np.inf
    assert len(set(found.tolist())) == 10
    assert np.allclose(np.sort(distance)[:10], distance[found], atol=1e-5)


def test_a_head_can_be_taken_along_with_its_provenance(client, atlas):
    response = client.get(f"/api/{atlas.key}/head/1/2/vectors.npz")
    arrays = np.load(io.BytesIO(response.data))
    assert np.array_equal(arrays["keys"], atlas.capture.vectors(1, 2).keys)
    assert arrays["pca_3d"].shape == (2 * atlas.capture.n_tokens, 3)
    facts = json.loads(str(arrays["provenance"]))
    assert (facts["layer"], facts["head"], facts["model"], facts["seed"]) == (1, 2, "tiny/bert", 0)


def test_norms_of_all_heads_begin_like_those_of_one(client, capture_url, atlas):
    n = 2 * atlas.capture.n_tokens
    all_heads = fetch(client, f"{capture_url}/norms.u8").reshape(8, n)
    one = fetch(client, f"{capture_url}/head/1/2/norms.u8")
    assert np.array_equal(all_heads[6], one)
    prefix = fetch(client, f"{capture_url}/norms.u8?m=256").reshape(8, -1)
    assert np.array_equal(prefix, all_heads[:, :256])


def test_coordinates_come_back_to_a_65535th_of_the_span(client, map_key, atlas, tiny_store: Store):
    cells = client.get(f"/api/{map_key}/cells.json").json
    assert cells["complete"]
    assert cells["dims"] == 3
    frame = cells["cells"][5]
    assert (frame["layer"], frame["head"]) == (1, 1)
    found = fetch(client, f"/api/{map_key}/head/1/1.u16", "<u2").reshape(-1, 3)
    [cell] = read_cells(tiny_store, map_key, [(1, 1)])
    assert cell is not None
    expected = read_coordinates(tiny_store, cell)[atlas.capture.draw_order()]
    restored = np.array(frame["origin"]) + found / 65535 * frame["span"]
    np.testing.assert_allclose(restored, expected, atol=frame["span"] / 65535)


def test_the_overview_holds_every_head(client, map_key, atlas):
    n = 2 * atlas.capture.n_tokens
    overview = fetch(client, f"/api/{map_key}/overview.u8").reshape(8, n, 3)
    assert np.array_equal(overview[5], fetch(client, f"/api/{map_key}/head/1/1.u8").reshape(n, 3))
    prefix = fetch(client, f"/api/{map_key}/overview.u8?m=256").reshape(8, -1, 3)
    assert np.array_equal(prefix, overview[:, :256])


def test_quality_figures_are_told_with_the_cells(client, map_key):
    quality = client.get(f"/api/{map_key}/cells.json").json["cells"][0]["quality"]
    assert {"trustworthiness_at_10", "recall_at_10", "spearman", "per_query_rho", "mixing_queries",
            "mixing_keys", "space_spearman"} <= quality.keys()  # fmt: skip


def test_attention_is_that_of_the_capture(client, capture_url, atlas):
    weights = atlas.capture.attention(3, 1, 2)
    found = fetch(client, f"{capture_url}/attention/3/1/2.f32", "<f4")
    assert np.array_equal(found.reshape(weights.shape), weights)


def test_tokens_are_told_once_for_all_heads(client, capture_url, atlas):
    tokens = client.get(f"{capture_url}/tokens.json").json
    assert tuple(tokens["text"]) == atlas.capture.tokens.token_text
    assert len(tokens["sequences"]) == 9
    assert sum(one["length"] for one in tokens["sequences"]) == len(tokens["text"])


def test_colours_are_those_of_the_theme(client):
    found = fetch(client, "/api/lut/classic/dark.u8").reshape(5, 256, 4)
    assert np.array_equal(found, lookup_table("classic", "dark"))


def test_what_never_changes_may_be_kept_for_a_year(client, capture_url):
    first = client.get(f"{capture_url}/order.u32")
    assert "immutable" in first.headers["Cache-Control"]
    again = client.get(f"{capture_url}/order.u32", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/api/{}/order.u32".format("0" * 64),
        "/api/../order.u32",
        "/api/..%2f..%2fetc%2fpasswd/order.u32",
        "/api/abc/cells.json",
        "/api/{capture}/cells.json",
        "/api/{map}/order.u32",
        "/api/{capture}/attention/99/0/0.f32",
        "/api/{capture}/attention/0/9/0.f32",
        "/api/{capture}/attention/-1/0/0.f32",
        "/api/{capture}/image/0.png",
        "/api/{capture}/attribute/norm.u8",
        "/api/{capture}/attribute/row.u8",
        "/api/{capture}/head/0/0/near/0.u32",
        "/api/{atlas}/head/0/0/near/99999.u32",
        "/api/{map}/head/0/9.u16",
        "/api/{map}/head/0/0.u32",
        "/api/lut/default/pink.u8",
    ],
)
def test_what_is_not_there_is_not_found(client, capture_url, map_key, atlas, path):
    path = path.replace("{atlas}", atlas.key)
    url = path.replace("/api/{capture}", capture_url).replace("{map}", map_key)
    assert client.get(url).status_code == 404


def test_another_prefix_is_refused(client, map_key):
    response = client.get(f"/api/{map_key}/overview.u8?m=17")
    assert response.status_code == 400
    assert "256" in response.text


def test_shortened_numbers_span_the_frame():
    frame = {"origin": [0.0, 0.0], "span": 2.0}
    corners = np.array([[0, 0], [2, 1], [1, 2]], dtype=np.float32)
    assert shorten(corners, frame, "u8").tolist() == [[0, 0], [255, 128], [128, 255]]


def test_equal_norms_do_not_divide_by_zero():
    assert norm_bytes(np.ones(4, dtype=np.float32), np.arange(4), 2).tolist() == [0, 0, 128, 128]


def test_health_needs_nothing_and_readiness_the_worker(client):
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_what_a_colour_says_of_each_token_comes_in_words(client, capture_url, atlas):
    found = client.get(f"{capture_url}/attribute/token_length.json").get_json()
    words = [found["words"][number] for number in found["of_token"]]
    lengths = [len(text.removeprefix("##")) for text in atlas.capture.tokens.token_text]
    assert [int(one.split()[0]) for one in words] == lengths
    assert client.get(f"{capture_url}/attribute/nothing.json").status_code == 404
