"""What an address shows that is none of the pages."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component


def layout(**_query: str) -> Component:
    """Say so, and where one may have wanted to go."""
    return html.Div(
        [
            html.H1("There is no such page"),
            html.P("The address names none of the pages, which stand in the bar above."),
            html.P(dcc.Link("All heads of the model", href="/")),
        ],
        className="qk-page qk-prose",
    )
