"""The panel of the query and key weights of a head; asks the worker for them when it is opened."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component
from flask import request

from app import ids
from app.figures.weights import draw_all_heads, draw_dimensions, draw_entries
from app.questions import NO_HEAD, head_of, is_report, look_of
from pipeline.errors import PipelineError
from pipeline.service import Service
from pipeline.weights import HeadWeights

CHART: Any = {"displaylogo": False, "modeBarButtons": [["toImage"]], "responsive": True}
# Bounds of "much" and "something"; random weights of these sizes stay below 0.02.
MUCH, SOMETHING = 0.5, 0.15


def register(app: Dash, service: Service) -> None:
    """Connect the panel with the head that is shown; while the worker looks, it looks again."""

    @app.callback(
        Output(ids.WEIGHTS, "children"), Output(ids.WEIGHTS_TICK, "disabled"),
        Input(ids.REPORTED, "data"), Input(ids.WEIGHTS_TICK, "n_intervals"),
        prevent_initial_call=True,
    )  # fmt: skip
    def fill(reported: Any, _ticks: Any) -> tuple[Any, Any]:
        if not is_report(reported) or reported["tab"] != "vectors":
            return no_update, True
        try:
            found = look(service, reported, owner=request.remote_addr or "")
        except PipelineError as error:
            found = str(error)
        if isinstance(found, str):
            return html.P(found, className="qk-panel-note", role="status"), not is_awaited(found)
        place = (reported["layer"], reported["head"])
        return show_weights(found, place, look_of(reported)), True


WAITING = "The worker is looking at the weights of the model. This takes seconds, once a model."


def is_awaited(words: str) -> bool:
    """Tell whether the panel is to look again."""
    return words.startswith(WAITING)


def look(service: Service, reported: dict[str, Any], *, owner: str) -> HeadWeights | str:
    """Return the weights of a head, or words; asks the worker when nobody has done so yet.

    Raises
    ------
    PipelineError
        if there is no such head, or the queue is full.
    """
    place = head_of(reported)
    if place is None:
        return NO_HEAD
    atlas, layer, head = place
    found = service.weights.of_head(service.atlas(atlas).capture, layer, head)
    if found is not None:
        return found
    job = service.weights.last(atlas)
    if job is not None and job.state == "failed":
        return f"The weights could not be looked at: {job.error}"
    if job is None or not job.is_live:
        job = service.weights.start(atlas, owner=owner)
    return f"{WAITING} {job.message}".strip()


def show_weights(found: HeadWeights, place: tuple[int, int], look_of: dict[str, str]) -> Component:
    """Return the panel."""
    title = html.H2("Query and key weights")
    if found.reason:
        return html.Div(
            [title, html.P(f"They cannot be compared here: {found.reason}.")],
            className="qk-report",
        )
    layer, head = place
    shown = f"{len(found.sampled):,} of {found.n_entries:,} entries shown"
    return html.Div(
        [
            title,
            html.P(tell_correlation(found.correlation), className="qk-verdict"),
            html.P(tell_symmetry(found.symmetry), className="qk-verdict"),
            html.H3(f"W_K against W_Q, r {found.correlation:.2f}"),
            html.P(f"{shown}; r is computed on all. Rising: both projections are alike."),
            _chart(draw_entries(found.sampled, **look_of)),
            html.H3("By dimension of the head"),
            _chart(draw_dimensions(found.by_dimension, **look_of)),
            html.H3("All heads of the model"),
            html.P(f"L{layer} H{head} is framed."),
            _chart(draw_all_heads(found.all_heads, place, **look_of)),
            html.P(f"Taken from {found.query_module} and {found.key_module}, which are found by "
                   "their outputs: they are the queries and keys of a run, number by number."),
        ],
        className="qk-report",
    )  # fmt: skip


def tell_correlation(r: float) -> str:
    """Say what the correlation of the entries of W_Q and W_K means."""
    if abs(r) < SOMETHING:
        return f"W_Q and W_K have little in common (r {r:.2f})."
    how = "much" if abs(r) >= MUCH else "something"
    if r > 0:
        return f"W_Q and W_K have {how} in common (r {r:.2f}): tokens look for what they are."
    how = "strongly" if abs(r) >= MUCH else "somewhat"
    return f"W_Q and W_K are {how} opposed (r {r:.2f}): tokens look for what they are not."


def tell_symmetry(symmetry: float) -> str:
    """Say what the symmetry of the scores means."""
    if symmetry >= SOMETHING:
        how = "mostly" if symmetry >= MUCH else "partly"
        return (f"Scores are {how} mutual (symmetry {symmetry:.2f}): who is attended to would "
                "attend back.")  # fmt: skip
    if symmetry <= -SOMETHING:
        return f"Scores point one way (symmetry {symmetry:.2f}): turned round they change sign."
    return f"Scores are neither mutual nor one-way (symmetry {symmetry:.2f})."


def _chart(figure: Any) -> Component:
    return dcc.Graph(figure=figure, config=CHART)
