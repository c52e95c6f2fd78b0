"""Routes of live inputs: take one, follow its job, tell what it was. Texts come in bodies only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request

from app.api.answers import JSON, checked
from pipeline.errors import InputError, PipelineError
from pipeline.jobs import JobRecord
from pipeline.service import Service

Body = dict[str, Any]

NOT_OFFERED = "This dashboard runs only the models that it lists; choose one of them."


def add_routes(api: Blueprint, service: Service, *, allow_any_model: bool) -> None:
    """Add the routes.

    Parameters
    ----------
    allow_any_model : whether a visitor may name any model, or only those of the catalogue.
    """
    inputs = _Inputs(service, allow_any_model=allow_any_model)
    for name, take in (
        ("text", inputs.text), ("image", inputs.image), ("sequence", inputs.sequence),
        ("edit", inputs.edit), ("warm", inputs.warm),
    ):  # fmt: skip
        api.add_url_rule(
            f"/live/{name}", f"live_{name}", _taking(take, service), methods=["POST"]
        )  # fmt: skip
    _add_following(api, service)


class _Inputs:
    """Takes each kind of input from the body of a request; see `add_routes`."""

    def __init__(self, service: Service, *, allow_any_model: bool) -> None:
        self._service = service
        self._live = service.live
        self._allow_any_model = allow_any_model

    def text(self, body: Body) -> JobRecord:
        pair, part = body.get("pair"), body.get("part")
        return self._live.submit_text(
            self._model(body), _text(body, "text"), pair if isinstance(pair, str) else None,
            owner=_visitor(), part=part if isinstance(part, str) else None,
            rotary="before" if body.get("rotary") == "before" else "after",
        )  # fmt: skip

    def image(self, _body: Body) -> JobRecord:
        given = request.files.get("image")
        if given is None:
            raise InputError("picture: found none; choose a PNG, JPEG or WebP file")
        model = self._model(dict(request.form))
        return self._live.submit_image(
            model, given.read(), owner=_visitor(), part=request.form.get("part")
        )  # fmt: skip

    def sequence(self, body: Body) -> JobRecord:
        sequence = body.get("sequence")
        if type(sequence) is not int:
            raise InputError("sequence: expected a whole number")
        return self._live.submit_sequence(checked(_text(body, "atlas")), sequence, owner=_visitor())

    def edit(self, body: Body) -> JobRecord:
        edits = body.get("edits")
        if not isinstance(edits, list):
            raise InputError("edits: expected a list of positions with their words")
        pairs = [tuple(one) if isinstance(one, list) else one for one in edits]
        return self._live.submit_edit(checked(_text(body, "capture")), pairs, owner=_visitor())

    def warm(self, body: Body) -> JobRecord:
        return self._live.warm(self._model(body), owner=_visitor())

    def _model(self, body: Body) -> str:
        model = _text(body, "model")
        if not self._allow_any_model and model not in self._offered():
            raise InputError(NOT_OFFERED)
        return model

    def _offered(self) -> list[str]:
        return [state.entry.name for state in self._service.models()]


def _add_following(api: Blueprint, service: Service) -> None:
    """Add what is asked about an input that was taken."""
    live = service.live

    @api.get("/live/job/<job_id>.json")
    def job(job_id: str) -> Response:
        found = live.job(job_id)
        if found is None:
            abort(404)
        return _json(_tell(found, service))

    @api.post("/live/job/<job_id>/cancel")
    def cancel(job_id: str) -> Response:
        try:
            found = live.job(job_id) and live.cancel(job_id, owner=_visitor())
        except PipelineError as error:
            return Response(str(error), 400, mimetype="text/plain")
        if found is None:
            abort(404)
        return _json(_tell(found, service))

    @api.get("/live/input/<key>.json")
    def given(key: str) -> Response:
        try:
            return _json(live.describe(checked(key)))
        except InputError as error:
            return _json({"missing": str(error)})  # a link may outlive the cache: no fault


def _taking(take: Callable[[Body], JobRecord], service: Service) -> Callable[[], Response]:
    """Answer with the job of an input, or say in words why there is none."""

    def answer() -> Response:
        body = request.get_json(silent=True) if request.is_json else {}
        try:
            return _json(_tell(take(body if isinstance(body, dict) else {}), service))
        except PipelineError as error:
            return Response(str(error), 400, mimetype="text/plain")

    return answer


def _tell(job: JobRecord, service: Service) -> dict[str, Any]:
    """Return how a job stands, and the capture that it made."""
    return {
        "job": job.id, "state": job.state, "position": service.live.position(job.id),
        "stage": job.stage, "message": job.message, "error": job.error,
        "is_stopping": job.cancel_s is not None,
        "capture": (job.result or {}).get("capture"),
    }  # fmt: skip


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name}: expected a text")
    return value


def _visitor() -> str:
    """Return by what we tell visitors apart: there are no accounts."""
    return request.remote_addr or ""


def _json(value: Any) -> Response:
    response = Response(json.dumps(value), mimetype=JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
