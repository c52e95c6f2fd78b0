"""Says what of a corpus is not in an atlas, and why."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from app import ids

SHOWN = 50


def register(app: Dash) -> None:
    """Connect the list with the atlas."""

    @app.callback(Output(ids.LEFT_OUT, "children"), Input(ids.ATLAS, "data"))
    def tell(atlas: Any) -> Any:
        return draw_left_out(atlas.get("left_out") if isinstance(atlas, dict) else None)


def draw_left_out(notes: Any) -> Any:
    """Return a list that opens; nothing where nothing was left out."""
    if not isinstance(notes, list) or not notes:
        return None
    words = "1 note on what was left out" if len(notes) == 1 else (
        f"{len(notes):,} notes on what was left out")  # fmt: skip
    rows = [html.Li(str(note)) for note in notes[:SHOWN]]
    if len(notes) > SHOWN:
        rows.append(html.Li(f"and {len(notes) - SHOWN:,} more"))
    return html.Details([html.Summary(words), html.Ul(rows)], className="qk-left-out")
