"""The panels beside a head: how far it can be trusted, and the norms of its vectors."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from app import ids
from app.figures.head import draw_curve, draw_distances, draw_norms
from app.questions import NO_HEAD, head_of, is_report, look_of
from pipeline.errors import PipelineError
from pipeline.report import HeadReport
from pipeline.service import Service

CHART: Any = {"displaylogo": False, "modeBarButtons": [["toImage"]], "responsive": True}
GUIDED = (
    "This share of the forces on this map is real attention between these very tokens: the map has "
    "seen what it shows. It brings near and attended together and costs some neighbours."
)
PLAIN = "This map has seen neighbours only, no attention, as in AttentionViz."


def register(app: Dash, service: Service) -> None:
    """Connect the panels with the head that is shown; only the open one is filled."""

    @app.callback(
        Output(ids.TRUST, "children"), Output(ids.NORMS, "children"),
        Input(ids.REPORTED, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def fill(reported: Any) -> tuple[Any, Any]:
        if not is_report(reported):
            return no_update, no_update
        is_trust = reported["tab"] == "trust"
        try:
            if is_trust and reported.get("selection"):
                return show_selected(service, reported.get("made")), no_update
            found = look(service, reported)
        except PipelineError as error:
            found = str(error)
        if isinstance(found, str):
            return html.P(found), html.P(found)
        report, quality = found
        if not is_trust:
            return no_update, show_norms(report, look_of(reported))
        words, share = service.judge(quality), reported.get("guidance")
        return show_trust(report, quality, words, look_of(reported), guidance=share), no_update


def look(service: Service, reported: dict[str, Any]) -> tuple[HeadReport, dict[str, Any]] | str:
    """Return report and stored figures of a head on a map, or why there are none."""
    place = head_of(reported)
    return service.head_report(*place, reported.get("map")) if place else NO_HEAD


def show_trust(
    report: HeadReport,
    quality: dict[str, Any],
    words: list[tuple[str, str]],
    look_of: dict[str, str],
    *,
    guidance: float | None = None,
) -> Component:
    """Return the trust panel; `guidance` is that of the map, None for PCA, which knows none."""
    n = f"{min(2_000, report.dot.size):,} of {report.dot.size:,} pairs shown"
    children: list[Any] = [html.H2("How far can I trust this?")]
    children += _verdicts(words) or [html.P("The figures of this map are being measured.")]
    children += [
        html.H3(f"Distance against dot product in the space, rho {report.space_rho:.2f}"),
        html.P(f"{n}. A line falling from left to right is ideal: near means attended."),
        _chart(
            draw_distances(report.space_distance, report.dot, axis="cosine distance", **look_of)
        ),
    ]
    if report.map_distance is not None:
        children += [
            html.H3(f"The same on this map, rho {report.map_rho:.2f}"),
            _chart(
                draw_distances(report.map_distance, report.dot, axis="distance on map", **look_of)
            ),
        ]
    if guidance is not None:
        children += [html.H3(f"Guidance {guidance:.0%}"), html.P(GUIDED if guidance else PLAIN)]
    children.append(html.H3(f"Scale c = {report.scale:.2f}"))
    if report.curve.size:
        children += [
            html.P("Queries are multiplied and keys divided by c, which changes no attention. The "
                   "curve is the correlation that each c gives; lower is better."),
            _chart(draw_curve(report.scales, report.curve, report.scale, **look_of)),
        ]  # fmt: skip
    children += _all_figures(quality)
    return html.Div(children, className="qk-report")


def show_selected(service: Service, made: Any) -> Component:
    """Return the trust panel of the map of a selection."""
    if not isinstance(made, str):
        return html.P("The selected points are being laid out.", className="qk-panel-note")
    record, _, points = service.selections.coordinates(made)
    quality = record["quality"]
    return html.Div(
        [
            html.H2("How far can I trust this?"),
            html.P(f"This is a map of {points.size:,} selected points alone. All figures are those "
                   "among these points."),
            *_verdicts(service.judge(quality)),
            *_all_figures(quality),
        ],
        className="qk-report",
    )  # fmt: skip


def _verdicts(words: list[tuple[str, str]]) -> list[Any]:
    return [html.P(text, className="qk-verdict", **_level(level)) for level, text in words]


FIGURES = {
    "per_query_rho": "rho, per query", "spearman": "rho, pooled",
    "trustworthiness_at_10": "trustworthiness at 10", "recall_at_10": "neighbours kept, of 10",
    "top_key_share": "strongest key among the 3 nearest", "mixing": "mixing",
    "mixing_queries": "mixing around queries", "mixing_keys": "mixing around keys",
}  # fmt: skip


def name_of(figure: str) -> str:
    """Return a figure in words, as the matrix has them; those of the space say so."""
    name = figure.removeprefix("space_")
    words = FIGURES.get(name, name.replace("_", " "))
    return words if name == figure else f"{words}, in space"


def _all_figures(quality: dict[str, Any]) -> list[Any]:
    rows = [html.Tr([html.Th(name_of(name), scope="row"), html.Td(f"{value:.3f}")])
            for name, value in quality.items() if isinstance(value, float)]  # fmt: skip
    return [html.H3("All figures"), html.Table(html.Tbody(rows))]


def show_norms(report: HeadReport, look_of: dict[str, str]) -> Component:
    """Return the panel of norms."""
    query, key = (float(norms.mean()) for norms in (report.query_norms, report.key_norms))
    return html.Div(
        [
            html.H2("Norms of queries and keys"),
            html.P(f"Raw lengths, before normalisation. Mean of queries {query:.2f}, of keys "
                   f"{key:.2f}: a difference of {query - key:.2f}. Far apart, they would lie far "
                   "apart in one picture; this is what c evens out."),
            _chart(draw_norms(report.query_norms, report.key_norms, **look_of)),
        ],
        className="qk-report",
    )  # fmt: skip


def _level(level: str) -> dict[str, Any]:
    return {"data-level": level}


def _chart(figure: Any) -> Component:
    return dcc.Graph(figure=figure, config=CHART)
