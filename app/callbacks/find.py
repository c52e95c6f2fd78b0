"""Search and legend."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from app import ids
from app.theme import DISCRETE, PALETTES, THEMES, legend
from app.view_state import ENCODINGS
from pipeline.errors import PipelineError
from pipeline.service import Service


def register(app: Dash, service: Service) -> None:
    """Connect the search box and the legend."""

    @app.callback(
        Output(ids.HITS, "data"),
        Output(ids.SEARCH_COUNT, "children"),
        Input(ids.SEARCH, "value"),
        Input(ids.MANNER, "value"),
        Input(ids.ATLAS, "data"),
    )
    def find(query: Any, manner: Any, atlas: Any) -> tuple[Any, Any]:
        return search(service, query, manner, atlas)

    @app.callback(
        Output(ids.LEGEND, "children"),
        Input(ids.ENCODING, "value"), Input(ids.PALETTE, "value"), Input(ids.THEME, "data"),
        Input(ids.NORM_SCALE, "value"), Input(ids.ATLAS, "data"), Input(ids.PLACE, "data"),
        Input(ids.LOCATION, "pathname"),
    )  # fmt: skip
    def explain(
        encoding: Any, palette: Any, theme: Any, norm_scale: Any, atlas: Any, place: Any, path: Any
    ) -> Any:
        known = isinstance(encoding, str) and palette in PALETTES and theme in THEMES
        if not known or encoding not in ENCODINGS:
            return []
        head = place if path == "/head" and norm_scale != "common" else None
        try:
            ramp, words = meaning(service, encoding, atlas, head, common=norm_scale == "common")
        except PipelineError:
            ramp, words = "type", ()
        drawn = draw_legend(ramp, legend(ramp, palette, theme, words))
        source = label_source(atlas) if encoding == "label" else ""
        return [*drawn, html.P(source, className="qk-legend-note")] if source else drawn


def label_source(atlas: Any) -> str:
    """Return where the labels of patches are from, in words."""
    labels = atlas.get("labels") if isinstance(atlas, dict) else None
    source = labels.get("source") if isinstance(labels, dict) else None
    return f"labels: {source}" if isinstance(source, str) else ""


def search(
    service: Service, query: Any, manner: Any, atlas: Any
) -> tuple[list[dict[str, Any]] | None, Any]:
    """Return each term with its tokens, and their counts in words; None for no search."""
    capture = atlas.get("capture") if isinstance(atlas, dict) else None
    if not isinstance(query, str) or not query.strip() or not isinstance(capture, str):
        return None, ""
    try:
        found = service.search(capture, query, manner=str(manner or "word"))
    except PipelineError as error:
        return None, str(error)
    hits = [{"term": one.term, "tokens": one.tokens.tolist()} for one in found]
    if len(hits) < 2:
        return hits, _count(len(hits[0]["tokens"]) if hits else 0)
    return hits, [_term(i, hit) for i, hit in enumerate(hits)]


def _term(number: int, hit: dict[str, Any]) -> html.Span:
    """Return a term with its mark and its count."""
    mark: dict[str, Any] = {"data-mark": str(number)}
    colour = {"background": DISCRETE["query"][number]}
    swatch = html.Span(className="qk-mark", style=colour, **mark)
    return html.Span(
        [swatch, html.B(hit["term"]), f" {_count(len(hit['tokens']))}"], className="qk-term"
    )


def _count(n: int) -> str:
    return f"{n:,} {'token' if n == 1 else 'tokens'}"


def meaning(
    service: Service, encoding: str, atlas: Any, head: Any, *, common: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the ramp of an encoding and the words of its legend.

    Parameters
    ----------
    head : {layer, head} whose norms are told, None for all.
    common : whether norms are coloured on one scale for all heads.
    """
    capture = atlas.get("capture") if isinstance(atlas, dict) else None
    if not isinstance(capture, str) or encoding not in service.encodings(capture):
        return "type", ()
    if encoding != "norm":
        found = service.encoding(capture, encoding)
        return found.ramp, found.legend
    if not common and not isinstance(head, dict):
        return "sequential", ("smallest norm of its head", "half way", "largest norm of its head")
    least, most = service.norm_range(capture, head if isinstance(head, dict) else None)
    return "sequential", tuple(f"norm {x:.3g}" for x in (least, (least + most) / 2, most))


def draw_legend(ramp: str, sides: dict[Any, list[tuple[str, str]]]) -> Any:
    """Return the legend: colours beside words, or a bar with its ends named."""
    if ramp == "picture":
        return html.P("Each patch in its mean colour, other tokens grey.")
    if ramp == "sequential":
        return [_bar(side, entries) for side, entries in sides.items()]
    if ramp == "type":
        return [_row([colour], words) for [(words, colour)] in sides.values()]
    rows = zip(sides["query"], sides["key"], strict=True)
    head = html.P("query, key", className="qk-legend-head")
    return [head, *(_row([query[1], key[1]], query[0]) for query, key in rows)]


def _row(colours: list[str], words: str) -> html.Div:
    swatches = [html.Span(className="qk-swatch", style={"background": c}) for c in colours]
    return html.Div([*swatches, words])


def _bar(side: str, entries: list[tuple[str, str]]) -> html.Div:
    ramp = {"background": f"linear-gradient(to right, {', '.join(c for _, c in entries)})"}
    least, _, most = (words for words, _ in entries)
    return html.Div(
        [html.Span(side), html.Span(className="qk-ramp", style=ramp),
         html.Span([html.Span(least), html.Span(most)], className="qk-ramp-ends")],
        className="qk-ramp-row",
    )  # fmt: skip
