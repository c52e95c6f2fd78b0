"""Starts builds, follows the one that belongs to the page, and stops it."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update
from flask import request

from app import ids
from app.opening import in_words
from pipeline.errors import PipelineError
from pipeline.jobs import JobRecord
from pipeline.service import Service
from pipeline.specs import GUIDANCES, AtlasSpec

NOT_OFFERED = "This dashboard builds only the models and corpora that it lists; choose one of them."
STAGES = {
    "": "waiting", "prepare": "preparing the model", "convert": "converting the model",
    "wait": "waiting for another build", "load": "loading the model",
    "capture": "capturing attention", "labels": "labelling patches",
    "normalise": "normalising", "pca": "PCA",
    "order": "measuring how heads order patches", "maps": "laying out maps",
}  # fmt: skip


def register(app: Dash, service: Service, *, allow_any_model: bool) -> None:
    """Connect the buttons and the status line."""
    _register_starts(app, service, allow_any_model=allow_any_model)
    _register_following(app, service)
    _register_ends(app, service)


def _register_starts(app: Dash, service: Service, *, allow_any_model: bool) -> None:

    @app.callback(
        Output(ids.JOB, "data", allow_duplicate=True),
        Output(ids.NOTICES, "children", allow_duplicate=True),
        Input(ids.BUILD, "n_clicks"),
        State(ids.MODEL, "value"), State(ids.CORPUS, "value"), State(ids.NORMALISATION, "value"),
        State(ids.GUIDANCE, "value"), State(ids.METHOD, "value"), State(ids.DIMS, "value"),
        State(ids.ATLAS, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def build_missing(
        _clicks: Any, model: Any, corpus: Any, normalisation: Any, guidance: Any, method: Any,
        dims: Any, atlas: Any,
    ) -> tuple[Any, Any]:  # fmt: skip
        there = isinstance(atlas, dict) and "capture" in atlas
        maps = {"methods": (method,), "dims": (dims,)} if there else {}
        maps |= {"guidance": guidance} if guidance in GUIDANCES else {}
        has_parts = isinstance(atlas, dict) and atlas.get("has_parts") is True
        maps |= {"part": atlas.get("part")} if has_parts else {}
        if not (allow_any_model or is_offered(service, model, corpus)):
            return no_update, NOT_OFFERED
        return _submit(service, model, corpus, normalisation=normalisation or "faithful", **maps)

    @app.callback(
        Output(ids.JOB, "data", allow_duplicate=True),
        Output(ids.BUILD_MESSAGE, "children"),
        Input(ids.BUILD_START, "n_clicks"),
        State(ids.BUILD_MODEL, "value"), State(ids.BUILD_CORPUS, "value"),
        State(ids.BUILD_NORMALISATION, "value"), State(ids.BUILD_METHODS, "value"),
        State(ids.BUILD_OTHER_MODEL, "value", allow_optional=True),
        State(ids.BUILD_SEGMENTATION, "value", allow_optional=True),
        prevent_initial_call=True,
    )  # fmt: skip
    def build_chosen(
        clicks: Any, model: Any, corpus: Any, normalisation: Any, methods: Any, other: Any,
        segmentation: Any,
    ) -> tuple[Any, Any]:  # fmt: skip
        if not clicks:
            return no_update, no_update
        wanted = other.strip() if allow_any_model and isinstance(other, str) else ""
        if not (allow_any_model or is_offered(service, model, corpus)):
            return no_update, NOT_OFFERED
        labels = segmentation.strip() if allow_any_model and isinstance(segmentation, str) else ""
        chosen = tuple(methods) if isinstance(methods, list) else ()
        job, message = _submit(
            service, wanted or model, corpus, normalisation=normalisation, methods=chosen,
            segmentation=labels or None,
        )  # fmt: skip
        return job, message or "The build is queued; the line below shows how far it is."


def _register_following(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.JOB_STATUS, "children"), Output(ids.JOB_BAR, "value"),
        Output(ids.JOB_BAR, "max"), Output(ids.JOB_BAR, "hidden"), Output(ids.CANCEL, "hidden"),
        Output(ids.GO_ON, "hidden"), Output(ids.TICK, "disabled"),
        Output(ids.PROGRESS, "data"), Output(ids.STAGE, "data"),
        Input(ids.JOB, "data"), Input(ids.TICK, "n_intervals"), State(ids.STAGE, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def follow(job_id: Any, _ticks: Any, stage: Any) -> tuple[Any, ...]:
        try:
            job = service.builds.job(job_id) if isinstance(job_id, str) else None
        except PipelineError:
            job = None
        if job is None:
            return "", "0", "1", True, True, True, True, no_update, no_update
        now = f"{job.id} {job.state} {job.stage}"
        return (
            tell(job, service.builds.position(job.id)), str(job.done), str(max(job.total, 1)),
            not job.is_live, not job.is_live, job.state != "interrupted", not job.is_live, job.done,
            now if now != stage else no_update,
        )  # fmt: skip


def _register_ends(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.CANCEL, "title"),
        Output(ids.NOTICES, "children", allow_duplicate=True),
        Input(ids.CANCEL, "n_clicks"),
        State(ids.JOB, "data"),
        prevent_initial_call=True,
    )
    def cancel(_clicks: Any, job_id: Any) -> tuple[Any, Any]:
        try:
            job = (
                service.builds.cancel(job_id, owner=_visitor()) if isinstance(job_id, str) else None
            )
        except PipelineError as error:
            return no_update, str(error)
        if job is not None and job.is_live and job.cancel_s is None:
            return no_update, "Others asked for this build too; it goes on for them."
        return "stopping; what is finished is kept", ""

    @app.callback(
        Output(ids.JOB, "data", allow_duplicate=True),
        Output(ids.NOTICES, "children", allow_duplicate=True),
        Input(ids.GO_ON, "n_clicks"),
        State(ids.JOB, "data"),
        prevent_initial_call=True,
    )
    def go_on(clicks: Any, job_id: Any) -> tuple[Any, Any]:
        if not (clicks and isinstance(job_id, str)):
            return no_update, no_update
        try:
            job = service.builds.start_again(job_id, owner=_visitor())
        except PipelineError as error:
            return no_update, str(error)
        return job.id, ""


def is_offered(service: Service, model: Any, corpus: Any) -> bool:
    """Tell whether model and corpus are known ones, which anybody may have built."""
    models = [state.entry.name for state in service.models()]
    return model in models and corpus in [info.name for info in service.corpora()]


def tell(job: JobRecord, position: int | None) -> str:
    """Say in one line how a build stands."""
    name = f"{job.spec['model']} on {job.spec['corpus']}"
    if job.state == "queued":
        return f"{name}: waiting, {position or 0} before it"
    if job.state == "running":
        count = f" {job.done} of {job.total}" if job.total > 1 else ""
        left = f", about {in_words(job.seconds_left)} left" if job.seconds_left else ""
        return f"{name}: {STAGES.get(job.stage, job.stage)}{count}{left}"
    if job.state == "done":
        return f"{name}: built"
    return f"{name}: {job.state}. {job.error}".strip()


def _visitor() -> str:
    """Return by what we tell visitors apart: there are no accounts."""
    return request.remote_addr or ""


def _submit(service: Service, model: Any, corpus: Any, **options: Any) -> tuple[Any, Any]:
    """Queue a build; return its job id and an empty message, or no id and the reason."""
    if not (isinstance(model, str) and isinstance(corpus, str)):
        return no_update, "Choose a model and a corpus first."
    try:
        job = service.builds.start(AtlasSpec(model, corpus, **options), owner=_visitor())
    except PipelineError as error:
        return no_update, str(error)
    return job.id, ""
