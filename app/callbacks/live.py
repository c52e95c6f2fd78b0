"""Hands what is looked at to the boxes of live inputs; the rest is `assets/75_live.js`."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from app import ids


def register(app: Dash) -> None:
    """Connect the boxes, the attention of the live input, its points and the address."""
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "show_live"),
        Output(ids.LIVE_PANEL, "data-capture"),
        Input(ids.ATLAS, "data"), Input(ids.SOURCE, "data"), Input(ids.PLACE, "data"),
        Input(ids.PICKED, "data"),
        Input(ids.METHOD, "value"), Input(ids.DIMS, "value"), Input(ids.THEME, "data"),
        Input(ids.LOCATION, "pathname"), Input(ids.PROGRESS, "data"),
        Input(ids.HEAD_READY, "data", allow_optional=True),
    )  # fmt: skip
