"""Refuses callback requests that none of our pages could have sent, before Dash looks at them.

Values may still be anything: each callback checks its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from dash import Dash

ENDPOINT = "/_dash-update-component"


def refuse_malformed(app: Dash) -> None:
    """Answer 400 to a callback request of the wrong shape."""

    @app.server.before_request
    def refuse() -> flask.Response | None:
        if flask.request.endpoint != ENDPOINT or flask.request.method != "POST":
            return None
        fault = find_fault(flask.request.get_json(silent=True), app.callback_map)
        if fault is None:
            return None
        message = f"This request has no use here: {fault}. Load the page again.\n"
        return flask.Response(message, 400, mimetype="text/plain")


def find_fault(body: Any, callbacks: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the body of a callback request, None if nothing is.

    Parameters
    ----------
    callbacks : Dash's `callback_map`: output -> description.
    """
    if not isinstance(body, dict):
        return "its body is not a JSON object"
    output = body.get("output")
    callback = callbacks.get(output) if isinstance(output, str) else None
    if callback is None or "callback" not in callback:
        return "its output is none of ours"
    given = body.get("outputs")
    outputs = callback["output"]
    single = not isinstance(outputs, list | tuple)
    expected = [
        {"id": one.component_id, "property": one.component_property}
        for one in ([outputs] if single else outputs)
    ]
    for name, found, known in (
        ("outputs", [given] if single else given, expected),
        ("inputs", body.get("inputs"), callback["inputs"]),
        ("state", body.get("state", []), callback["state"]),
    ):
        if not _is_like(found, known):
            return f"its {name} are not those of the callback"
    if not all(_is_address(one) for one in [*body["inputs"], *body.get("state", [])]):
        return "an address in it is none"
    changed = body.get("changedPropIds", [])
    if not (isinstance(changed, list) and all(isinstance(one, str) for one in changed)):
        return "changedPropIds is not a list of texts"
    return None


def _is_like(found: Any, known: list[dict[str, str]]) -> bool:
    """Tell whether a list names the known components and properties, in this order."""
    if not isinstance(found, list) or len(found) != len(known):
        return False
    return all(
        _is_pattern(wanted["id"]) or (isinstance(one, dict) and _name(one) == _name(wanted))
        for one, wanted in zip(found, known, strict=True)
    )


def _is_address(one: Any) -> bool:
    """Tell whether a value that Dash itself reads, the address of a page, is one."""
    if not isinstance(one, dict) or one.get("property") not in ("pathname", "search"):
        return True
    start = "/" if one["property"] == "pathname" else ""
    value = one.get("value")
    return value is None or (isinstance(value, str) and value.startswith(start))


def _is_pattern(component_id: Any) -> bool:
    """Tell whether an id stands for any number of components, which come as a list."""
    return isinstance(component_id, dict) or str(component_id).startswith("{")


def _name(one: Mapping[str, Any]) -> tuple[Any, str]:
    # What several callbacks may set carries a hash: "children@68b8ed8d".
    return one.get("id"), str(one.get("property")).partition("@")[0]
