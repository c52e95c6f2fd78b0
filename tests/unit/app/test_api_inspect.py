"""The routes of the inspect pages, read back as the browser reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from pipeline.captured import Capture
from pipeline.service import Service

N_SCORES = 9


@pytest.fixture
def capture(service: Service, tiny_atlas: dict[str, Any]) -> Capture:
    return service.atlas(tiny_atlas["atlas"]).capture


@pytest.fixture
def url(capture: Capture) -> str:
    return f"/api/{capture.record['key']}"


def fetch(client: FlaskClient, url: str, dtype: str = "<f4") -> np.ndarray:
    response = client.get(url)
    assert response.status_code == 200, response.text
    assert "immutable" in response.headers["Cache-Control"]
    return np.frombuffer(response.data, dtype=dtype)


def length(capture: Capture, sequence: int) -> int:
    return int(np.diff(capture.query_offset)[sequence])


def test_weights_of_a_layer_are_bytes_of_all_heads(client, url, capture):
    n = length(capture, 2)
    found = fetch(client, f"{url}/weights/2/1.u8", "u1").reshape(4, n, n)
    exact = np.stack([capture.attention(2, 1, head) for head in range(4)])
    assert np.abs(found / 255 - exact).max() <= 0.5 / 255 + 1e-6


def test_scores_of_a_layer_have_a_row_a_head(client, url):
    scores = fetch(client, f"{url}/weights/2/1/scores.f32").reshape(4, N_SCORES)
    assert (scores[:, 0] > 0).all()


def test_vectors_are_queries_then_keys(client, url, capture):
    n = length(capture, 1)
    found = fetch(client, f"{url}/neuron/1/0/3.f32").reshape(2 * n, 8)
    rows = slice(*capture.key_offset[1:3])
    assert np.array_equal(found[n:], capture.vectors(0, 3).keys[rows])


def test_of_long_texts_only_rows_in_view_are_fetched(client, url):
    whole = fetch(client, f"{url}/neuron/1/0/3.f32").reshape(-1, 8)
    some = fetch(client, f"{url}/neuron/1/0/3.f32?rows=2-5").reshape(-1, 8)
    keys = fetch(client, f"{url}/neuron/1/0/3.f32?rows=keys").reshape(-1, 8)
    assert np.array_equal(some, whole[2:5])
    assert np.array_equal(keys, whole[len(whole) // 2 :])


@pytest.mark.parametrize("rows", ["5-2", "0-9999", "x", "-1-2", ""])
def test_rows_that_are_not_there_are_refused(client, url, rows):
    response = client.get(f"{url}/neuron/1/0/3.f32?rows={rows}")
    assert response.status_code == 400
    assert "rows: found" in response.text


def test_a_head_says_what_shapes_its_logits(client, url, capture):
    found = client.get(f"{url}/neuron/0/3.json").json
    assert found["scaling"] == pytest.approx(capture.layers[0].scaling)
    assert (found["softcap"], found["sink"], found["has_terms"]) == (None, None, False)
    assert (found["key_head"], found["heads_of_key_head"]) == (3, [3])
    assert found["rotary"] == ["after"]


def test_a_head_without_mask_and_bias_has_no_terms(client, url):
    assert fetch(client, f"{url}/neuron/1/0/3/terms.f32").size == 0


def test_sequences_can_be_chosen_and_opened(client, url, capture):
    listed = client.get(f"{url}/sequences.json").json
    opened = client.get(f"{url}/sequence/1.json").json
    assert listed[1]["length"] == length(capture, 1) == len(opened["queries"]["text"])
    assert [layer["n_heads"] for layer in opened["layers"]] == [4, 4]


@pytest.mark.parametrize("path", [
    "sequence/99.json", "weights/99/0.u8", "weights/0/9.u8", "neuron/0/0/99.f32",
    "neuron/0/99.json", "neuron/0/9/0/terms.f32", "neuron/0/0/0.f32?rotary=before",
])  # fmt: skip
def test_what_is_not_there_is_answered_404(client, url, path):
    assert client.get(f"{url}/{path}").status_code == 404


def test_a_key_that_is_none_is_answered_404(client):
    assert client.get("/api/nonsense/sequences.json").status_code == 404
