"""The routes of values, layers and means by position, read back as the browser reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from pipeline.aggregate import aggregate
from pipeline.captured import Capture
from pipeline.service import Service


@pytest.fixture
def capture(service: Service, tiny_atlas: dict[str, Any]) -> Capture:
    return service.atlas(tiny_atlas["atlas"]).capture


@pytest.fixture
def url(capture: Capture) -> str:
    return f"/api/{capture.record['key']}"


def fetch(client: FlaskClient, url: str) -> np.ndarray:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return np.frombuffer(response.data, dtype="<f4")


def test_norms_of_values_are_those_that_were_captured(client, url, capture):
    found = fetch(client, f"{url}/values/3/1/2.f32").reshape(2, -1)
    assert np.array_equal(found, capture.value_norms(3, 1, 2))
    assert (found > 0).all()


def test_a_mean_by_position_comes_with_its_counts(client, url, capture):
    expected = aggregate(capture, 1, 2)
    n_queries, n_keys = expected.means.shape
    found = fetch(client, f"{url}/aggregate/1/2.f32").reshape(n_queries, n_keys + 1)
    assert np.array_equal(found[:, :-1], expected.means)
    assert np.array_equal(found[:, -1], expected.counts)


def test_weighting_and_what_is_left_out_are_read_from_the_address(client, url, capture):
    expected = aggregate(
        capture, 0, 1, weighting="transformed", left_out=["start", "separators"]
    )  # fmt: skip
    address = f"{url}/aggregate/0/1.f32?weighting=transformed&without=start,separators"
    found = fetch(client, address).reshape(expected.means.shape[0], -1)
    assert np.array_equal(found[:, :-1], expected.means)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("values/99/0/0.f32", 404, "sequence: found 99"),
        ("values/0/0/9.f32", 404, "head: found 9"),
        ("aggregate/9/0.f32", 404, "layer: found 9"),
        ("aggregate/0/0.f32?without=nouns", 404, "without: found 'nouns'"),
        ("aggregate/0/0.f32?weighting=more", 404, "weighting: found 'more'"),
        ("aggregate/0/0.f32?without=" + ",".join("abcdefghi"), 400, "found 9 kinds"),
    ],
)
def test_what_is_not_there_is_named(client, url, path, status, words):
    response = client.get(f"{url}/{path}")
    assert response.status_code == status
    assert words in response.text


def test_layers_say_what_is_known_of_their_values(client, url):
    rows = client.get(f"{url}/layers.json").json
    assert (
        rows
        == [{"has_values": True, "has_transformed": True, "no_values": "", "has_sinks": False}] * 2
    )


def test_tokens_tell_to_which_text_of_a_pair_they_belong(client, url, capture):
    assert client.get(f"{url}/tokens.json").json["segment"] == [0] * capture.n_tokens
