"""Builds the Dash app: pages, callbacks, data routes, health, headers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dash
import flask
from dash import Dash
from flask import Response
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from app import api, bodies, ids, security, shell, standalone
from app.callbacks import build, client, find, trust, weights
from app.pages import about, missing, views
from app.pages import build as build_page
from app.settings import Settings
from pipeline.service import Service

logger = logging.getLogger(__name__)

# The theme is set before anything is drawn: no page flashes in the wrong one.
INDEX = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <title>{%title%}</title>
        <script src="/assets/60_theme.js"></script>
        {%favicon%}
        {%css%}
    </head>
    <body>
        {%app_entry%}
        {%config%}
        {%scripts%}
        {%renderer%}
    </body>
</html>
"""
ASSETS = Path(__file__).resolve().parent.parent / "assets"


def create_app(settings: Settings, service: Service, *, is_ready: Callable[[], bool]) -> Dash:
    """Build the dashboard.

    Parameters
    ----------
    settings : checked already.
    service : the only way to results.
    is_ready : whether the worker lives and the cache can be written; for `/readyz`.
    """
    allow_any_model = settings.allow_models == "hub"
    app = Dash(
        __name__,
        title="QK Atlas",
        update_title="",
        use_pages=True,
        pages_folder="",
        assets_folder=str(ASSETS),
        assets_ignore=r"^60_theme\.js$",  # the page's head loads it
        index_string=INDEX,
        compress=True,  # scripts and JSON; not the binary routes, which hardly shrink
        on_error=_report_error,
    )
    pages = {
        **{path: (title, views.layout) for path, title in views.PAGES.items()},
        "/build": ("Build", partial(_build_layout, service, allow_any_model)),
        "/about": ("About", about.layout),
    }
    for path, (title, layout) in pages.items():
        dash.register_page(path, path=path, title=f"{title} · QK Atlas", name=title, layout=layout)
    # Dash finds it by this name.
    dash.register_page("not_found_404", title="No such page · QK Atlas", layout=missing.layout)
    app.layout = shell.layout
    build.register(app, service, allow_any_model=allow_any_model)
    find.register(app, service)
    trust.register(app, service)
    weights.register(app, service)
    client.register(app)
    api.register_routes(app.server, service, allow_any_model=allow_any_model)
    standalone.add_route(app.server, service)
    _add_health(app, is_ready)
    bodies.refuse_malformed(app)
    app.server.before_request(_drop_last_slash)
    app.server.register_error_handler(Exception, _answer_fault)
    app.server.after_request(_finish_asset)
    security.protect(app.server, settings, app.csp_hashes)
    return app


def _build_layout(service: Service, allow_any_model: bool, **_query: str) -> object:
    return build_page.layout(service.models, service.corpora, allow_any_model=allow_any_model)


def _drop_last_slash() -> BaseResponse | None:
    """Lead from /head/ to /head, under which scripts know the page."""
    request = flask.request
    if request.path == "/" or not request.path.endswith("/"):
        return None
    query = f"?{request.query_string.decode()}" if request.query_string else ""
    return flask.redirect("/" + request.path.strip("/") + query)


def _finish_asset(response: Response) -> Response:
    """Let browsers keep an asset that is asked for by its date: another one has another address.

    It is read whole before it is compressed: flask-compress never closes one it streams.
    """
    if flask.request.endpoint != "_dash_assets.static" or response.status_code not in (200, 304):
        return response
    if "m" in flask.request.args:
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    if response.status_code == 200:
        response.direct_passthrough = False
        response.get_data()
    return response


def _add_health(app: Dash, is_ready: Callable[[], bool]) -> None:
    @app.server.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.server.get("/readyz")
    def readyz() -> Response:
        ready = is_ready()
        return Response("ready" if ready else "not ready", status=200 if ready else 503)


def _report_error(error: Exception) -> None:
    """Show a fault of ours in a callback."""
    dash.set_props(ids.NOTICES, {"children": _note(error)})


def _answer_fault(error: Exception) -> flask.typing.ResponseReturnValue:
    """Answer a request in which we made a fault."""
    if isinstance(error, HTTPException):
        return error.get_response()
    return Response(_note(error) + "\n", 500, mimetype="text/plain")


def _note(error: Exception) -> str:
    """Log a fault of ours under an id and say the id; details stay on the server."""
    error_id = secrets.token_hex(4)
    logger.error("error %s", error_id, exc_info=error)
    return f"Something went wrong (error {error_id})."
