"""Where an input of one's own is typed or dropped; `assets/47_live_input.js` fills it."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from app import ids


def live_panel() -> list[Component]:
    """Return the box beside a head, and below it the attention of what was typed."""
    return [
        html.Div(id=ids.LIVE_HEAD_BOX, className="qk-live-beside"),
        html.P(id=ids.LIVE_NOTE, className="qk-live-note", role="status"),
        html.Div(id=ids.LIVE_SENTENCE, hidden=True),
    ]
