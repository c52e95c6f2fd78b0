"""All heads of a model at once."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from app import ids


def layout(**_query: str) -> Component:
    """Return the empty picture; the scripts fill it as soon as it is there."""
    return html.Div(
        [
            html.H1("All heads", className="visually-hidden"),
            html.Div(id=ids.MATRIX_BAR, className="qk-bar"),
            html.Div(id=ids.MATRIX_VIEW, className="qk-view"),
            dcc.Store(ids.MATRIX_READY, data=1),
        ],
        className="qk-fill",
    )
