"""Routes of attention: what layers are, norms of values, means by position."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, request

from app.api.answers import JSON, binary, checked, immutable
from pipeline.captured import Capture
from pipeline.service import Service

N_FILTERS_MAX = 8


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""

    @api.get("/<key>/layers.json")
    def layers(key: str) -> Response:
        rows = layer_list(service.capture(checked(key)))
        return immutable(Response(json.dumps(rows), mimetype=JSON))

    @api.get("/<key>/values/<int:sequence>/<int:layer>/<int:head>.f32")
    def values(key: str, sequence: int, layer: int, head: int) -> Response:
        norms = service.capture(checked(key)).value_norms(sequence, layer, head)
        return binary(norms.astype("<f4"))

    @api.get("/<key>/aggregate/<int:layer>/<int:head>.f32")
    def aggregate(key: str, layer: int, head: int) -> Response:
        found = service.aggregate(
            checked(key), layer, head,
            weighting=request.args.get("weighting", "attention"), left_out=left_out(),
        )  # fmt: skip
        counts = found.counts[:, None].astype("<f4")
        return binary(np.hstack([found.means.astype("<f4"), counts]))


def left_out() -> frozenset[str]:
    """Return the kinds of tokens that `without` names, with commas between them."""
    text = request.args.get("without", "")
    kinds = frozenset(text.split(",")) if text else frozenset[str]()
    if len(kinds) > N_FILTERS_MAX:
        abort(400, f"without: found {len(kinds)} kinds, expected at most {N_FILTERS_MAX}")
    return kinds


def layer_list(capture: Capture) -> list[dict[str, Any]]:
    """Return what the browser knows about every layer.

    `has_values`, `has_transformed`: which norms `values` holds; `no_values`: why one is missing;
    `has_sinks`: whether rows may sum to less than 1.
    """
    rows = []
    for layer in capture.layers:
        missing = layer.no_projection
        if not layer.value_dim:
            missing = missing or "this atlas was built before values were measured; build it again"
        rows.append({
            "has_values": layer.value_dim > 0,
            "has_transformed": bool(layer.projection),
            "no_values": missing,
            "has_sinks": layer.has_sinks,
        })  # fmt: skip
    return rows
