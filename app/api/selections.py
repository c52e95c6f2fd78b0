"""Routes of selections: points that somebody has drawn around, and the maps of them alone."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, request

from app.api.answers import JSON, binary, checked
from app.api.maps import shorten
from pipeline.jobs import JobRecord
from pipeline.service import Service
from pipeline.specs import DEFAULT_GUIDANCE, DIMS, GUIDANCES, METHODS, MapSpec, RemapSpec

POINT_BYTES = 4


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""
    _add_selection_routes(api, service)
    _add_remap_routes(api, service)


def _add_selection_routes(api: Blueprint, service: Service) -> None:
    @api.post("/<key>/selection")
    def put(key: str) -> Response:
        body = request.get_data()
        if len(body) % POINT_BYTES:
            abort(400, f"body: found {len(body)} bytes, expected uint32 point numbers")
        points = np.frombuffer(body, dtype="<u4")
        return _json({"selection": service.selections.put(checked(key), points)})

    @api.get("/<key>/selection.u32")
    def points(key: str) -> Response:
        return binary(service.selections.points(checked(key)).astype("<u4"))

    @api.post("/<key>/head/<int:layer>/<int:head>/selection/<selection>/<method>_<int:dims>")
    def make(key: str, layer: int, head: int, selection: str, method: str, dims: int) -> Response:
        place = RemapSpec(checked(key), layer, head, checked(selection), wanted_map(method, dims))
        found = service.selections.make(place, owner=request.remote_addr or "")
        return _json(stand_of(found))


def _add_remap_routes(api: Blueprint, service: Service) -> None:
    @api.get("/<key>/remap.u16")
    def remap(key: str) -> Response:
        record, coordinates, points = service.selections.coordinates(checked(key))
        order = service.capture(record["capture"]).draw_order()
        place_of = np.full(order.size, -1)
        place_of[points] = np.arange(points.size)
        shown = place_of[order]
        return binary(shorten(coordinates[shown[shown >= 0]], record["frame"], "u16"))

    @api.get("/<key>/remap.npz")
    def arrays(key: str) -> Response:
        record, coordinates, points = service.selections.coordinates(checked(key))
        capture = service.capture(record["capture"])
        vectors = capture.vectors(record["layer"], record["head"])
        both = np.concatenate([vectors.queries, vectors.keys])
        tokens = capture.point_tokens[points]
        text = np.array(capture.tokens.token_text)
        facts = {name: record[name] for name in ("atlas", "selection", "layer", "head", "map")}
        file = io.BytesIO()
        np.savez_compressed(
            file, points=points, is_key=points >= capture.n_queries, vectors=both[points],
            token_text=text[tokens], sequence_index=capture.tokens.sequence_index[tokens],
            token_index=capture.tokens.token_index[tokens], coordinates=coordinates,
            provenance=np.array(json.dumps(facts)),
        )  # fmt: skip
        response = Response(file.getvalue(), mimetype="application/octet-stream")
        response.headers["Content-Disposition"] = "attachment; filename=selection.npz"
        return response


def wanted_map(method: str, dims: int) -> MapSpec:
    """Return the map that a request asks for; answers 404 when there is none of this kind."""
    share = request.args.get("guidance", f"{DEFAULT_GUIDANCE:g}")
    known = {f"{one:g}": one for one in GUIDANCES}
    if method not in METHODS or dims not in DIMS or share not in known:
        abort(404)
    return MapSpec(method, dims) if method == "pca" else MapSpec(method, dims, 0, known[share])


def stand_of(found: dict[str, Any] | JobRecord) -> dict[str, Any]:
    """Return how a map of a selection stands: ready with its figures, or how far its job is."""
    if not isinstance(found, dict):
        return {"state": found.state, "error": found.error, "message": found.message}
    names = ("key", "n_points", "frame", "quality")
    return {"state": "ready"} | {name: found[name] for name in names}


def _json(content: dict[str, Any]) -> Response:
    response = Response(json.dumps(content), mimetype=JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
