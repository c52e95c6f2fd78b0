"""What an address shows, as JSON; the pages ask for it before they draw anything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from app import opening
from pipeline.service import Service


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""

    @api.get("/open")
    def link() -> Response:
        return _current(opening.open_link(service, request.args))

    @api.get("/atlas")
    def atlas() -> Response:
        given: dict[str, Any] = dict(request.args)
        given["guidance"] = request.args.get("guidance", type=float)
        return _current(opening.open_atlas(service, given))


def _current(answer: dict[str, Any]) -> Response:
    response = jsonify(answer)
    response.headers["Cache-Control"] = "no-store"
    return response
