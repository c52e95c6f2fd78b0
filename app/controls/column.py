"""The control column of the matrix and head pages: map, colour, find, show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import ids
from app.controls.elements import attributes, info
from app.controls.inspect import inspect_groups
from app.view_state import ENCODINGS
from pipeline.specs import DEFAULT_GUIDANCE, GUIDANCES

METHODS = (("tsne", "t-SNE"), ("umap", "UMAP"), ("pca", "PCA"))
NORMALISATIONS = (("faithful", "faithful"), ("paper", "paper"), ("none", "none"))
NAMES_OF_GUIDANCES = {0.0: "0, plain", DEFAULT_GUIDANCE: f"{DEFAULT_GUIDANCE:.0%}, default"}
# Until an atlas says which of them it has, and in which words.
COLOURINGS = [("type", "query or key"), *((name, name.replace("_", " ")) for name in ENCODINGS[1:])]
MANNERS = (
    ("word", "whole token"), ("prefix", "beginning"), ("substring", "part"),
    ("regex", "regular expression"),
)  # fmt: skip
HELP = {
    "Projection": "How the queries and keys of a head are laid out. t-SNE and UMAP keep near "
    "neighbours near; PCA keeps the two or three widest directions.",
    "Mode": "2-D, or 3-D to be turned with the mouse or the arrow keys.",
    "Scale": "Own: each head fills its cell. Common: all heads at one scale, so that sizes can be "
    "compared.",
    "Colour by": "What the colour of a point stands for. Norms are those before normalisation. "
    "Columns of your own file are at the end of the list. Parts of speech (English) are there when "
    "the packages of requirements-optional.txt are installed.",
    "Normalisation": "How queries and keys of a head are scaled before they are laid out. "
    "Faithful: so that distance follows attention best. Paper: keys centred, scale 1. None: raw.",
    "Guidance": "The share of real attention in t-SNE and UMAP: edges from queries to the keys "
    "they attend to, beside the neighbours. More makes near mean attended and keeps fewer "
    "neighbours.",
    "Norm scale": "Own: from the smallest to the largest norm of each head. Common: one scale for "
    "all heads, so that their colours can be compared.",
    "Palette": "Default can be told apart with every common kind of colour blindness; classic is "
    "that of the AttentionViz paper.",
    "Find tokens": "In any case; up to five terms with commas between them (regular expressions: "
    "with spaces), each with its own mark. Matches are drawn larger, queries and keys alike.",
    "Show": "Labels; attention lines of the chosen sequence (the two strongest keys of each "
    "query, from 0.05 on); marks sized by norm; when pointing at a point, rings around its 10 "
    "nearest in the space (strong) and on the map (grey).",
}


def control_column() -> Component:
    """Return the column; its values are set when a link is opened."""
    return html.Aside(
        [
            _group("Map", [
                _field("Projection", _segments(ids.METHOD, METHODS)),
                _field("Mode", _segments(ids.DIMS, ((2, "2-D"), (3, "3-D")))),
                _field("Normalisation", _segments(ids.NORMALISATION, NORMALISATIONS)),
                _field("Guidance", _choice(ids.GUIDANCE, [
                    (share, NAMES_OF_GUIDANCES.get(share, f"{share:.0%}")) for share in GUIDANCES
                ]), "qk-field-row"),
                _field("Scale", _segments(ids.SCALE, (("own", "own"), ("common", "common")), "own"),
                       "qk-of-matrix"),
            ]),
            _group("Colour", [
                _field("Colour by", _choice(ids.ENCODING, COLOURINGS)),
                _field("Norm scale", _segments(
                    ids.NORM_SCALE, (("own", "own"), ("common", "common")), "own"), "qk-of-norm"),
                _field("Palette",
                       _segments(ids.PALETTE, (("default", "default"), ("classic", "classic")))),
            ]),
            _group("Find", [_field("Find tokens", _search_box(), control_id=ids.SEARCH)]),
            _group("Show", [_field("Show", _show())], "qk-of-head"),
            html.Div(id=ids.LEGEND, className="qk-legend"),
            *inspect_groups(),
        ],
        className="qk-controls",
        **attributes(aria_label="controls"),
    )  # fmt: skip


def _group(title: str, children: Sequence[Component], class_name: str = "") -> Component:
    return html.Section([html.H2(title), *children], className=f"qk-group {class_name}".strip())


def _field(
    label: str, control: Component, class_name: str = "", control_id: str | None = None
) -> Component:
    named: dict[str, Any] = {"htmlFor": control_id} if control_id else {}
    title = html.Label(label, className="qk-label", **named)
    return html.Div(
        [html.Div([title, info(HELP[label])], className="qk-field-head"), control],
        className=f"qk-field {class_name}".strip(),
    )


def _segments(
    component_id: str, options: Sequence[tuple[str | int, str]], value: str | None = None
) -> Component:
    return dcc.RadioItems(
        id=component_id,
        options=[{"value": v, "label": label} for v, label in options],
        value=value,
        inline=True,
        className="qk-segmented",
    )


def _choice(
    component_id: str, options: Sequence[tuple[str | float, str]] = (), value: str | None = None
) -> Component:
    return dcc.Dropdown(
        id=component_id,
        options=[{"value": v, "label": label} for v, label in options],
        value=value,
        clearable=False,
        searchable=False,
    )


def _search_box() -> Component:
    return html.Div(
        [
            dcc.Input(
                id=ids.SEARCH,
                type="search",
                debounce=0.3,
                maxLength=200,
                placeholder="may, june",
                autoComplete="off",
            ),
            _choice(ids.MANNER, MANNERS, MANNERS[0][0]),
            html.Output(id=ids.SEARCH_COUNT, className="qk-count"),
        ],
        className="qk-search",
    )


def _show() -> Component:
    return dcc.Checklist(
        id=ids.SHOW,
        options=[],  # of the head that is shown: `show_options` in assets/70_session.js
        value=["lines", "pictures", "patches", "words"],
    )
