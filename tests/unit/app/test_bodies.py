"""Callback requests that no page of ours sends."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.bodies import find_fault
from tests.soak.request_parts import CALLBACKS, body_of


@pytest.fixture
def callback(client: FlaskClient) -> dict[str, Any]:
    callbacks = client.get("/_dash-dependencies").json
    return next(
        one
        for one in callbacks
        if one["output"] == "..shell-hits.data...controls-search-count.children.."
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"output": "none.of-ours"}, "output is none of ours"),
        ({"output": 7}, "output is none of ours"),
        ({"outputs": None}, "outputs are not those"),
        ({"inputs": []}, "inputs are not those"),
        ({"inputs": [1, 2]}, "inputs are not those"),
        ({"inputs": {"id": "x"}}, "inputs are not those"),
        ({"state": [{"id": "x", "property": "data"}]}, "state are not those"),
        ({"changedPropIds": [{}]}, "changedPropIds is not a list of texts"),
    ],
)
def test_a_request_of_the_wrong_shape_is_refused_in_words(
    client: FlaskClient, callback: dict[str, Any], change: dict[str, Any], fault: str
) -> None:
    body = body_of(callback, lambda _: None)
    assert client.post(CALLBACKS, json=body).status_code == 200
    answer = client.post(CALLBACKS, json=body | change)
    assert answer.status_code == 400
    assert fault in answer.text


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(client: FlaskClient, data: bytes) -> None:
    answer = client.post(CALLBACKS, data=data, content_type="application/json")
    assert (answer.status_code, "not a JSON object" in answer.text) == (400, True)


@pytest.mark.parametrize("path", [7, "head", ["/"], True])
def test_an_address_that_is_none_is_refused(client: FlaskClient, path: Any) -> None:
    callbacks = client.get("/_dash-dependencies").json
    pages = next(one for one in callbacks if one["inputs"][0]["id"] == "_pages_location")
    for value, status in ((path, 400), ("/head", 200)):
        body = body_of(pages, {"_pages_location": value}.get)
        body["inputs"][1]["value"] = ""
        assert client.post(CALLBACKS, json=body).status_code == status


def test_components_that_come_in_any_number_may_come_as_a_list() -> None:
    name = {"id": '{"kind":["ALL"]}', "property": "value"}
    known = {"callback": print, "output": [], "inputs": [name], "state": []}
    body = {"output": "....", "outputs": [], "inputs": [[{"id": {"kind": 1}}]]}
    assert find_fault(body, {"....": known}) is None


def test_a_fault_of_ours_is_answered_by_a_number_that_the_log_has(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("private words")

    monkeypatch.setattr("app.api.lookup_table", fail)
    answer = client.get("/api/lut/classic/dark.u8")
    assert answer.status_code == 500
    assert answer.text.startswith("Something went wrong (error ")
    assert "private words" not in answer.text
    assert answer.text.split("error ")[1].rstrip(").\n") in caplog.text
