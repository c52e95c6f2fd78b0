"""How one attention weight comes about, dimension by dimension."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from app import ids


def layout(**_query: str) -> Component:
    """Return the empty picture; the scripts fill it as soon as it is there."""
    return html.Div(
        [html.Div(id=ids.NEURON_VIEW, className="qk-view"), dcc.Store(ids.NEURON_READY, data=1)],
        className="qk-fill",
    )
