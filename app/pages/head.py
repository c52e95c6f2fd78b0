"""One head at large."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from app import ids


def layout(**_query: str) -> Component:
    """Return the empty title line and picture; the scripts fill them as soon as they are there."""
    return html.Div(
        [
            html.Div(id=ids.HEAD_BAR, className="qk-bar qk-head-bar"),
            html.Div(id=ids.HEAD_VIEW, className="qk-view"),
            dcc.Store(ids.HEAD_READY, data=1),
        ],
        className="qk-fill",
    )
