"""The inspect pages: what the address says of them; the rest is `assets/74_inspect_pages.js`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from dash import ClientsideFunction, Dash, Input, Output, State

from app import ids
from app.view_state import OF_INSPECT, parse


def register(app: Dash) -> None:
    """Connect the address, the input and the three views."""
    app.callback(Output(ids.INSPECT, "data"), Input(ids.LOCATION, "search"))(options_of)
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "source_of"),
        Output(ids.SOURCE, "data"),
        Input(ids.ATLAS, "data"), Input(ids.LOCATION, "search"),
        State(ids.SOURCE, "data"),
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "show_inspect"),
        Output(ids.MODEL_VIEW_LINK, "href"), Output(ids.HEAD_VIEW_LINK, "href"),
        Output(ids.NEURON_VIEW_LINK, "href"), Output(ids.INSPECT_LINK, "href"),
        Input(ids.LOCATION, "pathname"), Input(ids.SOURCE, "data"), Input(ids.INSPECT, "data"),
        Input(ids.ATLAS, "data"), Input(ids.METHOD, "value"), Input(ids.DIMS, "value"),
        Input(ids.ENCODING, "value"), Input(ids.PALETTE, "value"), Input(ids.PLACE, "data"),
        Input(ids.PICKED, "data"), Input(ids.THEME, "data"),
        Input(ids.MODEL_VIEW_READY, "data", allow_optional=True),
        Input(ids.LINES_READY, "data", allow_optional=True),
        Input(ids.NEURON_READY, "data", allow_optional=True),
        State(ids.DEFAULTS, "data"),
    )  # fmt: skip


def options_of(search: Any) -> dict[str, Any]:
    """Return filters and orders of the three views from the query of an address."""
    text = search.removeprefix("?") if isinstance(search, str) else ""
    state, _ = parse(dict(parse_qsl(text)))
    fields = asdict(state)
    return {name: fields[name] for name in OF_INSPECT}
