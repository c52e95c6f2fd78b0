"""Binary data routes: coordinates, token attributes, attention weights. Formats: architecture.md.

The only place that shortens numbers, to 8 or 16 bits on their way to the browser. Every route is
named by a digest and never changes, except `cells.json`, which grows while a map is computed.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
from flask import Blueprint, Flask, Response, abort, request
from numpy.typing import NDArray

from app.theme import PALETTES, THEMES, lookup_table
from pipeline.captured import Capture
from pipeline.encodings import Encoding
from pipeline.errors import PipelineError
from pipeline.map_view import MapView
from pipeline.service import Service

PREFIXES = (256, 512, 1000, 2000)
N_CLASSES = 5
DIGEST = re.compile(r"[0-9a-f]{64}")
N_QUERY_VALUES = 128
N_LEVELS = 127  # of a ramp; the last value of each side is for points that have none
DEPTHS: dict[str, Any] = {"u8": np.uint8, "u16": np.dtype("<u2")}

Array = NDArray[Any]


def register_routes(server: Flask, service: Service) -> None:
    """Add the data routes to the server."""
    api = Blueprint("api", __name__, url_prefix="/api")
    _add_capture_routes(api, service)
    _add_atlas_routes(api, service)
    _add_map_routes(api, service)

    @api.get("/lut/<palette>/<theme>.u8")
    def lut(palette: str, theme: str) -> Response:
        if palette not in PALETTES or theme not in THEMES:
            abort(404)
        return _binary(lookup_table(palette, theme))

    # Dash answers every address that nobody else does with its page; data routes have none.
    @api.get("/<path:rest>")
    def unknown(rest: str) -> Response:
        abort(404)

    @api.errorhandler(PipelineError)
    def not_there(error: PipelineError) -> tuple[str, int]:
        return str(error), 404

    server.register_blueprint(api)


def _add_capture_routes(api: Blueprint, service: Service) -> None:
    def capture_of(key: str) -> Capture:
        return service.capture(_checked(key))

    @api.get("/<key>/order.u32")
    def order(key: str) -> Response:
        return _binary(capture_of(key).draw_order().astype("<u4"))

    @api.get("/<key>/attribute/<name>.u8")
    def attribute(key: str, name: str) -> Response:
        found = service.encoding(_checked(key), name)
        return _binary(encoding_bytes(found, capture_of(key)))

    @api.get("/<key>/norms.u8")
    def all_norms(key: str) -> Response:
        capture = capture_of(key)
        shown = capture.draw_order()[: _prefix()]
        return _binary(
            np.stack([norm_bytes(row, shown, capture.n_queries) for row in capture.norms()])
        )

    @api.get("/<key>/head/<int:layer>/<int:head>/norms.u8")
    def norms(key: str, layer: int, head: int) -> Response:
        capture = capture_of(key)
        row = capture.norms()[capture.cell(layer, head)]
        return _binary(norm_bytes(row, capture.draw_order(), capture.n_queries))

    @api.get("/<key>/tokens.json")
    def tokens(key: str) -> Response:
        return _immutable(Response(json.dumps(token_columns(capture_of(key))), mimetype=JSON))

    @api.get("/<key>/attention/<int:sequence>/<int:layer>/<int:head>.f32")
    def attention(key: str, sequence: int, layer: int, head: int) -> Response:
        return _binary(capture_of(key).attention(sequence, layer, head).astype("<f4"))

    @api.get("/<key>/image/<int:sequence>.png")
    def image(key: str, sequence: int) -> Response:
        return _immutable(Response(capture_of(key).image(sequence), mimetype="image/png"))


def _add_atlas_routes(api: Blueprint, service: Service) -> None:
    @api.get("/<key>/head/<int:layer>/<int:head>/near/<int:point>.u32")
    def near(key: str, layer: int, head: int, point: int) -> Response:
        found = service.nearest_points(_checked(key), layer, head, point)
        return _binary(found.astype("<u4"))

    @api.get("/<key>/head/<int:layer>/<int:head>/vectors.npz")
    def vectors(key: str, layer: int, head: int) -> Response:
        file = io.BytesIO()
        np.savez_compressed(file, **service.head_arrays(_checked(key), layer, head))
        response = Response(file.getvalue(), mimetype="application/octet-stream")
        response.headers["Cache-Control"] = "no-store"  # maps are added while they are made
        response.headers["Content-Disposition"] = f"attachment; filename=L{layer}-H{head}.npz"
        return response


def _add_map_routes(api: Blueprint, service: Service) -> None:
    def map_of(key: str) -> MapView:
        return service.map_view(_checked(key))

    @api.get("/<key>/cells.json")
    def cells(key: str) -> Response:
        view = map_of(key)
        response = Response(json.dumps(cell_list(view)), mimetype=JSON)
        if view.measured:
            return _immutable(response)
        response.headers["Cache-Control"] = "no-store"
        return response

    @api.get("/<key>/overview.u8")
    def overview(key: str) -> Response:
        view = map_of(key)
        if not view.complete:
            abort(404)
        shown = view.capture.draw_order()[: _prefix()]
        heads = [
            shorten(service.coordinates(cell)[shown], cell["frame"], "u8")
            for cell in view.cells
            if cell
        ]
        return _binary(np.stack(heads))

    @api.get("/<key>/head/<int:layer>/<int:head>.<depth>")
    def head_map(key: str, layer: int, head: int, depth: str) -> Response:
        view = map_of(key)
        cell = view.cells[view.capture.cell(layer, head)]
        if cell is None or depth not in DEPTHS:
            abort(404)
        shown = view.capture.draw_order()[: _prefix()]
        return _binary(shorten(service.coordinates(cell)[shown], cell["frame"], depth))


JSON = "application/json"


def shorten(coordinates: Array, frame: dict[str, Any], depth: str) -> Array:
    """Return coordinates as whole numbers of `span / 255` or `span / 65535` above the origin.

    Parameters
    ----------
    coordinates : (n, dims) float32.
    frame : origin and span of the head's map.
    depth : "u8" or "u16".
    """
    dtype = DEPTHS[depth]
    steps = np.iinfo(dtype).max
    scaled = (coordinates - np.array(frame["origin"])) * (steps / frame["span"])
    return np.clip(np.rint(scaled), 0, steps).astype(dtype)


def norm_bytes(norms: Array, shown: Array, n_queries: int) -> Array:
    """Return norms of one head as 0..126 for queries and 128..254 for keys.

    Parameters
    ----------
    norms : (n_points,) float32, queries then keys.
    shown : (n,) point numbers in draw order.
    n_queries : how many of the points are queries.
    """
    low, high = float(norms.min()), float(norms.max())
    share = (norms[shown] - low) / (high - low or 1.0)
    return _two_sided(share, shown >= n_queries)


def encoding_bytes(encoding: Encoding, capture: Capture) -> Array:
    """Return (n_points,) uint8 in draw order; what they mean depends on the ramp."""
    order = capture.draw_order()
    is_key = order >= capture.n_queries
    values = encoding.values[capture.point_tokens[order]]
    if encoding.ramp == "type":
        return is_key.astype(np.uint8)
    if encoding.ramp == "picture":
        return np.nan_to_num(values).astype(np.uint8)
    if encoding.ramp == "discrete":
        return (values + N_CLASSES * is_key).astype(np.uint8)
    return _two_sided(values, is_key)


def token_columns(capture: Capture) -> dict[str, Any]:
    """Return what the browser knows about every token, as plain JSON columns."""
    tokens = capture.tokens
    lengths = np.diff(tokens.sequence_offset).tolist()
    labels = capture.record["corpus"]["labels"]
    return {
        "text": list(tokens.token_text),
        "sequence": tokens.sequence_index.tolist(),
        "position": tokens.token_index.tolist(),
        "special": tokens.is_special.astype(int).tolist(),
        "row": tokens.row.tolist(),
        "column": tokens.column.tolist(),
        "grid": tokens.grid,
        "query_tokens": None if capture.query_tokens is None else capture.query_tokens.tolist(),
        "key_tokens": None if capture.key_tokens is None else capture.key_tokens.tolist(),
        "sequences": [
            {"label": label, "length": length}
            for label, length in zip(labels, lengths, strict=True)
        ],
    }


def cell_list(view: MapView) -> dict[str, Any]:
    """Return frames, quality and norm range of every head that is computed, None for others."""
    norms = view.capture.norms()
    rows = [
        cell
        and {
            "layer": cell["layer"],
            "head": cell["head"],
            **cell["frame"],
            "quality": cell["quality"] or {},
            "norm_range": [float(norm.min()), float(norm.max())],
        }
        for cell, norm in zip(view.cells, norms, strict=True)
    ]
    return {"complete": view.complete, "dims": view.record["dims"], "cells": rows}


def _two_sided(share: Array, is_key: Array) -> Array:
    """Return shares 0..1 as 0..126 for queries and 128..254 for keys, NaN as 127 and 255."""
    steps = np.nan_to_num(np.rint(np.clip(share, 0, 1) * (N_LEVELS - 1)), nan=N_LEVELS)
    return (steps + N_QUERY_VALUES * is_key).astype(np.uint8)


def _checked(key: str) -> str:
    if not DIGEST.fullmatch(key):
        abort(404)
    return key


def _prefix() -> int | None:
    """Return how many points are asked for, None for all."""
    text = request.args.get("m")
    if text is None:
        return None
    if text not in map(str, PREFIXES):
        abort(400, f"m: found {text!r}, expected one of {PREFIXES}")
    return int(text)


def _binary(array: Array) -> Response:
    return _immutable(Response(array.tobytes(), mimetype="application/octet-stream"))


def _immutable(response: Response) -> Response:
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.add_etag()
    response.make_conditional(request)
    return response
