"""Binary data routes: coordinates, token attributes, attention weights. Formats: architecture.md.

The only place that shortens numbers, to 8 or 16 bits on their way to the browser. Every route is
named by a digest and never changes, except `cells.json`, which grows while a map is computed.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort

from app.api import attention, captures, inspect, live, maps, opening, selections
from app.api.answers import binary
from app.theme import PALETTES, THEMES, lookup_table
from pipeline.errors import PipelineError
from pipeline.service import Service


def register_routes(server: Flask, service: Service, *, allow_any_model: bool) -> None:
    """Add the data routes to the server."""
    api = Blueprint("api", __name__, url_prefix="/api")
    for room in (opening, captures, attention, maps, selections, inspect):
        room.add_routes(api, service)
    live.add_routes(api, service, allow_any_model=allow_any_model)

    @api.get("/lut/<palette>/<theme>.u8")
    def lut(palette: str, theme: str) -> Response:
        if palette not in PALETTES or theme not in THEMES:
            abort(404)
        return binary(lookup_table(palette, theme))

    # Dash answers every address that nobody else does with its page; data routes have none.
    @api.get("/<path:rest>")
    def unknown(rest: str) -> Response:
        abort(404)

    @api.errorhandler(PipelineError)
    def not_there(error: PipelineError) -> tuple[str, int]:
        return str(error), 404

    server.register_blueprint(api)
