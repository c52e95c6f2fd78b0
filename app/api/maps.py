"""Routes of atlases and their maps: neighbours, files of one head, coordinates, quality figures."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort

from app.api.answers import JSON, Array, binary, checked, immutable, prefix
from pipeline.map_view import MapView
from pipeline.service import Service

DEPTHS: dict[str, Any] = {"u8": np.uint8, "u16": np.dtype("<u2")}


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""
    _add_atlas_routes(api, service)
    _add_map_routes(api, service)


def _add_atlas_routes(api: Blueprint, service: Service) -> None:
    @api.get("/<key>/head/<int:layer>/<int:head>/near/<int:point>.u32")
    def near(key: str, layer: int, head: int, point: int) -> Response:
        found = service.nearest_points(checked(key), layer, head, point)
        return binary(found.astype("<u4"))

    @api.get("/<key>/head/<int:layer>/<int:head>/vectors.npz")
    def vectors(key: str, layer: int, head: int) -> Response:
        file = io.BytesIO()
        np.savez_compressed(file, **service.head_arrays(checked(key), layer, head))
        response = Response(file.getvalue(), mimetype="application/octet-stream")
        response.headers["Cache-Control"] = "no-store"  # maps are added while they are made
        response.headers["Content-Disposition"] = f"attachment; filename=L{layer}-H{head}.npz"
        return response


def _add_map_routes(api: Blueprint, service: Service) -> None:
    def map_of(key: str) -> MapView:
        return service.map_view(checked(key))

    @api.get("/<key>/cells.json")
    def cells(key: str) -> Response:
        view = map_of(key)
        orders = service.orders(view.record["atlas"])
        response = Response(json.dumps(cell_list(view, orders)), mimetype=JSON)
        # Orders of an older atlas are measured when it is built again.
        is_final = orders is not None or view.capture.record["corpus"]["modality"] != "image"
        if view.measured and is_final:
            return immutable(response)
        response.headers["Cache-Control"] = "no-store"
        return response

    @api.get("/<key>/overview.u8")
    def overview(key: str) -> Response:
        view = map_of(key)
        if not view.complete:
            abort(404)
        shown = view.capture.draw_order()[: prefix()]
        heads = [
            shorten(service.coordinates(cell)[shown], cell["frame"], "u8")
            for cell in view.cells
            if cell
        ]
        return binary(np.stack(heads))

    @api.get("/<key>/head/<int:layer>/<int:head>.<depth>")
    def head_map(key: str, layer: int, head: int, depth: str) -> Response:
        view = map_of(key)
        cell = view.cells[view.capture.cell(layer, head)]
        if cell is None or depth not in DEPTHS:
            abort(404)
        shown = view.capture.draw_order()[: prefix()]
        return binary(shorten(service.coordinates(cell)[shown], cell["frame"], depth))

    @api.get("/<key>/head/<int:layer>/<int:head>/placed/<capture>.f32")
    def placed(key: str, layer: int, head: int, capture: str) -> Response:
        found = service.placements.placed(checked(key), layer, head, checked(capture))
        return binary(found.astype("<f4"))


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


def cell_list(view: MapView, orders: list[dict[str, float]] | None = None) -> dict[str, Any]:
    """Return frames, quality and norm range of every head that is computed, None for others.

    Parameters
    ----------
    orders : further figures of each head, which do not depend on the map.
    """
    norms = view.capture.norms()
    rows = [
        cell
        and {
            "layer": cell["layer"],
            "head": cell["head"],
            **cell["frame"],
            "quality": (cell["quality"] or {}) | order,
            "norm_range": [float(norm.min()), float(norm.max())],
        }
        for cell, norm, order in zip(
            view.cells, norms, orders or [{}] * len(view.cells), strict=True
        )
    ]
    return {"complete": view.complete, "dims": view.record["dims"], "cells": rows}
