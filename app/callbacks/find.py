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
        Input(ids.SOUGHT, "data"),
        prevent_initial_call=True,
    )
    def find(sought: Any) -> tuple[Any, Any]:
        if not isinstance(sought, dict):
            return None, ""
        return search(service, sought.get("query"), sought.get("manner"), sought.get("capture"))

    @app.callback(
        Output(ids.LEGEND, "children"), Input(ids.MEANT, "data"), prevent_initial_call=True
    )
    def explain(meant: Any) -> Any:
        return show_legend(service, meant) if isinstance(meant, dict) else []


def show_legend(service: Service, meant: dict[str, Any]) -> Any:
    """Return the legend of a colouring; `meant` as `meant` in assets/70_questions.js makes it."""
    encoding, palette, theme = (meant.get(name) for name in ("encoding", "palette", "theme"))
    if encoding not in ENCODINGS or palette not in PALETTES or theme not in THEMES:
        return []
    is_common = meant.get("is_common") is True
    try:
        ramp, words = meaning(
            service, encoding, meant.get("capture"), meant.get("head"), common=is_common
        )
    except PipelineError:
        ramp, words = "type", ()
    drawn = draw_legend(ramp, legend(ramp, palette, theme, words))
    source = meant.get("source")
    if not isinstance(source, str) or not isinstance(drawn, list):
        return drawn
    return [*drawn, html.P(f"labels: {source}", className="qk-legend-note")]


def search(
    service: Service, query: Any, manner: Any, capture: Any
) -> tuple[list[dict[str, Any]] | None, Any]:
    """Return each term with its tokens, and their counts in words; None for no search."""
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
    service: Service, encoding: str, capture: Any, head: Any, *, common: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the ramp of an encoding and the words of its legend.

    Parameters
    ----------
    head : {layer, head} whose norms are told, None for all.
    common : whether norms are coloured on one scale for all heads.
    """
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
