"""The panels beside a head: how far it can be trusted, and the norms of its vectors."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from app import ids
from app.figures.head import draw_curve, draw_distances, draw_norms
from app.theme import PALETTES, THEMES
from pipeline.errors import PipelineError
from pipeline.report import HeadReport
from pipeline.service import Service

CHART: Any = {"displaylogo": False, "modeBarButtons": [["toImage"]], "responsive": True}
# Of sizes: a smaller spread of norms would show as no difference at all.
LEAST_SPREAD = 0.01


GUIDED = (
    "This share of the forces on this map is real attention between these very tokens: the map has "
    "seen what it shows. It brings near and attended together and costs some neighbours."
)
PLAIN = "This map has seen neighbours only, no attention, as in AttentionViz."


def register(app: Dash, service: Service) -> None:
    """Connect the panels with the head that is shown; only the open one is filled."""

    @app.callback(
        Output(ids.TRUST, "children"), Output(ids.NORMS, "children"),
        Input(ids.DETAIL_TAB, "value"), Input(ids.PLACE, "data"), Input(ids.ATLAS, "data"),
        Input(ids.METHOD, "value"), Input(ids.DIMS, "value"), Input(ids.PALETTE, "value"),
        Input(ids.THEME, "data"), Input(ids.MADE, "data"),
    )  # fmt: skip
    def fill(
        tab: Any, place: Any, atlas: Any, method: Any, dims: Any, palette: Any, theme: Any,
        made: Any,
    ) -> tuple[Any, Any]:  # fmt: skip
        if tab not in ("trust", "vectors") or palette not in PALETTES or theme not in THEMES:
            return no_update, no_update
        try:
            if tab == "trust" and isinstance(place, dict) and place.get("selection"):
                return show_selected(service, made), no_update
            found = look(service, atlas, place, f"{method}_{dims}")
        except PipelineError as error:
            found = str(error)
        if isinstance(found, str):
            return html.P(found), html.P(found)
        report, quality = found
        look_of = {"palette": palette, "theme": theme}
        if tab == "trust":
            words = service.judge(quality)
            share = None if method == "pca" else atlas["guidance"]
            return show_trust(report, quality, words, look_of, guidance=share), no_update
        return no_update, show_norms(report, look_of)

    @app.callback(Output(ids.SHOW, "options"), Input(ids.ATLAS, "data"), Input(ids.PLACE, "data"))
    def offer(atlas: Any, place: Any) -> list[dict[str, Any]]:
        return show_options(service, atlas, place)


def look(
    service: Service, atlas: Any, place: Any, name: str
) -> tuple[HeadReport, dict[str, Any]] | str:
    """Return report and stored figures of a head on a map, or why there are none."""
    if not isinstance(atlas, dict) or "capture" not in atlas or not isinstance(place, dict):
        return "There is no head to look at yet."
    map_set = atlas["maps"].get(name)
    layer, head = int(place["layer"]), int(place["head"])
    return service.head_report(atlas["atlas"], layer, head, map_set and map_set["key"])


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


def show_options(service: Service, atlas: Any, place: Any) -> list[dict[str, Any]]:
    """Return what can be shown on a head; sizes only where the norms differ, pictures of images."""
    is_image = isinstance(atlas, dict) and atlas.get("modality") == "image"
    spread = 1.0
    if isinstance(atlas, dict) and "capture" in atlas and isinstance(place, dict):
        try:
            least, most = service.norm_range(atlas["capture"], place)
            spread = (most - least) / (most or 1.0)
        except PipelineError:
            pass  # the head of a link that the atlas lacks; another is shown
    is_flat = spread < LEAST_SPREAD
    size = "size by norm" + (" (all norms within 1 %)" if is_flat else "")
    options: list[dict[str, Any]] = [
        {"value": "labels", "label": "token labels"},
        {"value": "lines", "label": "attention lines"},
        {"value": "size_by_norm", "label": size, "disabled": is_flat},
        {"value": "neighbours", "label": "true neighbours"},
    ]
    if is_image:
        options.append({"value": "pictures", "label": "patches as pictures"})
    if is_image and atlas.get("kind") == "decoder":
        options.append({"value": "patches", "label": "points of patches"})
        options.append({"value": "words", "label": "points of words"})
    return options


def _level(level: str) -> dict[str, Any]:
    return {"data-level": level}


def _chart(figure: Any) -> Component:
    return dcc.Graph(figure=figure, config=CHART)
