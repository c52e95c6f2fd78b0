"""Any heads of a layer on one input, as lines between tokens."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from app import ids


def layout(**_query: str) -> Component:
    """Return the empty picture; the scripts fill it as soon as it is there."""
    return html.Div(
        [html.Div(id=ids.LINES_VIEW, className="qk-view"), dcc.Store(ids.LINES_READY, data=1)],
        className="qk-fill",
    )
