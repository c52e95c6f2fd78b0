"""The control column of the inspect pages: which input, and what the picture means."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from app import ids


def inspect_groups() -> list[Component]:
    """Return what stands in the column on the inspect pages; the scripts fill it."""
    return [
        html.Section(
            [html.H2("Input"), html.Div(id=ids.LIVE_BOX), html.Div(id=ids.CHOOSER)],
            id=ids.INSPECT_INPUT,
            className="qk-group qk-of-inspect",
        ),
        html.Div(id=ids.INSPECT_LEGEND, className="qk-inspect-legend qk-of-inspect"),
    ]
