"""The frame around all pages: header, controls, picture, detail panel, status line, stores."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dash
from dash import dcc, html
from dash.development.base_component import Component

from app import ids
from app.controls.column import control_column
from app.controls.elements import attributes, icon, primary_button
from app.controls.live_input import live_panel
from app.pages.views import view_containers
from app.theme import THEMES
from app.view_state import ViewState
from pipeline.specs import PARTS

POLL_MS = 500
DETAIL_TABS = (
    ("sequence", "Sequence"), ("aggregate", "Aggregate"), ("selection", "Selection"),
    ("live", "Live"), ("trust", "Trust"), ("vectors", "Vectors"),
)  # fmt: skip


def layout() -> Component:
    """Return the whole frame; pages appear in the picture."""
    return html.Div(
        [
            dcc.Location(id=ids.LOCATION, refresh="callback-nav"),
            _header(),
            html.Main(
                [control_column(), _picture(), _detail()], id=ids.FRAME, className="qk-frame"
            ),
            _status(),
            html.Div(id=ids.NOTICES, className="qk-toasts", role="status"),
            dcc.Interval(id=ids.TICK, interval=POLL_MS, disabled=True),
            dcc.Interval(id=ids.WEIGHTS_TICK, interval=POLL_MS, disabled=True),
            *_stores(),
        ],
        className="qk-app",
    )


def _header() -> Component:
    return html.Header(
        [
            html.A("QK Atlas", href="/", className="qk-brand"),
            html.Nav(
                [
                    dcc.Link("Matrix", href="/", id=ids.MATRIX_LINK),
                    dcc.Link("Head", href="/head", id=ids.HEAD_LINK),
                    _inspect_menu(),
                    dcc.Link("Build", href="/build"),
                    dcc.Link("About", href="/about"),
                ],
                className="qk-nav",
                **attributes(aria_label="pages"),
            ),
            html.Div(className="qk-spring"),
            html.Label(["model", dcc.Dropdown(id=ids.MODEL, clearable=False)]),
            html.Label(["corpus", dcc.Dropdown(id=ids.CORPUS, clearable=False)]),
            html.Label(
                [
                    "part",
                    dcc.Dropdown(
                        id=ids.PART, clearable=False, searchable=False,
                        options=[{"value": part, "label": part} for part in PARTS],
                    ),
                ],
                id=ids.PART_FIELD, hidden=True,
                title="what attends to what: encoder or decoder tokens among themselves, or "
                "decoder tokens (queries) to encoder tokens (keys); of a decoder that is shown "
                "images, its encoder of images, or the decoder with image and text",
            ),
            html.Span(id=ids.STATE_PILL, className="qk-pill", role="status"),
            html.Button(
                "copy link", id=ids.COPY_LINK, className="qk-button", type="button",
                title="a link that opens this view again",
            ),
            html.Button(
                "?", id=ids.HELP_BUTTON, className="qk-button qk-button-icon", type="button",
                title="keys and gestures", **attributes(aria_label="keys and gestures"),
            ),
            html.Button(
                icon("circle-half"), id=ids.THEME_BUTTON, className="qk-button qk-button-icon",
                type="button", title="light or dark", **attributes(aria_label="light or dark"),
            ),
        ],
        className="qk-header",
    )  # fmt: skip


def _inspect_menu() -> Component:
    links = html.Div(
        [
            dcc.Link("Model view", href="/inspect/model", id=ids.MODEL_VIEW_LINK),
            dcc.Link("Head view", href="/inspect/heads", id=ids.HEAD_VIEW_LINK),
            dcc.Link("Neuron view", href="/inspect/neurons", id=ids.NEURON_VIEW_LINK),
        ],
        className="qk-menu-list",
    )
    return html.Details(
        [html.Summary("Inspect"), links], id=ids.INSPECT_MENU, className="qk-nav-menu"
    )


def _picture() -> Component:
    missing = html.Div(
        [
            html.H2(id=ids.MISSING_TITLE),
            html.P(id=ids.MISSING_TEXT),
            html.P(id=ids.ESTIMATE, className="qk-estimate"),
            primary_button("Build it", ids.BUILD),
        ],
        id=ids.MISSING,
        className="qk-state",
        hidden=True,
    )
    return html.Section([missing, *view_containers(), dash.page_container], className="qk-picture")


def _detail() -> Component:
    return html.Aside(
        html.Div(
            [
                dcc.RadioItems(
                    id=ids.DETAIL_TAB,
                    options=[{"value": value, "label": label} for value, label in DETAIL_TABS],
                    value=DETAIL_TABS[0][0],
                    inline=True,
                    className="qk-segmented",
                ),
                html.Div(id=ids.SENTENCE_VIEW, className="qk-tab", **_tab("sequence")),
                html.Div(id=ids.IMAGE_VIEW, className="qk-tab", **_tab("sequence")),
                html.Div(
                    dcc.Link("inspect it in all heads", href="/inspect/heads", id=ids.INSPECT_LINK),
                    className="qk-tab qk-inspect-link",
                    **_tab("sequence"),
                ),
                html.Div(id=ids.AGGREGATE_VIEW, className="qk-tab", **_tab("aggregate")),
                html.Div(id=ids.SELECTION_VIEW, className="qk-tab", **_tab("selection")),
                html.Div(live_panel(), id=ids.LIVE_PANEL, className="qk-tab", **_tab("live")),
                html.Div(id=ids.TRUST, className="qk-tab", **_tab("trust")),
                html.Div(id=ids.NORMS, className="qk-tab", **_tab("vectors")),
                html.Div(id=ids.WEIGHTS, className="qk-tab", **_tab("vectors")),
            ],
            className="qk-detail-body",
        ),
        id=ids.DETAIL,
        className="qk-detail",
        **attributes(aria_label="details of the head"),
    )


def _status() -> Component:
    return html.Footer(
        [
            html.Span(id=ids.STATUS),
            html.Div(id=ids.LEFT_OUT),
            html.Div(className="qk-spring"),
            html.Span(id=ids.JOB_STATUS, role="status"),
            html.Progress(id=ids.JOB_BAR, className="qk-progress", hidden=True),
            html.Button("cancel", id=ids.CANCEL, className="qk-button", type="button", hidden=True),
            html.Button("go on", id=ids.GO_ON, className="qk-button", type="button", hidden=True),
        ],
        className="qk-status",
    )


def _tab(name: str) -> dict[str, Any]:
    return attributes(data_tab=name)


def _stores() -> list[Component]:
    values: dict[str, Any] = {
        ids.DEFAULTS: asdict(ViewState()), ids.THEME: THEMES[0], ids.PROGRESS: 0, ids.STAGE: "",
    }  # fmt: skip
    # Without data at first: one that holds None sets it again when it is mounted, which calls
    # every callback that reads it.
    empty = (
        ids.ATLAS, ids.HITS, ids.SOURCE, ids.INSPECT, ids.PLACE, ids.PICKED, ids.MADE, ids.JOB,
        ids.SOUGHT, ids.MEANT, ids.REPORTED,
    )  # fmt: skip
    return [
        *(dcc.Store(id=name, data=value) for name, value in values.items()),
        *(dcc.Store(id=name) for name in empty),
    ]
