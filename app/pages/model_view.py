"""All heads of a model on one input."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from app import ids


def layout(**_query: str) -> Component:
    """Return the empty picture; the scripts fill it as soon as it is there."""
    return html.Div(
        [html.Div(id=ids.MODEL_VIEW, className="qk-view"), dcc.Store(ids.MODEL_VIEW_READY, data=1)],
        className="qk-fill",
    )
