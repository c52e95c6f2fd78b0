"""An app over a small real atlas, asked without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dash
import pytest
from flask.testing import FlaskClient

from app.main import create_app
from app.settings import Settings
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.store import Store


@pytest.fixture
def service(tiny_store: Store, tiny_atlas: dict[str, Any], hub_cache: Path) -> Service:
    del tiny_atlas  # built by now
    return Service(tiny_store, JobTable(tiny_store), hub_cache=hub_cache)


@pytest.fixture
def client(service: Service, tiny_store: Store, hub_cache: Path) -> Iterator[FlaskClient]:
    """Dash keeps its pages in the process, so those of other apps are put back afterwards."""
    others = dict(dash.page_registry)
    dash.page_registry.clear()
    settings = Settings(cache=tiny_store.root, hub_cache=hub_cache)
    app = create_app(settings, service, is_ready=lambda: False)
    yield app.server.test_client()
    dash.page_registry.clear()
    dash.page_registry.update(others)
