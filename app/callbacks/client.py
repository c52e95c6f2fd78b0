"""Hands what the controls and stores say to the scripts, which draw; see `assets/73_dash.js`."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State

from app import ids


def register(app: Dash) -> None:
    """Connect controls and stores with the scripts."""
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "show"),
        Output(ids.MATRIX_LINK, "href"), Output(ids.HEAD_LINK, "href"),
        Output(ids.STATUS, "children"),
        Output(ids.MISSING, "hidden"), Output(ids.MISSING_TITLE, "children"),
        Output(ids.MISSING_TEXT, "children"),
        Output(ids.BUILD, "hidden"), Output(ids.STATE_PILL, "children"),
        Input(ids.LOCATION, "pathname"), Input(ids.ATLAS, "data"), Input(ids.METHOD, "value"),
        Input(ids.DIMS, "value"), Input(ids.ENCODING, "value"), Input(ids.PALETTE, "value"),
        Input(ids.SCALE, "value"), Input(ids.NORM_SCALE, "value"), Input(ids.SHOW, "value"),
        Input(ids.HITS, "data"),
        Input(ids.PLACE, "data"), Input(ids.PICKED, "data"), Input(ids.PROGRESS, "data"),
        Input(ids.THEME, "data"), Input(ids.MATRIX_READY, "data", allow_optional=True),
        Input(ids.HEAD_READY, "data", allow_optional=True), State(ids.DEFAULTS, "data"),
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "page_of"),
        Output(ids.FRAME, "data-page"),
        Input(ids.LOCATION, "pathname"),
    )
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "toggle_theme"),
        Output(ids.THEME, "data"),
        Input(ids.THEME_BUTTON, "n_clicks"),
    )
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "toggle_help"),
        Output(ids.HELP_BUTTON, "n_clicks"),
        Input(ids.HELP_BUTTON, "n_clicks"),
    )
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "tab_of"),
        Output(ids.DETAIL, "data-tab"),
        Input(ids.DETAIL_TAB, "value"),
    )
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "copy_link"),
        Output(ids.COPY_LINK, "children"),
        Input(ids.COPY_LINK, "n_clicks"),
        prevent_initial_call=True,
    )
