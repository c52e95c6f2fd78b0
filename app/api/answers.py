"""What all data routes share: checked keys and prefixes, answers that browsers keep."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, abort, request
from numpy.typing import NDArray

JSON = "application/json"
PREFIXES = (256, 512, 1000, 2000)
DIGEST = re.compile(r"[0-9a-f]{64}")

Array = NDArray[Any]


def checked(key: str) -> str:
    """Return a key if it has the form of one, else answer 404."""
    if not DIGEST.fullmatch(key):
        abort(404)
    return key


def prefix() -> int | None:
    """Return how many points are asked for, None for all."""
    text = request.args.get("m")
    if text is None:
        return None
    if text not in map(str, PREFIXES):
        abort(400, f"m: found {text!r}, expected one of {PREFIXES}")
    return int(text)


def binary(array: Array) -> Response:
    """Answer with the bytes of an array, which never change."""
    return immutable(Response(array.tobytes(), mimetype="application/octet-stream"))


def immutable(response: Response) -> Response:
    """Let browsers keep an answer for ever."""
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.add_etag()
    response.make_conditional(request)
    return response
