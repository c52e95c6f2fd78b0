"""Search and legend."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from app import ids
from app.theme import ENCODINGS, PALETTES, THEMES, legend
from pipeline.errors import PipelineError
from pipeline.service import Service


def register(app: Dash, service: Service) -> None:
    """Connect the search box and the legend."""

    @app.callback(
        Output(ids.HITS, "data"),
        Output(ids.SEARCH_COUNT, "children"),
        Input(ids.SEARCH, "value"),
        Input(ids.ATLAS, "data"),
    )
    def find(query: Any, atlas: Any) -> tuple[list[int] | None, str]:
        return search(service, query, atlas)

    @app.callback(
        Output(ids.LEGEND, "children"),
        Input(ids.ENCODING, "value"),
        Input(ids.PALETTE, "value"),
        Input(ids.THEME, "data"),
    )
    def explain(encoding: Any, palette: Any, theme: Any) -> Any:
        if encoding not in ENCODINGS or palette not in PALETTES or theme not in THEMES:
            return []
        return [
            html.Div([html.Span(className="qk-swatch", style={"background": colour}), label])
            for label, colour in legend(encoding, palette, theme)
        ]


def search(service: Service, query: Any, atlas: Any) -> tuple[list[int] | None, str]:
    """Return the tokens that say a word, and their count in words; None for no search."""
    capture = atlas.get("capture") if isinstance(atlas, dict) else None
    if not isinstance(query, str) or not query.strip() or not isinstance(capture, str):
        return None, ""
    try:
        found = service.search(capture, query)
    except PipelineError as error:
        return None, str(error)
    return found, f"{len(found):,} {'token' if len(found) == 1 else 'tokens'}"
