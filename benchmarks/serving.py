"""Serves an atlas to a browser that a benchmark drives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.types import WSGIApplication

from werkzeug.serving import make_server

from app.main import create_app
from app.settings import Settings
from pipeline.build import build_atlas, hub_cache
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.specs import AtlasSpec
from pipeline.store import Store


@contextmanager
def serving(spec: AtlasSpec, store: Store) -> Iterator[str]:
    """Build an atlas where it is missing and serve its store; yield the address."""
    build_atlas(spec, store, hub_cache=hub_cache(), report=lambda _: None)
    service = Service(store, JobTable(store), hub_cache=hub_cache())
    settings = Settings(cache=store.root, hub_cache=hub_cache())
    app = create_app(settings, service, is_ready=lambda: True)
    with listening(app.server) as address:
        yield address


@contextmanager
def listening(application: WSGIApplication) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield the address."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
