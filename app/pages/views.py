"""The containers of all views. They stand in the frame: a page is turned to without the server."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from app import ids
from app.controls.elements import attributes

# Path -> name of its page.
PAGES = {
    "/": "Matrix", "/head": "Head", "/inspect/model": "Model view", "/inspect/heads": "Head view",
    "/inspect/neurons": "Neuron view",
}  # fmt: skip


def view_containers() -> list[Component]:
    """Return one hidden container a path; the scripts show that of the address and fill it."""
    parts: dict[str, list[Component]] = {
        "/": [
            html.H1("All heads", className="visually-hidden"),
            html.Div(id=ids.MATRIX_BAR, className="qk-bar"),
            _view(ids.MATRIX_VIEW),
        ],
        "/head": [
            html.Div(id=ids.HEAD_BAR, className="qk-bar qk-head-bar"),
            _view(ids.HEAD_VIEW),
        ],
        "/inspect/model": [_view(ids.MODEL_VIEW)],
        "/inspect/heads": [_view(ids.LINES_VIEW)],
        "/inspect/neurons": [_view(ids.NEURON_VIEW)],
    }
    return [
        html.Div(children, className="qk-fill", hidden=True, **attributes(data_path=path))
        for path, children in parts.items()
    ]


def layout(**_query: str) -> Component:
    """Return nothing: what these pages show stands in the frame."""
    return html.Div(hidden=True)


def _view(component_id: str) -> Component:
    return html.Div(id=component_id, className="qk-view")
