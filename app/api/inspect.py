"""Routes of one sequence for the inspect pages: tokens, weights of a layer, vectors and terms."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, request

from app.api.answers import JSON, Array, binary, checked, immutable
from pipeline.inspection import Inspection
from pipeline.service import Service

ROWS = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")
# A page asks for the bytes of a layer, then perhaps for its scores.
LAYERS_KEPT = 8


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""
    inspection = service.inspection

    @api.get("/<key>/sequences.json")
    def sequences(key: str) -> Response:
        return _json(inspection.sequences(checked(key)))

    @api.get("/<key>/sequence/<int:sequence>.json")
    def sequence(key: str, sequence: int) -> Response:
        return _json(inspection.sequence(checked(key), sequence))

    _add_weights(api, service)
    _add_neuron(api, inspection)


def _add_weights(api: Blueprint, service: Service) -> None:
    """Add what the model view and the head view draw: all heads of a layer."""

    @lru_cache(maxsize=LAYERS_KEPT)
    def layer_of(key: str, sequence: int, layer: int) -> Array:
        return service.inspection.weights(key, sequence, layer)

    @api.get("/<key>/weights/<int:sequence>/<int:layer>.u8")
    def weights(key: str, sequence: int, layer: int) -> Response:
        return binary(weight_bytes(layer_of(checked(key), sequence, layer)))

    @api.get("/<key>/weights/<int:sequence>/<int:layer>/scores.f32")
    def scores(key: str, sequence: int, layer: int) -> Response:
        is_cross = service.capture(checked(key)).query_tokens is not None
        weights = layer_of(key, sequence, layer)
        return binary(service.inspection.scores(weights, is_cross=is_cross).astype("<f4"))


def _add_neuron(api: Blueprint, inspection: Inspection) -> None:
    """Add what one logit is made of."""

    @api.get("/<key>/neuron/<int:layer>/<int:head>.json")
    def about(key: str, layer: int, head: int) -> Response:
        return _json(inspection.head(checked(key), layer, head))

    @api.get("/<key>/neuron/<int:sequence>/<int:layer>/<int:head>.f32")
    def neuron_vectors(key: str, sequence: int, layer: int, head: int) -> Response:
        rotary = request.args.get("rotary", "after")
        found = inspection.vectors(checked(key), sequence, layer, head, rotary=rotary)
        if request.args.get("rows") == "keys":
            return binary(found.keys.astype("<f4"))
        if "rows" in request.args:
            return binary(found.queries[wanted_rows(len(found.queries))].astype("<f4"))
        return binary(np.concatenate([found.queries, found.keys]).astype("<f4"))

    @api.get("/<key>/neuron/<int:sequence>/<int:layer>/<int:head>/terms.f32")
    def terms(key: str, sequence: int, layer: int, head: int) -> Response:
        found = inspection.additive(checked(key), sequence, layer, head)
        if found is None:
            return binary(np.zeros(0, dtype="<f4"))
        return binary(found[wanted_rows(len(found))].astype("<f4"))


def weight_bytes(weights: Array) -> Array:
    """Return weights 0..1 as `round(255 * weight)`, uint8."""
    return np.rint(np.clip(weights, 0, 1) * 255).astype(np.uint8)


def wanted_rows(n_rows: int) -> slice:
    """Return which rows `rows=a-b` (b not among them) asks for; all without it."""
    text = request.args.get("rows")
    if text is None:
        return slice(0, n_rows)
    found = ROWS.fullmatch(text)
    start, end = map(int, found.groups()) if found else (1, 0)
    if not start <= end <= n_rows:
        abort(400, f"rows: found {text!r}, expected a-b with 0 <= a <= b <= {n_rows}")
    return slice(start, end)


def _json(value: Any) -> Response:
    return immutable(Response(json.dumps(value), mimetype=JSON))
