"""Hands what the controls and stores say to the scripts, which draw; see `assets/73_dash.js`."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State

from app import ids

# What opening a link sets, in the order of `outputs` in assets/70_opening.js.
OPENED = (
    (ids.MODEL, "options"), (ids.CORPUS, "options"), (ids.PART, "options"),
    (ids.ENCODING, "options"),
    (ids.MODEL, "value"), (ids.CORPUS, "value"), (ids.PART, "value"),
    (ids.NORMALISATION, "value"), (ids.GUIDANCE, "value"),
    (ids.METHOD, "value"), (ids.DIMS, "value"), (ids.ENCODING, "value"), (ids.PALETTE, "value"),
    (ids.PLACE, "data"), (ids.PICKED, "data"), (ids.INSPECT, "data"), (ids.NOTICES, "children"),
    (ids.ATLAS, "data"), (ids.PART_FIELD, "hidden"),
)  # fmt: skip


def register(app: Dash) -> None:
    """Connect controls and stores with the scripts."""
    _register_opening(app)
    _register_questions(app)
    _register_pages(app)
    _register_inspect(app)
    _register_buttons(app)


def _register_opening(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "open"),
        *(Output(*one) for one in OPENED),
        Input(ids.LOCATION, "search"),
        Input(ids.MODEL, "value"), Input(ids.CORPUS, "value"), Input(ids.PART, "value"),
        Input(ids.NORMALISATION, "value"), Input(ids.GUIDANCE, "value"), Input(ids.STAGE, "data"),
        State(ids.JOB, "data"),
        *(State(*one) for one in OPENED),
    )  # fmt: skip


def _register_questions(app: Dash) -> None:
    """Ask the server only where its answer can have changed: each request costs the page 10 ms."""
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "sought"),
        Output(ids.SOUGHT, "data"),
        Input(ids.SEARCH, "value"), Input(ids.MANNER, "value"), Input(ids.ATLAS, "data"),
        State(ids.SOUGHT, "data"),
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "meant"),
        Output(ids.MEANT, "data"),
        Input(ids.ENCODING, "value"), Input(ids.PALETTE, "value"), Input(ids.THEME, "data"),
        Input(ids.NORM_SCALE, "value"), Input(ids.ATLAS, "data"), Input(ids.PLACE, "data"),
        Input(ids.LOCATION, "pathname"), State(ids.MEANT, "data"),
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "reported"),
        Output(ids.REPORTED, "data"),
        Input(ids.DETAIL_TAB, "value"), Input(ids.PLACE, "data"), Input(ids.ATLAS, "data"),
        Input(ids.METHOD, "value"), Input(ids.DIMS, "value"), Input(ids.PALETTE, "value"),
        Input(ids.THEME, "data"), Input(ids.MADE, "data"), Input(ids.LOCATION, "pathname"),
        State(ids.REPORTED, "data"),
    )  # fmt: skip


def _register_pages(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "show"),
        Output(ids.MATRIX_LINK, "href"), Output(ids.HEAD_LINK, "href"),
        Output(ids.STATUS, "children"),
        Output(ids.MISSING, "hidden"), Output(ids.MISSING_TITLE, "children"),
        Output(ids.MISSING_TEXT, "children"),
        Output(ids.ESTIMATE, "children"), Output(ids.BUILD, "hidden"),
        Output(ids.STATE_PILL, "children"),
        Input(ids.LOCATION, "pathname"), Input(ids.ATLAS, "data"), Input(ids.METHOD, "value"),
        Input(ids.DIMS, "value"), Input(ids.ENCODING, "value"), Input(ids.PALETTE, "value"),
        Input(ids.SCALE, "value"), Input(ids.NORM_SCALE, "value"), Input(ids.SHOW, "value"),
        Input(ids.HITS, "data"),
        Input(ids.PLACE, "data"), Input(ids.PICKED, "data"), Input(ids.PROGRESS, "data"),
        Input(ids.THEME, "data"), State(ids.DEFAULTS, "data"),
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "page_of"),
        Output(ids.FRAME, "data-page"),
        Input(ids.LOCATION, "pathname"),
    )
    app.clientside_callback(
        ClientsideFunction("qk_atlas", "show_live"),
        Output(ids.LIVE_PANEL, "data-capture"),
        Input(ids.ATLAS, "data"), Input(ids.SOURCE, "data"), Input(ids.PLACE, "data"),
        Input(ids.PICKED, "data"),
        Input(ids.METHOD, "value"), Input(ids.DIMS, "value"), Input(ids.THEME, "data"),
        Input(ids.LOCATION, "pathname"), Input(ids.PROGRESS, "data"),
    )  # fmt: skip


def _register_inspect(app: Dash) -> None:
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
        State(ids.DEFAULTS, "data"),
    )  # fmt: skip


def _register_buttons(app: Dash) -> None:
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
