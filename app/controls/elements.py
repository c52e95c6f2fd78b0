"""Small elements that several pages and controls use."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


def attributes(**values: str) -> dict[str, Any]:
    """Return HTML attributes whose names have hyphens: `aria_label` becomes `aria-label`."""
    return {name.replace("_", "-"): value for name, value in values.items()}


def icon(name: str) -> Component:
    """Return one of the icons in `assets/icons/`; it is a picture, its button needs a name."""
    return html.Span(className=f"qk-icon qk-icon-{name}", **attributes(aria_hidden="true"))


def info(text: str) -> Component:
    """Return an icon with an explanation behind it, for pointer and keyboard."""
    more = attributes(aria_label=text, data_text=text)
    return html.Span(icon("info-circle"), className="qk-info", tabIndex=0, role="note", **more)


def primary_button(text: str, component_id: str) -> Component:
    """Return the one button of a page or message that does what it is for."""
    kind = attributes(data_kind="primary")
    return html.Button(text, id=component_id, className="qk-button", type="button", **kind)
