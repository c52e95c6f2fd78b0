"""Routes of one capture: tokens, what colours stand for, norms, attention, images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flask import Blueprint, Response

from app.api.answers import JSON, Array, binary, checked, immutable, prefix
from pipeline.captured import Capture
from pipeline.encodings import Encoding
from pipeline.service import Service

N_CLASSES = 5
N_QUERY_VALUES = 128
N_LEVELS = 127  # of a ramp; the last value of each side is for points that have none


def add_routes(api: Blueprint, service: Service) -> None:
    """Add the routes."""
    _add_point_routes(api, service)
    _add_encoding_routes(api, service)
    _add_sequence_routes(api, service)


def _add_point_routes(api: Blueprint, service: Service) -> None:
    def capture_of(key: str) -> Capture:
        return service.capture(checked(key))

    @api.get("/<key>/order.u32")
    def order(key: str) -> Response:
        return binary(capture_of(key).draw_order().astype("<u4"))

    @api.get("/<key>/norms.u8")
    def all_norms(key: str) -> Response:
        capture = capture_of(key)
        shown = capture.draw_order()[: prefix()]
        return binary(
            np.stack([norm_bytes(row, shown, capture.n_queries) for row in capture.norms()])
        )

    @api.get("/<key>/head/<int:layer>/<int:head>/norms.u8")
    def norms(key: str, layer: int, head: int) -> Response:
        capture = capture_of(key)
        row = capture.norms()[capture.cell(layer, head)]
        return binary(norm_bytes(row, capture.draw_order(), capture.n_queries))


def _add_encoding_routes(api: Blueprint, service: Service) -> None:
    def kept(name: str, response: Response) -> Response:
        if name == "label":  # labels can be made anew
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    @api.get("/<key>/attribute/<name>.u8")
    def attribute(key: str, name: str) -> Response:
        found = service.encoding(checked(key), name)
        return kept(name, binary(encoding_bytes(found, service.capture(key))))

    @api.get("/<key>/attribute/<name>.json")
    def attribute_words(key: str, name: str) -> Response:
        words = service.encoding_words(checked(key), name)
        kinds = list(dict.fromkeys(words))
        number = {word: i for i, word in enumerate(kinds)}
        content = {"words": kinds, "of_token": [number[word] for word in words]}
        return kept(name, immutable(Response(json.dumps(content), mimetype=JSON)))


def _add_sequence_routes(api: Blueprint, service: Service) -> None:
    def capture_of(key: str) -> Capture:
        return service.capture(checked(key))

    @api.get("/<key>/tokens.json")
    def tokens(key: str) -> Response:
        labels = service.labels(checked(key))
        columns = token_columns(capture_of(key)) | {"label": labels and labels.texts}
        return immutable(Response(json.dumps(columns), mimetype=JSON))

    @api.get("/<key>/attention/<int:sequence>/<int:layer>/<int:head>.f32")
    def attention(key: str, sequence: int, layer: int, head: int) -> Response:
        return binary(capture_of(key).attention(sequence, layer, head).astype("<f4"))

    @api.get("/<key>/image/<int:sequence>.png")
    def image(key: str, sequence: int) -> Response:
        return immutable(Response(capture_of(key).image(sequence), mimetype="image/png"))


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
        "segment": tokens.segment.tolist(),
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


def _two_sided(share: Array, is_key: Array) -> Array:
    """Return shares 0..1 as 0..126 for queries and 128..254 for keys, NaN as 127 and 255."""
    steps = np.nan_to_num(np.rint(np.clip(share, 0, 1) * (N_LEVELS - 1)), nan=N_LEVELS)
    return (steps + N_QUERY_VALUES * is_key).astype(np.uint8)
